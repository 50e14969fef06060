"""Records: what a probe measured, one number a row, in one long tidy table.

measure                  value; ``condition``; ``strength``
======================== ==========================================================================================
``relative_displacement`` distance of h(T(x)) from h(x) over the typical distance of two images; T; its dose
``cosine``               cosine of h(T(x)) and h(x); T; its dose
``rank``                 place of x among the gallery seen from h(T(x)), 1 is the nearest; T; its dose
``applied_score``        log-odds, read linearly from h, that T was applied; T; 0 for x, the reference dose for T(x)
``strength_predicted``   dose read linearly from h(T(x)); T; the true dose, 0 for x
``true``                 a factor of the image (``level`` is empty); the factor
``present``              the factor read linearly from h(x); the factor
``rendered``             the factor that the judge reads off a sample from h(x); the factor
``within_variance``      variance among the samples of one h(x), mean over pixels and channels
``between_variance``     variance of the images' expected samples, mean over pixels and channels (``image`` is -1)
``total_variance``       within plus between (``image`` is -1)
``partner``              number of the image at the other end of a path that begins at this one
``from``, ``to``         a factor of the image at the first, the second end of a path; the factor
``reading``              the factor that the judge reads off a sample; "path: factor"; its position on it, in [0, 1]
``distance``             from a sample, encoded again, to a point of its path, over the typical distance of two images;
                         "path: number of the point that the sample was drawn from"; position of the point measured to
``offset``               from a point of a path to that of the straight line, relative likewise; path; position
``zeros``                share of exact zeros among the numbers of a level (``image`` is -1)
``dimensions``           how many dimensions are common to neighbours; ``own`` (of the image) or ``target``
``edited_displacement``  distance of the edited h from h(x), relative likewise; the edit
``sample_displacement``  the same of the samples of both, encoded again; the edit
``sample_gap``           squared distance from the sample of h(x), encoded again, to that of the target's h, relative
``sample_progress``      how far the sample of the edited h has come along that way, in the same unit; the edit
``rendered_VERSION``     the factor read off a sample of h untouched, of the target's, or of an edited one; the factor
``rendered_moved``       the same of h moved along a direction; "factor moved > factor"; how far, in deviations
``readable``             R2 of the readout that gives a direction; the factor (``image`` is -1)
``spread``               standard deviation of a factor over images (``level`` is empty, ``image`` is -1); the factor
``frechet``              contribution of a picture to the squared Frechet distance from real images; kind of picture
``diversity``            distance of a picture to the others of its set, relative; kind of picture
``nearest``              distance of a picture to the nearest image of the gallery, relative; kind of picture
``sample_rank``          place of the image among the gallery seen from h of its sample, 1 is the nearest; solver; steps
``inception_score``      contribution of a picture to the Inception score of its set; solver or "real images"; steps
``precision``            whether a picture lies in the manifold of other real images; the same; steps
``recall``               whether one of these other images lies in the manifold of the pictures; the same; steps
``nearest_training``     difference of a picture's pixels from the nearest training image; the same; steps
``nearest_held_out``     the same, from the nearest of as many images that were not trained on
``swept_rank``           as ``sample_rank``, on fewer images, for every solver and number of steps that is compared
``swept_frechet``        as ``frechet``, of these fewer images
``seconds``              time of a picture (``image`` is -1), the one measure that no seed decides; solver; steps
======================== ==========================================================================================
=======
Which measures a probe records, and what their ``value``, ``condition`` and ``strength`` are, its package says:
`probes.invariance`, `probes.adversarial`, `probes.interpolation`, `probes.manipulation`, `probes.fidelity`,
`probes.neighbourhood`.

Factors are ``class`` (its number), the linear ones by name, and circular ones as ``hue.cos`` and ``hue.sin``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

COLUMNS = {
    "encoder": "object",
    "level": "object",
    "image": "int64",
    "measure": "object",
    "condition": "object",
    "strength": "float64",
    "sample": "int64",
    "value": "float64",
}
"""Columns of every table of records, with their types. ``image`` is the position in the data set."""

REAL = "real images"
"""Condition of records of real images, which stand beside those of pictures that were drawn."""


def records(
    measure: str,
    values: ArrayLike,
    images: ArrayLike,
    *,
    encoder: str,
    level: str = "",
    condition: str = "",
    strength: float = float("nan"),
    sample: int = -1,
) -> pd.DataFrame:
    """Records of one measure.

    Args:
        measure: What was measured.
        values: One number for each image, ``[N]``.
        images: Positions of the images in the data set, ``[N]``; -1 for a number that belongs to no single image.
        encoder: Name of the encoder.
        level: Level of the representation; empty where none is concerned.
        condition: What the image underwent, or the factor read; empty where neither.
        strength: Dose of the condition; NaN where it has none.
        sample: Number of the sample; -1 where none is concerned.

    Returns:
        A frame with the columns `COLUMNS`.
    """
    numbers = np.asarray(images)
    given = {
        "encoder": encoder,
        "level": level,
        "image": numbers,
        "measure": measure,
        "condition": condition,
        "strength": strength,
        "sample": sample,
        "value": np.asarray(values),
    }
    index = pd.RangeIndex(len(numbers))  # a probe makes hundreds of tables: typed at once, not converted afterwards
    return pd.DataFrame({name: pd.Series(given[name], index, dtype=kind) for name, kind in COLUMNS.items()})


def join(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Tables of records, one below the other."""
    if not tables:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in COLUMNS.items()})
    joined = pd.concat(tables, ignore_index=True)
    if joined.dtypes.astype(str).to_dict() == COLUMNS:
        return joined
    return joined.astype(COLUMNS)  # one kind of text, read from a file or not
