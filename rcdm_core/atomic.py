"""Files that are whole or not there, whatever happens to the process or to the machine: written aside, then renamed."""

from __future__ import annotations

import os
import re
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNFINISHED = re.compile(r"\.\d+-[0-9a-f]{8}-.")
"""How the name begins under which a file is written; what is left under such a name was never finished."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``, of the same suffix, that takes its place when the block ends well.

    A block that fails leaves ``path`` as it was and nothing else behind; any number of processes and threads may write
    the same file. Content reaches the disk before the name does: a power failure leaves no empty file under it.
    """
    temporary = path.with_name(f".{os.getpid()}-{secrets.token_hex(4)}-{path.name}")
    try:
        yield temporary
        _flush(temporary)
        temporary.replace(path)
        if os.name == "posix":  # elsewhere folders cannot be opened
            _flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove, in a folder where nobody else writes and all below it, what killed processes left half written."""
    for path in folder.rglob(".*"):
        if UNFINISHED.match(path.name):
            path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    number = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(number)
    finally:
        os.close(number)
