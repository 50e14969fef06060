"""Images by what a user would type: the name of a data set, or a folder; single ones by file or ``scenes:7``."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike

from rcdm_core.data.downloads import DOWNLOADS, open_download
from rcdm_core.data.folder import open_folder
from rcdm_core.data.garments import load_garments
from rcdm_core.data.imageset import ImageSet, draw_order, hashes_of
from rcdm_core.data.scenes import CLASSES, Scenes
from rcdm_core.errors import UserError, unknown_name
from rcdm_core.images import Range, read_picture, resize, told_of_range
from rcdm_core.paths import user_path

SCENES = {"scenes": "test", "scenes-train": "train"}
NAMES = (*SCENES, *DOWNLOADS)
SCENE = "scenes:"
"""What the number of a scene is written after."""


def load_data(spec: str | Path, image_size: int, limit: int | None = None, seed: int = 0) -> ImageSet:
    """Open a set of images.

    A name goes before a folder of that name: write ``./cifar10`` for the folder.

    Args:
        spec: ``scenes``, ``scenes-train``, one of torchvision's data sets (``cifar10``, ``stl10-train``, also as
            ``torchvision:cifar10``; upper and lower case are the same), or a folder.
        image_size: Side ``S`` of the images in pixels, to which they are resized and cropped.
        limit: Number of images at most, a seeded random choice; None takes all.
        seed: Seed of the random choice. The scenes themselves do not depend on it.

    Raises:
        UserError: No such name or folder; nothing readable in it; a data set that cannot be downloaded; a limit below
            one.
    """
    name = str(spec).lower().removeprefix("torchvision:")
    if isinstance(spec, str) and spec.lower() in SCENES:
        return open_scenes(SCENES[spec.lower()], image_size, limit, seed)
    if isinstance(spec, str) and name in DOWNLOADS:
        return open_download(name, image_size, limit, seed)
    folder = user_path(spec, "the folder of images")
    if folder.exists() or isinstance(spec, Path) or os.sep in spec:
        return open_folder(folder, image_size, limit, seed)
    folders = get_close_matches(spec, [path.name for path in Path().iterdir() if path.is_dir()])
    unknown = unknown_name("data set", name, (*folders, *NAMES))
    raise UserError(f"{unknown.problem}, and there is no folder of that name", unknown.remedy)


@dataclass(frozen=True, eq=False, kw_only=True)
class SceneImages(ImageSet):
    """Scenes as a set of images; where its side is not 32 pixels, what was rendered is resampled; see `scene_set`."""

    scenes: Scenes

    @property
    def hashes(self) -> np.ndarray:
        names = (f"{self.scenes.split} {self.scenes.seed} {number}" for number in self.numbers)
        return hashes_of(hashlib.sha256(name.encode()).digest() for name in names)

    def images(self, indices: ArrayLike) -> torch.Tensor:
        return resize(self.scenes.images(self.numbers[np.asarray(indices)]), self.image_size)

    def factors(self, indices: ArrayLike) -> pd.DataFrame:
        return self.scenes.factors(self.numbers[np.asarray(indices)]).set_index(np.asarray(indices))


def open_scenes(split: str, image_size: int, limit: int | None = None, seed: int = 0) -> SceneImages:
    """The scenes of a split, ``test`` or ``train``; other arguments as of `load_data`.

    Raises:
        UserError: The training garments are not here and cannot be downloaded.
    """
    scenes = Scenes(split)
    return scene_set(scenes, np.sort(draw_order(len(scenes), limit, seed)[:limit]), image_size)


def scene_set(scenes: Scenes, indices: np.ndarray, image_size: int) -> SceneImages:
    """Scenes of a split as a set of images.

    Args:
        scenes: Where they are rendered.
        indices: Which of them, ascending ``[N]``.
        image_size: Side of the images in pixels.
    """
    # Garments, the renderer's source, the choice and the size: the same on every machine.
    digest = hashlib.sha256(f"{scenes.split} {scenes.seed} {image_size}\0".encode())
    digest.update((files("rcdm_core.data") / "scenes.py").read_bytes())
    garments, labels = load_garments(scenes.split, scenes.root)
    for array in (garments.numpy(), labels.numpy(), indices):
        digest.update(array.tobytes())
    name, labels = "scenes" if scenes.split == "test" else "scenes-train", scenes.factors(indices)["class"].to_numpy()
    return SceneImages(name, image_size, indices, digest.hexdigest(), labels, CLASSES, scenes=scenes)


@dataclass(frozen=True, eq=False)
class GivenImages:
    """A few images in the order in which they were given. Made by `open_given`.

    Attributes:
        names: As they were given, ``[N]``.
        images: ``[N, 3, S, S]`` in [0, 1].
        factors: Known factors, one row an image; None unless every image is a scene.
        fingerprint: SHA-256 of the pixels.
        remarks: What has to be told of them, in sentences.
    """

    names: tuple[str, ...]
    images: torch.Tensor
    factors: pd.DataFrame | None
    fingerprint: str
    remarks: tuple[str, ...]


def open_given(specs: Sequence[str | Path], *, image_size: int) -> GivenImages:
    """Read images, the largest centred square of each.

    Args:
        specs: Paths, or ``scenes:7`` for scene number 7 of the embedded ones.
        image_size: Side in pixels to which they are resized.

    Raises:
        UserError: A file that cannot be read as an image (names it), or no scene of that number.
    """
    opened = [_open(str(spec), image_size) for spec in specs]
    images = torch.stack([image for image, _, _ in opened])
    known = [factors for _, factors, _ in opened if factors is not None]
    return GivenImages(
        tuple(map(str, specs)),
        images,
        pd.concat(known, ignore_index=True) if len(known) == len(opened) else None,
        hashlib.sha256(images.numpy().tobytes()).hexdigest(),
        tuple(told_of_range(found for _, _, found in opened)),
    )


def _open(spec: str, size: int) -> tuple[torch.Tensor, pd.DataFrame | None, Range | None]:
    """An image, its factors where it is a scene, and the `rcdm_core.images.Picture.range` of a file."""
    if not spec.startswith(SCENE):
        picture = read_picture(user_path(spec, "the image"), size)
        return picture.pixels, None, picture.range
    scenes, number = Scenes(), spec.removeprefix(SCENE)
    if not number.isdecimal() or len(number) > 9 or int(number) >= len(scenes):
        raise UserError(f"there is no scene {number!r}", f"scenes have numbers from 0 to {len(scenes) - 1}")
    return resize(scenes.images([int(number)]), size)[0], scenes.factors([int(number)]), None
