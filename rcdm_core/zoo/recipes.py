"""The settings with which the shipped zoo was trained."""

from __future__ import annotations

from rcdm_core.training import TrainingSettings

ENCODERS = {
    "supervised": TrainingSettings(steps=2200, batch_size=256, learning_rate=2e-3),
    "simclr": TrainingSettings(steps=1100, batch_size=256, learning_rate=2e-3),
    "vicreg": TrainingSettings(steps=1100, batch_size=256, learning_rate=2e-3),
    "barlow": TrainingSettings(steps=1100, batch_size=256, learning_rate=2e-3),
    "dino": TrainingSettings(steps=1000, batch_size=256, learning_rate=1e-3),
}
JUDGE = TrainingSettings(steps=2200, batch_size=256, learning_rate=2e-3)
