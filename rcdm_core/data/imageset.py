"""What every set of images offers, wherever its images come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from rcdm_core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd
    import torch
    from numpy.typing import ArrayLike


class ImageSet(Protocol):
    """Images by position, decoded or rendered when asked for.

    Attributes:
        name: What the set is called in reports.
        image_size: Side ``S`` of the images in pixels.
        labels: Class of each image ``[N]`` int64, an index into `class_names`; None where unknown.
        class_names: Names of the classes, in the order of the labels; empty where there are no labels.
        fingerprint: SHA-256 of what the images are made from, and how: equal fingerprints give equal images at equal
            positions.
        keys: What tells an image from all others of the same source ``[N]``, whatever was chosen and at which size.
        numbers: Index of each image in its source ``[N]`` int64, ascending, whatever was chosen: that of a record.
        skipped: Files that could not be read and are not in the set.
        passed_over: How many files, by ending, are of kinds that are not read, and how many are no images.
        remarks: What has to be told of the set, in sentences.
    """

    @property
    def name(self) -> str: ...
    @property
    def image_size(self) -> int: ...
    @property
    def labels(self) -> np.ndarray | None: ...
    @property
    def class_names(self) -> tuple[str, ...]: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def keys(self) -> np.ndarray: ...
    @property
    def numbers(self) -> np.ndarray: ...
    @property
    def skipped(self) -> tuple[Path, ...]: ...
    @property
    def passed_over(self) -> Mapping[str, int]: ...
    @property
    def remarks(self) -> tuple[str, ...]: ...

    def __len__(self) -> int: ...

    def images(self, indices: ArrayLike) -> torch.Tensor:
        """Images at these positions, ``[N, 3, S, S]`` float32 in [0, 1]."""

    def factors(self, indices: ArrayLike) -> pd.DataFrame | None:
        """Known factors, one row for each of these positions; None where none are known."""


def draw_order(total: int, limit: int | None, seed: int) -> np.ndarray:
    """The order in which a limited set takes its members.

    It is one seeded permutation whatever the limit, so that a larger set holds the smaller.

    Args:
        total: How many there are.
        limit: How many are wanted at most; None wants all.
        seed: Seed of the permutation.

    Returns:
        All indices ``[total]`` int64: permuted, or ascending where all are wanted.

    Raises:
        UserError: `limit` is less than one.
    """
    if limit is not None and limit < 1:
        raise UserError(f"{limit} images were asked for", "ask for at least one")
    if limit is None or limit >= total:
        return np.arange(total)
    return np.random.default_rng(seed).permutation(total)
