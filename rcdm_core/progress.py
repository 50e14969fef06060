"""Progress of long loops, without a terminal: `track` wraps a loop, and `showing` says who shows it.

What shows progress is not handed down from function to function: it is set for a block, as a warnings filter is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Progress = Callable[[Iterable[Any], str, int | None], Iterable[Any]]
"""``progress(items, description, total)`` gives the items unchanged, one by one."""


def silent(items: Iterable[Any], description: str, total: int | None = None) -> Iterable[Any]:
    """The progress that shows nothing."""
    return items


_shown: ContextVar[Progress] = ContextVar("shown", default=silent)


def current() -> Progress:
    """Whatever shows the loops at this place."""
    return _shown.get()


def track(items: Iterable[Any], description: str, total: int | None = None) -> Iterable[Any]:
    """The items unchanged, one by one, while the loop over them is shown by whoever was set with `showing`."""
    return current()(items, description, total)


@contextmanager
def showing(progress: Progress) -> Iterator[None]:
    """Every `track` within the block is shown by ``progress``."""
    before = _shown.set(progress)
    try:
        yield
    finally:
        _shown.reset(before)
