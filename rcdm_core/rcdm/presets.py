"""Sizes of the denoiser by name, from the embedded one to the published one, for images of any usual size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rcdm_core.errors import UserError, unknown_name
from rcdm_core.rcdm.network import NetworkSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def network_settings(name: str, image_size: int) -> NetworkSettings:
    """The shape of a denoiser.

    Args:
        name: A key of `NETWORKS`.
        image_size: Side of the images in pixels.

    Raises:
        UserError: No such network (says the nearest names), or none for images of this size (says which there are).
    """
    if name not in NETWORKS:
        raise unknown_name("network", name, NETWORKS)
    return NETWORKS[name](image_size)


def embedded(image_size: int) -> NetworkSettings:
    """That of the shipped RCDM: 7 M parameters, two resolutions."""
    return _checked("embedded", NetworkSettings(image_size=image_size))


def small(image_size: int) -> NetworkSettings:
    """24 M parameters, three resolutions; images wider than 32 pixels are folded into about 32 x 32 patches."""
    return _checked(
        "small",
        NetworkSettings(
            image_size=image_size,
            patch=max(1, image_size // 32),
            channels=(128, 192, 256),
            blocks=2,
            attention=(False, True, True),
            attention_width=64,
            middle_norm=True,
        ),
    )


def base(image_size: int) -> NetworkSettings:
    """92 M parameters, four resolutions; images wider than 64 pixels are folded into about 64 x 64 patches."""
    return _checked(
        "base",
        NetworkSettings(
            image_size=image_size,
            patch=max(1, image_size // 64),
            channels=(128, 256, 384, 512),
            blocks=2,
            attention=(False, False, True, True),
            attention_width=64,
            middle_norm=True,
        ),
    )


def published(image_size: int) -> NetworkSettings:
    """That of Bordes et al. (2022), 423 M parameters at 128 x 128: ADM with learned variances."""
    if image_size not in MULTIPLIERS:
        raise UserError(
            f"the published network has no form for images of {image_size} pixels",
            f"choose one of {', '.join(map(str, MULTIPLIERS))}",
        )
    multipliers = MULTIPLIERS[image_size]
    return NetworkSettings(
        image_size=image_size,
        patch=1,
        channels=tuple(256 * m for m in multipliers),
        blocks=2,
        attention=tuple(image_size >> level in ATTENDED for level in range(len(multipliers))),
        attention_heads=4,
        middle_norm=True,
        residual_resampling=True,
        learned_variances=True,
    )


MULTIPLIERS = {64: (1, 2, 3, 4), 128: (1, 1, 2, 3, 4), 256: (1, 1, 2, 2, 4, 4)}
"""Channels of each resolution over the first, by image size (Dhariwal and Nichol 2021)."""

ATTENDED = (32, 16, 8)  # sides at which the published network attends

NETWORKS: Mapping[str, Callable[[int], NetworkSettings]] = {
    "embedded": embedded,
    "small": small,
    "base": base,
    "published": published,
}
"""Name to shape, for a side of the images in pixels."""


def _checked(name: str, settings: NetworkSettings) -> NetworkSettings:
    """The settings, if images of their size halve as often as they must."""
    divisor = settings.multiple
    if settings.image_size % divisor or settings.image_size < divisor:
        nearest = max(1, round(settings.image_size / divisor)) * divisor
        raise UserError(
            f"the network {name} cannot halve images of {settings.image_size} pixels often enough",
            f"use {nearest} pixels, or another multiple of {divisor}",
        )
    return settings
