"""What a linear reader finds in a representation: cross-validated ridge and logistic regression.

Every prediction is out of fold: the rows it is made for were seen neither by the weights nor by the choice of the
penalty; only the scale of the columns, which is blind to the targets, is common to all. So the predictions of an empty
representation agree with the truth as chance does, and not better.

*Ridge.* The penalty of a training set is chosen, for each target, on the two folds next to the one left out, each read
by a fit that saw neither it nor the one left out; neighbours share these fits. A training set enters by its moments,
which are sums over its folds, and one eigendecomposition of them serves every penalty of a grid. Cross-validation in
closed form (Allen's PRESS, GCV) would not do: it parts the rows of a group, and where the versions of one image lie
close together it takes far too small a penalty.

*Logistic.* All folds and all penalties are solved at once (`rcdm_core.logistic`). The penalty is chosen on one fold of
each training set.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import torch

from rcdm_core.linear_classifier import log_probabilities, solve_logistic
from rcdm_core.principal_axes import coordinates_of, principal_coordinates, rows_at_once, spectrum

if TYPE_CHECKING:
    from collections.abc import Callable

RIDGE_PENALTIES = tuple(10.0**e for e in np.arange(-6, 2.5, 0.5))  # times the largest eigenvalue of X'X
LOGISTIC_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # of |W|^2 / 2, beside the mean cross-entropy


def ridge_predictions(
    features: torch.Tensor,
    targets: torch.Tensor,
    *,
    folds: int = 5,
    seed: int = 0,
    groups: torch.Tensor | np.ndarray | None = None,
) -> torch.Tensor:
    """Out-of-fold predictions of a ridge regression with a penalty for each target.

    Args:
        features: ``[N, D]``.
        targets: ``[N]`` or ``[N, T]``.
        folds: Number of folds, >= 3.
        seed: Seed of the folds.
        groups: ``[N]``; rows of one group are never parted over two folds. By default each row is its own.

    Returns:
        float64, shaped as the targets.
    """
    y = targets.double().reshape(len(targets), -1)
    z, squares = coordinates_of(features)
    fold = _assign_folds(len(y), folds, seed, groups)
    penalties = torch.tensor(RIDGE_PENALTIES, dtype=y.dtype)

    def parts(which: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Numbers of the rows of a mask, as many at a time as are worked on."""
        return which.nonzero().flatten().split(rows_at_once(features))

    moments = y.new_zeros(folds, *2 * (len(squares) + y.shape[1] + 1,))
    for k in range(folds):
        for part in parts(fold == k):
            rows = torch.cat([z(part), y[part], y.new_ones(len(part), 1)], 1)
            moments[k].addmm_(rows.T, rows)

    def without(*left_out: int) -> torch.Tensor:
        """Moments of the training set that leaves these folds out."""
        first, *others = (moments[k] for k in range(folds) if k not in left_out)
        return reduce(torch.Tensor.add_, others, first.clone())

    errors = torch.zeros(folds, len(penalties), y.shape[1], dtype=y.dtype)
    for k in range(folds):
        after = (k + 1) % folds
        fitted = _ridge(without(k, after), len(squares), penalties)
        for part in parts((fold == k) | (fold == after)):
            squared = (fitted(z(part)) - y[part]).square()  # [P, m, T]
            errors[k] += squared[:, fold[part] == after].sum(1)
            errors[after] += squared[:, fold[part] == k].sum(1)

    predictions = torch.empty_like(y)
    for k in range(folds):
        fitted, chosen = _ridge(without(k), len(squares), penalties), errors[k].argmin(0)
        for part in parts(fold == k):
            predictions[part] = fitted(z(part))[chosen, :, torch.arange(y.shape[1])].T
    return predictions.reshape(targets.shape)


def class_predictions(
    features: torch.Tensor, labels: torch.Tensor | np.ndarray, *, folds: int = 5, seed: int = 0
) -> torch.Tensor:
    """Out-of-fold classes ``[N]`` of a multinomial logistic regression: features ``[N, D]``, integer labels ``[N]``."""
    classes, codes = torch.unique(torch.tensor(np.asarray(labels)), return_inverse=True)
    fold = _assign_folds(len(codes), folds, seed)
    return classes[_log_probabilities(*principal_coordinates(features, torch.float32), codes, fold).argmax(1)]


