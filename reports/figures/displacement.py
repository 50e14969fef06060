"""How far transformations move ``h``: at their reference dose in dot plots, at every dose in curves.

Rows of the dot plots are transformations, sorted by the displacement of the first level, so that the eye can run down
the list; levels share a row. Curves share the vertical axis, so that they can be compared between plots; the horizontal
one is in the transformation's own unit. A curve starts at (no transformation, 0), which is so by definition and not
measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reports import style
from reports.style import (
    DASHED,
    HAIR,
    INK,
    MUTED,
    TEXT_WIDTH,
    dots,
    entry,
    level_handles,
    level_looks,
    new_figure,
    shifts,
    theme,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW, _FRAME = 4.6, 21.0  # mm: one transformation; axis labels and legend together
_COLUMNS, _HEIGHT = 4, 36.0  # curves: small plots in a row; mm for each row


@theme()
def draw_displacement(
    displacement: pd.DataFrame,
    readability: pd.DataFrame,
    *,
    labels: Mapping[str, str],
    trained: Collection[str],
    negligible: float,
) -> Figure:
    """How far each transformation moves ``h`` (left), and whether ``h`` tells that it was applied (right).

    Args:
        displacement: One row a (level, condition), at the reference dose only: ``relative_displacement`` with its
            ``_low`` and ``_high``.
        readability: One row a (level, condition): ``auc`` of a linear readout with its ``_low`` and ``_high``, and
            those of ``chance``, the range that chance alone reaches; shaded.
        labels: What to print for each condition; only these conditions are drawn.
        trained: Conditions that the encoder was trained with.
        negligible: Relative displacement below which a verdict calls the movement negligible; shaded.
    """
    from matplotlib.transforms import offset_copy

    looks = level_looks(displacement["level"])
    first = displacement[displacement["level"] == next(iter(looks))]  # the mean where several encoders are
    moved = first.groupby("condition")["relative_displacement"].mean()
    order = sorted(labels, key=lambda condition: moved.get(condition, -np.inf))
    figure = new_figure(TEXT_WIDTH, _FRAME + _ROW * len(order))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.5, 1))
    for axes, table, name in ((left, displacement, "relative_displacement"), (right, readability, "auc")):
        for (level, look), shift in zip(looks.items(), shifts(len(looks)), strict=True):
            rows = table[(table["level"] == level) & table["condition"].isin(order)]
            heights = rows["condition"].map(order.index).to_numpy(float) + shift
            dots(axes, rows, name, heights, look)
            if axes is right:
                axes.hlines(heights, rows["chance_low"], rows["chance_high"], color=HAIR, lw=4, zorder=0)
        style.as_list(axes, [labels[condition] for condition in order])
    left.tick_params(axis="y", pad=10)
    for place, (condition, tick) in enumerate(zip(order, left.get_yticklabels(), strict=True)):
        if condition in trained:
            tick.set_fontweight("bold")
            beside = offset_copy(left.get_yaxis_transform(), figure, x=-5, units="points")
            left.plot(0, place, "o", color=INK, ms=3.6, transform=beside, clip_on=False)
    high = max(1.0, float(displacement["relative_displacement_high"].max(skipna=True)))
    left.set_xlim(-0.02 * high, high * 1.04)
    left.axvspan(0, negligible, color=HAIR, alpha=0.6, lw=0, zorder=0)
    left.axvline(1.0, color=MUTED, lw=0.8, ls=DASHED, zorder=1)
    left.set_xlabel("relative displacement of h")
    _note(left, negligible / 2, "negligible", INK)
    _note(left, 1.0, "another image")
    low = float(readability[["auc_low", "chance_low"]].min(axis=None)) - 0.01 if len(readability) else 0.48
    right.set_xlim(low, 1.01)
    right.set_xlabel("AUC: was it applied?")
    for x, text in ((0.5, "chance"), (1.0, "certain")):
        right.axvline(x, color=MUTED, lw=0.8, ls=DASHED, zorder=1)
        _note(right, x, text)
    style.legend_below(figure, *level_handles(looks))
    return figure


@theme()
def draw_dose_response(
    displacement: pd.DataFrame,
    *,
    labels: Mapping[str, str],
    units: Mapping[str, str],
    references: Mapping[str, float],
    trained: Collection[str],
) -> Figure:
    """Displacement against the strength of each transformation.

    Args:
        displacement: One row a (level, condition, strength): ``relative_displacement`` with its ``_low`` and ``_high``.
        labels: What to print for each condition, in order; only these conditions are drawn.
        units: Unit of each condition's strength, for the axis.
        references: Dose of each condition at which tables and verdicts are read; marked.
        trained: Conditions that the encoder was trained with; marked in the title.
    """
    figure, plots = style.small_plots(len(labels), _COLUMNS, _HEIGHT, sharey=True)
    figure.set_figheight(figure.get_figheight() + style.LEGEND / 25.4)
    top = 1.08 * max(1.0, float(displacement["relative_displacement_high"].max(skipna=True)))
    for condition, axes in zip(labels, plots, strict=False):
        own = displacement[displacement["condition"] == condition]
        for level, look in level_looks(displacement["level"]).items():
            style.curve(axes, own[own["level"] == level], "relative_displacement", look, 0.22, label=level,
                        markevery=slice(1, None))  # fmt: skip
        axes.axhline(1, color=MUTED, lw=0.8, ls=DASHED, zorder=1, label="1 = another image")
        if condition in references:
            axes.axvline(references[condition], color=INK, lw=0.8, ls=":", zorder=1)
        axes.set_xlim(0, None)
        axes.set_ylim(0, top)
        style.ticks(axes.xaxis, 4, steps=(1, 2, 5, 10))
        style.ticks(axes.yaxis, 5, steps=(1, 2, 5, 10))
        axes.set_title(f"{style.TRAINED} " * (condition in trained) + labels[condition], loc="left")
        axes.set_xlabel(units[condition], labelpad=1.5)
    for axes in plots[: len(labels) : _COLUMNS]:
        axes.set_ylabel("displacement")
    marks = [entry("used in training", "o")] if set(trained) & set(labels) else []
    style.legend_below(figure, entry("reference dose", lw=0.8, ls=":"), *marks, apart=0.8)
    return figure


def _note(axes: Axes, x: float, text: str, colour: str = MUTED) -> None:
    """A word above the plot."""
    axes.annotate(
        text, (x, 1), (0, 2), xycoords=("data", "axes fraction"), textcoords="offset points",
        ha="center", va="bottom", fontsize=style.SMALL, color=colour,
    )  # fmt: skip
