"""Names as they stand in the sentences, tables and titles of verdicts and reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def listed(names: Sequence[str]) -> str:
    """Names as in a sentence: ``a, b and c``."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def words(name: str) -> str:
    """The name of a transformation, a factor, a key, as words."""
    return name.replace("_", " ")
