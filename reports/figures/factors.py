"""Present and rendered: for each factor, what a linear readout finds in ``h`` beside what the samples show of it.

Two dots joined by a line. Filled: the factor is *present* in ``h``. Open: it is *rendered*, read by the judge off the
samples. A long line to the left of a filled dot is information that is in ``h`` and that the decoder did not draw. An
arrow at the left edge stands for a dot beyond it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator

from reports.style import INK, LEGEND, MUTED, TEXT_WIDTH, as_list, legend_below, level_looks, new_figure, theme

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW, _FRAME = 5.2, 16.0  # mm: a factor; titles and axis labels
_FLOOR = -1.2  # samples that vary as freely as scenes score -1; what lies far below crowds out the rest


@theme()
def draw_factors(factors: pd.DataFrame, *, labels: Mapping[str, str]) -> Figure:
    """Dumbbells, one plot a level, factors in the order of ``labels``.

    Args:
        factors: One row a (level, factor): ``present`` and ``rendered``, each with ``_low`` and ``_high``; ``chance``,
            what guessing gives, drawn as a tick.
        labels: What to print for each factor.
    """
    looks = level_looks(factors["level"])
    order = [factor for factor in labels if factor in set(factors["factor"])][::-1]
    rendered = factors["rendered"].notna().any()
    figure = new_figure(TEXT_WIDTH, _FRAME + LEGEND + _ROW * len(order))
    grid = figure.subplots(1, len(looks), sharey=True, sharex=True, squeeze=False)[0]
    low = float(factors[["present_low", "rendered_low"]].min().min())
    edge = max(_FLOOR, min(-0.04, low - 0.03))
    for axes, (level, (colour, _)) in zip(grid, looks.items(), strict=True):
        _dumbbells(axes, factors[factors["level"] == level].set_index("factor").reindex(order), colour, edge)
        as_list(axes, [labels[factor] for factor in order])
        axes.grid(axis="x")
        axes.set_title(level, loc="left", color=colour)
        axes.set_xlabel("R² (class: accuracy)")
    grid[0].xaxis.set_major_locator(MultipleLocator(0.5 if rendered else 0.2))
    grid[0].set_xlim(edge, 1.04)
    drawn = Line2D([], [], color=INK, marker="o", mfc="white", ls="none", label="rendered in samples")
    handles = [
        Line2D([], [], color=INK, marker="o", ls="none", label="present in h"),
        *([drawn] if rendered else []),
        Line2D([], [], color=MUTED, marker="|", ms=7, mew=1.2, ls="none", label="guessing"),
    ]
    legend_below(figure, handles)
    return figure


def _dumbbells(axes: Axes, rows: pd.DataFrame, colour: str, edge: float) -> None:
    places = np.arange(len(rows))
    axes.plot(rows["chance"], places, "|", color=MUTED, ms=9, mew=1.2)
    axes.hlines(places, rows["present"], rows["rendered"], color=colour, lw=2.6, alpha=0.22)
    for name, y, face in (("present", places + 0.14, colour), ("rendered", places - 0.14, "white")):
        axes.hlines(y, rows[f"{name}_low"], rows[f"{name}_high"], color=colour, lw=1.1)
        beyond = rows[name] < edge
        for marker, x in (("o", rows[name].mask(beyond)), ("<", rows[name].where(beyond).clip(edge))):
            axes.plot(x, y, marker, color=colour, mfc=face, ms=4.2, mew=1.0, clip_on=False)
