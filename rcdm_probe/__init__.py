"""See what a frozen vision encoder keeps and what it throws away.

The public names; each is loaded when it is first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rcdm_core.allocator import keep_memory
    from rcdm_core.encoders import load_encoder
    from rcdm_core.rcdm import load_rcdm
    from rcdm_probe.adversarial_study import AdversarialResult, adversarial
    from rcdm_probe.fidelity_study import FidelityResult, fidelity
    from rcdm_probe.interpolation_study import InterpolationResult, interpolation
    from rcdm_probe.invariance_study import InvarianceResult, invariance
    from rcdm_probe.manipulation_study import ManipulationResult, manipulation
    from rcdm_probe.neighbourhood_study import NeighbourhoodResult, neighbourhood
    from rcdm_probe.reproduction import ReproductionResult, reproduce

__all__ = [
    "AdversarialResult",
    "FidelityResult",
    "InterpolationResult",
    "InvarianceResult",
    "ManipulationResult",
    "NeighbourhoodResult",
    "ReproductionResult",
    "adversarial",
    "fidelity",
    "interpolation",
    "invariance",
    "keep_memory",
    "load_encoder",
    "load_rcdm",
    "manipulation",
    "neighbourhood",
    "reproduce",
]

_HOMES = {
    "AdversarialResult": "rcdm_probe.adversarial_study",
    "adversarial": "rcdm_probe.adversarial_study",
    "InterpolationResult": "rcdm_probe.interpolation_study",
    "interpolation": "rcdm_probe.interpolation_study",
    "FidelityResult": "rcdm_probe.fidelity_study",
    "fidelity": "rcdm_probe.fidelity_study",
    "InvarianceResult": "rcdm_probe.invariance_study",
    "invariance": "rcdm_probe.invariance_study",
    "ManipulationResult": "rcdm_probe.manipulation_study",
    "manipulation": "rcdm_probe.manipulation_study",
    "NeighbourhoodResult": "rcdm_probe.neighbourhood_study",
    "neighbourhood": "rcdm_probe.neighbourhood_study",
    "ReproductionResult": "rcdm_probe.reproduction",
    "reproduce": "rcdm_probe.reproduction",
    "keep_memory": "rcdm_core.allocator",
    "load_encoder": "rcdm_core.encoders",
    "load_rcdm": "rcdm_core.rcdm",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
