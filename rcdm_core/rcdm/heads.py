"""From a representation to the embedding of the denoiser: whitening, then a linear map.

*Whitening*, with the moments of the training images,

    w = c diag(s + mean(s))^(-1/2) V^T (h - mean),    V diag(s) V^T = cov(h),    E |w|^2 = dim(h),

changes nothing that a linear map can express, but lets gradient descent find directions of smaller variance, in which
encoders keep colour and position, nearly as fast as those of large variance. The floor, mean(s), keeps the hundreds of
directions that hold next to nothing from drowning the rest.

*The first guess* of the linear map is the ridge regression from ``w`` to the standardised principal components of the
images: training begins with a blurred picture of the image in the embedding, as far as a linear map can read it off
``h``. What is not in ``h`` begins at zero. Every head guesses the same components, so that one denoiser learns once
what they mean, for all encoders and levels. They are turned at random into all dimensions of the embedding, because
Adam, which moves every weight alike, learns from many small inputs faster than from a few large ones. Where an encoder
was trained further, its head guesses instead what the head before it made of the same images, so that the denoiser
reads on what it has learned to read.

*A basis* is the head of the images themselves: the same regression from thumbnails to what a trained head gives. Every
RCDM keeps one, so that a new encoder can begin where none that the denoiser knows is at hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

THUMBNAIL = 16  # side of the images whose principal components are guessed: colours, places and shapes, no texture
GAIN = 4.0  # of the components in the embedding: as large as the sinusoidal part that they are added to
MOMENTS = 8192  # images from which heads take their moments and first guess
PENALTIES = tuple(10.0**e for e in range(-5, 2))  # of the ridge regression, times the mean variance of w


class RepresentationHead(nn.Module):
    """Whitening, then a linear map into the embedding: ``[N, D]`` to ``[N, E]``."""

    mean: torch.Tensor
    whitening: torch.Tensor

    def __init__(self, dimension: int, embedding: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dimension))
        # Not `torch.eye`, which on the device "meta" imports PyTorch's compiler: that takes three seconds.
        self.register_buffer("whitening", torch.zeros(dimension, dimension).fill_diagonal_(1))
        self.linear = nn.Linear(dimension, embedding)

    def whiten(self, h: torch.Tensor) -> torch.Tensor:
        """``[N, D]`` to ``w`` of the same shape, float32."""
        return (h.float() - self.mean) @ self.whitening

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """Contribution to ``emb``; in float32, because whitening amplifies small differences."""
        with torch.autocast(h.device.type, enabled=False):
            return self.linear(self.whiten(h))

    @torch.no_grad()
    def begin(self, h: torch.Tensor, targets: torch.Tensor) -> None:
        """Set the whitening from ``h`` ``[N, D]``, and the linear map to a first guess of targets ``[N, E]``."""
        h = h.to(targets.device)
        self.fit(h)
        self.guess(h, targets)

    def fit(self, h: torch.Tensor) -> None:
        """Set the whitening from representations ``[N, D]`` that vary."""
        h = h.double()
        centred = h - h.mean(0)
        variances, directions = torch.linalg.eigh(centred.T @ centred / len(h))
        variances = variances.clamp(min=0)
        shrunk = variances / (variances + variances.mean())
        scale = (variances + variances.mean()).rsqrt() * shrunk.mean().rsqrt()
        self.mean.copy_(h.mean(0))
        self.whitening.copy_(directions * scale)

    @torch.no_grad()
    def guess(self, h: torch.Tensor, targets: torch.Tensor) -> None:
        """Set the linear map to the ridge regression from ``h`` ``[N, D]`` to targets ``[N, E]`` in the embedding.

        The penalty is chosen on the last fifth of the rows.
        """
        centre = targets.mean(0)
        w, targets, kept = self.whiten(h), targets - centre, len(h) - len(h) // 5
        weights = _ridge(w[:kept], targets[:kept])
        errors = [(w[kept:] @ weights(penalty) - targets[kept:]).square().mean() for penalty in PENALTIES]
        best = PENALTIES[int(torch.stack(errors).argmin())]
        self.linear.weight.copy_(_ridge(w, targets)(best).T)
        self.linear.bias.copy_(centre)


def embedded_images(images: torch.Tensor, embedding: int) -> torch.Tensor:
    """What heads first guess: principal components of images ``[N, 3, S, S]``, turned and scaled, ``[N, E]``."""
    small = thumbnails(images).flatten(1)
    left, deviations, _ = torch.linalg.svd(small - small.mean(0), full_matrices=False)
    standardised = (left * (deviations > 1e-4 * deviations[0]))[:, :embedding] * len(images) ** 0.5
    turn = nn.init.orthogonal_(torch.empty(embedding, embedding), generator=torch.Generator().manual_seed(0))
    return GAIN * standardised @ turn.to(images.device)[: standardised.shape[1]]


@dataclass(frozen=True, eq=False)
class Basis:
    """From images to the embedding, linearly.

    Attributes:
        weight: Of flattened thumbnails, ``[E, P]``.
        bias: ``[E]``.
    """

    weight: torch.Tensor
    bias: torch.Tensor

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Embeddings ``[N, E]`` of images ``[N, 3, S, S]`` in [0, 1]."""
        side = math.isqrt(self.weight.shape[1] // images.shape[1])
        small = F.interpolate(images, size=side, mode="area")
        return F.linear(small.flatten(1), self.weight.to(images.device), self.bias.to(images.device))


def fitted_basis(images: torch.Tensor, embeddings: torch.Tensor) -> Basis:
    """The basis that gives of images ``[N, 3, S, S]`` what heads came to give, ``[N, E]``, as nearly as it can."""
    small = thumbnails(images).flatten(1)
    head = RepresentationHead(small.shape[1], embeddings.shape[1]).to(images.device)
    head.begin(small, embeddings)
    linear = folded(head)
    return Basis(linear.weight.detach(), linear.bias.detach())


@torch.no_grad()
def folded(head: RepresentationHead) -> nn.Linear:
    """Whitening and linear map in one."""
    linear = nn.Linear(head.linear.in_features, head.linear.out_features, device=head.mean.device)
    linear.weight.copy_(head.linear.weight @ head.whitening.T)
    linear.bias.copy_(head.linear.bias - linear.weight @ head.mean)
    return linear


def thumbnails(images: torch.Tensor) -> torch.Tensor:
    """Images ``[N, 3, S, S]`` at no more than `THUMBNAIL` pixels a side: all that bases look at."""
    return F.interpolate(images, size=min(THUMBNAIL, images.shape[-1]), mode="area")


def _ridge(w: torch.Tensor, y: torch.Tensor) -> Callable[[float], torch.Tensor]:
    """Weights ``[D, E]`` from centred ``w`` ``[n, D]`` to ``y`` ``[n, E]``, for any penalty."""
    gram, moments = w.T @ w / len(w), w.T @ y / len(w)

    def weights(penalty: float) -> torch.Tensor:
        ridge = penalty * gram.diagonal().mean() * torch.eye(len(gram), device=w.device)
        return torch.linalg.solve(gram + ridge, moments)

    return weights
