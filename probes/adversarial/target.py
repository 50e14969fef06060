"""What is attacked: one level of an encoder, and the linear classifier on it, fitted once.

An attack that takes steps sees a `Witness`: a model that takes images in [0, 1], through the encoder's own
preprocessing, and remembers for each image the strongest point that the attack asked about. So it is judged by the best
adversary on its way and not by the last.

There, where only the direction of a gradient matters, the encoder computes in bfloat16 on processors that are made for
it; every number that enters a record is computed again in float32.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from rcdm_core import kept
from rcdm_core.distances import cosine, relative_displacement
from rcdm_core.kept import OTHER_CACHE, keeping
from rcdm_core.linear_classifier import PENALTIES, LinearClassifier, fit_classifier
from rcdm_core.placement import device_of
from rcdm_core.precision import lowered
from rcdm_core.representations import encode

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rcdm_core.encoders.encoder import Encoder

_RECIPE = "standardised, lbfgs, 2"


@dataclass(frozen=True, eq=False)
class Victims:
    """The images under attack, and what the encoder makes of them untouched.

    Attributes:
        images: ``[N, 3, S, S]`` in [0, 1].
        labels: True classes ``[N]`` int64; None where they are not known.
        h: Representations ``[N, D]``.
    """

    images: torch.Tensor
    labels: torch.Tensor | None
    h: torch.Tensor

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: slice | torch.Tensor) -> Victims:
        return Victims(self.images[rows], None if self.labels is None else self.labels[rows], self.h[rows])

    def split(self, size: int) -> list[Victims]:
        """The victims in batches."""
        return [self[start : start + size] for start in range(0, len(self), size)]


@dataclass(frozen=True, eq=False)
class Adversaries:
    """Attacked images and what the encoder makes of them.

    Attributes:
        images: ``[N, 3, S, S]`` in [0, 1].
        h: Representations ``[N, D]``.
        strength: What the attack maximises, ``[N]``: see `Target.strength`.
    """

    images: torch.Tensor
    h: torch.Tensor
    strength: torch.Tensor

    def __getitem__(self, rows: slice | torch.Tensor) -> Adversaries:
        return Adversaries(self.images[rows], self.h[rows], self.strength[rows])

    def or_stronger(self, other: Adversaries) -> Adversaries:
        """For each image, the other where it is stronger, else this."""
        better = other.strength > self.strength
        return Adversaries(
            torch.where(better[:, None, None, None], other.images, self.images),
            torch.where(better[:, None], other.h, self.h),
            torch.where(better, other.strength, self.strength),
        )


@dataclass(frozen=True, eq=False)
class Target:
    """A level of an encoder.

    Attributes:
        encoder: The frozen encoder.
        level: The level under attack.
        typical: Typical distance between two images at that level.
        classifier: The linear classifier on it; None without labels.
        batch_size: Images that go through the encoder at once.
    """

    encoder: Encoder
    level: str
    typical: float
    classifier: LinearClassifier | None
    batch_size: int

    def represent(self, images: torch.Tensor) -> torch.Tensor:
        """Representations ``[N, D]`` of images ``[N, 3, S, S]``, in float32, on the CPU."""
        return encode(self.encoder, images, batch_size=self.batch_size)[self.level]

    def predict(self, h: torch.Tensor) -> torch.Tensor:
        """Classes ``[N]`` that the classifier sees in representations ``[N, D]``."""
        assert self.classifier is not None  # only a labelled data set has predictions
        return self.classifier.logits(h).argmax(1)

    def displacement(self, h: torch.Tensor, origin: torch.Tensor) -> torch.Tensor:
        """Relative displacement ``[N]``: 0 is unmoved, 1 as far as another image."""
        return relative_displacement(h, origin, self.typical)

    def cosine(self, h: torch.Tensor, origin: torch.Tensor) -> torch.Tensor:
        """Cosine similarity ``[N]``."""
        return cosine(h, origin)

    def strength(self, h: torch.Tensor, victims: Victims, *, needs_labels: bool) -> torch.Tensor:
        """What an attack maximises, ``[N]``: margin of the best wrong class over the true one, or displacement."""
        if not needs_labels:
            return self.displacement(h, victims.h)
        assert self.classifier is not None
        assert victims.labels is not None
        return margin(self.classifier.logits(h), victims.labels)

    def look(self, images: torch.Tensor, victims: Victims, *, needs_labels: bool) -> Adversaries:
        """Attacked versions of the victims, seen in float32."""
        h = self.represent(images)
        return Adversaries(images, h, self.strength(h, victims, needs_labels=needs_labels))

    @property
    def device(self) -> torch.device:
        """Where the encoder is."""
        return device_of(self.encoder)

    def attacked(self, *, needs_labels: bool, precision: str = "auto") -> Attacked:
        """What an attack sees: images to logits where it needs labels, else to ``h``."""
        if not needs_labels:
            return Attacked(self.encoder, self.level, nn.Identity(), precision)
        assert self.classifier is not None
        return Attacked(self.encoder, self.level, _linear(self.classifier), precision)

    def witness(self, victims: Victims, *, needs_labels: bool) -> Witness:
        """The same, with a memory of the strongest point for each of these victims."""
        model = self.attacked(needs_labels=needs_labels)
        if not needs_labels:
            origin = victims.h.to(self.device)
            return Witness(model, lambda h: (h - origin).norm(dim=1))
        assert victims.labels is not None
        labels = victims.labels.to(self.device)
        return Witness(model, lambda logits: margin(logits, labels))


class Attacked(nn.Module):
    """Images ``[N, 3, S, S]`` in [0, 1], through the encoder to one level, to what a head makes of it.

    Args:
        encoder: The encoder.
        level: The level under attack.
        head: What is made of its representations ``[N, D]``.
        precision: Of the encoder, one of `rcdm_core.precision.PRECISIONS`.
    """

    def __init__(self, encoder: Encoder, level: str, head: nn.Module, precision: str) -> None:
        super().__init__()
        self.encoder, self.level, self.precision = encoder, level, precision
        self.head = head.to(device_of(encoder))
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        images = images.flatten(1).unflatten(1, images.shape[1:])  # so that gradients are contiguous, as attacks expect
        with lowered(images.device, self.precision):
            h = self.encoder(images)[self.level]
        return self.head(h.float())


class Witness(nn.Module):
    """Does what a model does, and keeps for each image of a batch the strongest point that was asked about.

    Args:
        model: The attacked model; it is always asked about the same batch, image by image in one order.
        strength: Its output to a number for each image, larger is stronger.
    """

    def __init__(self, model: Attacked, strength: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.model, self.strength = model, strength
        self.strongest = self.best = torch.empty(0)
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        output = self.model(images)
        seen, strength = images.detach(), self.strength(output.detach())
        if len(self.best) == 0:
            self.best, self.strongest = seen.clone(), strength
        better = strength > self.strongest
        self.best[better], self.strongest[better] = seen[better], strength[better]
        return output


def margin(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Logit of the best wrong class minus that of the true one, ``[N]``: above 0 the decision is wrong."""
    true = logits.gather(1, labels[:, None])
    return (logits.scatter(1, labels[:, None], -torch.inf).amax(1, keepdim=True) - true).squeeze(1)


