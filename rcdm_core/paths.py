"""Paths as users give them: expanded, and opened only where they lead to a file."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

from rcdm_core.errors import UserError

if TYPE_CHECKING:
    from io import BufferedReader

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def user_path(text: str | Path) -> Path:
    """A path with its ``~`` expanded.

    Raises:
        UserError: It is empty, begins with the home of a user whom nobody knows, or cannot be looked up.
    """
    if not str(text):
        raise UserError("a path is empty", "give that of a file or folder")
    try:
        path = Path(text).expanduser()
        path.exists()
    except RuntimeError as error:
        raise UserError(f"the home folder that {text} begins with is not known", "write the path in full") from error
    except OSError as error:  # a name that is too long, say
        raise UserError(f"cannot look for {text} ({error.strerror})", "give another path") from error
    return path


def open_regular(path: Path, *, largest: int) -> BufferedReader:
    """Open a file for reading that is one: a pipe would be waited for, a device read without end.

    Args:
        path: The file; links are followed.
        largest: Bytes that it may have at most.

    Raises:
        OSError: It is missing, cannot be opened, is no regular file, or is too large.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"it is {_KINDS.get(stat.S_IFMT(found.st_mode), 'something else')}, not a file")
    if found.st_size > largest:
        raise OSError(f"it has {found.st_size:,} bytes, and at most {largest:,} are read")
    return path.open("rb")
