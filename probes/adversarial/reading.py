"""Who tells the class of a picture that was drawn: someone who is not under attack.

On scenes that is the judge, trained to read factors off images. On other labelled images it can be an encoder of the
registry with a linear classifier on its backbone, trained on images that nobody attacks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import pandas as pd

from probes.adversarial.study import classifier_on
from rcdm_core.representations import encode

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from probes.adversarial.settings import AdversarialSettings
    from probes.adversarial.study import Split
    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders.encoder import Encoder
    from rcdm_core.linear_classifier import LinearClassifier
    from rcdm_core.progress import Progress

LEVEL = "backbone"


class Reader(Protocol):
    """Whatever tells the class of a picture."""

    def read(self, images: torch.Tensor) -> pd.DataFrame:
        """A column ``class`` with the class of each image ``[N, 3, S, S]``."""


@dataclass(frozen=True, eq=False)
class LinearReader:
    """An encoder and the linear classifier on its backbone.

    Attributes:
        encoder: Not one of those under attack.
        classifier: On its backbone.
        batch_size: Images that go through it at once.
    """

    encoder: Encoder
    classifier: LinearClassifier
    batch_size: int

    def read(self, images: torch.Tensor) -> pd.DataFrame:
        """A column ``class`` with the class of each image ``[N, 3, S, S]``."""
        h = encode(self.encoder, images, batch_size=self.batch_size)[LEVEL]
        return pd.DataFrame({"class": self.classifier.logits(h).argmax(1).numpy()})


def train_reader(
    encoder: Encoder,
    data: ImageSet,
    drawn: Split,
    settings: AdversarialSettings,
    *,
    cache: Path | None,
    progress: Progress,
) -> LinearReader:
    """A reader for a labelled data set, of an encoder that has a backbone."""
    classifier = classifier_on(encoder, LEVEL, data, drawn, settings, cache=cache, progress=progress)
    return LinearReader(encoder, classifier, settings.batch_size)
