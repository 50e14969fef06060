"""Memory that the process keeps between large tensors.

glibc takes every block of more than a few megabytes fresh from the kernel and gives it back when it is freed, so that a
network's activations are page-faulted anew in each batch: at 224 pixels as much processor time as the network itself.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of mallopt(3)
_LARGEST_BLOCK, _LARGEST_REST = 1 << 27, (1 << 31) - 1  # bytes: taken from the heap up to; kept at its end up to
_OWN = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES")


def keep_memory() -> bool:
    """Let glibc's allocator keep freed blocks of up to 128 MB for the next tensor, for the rest of the process.

    The command line calls it as it starts; a program that uses the package calls it once, before its first tensor. What
    is freed is kept until the process ends, so that the peak of its memory can be a little higher. Where the C library
    is another one, another allocator is preloaded, or the environment sets glibc's up already
    (``MALLOC_MMAP_THRESHOLD_``, ``GLIBC_TUNABLES``, ...), nothing is done.

    Returns:
        Whether it was done.
    """
    if any(name in os.environ for name in _OWN) or not _is_glibc():
        return False
    libc = ctypes.CDLL("libc.so.6")
    if _address(ctypes.CDLL(None).malloc) != _address(libc.malloc):  # jemalloc, tcmalloc, ...
        return False
    libc.mallopt(_M_ARENA_MAX, 1)  # or each thread keeps a heap of its own, which nobody else uses or gives back
    return bool(libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_BLOCK) and libc.mallopt(_M_TRIM_THRESHOLD, _LARGEST_REST))


def give_back() -> None:
    """Give what `keep_memory` has kept, and nothing uses, back to the system; before what needs much memory."""
    if _is_glibc():
        with suppress(AttributeError, OSError):  # another C library that is loaded as glibc is
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def _is_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, ValueError):  # Windows has no such question, macOS and musl no such answer
        return False


def _address(function: object) -> int | None:
    return ctypes.cast(function, ctypes.c_void_p).value  # type: ignore[arg-type]
