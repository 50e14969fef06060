"""Training augmentations: Kornia modules on the whole batch, drawn anew for every image.

The SSL recipe is that of SimCLR (Chen et al. 2020, appendix A) for 32 x 32 images, with the hue turned all the way
round: scenes are told apart by their two hues alone, and an encoder that may use them learns little else.

Half of all views, the supervised ones too, have a little noise, as much as the least dose of the probe's. Scenes are
rendered and have none, and an encoder that never met any comes to answer to a single grey level: then neither its
robustness says anything nor the ranks of samples, which are never as smooth.
"""

from __future__ import annotations

import kornia.augmentation as K
from torch import nn

SIZE = (32, 32)
NOISE = 0.02  # standard deviation in half of the views, of the range of a pixel


def ssl_views(size: tuple[int, int] = SIZE, scale: tuple[float, float] = (0.4, 1.0)) -> nn.Module:
    """One random view of each image, ``[N, 3, 32, 32]`` in [0, 1] to ``[N, 3, *size]``.

    Args:
        size: Height and width of a view.
        scale: Least and largest share of the image's area in a view.
    """
    return nn.Sequential(
        K.RandomResizedCrop(size, scale=scale),
        K.RandomHorizontalFlip(p=0.5),
        K.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.5, p=0.8),
        K.RandomGrayscale(p=0.3),
        K.RandomGaussianBlur((3, 3), sigma=(0.1, 1.5), p=0.5),
        _noise(),
    )


def supervised_views() -> nn.Module:
    """The milder recipe of supervised training: crop and flip."""
    return nn.Sequential(K.RandomResizedCrop(SIZE, scale=(0.7, 1.0)), K.RandomHorizontalFlip(p=0.5), _noise())


def _noise() -> nn.Module:
    return K.RandomGaussianNoise(std=NOISE, p=0.5)
