"""From a document, which is plain data, to one HTML page that needs nothing else: for reading on a screen.

Pictures are inside the page, as SVG or PNG, whichever is smaller; a click on one opens it to be zoomed (wheel, pinch, +
and -) and moved (drag, arrows). A table is sorted by a click on a heading, and the number of a verdict leads to its
rows. All is there without scripts, but for zoom and sorting; light or dark is as the reader has set it. Every string is
escaped: nothing that comes from a user is read as markup. The page asks no other server for anything, so that it can be
mailed, archived and opened from a disk.
"""

from __future__ import annotations

import base64
import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from rcdm_core.kept import atomic_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jinja2 import Template


def compile_html(document: Mapping[str, Any], folder: Path, name: str = "report.html") -> Path:
    """Set a document as a page.

    Args:
        document: As for `reports.pdf.compile_pdf`; pictures are paths relative to ``folder``.
        folder: Where the pictures are and the page goes.
        name: File name of the page.

    Returns:
        Path of the page.
    """
    path, about = folder / name, {"document": document, "folder": folder, "tables": _tables(document)}
    with atomic_path(path) as temporary:
        temporary.write_text(_template().render(about), encoding="utf-8")
    return path


@cache
def _template() -> Template:
    """The page to be filled in: to read it takes longer than to fill it."""
    from jinja2 import Environment, StrictUndefined, pass_context  # as what plots: not before the first number

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["data"] = pass_context(lambda about, path: _data_address(about["folder"] / path))
    environment.filters["anchor"] = _anchor
    environment.filters["rows"] = pass_context(lambda about, *told: _rows(about["tables"], *told))
    source = (files("reports") / "templates" / "report.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(source)


def _data_address(picture: Path) -> str:
    """The picture as an address that holds it: the SVG, or the PNG beside it where that is smaller."""
    known = {kind: picture.with_suffix(ending) for kind, ending in (("svg+xml", ".svg"), ("png", ".png"))}
    sizes = {kind: path.stat().st_size for kind, path in known.items() if path.is_file()}
    kind = min(sizes, key=sizes.__getitem__)
    return f"data:image/{kind};base64," + base64.b64encode(known[kind].read_bytes()).decode("ascii")


def _anchor(title: str) -> str:
    """A title as the name of a place in the page."""
    return re.sub(r"\W+", "-", title.lower()).strip("-")


def _tables(document: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """The rows of every table of a document, by its name."""
    told = (block for section in document["sections"] for block in section["blocks"])
    return {block["name"]: block["rows"] for block in told if block["kind"] == "table"}


def _rows(tables: Mapping[str, list[list[str]]], verdict: Mapping[str, str], *names: str) -> str:
    """Where the number of a verdict stands: its row, of several the one with most of the names, else the table.

    Empty where the document has no such table.
    """
    if (rows := tables.get(verdict.get("rows", ""))) is None:
        return ""
    number = f"{verdict['value']} {verdict['interval']}"
    with_it = [place for place, row in enumerate(rows) if number in row]
    best = max(with_it, key=lambda place: sum(name in rows[place] for name in names), default=None)
    return "#" + _anchor(f"table {verdict['rows']}" + ("" if best is None else f" {best + 1}"))
