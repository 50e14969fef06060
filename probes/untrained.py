"""The same architecture with fresh weights: what it reaches too, training has not given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rcdm_core.encoders import UNTRAINED, load_encoder
from rcdm_core.errors import UserError
from rcdm_core.precision import device_of
from rcdm_core.weights import is_fresh

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from rcdm_core.encoders.encoder import Encoder


def is_untrained(encoder: Encoder) -> bool:
    """Whether an encoder has fresh weights."""
    return are_fresh(encoder.name, encoder.card)


def are_fresh(name: str, card: Mapping[str, Any]) -> bool:
    """Whether the weights of an encoder of this name and card are fresh: those that ship as such, or drawn."""
    weights = card.get("weights")
    return is_fresh(weights) or (name == UNTRAINED and weights is None)


def untrained_of(encoder: Encoder, levels: Sequence[str]) -> Encoder | None:
    """An encoder with fresh weights; itself where it has fresh ones, and None where it cannot be built."""
    if is_untrained(encoder):
        return encoder
    if encoder.name.startswith("python:"):  # a function may load its weights whatever it is asked for
        return None
    try:
        fresh = load_encoder(encoder.name, levels=levels, weights="random", device=device_of(encoder))
    except UserError:
        return None
    dimensions, pooling = (encoder.dimensions, fresh.dimensions), (_pooling(encoder), _pooling(fresh))
    alike = all(one.get(level) == other.get(level) for one, other in (dimensions, pooling) for level in levels)
    return fresh if alike else None  # else it is another one that has the name, or another function


def _pooling(encoder: Encoder) -> Mapping[str, str]:
    return encoder.card.get("pooling", {})


def beside_untrained(table: pd.DataFrame, name: str, *keys: str) -> pd.DataFrame:
    """A table without the rows at the level `UNTRAINED`, the floor: what they have of a number is ``untrained_h``."""
    is_floor = table["level"] == UNTRAINED
    floor = table.loc[is_floor, [*keys, name]].rename(columns={name: "untrained_h"})
    return table[~is_floor].merge(floor, how="left", on=[*keys]).astype({"untrained_h": float})
