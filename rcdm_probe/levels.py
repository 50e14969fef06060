"""Which levels of an encoder are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rcdm_core.errors import unknown_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcdm_core.encoders import Encoder


def choose_levels(encoder: Encoder, level: str | Sequence[str] | None) -> tuple[str, ...]:
    """The levels that are asked for, each once; None asks for all.

    Raises:
        UserError: The encoder has no such level; says the nearest.
    """
    if level is None:
        return encoder.levels
    levels = (level,) if isinstance(level, str) else tuple(dict.fromkeys(level))
    for name in levels:
        if name not in encoder.levels:
            raise unknown_name(f"level of {encoder.name}", name, encoder.levels)
    return levels
