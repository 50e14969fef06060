"""Several processes about one piece of work: each takes the parts that nobody else is about.

torchrun, accelerate or Slurm start the same command several times, and each process goes through all of it. What takes
long is done in parts that are kept in files, in folders that all processes see. A part that another process is about is
passed over, and read once it is there; that of a process that died is free again. So nobody waits before the end of a
list of parts, and what comes out does not depend on how many there were.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

T = TypeVar("T")
R = TypeVar("R")

_passes_over: ContextVar[bool] = ContextVar("passes_over", default=False)


def count() -> int:
    """How many processes there are: ``WORLD_SIZE`` of torchrun and accelerate."""
    return _number("WORLD_SIZE", 1)


def number() -> int:
    """Which of them this is: ``RANK`` of torchrun and accelerate; 0 is the one that writes reports and speaks."""
    return _number("RANK", 0)


def _number(name: str, default: int) -> int:
    told = os.environ.get(name, "")
    return int(told) if told.isdecimal() else default


class Busy(Exception):
    """Another process is about this part."""


@contextmanager
def taking_part(folder: Path) -> Iterator[None]:
    """Within it, `others_gone` waits for this process, one that is not the first, before the folder is removed."""
    lock = FileLock(folder / f".process-{number()}.lock")
    with suppress(NotImplementedError, OSError):
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def others_gone(folder: Path) -> None:
    """Return when no process is `taking_part` any more."""
    for path in folder.glob(".process-*.lock"):
        with suppress(NotImplementedError, OSError), FileLock(path):
            pass


@contextmanager
def taken(path: Path) -> Iterator[None]:
    """Within it, no other process of this work makes the file at a path; who comes second finds it there.

    Raises:
        Busy: Another process makes it, within `unless_busy`; else that is waited for.
    """
    if count() < 2:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0 if _passes_over.get() else -1, poll_interval=0.1)
    except Timeout:
        raise Busy from None
    except (NotImplementedError, OSError):
        pass  # a file system without locks: two may do the same, and write the same
    try:
        yield
    finally:
        lock.release()


def unless_busy(work: Callable[[T], R], item: T) -> R | Busy:
    """What ``work`` gives for an item, or `Busy` where another process is about a part of it."""
    before = _passes_over.set(count() > 1)
    try:
        return work(item)
    except Busy as busy:
        return busy
    finally:
        _passes_over.reset(before)


def completed(tried: Iterable[R | Busy], work: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """What ``work`` gives for each item, in order, of what `unless_busy` gave; the rest is waited for at the end."""
    for item, found in zip(items, list(tried) if count() > 1 else tried, strict=True):
        yield work(item) if isinstance(found, Busy) else found
