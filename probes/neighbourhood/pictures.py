"""Pictures of neighbourhood sampling: every kind side by side, and what lies between two neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from probes.panels import Panel
from rcdm_core.images import resize

if TYPE_CHECKING:
    from collections.abc import Mapping

_ACROSS = 12  # pictures in a row

_TITLES = {
    "real": "real images",
    "images": "drawn from the h of real images",
    "between": "drawn from between neighbours",
    "gaussian": "drawn from a Gaussian",
}


def kinds_panel(level: str, real: torch.Tensor, pictures: Mapping[str, torch.Tensor]) -> Panel:
    """Pictures of every kind, a block of rows each.

    Args:
        level: Level that they are drawn from.
        real: Real images, ``[n, 3, S, S]``, that nothing is drawn from; as many of each kind are shown.
        pictures: Of each source, ``[N, 3, S, S]``, N >= n.
    """
    across = min(_ACROSS, len(real))
    lines = len(real) // across
    size = next(iter(pictures.values())).shape[-1]
    blocks = {"real": resize(real, size), **pictures}
    rows = [block[: lines * across].unflatten(0, (lines, across)) for block in blocks.values()]
    labels = [_TITLES[name] if line == 0 else "" for name in blocks for line in range(lines)]
    return Panel(
        f"kinds_{level}",
        f"Images, and pictures drawn without one, {level}",
        "Real images; pictures drawn from the representations of real images; from new representations between the h "
        "of an image and of one of its neighbours; and from a Gaussian with the mean and the covariance of the "
        "representations. The last three start from equal noise, place by place. Where the gap between neighbours is "
        "filled with images, the third block looks like the second; where mean and covariance are all there is to the "
        "representations, the last one does, too.",
        torch.cat(rows),
        tuple(labels),
        ("",) * across,
    )


def neighbours_panel(
    level: str, images: torch.Tensor, neighbours: torch.Tensor, of_image: torch.Tensor, of_between: torch.Tensor
) -> Panel:
    """Images, the neighbours that they are combined with, and what is drawn from the image and from between.

    Args:
        level: Level that samples come from.
        images: ``[R, 3, S, S]``.
        neighbours: The neighbour of each.
        of_image: A sample of the representation of each image.
        of_between: A sample of the one between it and its neighbour.
    """
    size = of_image.shape[-1]
    columns = (resize(images, size), of_image, of_between, resize(neighbours, size))
    return Panel(
        f"neighbours_{level}",
        f"Between an image and its neighbour, {level}",
        "An image, a sample from its representation, a sample from a representation between it and that of its "
        "neighbour, from equal noise, and the neighbour. How near to which end is random.",
        torch.stack(columns, 1),
        tuple(f"image {i + 1}" for i in range(len(images))),
        ("image", "drawn from h", "drawn from between", "neighbour"),
    )
