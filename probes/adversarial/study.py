"""The study: one encoder under attack, the images it is attacked on, and what it makes of them untouched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from probes.adversarial.classifier import train_classifier
from probes.adversarial.target import Target, Victims
from probes.records import records
from rcdm_core.distances import typical_distance
from rcdm_core.representations import represent

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from numpy.typing import ArrayLike

    from probes.adversarial.settings import AdversarialSettings
    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders.encoder import Encoder
    from rcdm_core.linear_classifier import LinearClassifier
    from rcdm_core.progress import Progress


@dataclass(frozen=True, eq=False)
class Split:
    """Which images are attacked, and which train the classifier: none is both.

    Attributes:
        attacked: Positions in the data set, ``[N]``.
        training: Positions in the data set, ``[M]``; empty without labels.
    """

    attacked: np.ndarray
    training: np.ndarray


def split(data: ImageSet, settings: AdversarialSettings) -> Split:
    """Draw the images by the seed. A labelled data set gives at most half of its images to the attack."""
    order = np.random.default_rng(settings.seed).permutation(len(data))
    if data.labels is None:
        return Split(order[: settings.images], order[:0])
    count = min(settings.images, len(data) // 2)
    return Split(order[:count], order[count : count + settings.training])


@dataclass(frozen=True, eq=False)
class Study:
    """An encoder under attack.

    Attributes:
        target: What is attacked.
        victims: The images, with their labels and representations.
        positions: Their positions in the data set, ``[N]``.
        right: Which of them the classifier gets right untouched, ``[N]``; all of them without labels.
    """

    target: Target
    victims: Victims
    positions: np.ndarray
    right: torch.Tensor

    @property
    def name(self) -> str:
        """Name of the encoder."""
        return self.target.encoder.name

    def records(
        self, measure: str, values: ArrayLike, *, rows: torch.Tensor | None = None, condition: str = "",
        strength: float = float("nan"), sample: int = -1,
    ) -> pd.DataFrame:  # fmt: skip
        """Records of one measure on these rows of the victims, ``[N]`` or an index; by default all."""
        images = self.positions if rows is None else self.positions[rows.numpy()]
        return records(
            measure, values, images, encoder=self.name, level=self.target.level, condition=condition,
            strength=strength, sample=sample,
        )  # fmt: skip


def prepare(
    encoder: Encoder,
    data: ImageSet,
    drawn: Split,
    settings: AdversarialSettings,
    *,
    cache: Path | None,
    progress: Progress,
) -> Study:
    """Encode the images and train the classifier; both are kept in the cache.

    Raises:
        UserError: Representations that are not finite or do not vary; training images of a single class.
    """
    level, size = settings.level, settings.batch_size
    images = data.images(drawn.attacked)
    h = represent(encoder, data, drawn.attacked, batch_size=size, cache=_below(cache, "representations"),
                  progress=progress)[level]  # fmt: skip
    typical = typical_distance(h, seed=settings.seed)
    if data.labels is None:
        target = Target(encoder, level, typical, None, size)
        return Study(target, Victims(images, None, h), drawn.attacked, torch.ones(len(h), dtype=torch.bool))
    classifier = classifier_on(encoder, level, data, drawn, settings, cache=cache, progress=progress)
    target = Target(encoder, level, typical, classifier, size)
    labels = torch.tensor(data.labels[drawn.attacked])
    return Study(target, Victims(images, labels, h), drawn.attacked, target.predict(h).eq(labels))


def classifier_on(
    encoder: Encoder,
    level: str,
    data: ImageSet,
    drawn: Split,
    settings: AdversarialSettings,
    *,
    cache: Path | None,
    progress: Progress,
) -> LinearClassifier:
    """The linear classifier on a level of an encoder, trained on the training images of a labelled data set."""
    assert data.labels is not None
    seen = represent(encoder, data, drawn.training, batch_size=settings.batch_size,
                     cache=_below(cache, "representations"), progress=progress)[level]  # fmt: skip
    labels = torch.tensor(data.labels[drawn.training])
    return train_classifier(seen, labels, len(data.class_names), seed=settings.seed, cache=_below(cache, "classifiers"))


def _below(cache: Path | None, name: str) -> Path | None:
    return cache / name if cache else None
