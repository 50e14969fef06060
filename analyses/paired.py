"""Paired comparisons over images: is one value larger than the other on the same image, by how much, how consistently?

Three numbers answer together, because none does alone: the median difference with its interval (how much), the Wilcoxon
signed-rank test (could chance do it; Wilcoxon 1945), and the matched-pairs rank-biserial correlation (how consistently:
the share of signed rank sum in favour minus the share against, in [-1, 1]; Kerby 2014). Many tests at once are
corrected with Holm's step-down procedure (Holm 1979), which bounds the probability of any false rejection in the
family.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyses.bootstrap import Z

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

    from analyses.statistics import Array


TEST = ("p_value", "p_holm", "effect")
"""Columns of a table of comparisons: Wilcoxon's p, the same with Holm's correction, the rank-biserial effect."""

FEW = 13  # images, of which all 2^13 combinations of signs are tried


def tested(differences: Array) -> dict[str, float]:
    """The columns `TEST` of ``differences [N]``, not yet corrected for others."""
    return {"p_value": signed_rank(differences), "p_holm": np.nan, "effect": rank_biserial(differences)}


def corrected(table: pd.DataFrame, family: str) -> pd.DataFrame:
    """A table with `TEST`, its ``p_holm`` over the rows that have the same in the column ``family``."""
    if table.empty:
        return table
    return table.assign(p_holm=table.groupby(family, sort=False)["p_value"].transform(holm))


def signed_rank(differences: Array) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test that ``differences [N]`` are symmetric about 0.

    Zero differences carry no sign and are left out; where nothing else is left the p-value is 1 (and NaN without data).
    Of few images it is exact, also with ties: all signs that their ranks could have are gone through.
    """
    from scipy import stats  # as long to import as a thousand images take

    moved = differences[differences != 0]
    if len(moved) == 0:
        return 1.0 if len(differences) else np.nan
    if 1 < len(moved) <= FEW:  # as SciPy's own, which goes through the signs one by one where there are ties
        ranks = np.sign(moved) * stats.rankdata(np.abs(moved))
        return float(stats.permutation_test((ranks,), np.sum, permutation_type="samples", vectorized=True).pvalue)
    return float(stats.wilcoxon(moved).pvalue)


def students_t(differences: Array) -> float:
    """Two-sided p-value of Student's t test that the mean of ``differences [N]`` is 0; 1 where all are 0."""
    from scipy.special import stdtr

    if len(differences) < 2:
        return np.nan
    value, error = differences.mean(), differences.std(ddof=1) / np.sqrt(len(differences))
    return float(2 * stdtr(len(differences) - 1, -abs(value) / error)) if error else float(value == 0)


def rank_biserial(differences: Array) -> float:
    """Matched-pairs rank-biserial correlation of ``differences [N]``.

    1: every difference is positive; -1: every one negative; 0: balanced, or nothing moved. NaN without data.
    """
    if len(differences) == 0:
        return np.nan
    from scipy import stats

    moved = differences[differences != 0]
    ranks = stats.rankdata(np.abs(moved))
    return float((ranks * np.sign(moved)).sum() / ranks.sum()) if len(moved) else 0.0


def chance_auc(scores: Array, folds: int) -> float:
    """How far from .5 an AUC of out-of-fold scores lies by chance in 95 of 100 cases, where there is nothing to read.

    Of an image without trace, either of its two scores could be the positive one: that swap of the signs gives the AUC
    its variance, were the readers of the folds independent. As they share training images, it is larger: by
    ``1 + folds / (folds - 1)`` at most, the correction of Nadeau and Bengio (2003).

    Args:
        scores: Of the untouched image and of the changed one, ``[N, 2]``.
        folds: How many parts the images were read in.
    """
    from scipy import stats

    count = len(scores)
    ranks = stats.rankdata(scores.T.ravel()).reshape(2, count)
    swapped = np.square(ranks[1] - ranks[0]).sum() / (2 * count**2) ** 2
    return float(Z * np.sqrt(swapped * (1 + folds / (folds - 1))))


def holm(p_values: ArrayLike) -> Array:
    """Holm's adjusted p-values: reject where they are below the family's error rate.

    With ``p_(1) <= ... <= p_(m)`` the ``k``-th adjusted value is ``max_{j <= k} (m - j + 1) p_(j)``, at most 1. NaN is
    no test: it stays NaN and does not count in ``m``.
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p_values.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(p_values))
    ascending = tested[np.argsort(p_values[tested], kind="stable")]
    weights = np.arange(len(tested), 0, -1)
    adjusted[ascending] = np.minimum(1, np.maximum.accumulate(weights * p_values[ascending]))
    return adjusted
