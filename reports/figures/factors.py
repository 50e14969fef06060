"""Present and rendered: for each factor, what a linear readout finds in ``h`` beside what the samples show of it.

Two dots joined by a line. Filled: the factor is *present* in ``h``. Open: it is *rendered*, read by the judge off the
samples. A long line to the left of a filled dot is information that is in ``h`` and that the decoder did not draw. An
arrow at the left edge stands for a dot beyond it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reports.figures.by_encoder import dots_from
from reports.style import LEGEND, MUTED, TEXT_WIDTH, as_list, entry, legend_below, level_looks, new_figure, theme, ticks

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW, _FRAME = 5.2, 16.5  # mm: a factor; titles and axis labels
_FLOOR = -1.2  # samples that vary as freely as scenes score -1; what lies far below crowds out the rest


def factor_lists(
    table: pd.DataFrame, labels: Mapping[str, str], unit: str
) -> tuple[Figure, list[tuple[Axes, pd.DataFrame, str]]]:
    """A figure of one plot a level, each a list of the factors of a table in the order of ``labels``.

    Returns:
        The figure, and of each level its plot, its rows by factor, from below, and its colour.
    """
    looks = level_looks(table["level"])
    order = [factor for factor in labels if factor in set(table["factor"])][::-1]
    figure = new_figure(TEXT_WIDTH, _FRAME + LEGEND + _ROW * len(order))
    grid = figure.subplots(1, len(looks), sharey=True, sharex=True, squeeze=False)[0]
    plots = []
    for axes, (level, (colour, _)) in zip(grid, looks.items(), strict=True):
        as_list(axes, [labels[factor] for factor in order], title=level, colour=colour, unit=unit)
        plots.append((axes, table[table["level"] == level].set_index("factor").reindex(order), colour))
    return figure, plots


@theme()
def draw_factors(factors: pd.DataFrame, *, labels: Mapping[str, str]) -> Figure:
    """Dumbbells, one plot a level, factors in the order of ``labels``.

    Args:
        factors: One row a (level, factor): ``present`` and ``rendered``, each with ``_low`` and ``_high``; ``chance``,
            what guessing gives, drawn as a tick.
        labels: What to print for each factor.
    """
    rendered = factors["rendered"].notna().any()
    figure, plots = factor_lists(factors, labels, "R² (class: accuracy)")
    low = float(factors[["present_low", "rendered_low"]].min().min())
    edge = max(_FLOOR, min(-0.04, low - 0.03))
    for axes, rows, colour in plots:
        places = np.arange(len(rows))
        axes.plot(rows["chance"], places, "|", color=MUTED, ms=9, mew=1.2)
        axes.hlines(places, rows["present"], rows["rendered"], color=colour, lw=2.6, alpha=0.22)
        dots_from(edge, axes, rows, "present", places + 0.14, (colour, "o", colour), 4.2)
        dots_from(edge, axes, rows, "rendered", places - 0.14, (colour, "o", "white"), 4.2)
        axes.grid(axis="x")
    ticks(axes.xaxis, apart=0.5 if rendered else 0.2)
    axes.set_xlim(edge, 1.04)
    drawn = [entry("rendered in samples", "o", mfc="white")] if rendered else []
    legend_below(figure, entry("present in h", "o"), *drawn, entry("guessing", "|", MUTED, ms=7, mew=1.2))
    return figure
