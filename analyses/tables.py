"""From records, one row a number, to arrays with one row an image, and from estimates to the tables of a probe.

Only complete images stay: one that lacks a number (a level not measured, a NaN) leaves a comparison on both sides.
Images are in ascending order, whatever the order of the records, so that the same records give the same intervals.

In a table a number ``x`` with its interval is three columns, ``x``, ``x_low`` and ``x_high``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analyses.bootstrap import Estimate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


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
    images, rows = np.unique(records["image"].to_numpy(), return_inverse=True)
    codes, levels = zip(*(pd.factorize(records[key].to_numpy(), sort=True) for key in keys), strict=True)
    shape = tuple(max(len(level), 1) for level in levels)
    held, places = np.unique(np.ravel_multi_index(codes, shape), return_inverse=True)
    if len(keys) > 1:
        columns: pd.Index = pd.MultiIndex(levels, np.unravel_index(held, shape), names=keys)
    else:
        columns = pd.Index(levels[0], dtype=levels[0].dtype, name=keys[0])
    # By places: pandas' `unstack` takes five times as long, and a report asks hundreds of times.
    cells, values = rows * len(columns) + places, np.full(len(images) * len(columns), np.nan)
    if len(np.unique(cells)) < len(cells):
        raise ValueError(f"duplicate rows: two of an image have equal {', '.join(keys)}")
    values[cells] = records["value"].to_numpy()
    wide = values.reshape(len(images), len(columns))
    return pd.DataFrame(wide, pd.Index(images, name="image"), columns)[~np.isnan(wide).any(axis=1)]


def measured(records: pd.DataFrame, *measures: str) -> pd.DataFrame:
    """The rows of these measures."""
    return records[records["measure"].isin(measures)]


def columns(found: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of one row, of estimates by name; a number without an interval is one column."""
    parts = {name: one.columns(name) if isinstance(one, Estimate) else {name: one} for name, one in found.items()}
    return {column: value for part in parts.values() for column, value in part.items()}


def headings(*names: str) -> list[str]:
    """The columns that estimates of these names have."""
    return [column for name in names for column in Estimate(0, 0, 0, 0).columns(name)]


def estimate_of(row: pd.Series, name: str) -> Estimate:
    """The estimate of a name in a row of a table over images."""
    return Estimate(row[name], row[f"{name}_low"], row[f"{name}_high"], int(row["images"]))


def tabulate(
    rows: Mapping[tuple[Any, ...], Mapping[str, Any]],
    keys: Sequence[str],
    names: Sequence[str],
    plain: Sequence[str] = (),
    *,
    counted: str = "images",
) -> pd.DataFrame:
    """Estimates as a table.

    Args:
        rows: Estimates by name, by key; an estimate comes first, and numbers without an interval may be among them.
        keys: What the parts of a key are called.
        names: Of the estimates, in order.
        plain: Names of the numbers without an interval, behind the estimates; one that a row lacks is NaN.
        counted: The last column: how many images, or pairs, the first estimate of a row rests on.
    """
    lines = [
        {**dict(zip(keys, key, strict=True)), **columns(found), counted: next(iter(found.values())).n}
        for key, found in rows.items()
    ]
    return pd.DataFrame(lines, columns=[*keys, *headings(*names), *plain, counted])


def summed(
    records: pd.DataFrame,
    keys: Sequence[str],
    names: Sequence[str],
    sum_up: Callable[[pd.DataFrame], Mapping[str, Any]],
    plain: Sequence[str] = (),
) -> pd.DataFrame:
    """A table of records, one row a group of equal keys, in order of appearance; the rest as for `tabulate`."""
    groups = records.groupby(list(keys), sort=False, observed=True)
    return tabulate({key: sum_up(group) for key, group in groups}, keys, names, plain)
