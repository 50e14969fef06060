"""Samples that are steered towards the representation they are drawn from.

An RCDM draws without guidance: what a sample lacks, either ``h`` lacks or the decoder missed. Guidance tells the two
apart. At every step the network's estimate of the clean image is encoded, and moved down the gradient, with respect to
the noisy image, of the squared distance of its representation from ``h`` (Chung et al. 2023, equation 16). The gradient
passes through the network too, which knows what images look like: through the encoder alone it finds a perturbation
that nobody sees. What guided samples show of an image and others do not was in ``h``, and the decoder missed it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from rcdm_core.rcdm.diffusion import clean_of, prediction_of

if TYPE_CHECKING:
    from diffusers import DDPMScheduler

    from rcdm_core.encoders.encoder import Encoder
    from rcdm_core.rcdm.solvers import Predict

Guide = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""How far images ``[N, 3, S, S]`` in [0, 1] are from representations ``[N, D]``: squared, ``[N]``."""

FARTHEST = 0.3
"""Root mean square, in the scale of [-1, 1], of how far an estimate is moved at most: beyond, no slope is to be
believed."""


def distance_to_h(encoder: Encoder, level: str) -> Guide:
    """The squared distance of an encoder's representation at a level; gradients have to pass through it."""
    return lambda images, h: (encoder(images)[level].float() - h).square().sum(1)


def guided(
    predict: Predict, guide: Guide, schedule: DDPMScheduler, h: torch.Tensor, x: torch.Tensor, t: torch.Tensor
) -> torch.Tensor:
    """What the network predicts of noisy images ``x`` at a timestep, so that the estimate comes nearer to ``h``.

    A step is as long as would bring the distance to 0 if it fell evenly along its gradient, and `FARTHEST` at most.
    """
    kind, signal = schedule.config["prediction_type"], schedule.alphas_cumprod[t].to(x)
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        output = predict(x, t)
        clean = clean_of(kind, output[:, : x.shape[1]], x, signal).clamp(-1, 1)
        apart = guide((clean + 1) / 2, h)
        (slope,) = torch.autograd.grad(apart.sum(), x)
    steepness = slope.square().sum((1, 2, 3), keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
    step = 2 * apart.detach()[:, None, None, None] / steepness * slope
    length = step.square().mean((1, 2, 3), keepdim=True).sqrt()
    step = step * (FARTHEST / length.clamp(min=FARTHEST))
    moved = (clean.detach() - step).clamp(-1, 1)
    return torch.cat([prediction_of(kind, moved, x.detach(), signal), output[:, x.shape[1] :].detach()], 1)
