"""The parts of a document, as plain data: what the typst template prints, one constructor a kind of block.

A document is built from these and nothing else, so that it can be read, compared and tested without typesetting it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reports.tables import Table

Block = dict[str, Any]


def text(content: str) -> Block:
    """A paragraph."""
    return {"kind": "text", "text": content}


def points(items: Iterable[str]) -> Block:
    """A list of sentences."""
    return {"kind": "list", "items": list(items)}


def pairs(rows: Mapping[str, str]) -> Block:
    """Names with values, in two columns."""
    return {"kind": "pairs", "rows": [list(row) for row in rows.items()]}


def card(title: str, rows: Mapping[str, str]) -> Block:
    """Names with values under a title."""
    return {"title": title, "rows": [list(row) for row in rows.items()]}


def cards(contents: Sequence[Block]) -> Block:
    """Cards, two in a line."""
    return {"kind": "cards", "cards": list(contents)}


def figure(name: str, lead: str, content: str, how: str) -> Block:
    """A figure of the run folder.

    Args:
        name: File name in ``figures/``, without ending.
        lead: What it shows, in one short sentence.
        content: What is drawn, for a reader who has seen nothing else.
        how: How to read it.
    """
    return {"kind": "figure", "path": f"figures/{name}.svg", "lead": lead, "text": content, "how": how}


def table(content: Table) -> Block:
    """A table, its caption's first sentence as the lead."""
    lead, _, rest = content.caption.partition(". ")
    return {
        "kind": "table",
        "name": content.name,
        "columns": list(content.columns),
        "rows": [list(row) for row in content.rows],
        "lead": lead.rstrip(".") + ".",
        "text": rest,
        "how": "",
    }


def missing(what: str, remedy: str) -> Block:
    """What this report does not have, and how to get it."""
    return {"kind": "missing", "what": what, "remedy": remedy}


def section(title: str, blocks: Sequence[Block], *, new_page: bool = False) -> dict[str, Any]:
    """A titled sequence of blocks, on a page of its own where asked."""
    return {"title": title, "blocks": list(blocks), "new-page": new_page}
