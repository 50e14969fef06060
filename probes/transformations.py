"""Transformations of images, each with a strength: what an encoder may or may not be invariant to.

An entry says how strong a *dose* is (its unit), which doses make a dose-response curve, and which single dose stands
for the transformation in comparisons. Dose 0 is the identity. Random parts (the noise, the place of a crop or an erased
square, the directions and the order of a colour jitter) belong to the image: they are a function of ``(seed, number of
the image)``, the same at every dose and in every batch, so that along a curve only the strength changes.

Pixels are kornia's work. Pixels from outside the image repeat its border.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from types import MappingProxyType
from typing import TYPE_CHECKING

import kornia.enhance as enhance
import torch
from kornia.color import rgb_to_grayscale
from kornia.filters import gaussian_blur2d
from kornia.geometry import bbox_to_mask
from kornia.geometry.transform import get_affine_matrix2d, hflip, warp_affine

from probes.image_draws import ImageDraws
from rcdm_core.fingerprint import code_fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ERASED = 0.5  # grey level of an erased square


@dataclass(frozen=True)
class Transformation:
    """A way to change an image, by a dose.

    Args:
        name: Name in `TRANSFORMATIONS`, in records and on the command line.
        label: Name in figures.
        unit: What a dose counts.
        doses: Ascending strengths > 0 of the dose-response curve.
        reference: The one of the doses that stands for the transformation.
        function: Images ``[N, 3, H, W]``, dose, draws -> images; may overshoot [0, 1].
        keeps_places: Whether what stands at a place stays there, so that it can be compared place by place.
    """

    name: str
    label: str
    unit: str
    doses: tuple[float, ...]
    reference: float
    function: Callable[[torch.Tensor, float, ImageDraws], torch.Tensor]
    keeps_places: bool = False

    def apply(
        self, images: torch.Tensor, dose: float, seed: int = 0, *, numbers: Sequence[int] | None = None
    ) -> torch.Tensor:
        """The images transformed.

        Args:
            images: ``[N, 3, H, W]`` in [0, 1].
            dose: Strength, in `unit`; 0 changes nothing.
            seed: Seed of the random parts.
            numbers: Number of each image in its data set, ``[N]``; by default 0 .. N-1.

        Returns:
            ``[N, 3, H, W]`` in [0, 1], on the device of the images.
        """
        chosen = range(len(images)) if numbers is None else numbers
        draws = ImageDraws(seed, self.name, tuple(int(number) for number in chosen))
        return self.function(images, dose, draws).clamp(0, 1)


def warp(
    images: torch.Tensor,
    *,
    scale: float = 1.0,
    degrees: float = 0.0,
    shift: torch.Tensor | tuple[float, float] = (0.0, 0.0),
) -> torch.Tensor:
    """Scale and turn (clockwise) about the centre, then move by ``shift`` pixels, ``(x, y)`` or ``[N, 2]``."""
    count, _, height, width = images.shape
    like = partial(torch.as_tensor, dtype=images.dtype, device=images.device)
    matrix = get_affine_matrix2d(
        translations=like(shift).expand(count, 2).clone(),
        center=like([(width - 1) / 2, (height - 1) / 2]).expand(count, 2),
        scale=like(scale).expand(count, 2),
        angle=like(degrees).expand(count),
    )
    return warp_affine(images, matrix[:, :2], (height, width), padding_mode="border", align_corners=True)


def _crop(images: torch.Tensor, dose: float, draws: ImageDraws) -> torch.Tensor:
    side = math.sqrt(1 - dose)
    size = torch.tensor([images.shape[-1], images.shape[-2]], dtype=images.dtype)
    shift = (0.5 - draws.uniform(2)) * (size - 1) * (1 / side - 1)
    return warp(images, scale=1 / side, shift=shift)


def _color_jitter(images: torch.Tensor, dose: float, draws: ImageDraws) -> torch.Tensor:
    """SimCLR's: at dose s, brightness, contrast, saturation in 1 -/+ 0.8 s and hue in -/+ 0.2 s turns, in any order."""
    values = draws.uniform(5).to(images.device)
    change = dose * (2 * values[:, :4] - 1)
    steps = (
        lambda x, c: enhance.adjust_brightness_accumulative(x, (1 + 0.8 * c).clamp(min=0)),
        lambda x, c: enhance.adjust_contrast_with_mean_subtraction(x, (1 + 0.8 * c).clamp(min=0)),
        lambda x, c: enhance.adjust_saturation_with_gray_subtraction(x, (1 + 0.8 * c).clamp(min=0)),
        lambda x, c: enhance.adjust_hue(x, 2 * math.pi * 0.2 * c),
    )
    orders = torch.tensor(list(permutations(range(len(steps)))), device=images.device)
    order = orders[(values[:, 4] * len(orders)).long()]  # [N, 4]
    jittered = images.clone()
    for turn in order.T:
        for which, step in enumerate(steps):
            chosen = turn == which
            if chosen.any():
                jittered[chosen] = step(jittered[chosen], change[chosen, which])
    return jittered


