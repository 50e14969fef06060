"""Figures of the interpolation probe: how well factors follow a path, how far they get, and where the samples lie."""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING

from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, MultipleLocator

from reports.style import INK, MUTED, TEXT_WIDTH, level_handles, level_looks, new_figure, theme

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW, _FRAME, _LEGEND = 5.6, 21.0, 5.0  # mm: a factor; titles, axis labels and legend; of these the legend
_COLUMNS, _PLOT = 4, 38.0  # small plots in a row; mm for each row
_STROKES = ("-", (0, (5, 2)), (0, (1, 1.5)))  # of the first path, the second, the control
_OWN, _FIRST, _SECOND = "#009E73", "#56B4E9", "#E69F00"

ALL = "all differing factors"


def draw_orders(
    factors: pd.DataFrame, orders: pd.DataFrame, *, path: str, control: str, bound: float, labels: Mapping[str, str]
) -> Figure:
    """Spearman's correlation of each factor, one plot a level, with both controls.

    Args:
        factors: `analyses.interpolation.factor_table`.
        orders: `analyses.interpolation.order_table`.
        path: The path that is drawn with its intervals.
        control: The path that is its control.
        bound: What the verdict asks of the mean over factors; marked in its row.
        labels: What to print for each factor, in order.
    """
    looks = level_looks(orders["level"])
    found = set(factors["factor"])
    order = [ALL, *[factor for factor in labels if factor in found][::-1]]
    everything = orders.assign(factor=ALL)
    with theme():
        height = _FRAME + _ROW * len(order)
        figure = new_figure(TEXT_WIDTH, height)
        grid = figure.subplots(1, len(looks), sharey=True, sharex=True, squeeze=False)[0]
        for axes, (level, (colour, _)) in zip(grid, looks.items(), strict=True):
            for place, factor in enumerate(order):
                table = everything if factor == ALL else factors
                rows = table[(table["level"] == level) & (table["factor"] == factor)].set_index("path")
                _order_row(axes, place, rows, path, control, colour)
            axes.plot([bound, bound], [-0.45, 0.45], color=INK, lw=1.0)
            axes.axvline(0, color=MUTED, lw=0.8, ls=(0, (4, 2)), zorder=0)
            axes.axhline(0.5, color=MUTED, lw=0.5, zorder=0)
            axes.set_title(level, loc="left", color=colour)
            axes.set_xlabel("Spearman's correlation with the position")
            axes.grid(axis="both")
            axes.set_axisbelow(True)
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_visible(False)
        grid[0].set_yticks(range(len(order)), [labels.get(factor, factor) for factor in order])
        grid[0].set_ylim(-0.6, len(order) - 0.4)
        grid[0].xaxis.set_major_locator(MultipleLocator(0.5))
        low = float(min(factors["spearman_low"].min(), orders["spearman_low"].min(), 0))
        grid[0].set_xlim(max(-1.04, min(-0.25, low - 0.05)), 1.04)
        handles = [
            Line2D([], [], color=INK, marker="o", ls="none", label=f"{path} path"),
            Line2D([], [], color=INK, marker="o", mfc="white", ls="none", label=control),
            Line2D([], [], color=INK, marker="|", ms=7, mew=1.4, ls="none", label="wrong end"),
            Line2D([], [], color=INK, marker="|", ms=13, mew=1.0, ls="none", label="bound of the verdict"),
        ]
        figure.legend(handles=handles, loc="lower left", ncols=len(handles), bbox_to_anchor=(0, 0), handletextpad=0.4)
        figure.tight_layout(pad=0.3, w_pad=1.5, rect=(0, _LEGEND / height, 1, 1))
    return figure


def _order_row(axes: Axes, place: int, rows: pd.DataFrame, path: str, control: str, colour: str) -> None:
    for name, y, face in ((control, place - 0.16, "white"), (path, place + 0.16, colour)):
        if name in rows.index:
            row = rows.loc[name]
            axes.hlines(y, row["spearman_low"], row["spearman_high"], color=colour, lw=1.1)
            axes.plot(row["spearman"], y, "o", color=colour, mfc=face, ms=4.2, mew=1.0)
    if path in rows.index:
        axes.plot(rows.loc[path, "wrong_end"], place, "|", color=INK, ms=8, mew=1.4)


