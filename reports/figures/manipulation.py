"""Edits and directions of representations: edits against their controls, responses to directions, side effects.

``draw_edits`` sets the common dimensions (filled) beside random ones (open, and a cross for those that move ``h`` as
far). ``draw_side_effects`` is a matrix: rows are moved, columns are read, and a clean direction has its one dark cell
on the diagonal.
"""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from reports import style
from reports.style import HAIR, INK, LEGEND, MUTED, NORMAL, SMALL, TEXT_WIDTH, level_looks, new_figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW, _FRAME = 5.2, 19.0  # mm: a factor; titles and axis labels
_ACROSS, _PLOT = 4, 34.0  # plots in a line of responses, and the height of one in mm
_FULL = 1.0  # change that is drawn in the darkest colour, in standard deviations of the factor read


@style.theme()
def draw_by_factor(
    table: pd.DataFrame,
    *,
    series: Mapping[str, str],
    labels: Mapping[str, str],
    unit: str,
    bounds: Mapping[str, float] = MappingProxyType({}),
) -> Figure:
    """A number of each factor beside its controls, one plot a level.

    Args:
        table: One row a (``level``, ``factor``), with a column for each series; its ``_low`` and ``_high``, if known.
        series: Columns to draw, at most three, with what to call them; the first is what the others are controls of.
        labels: What to print for each factor, in the order of the rows.
        unit: What the numbers are.
        bounds: What a verdict asks of a factor.
    """
    looks = level_looks(table["level"])
    order = [factor for factor in labels if factor in set(table["factor"])][::-1]
    drawn = [(name, marker, name == next(iter(series))) for name, marker in zip(series, "oox", strict=False)]
    figure = new_figure(TEXT_WIDTH, _FRAME + LEGEND + _ROW * len(order))
    grid = figure.subplots(1, len(looks), sharey=True, sharex=True, squeeze=False)[0]
    for axes, (level, (colour, _)) in zip(grid, looks.items(), strict=True):
        rows = table[table["level"] == level].set_index("factor").reindex(order)
        for (name, marker, first), shift in zip(drawn, np.linspace(0.22, -0.22, len(drawn)), strict=True):
            y = np.arange(len(order)) + shift
            if f"{name}_low" in rows:
                style.dots(axes, rows, name, y, (colour, marker), filled=first)
            else:
                axes.plot(rows[name], y, marker, color=colour, ms=3.6)
        for factor, bound in bounds.items():
            axes.vlines(bound, order.index(factor) - 0.45, order.index(factor) + 0.45, color=INK, lw=1.0)
        axes.axvline(0, color=INK, lw=0.8, ls=style.DASHED, zorder=0)
        style.as_list(axes, [labels[factor] for factor in order])
        axes.set_title(level, loc="left", color=colour)
        axes.set_xlabel(unit)
    handles = [
        Line2D([], [], color=INK, marker=marker, mfc=INK if first else "white", ls="none", label=series[name])
        for name, marker, first in drawn
    ]
    if bounds:
        handles.append(Line2D([], [], color=INK, marker="|", ms=13, ls="none", label="bound of the verdict"))
    style.legend_below(figure, handles)
    return figure


@style.theme()
def draw_responses(table: pd.DataFrame, *, labels: Mapping[str, str]) -> Figure:
    """How each factor follows its own direction, one plot a factor and a curve a level.

    Args:
        table: One row a (``level``, ``factor``, ``strength``), with ``change``, ``change_low`` and ``change_high``.
        labels: What to print for each factor.
    """
    looks = level_looks(table["level"])
    order = [factor for factor in labels if factor in set(table["factor"])]
    lines = math.ceil(len(order) / _ACROSS)
    height = _PLOT * lines + LEGEND + 3
    figure = new_figure(TEXT_WIDTH, height)
    grid = figure.subplots(lines, _ACROSS, sharex=True, sharey=True, squeeze=False)
    for axes in grid.flat[len(order) :]:
        axes.set_visible(False)
    for axes, factor in zip(grid.flat, order, strict=False):
        for level, (colour, marker) in looks.items():
            rows = table[(table["level"] == level) & (table["factor"] == factor)]
            x, middle, low, high = (
                _through_zero(rows["strength"], rows[name])
                for name in ("strength", "change", "change_low", "change_high")
            )
            axes.plot(x, middle, color=colour, marker=marker, ms=3.2, mec="white", mew=0.4)
            axes.fill_between(x, low, high, color=colour, alpha=0.15, lw=0)
        axes.axhline(0, color=MUTED, lw=0.6, zorder=0)
        axes.axvline(0, color=MUTED, lw=0.6, zorder=0)
        axes.set_title(labels[factor], loc="left", fontsize=SMALL)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    figure.supxlabel("how far h is moved, standard deviations of the readout", fontsize=NORMAL, y=LEGEND / height)
    figure.supylabel("change of the factor", fontsize=NORMAL, x=0.005)
    style.legend_below(figure, style.level_handles(looks, line=True), left=0.025, above=2.5)
    return figure


@style.theme()
def draw_side_effects(table: pd.DataFrame, *, labels: Mapping[str, str]) -> Figure:
    """The matrix of factors moved (rows) and factors read (columns), a plot a level.

    Args:
        table: One row a (``level``, ``moved``, ``read``), with ``change``.
        labels: What to print for each factor; the class is read and not moved.
    """
    looks = level_looks(table["level"])
    moved = [factor for factor in labels if factor in set(table["moved"])]
    read = [*moved, "class"]
    across = min(2, len(looks))
    lines = math.ceil(len(looks) / across)
    figure = new_figure(TEXT_WIDTH, (_ROW * len(moved) + 33) * lines)
    grid = figure.subplots(lines, across, sharey=True, squeeze=False)
    for axes in grid.flat[len(looks) :]:
        axes.set_visible(False)
    for axes, (level, (colour, _)) in zip(grid.flat, looks.items(), strict=False):
        rows = table[table["level"] == level].set_index(["moved", "read"])["change"]
        _matrix(axes, rows.unstack().loc[moved, read].to_numpy())
        axes.set_title(level, loc="left", color=colour)
        names = [labels[factor] for factor in read]
        axes.set_xticks(range(len(read)), names, rotation=50, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(moved)), names[:-1])
        axes.set_xlabel("read off the samples")
    for line in grid:
        line[0].set_ylabel("moved in h")
    figure.tight_layout(pad=0.3, w_pad=1.2)
    return figure


def _matrix(axes: Axes, values: np.ndarray) -> None:
    """Cells with their numbers, coloured by size and sign; the last column is set off."""
    axes.imshow(values, cmap="RdBu_r", vmin=-_FULL, vmax=_FULL, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        text = f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")
        shade = "white" if abs(value) > 0.6 * _FULL else INK
        weight = "bold" if row == column else "normal"
        axes.text(column, row, text, ha="center", va="center", fontsize=6, color=shade, fontweight=weight)
    axes.axvline(values.shape[1] - 1.5, color="white", lw=3)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_color(HAIR)


def _through_zero(strengths: Sequence[float], values: Sequence[float]) -> np.ndarray:
    """Values along ascending strengths, with the untouched representation, where nothing changes, at 0."""
    return np.insert(np.asarray(values, dtype=float), np.searchsorted(np.asarray(strengths, dtype=float), 0.0), 0.0)
