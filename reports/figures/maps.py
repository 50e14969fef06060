"""Maps of a number over the pixels of the image, side by side on one colour scale, so that they can be compared."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from reports.style import NORMAL, TEXT_WIDTH, new_figure, theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from reports.panels import Map

_SIDE, _GAP, _BAR, _TITLE, _BOTTOM = 33.0, 3.0, 23.0, 6.0, 1.8  # mm
_WRAP = 20  # letters in a line beside the colour bar


def draw_maps(maps: Map) -> Figure:
    """The maps with their labels above and one colour bar at the right; dark is 0."""
    values = maps.values.float().cpu().numpy()
    count = len(values)
    side = min(_SIDE, (TEXT_WIDTH - _BAR - _GAP * (count - 1)) / count)
    width, height = count * side + (count - 1) * _GAP + _BAR, side + _BOTTOM + _TITLE
    with theme():
        figure = new_figure(width, height)
        for place, (value, label) in enumerate(zip(values, maps.labels, strict=True)):
            axes = figure.add_axes((place * (side + _GAP) / width, _BOTTOM / height, side / width, side / height))
            shown = axes.imshow(value, cmap="cividis", vmin=0, vmax=float(values.max()), interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_title(label, fontsize=NORMAL, pad=3)
        bar = figure.add_axes(((width - _BAR + 2) / width, _BOTTOM / height, 2.5 / width, side / height))
        figure.colorbar(shown, cax=bar).set_label("\n".join(textwrap.wrap(maps.unit, _WRAP)))
        bar.spines[:].set_linewidth(0)
    return figure
