"""Work shared out: over threads within a process, and over processes that were started alike.

*Threads.* A thread in an operation, and as many workers as an operation would have had threads: small operations gain
nothing from a second thread, and where something else runs beside they wait for each other at every barrier. PyTorch
lets go of the interpreter within its operations, so that workers are threads. What comes out does not depend on who
computed it, nor on how many there were: results come in the order of the items, and an item is given all that it is
computed from.

*Processes.* torchrun, accelerate or Slurm start the same command several times, and each process goes through all of
it. What takes long is done in parts that are kept in files, in folders that all processes see. A part that another
process is about is passed over, and read once it is there; that of a process that died is free again. So nobody waits
before the end of a list of parts, and what comes out does not depend on how many there were.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TypeVar

import torch
from filelock import FileLock, Timeout

T = TypeVar("T")
R = TypeVar("R")

HELD = 2**29
"""Bytes that workers hold together: where one needs more, it works alone, with all threads."""

_passes_over: ContextVar[bool] = ContextVar("passes_over", default=False)


def shared_out(work: Callable[[T], R], items: Sequence[T], holds: int = 0) -> Iterator[R]:
    """What ``work`` gives for each item, in order.

    ``OMP_NUM_THREADS`` and `torch.set_num_threads` say how many work at once, and no more than together hold `HELD`:
    ``holds`` is the size in bytes of what an item holds. Where the loop over the results is left early, what has not
    been begun never is.
    """
    threads = torch.get_num_threads()
    workers = min(threads, HELD // max(holds, 1))
    if workers < 2:
        yield from map(work, items)
        return
    torch.set_num_threads(1)
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))  # each thread counts its own
    try:
        for result in [pool.submit(work, item) for item in items]:
            yield result.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        torch.set_num_threads(threads)


def processes() -> int:
    """How many processes there are: ``WORLD_SIZE`` of torchrun and accelerate."""
    return _number("WORLD_SIZE", 1)


def rank() -> int:
    """Which of them this is: ``RANK`` of torchrun and accelerate; 0 is the one that writes reports and speaks."""
    return _number("RANK", 0) if processes() > 1 else 0


def _number(name: str, default: int) -> int:
    told = os.environ.get(name, "")
    return int(told) if told.isdecimal() else default


class Busy(Exception):
    """Another process is about this part."""


@contextmanager
def _locked(path: Path, patience: int = -1) -> Iterator[None]:
    """Within it, this process alone holds the lock at a path; -1 waits for it without end."""
    lock = FileLock(path)
    try:
        lock.acquire(patience, poll_interval=0.1)
    except Timeout:
        raise Busy from None
    except (NotImplementedError, OSError):
        pass  # a file system without locks: two may do the same, and write the same
    try:
        yield
    finally:
        lock.release()


def taking_part(folder: Path) -> AbstractContextManager[None]:
    """Within it, `others_gone` waits for this process, one that is not the first, before the folder is removed."""
    return _locked(folder / f".process-{rank()}.lock")


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
    if processes() < 2:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.with_name(f".{path.name}.lock"), 0 if _passes_over.get() else -1):
        yield


def unless_busy(work: Callable[[T], R], item: T) -> R | Busy:
    """What ``work`` gives for an item, or `Busy` where another process is about a part of it."""
    before = _passes_over.set(processes() > 1)
    try:
        return work(item)
    except Busy as busy:
        return busy
    finally:
        _passes_over.reset(before)


def completed(tried: Iterable[R | Busy], work: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """What ``work`` gives for each item, in order, of what `unless_busy` gave; the rest is waited for at the end."""
    for item, found in zip(items, list(tried) if processes() > 1 else tried, strict=True):
        yield work(item) if isinstance(found, Busy) else found
