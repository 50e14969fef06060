"""What every set of images offers, wherever its images come from; and some images of a set, as a set of their own."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike

from rcdm_core.errors import UserError

if TYPE_CHECKING:
    import pandas as pd
    import torch


@dataclass(frozen=True, eq=False)
class ImageSet(ABC):
    """Images by position, decoded or rendered when asked for.

    Attributes:
        name: What the set is called in reports.
        image_size: Side ``S`` of the images in pixels.
        numbers: Index of each image in its source ``[N]`` int64, ascending, whatever was chosen: that of a record.
        fingerprint: SHA-256 of what the images are made from, and how: equal fingerprints give equal images at equal
            positions.
        labels: Class of each image ``[N]`` int64, an index into `class_names`; None where unknown.
        class_names: Names of the classes, in the order of the labels; empty where there are no labels.
        skipped: Files that could not be read and are not in the set.
        passed_over: How many files, by ending, are of kinds that are not read, and how many are no images.
        remarks: What has to be told of the set, in sentences.
        seen: Positions of images that an RCDM which is trained further has seen: others are held out.
    """

    name: str
    image_size: int
    numbers: np.ndarray
    fingerprint: str
    labels: np.ndarray | None = None
    class_names: tuple[str, ...] = ()
    skipped: tuple[Path, ...] = ()
    passed_over: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    seen: ArrayLike = ()

    def remarking(self, remark: str) -> Self:
        """The same images, of which something more has to be told."""
        return replace(self, remarks=(*self.remarks, remark))

    @property
    def keys(self) -> np.ndarray:
        """What tells an image from all others of the same source ``[N]``, whatever was chosen and at which size."""
        return self.numbers

    @property
    @abstractmethod
    def hashes(self) -> np.ndarray:
        """What an image is known again by, wherever it lies and whatever it is resized to ``[N]`` uint64."""

    def __len__(self) -> int:
        return len(self.numbers)

    @abstractmethod
    def images(self, indices: ArrayLike) -> torch.Tensor:
        """Images at these positions, ``[N, 3, S, S]`` float32 in [0, 1]."""

    def factors(self, indices: ArrayLike) -> pd.DataFrame | None:
        """Known factors, one row for each of these positions, which are its index; None where none are known."""
        return None


@dataclass(frozen=True, eq=False, kw_only=True)
class PartOfImages(ImageSet):
    """Images of a set, of which it is known how many a decoder was trained on. Made by `part_of`.

    Attributes:
        whole: The set.
        positions: Where in it, ascending, ``[N]``.
        trained_on: How many of the N a decoder was trained on.
        held_out: How many of the whole set none was trained on.
    """

    whole: ImageSet
    positions: np.ndarray
    trained_on: int
    held_out: int

    @property
    def keys(self) -> np.ndarray:
        return self.whole.keys[self.positions]

    @property
    def hashes(self) -> np.ndarray:
        return self.whole.hashes[self.positions]

    def images(self, indices: ArrayLike) -> torch.Tensor:
        return self.whole.images(self.positions[np.asarray(indices)])

    def factors(self, indices: ArrayLike) -> pd.DataFrame | None:
        factors = self.whole.factors(self.positions[np.asarray(indices)])
        return None if factors is None else factors.set_index(np.asarray(indices))


def part_of(whole: ImageSet, positions: np.ndarray, *, trained_on: int, held_out: int) -> PartOfImages:
    """Some images of a set, as a set of their own; arguments as of `PartOfImages`."""
    shared = ("image_size", "class_names", "skipped", "passed_over", "remarks")
    return PartOfImages(
        **{name: getattr(whole, name) for name in shared},
        name=whole.name if trained_on else f"{whole.name} (held out)",
        numbers=whole.numbers[positions],
        fingerprint=hashlib.sha256(whole.fingerprint.encode() + positions.astype(np.int64).tobytes()).hexdigest(),
        labels=None if whole.labels is None else whole.labels[positions],
        whole=whole,
        positions=positions,
        trained_on=trained_on,
        held_out=held_out,
    )


def hashes_of(digests: Iterable[bytes]) -> np.ndarray:
    """The first 64 bits of SHA-256 sums, ``[N]`` uint64."""
    return np.frombuffer(b"".join(digest[:8] for digest in digests), "<u8")


def draw_order(total: int, limit: int | None, seed: int) -> np.ndarray:
    """The order in which a set of at most ``limit`` takes its members: indices ``[total]`` int64.

    It is one seeded permutation whatever the limit, so that a larger set holds the smaller; ascending where all of them
    are taken, as None does.

    Raises:
        UserError: ``limit`` is less than one.
    """
    if limit is not None and limit < 1:
        raise UserError(f"{limit} images were asked for", "ask for at least one")
    if limit is None or limit >= total:
        return np.arange(total)
    return np.random.default_rng(seed).permutation(total)
