"""From a document, which is plain data, to a PDF: typst sets it with a template that ships in this package.

Text reaches the template as strings and is never read as markup, so that a folder called ``#_$%@*`` is printed as it
is. Only fonts that come with typst and matplotlib are used, and the date is the run's: the same document gives
the same bytes on every machine.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typst

from rcdm_core.kept import atomic_path

if TYPE_CHECKING:
    from collections.abc import Mapping


def compile_pdf(document: Mapping[str, Any], folder: Path, name: str = "report.pdf") -> Path:
    """Typeset a document.

    Args:
        document: What the template takes, of JSON types only; pictures are paths relative to ``folder``.
        folder: Where the pictures are and the PDF goes.
        name: File name of the PDF.

    Returns:
        Path of the PDF.
    """
    from reports.canvas import mpl

    source = (files("reports") / "templates" / "report.typ").read_bytes()
    fonts = typst.Fonts(include_system_fonts=False, font_paths=[Path(mpl.get_data_path()) / "fonts" / "ttf"])
    pdf = typst.compile(  # type: ignore[type-var]  # the stub wants source and root of one type
        source,
        root=folder,
        font_paths=fonts,
        sys_inputs={"document": json.dumps(document, ensure_ascii=False, allow_nan=False)},
    )
    path = folder / name
    with atomic_path(path) as temporary:
        temporary.write_bytes(pdf)
    return path
