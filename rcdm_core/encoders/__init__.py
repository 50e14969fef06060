"""Encoders: frozen networks with named levels, found by name.

The public names; those that need PyTorch are loaded when they are first used, so that a list of encoders is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rcdm_core.encoders.catalogue import EMBEDDED, ENCODERS, FAMILIES, PUBLISHED

if TYPE_CHECKING:
    from rcdm_core.encoders.encoder import Encoder
    from rcdm_core.encoders.registry import load_encoder
    from rcdm_core.encoders.soundness import refuse_without_gradients

__all__ = ["EMBEDDED", "ENCODERS", "FAMILIES", "PUBLISHED", "Encoder", "load_encoder", "refuse_without_gradients"]

_HOMES = {
    "Encoder": "rcdm_core.encoders.encoder",
    "load_encoder": "rcdm_core.encoders.registry",
    "refuse_without_gradients": "rcdm_core.encoders.soundness",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value
