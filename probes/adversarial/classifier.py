"""What an attack that needs a decision attacks: the linear classifier on a frozen encoder, fitted once.

It is kept under the hash of what it was trained on, so that the same encoder and data never train it twice.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch

from rcdm_core import kept
from rcdm_core.cache import OTHER_CACHE
from rcdm_core.keeping import keeping
from rcdm_core.linear_classifier import PENALTIES, LinearClassifier, fit_classifier

if TYPE_CHECKING:
    from pathlib import Path

_RECIPE = "standardised, lbfgs, 2"


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
    path = cache / f"{_digest(h, labels, classes, seed)}.safetensors" if cache else None
    if path and kept.is_sound(path):
        return _read(path)
    classifier = fit_classifier(h, labels, classes, seed=seed)
    if path:
        with keeping("the classifier", path.parent, remedy=OTHER_CACHE):
            kept.save_tensors(_tensors(classifier), path)
    return classifier


def _digest(h: torch.Tensor, labels: torch.Tensor, classes: int, seed: int) -> str:
    digest = hashlib.sha256(repr((_RECIPE, PENALTIES, classes, seed)).encode())
    digest.update(h.contiguous().numpy().tobytes())
    digest.update(labels.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _tensors(classifier: LinearClassifier) -> dict[str, torch.Tensor]:
    facts = [classifier.penalty, classifier.held_out_accuracy, classifier.images]
    return {
        "weight": classifier.weight,
        "bias": classifier.bias,
        "facts": torch.tensor(facts, dtype=torch.float64),
    }


def _read(path: Path) -> LinearClassifier:
    tensors = kept.load_tensors(path)
    penalty, accuracy, images = tensors["facts"].tolist()
    return LinearClassifier(tensors["weight"], tensors["bias"], penalty, accuracy, int(images))
