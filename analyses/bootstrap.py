"""Percentile bootstrap over images (Efron 1979): how far a number would move had other images been drawn.

Images are the sampling unit: all readings of an image (doses, samples, both levels) are drawn together. The same
resamples are used for every number over equally many images, so that intervals side by side in a table, and the two
sides of a pair, differ by what was measured and not by the draw.

What an interval does not cover: the training of the encoder, of the readouts (scores are out-of-fold and then fixed)
and of the decoder, and the scale of relative distances, which is a constant of the level.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from analyses.statistics import evaluate

if TYPE_CHECKING:
    from analyses.statistics import Array, Statistic

RESAMPLES = 2000
LEVEL = 0.95

_BLOCK = 2**18  # counts in one piece of work: what a statistic makes of them fits the cache


@dataclass(frozen=True)
class Estimate:
    """A number over ``n`` images with its interval; fewer than two images have none (NaN)."""

    value: float
    low: float
    high: float
    n: int

    def columns(self, name: str) -> dict[str, float]:
        """As the columns of a table: ``name``, ``name_low``, ``name_high``."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"

    def signed(self) -> str:
        """As text, with signs: for a difference."""
        return f"{self.value:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"


def interval(
    values_by_image: Array,
    statistic: Statistic,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Estimate:
    """A statistic with its percentile bootstrap interval.

    Args:
        values_by_image: Finite numbers, ``[N, ...]``, first axis the image.
        statistic: One of `analyses.statistics`, or any function of values and counts like them.
        resamples: Number of bootstrap resamples.
        level: Coverage of the interval, in (0, 1).
        seed: Seed of the resamples.

    Returns:
        The statistic on the images at hand, and the quantiles ``(1 -+ level) / 2`` of its resampled values.
    """
    values = np.asarray(values_by_image, dtype=np.float64)
    n = len(values)
    if n == 0:
        return Estimate(np.nan, np.nan, np.nan, 0)
    value = evaluate(statistic, values)
    if n == 1 or np.isnan(value):
        return Estimate(value, np.nan, np.nan, n)
    counts = draws(n, resamples, seed)
    rows = max(1, _BLOCK // n)
    resampled = np.concatenate([statistic(values, counts[start : start + rows]) for start in range(0, resamples, rows)])
    low, high = np.nanquantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(low), float(high), n)


@lru_cache(maxsize=6)
def draws(n: int, resamples: int, seed: int) -> Array:
    """How often each of ``n`` images is drawn in each resample of ``n`` with replacement: int32 ``[resamples, n]``."""
    rng = np.random.default_rng(seed)
    counts = np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(resamples)]).astype(np.int32)
    counts.setflags(write=False)  # shared by every caller
    return counts
