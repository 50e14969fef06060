"""The forward process and the objectives.

    x_t = a_t x_0 + s_t eps,    a_t^2 + s_t^2 = 1,    in 1,000 steps.

*Velocity*: the network learns ``v = a_t eps - s_t x_0`` (Salimans and Ho 2022) on the cosine schedule of Nichol and
Dhariwal (2021). Its squared error weighs all noise levels alike, the highest too, at which a representation decides
colour and place.

*Hybrid*, as published (Bordes et al. 2022; Nichol and Dhariwal 2021, equation 16): the network learns ``eps`` and the
variances of the reverse steps on a linear schedule, by ``|eps - eps'|^2 + L_vb``. The variational bound ``L_vb``, in
bits a dimension, teaches the variances alone: the mean in it is held fixed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler

from rcdm_core.json_files import TEXT, TRUTH, Kind, number, one_of, or_none, several, whole, wrong

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rcdm_core.rcdm.draws import Draws
    from rcdm_core.rcdm.network import Denoiser, NetworkSettings
    from rcdm_core.rcdm.reverse import ReverseProcess


def build_schedule() -> DDPMScheduler:
    """The schedule on which the embedded RCDM is trained; solvers take their settings from its ``config``."""
    return DDPMScheduler(
        num_train_timesteps=1000,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        clip_sample=True,
        timestep_spacing="trailing",
    )


def published_schedule(*, steps: int = 1000, noise: str = "linear") -> DDPMScheduler:
    """The schedule of the published checkpoints.

    Args:
        steps: Timesteps; a linear schedule of fewer takes larger ones.
        noise: ``"linear"``, or ``"squaredcos_cap_v2"`` for the cosine schedule.
    """
    return DDPMScheduler(
        num_train_timesteps=steps,
        beta_schedule=noise,
        beta_start=0.1 / steps,
        beta_end=20 / steps,
        prediction_type="epsilon",
        variance_type="learned_range",
        clip_sample=True,
        # The same clipping to [-1, 1], in the words that all solvers of diffusers know.
        thresholding=True,
        sample_max_value=1.0,
        timestep_spacing="linspace",
    )


SCHEDULES: Mapping[str, Kind] = {
    "_class_name": one_of("DDPMScheduler"),
    "_diffusers_version": TEXT,
    "num_train_timesteps": whole(2, 10_000),
    "beta_start": number(1e-9, 1),
    "beta_end": number(1e-9, 1),
    "beta_schedule": one_of("linear", "scaled_linear", "squaredcos_cap_v2"),
    "trained_betas": or_none(several(number(1e-9, 0.9999), 10_000)),
    "variance_type": one_of("fixed_small", "learned_range"),
    "clip_sample": TRUTH,
    "clip_sample_range": number(1, 1),
    "prediction_type": one_of("epsilon", "v_prediction"),
    "thresholding": TRUTH,
    "dynamic_thresholding_ratio": number(0.5, 1),
    "sample_max_value": number(1, 1),
    "timestep_spacing": one_of("leading", "linspace", "trailing"),
    "steps_offset": whole(0, 0),
    "rescale_betas_zero_snr": one_of(False),
}
"""What a schedule may say: what the solvers and `ReverseProcess` both follow, in the words of diffusers."""

_SAID = (
    *("_class_name", "num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "variance_type", "clip_sample"),
    *("prediction_type", "thresholding", "timestep_spacing"),
)


def schedule_fault(plain: Mapping[str, Any], *, learned_variances: bool) -> str:
    """Why plain JSON is no schedule of a network, in words; empty where it is one.

    Args:
        plain: As `diffusers.DDPMScheduler` writes it. What decides the noise has to be said: diffusers would put its
            own schedule in the place of one that is not.
        learned_variances: Whether the network gives variances.
    """
    if fault := wrong(plain, SCHEDULES, required=_SAID):
        return fault
    betas = plain.get("trained_betas")
    if betas is not None and len(betas) != plain["num_train_timesteps"]:
        return f"trained_betas has {len(betas)} values for {plain['num_train_timesteps']} timesteps"
    if plain["beta_start"] > plain["beta_end"]:
        return "beta_start is larger than beta_end"
    if learned_variances != (plain["variance_type"] == "learned_range"):
        return f"variance_type is {plain['variance_type']}, where learned_variances is {learned_variances}"
    return ""


def schedule_for(settings: NetworkSettings) -> DDPMScheduler:
    """The schedule on which a network of this shape is trained."""
    return published_schedule() if settings.learned_variances else build_schedule()


def v_prediction_loss(
    denoiser: Denoiser, images: torch.Tensor, embedding: torch.Tensor, schedule: DDPMScheduler, draws: Draws
) -> torch.Tensor:
    """Mean squared error in ``v`` at timesteps of density proportional to ``sqrt(t)``.

    Noisy timesteps come oftener than at uniform draws: at the clean end neither is there much left to learn, nor does
    the representation matter, while most of the gradient's variance comes from there.

    Args:
        denoiser: The network.
        images: Clean images ``[N, 3, S, S]`` in [0, 1].
        embedding: ``[N, E]``.
        schedule: With ``prediction_type="v_prediction"``.
        draws: Noise and timesteps.

    Returns:
        Scalar.
    """
    clean = images * 2 - 1
    steps = schedule.config["num_train_timesteps"]
    t = (draws.quantiles ** (2 / 3) * steps).long().clamp(max=steps - 1)
    predicted = denoiser(schedule.add_noise(clean, draws.noise, t), t, embedding)
    return F.mse_loss(predicted.float(), schedule.get_velocity(clean, draws.noise, t))


def hybrid_loss(
    denoiser: Denoiser, images: torch.Tensor, embedding: torch.Tensor, process: ReverseProcess, draws: Draws
) -> torch.Tensor:
    """The published objective at timesteps of uniform density.

    Args:
        denoiser: A network with learned variances.
        images: Clean images ``[N, 3, S, S]`` in [0, 1].
        embedding: ``[N, E]``.
        process: All steps of a schedule with ``prediction_type="epsilon"``.
        draws: Noise and timesteps.

    Returns:
        Scalar.
    """
    steps = len(process.timesteps)
    i = (draws.quantiles * steps).long().clamp(max=steps - 1)
    squared, bound = hybrid_terms(denoiser, images, embedding, process, i, draws.noise)
    return (squared + bound).mean()


def hybrid_terms(
    denoiser: Denoiser,
    images: torch.Tensor,
    embedding: torch.Tensor,
    process: ReverseProcess,
    i: torch.Tensor,
    noise: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The two terms of `hybrid_loss` for each image.

    Args:
        denoiser: A network with learned variances.
        images: Clean images ``[N, 3, S, S]`` in [0, 1].
        embedding: ``[N, E]``.
        process: The steps.
        i: Number of the step of each image, ``[N]``.
        noise: ``[N, 3, S, S]``.

    Returns:
        Squared error in the noise and bound in bits, means over pixels and channels, ``[N]`` each.
    """
    clean = images * 2 - 1
    noisy = process.diffuse(clean, noise, i)
    output = denoiser(noisy, process.timesteps.to(i.device)[i], embedding).float()
    predicted, fraction = output.chunk(2, 1)
    true_mean, true_log_variance = process.of_data(clean, noisy, i)
    mean, log_variance = process.of_network(torch.cat([predicted.detach(), fraction], 1), noisy, i, clip=False)
    divergence = _divergence(true_mean, true_log_variance, mean, log_variance)
    surprise = -_log_likelihood(clean, mean, log_variance / 2)
    bound = torch.where((i == 0)[:, None, None, None], surprise, divergence) / math.log(2)
    return (noise - predicted).square().flatten(1).mean(1), bound.flatten(1).mean(1)


def _divergence(
    mean: torch.Tensor, log_variance: torch.Tensor, other: torch.Tensor, other_log_variance: torch.Tensor
) -> torch.Tensor:
    """Kullback-Leibler divergence of one Gaussian from another, elementwise, in nats."""
    spread = (log_variance - other_log_variance).exp() + (mean - other).square() * (-other_log_variance).exp()
    return 0.5 * (other_log_variance - log_variance + spread - 1)


def _log_likelihood(images: torch.Tensor, mean: torch.Tensor, log_deviation: torch.Tensor) -> torch.Tensor:
    """Log probability of 8-bit values in the scale of [-1, 1] under a Gaussian, elementwise, in nats."""
    centred, scale = images - mean, (-log_deviation).exp()
    below, above = _normal_cdf(scale * (centred - 1 / 255)), _normal_cdf(scale * (centred + 1 / 255))
    inside = torch.where(images > 0.999, 1 - below, above - below)
    return torch.where(images < -0.999, above, inside).clamp(min=1e-12).log()


def _normal_cdf(x: torch.Tensor) -> torch.Tensor:
    """In the approximation of the published objective."""
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
