"""Random numbers that belong to an image: a function of the seed, of what draws, and of the number of the image.

An image so gets the same ones in every batch, and at every dose of a transformation.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class ImageDraws:
    """The random numbers of a batch of images, a row for each image.

    Args:
        seed: Seed of the run.
        stream: Name of what draws; streams are independent.
        numbers: Number of each image in its data set.
    """

    seed: int
    stream: str
    numbers: tuple[int, ...]

    def uniform(self, *shape: int) -> torch.Tensor:
        """Uniform in [0, 1), ``[N, *shape]`` float32."""
        return self._stack(lambda generator: generator.random(shape, dtype=np.float32))

    def normal(self, *shape: int) -> torch.Tensor:
        """Standard normal, ``[N, *shape]`` float32."""
        return self._stack(lambda generator: generator.standard_normal(shape, dtype=np.float32))

    def _stack(self, draw: Callable[[np.random.Generator], np.ndarray]) -> torch.Tensor:
        stream = zlib.crc32(self.stream.encode())
        rows = [draw(np.random.default_rng([self.seed, stream, number])) for number in self.numbers]
        return torch.from_numpy(np.stack(rows))
