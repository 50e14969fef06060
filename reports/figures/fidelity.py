"""Figures of fidelity: how near samples come to the real images beside them, and what solver and steps change.

Real images themselves, the floor that a perfect decoder reaches, are drawn in ink and dashed, with a grey band for
their interval.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from reports.style import HAIR, INK, MUTED, TEXT_WIDTH, level_handles, level_looks, new_figure, theme

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analyses.bootstrap import Estimate

_ROW, _FRAME, _LEGEND = 4.6, 17.0, 6.0  # mm: a level; title and axis; the legend
_LINE, _WRAP = 3.5, 14  # mm, and letters: a line of a title; a feature space can have a long name
_HEIGHT = 58.0  # mm: a row of plots
_DASHED = (0, (4, 2))
_SOLVERS = {
    "sde-dpmsolver++": ("#0072B2", "o"), "dpmsolver++": ("#E69F00", "v"), "unipc": ("#D55E00", "s"),
    "ddim": ("#009E73", "^"), "ddpm": ("#CC79A7", "D"),
}  # fmt: skip


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
    names = _names(table)
    looks = level_looks(table["level"])
    with theme():
        headings = [_folded(title) for title in titles.values()]
        height = _FRAME + _LINE * max(heading.count("\n") for heading in headings) + _ROW * len(names) + _LEGEND
        figure = new_figure(TEXT_WIDTH, height)
        grid = figure.subplots(1, len(titles), sharey=True, squeeze=False)[0]
        for axes, measure, heading in zip(grid, titles, headings, strict=True):
            if measure in floor.index:
                _floor(axes, *(floor[f"{measure}{end}"] for end in ("", "_low", "_high")), vertical=True)
            if measure in chance:
                axes.axvline(chance[measure], color=MUTED, lw=0.9, ls=":", zorder=0)
            for place, (_, row) in enumerate(table.iterrows()):
                colour, marker = looks[row["level"]]
                axes.hlines(place, row[f"{measure}_low"], row[f"{measure}_high"], color=colour, lw=1.4)
                axes.plot(row[measure], place, marker, color=colour, ms=4.2, mec="white", mew=0.4, clip_on=False)
            axes.set_title(heading, loc="left")
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.set_xlim(left=0)
            axes.grid(axis="y")
            axes.spines["left"].set_visible(False)
            axes.tick_params(axis="y", length=0)
        grid[0].set_yticks(range(len(names)), names)
        grid[0].set_ylim(len(names) - 0.4, -0.6)
        handles = level_handles(table["level"])
        handles.append(Line2D([], [], color=INK, lw=0.9, ls=_DASHED, label="real images"))
        if chance:
            handles.append(Line2D([], [], color=MUTED, lw=0.9, ls=":", label="chance"))
        _legend(figure, handles)
        figure.tight_layout(pad=0.3, w_pad=1.5, rect=(0, _LEGEND / height, 1, 1))
    return figure


def draw_solvers(table: pd.DataFrame, *, chosen: tuple[str, int], floor: Estimate, distance: str) -> Figure:
    """MRR, Frechet distance and time of a picture against the number of steps, one line a solver.

    Args:
        table: As `probes.fidelity.solvers`.
        chosen: Solver and steps that are ringed.
        floor: The Frechet distance of real images.
        distance: What it is called.
    """
    present = [name for name in _SOLVERS if name in set(table["solver"])]
    plots = {"mrr": "MRR of samples", "frechet": distance, "milliseconds": "time of a picture, ms"}
    shown = table.assign(milliseconds=1000 * table["seconds"])
    with theme():
        height = _HEIGHT + _LEGEND
        figure = new_figure(TEXT_WIDTH, height)
        for axes, (measure, title) in zip(figure.subplots(1, 3), plots.items(), strict=True):
            for place, name in enumerate(present):
                colour, marker = _SOLVERS[name]
                rows = shown[shown["solver"] == name].sort_values("steps")
                x = rows["steps"] * 1.03 ** (place - (len(present) - 1) / 2)  # beside each other, not on each other
                if f"{measure}_low" in rows:
                    axes.vlines(x, rows[f"{measure}_low"], rows[f"{measure}_high"], color=colour, lw=0.9)
                axes.plot(x, rows[measure], color=colour, marker=marker, mec="white", mew=0.4)
                ring = rows["steps"] == chosen[1]
                if name == chosen[0]:
                    axes.plot(x[ring], rows.loc[ring, measure], "o", mfc="none", mec=INK, ms=9, mew=0.9)
            if measure == "frechet":
                _floor(axes, floor.value, floor.low, floor.high, vertical=False)
            axes.set_xscale("log")
            axes.set_xticks(ticks := sorted(set(shown["steps"])), [str(tick) for tick in ticks])
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_xlabel("steps")
            axes.set_title(title, loc="left")
            axes.set_ylim(0, None)
            axes.grid(axis="y")
        _legend(
            figure,
            [
                *(Line2D([], [], color=_SOLVERS[n][0], marker=_SOLVERS[n][1], label=n) for n in present),
                Line2D([], [], marker="o", mfc="none", mec=INK, ms=7, ls="none", label="used in this report"),
                Line2D([], [], color=INK, lw=0.9, ls=_DASHED, label="real images"),
            ],
        )
        figure.tight_layout(pad=0.3, w_pad=1.5, rect=(0, _LEGEND / height, 1, 1))
    return figure


def draw_copies(distances: pd.DataFrame, table: pd.DataFrame, *, real: str) -> Figure:
    """Distances from the nearest training image, and how often it is nearer than any other image.

    Args:
        distances: Records ``nearest_training``; those of real images have no encoder.
        table: As `probes.fidelity.copies`.
        real: What real images are called in the table.
    """
    levels = table[table["encoder"] != real]
    names, looks = _names(levels), level_looks(levels["level"])
    with theme():
        height = max(_HEIGHT, _FRAME + _ROW * len(names)) + _LEGEND
        figure = new_figure(TEXT_WIDTH, height)
        curves, shares = figure.subplots(1, 2, width_ratios=(1.2, 1))
        for (_, level), rows in distances[distances["encoder"] != ""].groupby(["encoder", "level"], sort=False):
            _steps(curves, rows["value"], color=looks[str(level)][0], lw=0.9)
        _steps(curves, distances.loc[distances["encoder"] == "", "value"], color=INK, lw=1.6, ls=_DASHED)
        curves.set_xlabel("difference from the nearest training image, per pixel")
        curves.set_ylabel("share of pictures")
        curves.set_xlim(left=0)
        curves.set_ylim(0, 1.02)
        curves.set_title("How near?", loc="left")
        for place, (_, row) in enumerate(levels.iterrows()):
            colour, marker = looks[row["level"]]
            shares.hlines(place, row["share_low"], row["share_high"], color=colour, lw=1.4)
            shares.plot(row["share"], place, marker, color=colour, ms=4.2, mec="white", mew=0.4, clip_on=False)
        own = table[table["encoder"] == real].iloc[0]
        _floor(shares, *(own[f"share{end}"] for end in ("", "_low", "_high")), vertical=True)
        shares.axvline(0.5, color=MUTED, lw=0.9, ls=":", zorder=0)
        shares.set_xlim(0, 1)
        shares.set_yticks(range(len(names)), names)
        shares.set_ylim(len(names) - 0.4, -0.6)
        shares.grid(axis="y")
        shares.spines["left"].set_visible(False)
        shares.tick_params(axis="y", length=0)
        shares.set_title("Nearer to what was trained on?", loc="left")
        shares.set_xlabel("share of pictures")
        _legend(
            figure,
            [
                *level_handles(levels["level"], line=True),
                Line2D([], [], color=INK, lw=1.2, ls=_DASHED, label="real images"),
                Line2D([], [], color=MUTED, lw=0.9, ls=":", label="0.5: as often as not"),
            ],
        )
        figure.tight_layout(pad=0.3, w_pad=1.5, rect=(0, _LEGEND / height, 1, 1))
    return figure


def _folded(title: str) -> str:
    """A title in lines, broken after a part of a name such as ``FD-timm/vit_small_patch16_224``."""
    lines = [""]
    for part in re.findall(r"[^-/_. ]*[-/_. ]|[^-/_. ]+", title):
        if lines[-1] and len(lines[-1] + part) > _WRAP:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _names(table: pd.DataFrame) -> list[str]:
    return [f"{encoder} {level}" for encoder, level in zip(table["encoder"], table["level"], strict=True)]


def _floor(axes: Axes, value: float, low: float, high: float, *, vertical: bool) -> None:
    band, line = (axes.axvspan, axes.axvline) if vertical else (axes.axhspan, axes.axhline)
    if np.isfinite(low):
        band(low, high, color=HAIR, alpha=0.6, lw=0, zorder=-1)
    line(value, color=INK, lw=0.9, ls=_DASHED, zorder=0)


def _steps(axes: Axes, values: pd.Series, **look: object) -> None:
    """The share of values at or below each."""
    ascending = np.sort(values.to_numpy())
    axes.step([0, *ascending], np.linspace(0, 1, len(ascending) + 1), where="post", **look)  # type: ignore[arg-type]


def _legend(figure: Figure, handles: Sequence[Line2D]) -> None:
    figure.legend(
        handles=list(handles), loc="lower left", ncols=len(handles), bbox_to_anchor=(0, 0), columnspacing=1.4,
        handlelength=1.8,
    )  # fmt: skip
