"""Records: what a probe measured, one number a row, in one long tidy table.

Which measures a probe records, and what their ``value``, ``condition`` and ``strength`` are, its ``measure`` says.
Factors are ``class`` (its number), the linear ones by name, and circular ones as ``hue.cos`` and ``hue.sin``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rcdm_core.data.scenes import CIRCULAR
from rcdm_core.errors import legible

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from rcdm_core.data.imageset import ImageSet

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
"""Columns of every table of records, with their types. ``image`` is the position in the set of images that a probe is
given, by which noise is drawn, and from `number_images` on the index in the data set.
"""

_KINDS = {name: np.dtype(kind) for name, kind in COLUMNS.items()}

PARTNER = "partner"
"""Measure whose value is itself the number of an image: that at the other end of a path."""

REAL = "real images"
"""Condition of records of real images, which stand beside those of pictures that were drawn."""


def records(
    measure: str,
    values: ArrayLike,
    images: ArrayLike,
    level: str = "",
    condition: str = "",
    *,
    encoder: str,
    strength: float = float("nan"),
    sample: int = -1,
) -> pd.DataFrame:
    """Records of one measure.

    Args:
        measure: What was measured.
        values: One number for each image, ``[N]``.
        images: Positions of the images in the data set, ``[N]``; -1 for a number that belongs to no single image.
        level: Level of the representation; empty where none is concerned.
        condition: What the image underwent, or the factor read; empty where neither.
        encoder: Name of the encoder.
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
    return pd.DataFrame({name: pd.Series(given[name], index, dtype=kind) for name, kind in _KINDS.items()}, index)


def join(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Tables of records, one below the other."""
    if not tables:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in COLUMNS.items()})
    joined = pd.concat(tables, ignore_index=True)
    if joined.dtypes.astype(str).to_dict() == COLUMNS:
        return joined
    return joined.astype(COLUMNS)  # one kind of text, read from a file or not


def number_images(table: pd.DataFrame, images: ImageSet) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Records by index in the data set, in place of the position in a set that may be a part of it.

    Args:
        table: Records of a probe.
        images: What it was given. Positions beyond it are of images of the user, and become -1.

    Returns:
        The records, and the images in them: columns ``image`` (the index), ``file`` (path below a folder of images,
        else the index) and, where there are classes, ``class``.
    """
    count, numbers = len(images), np.append(images.numbers, -1)
    positions, values = table["image"].to_numpy(), table["value"].to_numpy(copy=True)
    is_partner = (table["measure"] == PARTNER).to_numpy()
    used = np.unique(np.concatenate([positions, values[is_partner]])).astype(np.int64)
    used = used[(used >= 0) & (used < count)]
    values[is_partner] = numbers[np.minimum(values[is_partner].astype(np.int64), count)]
    listed = {"image": images.numbers[used], "file": [legible(str(key)) for key in images.keys[used]]}
    if images.labels is not None:
        listed["class"] = [legible(images.class_names[label]) for label in images.labels[used]]
    return table.assign(image=numbers[np.minimum(positions, count)], value=values), pd.DataFrame(listed)


def components(factors: pd.DataFrame) -> dict[str, np.ndarray]:
    """Factors as numbers that can be compared: circular ones, in turns, as their cosine and sine."""
    parts: dict[str, np.ndarray] = {}
    for name in factors.columns:
        values = factors[name].to_numpy(dtype=np.float64)
        if name in CIRCULAR:
            parts[f"{name}.cos"], parts[f"{name}.sin"] = np.cos(2 * np.pi * values), np.sin(2 * np.pi * values)
        else:
            parts[str(name)] = values
    return parts


def right_images(records: pd.DataFrame, encoder: str) -> set[int]:
    """Images that the classifier on an encoder gets right untouched; all of them where there are no labels."""
    own = records[records["encoder"] == encoder]
    untouched = own[(own["measure"] == "correct") & (own["strength"] == 0)]
    return set((untouched[untouched["value"] == 1] if len(untouched) else own)["image"])
