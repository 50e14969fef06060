"""Several encoders in one figure: a plot for each side by side, on one list of rows, so that the eye can run along one.

What a colour, a marker and a place mean is the same in every plot; the legend and the axis label stand once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reports import style
from reports.style import (
    DASHED,
    HAIR,
    INK,
    LEGEND,
    MUTED,
    TEXT_WIDTH,
    entry,
    legend_below,
    level_looks,
    new_figure,
    theme,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW, _MARK = 3.6, 0.65  # mm: a row, and each of the marks in it where they are many
_FRAME = 15.0  # mm: titles and axis label
_ACROSS = 6  # plots in a line
PALE = "#f5f6f8"  # of every other row
_LETTERS = 72  # of titles, that fit beside each other
_TICKS = 10  # of all plots in a line, that fit beside each other


@dataclass(frozen=True)
class Axis:
    """What dots lie along.

    Attributes:
        unit: What the numbers are.
        line: Drawn dashed.
        band: From 0 to here, shaded.
        least: Where the axis begins at the latest; an arrow at the edge stands for what lies beyond.
        longest: Intervals this many times as long as the middle one do not stretch the axis, and are cut at its edge.
    """

    unit: str
    line: float = 0.0
    band: float = 0.0
    least: float = -math.inf
    longest: float = math.inf


def draw_by_encoder(
    table: pd.DataFrame,
    axis: Axis,
    *,
    row: str,
    labels: Mapping[str, str],
    series: Mapping[str, str],
    tick: Sequence[str] = (),
    levels: Sequence[str] = (),
) -> Figure:
    """Dots with intervals: a plot for each encoder, a colour for each level.

    Args:
        table: One row an (``encoder``, ``level``, row), with a column for each series and its ``_low`` and ``_high``.
        axis: What they lie along, the same in every plot.
        row: Column that tells the rows apart.
        labels: What to print for each row, from the top; only these are drawn.
        series: Columns to draw, at most three, with what to call them: filled, open, a cross. Those of which no row has
            more than one stand on one line.
        tick: A column that is drawn as a tick, and what to call it.
        levels: All that there are, in order, where a level has to look the same in the figures of other tables.
    """
    table = table[table[row].isin(list(labels))]
    rows = [name for name in labels if name in set(table[row])][::-1]
    encoders, drawn = list(dict.fromkeys(table["encoder"])), set(table["level"])
    looks = {level: look for level, look in level_looks([*levels, *table["level"]]).items() if level in drawn}
    beside = max(1, int(table[list(series)].notna().sum(axis=1).max()))
    shifts = np.linspace(0.34, -0.34, len(looks) * beside) if len(looks) * beside > 1 else np.zeros(1)
    points, lows, highs = (table[[f"{name}{end}" for name in series]].to_numpy(float) for end in ("", "_low", "_high"))
    is_long = highs - lows > axis.longest * np.nanmedian(highs - lows)
    numbers = np.where(is_long, points, [points, lows, highs])
    low, high = min(axis.line, float(np.nanmin(numbers))), max(axis.line, float(np.nanmax(numbers)))
    edge = max(low, axis.least)
    room = 0.04 * (high - edge or 1.0)
    with theme():
        told = zip(series.values(), "oox", (INK, "white", "white"), strict=False) if len(series) > 1 else ()
        entries = [
            *(entry(level, marker, colour) for level, (colour, marker) in looks.items()),
            *(entry(label, marker, mfc=face) for label, marker, face in told),
            *(entry(label, "|") for label in tick[1:]),
        ]
        across = min(len(encoders), _ACROSS)
        titles = _titles(encoders, across)
        height = _FRAME + style.TITLE * _more(titles) + max(_ROW, _MARK * (len(shifts) + 1)) * len(rows)
        figure, plots = style.small_plots(len(encoders), across, height, sharex=True, sharey=True)
        figure.set_figheight(figure.get_figheight() + LEGEND / 25.4)
        for axes, encoder, title in zip(plots, encoders, titles, strict=False):
            for place, (level, (colour, marker)) in enumerate(looks.items()):
                own = table[(table["encoder"] == encoder) & (table["level"] == level)].set_index(row).reindex(rows)
                for number, name in enumerate(series):
                    y = np.arange(len(rows)) + shifts[place * beside + number % beside]
                    look = colour, (marker, marker, "x")[number], "white" if number else colour
                    dots_from(edge, axes, own, name, y, look)
                if tick:
                    middle = np.arange(len(rows)) + shifts[place * beside : (place + 1) * beside].mean()
                    axes.plot(own[tick[0]], middle, "|", color=INK, ms=5, mew=0.9)
            for place in range(0, len(rows), 2):
                axes.axhspan(place - 0.5, place + 0.5, color=PALE, lw=0, zorder=0)
            axes.axvspan(0, axis.band, color=HAIR, alpha=0.6 if axis.band else 0, lw=0, zorder=0)
            axes.axvline(axis.line, color=MUTED, lw=0.8, ls=DASHED, zorder=1)
            axes.tick_params(axis="y", length=0)
            axes.tick_params(axis="x", labelbottom=True)
            axes.spines["left"].set_visible(False)
            axes.set_title(title)
        if len(encoders) > 1:
            plots[0].locator_params(axis="x", nbins=max(2, _TICKS // across))
        plots[0].set_xlim(edge - room, high + room)
        plots[0].set_yticks(range(len(rows)), [labels[name] for name in rows])
        plots[0].set_ylim(-0.6, len(rows) - 0.4)
        legend_below(figure, *entries, unit=axis.unit, apart=0.8)
    return figure


def draw_matrices_by_encoder(
    tables: Mapping[tuple[str, str], np.ndarray], *, rows: Sequence[str], columns: Sequence[str], full: float, unit: str
) -> Figure:
    """Matrices as colours: a column for each encoder, a line for each level.

    Args:
        tables: By encoder and level, ``[R, C]``.
        rows: Labels of the R rows.
        columns: Labels of the C columns.
        full: Number that is drawn in the darkest colour, red; its negative in the darkest blue.
        unit: What the numbers are.
    """
    encoders, looks = list(dict.fromkeys(encoder for encoder, _ in tables)), level_looks(level for _, level in tables)
    with theme():
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        shades = ScalarMappable(Normalize(-full, full), "RdBu_r")
        titles = _titles(encoders, len(encoders))
        figure = new_figure(TEXT_WIDTH, 16 + style.TITLE * _more(titles) + len(looks) * (6 + 3.3 * len(rows)) + 8)
        grid = figure.subplots(len(looks), len(encoders), sharex=True, sharey=True, squeeze=False)
        for line, (level, (colour, _)) in zip(grid, looks.items(), strict=True):
            for axes, encoder in zip(line, encoders, strict=True):
                axes.tick_params(length=0)
                axes.spines[:].set_color(HAIR)
                if (encoder, level) in tables:
                    axes.imshow(tables[encoder, level], cmap=shades.cmap, norm=shades.norm, aspect="auto")
            line[0].set_ylabel(level, color=colour, fontweight="bold")
        for axes, title in zip(grid[0], titles, strict=True):
            axes.set_title(title)
        for axes in grid[-1]:
            axes.set_xticks(range(len(columns)), columns, rotation=60, ha="right", rotation_mode="anchor")
        for axes in grid[:, 0]:
            axes.set_yticks(range(len(rows)), rows)
        figure.tight_layout(pad=0.3, w_pad=0.6, h_pad=0.8, rect=(0, 0, 0.89, 1))
        bar = figure.add_axes((0.9, 0.3, 0.012, 0.5))
        figure.colorbar(shades, cax=bar, label=unit)
    return figure


def dots_from(
    edge: float, axes: Axes, rows: pd.DataFrame, name: str, y: np.ndarray, look: tuple[str, str, str], size: float = 3.2
) -> None:
    """Numbers, each a dot on the line of its interval, and an arrow at the edge for one below; the look with a face."""
    colour, marker, face = look
    axes.hlines(y, rows[f"{name}_low"], rows[f"{name}_high"], color=colour, lw=0.9)
    beyond = rows[name] < edge
    for values, shape in ((rows[name].mask(beyond), marker), (rows[name].where(beyond).clip(edge), "<")):
        axes.plot(values, y, shape, color=colour, mfc=face, ms=size, mew=0.9, clip_on=False)


def _titles(encoders: Sequence[str], across: int) -> list[str]:
    """Names of encoders over their plots, in lines, so that none runs into the next."""
    return [style.folded(encoder, max(6, _LETTERS // across)) for encoder in encoders]


def _more(titles: Sequence[str]) -> int:
    """Lines of titles besides the first."""
    return max(title.count("\n") for title in titles)