def _linear(classifier: LinearClassifier) -> nn.Linear:
    classes, size = classifier.weight.shape
    head = nn.Linear(size, classes).requires_grad_(False)
    head.load_state_dict({"weight": classifier.weight, "bias": classifier.bias})
    return head


def train_classifier(
    h: torch.Tensor, labels: torch.Tensor, classes: int, *, seed: int = 0, cache: Path | None = None
) -> LinearClassifier:
    """Fit the classifier, or read it where it was kept: under the hash of what it was trained on.

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
            _write(classifier, path)
    return classifier


def _digest(h: torch.Tensor, labels: torch.Tensor, classes: int, seed: int) -> str:
    digest = hashlib.sha256(repr((_RECIPE, PENALTIES, classes, seed)).encode())
    digest.update(h.contiguous().numpy().tobytes())
    digest.update(labels.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _write(classifier: LinearClassifier, path: Path) -> None:
    facts = [classifier.penalty, classifier.held_out_accuracy, classifier.images]
    tensors = {"weight": classifier.weight, "bias": classifier.bias, "facts": torch.tensor(facts, dtype=torch.float64)}
    kept.save_tensors(tensors, path)


def _read(path: Path) -> LinearClassifier:
    tensors = kept.load_tensors(path)
    penalty, accuracy, images = tensors["facts"].tolist()
    return LinearClassifier(tensors["weight"], tensors["bias"], penalty, accuracy, int(images))
