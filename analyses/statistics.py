"""Statistics of resampled images: each is a function of values and of how often each image was drawn.

A bootstrap resample of ``N`` images is fully described by its counts ``c``: image ``i`` was drawn ``c_i`` times, and
the counts sum to ``N``. A statistic written in terms of counts serves both ends: all counts 1 give its value on the
images at hand, a matrix of counts ``[R, N]`` gives ``R`` resampled values at once, without building a single resample.
So a number in a table and its interval come from one definition.

Every function here takes ``values``, whose first axis is the image, and integer ``counts [R, N]``, and gives ``[R]``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray
Statistic: TypeAlias = Callable[[Array, Array], Array]


def evaluate(statistic: Statistic, values: Array) -> float:
    """A statistic on the images at hand, each counted once."""
    return float(statistic(values, np.ones((1, len(values)), dtype=np.int32))[0])


def mean(values: Array, counts: Array) -> Array:
    """Mean of ``values [N]``."""
    return (counts @ values) / counts.sum(1)


def share(values: Array, counts: Array) -> Array:
    """Mean of ``values [N]`` in [0, 1]: of hits (0 or 1) an accuracy. Its interval stays in [0, 1]."""
    return mean(values, counts)


def correlation(values: Array, counts: Array) -> Array:
    """Mean of ``values [N]`` in [-1, 1], such as correlations of each image. Its interval stays in [-1, 1]."""
    return mean(values, counts)


def mean_reciprocal(values: Array, counts: Array) -> Array:
    """Mean of ``1 / values [N]`` of ranks, 1 is best: the mean reciprocal rank. Its interval stays in [0, 1]."""
    return mean(1 / values, counts)


def mean_rank(values: Array, counts: Array) -> Array:
    """Mean of ranks ``values [N]``, 1 is best. Its interval stays at or above 1."""
    return mean(values, counts)


def mean_size(values: Array, counts: Array) -> Array:
    """Mean of ``values [N]`` of at least 0, such as distances. Its interval stays there."""
    return mean(values, counts)


def median(values: Array, counts: Array) -> Array:
    """Median of ``values [N]``, equal to `numpy.median` of the resample.

    Of ``n`` draws in ascending order, the ``p``-th is the first value whose cumulative count reaches ``p``; the median
    is the mean of the two middle ones (the same one when ``n`` is odd).
    """
    n, order = len(values), np.argsort(values, kind="stable")
    lower, upper, kind = (n + 1) // 2, n // 2 + 1, np.min_scalar_type(n)
    for reach in (3 * math.isqrt(n), n):  # six standard deviations of the rank of a middle draw hold nearly all, or all
        near = slice(max(n // 2 - reach, 0), n // 2 + reach)
        reached = counts.T[order[near]].astype(kind, copy=False)
        reached[0] += (before := counts.T[order[: near.start]].sum(0, dtype=kind))
        for row, previous in zip(reached[1:], reached, strict=False):  # a cumsum takes longer
            row += previous
        if before.max() < lower and reached[-1].min() >= upper:
            break
    below, above = ((reached < position).sum(0, dtype=kind) for position in (lower, upper))
    ascending = values[order[near]]
    return (ascending[below] + ascending[above]) / 2


def ratio(values: Array, counts: Array) -> Array:
    """Mean of the first over mean of the second column of ``values [N, 2]``; NaN where the second is 0.

    Of several factors, ``[N, F, 2]``, the mean over these ratios; a factor whose second column is 0 does not count.
    """
    pairs = values.reshape(len(values), -1)
    upper, lower = np.moveaxis((counts @ pairs).reshape(len(counts), -1, 2), 2, 0)
    known = lower != 0
    ratios = np.divide(upper, lower, out=np.zeros(upper.shape), where=known).sum(1)
    return np.divide(ratios, known.sum(1), out=np.full(len(ratios), np.nan), where=known.any(1))


def auc(values: Array, counts: Array) -> Array:
    """Area under the ROC curve of scores of negatives, ``values[:, 0]``, and positives, ``values[:, 1]``.

    The probability that a positive scores above a negative, a tie counting one half (Mann-Whitney U over the number of
    pairs). An image is drawn with both of its scores. 0.5 is chance.
    """
    negative, positive = values.T
    order = np.argsort(negative, kind="stable")
    ascending = negative[order]
    passed = np.concatenate([np.zeros((len(counts), 1), np.int64), np.cumsum(counts[:, order], axis=1)], axis=1)
    left, right = (np.searchsorted(ascending, positive, side) for side in ("left", "right"))
    wins = (counts * (passed[:, left] + passed[:, right])).sum(1) / 2
    return wins / counts.sum(1) ** 2


def auc_shares(values: Array) -> Array:
    """What each image adds to the `auc` of ``values [N, 2]``: ``[N]`` with that mean (DeLong et al. 1988).

    An image moves it by the share of negatives below its positive score, plus that of positives above its negative one.
    The variance of the mean is that of the AUC, and so it is of a difference of two AUCs of the same images.
    """
    from scipy.stats import rankdata  # as long to import as a thousand images take

    negative, positive = values.T
    n = len(values)
    below = rankdata(np.concatenate([positive, negative]))[:n] - rankdata(positive)
    above = rankdata(-np.concatenate([negative, positive]))[:n] - rankdata(-negative)
    return (below + above - below.mean()) / n


def r2(values: Array, counts: Array) -> Array:
    """Coefficient of determination, jointly over the components of a vector.

    ``1 - sum (t - p)^2 / sum (t - mean t)^2``, both sums over images, rows and components; each component has its own
    mean. A circular factor is the two components (cosine, sine). 1 is perfect, 0 as good as always predicting the mean.

    Args:
        values: ``[N, rows, components, 2]``, last axis (true ``t``, predicted ``p``). Rows are repeated readings of an
            image (doses, samples): they are drawn together with it.
        counts: ``[R, N]``.

    Returns:
        ``[R]``; NaN where the true values do not vary.
    """
    true, predicted = values[..., 0], values[..., 1]
    true = true - (centre := true.mean(axis=(0, 1)))  # for precision: the sums below cancel least around the mean
    residual = counts @ np.square(true + centre - predicted).sum(axis=(1, 2))
    total = counts @ np.square(true).sum(axis=(1, 2))
    total = total - np.square(counts @ true.sum(axis=1)).sum(1) / (counts.sum(1) * values.shape[1])
    varies = total > 1e-12 * max(1.0, float(np.square(centre).sum())) * values.shape[0]
    return 1 - np.divide(residual, total, out=np.full(len(total), np.nan), where=varies)


def residuals(values: Array) -> Array:
    """Squared error and squared deviation of each image, ``[N, 2]``: `r2` is 1 minus their `ratio`."""
    true, predicted = values[..., 0], values[..., 1]
    parts = np.square(true - predicted), np.square(true - true.mean(axis=(0, 1)))
    return np.stack([part.sum(axis=(1, 2)) for part in parts], 1)


def ratio_shares(values: Array) -> Array:
    """What each image adds to the `ratio` of ``values [N, 2]``, by linearisation: ``[N]`` with that mean, or NaN."""
    upper, lower = values.T
    whole = evaluate(ratio, values)
    return whole + (upper - whole * lower) / (lower.mean() or np.nan)


def r2_shares(values: Array) -> Array:
    """What each image adds to the `r2` of ``values``, by linearisation: ``[N]`` with that mean, or NaN."""
    return np.where(np.isnan(evaluate(r2, values)), np.nan, 1 - ratio_shares(residuals(values)))
