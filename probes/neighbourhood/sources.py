"""Where representations to draw from come from: real images, the gap between neighbours, or a Gaussian.

Each is made for an image of the gallery, and drawn from the noise of that image, so that the kinds can be compared
picture by picture:

=============  ========================================================================================================
``images``     ``h_i``, of the image itself
``between``    ``(1 - w) h_i + w h_j``, where j is one of the k nearest of i, each as likely, and w is uniform in [0, 1)
``gaussian``   ``m + S z``, with mean and covariance ``S S'`` of the gallery and z standard normal
=============  ========================================================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

SOURCES = ("images", "between", "gaussian")
"""Every kind of representation to draw from."""

_BETWEEN, _GAUSSIAN = 0, 1  # streams of random numbers


def between(
    gallery: torch.Tensor, count: int, *, neighbours: int, seed: int, images: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """A representation between each of the first of the gallery and one of its nearest neighbours.

    Args:
        gallery: ``[M, D]``, M > ``neighbours``.
        count: N.
        neighbours: k.
        seed: Seed of the choice.
        images: Numbers of the first images, ``[N]``: the choice is a function of the seed and the number.

    Returns:
        ``[N, D]``, and the rows of the neighbours, ``[N]``.
    """
    first = gallery[:count]
    distances = torch.cdist(first.double(), gallery.double())
    distances.fill_diagonal_(torch.inf)
    nearest = distances.topk(neighbours, largest=False).indices
    generators = [np.random.default_rng([seed, _BETWEEN, image]) for image in images]
    chosen = nearest[torch.arange(count), torch.tensor([int(g.integers(neighbours)) for g in generators])]
    weight = torch.tensor([g.random() for g in generators], dtype=torch.float32)[:, None]
    return torch.lerp(first, gallery[chosen], weight), chosen


def gaussian(gallery: torch.Tensor, *, seed: int, images: Sequence[int]) -> torch.Tensor:
    """A representation of the Gaussian with mean and covariance of the gallery ``[M, D]``, for each number, ``[N, D]``.

    The gallery itself, centred and over the root of M - 1, is a root of the covariance: no decomposition is needed, and
    fewer images than dimensions do not matter.
    """
    centre = gallery.double().mean(0)
    root = (gallery.double() - centre) / (len(gallery) - 1) ** 0.5
    z = np.stack([np.random.default_rng([seed, _GAUSSIAN, image]).standard_normal(len(gallery)) for image in images])
    return (centre + torch.from_numpy(z) @ root).float()
