"""Bootstrap over images (Efron 1979): how far a number would move had other images been drawn.

The interval of a mean is the studentised one (Efron 1981), which holds for skewed values of few images where quantiles
of resampled means are too narrow, and so is that of a ratio of means (R2 is one), whose standard error is found by
linearisation. That of a share of hits is Wilson's (1927), which has a width where every image is a hit; that of an AUC
is Wilson's as well, for as many hits as have its variance (DeLong et al. 1988). All others, the median's among them,
are quantiles of the resampled statistic. docs/calibration.md tells how often each holds the truth.

Images are the sampling unit: all readings of an image (doses, samples, both levels) are drawn together. The same
resamples are used for every number over equally many images, so that intervals side by side in a table, and the two
sides of a pair, differ by what was measured and not by the draw.

What an interval does not cover: the training of the encoder, of the readouts (scores are out-of-fold and then fixed)
and of the decoder, and the scale of relative distances: `Estimate.widened` adds its error where that is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from analyses.digits import decisive, fixed
from analyses.statistics import (
    Array,
    Statistic,
    auc,
    auc_shares,
    correlation,
    evaluate,
    mean,
    mean_rank,
    mean_reciprocal,
    mean_size,
    median,
    r2,
    ratio,
    residuals,
    share,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

RESAMPLES = 2000
LEVEL = 0.95
_normal = NormalDist().inv_cdf
Z = _normal((1 + LEVEL) / 2)

_LEAST = {mean_rank: 1.0, mean_size: 0.0}  # what the mean cannot be below

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
        more = _normal((1 + level) / 2) * error
        low = self.value - np.hypot(self.value - self.low, more)
        return Estimate(self.value, float(low), float(self.value + np.hypot(self.high - self.value, more)), self.n)

    def columns(self, name: str) -> dict[str, float]:
        """As the columns of a table: ``name``, ``name_low``, ``name_high``."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}

    def __str__(self) -> str:
        return self.told()

    def signed(self) -> str:
        """As text, with signs: for a difference."""
        return self.told(sign="+")

    def told(self, *bounds: float, sign: str = "-") -> str:
        """As text, with digits that show on which side of 0 and of other bounds it lies."""
        digits = decisive(self.low, self.high, *bounds)
        value, low, high = (fixed(one, digits, sign) for one in (self.value, self.low, self.high))
        return f"{value} [{low}, {high}]"