def _blur(images: torch.Tensor, dose: float, draws: ImageDraws) -> torch.Tensor:
    sigma = max(dose * images.shape[-1] / 32, 1e-3)  # a Gaussian of no width at all is 0 / 0
    return gaussian_blur2d(images, 2 * math.ceil(3 * sigma) + 1, (sigma, sigma), border_type="replicate")


def _erasing(images: torch.Tensor, dose: float, draws: ImageDraws) -> torch.Tensor:
    height, width = images.shape[-2:]
    size = torch.tensor([width, height])
    corner = draws.uniform(2) * size * (1 - math.sqrt(dose)) - 0.5  # a pixel is erased where its centre is
    opposite = corner + size * math.sqrt(dose)
    boxes = torch.stack([corner, corner, opposite, opposite], 1)  # kornia reads the first and the third vertex
    mask = bbox_to_mask(boxes, width, height)[:, None].to(images)
    return torch.lerp(images, torch.full_like(images, ERASED), mask)


_ENTRIES = {
    entry.name: entry
    for entry in (
        Transformation(
            "vertical_shift", "vertical shift", "fraction of height", (1 / 32, 1 / 16, 1 / 8, 3 / 16, 1 / 4), 1 / 8,
            lambda images, dose, draws: warp(images, shift=(0.0, dose * images.shape[-2])),
        ),
        Transformation(
            "zoom_out", "zoom out", "1 - scale", (0.1, 0.2, 0.3, 0.4, 0.5), 0.3,
            lambda images, dose, draws: warp(images, scale=1 - dose),
        ),
        Transformation(
            "grayscale", "grayscale", "blend", (0.2, 0.4, 0.6, 0.8, 1.0), 1.0,
            lambda images, dose, draws: torch.lerp(images, rgb_to_grayscale(images).expand_as(images), dose),
            keeps_places=True,
        ),
        Transformation(
            "color_jitter", "color jitter", "strength", (0.125, 0.25, 0.5, 0.75, 1.0), 0.5, _color_jitter,
            keeps_places=True,
        ),
        Transformation(
            "horizontal_flip", "horizontal flip", "flipped", (1.0,), 1.0,
            lambda images, dose, draws: torch.lerp(images, hflip(images), dose),
        ),
        Transformation(
            "rotation", "rotation", "degrees", (5.0, 10.0, 20.0, 30.0, 45.0), 20.0,
            lambda images, dose, draws: warp(images, degrees=dose),
        ),
        Transformation("crop", "crop", "fraction of area cut", (0.1, 0.2, 0.35, 0.5, 0.7), 0.5, _crop),
        Transformation(
            "blur", "blur", "sigma, 1/32 of width", (0.25, 0.5, 0.75, 1.0, 1.5), 0.75, _blur, keeps_places=True
        ),
        Transformation(
            "brightness", "brightness", "added level", (0.05, 0.1, 0.2, 0.3, 0.4), 0.2,
            lambda images, dose, draws: enhance.adjust_brightness(images, dose), keeps_places=True,
        ),
        Transformation(
            "contrast", "contrast", "share removed", (0.1, 0.25, 0.5, 0.75, 0.9), 0.5,
            lambda images, dose, draws: enhance.adjust_contrast_with_mean_subtraction(images, 1.0 - dose),
            keeps_places=True,
        ),
        Transformation(
            "hue", "hue", "turns", (0.05, 0.1, 0.15, 0.25, 0.5), 0.25,
            lambda images, dose, draws: enhance.adjust_hue(images, 2 * math.pi * dose), keeps_places=True,
        ),
        Transformation(
            "noise", "noise", "sigma", (0.02, 0.05, 0.1, 0.15, 0.2), 0.1,
            lambda images, dose, draws: images + dose * draws.normal(*images.shape[1:]).to(images), keeps_places=True,
        ),
        Transformation(
            "erasing", "erasing", "fraction of area", (0.02, 0.05, 0.1, 0.2, 0.3), 0.1, _erasing, keeps_places=True
        ),
    )
}  # fmt: skip
TRANSFORMATIONS: Mapping[str, Transformation] = MappingProxyType(_ENTRIES)
"""Every transformation by its name; `register` adds one."""
REGISTERED: dict[str, str] = {}
"""Of those that were added, by what they are known: numbers of another transformation under the name are not theirs."""


def register(entry: Transformation) -> None:
    """Add a transformation, for the rest of the process, to those that are measured.

    Raises:
        ValueError: The name is taken, or the reference is none of the doses.
    """
    if entry.name in _ENTRIES:
        raise ValueError(f"there is a transformation {entry.name!r} already")
    if entry.reference not in entry.doses:
        raise ValueError(f"the reference of {entry.name!r}, {entry.reference}, is none of its doses {entry.doses}")
    _ENTRIES[entry.name] = entry
    REGISTERED[entry.name] = code_fingerprint(entry)
