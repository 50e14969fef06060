"""Images by what a user would type: the name of a data set, or a folder."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rcdm_core.data.downloads import DOWNLOADS, open_download
from rcdm_core.data.folder import open_folder
from rcdm_core.data.garments import load_garments
from rcdm_core.data.imageset import draw_order
from rcdm_core.data.scenes import CLASSES, Scenes
from rcdm_core.errors import UserError, unknown_name
from rcdm_core.images import resize
from rcdm_core.paths import user_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    import torch
    from numpy.typing import ArrayLike

    from rcdm_core.data.imageset import ImageSet

SCENES = {"scenes": "test", "scenes-train": "train"}
NAMES = (*SCENES, *DOWNLOADS)
_PREFIX = "torchvision:"


def load_data(
    spec: str | Path,
    *,
    image_size: int,
    limit: int | None = None,
    seed: int = 0,
) -> ImageSet:
    """Open a set of images.

    A name goes before a folder of that name: write ``./cifar10`` for the folder.

    Args:
        spec: ``scenes``, ``scenes-train``, one of torchvision's data sets (``cifar10``, ``stl10-train``, also as
            ``torchvision:cifar10``; upper and lower case are the same), or a folder.
        image_size: Side of the images in pixels.
        limit: Number of images at most, a seeded random choice; None takes all.
        seed: Seed of the random choice. The scenes themselves do not depend on it.

    Raises:
        UserError: No such name or folder; nothing readable in it; a data set that cannot be downloaded; a limit below
            one.
    """
    name = str(spec).lower().removeprefix(_PREFIX)
    if isinstance(spec, str) and spec.lower() in SCENES:
        return open_scenes(SCENES[spec.lower()], image_size=image_size, limit=limit, seed=seed)
    if isinstance(spec, str) and name in DOWNLOADS:
        return open_download(name, image_size=image_size, limit=limit, seed=seed)
    folder = user_path(spec, "the folder of images")
    if folder.exists() or isinstance(spec, Path) or os.sep in spec:
        return open_folder(folder, image_size=image_size, limit=limit, seed=seed)
    folders = get_close_matches(spec, [path.name for path in Path().iterdir() if path.is_dir()])
    unknown = unknown_name("data set", name, (*folders, *NAMES))
    raise UserError(f"{unknown.problem}, and there is no folder of that name", unknown.remedy)


@dataclass(frozen=True)
class SceneImages:
    """Scenes as a set of images. Made by `open_scenes`.

    Attributes:
        name: ``scenes`` or ``scenes-train``.
        scenes: Where they are rendered.
        chosen: Index of the scene at each position, ascending.
        image_size: Side ``S`` in pixels; other than 32 the rendered scene is resampled.
    """

    name: str
    scenes: Scenes
    chosen: np.ndarray
    image_size: int
    class_names: tuple[str, ...] = CLASSES
    skipped: tuple[Path, ...] = ()
    passed_over: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def keys(self) -> np.ndarray:
        """Indices of the scenes, ``[N]``."""
        return self.chosen

    @property
    def numbers(self) -> np.ndarray:
        """Indices of the scenes, ``[N]``."""
        return self.chosen

    def __len__(self) -> int:
        return len(self.chosen)

    def images(self, indices: ArrayLike) -> torch.Tensor:
        """Images ``[N, 3, S, S]`` in [0, 1]."""
        return resize(self.scenes.images(self.chosen[np.asarray(indices)]), self.image_size)

    def factors(self, indices: ArrayLike) -> pd.DataFrame:
        """The known factors, indexed by position; columns as of `Scenes.factors`."""
        return self.scenes.factors(self.chosen[np.asarray(indices)]).set_index(np.asarray(indices))

    @cached_property
    def labels(self) -> np.ndarray:
        """Garment classes ``[N]`` int64."""
        return self.scenes.factors(self.chosen)["class"].to_numpy()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the garments, the renderer's source, the choice and the size: the same on every machine."""
        garments, labels = load_garments(self.scenes.split, self.scenes.root)
        digest = hashlib.sha256(f"{self.scenes.split} {self.scenes.seed} {self.image_size}\0".encode())
        digest.update((files("rcdm_core.data") / "scenes.py").read_bytes())
        for array in (garments.numpy(), labels.numpy(), self.chosen):
            digest.update(array.tobytes())
        return digest.hexdigest()


def open_scenes(
    split: str, *, image_size: int, limit: int | None = None, seed: int = 0, root: Path | None = None
) -> SceneImages:
    """The scenes of a split.

    Args:
        split: ``test`` or ``train``.
        image_size: Side of the images in pixels.
        limit: Number of scenes at most, a seeded random choice; None takes all.
        seed: Seed of the random choice, not of the scenes.
        root: Folder of the training garments, where they are not in the cache.

    Raises:
        UserError: The training garments are not here and cannot be downloaded.
    """
    scenes = Scenes(split, root=root)
    chosen = np.sort(draw_order(len(scenes), limit, seed)[:limit])
    return SceneImages("scenes" if split == "test" else "scenes-train", scenes, chosen, image_size)
