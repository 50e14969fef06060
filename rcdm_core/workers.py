"""Work shared out coarsely: a thread in an operation, and as many workers as an operation would have had threads.

Small operations gain nothing from a second thread, and where something else runs beside they wait for each other at
every barrier. PyTorch lets go of the interpreter within its operations, so that workers are threads. What comes out
does not depend on who computed it, nor on how many there were: results come in the order of the items, and an item is
given all that it is computed from.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")
R = TypeVar("R")

HELD = 2**29
"""Bytes that workers hold together: where one needs more, it works alone, with all threads."""


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
