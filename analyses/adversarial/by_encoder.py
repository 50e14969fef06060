"""What one encoder's records say of each image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyses.by_image import by_image

if TYPE_CHECKING:
    import pandas as pd


def right_images(records: pd.DataFrame, encoder: str) -> set[int]:
    """Images that the classifier on an encoder gets right untouched; all of them where there are no labels."""
    own = records[records["encoder"] == encoder]
    untouched = own[(own["measure"] == "correct") & (own["strength"] == 0)]
    return set((untouched[untouched["value"] == 1] if len(untouched) else own)["image"])


def by_strength(records: pd.DataFrame, encoder: str, measure: str, condition: str) -> pd.DataFrame:
    """A measure under one condition: one row an image, one column a strength."""
    own = records["encoder"] == encoder
    return by_image(records[own & (records["measure"] == measure) & (records["condition"] == condition)], "strength")
