"""What an RCDM is trained on: the random part of its loss, the two objectives, and the learner.

All that is random belongs to a position in a batch: noise and timestep are functions of ``(seed, step, position)``
alone, so that a batch has the same loss however it is cut and whoever computes a part of it.

*Velocity*: the network learns ``v = a_t eps - s_t x_0`` (Salimans and Ho 2022) on the cosine schedule. Its squared
error weighs all noise levels alike, the highest too, at which a representation decides colour and place.

*Hybrid*, as published (Bordes et al. 2022; Nichol and Dhariwal 2021, equation 16): the network learns ``eps`` and the
variances of the reverse steps on a linear schedule, by ``|eps - eps'|^2 + L_vb``. The variational bound ``L_vb``, in
bits a dimension, teaches the variances alone: the mean in it is held fixed.

*Multistep consistency* (Heek, Hoogeboom and Salimans 2024) teaches a trained network to draw in few calls: see
`Distillation`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from rcdm_core.rcdm.diffusion import ReverseProcess, clean_of
from rcdm_core.training import Learner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diffusers import DDPMScheduler

    from rcdm_core.rcdm.network import Denoiser

Batch = tuple[torch.Tensor, "Sequence[tuple[str, torch.Tensor]]", "Draws"]
"""Images ``[N, 3, S, S]`` in [0, 1], their representations grouped as in `Denoiser.embed`, noise and timesteps."""


@dataclass(frozen=True, eq=False)
class Draws:
    """The random part of the loss of N images.

    Attributes:
        noise: Standard normal, ``[N, 3, S, S]``.
        quantiles: In [0, 1), ``[N]``: where each timestep lies in the distribution that an objective draws them from.
    """

    noise: torch.Tensor
    quantiles: torch.Tensor

    def of(self, rows: np.ndarray) -> Draws:
        """Those of some of the images, in another order."""
        chosen = torch.from_numpy(rows)
        return Draws(self.noise[chosen], self.quantiles[chosen])

    def to(self, device: torch.device | str) -> Draws:
        """The same on another device."""
        return Draws(self.noise.to(device), self.quantiles.to(device))


def random_draws(step: int, positions: slice, *, batch_size: int, image_size: int, seed: int) -> Draws:
    """The draws of some positions of a step's batch of ``batch_size`` images of ``image_size`` pixels a side.

    Quantiles are stratified over the whole batch: one in each of ``batch_size`` equal intervals, in random order. A
    mean over them varies less than over free draws.
    """
    common = np.random.default_rng([seed, step, batch_size])  # no position has this number
    quantiles = (common.permutation(batch_size) + common.random(batch_size)) / batch_size
    shape = (3, image_size, image_size)
    rows = [
        np.random.default_rng([seed, step, position]).standard_normal(shape, np.float32)
        for position in range(batch_size)[positions]
    ]
    return Draws(torch.from_numpy(np.stack(rows)), torch.from_numpy(quantiles[positions].astype(np.float32)))


class RCDMLearner(Learner):
    """Denoiser and objective: the forward pass is the loss.

    Args:
        denoiser: The network to train; the hybrid objective where it learns variances, else velocity.
        schedule: The schedule to train it on, as of `rcdm_core.rcdm.diffusion.schedule_for`.
    """

    def __init__(self, denoiser: Denoiser, schedule: DDPMScheduler) -> None:
        super().__init__()
        self.denoiser, self.schedule = denoiser, schedule
        self.process = ReverseProcess(schedule, schedule.config["num_train_timesteps"])

    @property
    def constant(self) -> frozenset[str]:
        """What is frozen: the U-Net, where heads alone are trained."""
        return frozenset(name for name, parameter in self.named_parameters() if not parameter.requires_grad)

    def forward(self, batch: Batch) -> torch.Tensor:
        """Mean loss of the images of a batch."""
        images, groups, draws = batch
        embedding = self.denoiser.embed(groups)
        if not self.denoiser.settings.learned_variances:
            return v_prediction_loss(self.denoiser, images, embedding, self.schedule, draws)
        steps = len(self.process.timesteps)
        i = (draws.quantiles * steps).long().clamp(max=steps - 1)
        squared, bound = hybrid_terms(self.denoiser, images, embedding, self.process, i, draws.noise)
        return (squared + bound).mean()


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
    """
    clean, t = images * 2 - 1, _noisy_timesteps(schedule, draws)
    predicted = denoiser(schedule.add_noise(clean, draws.noise, t), t, embedding)
    return F.mse_loss(predicted.float(), schedule.get_velocity(clean, draws.noise, t))


def _noisy_timesteps(schedule: DDPMScheduler, draws: Draws) -> torch.Tensor:
    """Timesteps of density proportional to ``sqrt(t)``, ``[N]``."""
    steps = schedule.config["num_train_timesteps"]
    return (draws.quantiles ** (2 / 3) * steps).long().clamp(max=steps - 1)


