"""The RCDM: network, forward process, solvers, sampling."""

from rcdm_core.rcdm.files import load_rcdm
from rcdm_core.rcdm.rcdm import DEFAULT_SOLVER, DEFAULT_STEPS, RCDM
from rcdm_core.rcdm.solvers import SOLVERS

__all__ = ["DEFAULT_SOLVER", "DEFAULT_STEPS", "RCDM", "SOLVERS", "load_rcdm"]
