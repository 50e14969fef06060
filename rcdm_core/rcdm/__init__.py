"""The RCDM: network, forward and reverse process, solvers, sampling.

What needs diffusers is imported when it is first used: what draws nothing does without.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rcdm_core.rcdm.choices import DEFAULT_SOLVER, DEFAULT_STEPS

if TYPE_CHECKING:
    from rcdm_core.rcdm.files import save_rcdm
    from rcdm_core.rcdm.network import NETWORKS, network_settings
    from rcdm_core.rcdm.rcdm import RCDM, load_rcdm
    from rcdm_core.rcdm.solvers import SOLVERS

__all__ = [
    "DEFAULT_SOLVER",
    "DEFAULT_STEPS",
    "NETWORKS",
    "RCDM",
    "SOLVERS",
    "load_rcdm",
    "network_settings",
    "save_rcdm",
]

_HOMES = {
    "load_rcdm": "rcdm",
    "save_rcdm": "files",
    "NETWORKS": "network",
    "network_settings": "network",
    "RCDM": "rcdm",
    "SOLVERS": "solvers",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
