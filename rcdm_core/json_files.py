"""Cards: what is known of weights, in a file of JSON beside them; and what may stand in such a file."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rcdm_core.errors import UserError, reason_of
from rcdm_core.kept import atomic_path
from rcdm_core.paths import open_regular

LARGEST = 16 << 20  # bytes of a card: they have some thousands


@dataclass(frozen=True)
class Kind:
    """What a value may be.

    Attributes:
        holds: Whether a value is of it.
        looks: What such a value looks like, in words.
    """

    holds: Callable[[Any], bool]
    looks: str


def whole(low: int, high: int) -> Kind:
    """Whole numbers, both ends among them."""
    return Kind(lambda value: type(value) is int and low <= value <= high, f"a whole number from {low} to {high}")


def number(low: float, high: float) -> Kind:
    """Numbers, both ends among them."""
    return Kind(
        lambda value: type(value) in (int, float) and low <= value <= high, f"a number from {low:g} to {high:g}"
    )


def one_of(*values: Any) -> Kind:
    """These values alone."""
    return Kind(
        lambda value: any(type(value) is type(one) and value == one for one in values),
        " or ".join(map(json.dumps, values)),
    )


def several(kind: Kind, most: int) -> Kind:
    """Lists of one to ``most`` values of a kind."""
    return Kind(
        lambda value: (
            isinstance(value, (list, tuple)) and 1 <= len(value) <= most and all(kind.holds(one) for one in value)
        ),
        f"a list of up to {most}, each {kind.looks}",
    )


def or_none(kind: Kind) -> Kind:
    """A kind, or null."""
    return Kind(lambda value: value is None or kind.holds(value), f"{kind.looks}, or null")


TRUTH = one_of(True, False)
TEXT = Kind(lambda value: isinstance(value, str), "a text")
OBJECT = Kind(lambda value: isinstance(value, dict), "an object")


def wrong(plain: Any, kinds: Mapping[str, Kind], *, required: tuple[str, ...] = (), others: bool = False) -> str:
    """What is wrong with an object of JSON, in words; empty where nothing is.

    Args:
        plain: The object.
        kinds: What may stand under each name.
        required: Names that have to be there.
        others: Whether other names may be there too.
    """
    if not isinstance(plain, dict):
        return f"it is no object, but {json.dumps(plain)[:40]}"
    for name in required:
        if name not in plain:
            return f"{name} is missing"
    for name, value in plain.items():
        if name not in kinds and not others:
            return f"{name[:40]!r} is nothing that belongs there"
        if name in kinds and not kinds[name].holds(value):
            return f"{name} is {json.dumps(value)[:40]}, not {kinds[name].looks}"
    return ""


def json_object(path: Path, *, what: str, remedy: str) -> dict[str, Any]:
    """The object in a file of JSON.

    Args:
        path: The file.
        what: What it should be, in words, for the error.
        remedy: What to do if it is not.

    Raises:
        UserError: It cannot be read, or holds no object, a name twice, or numbers that are none.
    """
    try:
        with open_regular(path, largest=LARGEST) as file:
            text = file.read().decode("utf-8-sig")
        content = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number, parse_float=_finite)
    except (OSError, ValueError, RecursionError) as error:  # deep brackets are no JSON that anyone wrote
        raise UserError(f"{path} is no {what} ({reason_of(error)})", remedy) from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is no {what} (it holds no object)", remedy)
    return content


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write an object to a file, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)[:40]!r} stands there twice")
    return content


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is too large")
    return value


def card_at(path: Path) -> dict[str, Any]:
    """The card in a file; empty where there is no such file.

    Raises:
        UserError: It cannot be read, or holds something else.
    """
    return json_object(path, what="card", remedy="put the one of the weights there, or none") if path.exists() else {}
