"""Encoders: frozen networks with named levels, found by name."""

from rcdm_core.encoders.encoder import Encoder
from rcdm_core.encoders.registry import ENCODERS, load_encoder

__all__ = ["ENCODERS", "Encoder", "load_encoder"]
