"""The pictures of the invariance probe, and those of all its levels side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from probes.panels import Panel

if TYPE_CHECKING:
    from collections.abc import Sequence


DOSES = "doses"  # the panel that shows the transformations themselves; the only one that needs no RCDM

SHOWN_SAMPLES = 4  # of each level, in the figure that shows all levels


def is_samples(panel: Panel) -> bool:
    """Whether a panel is of the samples of one level."""
    return panel.name.startswith("samples_")


def beside(panels: Sequence[Panel]) -> list[Panel]:
    """The panels of samples, one for each level, as one: the images, then a few samples of every level."""
    parts = {panel.name.removeprefix("samples_"): panel for panel in panels if is_samples(panel)}
    if not parts:
        return []
    first = next(iter(parts.values()))
    shown = {level: panel.images[:, 1 : 1 + SHOWN_SAMPLES] for level, panel in parts.items()}
    return [
        Panel(
            "samples",
            f"What every level keeps: {', '.join(parts)}",
            "First column: the image. The others: samples conditioned on nothing but the representation of that image, "
            "each column from other noise. What all samples of a row and level share is in the representation; what "
            "varies among them is what it leaves open.",
            torch.cat([first.images[:, :1], *shown.values()], 1),
            first.rows,
            ("image", *(f"{level} {k + 1}" for level, images in shown.items() for k in range(images.shape[1]))),
        )
    ]
