"""The dose at which each transformation stands for itself in comparisons, and what was measured there."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd


def reference_strengths(records: pd.DataFrame) -> dict[str, float]:
    """The dose of each transformation at which levels are compared, read off the records.

    It is the dose at which readability was measured: the one strength other than 0 of its ``applied_score`` rows.

    Raises:
        ValueError: A transformation has several such strengths.
    """
    applied = records[(records["measure"] == "applied_score") & (records["strength"] != 0)]
    doses = applied[["condition", "strength"]].drop_duplicates()
    if doses["condition"].duplicated().any():
        raise ValueError(f"more than one reference strength: {doses.to_dict('list')}")
    return dict(zip(doses["condition"], doses["strength"], strict=True))


def reference_displacements(records: pd.DataFrame, strengths: Mapping[str, float]) -> pd.DataFrame:
    """The ``relative_displacement`` rows of the given transformations, each at its given strength."""
    moved = records[records["measure"] == "relative_displacement"]
    return moved[moved["strength"] == moved["condition"].map(strengths)]
