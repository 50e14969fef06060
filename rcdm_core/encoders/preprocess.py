"""Preprocessing as modules: an encoder carries its own, and gradients pass through it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


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
