"""Paths as a user writes them: on the command line, in a name, in the environment."""

from __future__ import annotations

from pathlib import Path

from rcdm_core.errors import UserError, first_line


def user_path(text: str | Path, what: str) -> Path:
    """A path with ``~`` and ``~user`` resolved; nothing need be there.

    Args:
        text: As the user wrote it.
        what: What is or will be there, in words, for the error.

    Raises:
        UserError: No file can have this path: no such user, a name too long or with a NUL, a loop of links, or a folder
            that may not be looked into.
    """
    try:
        path = Path(text).expanduser()
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return path
    except RuntimeError as error:  # expanduser's, for a user who is not there
        raise UserError(f"{what} {str(text)!r} names a home that is not here", "write the whole path") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise UserError(f"{what} {str(text)[:200]!r} cannot be looked for ({reason})", "check the path") from error
    return path
