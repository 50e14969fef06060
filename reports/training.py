"""What the training of an RCDM leaves to look at: pictures of samples, and curves of loss and fidelity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from matplotlib.ticker import MaxNLocator

from rcdm_core.kept import atomic_path, keeping
from reports.panels import Panel
from reports.style import DPI, INK, MUTED, TEXT_WIDTH, level_handles, level_looks, new_figure, shifts, theme

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HEIGHT = 58.0  # mm
_SMOOTH = 0.02  # share of the steps over which the training loss is averaged


def write_samples(path: Path, originals: torch.Tensor, samples: Mapping[str, torch.Tensor]) -> None:
    """A picture of held-out images, each beside samples from its representation at every level.

    Args:
        path: PNG to write.
        originals: ``[R, 3, S, S]`` in [0, 1].
        samples: ``[R, K, 3, S, S]`` for each level.
    """
    drawn = torch.cat([originals[:, None], *samples.values()], 1)
    columns = [f"{level} {k + 1}" for level, s in samples.items() for k in range(s.shape[1])]
    _write(Panel(path.stem, drawn, ("",) * len(originals), ("image", *columns)).figure(), path)


def write_curves(path: Path, losses: pd.DataFrame, fidelity: pd.DataFrame) -> None:
    """A picture of loss and fidelity against steps; tables as of `draw_training_curves`."""
    _write(draw_training_curves(losses, fidelity), path)


def _write(figure: Figure, path: Path) -> None:
    with keeping("the pictures of a training", path.parent), theme(), atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=DPI, metadata={"Software": None})


@theme()
def draw_training_curves(losses: pd.DataFrame, fidelity: pd.DataFrame) -> Figure:
    """The three plots; those of fidelity have a curve for each level.

    Args:
        losses: One row a step: ``step``, ``loss``.
        fidelity: One row a (step, level): ``held-out loss``, ``MRR``, ``frechet relative``, ``gallery``.
    """
    figure = new_figure(TEXT_WIDTH, _HEIGHT)
    loss, ranks, distance = figure.subplots(1, 3)
    _losses(loss, losses, fidelity)
    for axes, column, title in (
        (ranks, "MRR", f"MRR among {fidelity['gallery'].max()}"),
        (distance, "frechet relative", "Frechet, relative"),
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


def write_stages(path: Path, stages: pd.DataFrame) -> None:
    """A picture of what each stage of an adaptation bought; a table as of `draw_stages`."""
    _write(draw_stages(stages), path)


@theme()
def draw_stages(stages: pd.DataFrame) -> Figure:
    """Four plots, a row for each stage and floor, a dot for each level.

    Args:
        stages: One row a (stage, level): ``held-out loss``, ``MRR``, ``mean rank``, ``variance within``, ``gallery``.
    """
    figure = new_figure(TEXT_WIDTH, _HEIGHT)
    names = list(dict.fromkeys(stages["stage"]))
    plots = figure.subplots(1, 4, sharey=True)
    looks = level_looks(stages["level"])
    titles = "held-out loss", f"MRR among {stages['gallery'].max()}", "mean rank", "variance within"
    for axes, column, title in zip(
        plots, ("held-out loss", "MRR", "mean rank", "variance within"), titles, strict=True
    ):
        for (level, (colour, marker)), shift in zip(looks.items(), shifts(len(looks)), strict=True):
            rows = stages[stages["level"] == level]
            y = [names.index(name) + shift for name in rows["stage"]]
            axes.plot(rows[column], y, color=colour, marker=marker, linestyle="none")
        axes.set_title(title, loc="left")
        axes.grid(axis="x")
        axes.xaxis.set_major_locator(MaxNLocator(3))
        if column in ("MRR", "variance within"):
            axes.set_xlim(left=0)
    plots[0].set_yticks(range(len(names)), names)
    plots[0].set_ylim(len(names) - 0.5, -0.5)
    plots[1].axvline(_chance(stages["gallery"].max()), color=MUTED, linestyle="--")
    plots[-1].legend(handles=level_handles(stages["level"]))
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
