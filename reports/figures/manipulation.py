"""Edits and directions of representations: edits against their controls, responses to directions, side effects.

``draw_edits`` sets the common dimensions (filled) beside random ones (open, and a cross for those that move ``h`` as
far). ``draw_side_effects`` is a matrix: rows are moved, columns are read, and a clean direction has its one dark cell
on the diagonal.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from reports import style
from reports.figures.factors import factor_lists
from reports.style import HAIR, INK, MUTED, NORMAL, SMALL, level_looks

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW = 5.2  # mm: a factor
_ACROSS, _PLOT = 4, 38.0  # plots in a line of responses, and the height of one in mm, with its share of the legend
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
    first = next(iter(series))
    figure, plots = factor_lists(table, labels, unit)
    markers = dict(zip(series, "oox", strict=False))
    for axes, rows, colour in plots:
        for (name, marker), shift in zip(markers.items(), np.linspace(0.22, -0.22, len(series)), strict=True):
            y = np.arange(len(rows)) + shift
            if f"{name}_low" in rows:
                style.dots(axes, rows, name, y, (colour, marker), filled=name == first)
            else:
                axes.plot(rows[name], y, marker, color=colour, ms=3.6)
        for factor, bound in bounds.items():
            place = rows.index.get_loc(factor)
            axes.vlines(bound, place - 0.45, place + 0.45, color=INK, lw=1.0)
        axes.axvline(0, color=INK, lw=0.8, ls=style.DASHED, zorder=0)
    faces = {name: INK if name == first else "white" for name in series}
    handles = [style.entry(series[name], marker, mfc=faces[name]) for name, marker in markers.items()]
    style.legend_below(figure, *handles, *([style.entry("bound of the verdict", "|", ms=13)] if bounds else []))
    return figure


@style.theme()
def draw_responses(table: pd.DataFrame, *, labels: Mapping[str, str]) -> Figure:
    """How each factor follows its own direction, one plot a factor and a curve a level.

    Args:
        table: One row a (``level``, ``factor``, ``strength``), with ``change``, ``change_low`` and ``change_high``.
        labels: What to print for each factor.
    """
    order = [factor for factor in labels if factor in set(table["factor"])]
    figure, plots = style.small_plots(len(order), _ACROSS, _PLOT, sharex=True, sharey=True)
    for axes, factor in zip(plots, order, strict=False):
        for level, look in level_looks(table["level"]).items():
            rows = table[(table["level"] == level) & (table["factor"] == factor)]
            style.curve(axes, rows, "change", look, label=level)
        axes.axhline(0, color=MUTED, lw=0.6, zorder=0)
        axes.axvline(0, color=MUTED, lw=0.6, zorder=0)
        axes.set_title(labels[factor], loc="left", fontsize=SMALL)
        style.ticks(axes.xaxis, 5, integer=True)
    figure.supylabel("change of the factor", fontsize=NORMAL, x=0.005)
    style.legend_below(figure, unit="how far h is moved, standard deviations of the readout", left=0.025)
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
    figure, plots = style.small_plots(len(looks), across, _ROW * len(moved) + 33, sharey=True)
    for axes, (level, (colour, _)) in zip(plots, looks.items(), strict=False):
        rows = table[table["level"] == level].set_index(["moved", "read"])["change"]
        _matrix(axes, rows.unstack().loc[moved, read].to_numpy())
        axes.set_title(level, loc="left", color=colour)
        names = [labels[factor] for factor in read]
        axes.set_xticks(range(len(read)), names, rotation=50, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(moved)), names[:-1])
        axes.set_xlabel("read off the samples")
    for axes in plots[::across]:
        axes.set_ylabel("moved in h")
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
    axes.spines[:].set_color(HAIR)