def draw_trajectories(trajectories: pd.DataFrame, *, paths: Sequence[str], labels: Mapping[str, str]) -> Figure:
    """Mean progress of each factor along the paths, one small plot a factor, with the legend in the first free place.

    Args:
        trajectories: `analyses.interpolation.trajectory_table`.
        paths: The first has bands; the last is the control.
        labels: What to print for each factor, in order.
    """
    looks = level_looks(trajectories["level"])
    shown = [factor for factor in labels if factor in set(trajectories["factor"])]
    count = math.ceil((len(shown) + 1) / _COLUMNS)
    strokes = dict(zip(paths, (*_STROKES[: len(paths) - 1], _STROKES[-1]), strict=True))
    with theme():
        figure = new_figure(TEXT_WIDTH, _PLOT * count)
        grid = figure.subplots(count, _COLUMNS, sharey=True, sharex=True, squeeze=False)
        for place, (factor, axes) in enumerate(zip(shown, grid.flat, strict=False)):
            axes.plot([0, 1], [0, 1], color=MUTED, lw=0.8, zorder=1)
            for (level, (colour, _)), path in product(looks.items(), paths):
                chosen = (trajectories["level"] == level) & (trajectories["path"] == path)
                rows = trajectories[chosen & (trajectories["factor"] == factor)].sort_values("position")
                axes.plot(rows["position"], rows["progress"], color=colour, ls=strokes[path], lw=1.1)
                if path == paths[0]:
                    axes.fill_between(
                        rows["position"], rows["progress_low"], rows["progress_high"], color=colour, alpha=0.18, lw=0
                    )  # fmt: skip
            axes.set_title(labels[factor], loc="left")
            axes.grid(axis="y")
            axes.set_xlim(0, 1)
            axes.set_xticks([0, 0.5, 1], ["A", "½", "B"])
            axes.tick_params(labelbottom=True)
            if place % _COLUMNS == 0:
                axes.set_ylabel("way from A to B")
        grid.flat[0].yaxis.set_major_locator(MaxNLocator(5, steps=(1, 2, 5, 10)))
        for axes in grid.flat[len(shown) :]:
            axes.set_axis_off()
        handles = [
            *level_handles(looks, line=True),
            *(Line2D([], [], color=INK, ls=strokes[path], lw=1.1, label=path) for path in paths),
            Line2D([], [], color=MUTED, lw=0.8, label="straight from A to B"),
        ]
        for handle in handles:
            handle.set_marker("")
        grid.flat[len(shown)].legend(handles=handles, loc="center left", borderaxespad=0)
        figure.tight_layout(pad=0.3, h_pad=1.0, w_pad=0.6)
    return figure


def draw_approach(approach: pd.DataFrame, *, paths: Sequence[str]) -> Figure:
    """Distances of samples to their own point and to both ends against the position: a row a level, a column a path.

    Args:
        approach: `analyses.interpolation.approach_table`.
        paths: In order.
    """
    looks = level_looks(approach["level"])
    kinds = {
        "own": (_OWN, "o", "to its own point"),
        "first": (_FIRST, "s", "to h(A)"),
        "second": (_SECOND, "D", "to h(B)"),
    }
    with theme():
        height = _LEGEND + 42.0 * len(looks)
        figure = new_figure(TEXT_WIDTH, height)
        grid = figure.subplots(len(looks), len(paths), sharex=True, sharey="row", squeeze=False)
        for (level, (colour, _)), line in zip(looks.items(), grid, strict=True):
            for axes, path in zip(line, paths, strict=True):
                chosen = (approach["level"] == level) & (approach["path"] == path)
                rows = approach[chosen].sort_values("position")
                for name, (shade, marker, _) in kinds.items():
                    axes.fill_between(
                        rows["position"], rows[f"{name}_low"], rows[f"{name}_high"], color=shade, alpha=0.2, lw=0
                    )
                    axes.plot(rows["position"], rows[name], color=shade, marker=marker, ms=3.2, mec="white", mew=0.4)
                axes.set_title(f"{level}, {path}", loc="left", color=colour)
                axes.set_xlim(-0.03, 1.03)
                axes.set_xticks([0, 0.5, 1], ["A", "½", "B"])
                axes.tick_params(labelbottom=True)
                axes.grid(axis="y")
            line[0].set_ylabel("relative distance")
            line[0].set_ylim(bottom=0)
        handles = [
            Line2D([], [], color=shade, marker=marker, ms=3.2, label=f"from the sample {label}")
            for shade, marker, label in kinds.values()
        ]
        figure.legend(handles=handles, loc="lower left", ncols=len(handles), bbox_to_anchor=(0, 0))
        figure.tight_layout(pad=0.3, h_pad=1.0, w_pad=0.8, rect=(0, _LEGEND / height, 1, 1))
    return figure
