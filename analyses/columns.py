"""Estimates as columns of a table: a number ``x`` with its interval is three, ``x``, ``x_low`` and ``x_high``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyses.bootstrap import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd


def columns(found: Mapping[str, Estimate]) -> dict[str, float]:
    """The columns of one row, of estimates by name."""
    return {column: value for name, estimate in found.items() for column, value in estimate.columns(name).items()}


def headings(*names: str) -> list[str]:
    """The columns that estimates of these names have."""
    return [column for name in names for column in Estimate(0, 0, 0, 0).columns(name)]


def estimate_of(row: pd.Series, name: str) -> Estimate:
    """The estimate of a name in a row of a table over images."""
    return Estimate(row[name], row[f"{name}_low"], row[f"{name}_high"], int(row["images"]))
