"""What the training of an RCDM leaves to look at: pictures of samples, and curves of loss and fidelity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

import reports.matplotlibrc  # noqa: F401  # settings of Matplotlib's that cannot be read are told before training
from rcdm_core.kept import atomic_path, keeping
from reports.panels import Panel
from reports.style import DPI, INK, MUTED, TEXT_WIDTH, level_looks, new_figure, shifts, theme, ticks

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd
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


@theme()
def write_curves(path: Path, losses: pd.DataFrame, fidelity: pd.DataFrame) -> None:
    """A picture of loss and fidelity against steps; the plots of fidelity have a curve for each level.

    Args:
        path: PNG to write.
        losses: One row a step: ``step``, ``loss``.
        fidelity: One row a (step, level): ``held-out loss``, ``MRR``, ``frechet relative``, ``gallery``.
    """
    figure = new_figure(TEXT_WIDTH, _HEIGHT)
    plots = loss, ranks, distance = figure.subplots(1, 3)
    smooth = losses["loss"].rolling(max(1, round(_SMOOTH * len(losses))), min_periods=1).mean()
    held_out = fidelity.drop_duplicates("step")
    loss.plot(losses["step"] + 1, smooth, color=MUTED, label="training")
    loss.plot(held_out["step"], held_out["held-out loss"], "o-", color=INK, label="held out")
    loss.set_ylim(0, 1.5 * float(max(smooth.median(), held_out["held-out loss"].max())))  # it begins far above
    gallery = fidelity["gallery"].max()
    for axes, column in ((ranks, "MRR"), (distance, "frechet relative")):
        for level, (colour, marker) in level_looks(fidelity["level"]).items():
            rows = fidelity[fidelity["level"] == level]
            axes.plot(rows["step"], rows[column], f"{marker}-", color=colour, label=level)
        axes.set_ylim(0, 1.1 * float(fidelity[column].max()))
    ranks.axhline(_chance(gallery), color=MUTED, linestyle="--", label="chance")
    for axes, title in zip(plots, ("loss", f"MRR among {gallery}", "Frechet, relative"), strict=True):
        axes.set_title(title, loc="left")
        axes.set_xlabel("steps")
        axes.set_xlim(left=0)
        ticks(axes.xaxis, 4, integer=True)
        axes.grid(axis="y")
    loss.legend()
    ranks.legend()
    figure.tight_layout()
    _write(figure, path)


@theme()
def write_stages(path: Path, stages: pd.DataFrame) -> None:
    """A picture of what each stage of an adaptation bought: a row for each stage and floor, a dot for each level.

    Args:
        path: PNG to write.
        stages: One row a (stage, level): ``held-out loss``, ``MRR``, ``mean rank``, ``variance within``, ``gallery``.
    """
    figure = new_figure(TEXT_WIDTH, _HEIGHT)
    names, looks, gallery = list(dict.fromkeys(stages["stage"])), level_looks(stages["level"]), stages["gallery"].max()
    titles = {
        "held-out loss": "held-out loss",
        "MRR": f"MRR among {gallery}",
        "mean rank": "mean rank",
        "variance within": "variance within",
    }
    plots = figure.subplots(1, len(titles), sharey=True)
    for axes, (column, title) in zip(plots, titles.items(), strict=True):
        for (level, (colour, marker)), shift in zip(looks.items(), shifts(len(looks)), strict=True):
            rows = stages[stages["level"] == level]
            axes.plot(rows[column], rows["stage"].map(names.index) + shift, marker, color=colour, label=level)
        axes.set_title(title, loc="left")
        axes.grid(axis="x")
        ticks(axes.xaxis, 3)
        if column in ("MRR", "variance within"):
            axes.set_xlim(left=0)
    plots[0].set_yticks(range(len(names)), names)
    plots[0].set_ylim(len(names) - 0.5, -0.5)
    plots[1].axvline(_chance(gallery), color=MUTED, linestyle="--")
    plots[-1].legend()
    figure.tight_layout()
    _write(figure, path)


def _write(figure: Figure, path: Path) -> None:
    with keeping("the pictures of a training", path.parent), theme(), atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=DPI, metadata={"Software": None})


def _chance(gallery: int) -> float:
    """Mean reciprocal rank where all ranks are equally likely."""
    return float((1 / np.arange(1, gallery + 1)).mean())
