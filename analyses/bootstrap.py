"""Bootstrap over images (Efron 1979): how far a number would move had other images been drawn.

The interval of a mean is the studentised one (Efron 1981), which holds for skewed values of few images where quantiles
of resampled means are too narrow; that of a share of hits is Wilson's (1927), which has a width where every image is a
hit. All others are quantiles of the resampled statistic.

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
from scipy.special import ndtri

from analyses.statistics import evaluate, mean, mean_reciprocal, share

if TYPE_CHECKING:
    from analyses.statistics import Array, Statistic

RESAMPLES = 2000
LEVEL = 0.95
Z = float(ndtri((1 + LEVEL) / 2))

_BLOCK = 2**18  # counts in one piece of work: what a statistic makes of them fits the cache


@dataclass(frozen=True)
class Estimate:
    """A number over ``n`` images with its interval; fewer than two images have none (NaN)."""

    value: float
    low: float
    high: float
    n: int

    def widened(self, error: float, level: float = LEVEL) -> Estimate:
        """With a standard error that has nothing to do with the images: of the unit that the number is counted in.

        Args:
            error: The standard error.
            level: Coverage of the interval, in (0, 1).
        """
        more = float(ndtri((1 + level) / 2)) * error
        low = self.value - np.hypot(self.value - self.low, more)
        return Estimate(self.value, float(low), float(self.value + np.hypot(self.high - self.value, more)), self.n)

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
    """A statistic with its bootstrap interval.

    Args:
        values_by_image: Finite numbers, ``[N, ...]``, first axis the image.
        statistic: One of `analyses.statistics`, or any function of values and counts like them.
        resamples: Number of bootstrap resamples.
        level: Coverage of the interval, in (0, 1).
        seed: Seed of the resamples.

    Returns:
        The statistic on the images at hand, and the bounds of its interval: Wilson's of a `share`, studentised of a
        `mean` or `mean_reciprocal`, else the quantiles ``(1 -+ level) / 2`` of the resampled statistic.
    """
    values = np.asarray(values_by_image, dtype=np.float64)
    n, tails = len(values), np.array([(1 - level) / 2, (1 + level) / 2])
    if n == 0:
        return Estimate(np.nan, np.nan, np.nan, 0)
    value = evaluate(statistic, values)
    if n == 1 or np.isnan(value):
        return Estimate(value, np.nan, np.nan, n)
    if statistic is share and np.isin(values, (0, 1)).all():
        low, high = _wilson(value, n, tails)
    elif statistic in (mean, share, mean_reciprocal) and values.ndim == 1:
        low, high = _studentised(1 / values if statistic is mean_reciprocal else values, tails, resamples, seed)
        if statistic is share:
            low, high = max(low, 0.0), min(high, 1.0)
            if low == high:
                low, high = _wilson(value, n, tails)  # all images alike
    else:
        low, high = np.nanquantile(_resampled(statistic, values, resamples, seed), tails)
    return Estimate(value, float(low), float(high), n)


def _resampled(statistic: Statistic, values: Array, resamples: int, seed: int) -> Array:
    """The statistic of every resample, ``[resamples]``."""
    counts, rows = draws(len(values), resamples, seed), max(1, _BLOCK // len(values))
    return np.concatenate([statistic(values, counts[start : start + rows]) for start in range(0, resamples, rows)])


def _studentised(values: Array, tails: Array, resamples: int, seed: int) -> tuple[float, float]:
    """Bounds of a mean of ``values [N]`` by quantiles of its resampled t; where many have none, of the mean itself."""
    centred, n = values - values.mean(), len(values)
    moments = _resampled(_moments, np.stack([centred, centred**2], 1), resamples, seed)
    means, deviations = moments[:, 0], np.sqrt(np.maximum(moments[:, 1] - moments[:, 0] ** 2, 0) * n / (n - 1))
    spread = centred.std(ddof=1)
    varies = deviations > 1e-9 * spread
    if (~varies).mean() > tails[0] / 5:  # too few of the images differ: a resample often has none of them
        low, high = np.quantile(means, tails)
        return values.mean() + low, values.mean() + high
    low, high = np.quantile(means[varies] / deviations[varies], tails)
    return values.mean() - high * spread, values.mean() - low * spread


def _moments(values: Array, counts: Array) -> Array:
    return (counts @ values) / counts.sum(1, keepdims=True)


def _wilson(share: float, n: int, tails: Array) -> tuple[float, float]:
    """Wilson's score interval of a share of ``n`` images."""
    z = ndtri(tails[1])
    middle, half = share + z**2 / (2 * n), z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return (middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)


@lru_cache(maxsize=6)
def draws(n: int, resamples: int, seed: int) -> Array:
    """How often each of ``n`` images is drawn in each resample of ``n`` with replacement: int32 ``[resamples, n]``."""
    rng = np.random.default_rng(seed)
    counts = np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(resamples)]).astype(np.int32)
    counts.setflags(write=False)  # shared by every caller
    return counts
