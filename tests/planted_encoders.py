"""Encoders whose invariances are known by construction: their trunks are plain functions of the images."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from rcdm_core.encoders.encoder import Encoder

Features = Callable[[torch.Tensor], torch.Tensor]


class Planted(nn.Module):
    """A trunk, or a projector, that is a plain function."""

    def __init__(self, function: Features) -> None:
        super().__init__()
        self.function = function
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.function(images)


def encoder(
    name: str, backbone: Features, projector: Features | None = None, trained: Sequence[str] = (), is_ssl: bool = True
) -> Encoder:
    """An encoder of these functions, which takes images of 32 x 32 pixels."""
    with torch.no_grad():
        h = backbone(torch.rand(2, 3, 32, 32))
        dimensions = {"backbone": h.shape[1], **({"projector": projector(h).shape[1]} if projector else {})}
    return Encoder(
        name,
        preprocess=nn.Identity(),
        trunk=Planted(backbone),
        projector=Planted(projector) if projector else None,
        dimensions=dimensions,
        is_ssl=is_ssl,
        training_augmentations=tuple(trained),
    )


def pixels(images: torch.Tensor) -> torch.Tensor:
    """Coarse pixels: ``[N, 192]``."""
    return nn.functional.avg_pool2d(images, 4).flatten(1)


def mean_colour(images: torch.Tensor) -> torch.Tensor:
    """Nothing of where a colour is."""
    return images.mean((2, 3))


def top_row(images: torch.Tensor) -> torch.Tensor:
    """Exactly invariant to downward shifts, which repeat the top row, and to nothing else."""
    return images[:, :, 0].flatten(1)
