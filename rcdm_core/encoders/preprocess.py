"""Preprocessing as modules: an encoder carries its own, and gradients pass through it.

Clamping keeps what a bicubic filter overshoots within [0, 1], as the 8 bits of a picture do.
"""

from __future__ import annotations

import inspect
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from rcdm_core.fingerprint import shows_an_address

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


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
            images = _halved(_halved(images.mT).mT)
        scale = self.size / min(images.shape[-2:])
        if scale != 1:
            height, width = (round(side * scale) for side in images.shape[-2:])
            images = F.interpolate(images, size=(height, width), mode="bicubic", antialias=True)
        top, left = ((side - self.size) // 2 for side in images.shape[-2:])
        return images[..., top : top + self.size, left : left + self.size].clamp(0, 1)


def _halved(images: torch.Tensor) -> torch.Tensor:
    """Half as many columns, by Pillow's box filter: means of pairs, but for the middle of an odd side."""
    first, weights = _box_windows(images.shape[-1])
    columns = torch.tensor(first, device=images.device)[:, None] + torch.arange(3, device=images.device)
    windows = images[..., columns.clamp(max=images.shape[-1] - 1)]  # [..., W // 2, 3]
    return (windows * images.new_tensor(weights)).sum(-1)


@lru_cache(maxsize=64)
def _box_windows(side: int) -> tuple[list[int], list[list[float]]]:
    """First pixel and three weights of each window of the box filter from ``side`` to ``side // 2`` pixels.

    The arithmetic is that of Pillow's Resample.c: where the middle of an odd side falls on a border between two
    windows, its rounding decides which of them has the pixel, or that none has.
    """
    scale = side / (side // 2)
    first, weights = [], []
    for i in range(side // 2):
        centre = (i + 0.5) * scale
        low, high = int(centre - 0.5 * scale + 0.5), min(int(centre + 0.5 * scale + 0.5), side)
        inside = [-0.5 < (x - centre + 0.5) * (1 / scale) <= 0.5 for x in range(low, high)]
        first.append(low)
        weights.append([w / sum(inside) for w in inside] + [0.0] * (3 - len(inside)))
    return first, weights


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
        transform: A transform, or a `Compose` of several, which may be such ones again; each takes batches of tensors.
    """

    def __init__(self, transform: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.steps = [step for step in _in_a_row(transform) if type(step).__name__ not in _TO_TENSOR]
        self.networks = nn.ModuleList(step for step in self.steps if isinstance(step, nn.Module))  # go where this goes

    def __repr__(self) -> str:
        return f"Steps({', '.join(map(_description, self.steps))})"

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """``[N, 3, H, W]`` in [0, 1] to what the transform makes of them."""
        for step in self.steps:
            images = step(images.clamp(0, 1) if type(step).__name__ == "Normalize" else images)
        return images


_TO_TENSOR = ("ToTensor", "MaybeToTensor", "PILToTensor", "MaybePILToTensor", "ToImage")


def is_composed(transform: object) -> bool:
    """Whether it is one of torchvision's two ways to put transforms in a row."""
    return type(transform).__name__ == "Compose" and hasattr(transform, "transforms")


def _in_a_row(transform: Any) -> list[Callable[[torch.Tensor], torch.Tensor]]:
    if not is_composed(transform):
        return [transform]
    return [step for part in transform.transforms for step in _in_a_row(part)]


def _description(value: Any) -> str:
    """What tells a step, or a setting of one, from another: its settings, or its code where it shows none."""
    match value:
        case partial():
            return f"partial({', '.join(map(_description, (value.func, value.args, value.keywords)))})"
        case list() | tuple():
            return f"[{', '.join(map(_description, value))}]"
        case dict():
            return f"{{{', '.join(f'{key}: {_description(value[key])}' for key in sorted(value, key=str))}}}"
    try:
        if inspect.isfunction(value):
            return inspect.getsource(value)
        if inspect.ismethod(value) or inspect.isbuiltin(value):
            return f"{value.__name__} of {_description(value.__self__)}"
        if shows_an_address(repr(value)):
            return inspect.getsource(type(value)) + _description(vars(value))
    except (OSError, TypeError):  # nowhere written down
        pass
    return repr(value)
