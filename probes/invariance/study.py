"""The study: an encoder, the images it is studied on, and their representations, untouched and transformed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from probes.transformations import TRANSFORMATIONS
from rcdm_core.distances import typical_distance
from rcdm_core.representations import encode, represent

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from probes.invariance.settings import InvarianceSettings
    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders.encoder import Encoder
    from rcdm_core.progress import Progress

EVERY = slice(None)


@dataclass(frozen=True, eq=False)
class Study:
    """What every part of the measurement works on.

    Attributes:
        encoder: The encoder under study.
        levels: Levels under study.
        data: The data set.
        gallery: Positions of the gallery in the data set, ``[M]``, in random order.
        images: The images that statistics rest on, ``[N, 3, S, S]``: the first N of the gallery.
        representations: Of the gallery, untouched, ``{level: [M, D]}``.
        settings: Settings of the probe.
        progress: Wraps long loops.
    """

    encoder: Encoder
    levels: tuple[str, ...]
    data: ImageSet
    gallery: np.ndarray
    images: torch.Tensor
    representations: dict[str, torch.Tensor]
    settings: InvarianceSettings
    progress: Progress

    @property
    def positions(self) -> np.ndarray:
        """Positions of `images` in the data set, ``[N]``."""
        return self.gallery[: len(self.images)]

    def untouched(self, level: str) -> torch.Tensor:
        """Representations of `images`, ``[N, D]``."""
        return self.representations[level][: len(self.images)]

    @cached_property
    def typical(self) -> dict[str, float]:
        """`rcdm_core.distances.typical_distance` of each level, over `images`."""
        return {level: typical_distance(self.untouched(level), seed=self.settings.seed) for level in self.levels}

    def transformed(self, name: str, dose: float, which: slice = EVERY) -> torch.Tensor:
        """Some of `images` transformed, ``[n, 3, S, S]``; by default all of them."""
        return TRANSFORMATIONS[name].apply(
            self.images[which], dose, self.settings.seed, numbers=self.positions[which].tolist()
        )

    def encode(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Representations of images ``[N, 3, S, S]`` at every level under study, from one pass, on the CPU."""
        levels = encode(self.encoder, images, batch_size=self.settings.batch_size)
        return {level: levels[level] for level in self.levels}


def prepare(
    encoder: Encoder,
    levels: tuple[str, ...],
    data: ImageSet,
    settings: InvarianceSettings,
    *,
    cache: Path | None,
    progress: Progress,
) -> Study:
    """Draw the images and encode them.

    Raises:
        UserError: Representations that are not finite or do not vary.
    """
    size = max(settings.gallery, settings.images)
    gallery = np.random.default_rng(settings.seed).permutation(len(data))[:size]
    representations = represent(encoder, data, gallery, batch_size=settings.batch_size, cache=cache, progress=progress)
    images = data.images(gallery[: settings.images])
    return Study(
        encoder, levels, data, gallery, images, {level: representations[level] for level in levels}, settings, progress
    )
