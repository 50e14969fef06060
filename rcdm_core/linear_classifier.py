"""The linear classifier on a frozen encoder: multinomial logistic regression on standardised representations.

The penalty is the one with the least cross-entropy on a held-out fifth of the training images; the classifier is then
fitted on all of them. Its accuracy on images of another split is the *linear evaluation* of self-supervised learning
(Chen et al. 2020, section 4.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression

from rcdm_core.errors import UserError

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
        held_out_accuracy: On the images that chose it, of a classifier fitted without them.
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
    x, y = h.double().numpy(), labels.numpy()
    held_out = np.random.default_rng(seed).permutation(len(x)) < max(1, len(x) // _HELD_OUT)
    if len(np.unique(y[~held_out])) < 2:
        held_out[:] = False  # too few images to spare any
    judged = held_out if held_out.any() else ~held_out
    scores = {}
    for penalty in penalties:
        weight, bias = _fit(x[~held_out], y[~held_out], classes, penalty)
        logits, truth = torch.from_numpy(x[judged] @ weight.T + bias), torch.from_numpy(y[judged])
        scores[penalty] = (F.cross_entropy(logits, truth).item(), (logits.argmax(1) == truth).double().mean().item())
    chosen = min(penalties, key=lambda penalty: scores[penalty][0])
    final, offset = (torch.from_numpy(part).float() for part in _fit(x, y, classes, chosen))
    return LinearClassifier(final, offset, chosen, scores[chosen][1], len(x))


def _fit(h: np.ndarray, labels: np.ndarray, classes: int, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Weight ``[C, D]`` and bias ``[C]`` in units of the representation itself."""
    mean, deviation = h.mean(0), h.std(0)
    scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 1e-7 * max(deviation.max(), 1e-30))
    solver = LogisticRegression(C=1 / (penalty * len(h)), max_iter=500, tol=1e-3)
    solver.fit((h - mean) * scale, labels)
    found, bias = solver.coef_, solver.intercept_
    if len(found) == 1:  # two classes have one row, the log-odds of the second
        found, bias = np.concatenate([-found, found]) / 2, np.concatenate([-bias, bias]) / 2
    weight, offset = np.zeros((classes, h.shape[1])), np.full(classes, _UNSEEN)
    weight[solver.classes_] = found * scale
    offset[solver.classes_] = bias - weight[solver.classes_] @ mean
    return weight, offset
