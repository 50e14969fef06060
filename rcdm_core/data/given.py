"""Images given one by one on a command line: files, and scenes by their number (``scenes:7``)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
import torch

from rcdm_core.data.registry import open_scenes
from rcdm_core.errors import UserError
from rcdm_core.images import read_square
from rcdm_core.paths import user_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SCENE = "scenes:"
"""What the number of a scene is written after."""


@dataclass(frozen=True, eq=False)
class GivenImages:
    """A few images in the order in which they were given. Made by `open_given`.

    Attributes:
        names: As they were given, ``[N]``.
        images: ``[N, 3, S, S]`` in [0, 1].
        factors: Known factors, one row an image; None unless every image is a scene.
        fingerprint: SHA-256 of the pixels.
    """

    names: tuple[str, ...]
    images: torch.Tensor
    factors: pd.DataFrame | None
    fingerprint: str


def open_given(specs: Sequence[str | Path], *, image_size: int) -> GivenImages:
    """Read images, the largest centred square of each.

    Args:
        specs: Paths, or ``scenes:7`` for scene number 7 of the embedded ones.
        image_size: Side in pixels to which they are resized.

    Raises:
        UserError: A file that cannot be read as an image (names it), or no scene of that number.
    """
    opened = [_open(str(spec), image_size) for spec in specs]
    images = torch.stack([image for image, _ in opened])
    known = [factors for _, factors in opened if factors is not None]
    return GivenImages(
        tuple(map(str, specs)),
        images,
        pd.concat(known, ignore_index=True) if len(known) == len(opened) else None,
        hashlib.sha256(images.numpy().tobytes()).hexdigest(),
    )


def _open(spec: str, size: int) -> tuple[torch.Tensor, pd.DataFrame | None]:
    if not spec.startswith(SCENE):
        return read_square(user_path(spec, "the image"), size), None
    scenes, number = open_scenes("test", image_size=size), spec.removeprefix(SCENE)
    if not number.isdecimal() or int(number[:20]) >= len(scenes):
        raise UserError(f"there is no scene {number!r}", f"scenes have numbers from 0 to {len(scenes) - 1}")
    return scenes.images([int(number)])[0], scenes.factors([int(number)])
