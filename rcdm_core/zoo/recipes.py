"""The settings with which the zoo is trained.

The shipped weights were trained in several legs of this length in all, each begun with the weights of the one before
(``--start``); their cards tell the settings of every leg. The RCDM's shares were shifted from leg to leg towards the
backbones that were drawn worst: in the last ones simclr and dino had up to 33 images of a batch. Of dino, the last
7,000 steps had multi-crop, and the last 3,800 of these the balanced targets and the KoLeo term
(`rcdm_core.zoo.methods.DINO`).
"""

from __future__ import annotations

from rcdm_core.encoders.embedded import PROJECTOR_DIMENSIONS
from rcdm_core.rcdm.network import NetworkSettings
from rcdm_core.training import TrainingSettings

ENCODERS = {
    "supervised": TrainingSettings(steps=8500, batch_size=128, learning_rate=1.5e-3),
    "simclr": TrainingSettings(steps=8400, batch_size=128, learning_rate=1.5e-3),
    "vicreg": TrainingSettings(steps=11_600, batch_size=128, learning_rate=1.5e-3),
    "barlow": TrainingSettings(steps=11_400, batch_size=128, learning_rate=1.5e-3),
    "dino": TrainingSettings(steps=16_900, batch_size=128, learning_rate=1.5e-3),
}
JUDGE = TrainingSettings(steps=19_800, batch_size=128, learning_rate=1.5e-3)
RCDM_NETWORK = NetworkSettings()
RCDM_SHARES = {  # images of a batch from each condition
    "supervised/backbone": 4,
    **{f"{name}/backbone": 16 for name in PROJECTOR_DIMENSIONS},
    **{f"{name}/projector": 3 for name in PROJECTOR_DIMENSIONS},
}
RCDM = TrainingSettings(
    steps=9750,
    batch_size=80,
    learning_rate=8e-4,
    weight_decay=0.01,
    warmup=200,
    ema_decay=0.999,
    checkpoint_every=200,
)
