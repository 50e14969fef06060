"""Solvers by name, all from diffusers: two that parity asks for, two that are fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, UniPCMultistepScheduler

from rcdm_core.errors import unknown_name

if TYPE_CHECKING:
    from collections.abc import Mapping

# The cosine schedule ends at a log signal-to-noise ratio near minus infinity; high-order solvers integrate over it and
# start where it is finite.
_FINITE = {"lambda_min_clipped": -5.1}

SOLVERS: Mapping[str, tuple[Any, Mapping[str, Any]]] = {
    "dpmsolver++": (DPMSolverMultistepScheduler, {"timestep_spacing": "trailing", "solver_order": 2, **_FINITE}),
    "unipc": (UniPCMultistepScheduler, {"timestep_spacing": "trailing", "solver_order": 2}),
    "ddim": (DDIMScheduler, {"timestep_spacing": "trailing", "set_alpha_to_one": True}),
    "ddpm": (DDPMScheduler, {"timestep_spacing": "trailing"}),
}
"""Name to scheduler class and settings: DPM-Solver++ (Lu et al. 2022), UniPC (Zhao et al. 2023), DDIM (Song et al.
2021), ancestral DDPM (Ho et al. 2020)."""


def build_solver(name: str, schedule: DDPMScheduler, steps: int) -> Any:
    """A solver for a trained schedule, its timesteps set.

    Args:
        name: A key of `SOLVERS`.
        schedule: The schedule that the network was trained on.
        steps: Network evaluations.

    Raises:
        UserError: No such solver.
    """
    if name not in SOLVERS:
        raise unknown_name("solver", name, SOLVERS)
    kind, settings = SOLVERS[name]
    solver = kind.from_config(schedule.config, **settings)
    solver.set_timesteps(steps)
    return solver
