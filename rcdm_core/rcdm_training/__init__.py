"""Training of an RCDM for any encoders on any images, and new encoders on one that exists."""

from rcdm_core.rcdm_training.adaptation import Stage, adapt_rcdm
from rcdm_core.rcdm_training.evaluation import Observation
from rcdm_core.rcdm_training.settings import (
    Adaptation,
    RCDMTraining,
    adaptation_settings,
    default_settings,
    distillation_settings,
)
from rcdm_core.rcdm_training.training import train_rcdm

__all__ = [
    "Adaptation",
    "Observation",
    "RCDMTraining",
    "Stage",
    "adapt_rcdm",
    "adaptation_settings",
    "default_settings",
    "distillation_settings",
    "train_rcdm",
]
