"""Preprocessing as modules: an encoder carries its own, and gradients pass through it.

Clamping keeps what a bicubic filter overshoots within [0, 1], as the 8 bits of a picture do.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable


class HalvingCrop(nn.Module):
    """The square crop of the published RCDMs: halve, resize, crop the centre.

    The image is halved with a box filter while its short side is at least twice the target, then resized with a bicubic
    filter until the short side is the target, then cropped; as Pillow does it, but for the rounding to 8 bits.

    Args:
        size: Side of the square in pixels.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def extra_repr(self) -> str:
        return f"size={self.size}"

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """``[N, 3, H, W]`` in [0, 1] to ``[N, 3, size, size]`` in [0, 1]."""
        while min(images.shape[-2:]) >= 2 * self.size:
            images = F.avg_pool2d(_even(_even(images, -2), -1), 2)
        scale = self.size / min(images.shape[-2:])
        if scale != 1:
            height, width = (round(side * scale) for side in images.shape[-2:])
            images = F.interpolate(images, size=(height, width), mode="bicubic", antialias=True)
        top, left = ((side - self.size) // 2 for side in images.shape[-2:])
        return images[..., top : top + self.size, left : left + self.size].clamp(0, 1)


def _even(images: torch.Tensor, axis: int) -> torch.Tensor:
    """Images with an even side, whose mean over pairs is Pillow's box filter from ``side`` to ``side // 2`` pixels.

    For an odd side, that filter takes three pixels together in the middle and pairs elsewhere: two pixels of their mean
    stand in for the three.
    """
    side = images.shape[axis]
    if side % 2 == 0:
        return images
    first = 2 * ((side // 2 + 1) // 2 - 1)
    before, three, after = images.split((first, 3, side - first - 3), axis)
    mean = three.mean(axis, keepdim=True)
    return torch.cat((before, mean, mean, after), axis)


class ResizeNormalize(nn.Module):
    """Resize to a square and normalise: ``(resize(x) - mean) / std``.

    Args:
        size: Side of the square in pixels. Images that have it already are not resampled.
        mean: Mean of each RGB channel.
        std: Standard deviation of each RGB channel.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, size: int, mean: tuple[float, float, float], std: tuple[float, float, float]) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

    def extra_repr(self) -> str:
        return f"size={self.size}, mean={self.mean.flatten().tolist()}, std={self.std.flatten().tolist()}"

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """``[N, 3, H, W]`` in [0, 1] to ``[N, 3, size, size]``, normalised."""
        if images.shape[-2:] != (self.size, self.size):
            images = F.interpolate(images, size=(self.size, self.size), mode="bilinear", antialias=True)
        return (images - self.mean) / self.std


class Steps(nn.Module):
    """Torchvision's transforms in a row, on tensors; steps that make a tensor of a picture are left out.

    What resizing overshoots is clamped before the normalisation.

    Args:
        transform: A transform, or a `Compose` of several; each takes batches of tensors.
    """

    def __init__(self, transform: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        steps = getattr(transform, "transforms", [transform])
        self.steps = [step for step in steps if type(step).__name__ not in _TO_TENSOR]

    def extra_repr(self) -> str:
        return ", ".join(map(_description, self.steps))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """``[N, 3, H, W]`` in [0, 1] to what the transform makes of them."""
        for step in self.steps:
            images = step(images.clamp(0, 1) if type(step).__name__ == "Normalize" else images)
        return images


_TO_TENSOR = ("ToTensor", "MaybeToTensor", "PILToTensor", "MaybePILToTensor", "ToImage")


def _description(step: Callable[..., torch.Tensor]) -> str:
    """What tells a step from another: its settings, or its code where it shows none."""
    if inspect.isfunction(step):
        return inspect.getsource(step)
    if f"{id(step):x}" in repr(step):  # Python's own words
        return inspect.getsource(type(step)) + repr(sorted(vars(step).items()))
    return repr(step)
