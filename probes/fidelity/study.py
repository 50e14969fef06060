"""The study: which images are sampled, which stand beside them, and what a feature space sees in both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from probes.records import REAL, records
from rcdm_core.images import resize

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

    from probes.fidelity.settings import FidelitySettings
    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.features import FeatureSpace, Look

THUMBNAIL = 32  # pixels: the side at which pictures are compared with training images

_AT_ONCE = 512  # images that are read to be made into thumbnails


@dataclass(frozen=True, eq=False)
class Drawn:
    """Positions in the data set; all but `gallery` are disjoint.

    Attributes:
        images: Those that samples are drawn of, ``[N]``.
        gallery: Those among which ranks are taken, ``[M]``; the first N are `images`.
        reference: As many others, that sets are compared with, ``[N]``.
        held_out: Further ones, beside which training images stand; `reference` is among them.
    """

    images: np.ndarray
    gallery: np.ndarray
    reference: np.ndarray
    held_out: np.ndarray


def draw(available: np.ndarray, settings: FidelitySettings) -> Drawn:
    """Draw the images by the seed.

    Args:
        available: Positions that no RCDM was trained on.
        settings: How many.
    """
    order = np.random.default_rng(settings.seed).permutation(available)
    count = min(settings.images, len(order) // 2)
    return Drawn(
        images=order[:count],
        gallery=order[: max(settings.gallery, count)],
        reference=order[count : 2 * count],
        held_out=order[count : count + settings.compared],
    )


@dataclass(frozen=True, eq=False)
class Study:
    """What every part of the measurement works on.

    Attributes:
        data: The data set.
        drawn: Which of its images.
        images: The images that samples are drawn of, ``[N, 3, S, S]``.
        space: Where sets are compared.
        seen: What is seen in `images`.
        reference: What is seen in the others.
        settings: Settings of the probe.
    """

    data: ImageSet
    drawn: Drawn
    images: torch.Tensor
    space: FeatureSpace
    seen: Look
    reference: Look
    settings: FidelitySettings

    def records(self, measure: str, values: ArrayLike, *, positions: np.ndarray | None = None, encoder: str = "",
                level: str = "", condition: str = REAL, strength: float = float("nan")) -> pd.DataFrame:  # fmt: skip
        """Records of one measure on the first images, as many as there are values; by default of real images."""
        where = self.drawn.images if positions is None else positions
        values = np.asarray(values)
        return records(
            measure, values, where[: len(values)], encoder=encoder, level=level, condition=condition, strength=strength
        )


def prepare(data: ImageSet, available: np.ndarray, space: FeatureSpace, settings: FidelitySettings) -> Study:
    """Draw the images and look at them."""
    drawn = draw(available, settings)
    images, reference = data.images(drawn.images), data.images(drawn.reference)
    seen, seen_beside = (space.of(pictures, batch_size=settings.batch_size) for pictures in (images, reference))
    return Study(data, drawn, images, space, seen, seen_beside, settings)


def thumbnails(data: ImageSet, positions: np.ndarray) -> torch.Tensor:
    """Images as rows of pixels ``[G, 3 * 32 * 32]``, read part by part."""
    parts = [positions[i : i + _AT_ONCE] for i in range(0, len(positions), _AT_ONCE)]
    return torch.cat([small(data.images(part)) for part in parts])


def small(images: torch.Tensor) -> torch.Tensor:
    """Pictures ``[N, 3, S, S]`` as rows of pixels ``[N, 3 * 32 * 32]``."""
    return resize(images, THUMBNAIL).flatten(1)
