"""Curves of robustness: what is left of an encoder as the budget grows, attacks solid and random noise dotted.

One line an encoder; the reference is drawn in ink, so that the eye can hold the others against it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from reports import style
from reports.style import DASHED, INK, LEGEND, MUTED, TEXT_WIDTH, new_figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.figure import Figure

_HEIGHT = 42.0  # mm: a row of plots


@style.theme()
def draw_robustness(table: pd.DataFrame, attacks: Sequence[Any], looks: Mapping[str, tuple[str, str]]) -> Figure:
    """Accuracy and displacement against the budget: a row of plots each, a column an attack; of one attack in a row.

    Args:
        table: The table ``robustness`` of the probe adversarial.
        attacks: What to draw, in order: each has ``name`` and ``noise``, its condition and that of its random control,
            and the ``unit`` of its budgets.
        looks: Colour and marker of each encoder of the run, the reference first (`reports.style.encoder_looks`).
    """
    measures = [m for m in ("accuracy", "relative_displacement") if table[m].notna().any()]
    across = len(attacks) if len(attacks) > 1 else len(measures)
    lines = len(attacks) * len(measures) // across
    figure = new_figure(TEXT_WIDTH, _HEIGHT * lines + LEGEND)
    grid = figure.subplots(lines, across, squeeze=False).reshape(len(measures), len(attacks))
    for line, measure in zip(grid, measures, strict=True):
        for axes, attack in zip(line, attacks, strict=True):
            for encoder, look in looks.items():
                own = table[(table["encoder"] == encoder) & table[measure].notna()]
                noise, attacked = (own[own["condition"].isin(["", name])] for name in (attack.noise, attack.name))
                style.curve(axes, noise, measure, (look[0], ""), band=0, ls=":")
                style.curve(axes, attacked, measure, look, label=encoder)
            axes.set_title(attack.name, loc="left")
            axes.set_xlabel(f"budget, {attack.unit}")
            axes.set_xlim(0, None)
            axes.set_ylim(0, 1.02 if measure == "accuracy" else None)
            if measure == "accuracy":
                axes.set_yticks((0, 0.5, 1))  # others could be wider than the room that the layout leaves
            axes.set_ylabel("accuracy" if measure == "accuracy" else "displacement of h")
    style.legend_below(figure, style.entry("random noise", colour=MUTED, ls=":"))
    return figure


@style.theme()
def draw_rendered(table: pd.DataFrame, attack: Any, looks: Mapping[str, tuple[str, str]]) -> Figure:
    """How often the judge still sees the class in the samples, against the budget.

    Args:
        table: The table ``rendered`` of the probe adversarial.
        attack: What to draw; open markers for its random control, at the largest budget.
        looks: Colour and marker of each encoder of the run, the reference first (`reports.style.encoder_looks`).
    """
    drawn = {encoder: look for encoder, look in looks.items() if encoder in set(table["encoder"])}
    figure = new_figure(TEXT_WIDTH * 0.62, _HEIGHT + LEGEND)
    axes = figure.subplots()
    shifts = np.linspace(-0.02, 0.02, len(drawn)) * table["strength"].max()
    for shift, (encoder, (colour, marker)) in zip(shifts, drawn.items(), strict=True):
        own = table[table["encoder"] == encoder]
        kept = own[own["condition"].isin(["", attack.name])].sort_values("strength")
        x = kept["strength"] + shift
        axes.vlines(x, kept["class_seen_low"], kept["class_seen_high"], color=colour, lw=0.9)
        axes.plot(x, kept["class_seen"], f"{marker}-", color=colour, mec="white", mew=0.4, label=encoder)
        random = own[own["condition"] == attack.noise]
        axes.plot(random["strength"] + shift, random["class_seen"], marker, color=colour, mfc="white", ms=4)
    axes.set_xlabel(f"budget of {attack.name}, {attack.unit}")
    axes.set_ylabel("class still seen")
    axes.set_ylim(0, 1.02)
    style.legend_below(figure, style.entry("noise", "o", MUTED, mfc="white"))
    return figure


@style.theme()
def draw_budgets(smallest: pd.DataFrame, attack: Any, largest: float, looks: Mapping[str, tuple[str, str]]) -> Figure:
    """The distribution of the smallest budget that flips a decision: the share of images flipped by each budget.

    Args:
        smallest: Records ``smallest_budget`` of one attack.
        attack: Which.
        largest: The largest budget that was tried.
        looks: Colour and marker of each encoder of the run, the reference first (`reports.style.encoder_looks`).
    """
    figure = new_figure(TEXT_WIDTH * 0.62, _HEIGHT + LEGEND)
    axes = figure.subplots()
    for encoder, (colour, marker) in looks.items():
        values = np.sort(smallest.loc[smallest["encoder"] == encoder, "value"].to_numpy())
        reached = values[np.isfinite(values)]
        share = np.arange(1, len(reached) + 1) / max(1, len(values))
        last = share[-1] if len(share) else 0.0
        axes.step([0, *reached, largest], [0, *share, last], where="post", color=colour, marker=marker, ms=3,
                  markevery=0.15, label=encoder)  # fmt: skip
    axes.axhline(0.5, color=MUTED, lw=0.8, ls=DASHED, zorder=0)
    axes.set_xlim(0, largest)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel(f"budget of {attack.name}, {attack.unit}")
    axes.set_ylabel("share flipped")
    style.legend_below(figure)
    return figure


@style.theme()
def draw_gains(comparison: pd.DataFrame, aspects: Mapping[str, str], looks: Mapping[str, tuple[str, str]]) -> Figure:
    """What each encoder gains over the reference, one plot an aspect; right of the line it is the more robust.

    Args:
        comparison: The table ``comparison`` of the probe adversarial.
        aspects: What to print for each aspect; only those that were measured are drawn.
        looks: Colour and marker of each encoder of the run, the reference first (`reports.style.encoder_looks`).
    """
    order = [*looks][:0:-1]  # without the reference, from below
    shown = [aspect for aspect in aspects if aspect in set(comparison["aspect"])]
    figure = new_figure(TEXT_WIDTH, 20 + 5.5 * len(order))
    grid = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for axes, aspect in zip(grid, shown, strict=True):
        rows = comparison[comparison["aspect"] == aspect].set_index("encoder").reindex(order)
        for place, name in enumerate(order):
            style.dots(axes, rows.loc[[name]], "gain", [place], looks[name])
        style.as_list(axes, order, title=aspect, unit=aspects[aspect])
        axes.axvline(0, color=INK, lw=0.8, ls=DASHED, zorder=0)
        reach = max(0.05, float(rows[["gain_low", "gain_high"]].abs().max().max())) * 1.1
        axes.set_xlim(-reach, reach)
        style.ticks(axes.xaxis, 4)  # whose labels do not touch
    figure.tight_layout(pad=0.3, w_pad=1.5)
    return figure
