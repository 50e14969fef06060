"""How near to real images each kind of pictures comes, how varied it is, and how near to known images: three plots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reports.style import INK, TEXT_WIDTH, level_handles, level_looks, new_figure, theme

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.figure import Figure

_ROW, _FRAME, _LEGEND = 7.0, 18.0, 6.0  # mm: a kind; titles and axis labels; the legend


def draw_kinds(table: pd.DataFrame, *, real: str, labels: Mapping[str, str], distance: str) -> Figure:
    """Dots with intervals, a row for each kind of pictures and a colour for each level.

    Args:
        table: As `probes.neighbourhood.analysis.kind_table`.
        real: The kind of real images themselves, drawn as a line.
        labels: What to print for each kind.
        distance: What the squared Frechet distance is called.
    """
    looks = level_looks(level for level in table["level"] if level)
    order = [kind for kind in labels if kind in set(table["kind"]) and kind != real][::-1]
    titles = {"frechet": distance, "diversity": "diversity", "nearest": "nearest known image"}
    shifts = np.linspace(0.16, -0.16, len(looks)) if len(looks) > 1 else [0.0]
    with theme():
        height = _FRAME + _LEGEND + _ROW * len(order)
        figure = new_figure(TEXT_WIDTH, height)
        grid = figure.subplots(1, len(titles), sharey=True)
        for axes, (name, title) in zip(grid, titles.items(), strict=True):
            for shift, (level, (colour, marker)) in zip(shifts, looks.items(), strict=True):
                rows = table[table["level"] == level].set_index("kind").reindex(order)
                y = np.arange(len(order)) + shift
                axes.hlines(y, rows[f"{name}_low"], rows[f"{name}_high"], color=colour, lw=1.2)
                axes.plot(rows[name], y, marker, color=colour, ms=4, mec="white", mew=0.4)
            axes.axvline(table.loc[table["kind"] == real, name].item(), color=INK, lw=0.8, ls=(0, (4, 2)), zorder=0)
            axes.set_xlim(0, None)
            axes.set_title(title, loc="left")
            axes.grid(axis="y")
            axes.set_axisbelow(True)
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_visible(False)
        grid[0].set_xlabel("from other real images")
        grid[1].set_xlabel("1: as two real images")
        grid[2].set_xlabel("1: as two real images")
        grid[0].set_yticks(range(len(order)), [labels[kind] for kind in order])
        grid[0].set_ylim(-0.6, len(order) - 0.4)
        figure.legend(handles=level_handles(looks), loc="lower left", ncols=len(looks), bbox_to_anchor=(0, 0))
        figure.tight_layout(pad=0.3, w_pad=1.5, rect=(0, _LEGEND / height, 1, 1))
    return figure
