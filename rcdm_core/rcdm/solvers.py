"""Solvers by name: how the network leads from noise to an image. Two that parity asks for, three that are fast.

The fast ones are diffusers'. The default, SDE-DPM-Solver++ of second order, solves the reverse *stochastic* equation:
it adds fresh noise at every step, which takes away errors of the steps before, while those of deterministic solvers add
up. It and DPM-Solver++ take their few steps where they count for what a probe measures, how samples of one
representation vary (`timesteps`); UniPC takes its own evenly. DDIM is the first-order DPM-Solver++ (Lu et al. 2022,
section 4), at the timesteps of the ancestral solver: diffusers' own DDIM takes them to be evenly spaced, which respaced
ones are not. The ancestral solver follows `ReverseProcess`, whose steps the published objective is made of. The two
stochastic ones, SDE-DPM-Solver++ and the ancestral, are told the noise that they add.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from diffusers import DDPMScheduler, DPMSolverMultistepScheduler, UniPCMultistepScheduler

from rcdm_core.rcdm.diffusion import ReverseProcess

Predict = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Noisy images ``[N, 3, S, S]`` and a timestep to the output of the network."""

Solver = Callable[[DDPMScheduler, int, Predict, torch.Tensor, Iterator[torch.Tensor]], torch.Tensor]
"""Schedule of the training, network evaluations, network, starting noise ``[N, 3, S, S]``, and the noise to add after
each step, to clean images in the scale of [-1, 1]."""

_SDE = "sde-dpmsolver++"


def _ancestral(
    schedule: DDPMScheduler, steps: int, predict: Predict, noise: torch.Tensor, added: Iterator[torch.Tensor]
) -> torch.Tensor:
    process, x = ReverseProcess(schedule, steps), noise
    for i in reversed(range(steps)):
        mean, log_variance = process.of_network(predict(x, process.timesteps[i]), x, i)
        x = mean + (log_variance / 2).exp() * next(added).to(x.device) if i else mean
    return x


def _ddim(
    schedule: DDPMScheduler, steps: int, predict: Predict, noise: torch.Tensor, added: Iterator[torch.Tensor]
) -> torch.Tensor:
    clipping = {"thresholding": schedule.config["clip_sample"], "sample_max_value": 1.0}
    solver = DPMSolverMultistepScheduler.from_config(schedule.config, solver_order=1, **clipping)
    solver.set_timesteps(timesteps=ReverseProcess(schedule, steps).timesteps.flip(0).tolist())
    return _follow(solver, predict, noise, added)


def timesteps(schedule: DDPMScheduler, steps: int) -> list[int]:
    """Timesteps of a schedule, falling, dense where there is most noise and again where there is least, ``[K]``.

    A solver that strides over noise levels at which the network makes up its mind draws the mean of what could be, and
    samples vary too little. Hues and brightness, in which images differ most, show through the most noise, so that the
    first strides are the smallest. With the angle ``arctan(s_t / a_t)`` of a timestep, whatever the schedule,

        angle_i = angle_T (1 - u^2.5)^1.5,    u = i / K.

    Found by trial: of the variance that 100 ancestral steps draw, 6 such steps of second order keep 0.97, 6 even ones
    of first order kept 0.68 (docs/speed.md).
    """
    signal = torch.cumprod(1 - schedule.betas.double(), 0)
    angles = torch.atan2((1 - signal).sqrt(), signal.sqrt())
    wanted = angles[-1] * (1 - (torch.arange(steps) / steps).double() ** 2.5) ** 1.5
    chosen: list[int] = []
    for i, nearest in enumerate((angles[None] - wanted[:, None]).abs().argmin(1).tolist()):
        below = chosen[-1] - 1 if chosen else len(angles) - 1
        chosen.append(max(min(nearest, below), steps - 1 - i))  # each once, and as many as are still to come below it
    return chosen


def _dpm(
    settings: Mapping[str, Any],
    schedule: DDPMScheduler,
    steps: int,
    predict: Predict,
    noise: torch.Tensor,
    added: Iterator[torch.Tensor],
) -> torch.Tensor:
    solver = DPMSolverMultistepScheduler.from_config(schedule.config, **settings)
    solver.set_timesteps(timesteps=timesteps(schedule, steps))
    return _follow(solver, predict, noise, added)


def _unipc(
    schedule: DDPMScheduler, steps: int, predict: Predict, noise: torch.Tensor, added: Iterator[torch.Tensor]
) -> torch.Tensor:
    solver = UniPCMultistepScheduler.from_config(schedule.config, timestep_spacing="trailing", solver_order=2)
    solver.set_timesteps(steps)
    return _follow(solver, predict, noise, added)


def _follow(solver: Any, predict: Predict, noise: torch.Tensor, added: Iterator[torch.Tensor]) -> torch.Tensor:
    x = noise * solver.init_noise_sigma
    for t in solver.timesteps:
        predicted = predict(solver.scale_model_input(x, t), t)[:, : x.shape[1]]
        drawn = {"variance_noise": next(added).to(x.device)} if solver.config.get("algorithm_type") == _SDE else {}
        x = solver.step(predicted, t, x, **drawn).prev_sample
    return x


SOLVERS: Mapping[str, Solver] = {
    _SDE: partial(_dpm, {"algorithm_type": _SDE, "solver_order": 2}),
    "dpmsolver++": partial(_dpm, {"solver_order": 2}),
    "unipc": _unipc,
    "ddim": _ddim,
    "ddpm": _ancestral,
}
"""Name to solver: SDE-DPM-Solver++ and DPM-Solver++ (Lu et al. 2022), UniPC (Zhao et al. 2023), DDIM (Song et al.
2021), ancestral DDPM (Ho et al. 2020)."""
