"""Copies: is a sample nearer to the images that the decoder was trained on than to images that it never saw?

Samples are softer than photographs, and so nearer to any image; a small distance from the training images alone says
nothing. A generator that recalls is nearer to them than to equally many others, and some of its samples are nearer to
one of them than any real image is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from probes.fidelity.study import small, thumbnails
from probes.records import join
from rcdm_core.nearest import nearest

if TYPE_CHECKING:
    from typing import Any

    import pandas as pd
    import torch

    from probes.fidelity.study import Study
    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.training_images import TrainingImages


@dataclass(frozen=True, eq=False)
class Galleries:
    """Images in which a picture's nearest is looked for, as many of each kind.

    Attributes:
        training: Rows of pixels of images that were trained on, ``[G, P]``.
        held_out: Of images that were not, ``[G, P]``.
        images: The training images.
        positions: Where the rows of `training` are in them, ``[G]``.
    """

    training: torch.Tensor
    held_out: torch.Tensor
    images: ImageSet
    positions: np.ndarray

    def of_training(self, rows: torch.Tensor) -> torch.Tensor:
        """Training images by row, ``[N, 3, S, S]``."""
        return self.images.images(self.positions[rows.numpy()])


def galleries(study: Study, training: TrainingImages) -> Galleries:
    """Both galleries, drawn by the seed and read at thumbnail size."""
    count = min(study.settings.compared, len(training.positions), len(study.drawn.held_out))
    chosen = np.random.default_rng(study.settings.seed).permutation(training.positions)[:count]
    held_out = thumbnails(study.data, study.drawn.held_out[:count])
    return Galleries(thumbnails(training.images, chosen), held_out, training.images, chosen)


def copy_records(study: Study, beside: Galleries, pictures: torch.Tensor, **labels: Any) -> pd.DataFrame:
    """Distance of each picture ``[N, 3, S, S]`` from its nearest image of either kind."""
    pixels = small(pictures)
    tables = []
    for measure, gallery in (("nearest_training", beside.training), ("nearest_held_out", beside.held_out)):
        apart, _ = nearest(pixels, gallery)
        tables.append(study.records(measure, apart / pixels.shape[1] ** 0.5, **labels))
    return join(tables)


def nearest_training(beside: Galleries, pictures: torch.Tensor) -> torch.Tensor:
    """The training image nearest to each picture, ``[N, 3, S, S]``."""
    return beside.of_training(nearest(small(pictures), beside.training)[1])
