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


def figures(pictures: Mapping[str, str], lead: str, content: str, how: str) -> Block:
    """Figures of the run folder side by side, with one caption.

    Args:
        pictures: File names in ``figures/``, without ending, with what stands above each.
        lead: As for `figure`, and so are the others.
        content: What is drawn.
        how: How to read it.
    """
    shown = [{"path": f"figures/{name}.svg", "title": title} for name, title in pictures.items()]
    return {"kind": "figures", "pictures": shown, "lead": lead, "text": content, "how": how}


def figure_name(block: Block) -> str:
    """File name of a figure, without ending; empty for what is none."""
    return str(block.get("path", "")).removeprefix("figures/").removesuffix(".svg")


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
