"""Figures of fidelity: how near samples come to the real images beside them, and what solver and steps change.

Real images themselves, the floor that a perfect decoder reaches, are drawn in ink and dashed, with a grey band for
their interval.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from reports import style
from reports.style import DASHED, INK, LEGEND, MUTED, TEXT_WIDTH, as_list, dots, level_looks, new_figure

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analyses.bootstrap import Estimate

_ROW, _FRAME = 4.2, 17.0  # mm: a level; title and axis
_WRAP = 14  # letters: a line of a title; a feature space can have a long name
_HEIGHT = 46.0  # mm: a row of plots
_KIND = 7.0  # mm: a kind of pictures
_HISTOGRAM, _ACROSS = 26.0, 5  # mm: the height of one; in a row of them
_SOLVERS = {
    "sde-dpmsolver++": (style.SKY, "o"), "dpmsolver++": (style.AMBER, "v"), "unipc": (style.WINE, "s"),
    "ddim": (style.GREEN, "^"), "ddpm": (style.PINK, "D"),
}  # fmt: skip


@style.theme()
def draw_levels(
    table: pd.DataFrame, *, titles: Mapping[str, str], floor: pd.Series, chance: Mapping[str, float]
) -> Figure:
    """One plot a measure, one line a level: the value with its interval.

    Args:
        table: One row an (encoder, level), with the measures, their ``_low`` and ``_high``.
        titles: What to print for each measure, in order.
        floor: The row of the real images; a measure that it lacks has no floor.
        chance: What a decoder that ignores h would reach, by measure; dotted.
    """
    headings = [style.folded(title, _WRAP) for title in titles.values()]
    lines = max(heading.count("\n") for heading in headings)
    figure = new_figure(TEXT_WIDTH, _FRAME + style.TITLE * lines + _ROW * len(table) + LEGEND)
    grid = figure.subplots(1, len(titles), sharey=True, squeeze=False)[0]
    for axes, measure, heading in zip(grid, titles, headings, strict=True):
        _by_level(axes, table, measure)
        if measure in floor.index:
            _floor(axes, *(floor[f"{measure}{end}"] for end in ("", "_low", "_high")))
        if measure in chance:
            axes.axvline(chance[measure], color=MUTED, lw=0.9, ls=":", zorder=0, label="chance")
        axes.set_title(heading, loc="left")
        style.ticks(axes.xaxis, 4)
        axes.set_xlim(left=0)
    style.legend_below(figure)
    return figure


@style.theme()
def draw_solvers(table: pd.DataFrame, *, chosen: tuple[str, int], floor: Estimate, distance: str) -> Figure:
    """MRR, variance, Frechet distance and time of a picture against the number of steps, one line a solver.

    Args:
        table: As `probes.fidelity.solvers`.
        chosen: Solver and steps that are ringed.
        floor: The Frechet distance of real images.
        distance: What it is called.
    """
    present = {name: look for name, look in _SOLVERS.items() if name in set(table["solver"])}
    plots = {"mrr": "MRR", "variance": "variance within h", "frechet": distance, "milliseconds": "ms a picture"}
    shown = table.assign(milliseconds=1000 * table["seconds"])
    figure = new_figure(TEXT_WIDTH, _HEIGHT + LEGEND)
    for axes, (measure, title) in zip(figure.subplots(1, len(plots)), plots.items(), strict=True):
        for place, (name, (colour, marker)) in enumerate(present.items()):
            rows = shown[shown["solver"] == name].sort_values("steps")
            x = rows["steps"] * 1.03 ** (place - (len(present) - 1) / 2)  # beside each other, not on each other
            if f"{measure}_low" in rows:
                axes.vlines(x, rows[f"{measure}_low"], rows[f"{measure}_high"], color=colour, lw=0.9)
            axes.plot(x, rows[measure], f"{marker}-", color=colour, mec="white", mew=0.4, label=name)
            ring = rows["steps"] == chosen[1]
            if name == chosen[0]:
                axes.plot(x[ring], rows.loc[ring, measure], "o", mfc="none", mec=INK, ms=9, mew=0.9)
        if measure == "frechet":
            _floor(axes, floor.value, floor.low, floor.high, across=True)
        axes.set_xscale("log")
        axes.set_xticks(ticks := sorted(set(shown["steps"])), [str(tick) for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel("steps")
        axes.set_title(title, loc="left")
        axes.set_ylim(0, None)
        axes.grid(axis="y")
    style.legend_below(figure, style.entry("used in this report", "o", mfc="none", ms=7))
    return figure


@style.theme()
def draw_copies(distances: pd.DataFrame, table: pd.DataFrame, *, real: str) -> Figure:
    """Distances from the nearest training image, and how often it is nearer than any other image.

    Args:
        distances: Records ``nearest_training``; those of real images have no encoder.
        table: As `probes.fidelity.copies`.
        real: What real images are called in the table.
    """
    levels, own = table[table["encoder"] != real], table[table["encoder"] == real].iloc[0]
    looks = level_looks(levels["level"])
    figure = new_figure(TEXT_WIDTH, max(_HEIGHT, _FRAME + _ROW * len(levels)) + LEGEND)
    curves, shares = figure.subplots(1, 2, width_ratios=(1.2, 1))
    for (encoder, level), rows in distances.groupby(["encoder", "level"], sort=False):
        look = {"color": looks[level][0], "lw": 0.9} if encoder else {"color": INK, "lw": 1.6, "ls": DASHED}
        curves.ecdf(rows["value"], **look)
    curves.set_xlabel("difference from the nearest training image, per pixel")
    curves.set_ylabel("share of pictures")
    curves.set_xlim(left=0)
    curves.set_ylim(0, 1.02)
    curves.set_title("How near?", loc="left")
    _by_level(shares, levels, "share")
    _floor(shares, *(own[f"share{end}"] for end in ("", "_low", "_high")))
    shares.axvline(0.5, color=MUTED, lw=0.9, ls=":", zorder=0, label="0.5: as often as not")
    shares.set_xlim(0, 1)
    shares.set_title("Nearer to what was trained on?", loc="left")
    shares.set_xlabel("share of pictures")
    style.legend_below(figure)
    return figure


@style.theme()
def draw_places(places: pd.DataFrame, *, among: int, labels: Mapping[str, str]) -> Figure:
    """Histograms of where an image lies among its samples, one plot a factor, one row of plots a level.

    Args:
        places: Records ``place``, whole numbers from 0 to ``among``.
        among: Samples of an image.
        labels: What to print for each factor, in order.
    """
    levels = list(places.groupby(["encoder", "level"], sort=False))
    order = [factor for factor in labels if factor in set(places["condition"])]
    rows = -(-len(order) // _ACROSS)
    figure = new_figure(TEXT_WIDTH, _HISTOGRAM * rows * len(levels) + LEGEND)
    grid = figure.subplots(rows * len(levels), _ACROSS, sharex=True, sharey="row", squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    looks = level_looks(level for (_, level), _ in levels)
    for place, ((encoder, level), own) in enumerate(levels):
        for number, factor in enumerate(order):
            axes = grid[place * rows + number // _ACROSS, number % _ACROSS]
            axes.set_axis_on()
            found = own.loc[own["condition"] == factor, "value"].to_numpy(dtype=int)
            low, high = stats.binom.ppf((0.025, 0.975), len(found), 1 / (among + 1))
            axes.axhspan(low, high, color=style.HAIR, alpha=0.6, lw=0, zorder=-1, label="95% of uniform places")
            counts = np.bincount(found, minlength=among + 1)
            axes.bar(range(among + 1), counts, width=0.8, color=looks[level][0], label=level)
            axes.set_title(labels[factor], loc="left")
            axes.set_xticks([0, among], ["lowest", "highest"])
            style.ticks(axes.yaxis, 2, integer=True)
        grid[place * rows, 0].set_ylabel(f"{encoder} {level}\nimages")
    style.legend_below(figure)
    return figure


@style.theme()
def draw_kinds(table: pd.DataFrame, *, real: str, labels: Mapping[str, str], distance: str) -> Figure:
    """How near to real images each kind of pictures comes, how varied it is, and how near to known images.

    Dots with intervals, a row for each kind and a colour for each level.

    Args:
        table: As `probes.generate.kinds`.
        real: The kind of real images themselves, drawn as a line.
        labels: What to print for each kind.
        distance: What the squared Frechet distance is called.
    """
    looks = level_looks(level for level in table["level"] if level)
    order = [kind for kind in labels if kind in set(table["kind"]) and kind != real][::-1]
    plots = {
        "frechet": (distance, "from other real images"),
        "diversity": ("diversity", "1: as two real images"),
        "nearest": ("nearest known image", "1: as two real images"),
    }
    figure = new_figure(TEXT_WIDTH, _FRAME + LEGEND + _KIND * len(order))
    grid = figure.subplots(1, len(plots), sharey=True)
    for axes, (name, (title, unit)) in zip(grid, plots.items(), strict=True):
        for shift, (level, look) in zip(style.shifts(len(looks)), looks.items(), strict=True):
            rows = table[table["level"] == level].set_index("kind").reindex(order)
            dots(axes, rows, name, np.arange(len(order)) + shift, look, level)
        axes.axvline(table.loc[table["kind"] == real, name].item(), color=INK, lw=0.8, ls=DASHED, zorder=0)
        as_list(axes, [labels[kind] for kind in order], title=title, unit=unit)
        axes.set_xlim(0, None)
    style.legend_below(figure)
    return figure


def _by_level(axes: Axes, table: pd.DataFrame, name: str) -> None:
    """A list of encoders and levels, in the order of the rows, with a number of each."""
    for level, look in level_looks(table["level"]).items():
        own = (table["level"] == level).to_numpy()
        dots(axes, table[own], name, np.flatnonzero(own), look, level)
    names = [f"{encoder} {level}" for encoder, level in zip(table["encoder"], table["level"], strict=True)]
    as_list(axes, names, down=True)


def _floor(axes: Axes, value: float, low: float, high: float, *, across: bool = False) -> None:
    """What real images reach, on the vertical axis where the line runs across."""
    band, line = (axes.axhspan, axes.axhline) if across else (axes.axvspan, axes.axvline)
    if np.isfinite(low):
        band(low, high, color=style.HAIR, alpha=0.6, lw=0, zorder=-1)
    line(value, color=INK, lw=0.9, ls=DASHED, zorder=0, label="real images")
