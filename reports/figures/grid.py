"""Panels and maps: labelled grids of images, every pixel of a small image an exact square of printed dots.

A grid is put together as one array and placed on the page dot for dot at 300 dpi. Small images are enlarged by an
integer, so that they stay crisp; images with hardly fewer pixels than dots, or more, are resampled once. Neighbouring
columns of one level (``backbone 1``, ``backbone 2``, ...) stand under one heading in the level's colour, set off from
the others. Maps, of a number over the pixels of the image, stand side by side on one colour scale.
"""

from __future__ import annotations

import itertools
import math
import re
import textwrap
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from reports.style import DPI, INK, LEVEL_COLOURS, NORMAL, SMALL, TEXT_WIDTH, new_figure, theme

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

_GUTTER, _GROUP_GUTTER = 4, 28  # dots between images; between groups of columns
_LARGEST = 14.0  # mm: an image is not printed larger of itself, unless it has pixels for that:
_FINER, _FINE = 1.8, 3  # times as large, and dots a pixel
_SMALLEST = 3.4  # mm: nor smaller, where the width of a text block has room for it
_TALLEST = 150.0  # mm: nor is a panel taller, so that it leaves room for its caption
_MARGIN = 1.2  # mm between labels and images
_LINE = 3.2  # mm: height of a line of labels
_NARROW = 11  # letters in a line of a row label, at the least
_SLANT = 60.0  # degrees, of column labels that are wider than their column
_SIDE, _GAP, _BAR, _TITLE, _BOTTOM = 33.0, 3.0, 23.0, 6.0, 1.8  # mm: a map, and what is around it
_UNIT = 20  # letters in a line beside the colour bar


class _Heading(NamedTuple):
    text: str
    first: int  # column
    last: int
    colour: str


def compose(images: np.ndarray, scale: int, gaps: tuple[int, ...] | None = None, gutter: int = _GUTTER) -> np.ndarray:
    """Put images into one array.

    Args:
        images: ``[R, C, 3, H, W]`` in [0, 1].
        scale: Integer by which each pixel is repeated along both sides.
        gaps: White dots after each of the first ``C - 1`` columns, where they are not all ``gutter``.
        gutter: White dots between neighbouring images.

    Returns:
        ``[R * H * scale + (R - 1) * gutter, C * W * scale + sum of gaps, 3]``, uint8.
    """
    rows, columns, _, height, width = images.shape
    height, width = height * scale, width * scale
    left = _lefts(width, (gutter,) * (columns - 1) if gaps is None else gaps)
    out = np.full((rows * (height + gutter) - gutter, left[-1] + width, 3), 255, np.uint8)
    pixels = np.rint(images.clip(0, 1) * 255).astype(np.uint8).transpose(0, 1, 3, 4, 2)
    pixels = pixels.repeat(scale, axis=2).repeat(scale, axis=3)
    for row, column in itertools.product(range(rows), range(columns)):
        y, x = row * (height + gutter), left[column]
        out[y : y + height, x : x + width] = pixels[row, column]
    return out


@theme()
def draw_panel(
    pictures: torch.Tensor,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    width: float = TEXT_WIDTH,
    largest: float = _LARGEST,
) -> Figure:
    """A grid of images with row labels at the left and column labels above.

    Args:
        pictures: ``[R, C, 3, H, W]`` in [0, 1].
        rows: A label for each row.
        columns: A label for each column.
        width: mm that it takes at most, unless images would be smaller than can be seen.
        largest: mm, the side of an image at most; one that has pixels for that is up to 1.8 times as large.
    """
    images = pictures.float().cpu().numpy()
    headings = _headings(columns)
    gaps = _gaps(headings, images.shape[1])
    whole, least = _dots(TEXT_WIDTH) - sum(gaps), images.shape[1] * _dots(_SMALLEST)
    for letters in range(_NARROW, max(_NARROW, *map(len, rows)) + 1):  # as narrow as their rows have lines for
        row_labels = [_wrapped(text, letters) for text in rows]
        left = _dots(max(map(_text_width, row_labels)) + _MARGIN * any(rows))
        room = min(whole, max(_dots(width) - sum(gaps), left + least)) - left
        high = _side(images, room, largest) * images.shape[-2] // images.shape[-1] + _GUTTER
        if max(text.count("\n") + 1 for text in row_labels) * _dots(_LINE) <= high:
            break
    images, scale = _fitted(images, room, largest)
    picture = compose(images, scale, gaps)
    side_high, side_wide = images.shape[-2] * scale, images.shape[-1] * scale
    starts = _lefts(side_wide, gaps)

    widest = max(_text_width(h.text) - (starts[h.last] - starts[h.first] + side_wide) / _dots(1) for h in headings)
    slant = _SLANT if widest > 0 else 0.0
    longest = max(_text_width(heading.text) for heading in headings)
    top = _dots(longest * math.sin(math.radians(slant)) + _LINE if any(columns) else 0.5)
    beyond = [
        starts[h.first] + side_wide / 2 + _dots(_text_width(h.text)) * math.cos(math.radians(slant)) for h in headings
    ]
    total_wide = left + max(picture.shape[1], math.ceil(max(beyond)) if slant else 0)
    total_high = top + picture.shape[0]

    figure = new_figure(total_wide / DPI * 25.4, total_high / DPI * 25.4)
    axes = figure.add_axes(
        (left / total_wide, 0, picture.shape[1] / total_wide, picture.shape[0] / total_high)
    )  # fmt: skip
    opaque = np.pad(picture, ((0, 0), (0, 0), (0, 1)), constant_values=255)  # matplotlib would add that in 64 bits
    axes.imshow(opaque, interpolation="none", aspect="auto")
    axes.set_axis_off()
    for row, text in enumerate(row_labels):
        y = 1 - (top + row * (side_high + _GUTTER) + side_high / 2) / total_high
        colour = LEVEL_COLOURS.get(rows[row], INK)
        figure.text((left - _dots(_MARGIN)) / total_wide, y, text, ha="right", va="center", color=colour)
    for heading in headings:
        middle = left + (starts[heading.first] + starts[heading.last] + side_wide) / 2
        figure.text(
            middle / total_wide, 1 - (top - _dots(0.9)) / total_high, heading.text, color=heading.colour,
            ha="left" if slant else "center", va="bottom" if slant else "baseline", rotation=slant,
            rotation_mode="anchor", fontweight="bold" if heading.colour != INK else "normal",
        )  # fmt: skip
    return figure


