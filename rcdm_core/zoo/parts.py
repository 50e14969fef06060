"""What the zoo consists of, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rcdm_core.errors import unknown_name
from rcdm_core.zoo.recipes import ENCODERS

if TYPE_CHECKING:
    from collections.abc import Sequence

PARTS = (*ENCODERS, "judge", "rcdm")


def check_parts(parts: Sequence[str]) -> None:
    """Raise a `UserError` at the first name that is not one of `PARTS`."""
    for part in parts:
        if part not in PARTS:
            raise unknown_name("part of the zoo", part, PARTS)
