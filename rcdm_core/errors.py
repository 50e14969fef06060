"""The one exception that a user can cause: a line that says what is wrong, and the remedy."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class UserError(Exception):
    """A mistake that the user can mend. The command line prints it as one line and exits with code 2.

    Args:
        problem: What is wrong, naming the offending value.
        remedy: What to do about it.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem}: {remedy}" if remedy else problem)
        self.problem, self.remedy = problem, remedy


def first_line(error: BaseException) -> str:
    """The first line of what another's exception says; empty where it says nothing."""
    return next(iter(str(error).strip().splitlines()), "")


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that no registry holds, with the nearest names."""
    known = list(known)
    near = get_close_matches(name, known, n=3, cutoff=0.4)
    return UserError(
        f"unknown {kind} {name!r}", f"did you mean {', '.join(near)}?" if near else f"one of {', '.join(known)}"
    )
