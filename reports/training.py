"""What the training of an RCDM leaves to look at: pictures of samples, and curves of loss and fidelity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from rcdm_core.kept import atomic_path, keeping
from reports.figures.grid import draw_panel
from reports.figures.training_curves import draw_training_curves
from reports.panels import Panel
from reports.style import DPI, theme

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd
    from matplotlib.figure import Figure


def write_samples(path: Path, originals: torch.Tensor, samples: Mapping[str, torch.Tensor]) -> None:
    """A picture of held-out images, each beside samples from its representation at every level.

    Args:
        path: PNG to write.
        originals: ``[R, 3, S, S]`` in [0, 1].
        samples: ``[R, K, 3, S, S]`` for each level.
    """
    drawn = torch.cat([originals[:, None], *samples.values()], 1)
    columns = [f"{level} {k + 1}" for level, s in samples.items() for k in range(s.shape[1])]
    panel = Panel(
        name=path.stem,
        images=drawn,
        rows=("",) * len(originals),
        columns=("image", *columns),
    )
    _write(draw_panel(panel), path)


def write_curves(path: Path, losses: pd.DataFrame, fidelity: pd.DataFrame) -> None:
    """A picture of loss and fidelity against steps; tables as of `draw_training_curves`."""
    _write(draw_training_curves(losses, fidelity), path)


def _write(figure: Figure, path: Path) -> None:
    with keeping("the pictures of a training", path.parent), theme(), atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=DPI, metadata={"Software": None})
