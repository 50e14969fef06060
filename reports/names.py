"""What things are called in file names and titles."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def file_name(name: str) -> str:
    """A name as a file's, without ending: letters that every system allows."""
    return re.sub(r"[^\w.+-]|_", "-", name)


def is_of(name: str, family: str) -> bool:
    """Whether a name is of a family: it alone, or followed by ``_`` or ``-`` and a level or a number."""
    return name == family or name.startswith((f"{family}_", f"{family}-"))


def sentence(title: str) -> str:
    """A title with a full stop."""
    return title if title.endswith((".", "?")) else f"{title}."


def data_name(run: Mapping[str, Any]) -> str:
    """What the images of a run are called."""
    card = run.get("data_card", {})
    return str(card.get("name") or run["arguments"].get("data", "images"))
