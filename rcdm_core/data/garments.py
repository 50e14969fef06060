"""Fashion-MNIST garments (Xiao, Rasul, Vollgraf 2017; MIT): test split from the package, training split from disk."""

from __future__ import annotations

import gzip
import struct
import zlib
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import torch

from rcdm_core.cache import cache_folder
from rcdm_core.errors import UserError

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
            return _read_split(folder, split)
    return _read_split(_find(split, root), split)


def training_garments_are_here() -> bool:
    """Whether the training split can be loaded without a download."""
    return _existing("train", None) is not None


def _existing(split: str, root: Path | None) -> Path | None:
    """The folder that holds a split: the one that is given, or one that is known."""
    candidates = [root] if root else [cache_folder() / "FashionMNIST/raw", _SYSTEM]
    return next((folder for folder in candidates if len(_files(folder, split)) == len(_KINDS)), None)


def _files(folder: Path, split: str) -> list[Path]:
    """Images and labels of a split in a folder, gzipped or not; what is not there is left out."""
    names = [f"{_STEMS[split]}-{kind}" for kind in _KINDS]
    found = (next((path for path in (folder / f"{name}.gz", folder / name) if path.is_file()), None) for name in names)
    return [path for path in found if path is not None]


def _find(split: str, root: Path | None) -> Path:
    folder = _existing(split, root)
    if folder is not None:
        return folder
    if root:
        raise UserError(
            f"no Fashion-MNIST {split} files in {root}",
            f"it must hold {' and '.join(f'{_STEMS[split]}-{kind}.gz' for kind in _KINDS)}",
        )
    return _download()


def _download() -> Path:
    from torchvision.datasets import FashionMNIST

    cache = cache_folder()
    try:
        FashionMNIST(cache, download=True)  # checks the md5 of every file
    except Exception as error:
        raise UserError(
            "the Fashion-MNIST training garments are not here and could not be downloaded",
            "pass --garments FOLDER with train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz "
            "(Debian: apt install dataset-fashion-mnist)",
        ) from error
    return cache / "FashionMNIST/raw"


def _read_split(folder: Path, split: str) -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = map(_read_idx, _files(folder, split))
    return torch.from_numpy(images), torch.from_numpy(labels).long()


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
