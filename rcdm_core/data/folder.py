"""A folder of images, with or without a subfolder for each class.

Every file is read, hashed and decoded once when the folder is opened: only so is it known how many images there are,
and that none of them fails an hour later. Pixels are not kept: they are decoded again, batch by batch, when asked for,
and a file that has changed since is refused.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike

from rcdm_core.data.imageset import ImageSet, draw_order, hashes_of
from rcdm_core.data.layout import EXTENSIONS, TOLERATED, arrange, natural, walk
from rcdm_core.errors import UserError
from rcdm_core.images import Range, UnreadableImage, read_picture, recipe, told_of_range
from rcdm_core.paths import user_path
from rcdm_core.progress import track


def decoders() -> ThreadPoolExecutor:
    """As many threads for reading files as PyTorch has for an operation, which is what ``--threads`` says."""
    return ThreadPoolExecutor(torch.get_num_threads())


@dataclass(frozen=True, eq=False, kw_only=True)
class FolderImages(ImageSet):
    """The readable images of a folder, in natural order of their paths. Made by `open_folder`.

    Attributes:
        folder: The folder.
        paths: The image files, in the order of the positions.
        digests: SHA-256 of each file when the folder was opened.
    """

    folder: Path
    paths: tuple[Path, ...]
    digests: tuple[bytes, ...]

    @property
    def keys(self) -> np.ndarray:
        """Paths below the folder, ``[N]``."""
        return np.array([path.relative_to(self.folder).as_posix() for path in self.paths])

    @property
    def hashes(self) -> np.ndarray:
        """Of the files, byte for byte."""
        return hashes_of(self.digests)

    def images(self, indices: ArrayLike) -> torch.Tensor:
        """Images ``[N, 3, S, S]`` in [0, 1], decoded in parallel.

        Raises:
            UserError: A file has gone, or is not what it was when the folder was opened.
        """
        with decoders() as pool:
            return torch.stack(list(pool.map(self._image, np.asarray(indices).tolist())))

    def _image(self, index: int) -> torch.Tensor:
        try:
            picture = read_picture(self.paths[index], self.image_size)
        except UnreadableImage as error:
            raise UserError(f"{error.problem} any more", f"{error.remedy}; start again to do without it") from error
        if picture.digest != self.digests[index]:
            raise UserError(
                f"{self.paths[index]} has changed since it was first read", "start again when all is in place"
            )
        return picture.pixels


def open_folder(folder: Path, image_size: int, limit: int | None = None, seed: int = 0) -> FolderImages:
    """Find and check the images below a folder; other arguments as of `rcdm_core.data.registry.load_data`.

    Hidden and system files and folders are passed over, and folders that a probe or a training has written; links to
    folders are followed. With a limit, files are taken in a seeded random order until enough of them are readable, and
    only those are checked.

    Raises:
        UserError: The folder is missing, holds no image, or more than a tenth of the checked files are corrupt.
    """
    folder = user_path(folder, "the folder of images")
    if not folder.is_dir():
        problem = f"{folder} is a file, not a folder" if folder.exists() else f"there is no folder {folder}"
        raise UserError(problem, "give a folder of images")
    found = walk(folder)
    if not found.images:
        others = "".join(f"; {remark}" for remark in found.remarks())
        raise UserError(f"{folder} holds no image", f"files that are read end in {', '.join(EXTENSIONS)}{others}")
    layout = arrange(folder, found)
    checked, skipped = _check(folder, layout.images, image_size, limit, seed)
    numbers = [number for number, path in enumerate(layout.images) if path in checked]
    paths = tuple(layout.images[number] for number in numbers)
    digests = tuple(checked[path][0] for path in paths)
    fingerprint = hashlib.sha256(f"{recipe(image_size)}\0".encode())
    for path, digest in zip(paths, digests, strict=True):
        fingerprint.update(path.relative_to(folder).as_posix().encode(errors="surrogateescape") + b"\0" + digest)
    labels = None
    if layout.class_names:
        position = {name: i for i, name in enumerate(layout.class_names)}
        labels = np.array([position[path.relative_to(folder).parts[layout.depth]] for path in paths])
    remarks = (*found.remarks(), *layout.remarks, *told_of_range(checked[path][1] for path in paths))
    return FolderImages(
        folder.resolve().name or str(folder),
        image_size,
        np.array(numbers),
        fingerprint.hexdigest(),
        labels,
        layout.class_names,
        folder=folder,
        paths=paths,
        digests=digests,
        skipped=skipped,
        passed_over=dict(found.passed_over.most_common()),
        remarks=(*remarks, *_told_of_copies(digests, labels)),
    )


_Checked = tuple[bytes, Range | None]
"""What is kept of a readable file: its SHA-256, and its `rcdm_core.images.Picture.range`."""


def _check(
    folder: Path, found: list[Path], image_size: int, limit: int | None, seed: int
) -> tuple[dict[Path, _Checked], tuple[Path, ...]]:
    """Each readable file that was chosen, and the corrupt ones met on the way."""
    wanted = min(limit or len(found), len(found))
    queue = [found[i] for i in draw_order(len(found), limit, seed)]
    readable: dict[Path, _Checked] = {}
    unreadable: list[UnreadableImage] = []

    def checked(path: Path) -> _Checked | UnreadableImage:
        try:
            picture = read_picture(path, image_size)
        except UnreadableImage as error:
            return error
        return picture.digest, picture.range

    while queue and (missing := wanted - len(readable)):
        batch, queue = queue[:missing], queue[missing:]
        with decoders() as pool:
            results = pool.map(checked, batch)
            for path, result in track(zip(batch, results, strict=True), "checking images", len(batch)):
                if isinstance(result, UnreadableImage):
                    unreadable.append(result)
                else:
                    readable[path] = result
        _tolerate(folder, len(readable), unreadable)
    return readable, tuple(sorted((error.path for error in unreadable), key=natural))


def _tolerate(folder: Path, readable: int, unreadable: list[UnreadableImage]) -> None:
    """Raise if too many files are corrupt to go on."""
    checked = readable + len(unreadable)
    example = f"{unreadable[0].path} ({unreadable[0].remedy})" if unreadable else ""
    if not readable:
        raise UserError(
            f"{folder} has no readable image", f"all {checked} files are corrupt or not images, such as {example}"
        )
    if len(unreadable) > TOLERATED * checked:
        raise UserError(
            f"{len(unreadable)} of {checked} images in {folder} are corrupt, more than one in ten",
            f"repair or remove them, such as {example}",
        )


def _told_of_copies(digests: tuple[bytes, ...], labels: np.ndarray | None) -> Iterator[str]:
    """What is said of files that are the same byte for byte."""
    if copies := len(digests) - len(set(digests)):
        classes = Counter(digest for digest, _ in set(zip(digests, labels, strict=True))) if labels is not None else {}
        several = sum(count > 1 for count in classes.values())
        in_several = f", in several classes: {several:,}" if several else ""
        yield f"copies of other images, byte for byte: {copies:,}{in_several}"
