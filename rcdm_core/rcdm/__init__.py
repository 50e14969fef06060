"""The RCDM: network, forward and reverse process, solvers, sampling."""

from rcdm_core.rcdm.files import load_rcdm, save_rcdm
from rcdm_core.rcdm.network import NETWORKS, network_settings
from rcdm_core.rcdm.rcdm import BRIEF_STEPS, DEFAULT_SOLVER, DEFAULT_STEPS, RCDM
from rcdm_core.rcdm.solvers import SOLVERS

__all__ = [
    "BRIEF_STEPS",
    "DEFAULT_SOLVER",
    "DEFAULT_STEPS",
    "NETWORKS",
    "RCDM",
    "SOLVERS",
    "load_rcdm",
    "network_settings",
    "save_rcdm",
]