class Distillation(RCDMLearner):
    """A student of a trained network, which comes to draw in as many steps of DDIM as there are ``calls``.

    The timesteps of those steps cut the way from noise to image into stretches. From every point of a stretch the
    student is to give the image by which a single step leads to where the teacher's many small ones end. It is taught
    what it gives itself a small step further on, where the teacher has led it (Heek et al. 2024, algorithm 1).

    Args:
        denoiser: The student; it begins as the teacher.
        teacher: The trained network, with the heads of the student at least, where the student will be. It stays.
        schedule: That of the teacher, by which the student's steps are spaced.
        calls: Steps of the student.
        small: Of the teacher's steps, how many there are from noise to image.
    """

    ends: torch.Tensor
    signal: torch.Tensor

    def __init__(
        self, denoiser: Denoiser, teacher: Denoiser, schedule: DDPMScheduler, *, calls: int, small: int = 64
    ) -> None:
        super().__init__(denoiser, schedule)
        self._teacher = (teacher.eval().requires_grad_(False),)  # no module of the learner: neither trained nor kept
        timesteps = torch.arange(schedule.config["num_train_timesteps"])
        stops = ReverseProcess(schedule, calls).timesteps
        before = torch.cat([torch.tensor([-1]), stops])  # -1: the image itself
        self.register_buffer("ends", before[torch.searchsorted(stops, timesteps)], persistent=False)
        signal = torch.cumprod(1 - schedule.betas.double(), 0)
        self.register_buffer("signal", torch.cat([signal, torch.ones(1)]).float(), persistent=False)  # at -1, all
        self.stride = max(1, len(timesteps) // small)

    def forward(self, batch: Batch) -> torch.Tensor:
        """Mean squared error of the images of a batch, in the velocity: at high noise, too, it has its weight."""
        images, groups, draws = batch
        t = _noisy_timesteps(self.schedule, draws)
        noisy = self.schedule.add_noise(images * 2 - 1, draws.noise, t)
        with torch.no_grad():
            target = self.target(noisy, t, groups)
        torch.clear_autocast_cache()  # of weights that were cast without gradients
        apart = self._seen(self.denoiser, noisy, t, groups) - target
        return (apart / (1 - self._signal(t)).sqrt()).square().mean()

    def target(self, noisy: torch.Tensor, t: torch.Tensor, groups: Sequence[tuple[str, torch.Tensor]]) -> torch.Tensor:
        """The clean images that the student is taught to see in noisy ones ``[N, 3, S, S]`` at timesteps ``[N]``.

        What the teacher sees at t and the student a small step further on, weighted by the parts of the way in
        ``a / s`` that the two steps have: then one step of DDIM to the end of the stretch leads where the two do.
        """
        end = self.ends[t]
        further = torch.maximum(t - self.stride, end)
        clean = self._clipped(self._seen(self._teacher[0], noisy, t, groups))
        there = self._step(clean, noisy, t, further)
        own = self._clipped(self._seen(self.denoiser, there, further.clamp(min=0), groups))
        before, then, last = ((self._signal(at) / (1 - self._signal(at))).sqrt() for at in (t, further, end))
        share = torch.where((further > end)[:, None, None, None], (then - before) / (last - before), 1.0)
        return own + share * (clean - own)

    def _seen(
        self, network: Denoiser, noisy: torch.Tensor, t: torch.Tensor, groups: Sequence[tuple[str, torch.Tensor]]
    ) -> torch.Tensor:
        """The clean image that a network sees in a noisy one."""
        predicted = network(noisy, t, network.embed(groups))[:, : noisy.shape[1]].float()
        return clean_of(self.schedule.config["prediction_type"], predicted, noisy, self._signal(t))

    def _clipped(self, clean: torch.Tensor) -> torch.Tensor:
        return clean.clamp(-1, 1) if self.schedule.config["clip_sample"] else clean

    def _step(self, clean: torch.Tensor, noisy: torch.Tensor, t: torch.Tensor, to: torch.Tensor) -> torch.Tensor:
        """A step of DDIM (Song et al. 2021) from timesteps ``[N]`` to others, -1 for the image."""
        before, after = self._signal(t), self._signal(to)
        noise = (noisy - before.sqrt() * clean) / (1 - before).sqrt()
        return after.sqrt() * clean + (1 - after).sqrt() * noise

    def _signal(self, t: torch.Tensor) -> torch.Tensor:
        return self.signal[t][:, None, None, None]


def hybrid_terms(
    denoiser: Denoiser,
    images: torch.Tensor,
    embedding: torch.Tensor,
    process: ReverseProcess,
    i: torch.Tensor,
    noise: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The two terms of the published objective for each image.

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
