"""From records, one row a number, to arrays with one row an image, as the statistics take them.

Only complete images stay: one that lacks a number (a level not measured, a NaN) leaves a comparison on both sides.
Images are in ascending order, whatever the order of the records, so that the same records give the same intervals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def by_image(records: pd.DataFrame, *keys: str) -> pd.DataFrame:
    """Values of records, one row an image and one column for each value of the keys, ascending.

    Args:
        records: Rows of one encoder, with columns ``image``, ``value`` and the keys.
        *keys: Columns that tell an image's rows apart, such as ``condition``.

    Returns:
        A frame indexed by image; columns are the values of the key, or tuples of several keys.

    Raises:
        ValueError: Two rows of an image have equal keys.
    """
    wide = records.set_index(["image", *keys])["value"].unstack(list(keys))
    return wide.sort_index().sort_index(axis=1).dropna()


def measured(records: pd.DataFrame, *measures: str) -> pd.DataFrame:
    """The rows of these measures."""
    return records[records["measure"].isin(measures)]
