"""What a sampling may be told, by name, without the libraries that draw: settings and help texts need no more."""

from __future__ import annotations

SOLVERS = ("sde-dpmsolver++", "dpmsolver++", "unipc", "ddim", "ddpm")
"""Keys of `rcdm_core.rcdm.solvers.SOLVERS`."""

DEFAULT_SOLVER, DEFAULT_STEPS = "sde-dpmsolver++", 12
DISTILLED_SOLVER = "ddim"
"""By which an RCDM draws that was distilled to few steps, and by no other."""

BRIEF_STEPS = 8
"""Steps of probes whose statistics rest on many samples: half as many again in the same time, each less faithful.

Few steps narrow what samples of one representation show: 12 draw about 0.87 of the variance of 100 ancestral steps, 8
about 0.78 (docs/speed.md)."""
