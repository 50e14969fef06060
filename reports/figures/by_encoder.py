"""How far each transformation moves the representations of several encoders: one dot plot each, on one list.

Rows are transformations at their reference dose, sorted by the mean displacement of the backbones, the same for every
encoder, so that the eye can run along a row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reports.style import HAIR, MUTED, TEXT_WIDTH, level_handles, level_looks, new_figure, theme

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import pandas as pd
    from matplotlib.figure import Figure

_ROW, _FRAME, _LEGEND = 4.6, 26.0, 4.5  # mm: a transformation; title, axis labels and legend; of these the legend


def draw_by_encoder(
    displacement: pd.DataFrame,
    *,
    labels: Mapping[str, str],
    trained: Mapping[str, Collection[str]],
    negligible: float,
) -> Figure:
    """The dot plots, side by side.

    Args:
        displacement: One row an (encoder, level, condition), at the reference dose only: ``relative_displacement`` with
            its ``_low`` and ``_high``.
        labels: What to print for each condition; only these conditions are drawn.
        trained: Conditions that each encoder was trained with; their dots are filled, the others open.
        negligible: Relative displacement below which a verdict calls the movement negligible; shaded.
    """
    encoders = list(dict.fromkeys(displacement["encoder"]))
    looks = level_looks(displacement["level"])
    first = displacement[displacement["level"] == next(iter(looks))]
    mean = first.groupby("condition")["relative_displacement"].mean()
    order = sorted(labels, key=lambda condition: mean.get(condition, -np.inf))
    places = {condition: place for place, condition in enumerate(order)}
    shifts = np.linspace(0.17, -0.17, len(looks)) if len(looks) > 1 else [0.0]
    high = max(1.0, float(displacement["relative_displacement_high"].max(skipna=True)))
    with theme():
        height = _FRAME + _ROW * len(order)
        figure = new_figure(TEXT_WIDTH, height)
        plots = figure.subplots(1, len(encoders), sharex=True, sharey=True, squeeze=False)[0]
        for axes, name in zip(plots, encoders, strict=True):
            for (level, (colour, marker)), shift in zip(looks.items(), shifts, strict=True):
                rows = displacement[(displacement["encoder"] == name) & (displacement["level"] == level)]
                rows = rows[rows["condition"].isin(places)]
                y = rows["condition"].map(places).to_numpy(float) + shift
                axes.hlines(y, rows["relative_displacement_low"], rows["relative_displacement_high"], color=colour)
                fills = [colour if condition in trained.get(name, ()) else "white" for condition in rows["condition"]]
                axes.scatter(
                    rows["relative_displacement"], y, s=12, marker=marker, c=fills, ec=colour, lw=0.9, zorder=3
                )
            axes.axvspan(0, negligible, color=HAIR, alpha=0.6, lw=0, zorder=0)
            axes.axvline(1.0, color=MUTED, lw=0.8, ls=(0, (4, 2)), zorder=1)
            axes.grid(axis="y")
            axes.set_axisbelow(True)
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_visible(False)
            axes.set_title(name)
            axes.set_xlim(-0.02 * high, high * 1.04)
        plots[0].set_yticks(range(len(order)), [labels[condition] for condition in order])
        plots[0].set_ylim(-0.7, len(order) - 0.3)
        figure.supxlabel("relative displacement of h", fontsize=8, y=_LEGEND / height)
        figure.legend(handles=level_handles(looks), loc="lower left", ncols=len(looks), bbox_to_anchor=(0, 0))
        figure.tight_layout(pad=0.3, w_pad=0.8, rect=(0, _LEGEND / height, 1, 1))
    return figure
