"""Dose-response curves: relative displacement of ``h`` against the strength of a transformation, one small plot each.

All plots share the vertical axis, so that curves can be compared between them; the horizontal axis is in the
transformation's own unit. A curve starts at (no transformation, 0), which is so by definition and not measured.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from reports.style import INK, MUTED, TEXT_WIDTH, TRAINED, level_handles, level_looks, new_figure, theme

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS, _HEIGHT = 4, 36.0  # small plots in a row; mm for each row


def draw_dose_response(
    displacement: pd.DataFrame,
    *,
    labels: Mapping[str, str],
    units: Mapping[str, str],
    references: Mapping[str, float],
    trained: Collection[str],
) -> Figure:
    """The small multiples, with the legend in the first free place after them.

    Args:
        displacement: One row a (level, condition, strength): ``relative_displacement`` with its ``_low`` and ``_high``.
        labels: What to print for each condition, in order; only these conditions are drawn.
        units: Unit of each condition's strength, for the axis.
        references: Dose of each condition at which tables and verdicts are read; marked.
        trained: Conditions that the encoder was trained with; marked in the title.
    """
    looks = level_looks(displacement["level"])
    count = math.ceil((len(labels) + 1) / _COLUMNS)
    in_training = Line2D([], [], color=INK, marker="o", ls="none", label="used in training")
    with theme():
        figure = new_figure(TEXT_WIDTH, _HEIGHT * count)
        grid = figure.subplots(count, _COLUMNS, sharey=True, squeeze=False)
        top = 1.08 * max(1.0, float(displacement["relative_displacement_high"].max(skipna=True)))
        for place, (condition, axes) in enumerate(zip(labels, grid.flat, strict=False)):
            _curves(axes, displacement[displacement["condition"] == condition], looks, references.get(condition))
            axes.set_ylim(0, top)
            axes.set_title(f"{TRAINED} {labels[condition]}" if condition in trained else labels[condition], loc="left")
            axes.set_xlabel(units[condition], labelpad=1.5)
            if place % _COLUMNS == 0:
                axes.set_ylabel("displacement")
        for axes in grid.flat[len(labels) :]:
            axes.set_axis_off()
        grid.flat[len(labels)].legend(
            handles=[
                *level_handles(looks, line=True),
                Line2D([], [], color=MUTED, lw=0.8, ls=(0, (4, 2)), label="1 = another image"),
                Line2D([], [], color=INK, lw=0.8, ls=":", label="reference dose"),
                *([in_training] if set(trained) & set(labels) else []),
            ],
            loc="center left",
            borderaxespad=0,
        )
        figure.tight_layout(pad=0.3, h_pad=1.2, w_pad=0.8)
    return figure


def _curves(axes: Axes, rows: pd.DataFrame, looks: dict[str, tuple[str, str]], reference: float | None) -> None:
    axes.axhline(1, color=MUTED, lw=0.8, ls=(0, (4, 2)), zorder=1)
    if reference is not None:
        axes.axvline(reference, color=INK, lw=0.8, ls=":", zorder=1)
    for level, (colour, marker) in looks.items():
        curve = rows[rows["level"] == level].sort_values("strength")
        x = [0.0, *curve["strength"]]
        axes.fill_between(
            x, [0.0, *curve["relative_displacement_low"]], [0.0, *curve["relative_displacement_high"]],
            color=colour, alpha=0.22, lw=0,
        )  # fmt: skip
        axes.plot(x, [0.0, *curve["relative_displacement"]], color=colour)
        axes.plot(curve["strength"], curve["relative_displacement"], marker, color=colour, ms=3.2, mec="white", mew=0.4)
    axes.set_xlim(0, None)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=(1, 2, 5, 10)))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=(1, 2, 5, 10)))
