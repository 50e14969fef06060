"""See what a frozen vision encoder keeps and what it throws away.

The public names, those of all probes among them; each is loaded when it is first used, so that importing the package
costs nothing.
"""

from __future__ import annotations

import warnings
from importlib import import_module

TYPE_CHECKING = False  # typing takes a hundredth of a second, in which Ctrl-C is not ours yet
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from rcdm_core.allocator import keep_memory
    from rcdm_core.encoders import load_encoder
    from rcdm_core.rcdm import RCDM, load_rcdm
    from rcdm_probe.comparison import compare
    from rcdm_probe.comparison_report import ComparisonResult
    from rcdm_probe.conduct import Result
    from rcdm_probe.handing_on import push_run
    from rcdm_probe.reproduction import ReproductionResult, reproduce

    adversarial: Callable[..., Result]
    corruptions: Callable[..., Result]
    fidelity: Callable[..., Result]
    generate: Callable[..., Result]
    interpolate: Callable[..., Result]
    invariance: Callable[..., Result]
    manipulate: Callable[..., Result]
    occlusion: Callable[..., Result]
    similarity: Callable[..., Result]

__all__ = [
    "RCDM",
    "ComparisonResult",
    "ReproductionResult",
    "Result",
    "adversarial",
    "compare",
    "corruptions",
    "fidelity",
    "generate",
    "interpolate",
    "invariance",
    "keep_memory",
    "load_encoder",
    "load_rcdm",
    "manipulate",
    "occlusion",
    "push_run",
    "reproduce",
    "similarity",
]

_HOMES = {
    "ComparisonResult": "rcdm_probe.comparison_report",
    "compare": "rcdm_probe.comparison",
    "ReproductionResult": "rcdm_probe.reproduction",
    "reproduce": "rcdm_probe.reproduction",
    "keep_memory": "rcdm_core.allocator",
    "Result": "rcdm_probe.conduct",
    "push_run": "rcdm_probe.handing_on",
    "load_encoder": "rcdm_core.encoders",
    "RCDM": "rcdm_core.rcdm",
    "load_rcdm": "rcdm_core.rcdm",
}


_FORMER = {
    "neighbourhood": "generate",
    "NeighbourhoodResult": "Result",
    "interpolation": "interpolate",
    "InterpolationResult": "Result",
    "manipulation": "manipulate",
    "ManipulationResult": "Result",
    "FidelityResult": "Result",
    "InvarianceResult": "Result",
    "AdversarialResult": "Result",
}
"""Names of versions before, and what they are called now."""


def __getattr__(name: str) -> Any:
    if name in _FORMER:
        warnings.warn(f"rcdm_probe.{name} is called {_FORMER[name]} now", DeprecationWarning, stacklevel=2)
        return __getattr__(_FORMER[name])
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    elif not name.startswith("_") and name in (known := import_module("rcdm_probe.known_probes")).places():
        value = import_module("rcdm_probe.conduct").function_of(known.load_probe(name))
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *import_module("rcdm_probe.known_probes").places()})
