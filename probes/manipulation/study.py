"""The study: the gallery, the images that are manipulated, and the target of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from rcdm_core.representations import encode, represent

if TYPE_CHECKING:
    from pathlib import Path

    from probes.manipulation.settings import ManipulationSettings
    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders.encoder import Encoder
    from rcdm_core.progress import Progress


@dataclass(frozen=True, eq=False)
class Given:
    """Images of the user, in place of images of the data set.

    Attributes:
        image: ``[3, S, S]`` in [0, 1].
        target: ``[3, S, S]``; None takes an image of the data set.
    """

    image: torch.Tensor
    target: torch.Tensor | None = None


@dataclass(frozen=True, eq=False)
class Side:
    """Images with their representations.

    Attributes:
        images: ``[N, 3, S, S]`` in [0, 1].
        h: ``{level: [N, D]}``.
        rows: Row of the gallery that each image is, ``[N]``; -1 where it is not there.
    """

    images: torch.Tensor
    h: dict[str, torch.Tensor]
    rows: torch.Tensor


@dataclass(frozen=True, eq=False)
class Study:
    """What every part of the measurement works on.

    Attributes:
        encoder: The encoder under study.
        gallery: Positions of the gallery in the data set, ``[M]``, in random order.
        representations: Of the gallery, ``{level: [M, D]}``.
        sources: The images that are manipulated.
        targets: The target of each.
        numbers: Numbers of the sources in records and as keys of noise, ``[N]``: positions in the data set, or from its
            length on for images of the user.
        settings: Settings of the probe.
    """

    encoder: Encoder
    gallery: np.ndarray
    representations: dict[str, torch.Tensor]
    sources: Side
    targets: Side
    numbers: np.ndarray
    settings: ManipulationSettings

    def encode(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Representations of images ``[N, 3, S, S]`` at every level, on the CPU."""
        return encode(self.encoder, images, batch_size=self.settings.batch_size)


def prepare(
    encoder: Encoder,
    data: ImageSet,
    settings: ManipulationSettings,
    given: Given | None,
    *,
    cache: Path | None,
    progress: Progress,
) -> Study:
    """Draw the gallery, encode it, and put images and targets side by side.

    Images of the data set are the first N of the gallery, and their targets are the N after these: no image is in two
    pairs, so that pairs are independent and can be what a bootstrap draws. At least half of the gallery, and 30 images,
    are not manipulated: directions are fitted on them.

    Raises:
        UserError: Representations that are not finite or do not vary.
    """
    gallery = np.random.default_rng(settings.seed).permutation(len(data))[: settings.drawn]
    h = represent(encoder, data, gallery, batch_size=settings.batch_size, cache=cache, progress=progress)

    def known(rows: torch.Tensor) -> Side:
        return Side(data.images(gallery[rows.numpy()]), {level: values[rows] for level, values in h.items()}, rows)

    def unknown(image: torch.Tensor) -> Side:
        return Side(image[None], encode(encoder, image[None]), torch.tensor([-1]))

    if given is None:
        count = min(settings.images, len(gallery) // 2)
        rows = torch.arange(count)
        sources, targets, numbers = known(rows), known(rows + count), gallery[:count]
    else:
        sources = unknown(given.image)
        targets = known(torch.tensor([0])) if given.target is None else unknown(given.target)
        numbers = np.array([len(data)])
    return Study(encoder, gallery, h, sources, targets, numbers, settings)
