"""The forward process and the objective.

    x_t = a_t x_0 + s_t eps,    a_t^2 + s_t^2 = 1,

with the cosine schedule of Nichol and Dhariwal (2021) in 1,000 steps, and v-prediction (Salimans and Ho 2022): the
network learns ``v = a_t eps - s_t x_0``, whose squared error weighs all noise levels alike, the highest too, at which
a representation decides colour and place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler

if TYPE_CHECKING:
    from rcdm_core.rcdm.network import Denoiser


def build_schedule() -> DDPMScheduler:
    """The schedule on which the embedded RCDM is trained; solvers take their settings from its ``config``."""
    return DDPMScheduler(
        num_train_timesteps=1000,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        clip_sample=True,
    )


def v_prediction_loss(
    denoiser: Denoiser, images: torch.Tensor, embedding: torch.Tensor, schedule: DDPMScheduler
) -> torch.Tensor:
    """Mean squared error in ``v`` at random timesteps, of density proportional to ``sqrt(t)``.

    Noisy timesteps come oftener than at uniform draws: at the clean end neither is there much left to learn, nor does
    the representation matter, while most of the gradient's variance comes from there.

    Args:
        denoiser: The network.
        images: Clean images ``[N, 3, S, S]`` in [0, 1].
        embedding: ``[N, E]``.
        schedule: With ``prediction_type="v_prediction"``.

    Returns:
        Scalar.
    """
    clean = images * 2 - 1
    noise = torch.randn_like(clean)
    # Stratified: one timestep in each of N equal intervals, shuffled. Of less variance than N free draws.
    n, steps = len(clean), schedule.config["num_train_timesteps"]
    spread = (torch.randperm(n, device=clean.device) + torch.rand(n, device=clean.device)) / n
    t = (spread ** (2 / 3) * steps).long().clamp(max=steps - 1)
    predicted = denoiser(schedule.add_noise(clean, noise, t), t, embedding)
    return F.mse_loss(predicted.float(), schedule.get_velocity(clean, noise, t))
