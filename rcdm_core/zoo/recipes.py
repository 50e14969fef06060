"""The settings with which the shipped zoo was trained."""

from __future__ import annotations

from rcdm_core.encoders.embedded import PROJECTOR_DIMENSIONS
from rcdm_core.rcdm.network import NetworkSettings
from rcdm_core.training import TrainingSettings

ENCODERS = {
    "supervised": TrainingSettings(steps=4500, batch_size=128, learning_rate=1.5e-3),
    "simclr": TrainingSettings(steps=2400, batch_size=128, learning_rate=1.5e-3),
    "vicreg": TrainingSettings(steps=2400, batch_size=128, learning_rate=1.5e-3),
    "barlow": TrainingSettings(steps=2400, batch_size=128, learning_rate=1.5e-3),
    "dino": TrainingSettings(steps=2000, batch_size=128, learning_rate=1e-3),
}
JUDGE = TrainingSettings(steps=4000, batch_size=128, learning_rate=1.5e-3)
RCDM_NETWORK = NetworkSettings()
RCDM_SHARES = {  # images of a batch from each condition
    "supervised/backbone": 8,
    **{f"{name}/backbone": 11 for name in PROJECTOR_DIMENSIONS},
    **{f"{name}/projector": 7 for name in PROJECTOR_DIMENSIONS},
}
RCDM = TrainingSettings(
    steps=1600, batch_size=80, learning_rate=8e-4, weight_decay=0.01, warmup=50, ema_decay=0.999, checkpoint_every=200
)
