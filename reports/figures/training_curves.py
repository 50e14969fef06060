"""How a training went: loss, ranks of what is drawn, and distance of what is drawn, against steps, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from reports.style import INK, MUTED, TEXT_WIDTH, level_handles, level_looks, new_figure, theme

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HEIGHT = 58.0  # mm
_SMOOTH = 0.02  # share of the steps over which the training loss is averaged


def draw_training_curves(losses: pd.DataFrame, fidelity: pd.DataFrame) -> Figure:
    """The three plots; those of fidelity have a curve for each level.

    Args:
        losses: One row a step: ``step``, ``loss``.
        fidelity: One row a (step, level): ``held-out loss``, ``MRR``, ``frechet relative``, ``gallery``.
    """
    with theme():
        figure = new_figure(TEXT_WIDTH, _HEIGHT)
        loss, ranks, distance = figure.subplots(1, 3)
        _losses(loss, losses, fidelity)
        for axes, column, title in (
            (ranks, "MRR", f"MRR among {fidelity['gallery'].max()}"),
            (distance, "frechet relative", "Frechet distance, relative"),
        ):
            for level, (colour, marker) in level_looks(fidelity["level"]).items():
                rows = fidelity[fidelity["level"] == level]
                axes.plot(rows["step"], rows[column], color=colour, marker=marker)
            axes.set_title(title, loc="left")
            axes.set_ylim(0, 1.1 * float(fidelity[column].max()))
        for axes in (loss, ranks, distance):
            axes.set_xlabel("steps")
            axes.set_xlim(left=0)
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            axes.grid(axis="y")
        chance = ranks.axhline(_chance(fidelity["gallery"].max()), color=MUTED, linestyle="--", label="chance")
        ranks.legend(handles=[*level_handles(fidelity["level"], line=True), chance])
        figure.tight_layout()
    return figure


def _chance(gallery: int) -> float:
    """Mean reciprocal rank where all ranks are equally likely."""
    return float((1 / np.arange(1, gallery + 1)).mean())


def _losses(axes: Axes, losses: pd.DataFrame, fidelity: pd.DataFrame) -> None:
    window = max(1, round(_SMOOTH * len(losses)))
    smooth = losses["loss"].rolling(window, min_periods=1).mean()
    axes.plot(losses["step"] + 1, smooth, color=MUTED, label="training")
    held_out = fidelity.drop_duplicates("step")
    axes.plot(held_out["step"], held_out["held-out loss"], color=INK, marker="o", label="held out")
    axes.set_title("loss", loc="left")
    axes.set_ylim(0, 1.5 * float(max(smooth.median(), held_out["held-out loss"].max())))  # it begins far above
    axes.legend()