def binary_scores(
    features: torch.Tensor,
    labels: torch.Tensor | np.ndarray,
    *,
    folds: int = 5,
    seed: int = 0,
    groups: torch.Tensor | np.ndarray | None = None,
) -> torch.Tensor:
    """Out-of-fold log-odds ``[N]`` of label 1 against label 0, by logistic regression.

    Args:
        features: ``[N, D]``.
        labels: ``[N]``, 0 or 1, both present.
        folds: Number of folds, >= 3.
        seed: Seed of the folds.
        groups: ``[N]``; rows of one group are never parted over two folds.
    """
    codes = torch.tensor(np.asarray(labels)).long()
    coordinates = principal_coordinates(features, torch.float32)
    del features  # as large as their coordinates, and needed no more where nobody else holds them
    against, for_it = _log_probabilities(*coordinates, codes, _assign_folds(len(codes), folds, seed, groups)).unbind(1)
    return for_it - against


def r2(targets: torch.Tensor, predictions: torch.Tensor) -> float:
    """Share of the targets' variance that the predictions explain: 1 is all, 0 is the mean's, below 0 worse than it.

    ``[N]`` or ``[N, T]``; several columns (the cosine and sine of an angle) are judged together. NaN without variance.
    """
    total = (targets - targets.mean(0)).double().square().sum()
    return (1 - (targets - predictions).double().square().sum() / total).item() if total > 0 else float("nan")


def accuracy(labels: torch.Tensor | np.ndarray, predictions: torch.Tensor | np.ndarray) -> float:
    """Share of rows whose predicted class is the true one."""
    return float(np.mean(np.asarray(labels) == np.asarray(predictions)))


def _assign_folds(count: int, folds: int, seed: int, groups: torch.Tensor | np.ndarray | None = None) -> torch.Tensor:
    """Fold of each row, ``[N]``: groups are shuffled and dealt out like cards."""
    codes = np.arange(count) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    distinct = int(codes.max()) + 1
    if folds < 3:
        raise ValueError("a penalty is chosen on a fold of its own: three folds are the least")
    if distinct < folds:
        raise ValueError(f"{folds} folds need at least {folds} independent rows, not {distinct}")
    dealt = np.random.default_rng(seed).permutation(distinct) % folds
    return torch.from_numpy(dealt[codes])


def _ridge(moments: torch.Tensor, dimension: int, penalties: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """Ridge regressions with each of P relative penalties, from the moments of their training set.

    Args:
        moments: ``A'A [R + T + 1, R + T + 1]`` of the training rows ``A = [coordinates, targets, 1]``; overwritten.
        dimension: R.
        penalties: In units of the largest eigenvalue of the coordinates' scatter, ``[P]``.

    Returns:
        What predicts ``[P, m, T]`` from the coordinates of rows ``[m, R]``.
    """
    mean = moments[-1, :-1] / moments[-1, -1]
    scatter = moments[:-1, :-1].sub_(torch.outer(mean, mean).mul_(moments[-1, -1]))
    squares, axes = spectrum(scatter[:dimension, :dimension])
    along = axes.T @ scatter[:dimension, dimension:]  # [R', T]
    weights = axes @ (along / (squares + squares[-1:] * penalties[:, None])[:, :, None])  # [P, R, T]
    return lambda z: mean[dimension:] + (z - mean[:dimension]) @ weights


def _log_probabilities(z: torch.Tensor, squares: torch.Tensor, codes: torch.Tensor, fold: torch.Tensor) -> torch.Tensor:
    """Out-of-fold log-probabilities ``[N, C]`` for codes ``[N]`` in 0 .. C-1, from `principal_coordinates`."""
    folds = int(fold.max()) + 1
    variances = (squares / len(z)).float()

    penalties = torch.tensor(LOGISTIC_PENALTIES)
    outer = torch.arange(folds)
    inner = (outer + 1) % folds  # the fold on which outer fold k's penalty is chosen
    trains = (fold[:, None] != outer) & (fold[:, None] != inner)  # [N, K]
    trials = solve_logistic(
        z, variances, codes, trains.repeat_interleave(len(penalties), 1), penalties.repeat(folds), tolerance=1e-3
    )
    losses = -log_probabilities(z, *trials)[torch.arange(len(z)), :, codes].reshape(len(z), folds, len(penalties))
    held_out = (fold[:, None] == inner).float()
    chosen = penalties[torch.einsum("nkp,nk->kp", losses, held_out).argmin(1)]

    final = solve_logistic(z, variances, codes, fold[:, None] != outer, chosen, tolerance=1e-4)
    return log_probabilities(z, *final)[torch.arange(len(z)), fold]