def interval(
    values_by_image: Array,
    statistic: Statistic,
    level: float = LEVEL,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """A statistic with its bootstrap interval.

    Args:
        values_by_image: Finite numbers, ``[N, ...]``, first axis the image.
        statistic: One of `analyses.statistics`, or any function of values and counts like them.
        level: Coverage of the interval, in (0, 1).
        resamples: Number of bootstrap resamples.
        seed: Seed of the resamples.

    Returns:
        The statistic on the images at hand, and the bounds of its interval: see the head of this module.
    """
    values = np.asarray(values_by_image, dtype=np.float64)
    n, tails = len(values), np.array([(1 - level) / 2, (1 + level) / 2])
    if n == 0:
        return Estimate(np.nan, np.nan, np.nan, 0)
    value = evaluate(statistic, values)
    if n == 1 or np.isnan(value):
        return Estimate(value, np.nan, np.nan, n)
    if statistic is share and np.isin(values, (0, 1)).all():
        low, high = _wilson(value, n, _normal(tails[1]))
    elif statistic is auc:
        low, high = _wilson_of_auc(values, value, tails[1])
    elif statistic in (share, correlation, mean_reciprocal):
        bounded = 1 / values if statistic is mean_reciprocal else values
        low, high = _bounded(bounded, tails, resamples, seed, -1 if statistic is correlation else 0)
    elif statistic in (mean, mean_rank, mean_size) and values.ndim == 1:
        low, high = _studentised(_mean, values, tails, resamples, seed)
        low = max(low, _LEAST.get(statistic, low))
    elif statistic is ratio:
        low, high = _studentised(_ratio, values, tails, resamples, seed)
    elif statistic is r2:
        least, most = _studentised(_ratio, residuals(values), tails, resamples, seed)
        low, high = 1 - most, 1 - max(least, 0)
    elif statistic is median:
        low, high = np.quantile(median(values, _narrow_draws(n, resamples, seed)), tails)
    else:
        low, high = np.nanquantile(_resampled(statistic, values, resamples, seed), tails)
    return Estimate(value, float(low), float(high), n)


def _resampled(statistic: Statistic, values: Array, resamples: int, seed: int) -> Array:
    """The statistic of every resample, ``[resamples]``; or what else is found of each, ``[resamples, ...]``."""
    counts, rows = draws(len(values), resamples, seed), max(1, _BLOCK // len(values))
    return np.concatenate([statistic(values, counts[start : start + rows]) for start in range(0, resamples, rows)])


def _studentised(estimated: Statistic, values: Array, tails: Array, resamples: int, seed: int) -> tuple[float, float]:
    """Bounds of a statistic by quantiles of its resampled t; where many have none, of the statistic itself.

    Never nearer than Student's t has them: of two dozen images, tails that were not drawn leave those resampled short.
    ``estimated`` gives the statistic and its standard deviation for one image, ``[R, 2]``.
    """
    ((value, spread),) = estimated(values, np.ones((1, len(values)), dtype=np.int32))
    found, deviations = _resampled(estimated, values, resamples, seed).T
    varies = deviations > 1e-6 * spread  # what is less is left by rounding, and a t over it is anything
    if (~varies).mean() > tails[0] / 5:  # too few of the images differ: a resample often has none of them
        low, high = np.nanquantile(found, tails)
        return low, high
    low, high = np.quantile((found[varies] - value) / deviations[varies], tails)
    student = _student(len(values) - 1, tails) / np.sqrt(len(values))
    low, high = min(low, student[0]), max(high, student[1])
    return value - high * spread, value - low * spread


def _mean(values: Array, counts: Array) -> Array:
    """Mean of ``values [N]`` and their standard deviation, ``[R, 2]``."""
    centre, n = values.mean(), len(values)
    centred = values - centre  # for precision: the squares below cancel least
    first, second = (counts @ np.stack([centred, centred**2], 1) / n).T
    return np.stack([centre + first, np.sqrt(np.maximum(second - first**2, 0) * n / (n - 1))], 1)


def _ratio(values: Array, counts: Array) -> Array:
    """The `ratio` of ``values [N, ..., 2]`` and its standard deviation for one image, ``[R, 2]``.

    By linearisation: with means ``a`` over ``g``, an image that has ``a_i`` and ``g_i`` moves ``a / g`` by
    ``(a_i - g_i a / g) / g``; of several ratios, by the mean of that.
    """
    n = len(values)
    pairs = values.reshape(n, -1, 2)
    means = (counts @ pairs.reshape(n, -1) / n).reshape(len(counts), -1, 2)
    upper, lower = means[..., 0], means[..., 1]
    known = lower != 0
    inverse = np.divide(1, lower, out=np.zeros_like(lower), where=known) / np.maximum(known.sum(1, keepdims=True), 1)
    slope = np.divide(upper, lower, out=np.zeros_like(lower), where=known)
    weights = np.stack([inverse, -slope * inverse], 2).reshape(len(counts), -1)
    moved = weights @ pairs.reshape(n, -1).T  # [R, N]: what each image moves, with mean 0 in its resample
    deviations = np.sqrt((counts * moved**2).sum(1) / (n - 1))
    return np.stack([ratio(values, counts), deviations], 1)


def _student(degrees: int, tails: ArrayLike) -> Array:
    """Quantiles of Student's t."""
    from scipy.special import stdtrit  # as long to import as five hundred images take

    return stdtrit(degrees, tails)


def _bounded(values: Array, tails: Array, resamples: int, seed: int, least: float) -> tuple[float, float]:
    """Bounds of a mean of values in [least, 1]; where all are alike, Wilson's, for a mean without any is not known."""
    low, high = _studentised(_mean, values, tails, resamples, seed)
    if low == high:
        low, high = (
            least + (1 - least) * end
            for end in _wilson((values[0] - least) / (1 - least), len(values), _normal(tails[1]))
        )
    return max(low, least), min(high, 1.0)


def _wilson(share: float, n: float, z: float) -> tuple[float, float]:
    """Wilson's score interval of a share of ``n`` images."""
    middle, half = share + z**2 / (2 * n), z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low, high = (middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)
    return max(min(low, share), 0.0), min(max(high, share), 1.0)  # at 0 and 1 they are equal, but for rounding


def _wilson_of_auc(scores: Array, area: float, tail: float) -> tuple[float, float]:
    """Wilson's interval of an AUC, as if it were the share of hits among as many images as have its variance.

    Where both kinds hardly overlap, that variance is known from a few images alone: an image then counts as at most
    four.
    """
    n = len(scores)
    variance = auc_shares(scores).var(ddof=1) / n
    alike = min(area * (1 - area) / variance, 4 * n) if variance > 0 else n
    return _wilson(area, alike, float(_student(n - 1, tail)))


@lru_cache(maxsize=6)
def draws(n: int, resamples: int, seed: int) -> Array:
    """How often each of ``n`` images is drawn in each resample of ``n`` with replacement: int32 ``[resamples, n]``."""
    rng = np.random.default_rng(seed)
    counts = np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(resamples)]).astype(np.int32)
    counts.setflags(write=False)  # shared by every caller
    return counts


@lru_cache(maxsize=6)
def _narrow_draws(n: int, resamples: int, seed: int) -> Array:
    """The same in few bytes, resamples side by side in memory: the `median`, which most numbers are, is fast on it."""
    return draws(n, resamples, seed).T.astype(np.min_scalar_type(n), order="C").T
