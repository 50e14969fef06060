"""What is to be kept and cannot be: a full disk, or a folder that belongs to others, is told in one line."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from rcdm_core.errors import UserError, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class NotKept(UserError):
    """Something cannot be written: going on with something else would lose that too."""


@contextmanager
def keeping(what: str, folder: Path, *, remedy: str = "make room there, or name another folder") -> Iterator[None]:
    """Make a folder to write into; that it cannot be made, or written into within the block, is a `NotKept`.

    Args:
        what: What is kept there, in words.
        folder: Where.
        remedy: What to do if it cannot be.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except (OSError, SafetensorError, RuntimeError) as error:  # the last is how torch.save tells of a full disk
        reason = first_line(error) or type(error).__name__
        raise NotKept(f"{what} cannot be kept in {folder}", f"{reason}; {remedy}") from error
