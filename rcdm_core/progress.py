"""Progress without a terminal: long functions wrap their loops in a `Progress`; the command line supplies a bar."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Progress = Callable[[Iterable[Any], str, int | None], Iterable[Any]]
"""``progress(items, description, total)`` gives the items unchanged, one by one."""


def silent(items: Iterable[Any], description: str, total: int | None = None) -> Iterable[Any]:
    """The progress that shows nothing."""
    return items
