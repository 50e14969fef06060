"""Fashion-MNIST garments (Xiao, Rasul, Vollgraf 2017; MIT): test split from the package, training split from disk."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import torch

from rcdm_core.errors import UserError
from rcdm_core.kept import cache_folder

_STEMS = {"train": "train", "test": "t10k"}
_KINDS = ("images-idx3-ubyte", "labels-idx1-ubyte")
_SYSTEM = Path("/usr/share/datasets/fashion-mnist")  # Debian's package dataset-fashion-mnist


@lru_cache(maxsize=4)
def load_garments(split: str, root: Path | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Garments and labels of a split.

    Args:
        split: ``"train"`` or ``"test"``.
        root: Folder with the IDX files of Fashion-MNIST, gzipped or not. Needed for ``"train"`` only; by default
            torchvision's download folder, then the system's data sets, are tried.

    Returns:
        Grey levels ``[N, 28, 28]`` uint8 and labels ``[N]`` int64.

    Raises:
        UserError: The files are not there (says how to get them), or are damaged.
    """
    if split == "test" and root is None:
        with as_file(files("rcdm_core.data") / "assets") as folder:
            images, labels = map(_read_idx, _files(split, [folder]))
    else:
        found = _files(split, [root] if root else _known_folders())
        if not found and root:
            needed = " and ".join(f"{_STEMS[split]}-{kind}.gz" for kind in _KINDS)
            raise UserError(f"no Fashion-MNIST {split} files in {root}", f"it must hold {needed}")
        images, labels = map(_read_idx, found or _files(split, [_download()]))
    return torch.from_numpy(images), torch.from_numpy(labels).long()


def training_garments_are_here() -> bool:
    """Whether the training split can be loaded without a download."""
    return bool(_files("train", _known_folders()))


def _known_folders() -> list[Path]:
    return [cache_folder() / "FashionMNIST/raw", _SYSTEM]


def _files(split: str, folders: Iterable[Path]) -> list[Path]:
    """Images and labels of a split, gzipped or not, in the first folder that has both; empty where none has."""
    for folder in folders:
        stems = [folder / f"{_STEMS[split]}-{kind}" for kind in _KINDS]
        found = [path for stem in stems for path in list(filter(Path.is_file, (Path(f"{stem}.gz"), stem)))[:1]]
        if len(found) == len(stems):
            return found
    return []


def _download() -> Path:
    from torchvision.datasets import FashionMNIST

    try:
        FashionMNIST(cache_folder(), download=True)  # checks the md5 of every file
    except Exception as error:
        raise UserError(
            "the Fashion-MNIST training garments are not here and could not be downloaded",
            "pass --garments FOLDER with train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz "
            "(Debian: apt install dataset-fashion-mnist)",
        ) from error
    return _known_folders()[0]


def _read_idx(path: Path) -> np.ndarray:
    """An array in LeCun's IDX format: two zero bytes, type 8 (uint8), rank, big-endian sizes, data."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        zeros, kind, rank = struct.unpack_from(">HBB", content)
        if zeros or kind != 8:
            raise UserError(f"{path} is not an IDX file of bytes", "download it again")
        shape = struct.unpack_from(f">{rank}I", content, 4)
        return np.frombuffer(bytearray(content), dtype=np.uint8, offset=4 + 4 * rank).reshape(shape)
    except (OSError, EOFError, zlib.error, struct.error, ValueError) as error:
        raise UserError(f"{path} is damaged ({error})", "download it again") from error
