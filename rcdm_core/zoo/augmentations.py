"""The views of a training: Kornia modules on the whole batch, drawn anew for every image, the same for every method.

The recipe is that of SimCLR (Chen et al. 2020, appendix A) for 32 x 32 images, with the hue turned all the way round:
scenes are told apart by their two hues alone, and an encoder that may use them learns little else.

A view has 24 x 24 pixels. A crop of 0.4 to 1 of the area is 20 to 32 pixels wide, so that on average it keeps its size,
and garments in training look as large as at use, where the whole scene is seen (Touvron et al. 2019); a view of 32 x 32
would show them a quarter larger, at twice the cost.

Every view has noise below half a grey level, as rounding to 8 bits makes. No pixel moves by as much as under the least
budget of an attack, so that no method is trained against any.
"""

from __future__ import annotations

import kornia.augmentation as K
import torch
from torch import nn

VIEW = 24  # pixels
NOISE = 0.4 / 255  # largest change of a pixel, of its range


class SlightNoise(nn.Module):
    """Uniform noise of at most `NOISE` in every pixel and colour."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images of any shape."""
        return images + NOISE * (2 * torch.rand_like(images) - 1)


class Pairs(nn.Module):
    """Two random views of images ``[N, 3, 32, 32]`` in [0, 1], ``[2 N, 3, 24, 24]``: one of each, then the other."""

    def __init__(self) -> None:
        super().__init__()
        self.view = nn.Sequential(
            K.RandomResizedCrop((VIEW, VIEW), scale=(0.4, 1.0)),
            K.RandomHorizontalFlip(p=0.5),
            K.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.5, p=0.8),
            K.RandomGrayscale(p=0.3),
            K.RandomGaussianBlur((3, 3), sigma=(0.1, 1.5), p=0.5),
            SlightNoise(),
        )

    @torch.no_grad()
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """In float32, whatever the precision of the networks: colours are not rounded."""
        with torch.autocast(images.device.type, enabled=False):
            return torch.cat([self.view(images), self.view(images)]).clamp(0, 1)
