"""What is random in the loss of an RCDM, apart from the loss, so that it belongs to a position in a batch.

Noise and timestep of a position are functions of ``(seed, step, position)`` alone: a batch has the same loss however it
is cut and whoever computes a part of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch


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
    """The draws of some positions of a step's batch.

    Quantiles are stratified over the whole batch: one in each of ``batch_size`` equal intervals, in random order. A
    mean over them varies less than over free draws.

    Args:
        step: Number of the step.
        positions: Which positions.
        batch_size: Positions of the whole batch.
        image_size: Side ``S`` of the images in pixels.
        seed: Seed of everything.
    """
    common = np.random.default_rng([seed, step, batch_size])  # no position has this number
    quantiles = (common.permutation(batch_size) + common.random(batch_size)) / batch_size
    shape = (3, image_size, image_size)
    rows = [
        np.random.default_rng([seed, step, position]).standard_normal(shape, np.float32)
        for position in range(batch_size)[positions]
    ]
    return Draws(torch.from_numpy(np.stack(rows)), torch.from_numpy(quantiles[positions].astype(np.float32)))
