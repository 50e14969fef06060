"""Does an RCDM draw from this encoder? Asked before anything is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rcdm_core.errors import UserError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcdm_core.encoders import Encoder
    from rcdm_core.rcdm import RCDM


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


def check_match(encoder: Encoder, rcdm: RCDM, levels: Sequence[str]) -> None:
    """Check that an RCDM was trained on these levels of an encoder.

    Raises:
        UserError: It does not know a level, or with another dimension; says both dimensions.
    """
    for level in levels:
        condition, size = f"{encoder.name}/{level}", encoder.dimensions[level]
        if condition not in rcdm.conditions:
            raise UserError(f"this RCDM does not draw from {condition}", f"it knows {', '.join(rcdm.conditions)}")
        if rcdm.conditions[condition] != size:
            raise UserError(
                f"encoder and RCDM do not match: {condition} has {size} dimensions, "
                f"the RCDM was trained on {rcdm.conditions[condition]}",
                "use the RCDM that was trained on this encoder",
            )
