"""How far each transformation moves ``h``, and whether ``h`` tells that it was applied: two dot plots on one list.

Rows are transformations at their reference dose, sorted by the displacement of the first level, so that the eye can run
down the list; levels share a row. Left, relative displacement; right, the AUC of a linear readout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.transforms import offset_copy

from reports.style import HAIR, INK, MUTED, SMALL, TEXT_WIDTH, level_handles, level_looks, new_figure, theme

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW, _FRAME = 4.6, 21.0  # mm: one transformation; axis labels and legend together


def draw_displacement(
    displacement: pd.DataFrame,
    readability: pd.DataFrame,
    *,
    labels: Mapping[str, str],
    trained: Collection[str],
    negligible: float | None = None,
) -> Figure:
    """The dot plots.

    Args:
        displacement: One row a (level, condition), at the reference dose only: ``relative_displacement`` with its
            ``_low`` and ``_high``.
        readability: One row a (level, condition): ``auc`` with its ``_low`` and ``_high``.
        labels: What to print for each condition; only these conditions are drawn.
        trained: Conditions that the encoder was trained with.
        negligible: Relative displacement below which a verdict calls the movement negligible; shaded.
    """
    looks = level_looks(displacement["level"])
    first = displacement[displacement["level"] == next(iter(looks))].set_index("condition")["relative_displacement"]
    order = sorted(labels, key=lambda condition: first.get(condition, -np.inf))
    with theme():
        figure = new_figure(TEXT_WIDTH, _FRAME + _ROW * len(order))
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.5, 1))
        for axes, table, value in ((left, displacement, "relative_displacement"), (right, readability, "auc")):
            _dots(axes, table, value, order, looks)
        left.set_yticks(range(len(order)), [labels[condition] for condition in order])
        left.tick_params(axis="y", pad=10)
        for place, (condition, tick) in enumerate(zip(order, left.get_yticklabels(), strict=True)):
            if condition in trained:
                tick.set_fontweight("bold")
                _mark(left, place)
        left.set_ylim(-0.7, len(order) - 0.3)
        high = max(1.0, float(displacement["relative_displacement_high"].max(skipna=True)))
        left.set_xlim(-0.02 * high, high * 1.04)
        left.set_xlabel("relative displacement of h")
        if negligible is not None:
            left.axvspan(0, negligible, color=HAIR, alpha=0.6, lw=0, zorder=0)
            _note(left, negligible / 2, "negligible")
        _line(left, 1.0, "another image")
        low = min(0.48, float(readability["auc_low"].min(skipna=True)) if len(readability) else 0.48)
        right.set_xlim(low, 1.01)
        right.set_xlabel("AUC: was it applied?")
        _line(right, 0.5, "chance")
        _line(right, 1.0, "certain")
        figure.legend(handles=level_handles(looks), loc="lower left", borderaxespad=0, borderpad=0, handletextpad=0.1)
        figure.tight_layout(pad=0.3, w_pad=1.5)
    return figure


def _dots(axes: Axes, table: pd.DataFrame, value: str, order: list[str], looks: dict[str, tuple[str, str]]) -> None:
    places = {condition: place for place, condition in enumerate(order)}
    shifts = np.linspace(0.16, -0.16, len(looks)) if len(looks) > 1 else [0.0]
    for (level, (colour, marker)), shift in zip(looks.items(), shifts, strict=True):
        rows = table[(table["level"] == level) & table["condition"].isin(places)]
        y = rows["condition"].map(places).to_numpy(float) + shift
        axes.hlines(y, rows[f"{value}_low"], rows[f"{value}_high"], color=colour, lw=1.2)
        axes.plot(rows[value], y, marker, color=colour, ms=4 if marker == "o" else 3.4, mec="white", mew=0.4)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _mark(axes: Axes, y: float) -> None:
    """A dot between a label and the axis: the encoder was trained with this transformation."""
    beside = offset_copy(axes.get_yaxis_transform(), axes.get_figure(root=True), x=-5, units="points")
    axes.plot(0, y, "o", color=INK, ms=3.6, transform=beside, clip_on=False)


def _line(axes: Axes, x: float, text: str) -> None:
    axes.axvline(x, color=MUTED, lw=0.8, ls=(0, (4, 2)), zorder=1)
    _note(axes, x, text)


def _note(axes: Axes, x: float, text: str) -> None:
    axes.annotate(
        text, (x, 1), (0, 2), xycoords=("data", "axes fraction"), textcoords="offset points",
        ha="center", va="bottom", fontsize=SMALL, color=MUTED if text != "negligible" else INK,
    )  # fmt: skip
