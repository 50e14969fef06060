"""What a sampling may be told, by name, without the libraries that draw: settings and help texts need no more."""

from __future__ import annotations

SOLVERS = ("sde-dpmsolver++", "dpmsolver++", "unipc", "ddim", "ddpm")
"""Keys of `rcdm_core.rcdm.solvers.SOLVERS`."""

DEFAULT_SOLVER, DEFAULT_STEPS = "sde-dpmsolver++", 6
"""Of all probes: the fewest steps that draw as well and nearly as variously as 100 ancestral ones (docs/speed.md)."""

DISTILLED_SOLVER = "ddim"
"""By which an RCDM draws that was distilled to few steps, and by no other."""
