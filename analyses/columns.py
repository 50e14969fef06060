"""Estimates as columns of a table: a number ``x`` with its interval is three, ``x``, ``x_low`` and ``x_high``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from analyses.bootstrap import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


def columns(found: Mapping[str, Estimate]) -> dict[str, float]:
    """The columns of one row, of estimates by name."""
    return {column: value for name, estimate in found.items() for column, value in estimate.columns(name).items()}


def headings(*names: str) -> list[str]:
    """The columns that estimates of these names have."""
    return [column for name in names for column in Estimate(0, 0, 0, 0).columns(name)]


def estimate_of(row: pd.Series, name: str) -> Estimate:
    """The estimate of a name in a row of a table over images."""
    return Estimate(row[name], row[f"{name}_low"], row[f"{name}_high"], int(row["images"]))


def tabulate(
    rows: Mapping[tuple[Any, ...], Mapping[str, Estimate]], keys: Sequence[str], names: Sequence[str], *, counted: str
) -> pd.DataFrame:
    """Estimates as a table.

    Args:
        rows: Estimates by name, by key.
        keys: What the parts of a key are called.
        names: Of the estimates, in order.
        counted: The last column: how many images, or pairs, the first estimate of a row rests on.
    """
    lines = [
        {**dict(zip(keys, key, strict=True)), **columns(found), counted: next(iter(found.values())).n}
        for key, found in rows.items()
    ]
    return pd.DataFrame(lines, columns=[*keys, *headings(*names), counted])
