"""What the known factors of a scene are called, in the order in which they are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

FACTOR_LABELS = {
    "class": "class of the garment",
    "hue": "hue of the garment",
    "background_hue": "hue of the background",
    "brightness": "brightness of the background",
    "direction": "direction of the gradient",
    "x": "x (left to right)",
    "y": "y (top to bottom)",
    "scale": "scale",
    "angle": "angle",
}

SHORT_LABELS = {**{name: name for name in FACTOR_LABELS}, "background_hue": "backgr. hue"}
"""The same where there is little room."""


def factor_label(name: str) -> str:
    """A factor as printed; one that is no scene's by its own name."""
    return FACTOR_LABELS.get(name, name)


def short_label(name: str) -> str:
    """A factor where there is little room; one that is no scene's by its own name."""
    return SHORT_LABELS.get(name, name)


def in_factor_order(rows: pd.DataFrame, *others: str) -> pd.DataFrame:
    """Rows by their column ``factor`` in the order in which factors are printed, others behind them."""
    places = {name: place for place, name in enumerate((*FACTOR_LABELS, *others))}
    return rows.sort_values("factor", key=lambda factors: factors.map(places), kind="stable")
