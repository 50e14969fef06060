"""Training of an RCDM for any encoder on any images."""

from rcdm_core.rcdm_training.evaluation import Observation
from rcdm_core.rcdm_training.settings import RCDMTraining, default_settings
from rcdm_core.rcdm_training.training import train_rcdm

__all__ = ["Observation", "RCDMTraining", "default_settings", "train_rcdm"]
