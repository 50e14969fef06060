"""What things are called: in file names, in titles, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def file_name(name: str) -> str:
    """A name as a file's, without ending."""
    return name.replace("_", "-").replace("/", "-")


def sentence(title: str) -> str:
    """A title with a full stop."""
    return title if title.endswith((".", "?")) else f"{title}."


def listed(names: Sequence[str]) -> str:
    """Names as in a sentence: ``a, b and c``."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def data_name(run: Mapping[str, Any]) -> str:
    """What the images of a run are called."""
    card = run.get("data_card", {})
    return str(card.get("name") or run["arguments"].get("data", "images"))
