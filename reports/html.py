"""From a document, which is plain data, to one HTML page that needs nothing else: for reading on a screen.

Pictures are inside the page, as SVG; a click on one opens it to be zoomed (wheel, pinch, + and -) and moved (drag,
arrows). Every string is escaped: nothing that comes from a user is read as markup. The page asks no other server for
anything, so that it can be mailed, archived and opened from a disk.
"""

from __future__ import annotations

import base64
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, StrictUndefined

from rcdm_core.kept import atomic_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def compile_html(document: Mapping[str, Any], *, template: str, folder: Path, name: str = "report.html") -> Path:
    """Set a document as a page.

    Args:
        document: As for `reports.pdf.compile_pdf`; pictures are paths relative to ``folder``.
        template: A file in ``reports/templates``, without its ending.
        folder: Where the pictures are and the page goes.
        name: File name of the page.

    Returns:
        Path of the page.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["data"] = lambda path: _data_address(folder / path)
    environment.filters["anchor"] = _anchor
    source = (files("reports") / "templates" / f"{template}.html.jinja").read_text(encoding="utf-8")
    path = folder / name
    with atomic_path(path) as temporary:
        temporary.write_text(environment.from_string(source).render(document=document), encoding="utf-8")
    return path


def _data_address(picture: Path) -> str:
    """The picture as an address that holds it."""
    return "data:image/svg+xml;base64," + base64.b64encode(picture.read_bytes()).decode("ascii")


def _anchor(title: str) -> str:
    """A title as the name of a place in the page."""
    return re.sub(r"\W+", "-", title.lower()).strip("-")
