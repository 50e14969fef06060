"""What an attack that needs a decision attacks: the linear classifier on a frozen encoder, fitted once.

It is kept under the hash of what it was trained on, so that the same encoder and data never train it twice.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from rcdm_core.atomic import atomic_path
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
    kept = _read(path) if path else None
    if kept is not None:
        return kept
    classifier = fit_classifier(h, labels, classes, seed=seed)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as unfinished:
            save_file(_tensors(classifier), unfinished)
    return classifier


def _digest(h: torch.Tensor, labels: torch.Tensor, classes: int, seed: int) -> str:
    digest = hashlib.sha256(repr((_RECIPE, PENALTIES, classes, seed)).encode())
    digest.update(h.contiguous().numpy().tobytes())
    digest.update(labels.contiguous().numpy().tobytes())
    return digest.hexdigest()


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
