"""Multinomial logistic regression, and the linear classifier on a frozen encoder that it makes.

Many problems on the same rows are solved at once: folds and penalties are columns of one convex problem, whose
variables are weights of principal coordinates, each divided by the root of its curvature at zero, ``variance / classes
+ penalty``. So the Hessian starts as the identity, and a few tens of iterations of L-BFGS suffice.

The classifier is fitted on standardised representations. Its penalty is the one with the least cross-entropy on a
held-out fifth of the training images, on all of which it is then fitted. Its accuracy on images of another split is the
*linear evaluation* of self-supervised learning (Chen et al. 2020, section 4.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from rcdm_core.errors import UserError
from rcdm_core.principal_axes import column_scale, principal_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)  # of |W|^2 / 2, beside the mean cross-entropy
_HELD_OUT = 5  # one in so many training images chooses the penalty
_UNSEEN = -1e3  # logit of a class without a training image


@dataclass(frozen=True, eq=False)
class LinearClassifier:
    """Logits ``h @ weight.T + bias``.

    Attributes:
        weight: ``[C, D]`` float32.
        bias: ``[C]`` float32.
        penalty: The one that was chosen.
        held_out_accuracy: On the images that chose it, of a classifier fitted without them; with them where there were
            too few to spare any.
        images: How many images it was trained on.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    penalty: float
    held_out_accuracy: float
    images: int

    def logits(self, h: torch.Tensor) -> torch.Tensor:
        """Representations ``[N, D]`` to logits ``[N, C]``."""
        return F.linear(h, self.weight.to(h.device), self.bias.to(h.device))


def fit_classifier(
    h: torch.Tensor, labels: torch.Tensor, classes: int, *, penalties: Sequence[float] = PENALTIES, seed: int = 0
) -> LinearClassifier:
    """Fit the classifier.

    Args:
        h: Representations ``[N, D]`` of the training images.
        labels: Their classes ``[N]`` int64, in 0 .. C-1.
        classes: C.
        penalties: To choose from.
        seed: Seed of the choice of held-out images.

    Raises:
        UserError: The training images are all of one class.
    """
    if len(labels.unique()) < 2:
        raise UserError("the images to train a classifier on are all of one class", "give images of several classes")
    present, codes = labels.unique(return_inverse=True)
    x = h.double()
    scale, mean = column_scale(x)
    z = (x - mean) * scale
    squares, right = principal_axes(z)
    fit = partial(solve_logistic, (z @ right).float(), (squares / len(z)).float(), codes)

    held_out = torch.from_numpy(np.random.default_rng(seed).permutation(len(x)) < max(1, len(x) // _HELD_OUT))
    if len(codes[~held_out].unique()) < 2:
        held_out[:] = False  # too few images to spare any
    judged = held_out if held_out.any() else ~held_out
    trials = fit((~held_out)[:, None].expand(-1, len(penalties)), torch.tensor(penalties), tolerance=1e-3)
    read = log_probabilities((z[judged] @ right).float(), *trials)  # [N, P, C]
    losses = -read[torch.arange(len(read)), :, codes[judged]].mean(0)
    chosen = int(losses.argmin())
    right_ones = read[:, chosen].argmax(1) == codes[judged]

    weights, bias = fit(torch.ones(len(x), 1, dtype=torch.bool), torch.tensor(penalties)[[chosen]], tolerance=1e-4)
    weight, offset = torch.zeros(classes, h.shape[1]), torch.full((classes,), _UNSEEN)
    found = (scale[:, None] * (right @ weights[:, 0].double())).T
    weight[present] = found.float()
    offset[present] = (bias[0].double() - found @ mean).float()
    return LinearClassifier(weight, offset, penalties[chosen], right_ones.double().mean().item(), len(x))


def solve_logistic(
    z: torch.Tensor,
    variances: torch.Tensor,
    codes: torch.Tensor,
    trains: torch.Tensor,
    penalties: torch.Tensor,
    *,
    tolerance: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights ``[R, P, C]`` and biases ``[P, C]`` of P softmax regressions.

    Args:
        z: Principal coordinates ``[N, R]`` float32.
        variances: Their variances ``[R]``.
        codes: Classes ``[N]``, in 0 .. C-1.
        trains: Which rows each problem is fitted on, ``[N, P]``.
        penalties: Of each problem, on ``|W|^2 / 2`` beside the mean cross-entropy, ``[P]``.
        tolerance: Largest gradient at which to stop, in nats over the preconditioned unit.
    """
    problems, classes = len(penalties), int(codes.max()) + 1
    unit = (variances[:, None] / classes + penalties).rsqrt()[:, :, None]  # [R, P, 1]
    weight = trains / trains.sum(0)
    scaled = torch.zeros(z.shape[1], problems, classes, requires_grad=True)
    bias = torch.zeros(problems, classes, requires_grad=True)
    optimiser = _LBFGS(
        [scaled, bias],
        max_iter=100,
        tolerance_grad=tolerance,
        tolerance_change=1e-7,
        history_size=10,  # more costs more than the iterations it saves
        line_search_fn="strong_wolfe",
    )
    rows = torch.arange(len(z))

    def closure() -> torch.Tensor:
        scaled.grad = bias.grad = None
        weights = scaled * unit
        misfit = -(log_probabilities(z, weights, bias)[rows, :, codes] * weight).sum()
        loss = misfit + 0.5 * (weights.square().sum((0, 2)) * penalties).sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    return (scaled * unit).detach(), bias.detach()


class _LBFGS(torch.optim.LBFGS):
    """PyTorch's, but what it decorates would import PyTorch's compiler, which takes as long as all else."""

    add_param_group = getattr(torch.optim.LBFGS.add_param_group, "__wrapped__", torch.optim.LBFGS.add_param_group)


def log_probabilities(z: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Log-probabilities ``[N, P, C]`` of rows ``[N, R]`` under each of P problems, as `solve_logistic` gives them."""
    return F.log_softmax((z @ weights.flatten(1)).unflatten(1, bias.shape) + bias, dim=-1)
