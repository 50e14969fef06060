"""Panels: labelled grids of images, every pixel of an image an exact square of printed dots.

The grid is put together as one array at an integer nearest-neighbour upscaling and placed on the page dot for dot at
300 dpi, so that small images stay crisp and nothing is resampled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.textpath import TextPath
from matplotlib.font_manager import FontProperties

from reports.style import DPI, INK, SMALL, TEXT_WIDTH, new_figure, theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from probes.panels import Panel

_GUTTER = 8  # dots between images
_LARGEST = 17.0  # mm: an image is never printed larger
_MARGIN = 1.5  # mm between labels and images
_HEAD = 4.5  # mm above the images, for column labels


def compose(images: np.ndarray, scale: int, gutter: int = _GUTTER) -> np.ndarray:
    """Put images into one array.

    Args:
        images: ``[R, C, 3, H, W]`` in [0, 1].
        scale: Integer by which each pixel is repeated along both sides.
        gutter: White dots between neighbouring images.

    Returns:
        ``[R * H * scale + (R - 1) * gutter, C * W * scale + (C - 1) * gutter, 3]``, uint8.
    """
    rows, columns, _, height, width = images.shape
    height, width = height * scale, width * scale
    out = np.full((rows * (height + gutter) - gutter, columns * (width + gutter) - gutter, 3), 255, np.uint8)
    pixels = np.rint(images.clip(0, 1) * 255).astype(np.uint8).transpose(0, 1, 3, 4, 2)
    pixels = pixels.repeat(scale, axis=2).repeat(scale, axis=3)
    for row in range(rows):
        for column in range(columns):
            y, x = row * (height + gutter), column * (width + gutter)
            out[y : y + height, x : x + width] = pixels[row, column]
    return out


def draw_panel(panel: Panel) -> Figure:
    """The panel with its row labels at the left and its column labels above, as wide as fits the text block."""
    images = panel.images.float().cpu().numpy()
    columns, width = images.shape[1], images.shape[-1]
    label = max((_text_width(text) for text in panel.rows), default=0.0) + _MARGIN
    head = _HEAD if any(panel.columns) else 0.5
    room = int((TEXT_WIDTH - label) / 25.4 * DPI)
    largest = min((room + _GUTTER) // columns - _GUTTER, int(_LARGEST / 25.4 * DPI))
    picture = compose(images, max(1, largest // width))
    dots_high, dots_wide = picture.shape[:2]
    left, top = round(label / 25.4 * DPI), round(head / 25.4 * DPI)
    total_wide, total_high = left + dots_wide, top + dots_high
    step_x, step_y = (dots_wide + _GUTTER) / columns, (dots_high + _GUTTER) / images.shape[0]
    with theme():
        figure = new_figure(total_wide / DPI * 25.4, total_high / DPI * 25.4)
        axes = figure.add_axes((left / total_wide, 0, dots_wide / total_wide, dots_high / total_high))
        axes.imshow(picture, interpolation="none", aspect="auto")
        axes.set_axis_off()
        for row, text in enumerate(panel.rows):
            y = 1 - (top + (row + 0.5) * step_y - _GUTTER / 2) / total_high
            figure.text((left - _MARGIN / 25.4 * DPI) / total_wide, y, text, ha="right", va="center", color=INK)
        for column, text in enumerate(panel.columns):
            x = (left + (column + 0.5) * step_x - _GUTTER / 2) / total_wide
            figure.text(x, 1 - 0.7 * top / total_high, text, ha="center", va="baseline", color=INK)
    return figure


def _text_width(text: str) -> float:
    """Width in mm of text in the theme's small size."""
    if not text.strip():
        return 0.0
    with theme():
        extents = [TextPath((0, 0), line, size=SMALL, prop=FontProperties()).get_extents() for line in text.split("\n")]
    return max(extent.x1 for extent in extents) / 72 * 25.4
