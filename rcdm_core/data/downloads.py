"""torchvision's data sets by name: the held-out split of each, and with ``-train`` the split meant for training."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from rcdm_core.data.folder import decoders
from rcdm_core.data.imageset import ImageSet, draw_order, hashes_of
from rcdm_core.errors import UserError
from rcdm_core.images import recipe, square
from rcdm_core.kept import cache_folder
from rcdm_core.progress import track

if TYPE_CHECKING:
    from torchvision.datasets import VisionDataset


@dataclass(frozen=True)
class Download:
    """One split of one of torchvision's data sets.

    Attributes:
        dataset: Name of the class in `torchvision.datasets`.
        arguments: What selects the split.
        files: The files torchvision downloads, relative to its root: where to put them by hand.
    """

    dataset: str
    arguments: Mapping[str, Any]
    files: tuple[str, ...]


_TEST, _TRAIN, _TRAINVAL = ({"split": split} for split in ("test", "train", "trainval"))
_NOT_TRAIN, _IS_TRAIN = {"train": False}, {"train": True}


def _splits(
    name: str,
    dataset: str,
    files: tuple[str, ...],
    held_out: Mapping[str, Any] = _TEST,
    training: Mapping[str, Any] = _TRAIN,
) -> dict[str, Download]:
    return {name: Download(dataset, held_out, files), f"{name}-train": Download(dataset, training, files)}


def _in(folder: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}" for name in names)


_IDX = [f"{split}-{kind}-ubyte.gz" for split in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]

DOWNLOADS: Mapping[str, Download] = {
    **_splits("mnist", "MNIST", _in("MNIST/raw", *_IDX), _NOT_TRAIN, _IS_TRAIN),
    **_splits("fashionmnist", "FashionMNIST", _in("FashionMNIST/raw", *_IDX), _NOT_TRAIN, _IS_TRAIN),
    **_splits("kmnist", "KMNIST", _in("KMNIST/raw", *_IDX), _NOT_TRAIN, _IS_TRAIN),
    **_splits("cifar10", "CIFAR10", ("cifar-10-python.tar.gz",), _NOT_TRAIN, _IS_TRAIN),
    **_splits("cifar100", "CIFAR100", ("cifar-100-python.tar.gz",), _NOT_TRAIN, _IS_TRAIN),
    **_splits("stl10", "STL10", ("stl10_binary.tar.gz",)),
    "svhn": Download("SVHN", _TEST, ("test_32x32.mat",)),
    "svhn-train": Download("SVHN", _TRAIN, ("train_32x32.mat",)),
    "usps": Download("USPS", _NOT_TRAIN, ("usps.t.bz2",)),
    "usps-train": Download("USPS", _IS_TRAIN, ("usps.bz2",)),
    **_splits("food101", "Food101", ("food-101.tar.gz",)),
    **_splits("flowers102", "Flowers102", _in("flowers-102", "102flowers.tgz", "imagelabels.mat", "setid.mat")),
    **_splits("dtd", "DTD", ("dtd/dtd-r1.0.1.tar.gz",)),
    **_splits("pets", "OxfordIIITPet", _in("oxford-iiit-pet", "images.tar.gz", "annotations.tar.gz"), _TEST, _TRAINVAL),
    **_splits("aircraft", "FGVCAircraft", ("fgvc-aircraft-2013b.tar.gz",), _TEST, _TRAINVAL),
    "gtsrb": Download("GTSRB", _TEST, _in("gtsrb", "GTSRB_Final_Test_Images.zip", "GTSRB_Final_Test_GT.zip")),
    "gtsrb-train": Download("GTSRB", _TRAIN, ("gtsrb/GTSRB-Training_fixed.zip",)),
    "eurosat": Download("EuroSAT", {}, ("eurosat/EuroSAT.zip",)),
    "imagenette": Download("Imagenette", {"split": "val", "size": "320px"}, ("imagenette2-320.tgz",)),
    "imagenette-train": Download("Imagenette", {"split": "train", "size": "320px"}, ("imagenette2-320.tgz",)),
}
"""Names known here, in lower case. Those with one split only (EuroSAT) have no ``-train``."""


@dataclass(frozen=True, eq=False, kw_only=True)
class DownloadedImages(ImageSet):
    """Images of one of torchvision's data sets, which gives Pillow images. Made by `open_download`.

    Attributes:
        dataset: The data set.
        digests: SHA-256 of each image.
    """

    dataset: VisionDataset
    digests: tuple[bytes, ...]

    @property
    def hashes(self) -> np.ndarray:
        """Of the decoded images."""
        return hashes_of(self.digests)

    def images(self, indices: ArrayLike) -> torch.Tensor:
        """Images ``[N, 3, S, S]`` in [0, 1], decoded in parallel."""
        chosen = self.numbers[np.asarray(indices)].tolist()
        with decoders() as pool:
            return torch.stack(list(pool.map(lambda i: square(self.dataset[i][0], self.image_size), chosen)))


def open_download(name: str, image_size: int, limit: int | None = None, seed: int = 0) -> DownloadedImages:
    """Open a data set, a key of `DOWNLOADS`, from the cache folder or else from the network.

    Other arguments as of `rcdm_core.data.registry.load_data`.

    Raises:
        UserError: It is not here and cannot be downloaded (says which files to put where), or is not whole.
    """
    dataset = _open(DOWNLOADS[name])
    chosen = np.sort(draw_order(len(dataset), limit, seed)[:limit])
    fingerprint = hashlib.sha256(f"{recipe(image_size)}\0".encode())
    with decoders() as pool:
        found = pool.map(lambda i: _digest(dataset, i), chosen.tolist())
        digests = tuple(track(found, "hashing images", len(chosen)))
    fingerprint.update(b"".join(digests))
    labels = _labels(dataset)
    known = (None, ()) if labels is None else (labels[chosen], _class_names(dataset, labels))
    return DownloadedImages(name, image_size, chosen, fingerprint.hexdigest(), *known, dataset=dataset, digests=digests)


def _open(download: Download) -> VisionDataset:
    from torchvision import datasets

    root = cache_folder()
    make = getattr(datasets, download.dataset)
    try:
        return make(root, **download.arguments, download=False)
    except (RuntimeError, OSError):  # not here yet; each data set says so in its own way
        pass
    try:
        return make(root, **download.arguments, download=True)
    except (RuntimeError, OSError) as error:
        raise UserError(
            f"torchvision's {download.dataset} is not in {root} and could not be downloaded",
            f"put {', '.join(download.files)} there (environment variable RCDM_PROBE_CACHE names another folder)",
        ) from error


def _digest(dataset: VisionDataset, index: int) -> bytes:
    try:
        image = dataset[index][0]
    except OSError as error:
        raise UserError(
            f"torchvision's {type(dataset).__name__} in {dataset.root} is not whole ({error})",
            "remove its folder there and try again",
        ) from error
    return hashlib.sha256(f"{image.mode} {image.size}\0".encode() + image.tobytes()).digest()


def _labels(dataset: VisionDataset) -> np.ndarray | None:
    """The class labels, under whichever name the data set keeps them."""
    for attribute in ("targets", "labels", "_labels"):
        if hasattr(dataset, attribute):
            return np.asarray(getattr(dataset, attribute), np.int64)
    if hasattr(dataset, "_samples"):
        return np.array([label for _, label in dataset._samples], np.int64)
    return None


def _class_names(dataset: VisionDataset, labels: np.ndarray) -> tuple[str, ...]:
    names = getattr(dataset, "classes", None) or range(int(labels.max()) + 1)
    return tuple(name[0] if isinstance(name, tuple) else str(name) for name in names)