def _side(images: np.ndarray, room: int, largest: float) -> int:
    """Width of an image in dots, where columns share the room: a multiple of its pixels, if they get two or more."""
    rows, columns, _, height, width = images.shape
    most = max(_dots(largest), min(_FINE * width, _dots(_FINER * largest)))
    wide = min(room // columns, most, round(_dots(_TALLEST) / rows * width / height))
    return wide // width * width if wide >= 2 * width else wide


def _fitted(images: np.ndarray, room: int, largest: float) -> tuple[np.ndarray, int]:
    """Images and the integer scale at which they fill the room, in dots; with less than two a pixel, resampled."""
    rows, columns, _, height, width = images.shape
    wide = _side(images, room, largest)
    if wide >= 2 * width:
        return images, wide // width
    flat = torch.from_numpy(images).flatten(0, 1)
    size = (round(wide * height / width), wide)
    resampled = F.interpolate(flat, size, mode="bicubic", antialias=True, align_corners=False)
    return resampled.unflatten(0, (rows, columns)).numpy(), 1


def _headings(columns: Sequence[str]) -> list[_Heading]:
    """Column labels; numbered columns of one level become one."""
    out: list[_Heading] = []
    for base, run in itertools.groupby(enumerate(columns), key=lambda item: _level(item[1]) or item):
        places = [place for place, _ in run]
        if isinstance(base, str):
            out.append(_Heading(base, places[0], places[-1], LEVEL_COLOURS.get(base, INK)))
        else:
            out.append(_Heading(columns[places[0]], places[0], places[0], INK))
    return out


def _level(label: str) -> str | None:
    """The level of a column such as ``backbone 3``."""
    match = re.fullmatch(r"(.+) \d+", label)
    return match[1] if match and match[1] in LEVEL_COLOURS else None


def _gaps(headings: list[_Heading], columns: int) -> tuple[int, ...]:
    """Dots after each column but the last: wider where a group of several columns begins or ends."""
    edges = {edge for _, first, last, _ in headings if last > first for edge in (first - 1, last)}
    return tuple(_GROUP_GUTTER if column in edges else _GUTTER for column in range(columns - 1))


def _lefts(width: int, gaps: tuple[int, ...]) -> list[int]:
    """Left edge of each column, in dots."""
    return [0, *itertools.accumulate(width + gap for gap in gaps)]


def _wrapped(text: str, letters: int) -> str:
    """A row label in lines of so many letters; its own line breaks and long words stay."""
    lines = [line for part in text.split("\n") for line in textwrap.wrap(part, letters, break_long_words=False)]
    return "\n".join(lines)


def _dots(millimetres: float) -> int:
    return round(millimetres / 25.4 * DPI)


@cache  # outlines are slow to measure, and the panels of a report have the same labels
def _text_width(text: str) -> float:
    """Width in mm of the longest line of a text, in the small size of the theme that is on."""
    from matplotlib.textpath import TextPath

    # Not as extents of paths, which take ten times as long: a letter ends rightmost in a vertex.
    lines = [TextPath((0, 0), line, size=SMALL).vertices for line in text.split("\n") if line.strip()]
    return max((np.max(line, axis=0, initial=0)[0] for line in lines), default=0.0) / 72 * 25.4


@theme()
def draw_maps(maps: torch.Tensor, labels: Sequence[str], unit: str) -> Figure:
    """Maps ``[K, H, W]`` with their labels above and one colour bar at the right; dark is 0."""
    values = maps.float().cpu().numpy()
    count = len(values)
    side = min(_SIDE, (TEXT_WIDTH - _BAR - _GAP * (count - 1)) / count)
    width, height = count * side + (count - 1) * _GAP + _BAR, side + _BOTTOM + _TITLE
    figure = new_figure(width, height)
    for place, (value, label) in enumerate(zip(values, labels, strict=True)):
        axes = figure.add_axes((place * (side + _GAP) / width, _BOTTOM / height, side / width, side / height))
        shown = axes.imshow(value, cmap="cividis", vmin=0, vmax=float(values.max()), interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(label, fontsize=NORMAL, pad=3)
    bar = figure.add_axes(((width - _BAR + 2) / width, _BOTTOM / height, 2.5 / width, side / height))
    figure.colorbar(shown, cax=bar).set_label("\n".join(textwrap.wrap(unit, _UNIT)))
    bar.spines[:].set_linewidth(0)
    return figure
