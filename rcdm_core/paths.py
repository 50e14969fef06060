"""Paths as users give them: expanded, and opened only where they lead to a file."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

from rcdm_core.errors import UserError, reason_of

if TYPE_CHECKING:
    from io import BufferedReader

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def user_path(text: str | Path, what: str) -> Path:
    """A path with ``~`` and ``~user`` resolved; nothing need be there.

    Args:
        text: As the user wrote it.
        what: What is or will be there, in words, for the error.

    Raises:
        UserError: It is empty, or no file can have it: no such user, a name too long or with a NUL, a loop of links, or
            a folder that may not be looked into.
    """
    if not str(text):
        raise UserError(f"{what} has no name", "give a path")
    try:
        path = Path(text).expanduser()
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return path
    except RuntimeError as error:  # expanduser's, for a user who is not there
        raise UserError(f"{what} {str(text)!r} names a home that is not here", "write the whole path") from error
    except (OSError, ValueError) as error:
        problem = f"{what} {str(text)[:200]!r} cannot be looked for ({reason_of(error)})"
        raise UserError(problem, "check the path") from error
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
