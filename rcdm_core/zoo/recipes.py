"""The settings with which the zoo is trained.

The shipped weights were trained in several legs of this length in all, each begun with the weights of the one before
(``--start``); their cards tell the settings of every leg. The recipe grew on the way. Every encoder met the noise of
`rcdm_core.zoo.augmentations` in its last 350 to 950 steps only. dino had multi-crop in its last 8,450 and balanced
targets in its last 5,250, the first 4,380 of these beside a KoLeo term that is no more. The RCDM's shares were shifted
from leg to leg towards the backbones that were drawn worst: simclr and dino had up to 33 images of a batch.
"""

from __future__ import annotations

from rcdm_core.encoders.embedded import PROJECTOR_DIMENSIONS
from rcdm_core.rcdm.network import NetworkSettings
from rcdm_core.training import TrainingSettings

ENCODERS = {
    "supervised": TrainingSettings(steps=8900, batch_size=128, learning_rate=1.5e-3),
    "simclr": TrainingSettings(steps=8750, batch_size=128, learning_rate=1.5e-3),
    "vicreg": TrainingSettings(steps=12_550, batch_size=128, learning_rate=1.5e-3),
    "barlow": TrainingSettings(steps=12_200, batch_size=128, learning_rate=1.5e-3),
    "dino": TrainingSettings(steps=18_350, batch_size=128, learning_rate=1.5e-3),
}
JUDGE = TrainingSettings(steps=19_800, batch_size=128, learning_rate=1.5e-3)
RCDM_NETWORK = NetworkSettings()
RCDM_SHARES = {  # images of a batch from each condition
    "supervised/backbone": 4,
    **{f"{name}/backbone": 16 for name in PROJECTOR_DIMENSIONS},
    **{f"{name}/projector": 3 for name in PROJECTOR_DIMENSIONS},
}
RCDM = TrainingSettings(
    steps=10_920,
    batch_size=80,
    learning_rate=8e-4,
    weight_decay=0.01,
    warmup=200,
    ema_decay=0.999,
    checkpoint_every=200,
)
