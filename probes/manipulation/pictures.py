"""Pictures of the manipulation probe: what edits and directions change in what is drawn, all from equal noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from probes.panels import Panel
from rcdm_core.images import resize

if TYPE_CHECKING:
    from collections.abc import Mapping

STRIPS = 2
"""Images that are shown moved along every direction."""

_COLUMNS = {
    "untouched": "drawn from h",
    "removed": "common removed",
    "removed_random": "random removed",
    "transplanted": "target's common in",
    "transplanted_random": "as many random in",
    "transplanted_far": "as far random in",
    "target": "drawn from target",
}


def edits_panel(
    level: str, sources: torch.Tensor, targets: torch.Tensor, samples: Mapping[str, torch.Tensor], count: int
) -> Panel:
    """The first images with a sample of every edit.

    Args:
        level: Level that the samples come from.
        sources: The images, ``[N, 3, S, S]``.
        targets: The target of each.
        samples: ``{version: [N, K, 3, S, S]}``; the first sample of each is shown.
        count: How many images.
    """
    size = samples["untouched"].shape[-1]
    images, others = (resize(side[:count], size) for side in (sources, targets))
    drawn = [samples[name][:count, 0] for name in _COLUMNS]
    return Panel(
        f"edits_{level}",
        f"Dimensions taken out and put in, {level}",
        "Each row is one image and its target, with samples from equal noise: from h; from h without the dimensions "
        "that the image shares with its neighbours, and without as many random ones; from h with the target's values "
        "in the dimensions that the target shares with its neighbours, in as many random ones, and in random ones "
        "until h has moved as far; and from the h of the target. Where common dimensions carry what an image shows, "
        "the fourth sample takes more from the target than the fifth and the sixth.",
        torch.stack([images, *drawn, others], 1),
        tuple(f"image {i + 1}" for i in range(len(images))),
        ("image", *_COLUMNS.values(), "target"),
    )


def directions_panels(
    level: str, images: torch.Tensor, untouched: torch.Tensor, moved: Mapping[str, Mapping[float, torch.Tensor]]
) -> list[Panel]:
    """The first images moved along the direction of every factor, a panel an image.

    Args:
        level: Level that the samples come from.
        images: The images, ``[N, 3, S, S]``.
        untouched: Samples of h, ``[N, K, 3, S, S]``.
        moved: ``{factor: {strength: [n, K, 3, S, S]}}``.
    """
    first = next(iter(moved.values()))
    steps = sorted({0.0, *first})
    panels = []
    for place in range(min(STRIPS, *(len(drawn) for drawn in first.values()))):
        original = resize(images[place : place + 1], untouched.shape[-1])
        rows = []
        for strengths in moved.values():
            strip = {0.0: untouched[place, 0], **{step: drawn[place, 0] for step, drawn in strengths.items()}}
            rows.append(torch.cat([original, *(strip[step][None] for step in steps)]))
        panels.append(
            Panel(
                f"directions_{level}_{place + 1}",
                f"Image {place + 1} moved along the direction of each factor, {level}",
                "First column: the image. The others: samples, all from equal noise, from h moved along the direction "
                "in which a linear readout of the factor grows, by the number of standard deviations above. A row "
                "should change in the factor that it is named after, and in nothing else.",
                torch.stack(rows),
                tuple(factor.replace("_", " ") for factor in moved),
                ("image", *(f"{step:+g}σ".replace("-", "−") if step else "h" for step in steps)),
            )
        )
    return panels
