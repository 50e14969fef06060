"""Whether places among equals are uniform, as they are where samples and the truth come from one distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from analyses.statistics import Array


def uniformity(places: Array, among: int, *, seed: int, draws: int = 4999) -> float:
    """The p-value of Pearson's chi-squared that places ``[N]``, whole numbers from 0 to ``among``, are uniform.

    By simulation: there may be few images for so many places. NaN without any.
    """
    if len(places) == 0:
        return np.nan
    expected = np.full(among + 1, len(places) / (among + 1))
    null = np.random.default_rng(seed).multinomial(len(places), expected / len(places), size=draws)
    counts = np.bincount(places.astype(int), minlength=among + 1)
    far, reached = (np.square(found - expected).sum(-1) for found in (null, counts))
    return float((1 + (far >= reached - 1e-9).sum()) / (1 + draws))
