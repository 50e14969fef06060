"""The linear classifier on a frozen encoder: what an attack that needs a decision attacks.

Multinomial logistic regression on standardised representations. The penalty is the one with the least cross-entropy on
a held-out fifth of the training images; the classifier is then fitted on all of them. It is kept under the hash of what
it was trained on, so that the same encoder and data never train it twice.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from sklearn.linear_model import LogisticRegression

from rcdm_core.atomic import atomic_path
from rcdm_core.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)  # of |W|^2 / 2, beside the mean cross-entropy
_HELD_OUT = 5  # one in so many training images chooses the penalty
_UNSEEN = -1e3  # logit of a class without a training image
_RECIPE = "standardised, lbfgs, 1"


@dataclass(frozen=True, eq=False)
class LinearClassifier:
    """Logits ``h @ weight.T + bias``.

    Attributes:
        weight: ``[C, D]`` float32.
        bias: ``[C]`` float32.
        penalty: The chosen one of `PENALTIES`.
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


def train_classifier(
    h: torch.Tensor, labels: torch.Tensor, classes: int, *, seed: int = 0, cache: Path | None = None
) -> LinearClassifier:
    """Fit the classifier, or read it where it was kept.

    Args:
        h: Representations ``[N, D]`` of the training images.
        labels: Their classes ``[N]`` int64, in 0 .. C-1.
        classes: C.
        seed: Seed of the choice of held-out images.
        cache: Folder of kept classifiers; None keeps nothing.

    Raises:
        UserError: The training images are all of one class.
    """
    if len(labels.unique()) < 2:
        raise UserError("the images to train a classifier on are all of one class", "give images of several classes")
    digest = hashlib.sha256(repr((_RECIPE, PENALTIES, classes, seed)).encode())
    digest.update(h.contiguous().numpy().tobytes())
    digest.update(labels.contiguous().numpy().tobytes())
    path = cache / f"{digest.hexdigest()}.safetensors" if cache else None
    kept = _read(path) if path else None
    if kept is not None:
        return kept
    classifier = _train(h.double().numpy(), labels.numpy(), classes, seed)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as unfinished:
            save_file(_tensors(classifier), unfinished)
    return classifier


def _train(h: np.ndarray, labels: np.ndarray, classes: int, seed: int) -> LinearClassifier:
    held_out = np.random.default_rng(seed).permutation(len(h)) < max(1, len(h) // _HELD_OUT)
    if len(np.unique(labels[~held_out])) < 2:
        held_out[:] = False  # too few images to spare any
    judged = held_out if held_out.any() else ~held_out
    scores = {}
    for penalty in PENALTIES:
        weight, bias = _fit(h[~held_out], labels[~held_out], classes, penalty)
        logits, truth = torch.from_numpy(h[judged] @ weight.T + bias), torch.from_numpy(labels[judged])
        scores[penalty] = (F.cross_entropy(logits, truth).item(), (logits.argmax(1) == truth).double().mean().item())
    chosen = min(PENALTIES, key=lambda penalty: scores[penalty][0])
    final, offset = (torch.from_numpy(part).float() for part in _fit(h, labels, classes, chosen))
    return LinearClassifier(final, offset, chosen, scores[chosen][1], len(h))


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


def _tensors(classifier: LinearClassifier) -> dict[str, torch.Tensor]:
    facts = [classifier.penalty, classifier.held_out_accuracy, classifier.images]
    return {
        "weight": classifier.weight.contiguous(),
        "bias": classifier.bias.contiguous(),
        "facts": torch.tensor(facts, dtype=torch.float64),
    }


def _read(path: Path) -> LinearClassifier | None:
    """A kept classifier, or None where there is none, or none that is whole."""
    try:
        kept = load_file(path)
    except (OSError, SafetensorError):
        return None
    penalty, accuracy, images = kept["facts"].tolist()
    return LinearClassifier(kept["weight"], kept["bias"], penalty, accuracy, int(images))
