"""Numbers that a user gives: whole where whole ones are meant, finite, and none with which no run would end.

What is too few for a statistic, the settings of each probe say; here is what holds for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields
from numbers import Integral, Real
from typing import Any

from rcdm_core.errors import UserError

LARGEST_SEED = 2**32 - 1
"""Seeds are counted up, and multiplied by some millions, on the way to generators that hold 64 bits."""

LARGEST_COUNT = 10**9
_RANGES = {
    "seed": (0, LARGEST_SEED),
    "steps": (1, 1000),
    "batch_size": (1, 10**6),
    **dict.fromkeys(("samples", "restarts", "points", "pictures", "rendered"), (0, 10**4)),
    "attack_steps": (0, 10**5),
}  # by the name of a setting, which means the same everywhere; any other goes from 0 to the largest count
_EXAMPLES = {"str": "('a', 'b')", "float": "(0.5, 1.0)"}


def check_numbers(settings: Any, **ranges: tuple[int, int]) -> None:
    """Refuse what is no number where a setting is one, and what lies outside the range of its name.

    Args:
        settings: A dataclass: what its fields are to hold, their annotations say.
        **ranges: Smallest and largest value of fields that mean something else than their name does elsewhere.

    Raises:
        UserError: Says which setting, its value, and what it may be.
    """
    for field in fields(settings):
        kind, value, name = str(field.type), getattr(settings, field.name), field.name.replace("_", " ")
        if value is None and kind.endswith("| None"):
            continue
        if kind.startswith("tuple["):
            item = kind.removeprefix("tuple[").partition(",")[0]
            if isinstance(value, str) or not isinstance(value, Sequence):
                several = _EXAMPLES.get(item)
                raise UserError(f"{name}: {value!r} is no list", f"give one such as {several}" if several else "")
            if item == "float":
                for number in value:
                    _check_real(name, number)
        elif kind.startswith("int"):
            check_whole(name, value, *ranges.get(field.name, _RANGES.get(field.name, (0, LARGEST_COUNT))))
        elif kind.startswith("float"):
            _check_real(name, value)


def check_whole(name: str, value: Any, least: int, most: int) -> None:
    """Refuse what is no whole number from ``least`` to ``most``."""
    if not isinstance(value, Integral) or isinstance(value, bool) or not least <= int(value) <= most:
        raise UserError(f"{name}: {_brief(value)}", f"give a whole number from {least} to {most}")


def _check_real(name: str, value: Any) -> None:
    if not isinstance(value, Real) or isinstance(value, bool) or not math.isfinite(value):
        raise UserError(f"{name}: {_brief(value)}", "give finite numbers")


def _brief(value: Any) -> str:
    """A value as it stands in a line, however long it is."""
    try:
        text = repr(value)
    except ValueError:  # Python writes out no number of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:60]}..."
