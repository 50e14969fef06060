"""Pairs of images: the ends of paths.

No image is in two pairs, so that pairs are independent and can be what a bootstrap draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from rcdm_core.data.given import GivenImages
    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.zoo.judge import Judge


@dataclass(frozen=True, eq=False)
class Pairs:
    """Both ends of P paths.

    Attributes:
        first: Images at the first end, ``[P, 3, S, S]`` in [0, 1].
        second: Images at the second end, ``[P, 3, S, S]``.
        numbers: Position of each image in the data set, ``[P, 2]``; -1 for given ones. That of the first image names
            the pair and is the key of its noise.
        factors: Known factors of the first and of the second images, P rows each; None where nothing is known.
    """

    first: torch.Tensor
    second: torch.Tensor
    numbers: np.ndarray
    factors: tuple[pd.DataFrame, pd.DataFrame] | None

    def __len__(self) -> int:
        return len(self.numbers)


def draw_pairs(images: ImageSet, *, count: int, seed: int) -> Pairs:
    """Random pairs of a data set; as many as it has, if it has fewer than ``count``."""
    count = min(count, len(images) // 2)
    numbers = np.random.default_rng(seed).permutation(len(images))[: 2 * count].reshape(2, count)
    first, second = (images.factors(row) for row in numbers)
    known = None if first is None or second is None else (first, second)
    return Pairs(images.images(numbers[0]), images.images(numbers[1]), numbers.T, known)


def given_pair(given: GivenImages, judge: Judge | None) -> Pairs:
    """Two given images as one pair. Where their factors are not known, the judge reads them off the images."""
    factors = judge.read(given.images) if judge is not None and given.factors is None else given.factors
    known = None if factors is None else (factors.iloc[:1], factors.iloc[1:])
    return Pairs(given.images[:1], given.images[1:], np.array([[-1, -1]]), known)
