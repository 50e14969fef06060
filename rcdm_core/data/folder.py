"""A folder of images, with or without a subfolder for each class.

Every file is read, hashed and decoded once when the folder is opened: only so is it known how many images there are,
and that none of them fails an hour later. Pixels are not kept: they are decoded again, batch by batch, when asked for.
"""

from __future__ import annotations

import hashlib
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from rcdm_core.data.imageset import draw_order
from rcdm_core.errors import UserError
from rcdm_core.images import RECIPE, UnreadableImage, read_square
from rcdm_core.progress import silent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike

    from rcdm_core.progress import Progress

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".pbm")
RUN = "run.json"
"""What marks a folder as written by a probe or a training: its pictures are figures."""

TOLERATED = 0.1
"""The largest share of corrupt files at which the rest is still taken for what the user meant."""

WORKERS = min(16, os.cpu_count() or 1)


@dataclass(frozen=True)
class FolderImages:
    """The readable images of a folder, in natural order of their paths. Made by `open_folder`.

    Attributes:
        folder: The folder.
        paths: The image files, in the order of the positions.
        image_size: Side ``S`` in pixels to which they are resized and cropped.
        labels: Index of the subfolder of each image; None unless every image lies in one of two or more subfolders.
        class_names: Names of these subfolders, in natural order.
        fingerprint: SHA-256 over the relative paths and the bytes of the files.
        skipped: Corrupt files.
    """

    folder: Path
    paths: tuple[Path, ...]
    image_size: int
    labels: np.ndarray | None
    class_names: tuple[str, ...]
    fingerprint: str
    skipped: tuple[Path, ...]

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    @property
    def keys(self) -> np.ndarray:
        """Paths below the folder, ``[N]``."""
        return np.array([path.relative_to(self.folder).as_posix() for path in self.paths])

    def __len__(self) -> int:
        return len(self.paths)

    def images(self, indices: ArrayLike) -> torch.Tensor:
        """Images ``[N, 3, S, S]`` in [0, 1], decoded in parallel.

        Raises:
            UnreadableImage: A file has gone or was damaged since the folder was opened.
        """
        paths = [self.paths[i] for i in np.asarray(indices)]
        with ThreadPoolExecutor(WORKERS) as pool:
            return torch.stack(list(pool.map(lambda path: read_square(path, self.image_size), paths)))

    def factors(self, indices: ArrayLike) -> None:
        """None: nothing but the class is known of a picture."""


def open_folder(
    folder: Path, *, image_size: int, limit: int | None = None, seed: int = 0, progress: Progress = silent
) -> FolderImages:
    """Find and check the images below a folder.

    Hidden files and folders are passed over, and folders that a probe or a training has written; links to folders are
    followed. With a limit, files are taken in a seeded random order until enough of them are readable, and only those
    are checked.

    Args:
        folder: The folder.
        image_size: Side in pixels to which images are resized and cropped.
        limit: Number of images at most; None takes all.
        seed: Seed of the random choice.
        progress: Shows the files being checked.

    Raises:
        UserError: The folder is missing, holds no image, or more than a tenth of the checked files are corrupt.
    """
    if not folder.is_dir():
        problem = f"{folder} is a file, not a folder" if folder.exists() else f"there is no folder {folder}"
        raise UserError(problem, "give a folder of images")
    found = sorted(_walk(folder), key=lambda path: _natural(path.relative_to(folder)))
    if not found:
        raise UserError(f"{folder} holds no image", f"files that are read end in {', '.join(EXTENSIONS)}")
    digests, skipped = _check(folder, found, image_size=image_size, limit=limit, seed=seed, progress=progress)

    paths = tuple(path for path in found if path in digests)
    labels, class_names = _classes(folder, found, paths)
    fingerprint = hashlib.sha256(f"{RECIPE}, {image_size} pixels\0".encode())
    for path in paths:
        fingerprint.update(path.relative_to(folder).as_posix().encode(errors="surrogateescape") + b"\0" + digests[path])
    return FolderImages(folder, paths, image_size, labels, class_names, fingerprint.hexdigest(), skipped)


def _walk(folder: Path) -> Iterator[Path]:
    seen = set()
    for parent, subfolders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:  # a link that leads back up
            subfolders.clear()
            continue
        seen.add(real)
        if RUN in files and Path(parent) != folder:
            subfolders.clear()
            continue
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        yield from (
            Path(parent, name) for name in files if not name.startswith(".") and name.lower().endswith(EXTENSIONS)
        )


def _natural(path: Path) -> tuple[list[list[tuple[int, int, str]]], str]:
    """Sort key by which ``img2`` comes before ``img10``: runs of digits compare as numbers, and come before letters."""
    parts = [
        [(0, int(run), "") if run.isdecimal() else (1, 0, run) for run in re.split(r"(\d+)", part.casefold()) if run]
        for part in path.parts
    ]
    return parts, str(path)


def _check(
    folder: Path, found: list[Path], *, image_size: int, limit: int | None, seed: int, progress: Progress
) -> tuple[dict[Path, bytes], tuple[Path, ...]]:
    """SHA-256 of each readable file that was chosen, and the corrupt ones met on the way."""
    wanted = min(limit or len(found), len(found))
    queue = [found[i] for i in draw_order(len(found), limit, seed)]
    digests: dict[Path, bytes] = {}
    skipped: list[Path] = []
    while queue and len(digests) < wanted:
        missing = wanted - len(digests)
        batch, queue = queue[:missing], queue[missing:]
        with ThreadPoolExecutor(WORKERS) as pool:
            results = pool.map(lambda path: _digest(path, image_size), batch)
            for path, digest in progress(zip(batch, results, strict=True), "checking images", len(batch)):
                if digest is None:
                    skipped.append(path)
                else:
                    digests[path] = digest
        _tolerate(folder, len(digests), skipped)
    return digests, tuple(sorted(skipped, key=_natural))


def _digest(path: Path, image_size: int) -> bytes | None:
    """SHA-256 of the file, or None if it cannot be decoded."""
    try:
        content = path.read_bytes()
        read_square(path, image_size, file=BytesIO(content))
    except (OSError, UnreadableImage):
        return None
    return hashlib.sha256(content).digest()


def _tolerate(folder: Path, readable: int, skipped: list[Path]) -> None:
    """Raise if too many files are corrupt to go on."""
    checked = readable + len(skipped)
    example = skipped[0] if skipped else None
    if not readable:
        raise UserError(
            f"{folder} has no readable image", f"all {checked} files are corrupt or not images, such as {example}"
        )
    if len(skipped) > TOLERATED * checked:
        raise UserError(
            f"{len(skipped)} of {checked} images in {folder} are corrupt, more than one in ten",
            f"repair or remove them, such as {example}",
        )


def _classes(folder: Path, found: list[Path], paths: tuple[Path, ...]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Labels of the chosen paths and the names of all classes found, if the folder is sorted into classes."""
    names = list(dict.fromkeys(path.relative_to(folder).parts[0] for path in found))  # in natural order
    if len(names) < 2 or any(path.parent == folder for path in found):
        return None, ()
    position = {name: i for i, name in enumerate(names)}
    return np.array([position[path.relative_to(folder).parts[0]] for path in paths]), tuple(names)
