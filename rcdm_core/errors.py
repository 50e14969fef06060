"""The one exception that a user can cause: a line that says what is wrong, and the remedy."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

_ILLEGIBLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Controls, ends of lines, what turns the direction of writing, and bytes of a name that are no UTF-8 (surrogates)."""


class UserError(Exception):
    """A mistake that the user can mend. The command line prints it as one line and exits with code 2.

    Args:
        problem: What is wrong, naming the offending value.
        remedy: What to do about it.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem, self.remedy = legible(problem), legible(remedy)
        super().__init__(f"{self.problem}: {self.remedy}" if remedy else self.problem)


def legible(text: str) -> str:
    """A text that every file and terminal takes, in one line: what no name should hold is written as a code."""
    return _ILLEGIBLE.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    number = ord(found[0])
    if 0xDC80 <= number <= 0xDCFF:  # a byte of a file name that Python could not read
        number -= 0xDC00
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def first_line(error: BaseException) -> str:
    """The first line of what another's exception says; empty where it says nothing."""
    return next(iter(str(error).strip().splitlines()), "")


def reason_of(error: BaseException) -> str:
    """Why something failed, in the system's words or the first line of another's exception; else what it is called."""
    return getattr(error, "strerror", None) or first_line(error) or type(error).__name__


def told(error: BaseException) -> str:
    """What another's exception is called, and its first line."""
    return ": ".join(filter(None, (type(error).__name__, first_line(error))))


_LISTED = 30  # names, of more than twice as many


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that no registry holds, with the nearest names."""
    known = list(known)
    near = ", ".join(get_close_matches(name, known, n=3, cutoff=0.4))
    others = f" and {len(known) - _LISTED} others" if len(known) > 2 * _LISTED else ""
    listed = f"one of {', '.join(known[:_LISTED] if others else known)}{others}"
    return UserError(f"unknown {kind} {name!r}", f"did you mean {near}?" if near else listed)
