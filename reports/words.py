"""A report's words: Markdown with the names of numbers in braces, so that a caption is changed where it reads as text.

A file of words has a title, a subtitle, and a section for everything that is shown::

    # Drawn by {encoder}
    What was compared, on {data}

    ## figure kinds
    What it shows, in one sentence. What is drawn. *How to read:* what follows from it.

    ## table kinds: level | kind as pictures | frechet as {distance} | diversity.3
    Its caption, over {rows} rows. Numbers have two digits, or as many as stand behind a dot; a column with an empty
    heading is left out, and a column * stands for all that have no name here.

    ## table factors by level: factor | change
    The caption of each of several tables, one a {level}.

    ## verdict neighbourhood
    *claim:* What is claimed.
    *sentence:* What is between {outcome}.
    *not supported:* is not drawn as images

    ## grid: neighbourhood as near to real images | variety as as varied as they are
    What the claims have in common, where verdicts stand in a grid of levels and aspects instead of in boxes.

    ## card The measurement
    - solver: {solver}, {steps} steps

    ## limits
    - A sentence.
    - {memory}

A name in braces is filled in from what was found. One that holds several sentences makes as many points of a list; one
that holds none leaves its point out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_HOW = re.compile(r"\s*\*How\s+to\s+read:\*\s*")
_LEAD = re.compile(r"(?<=[.?])\s")
_POINT = re.compile(r"^- ", re.MULTILINE)
_NAME = re.compile(r"\{(\w+)\}")
_PART = re.compile(r"^\*([\w ]+):\*", re.MULTILINE)


@dataclass(frozen=True)
class Caption:
    """What stands with a figure: one sentence, what is drawn, and how to read it."""

    lead: str
    text: str
    how: str


@dataclass(frozen=True)
class Column:
    """A column of a printed table: its name among the numbers, what it is called, and how many digits numbers have."""

    name: str
    heading: str
    digits: int = 2


@dataclass(frozen=True)
class Words:
    """The words of a report.

    Attributes:
        title: What the report is about.
        subtitle: What was measured, and on what.
        sections: Texts by heading; of a heading with columns, by what stands before the colon.
        columns: What stands behind the colon.
    """

    title: str
    subtitle: str
    sections: Mapping[str, str]
    columns: Mapping[str, tuple[Column, ...]]

    def text(self, section: str, names: Mapping[str, Any]) -> str:
        """A section as one paragraph, its names filled in.

        Raises:
            KeyError: There is no such section, or nothing of a name that it holds.
        """
        return _flowing(self.sections[section]).format_map(names).strip()

    def caption(self, section: str, names: Mapping[str, Any]) -> Caption:
        """A section as the caption of a figure or a table."""
        told, *how = _HOW.split(self.text(section, names), maxsplit=1)
        lead, *rest = _LEAD.split(told, maxsplit=1)
        return Caption(lead, "".join(rest), "".join(how))

    def points(self, section: str, names: Mapping[str, Any]) -> list[str]:
        """A section as a list of sentences."""
        out: list[str] = []
        for point in map(_flowing, _POINT.split(self.sections[section])[1:]):
            whole = _NAME.fullmatch(point)
            several = names[whole[1]] if whole else None
            out += several if isinstance(several, list) else [point.format_map(names).strip()]
        return [point for point in out if point]

    def parts(self, *sections: str) -> dict[str, str]:
        """Lines such as ``*rule:* ...``, names not filled in, by what stands between the stars; of two, the last.

        Of the sections, those that there are.
        """
        pieces = [piece for section in sections for piece in _PART.split(self.sections.get(section, ""))[1:]]
        return {key: _flowing(text) for key, text in zip(pieces[::2], pieces[1::2], strict=True)}


def read_words(markdown: str) -> Words:
    """The words in a text of Markdown.

    Raises:
        ValueError: It does not begin with a title.
    """
    head, *rest = re.split(r"^## ", markdown.strip(), flags=re.MULTILINE)
    title = re.match(r"# (.*)", head)
    if title is None:
        raise ValueError("words begin with a title: # ...")
    sections, columns = {}, {}
    for part in rest:
        heading, _, body = part.partition("\n")
        name, _, named = heading.partition(":")
        sections[name.strip()] = body
        if named:
            columns[name.strip()] = tuple(_column(column) for column in named.split("|"))
    return Words(title[1].strip(), _flowing(head[title.end() :]), sections, columns)


def _flowing(lines: str) -> str:
    """Lines as one paragraph."""
    return " ".join(lines.split())


def _column(text: str) -> Column:
    name, _, heading = text.strip().partition(" as ")
    name, _, digits = name.partition(".")
    return Column(name, heading or name, int(digits or 2))
