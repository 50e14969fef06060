"""What a number that goes through a decoder is where nothing of the image is in it: of another image, of the mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from analyses.statistics import Array


def of_others(true: Array, read: Array, *, classes: bool, paired: bool) -> float:
    """Agreement of images with readings that are of other images, over all pairs of an image and a reading.

    It is the expected score where ``h`` was shuffled among the images: of the same samples, and without chance.

    Args:
        true: Of the images, ``[N, components]``.
        read: Readings, ``[M, samples, components]``.
        classes: Whether they are classes, of which the score is the share that agree; else it is R2, jointly over the
            components.
        paired: Whether reading number i is of image number i, and so left out for it.

    Returns:
        The score; NaN where there is no pair, or where the images do not vary.
    """
    others = ~np.eye(len(true), len(read), dtype=bool) if paired else np.ones((len(true), len(read)), bool)
    if not others.any():
        return np.nan
    pairs = true[:, None, None, :], read[None]
    apart = (pairs[0] != pairs[1]).any(3) if classes else np.square(pairs[0] - pairs[1]).sum(3)
    varying = 1.0 if classes else np.square(true - true.mean(0)).sum(1).mean()
    return float(1 - apart.mean(2)[others].mean() / varying) if varying > 0 else np.nan
