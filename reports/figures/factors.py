"""Present and rendered: for each factor, what a linear readout finds in ``h`` beside what the samples show of it.

Two dots joined by a line. Filled: the factor is *present* in ``h``. Open: it is *rendered*, read by the judge off the
samples. A long line to the left of a filled dot is information that is in ``h`` and that the decoder did not draw. An
arrow at the left edge stands for a dot beyond it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator

from reports.style import INK, MUTED, TEXT_WIDTH, level_looks, new_figure, theme

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW, _FRAME, _LEGEND = 5.2, 21.0, 5.0  # mm: a factor; titles, axis labels and legend; of these the legend
_FLOOR = -1.2  # samples that vary as freely as scenes score -1; what lies far below crowds out the rest


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
    with theme():
        height = _FRAME + _ROW * len(order)
        figure = new_figure(TEXT_WIDTH, height)
        grid = figure.subplots(1, len(looks), sharey=True, sharex=True, squeeze=False)[0]
        low = float(factors[["present_low", "rendered_low"]].min().min())
        edge = max(_FLOOR, min(-0.04, low - 0.03))
        for axes, (level, (colour, _)) in zip(grid, looks.items(), strict=True):
            _dumbbells(axes, factors[factors["level"] == level].set_index("factor"), order, colour, edge)
            axes.set_title(level, loc="left", color=colour)
            axes.set_xlabel("R² (class: accuracy)")
        grid[0].set_yticks(range(len(order)), [labels[factor] for factor in order])
        grid[0].set_ylim(-0.6, len(order) - 0.4)
        grid[0].xaxis.set_major_locator(MultipleLocator(0.5 if rendered else 0.2))
        grid[0].set_xlim(edge, 1.04)
        handles = [
            Line2D([], [], color=INK, marker="o", ls="none", label="present in h"),
            *(
                [Line2D([], [], color=INK, marker="o", mfc="white", ls="none", label="rendered in samples")]
                * bool(rendered)
            ),
            Line2D([], [], color=MUTED, marker="|", ms=7, mew=1.2, ls="none", label="guessing"),
        ]
        figure.legend(handles=handles, loc="lower left", ncols=len(handles), bbox_to_anchor=(0, 0), handletextpad=0.1)
        figure.tight_layout(pad=0.3, w_pad=1.5, rect=(0, _LEGEND / height, 1, 1))
    return figure


def _dumbbells(axes: Axes, rows: pd.DataFrame, order: list[str], colour: str, edge: float) -> None:
    places = [place for place, factor in enumerate(order) if factor in rows.index]
    rows = rows.loc[[order[place] for place in places]]
    up, down = [p + 0.14 for p in places], [p - 0.14 for p in places]
    axes.plot(rows["chance"], places, "|", color=MUTED, ms=9, mew=1.2)
    axes.hlines(places, rows["present"], rows["rendered"], color=colour, lw=2.6, alpha=0.22)
    for name, y, face in (("present", up, colour), ("rendered", down, "white")):
        axes.hlines(y, rows[f"{name}_low"], rows[f"{name}_high"], color=colour, lw=1.1)
        beyond = rows[name] < edge
        axes.plot(rows[name].mask(beyond), y, "o", color=colour, mfc=face, ms=4.2, mew=1.0, clip_on=False)
        axes.plot(rows[name].where(beyond).clip(edge), y, "<", color=colour, mfc=face, ms=4.2, mew=1.0, clip_on=False)
    axes.grid(axis="both")
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
