"""Factors of an image as numbers, in the way in which probes compare and record them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rcdm_core.data.scenes import CIRCULAR

if TYPE_CHECKING:
    import pandas as pd


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
