"""How results look in a notebook: tables with their captions, and the gist of a report in place of its text."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from PIL import Image

from reports.style import theme

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

_CSS_INCH = 96
_WORDS = {"supported": "#1a7f37", "not supported": "#cf222e"}  # others are neither


def captioned(table: pd.DataFrame, caption_of: Callable[[], str]) -> pd.DataFrame:
    """The same table, which stands in a notebook under its caption; what is made of it has none."""
    table = pd.DataFrame(table)

    def shown() -> str:
        return f"<p>{escape(caption_of())}</p>{pd.DataFrame._repr_html_(table)}"

    object.__setattr__(table, "_repr_html_", shown)  # a class of its own would be unequal to what a CSV is read into
    return table


def rasterised(figure: Figure) -> Image.Image:
    """A figure as pixels, as many an inch as it is printed with."""
    with theme():
        figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.info["dpi"] = (figure.dpi, figure.dpi)
    return image


def png(image: Image.Image) -> bytes:
    """An image as a file."""
    file = BytesIO()
    image.save(file, "PNG", dpi=image.info["dpi"])
    return file.getvalue()


def css_size(image: Image.Image) -> dict[str, int]:
    """Width and height on a screen, such that letters are as large as in the report."""
    width, height = (round(side / image.info["dpi"][0] * _CSS_INCH) for side in image.size)
    return {"width": width, "height": height}


def summary(
    title: str,
    subtitle: str,
    *,
    verdicts: Iterable[tuple[str, str, str]] = (),
    sentences: Iterable[str] = (),
    figure: Figure | None = None,
    saved: Sequence[Path] = (),
) -> str:
    """What a report says, in short, as HTML.

    Args:
        title: Of the report.
        subtitle: What was measured, and on what.
        verdicts: Of each its heading, its word and its sentence.
        sentences: What else there is to say.
        figure: The figure of the first page.
        saved: Folders that hold the report.
    """
    parts = [f"<h3>{escape(title)}</h3>", f"<p>{escape(subtitle)}</p>"]
    for heading, word, sentence in verdicts:
        told = f'<b style="color:{_WORDS.get(word, "#9a6700")}">{escape(word)}</b>'
        parts.append(f"<p>{escape(heading)}: {told}. {escape(sentence)}</p>")
    parts += [f"<p>{escape(sentence)}</p>" for sentence in sentences]
    if figure is not None:
        image = rasterised(figure)
        data, width = b64encode(png(image)).decode("ascii"), css_size(image)["width"]
        parts.append(f'<img alt="" style="width:{width}px;max-width:100%" src="data:image/png;base64,{data}">')
    links = [
        f'<a href="{escape(path.as_posix())}">{escape(path.as_posix())}</a>'
        for folder in saved
        for path in (folder / "report.html", folder / "report.pdf")
        if path.exists()
    ]
    parts.append(f"<p>{' · '.join(links) or '<code>.save(folder)</code> writes the report.'}</p>")
    return "\n".join(parts)
