"""Pictures of the adversarial probe: what an attack changes in the image, and in what is drawn from ``h``.

Panels are built from images that were made before; nothing is attacked or sampled here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from probes.panels import Panel
from rcdm_core.images import at_one_size, resize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from probes.adversarial.attacks import Entry


def drawn_panel(
    number: int, samples: Mapping[str, Mapping[str, torch.Tensor]], image: torch.Tensor, entry: Entry
) -> Panel:
    """Samples of one image from every encoder, untouched, under noise and under attack.

    Args:
        number: Number of the image among the pictures, from 0.
        samples: Of each encoder, what is drawn under each heading, ``[3, S, S]``, with the S of its RCDM; the same
            headings for all. All are shown at the largest size.
        image: The image untouched, ``[3, S', S']``.
        entry: The attack.
    """
    drawn = at_one_size(torch.stack(list(row.values())) for row in samples.values())
    rows = [torch.cat([resize(image[None], row.shape[-1]), row]) for row in drawn]
    return Panel(
        f"attacked_{number + 1}",
        f"Image {number + 1}: what is drawn from h under {entry.name}",
        "First column: the image. The others: samples from the representation of the image untouched, under random "
        f"noise of the largest budget, and under {entry.name} with budgets in {entry.unit}; all from equal noise, so "
        "that a difference within a row comes from what happened to h. Each encoder is attacked with its own "
        "perturbation.",
        torch.stack(rows),
        tuple(samples),
        ("image", *next(iter(samples.values()))),
    )


def perturbations_panel(
    image: torch.Tensor, moved: Mapping[str, torch.Tensor], entry: Entry, budget: float, control: torch.Tensor
) -> Panel:
    """One image under each encoder's own perturbation, and the perturbations amplified around grey.

    Args:
        image: The image untouched, ``[3, S, S]``.
        moved: The attacked image of each encoder, ``[3, S, S]``.
        entry: The attack.
        budget: Its budget, in the printed unit.
        control: The image under random noise of the same budget, ``[3, S, S]``.
    """
    versions = {"noise": control, **moved}
    largest = max(float((version - image).abs().max()) for version in versions.values())
    factor = max(1, round(0.5 / max(largest, 1e-9)))
    grey = torch.full_like(image, 0.5)
    top = torch.stack([image, *versions.values()])
    bottom = torch.stack([grey, *(0.5 + factor * (version - image) for version in versions.values())])
    return Panel(
        "perturbations",
        f"What {entry.name} adds to an image within {entry.told(budget)}",
        "Top: image 1, untouched, under random noise, and as attacked against each encoder. Bottom: the difference "
        f"from the untouched image, {factor} times amplified around middle grey.",
        torch.stack([top, bottom.clamp(0, 1)]),
        ("image", f"difference, × {factor}"),
        ("untouched", *versions),
    )
