"""The study: an encoder, the images it is studied on, and their representations, untouched and transformed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from probes.transformations import TRANSFORMATIONS
from rcdm_core.distances import typical_distance
from rcdm_core.representations import encode, fitting, represent

if TYPE_CHECKING:
    from pathlib import Path

    from probes.invariance.settings import InvarianceSettings
    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders.encoder import Encoder
    from rcdm_core.progress import Progress

HELD = 2**26
"""Bytes of images that are held in memory, and not decoded again for every transformation."""


@dataclass(frozen=True, eq=False)
class Study:
    """What every part of the measurement works on.

    Attributes:
        encoder: The encoder under study.
        levels: Levels under study.
        data: The data set.
        gallery: Positions of the gallery in the data set, ``[M]``, in random order.
        count: Number N of the images that statistics rest on: the first N of the gallery.
        held: These images, ``[N, 3, S, S]``; None where they are too many to be held.
        representations: Of the gallery, untouched, ``{level: [M, D]}``.
        settings: Settings of the probe.
        progress: Wraps long loops.
    """

    encoder: Encoder
    levels: tuple[str, ...]
    data: ImageSet
    gallery: np.ndarray
    count: int
    held: torch.Tensor | None
    representations: dict[str, torch.Tensor]
    settings: InvarianceSettings
    progress: Progress

    @property
    def positions(self) -> np.ndarray:
        """Positions in the data set of the images that statistics rest on, ``[N]``."""
        return self.gallery[: self.count]

    def untouched(self, level: str) -> torch.Tensor:
        """Representations of the images that statistics rest on, ``[N, D]``."""
        return self.representations[level][: self.count]

    @cached_property
    def typical(self) -> dict[str, float]:
        """`rcdm_core.distances.typical_distance` of each level, over the same images."""
        return {level: typical_distance(self.untouched(level), seed=self.settings.seed) for level in self.levels}

    def images(self, which: slice) -> torch.Tensor:
        """Some of the images that statistics rest on, ``[n, 3, S, S]``, decoded again where they are not held."""
        return self.data.images(self.positions[which]) if self.held is None else self.held[which]

    def transformed(self, name: str, dose: float, which: slice) -> torch.Tensor:
        """Some of the images transformed, ``[n, 3, S, S]``."""
        return self._apply(name, dose, self.images(which), which)

    def moved(self, name: str) -> dict[float, dict[str, torch.Tensor]]:
        """Representations of all images under a transformation: by dose and level, ``[N, D]``.

        Batch by batch, so that memory does not grow with the images.
        """
        doses = TRANSFORMATIONS[name].doses
        size = fitting(self.settings.batch_size, self.encoder, self.data.image_size)
        found = {
            dose: {level: torch.empty(self.count, self.encoder.dimensions[level]) for level in self.levels}
            for dose in doses
        }
        for start in range(0, self.count, size):
            rows = slice(start, min(start + size, self.count))
            images = self.images(rows)
            for dose in doses:
                for level, h in self.encode(self._apply(name, dose, images, rows)).items():
                    found[dose][level][rows] = h
        return found

    def _apply(self, name: str, dose: float, images: torch.Tensor, which: slice) -> torch.Tensor:
        numbers = self.positions[which].tolist()
        return TRANSFORMATIONS[name].apply(images, dose, self.settings.seed, numbers=numbers)

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
    count = min(settings.images, len(gallery))
    held = data.images(gallery[:count]) if 12 * data.image_size**2 * count <= HELD else None  # three channels, float32
    h = {level: representations[level] for level in levels}
    return Study(encoder, levels, data, gallery, count, held, h, settings, progress)
