"""Some images of a set, as a set of its own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd
    import torch
    from numpy.typing import ArrayLike

    from rcdm_core.data.imageset import ImageSet


@dataclass(frozen=True, eq=False)
class PartOfImages:
    """Images of a set, of which it is known how many a decoder was trained on.

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
    def name(self) -> str:
        return self.whole.name if self.trained_on else f"{self.whole.name} (held out)"

    @property
    def image_size(self) -> int:
        return self.whole.image_size

    @property
    def labels(self) -> np.ndarray | None:
        labels = self.whole.labels
        return None if labels is None else labels[self.positions]

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.whole.class_names

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the whole set's and of the positions."""
        return hashlib.sha256(self.whole.fingerprint.encode() + self.positions.astype(np.int64).tobytes()).hexdigest()

    @property
    def keys(self) -> np.ndarray:
        return self.whole.keys[self.positions]

    @property
    def numbers(self) -> np.ndarray:
        return self.whole.numbers[self.positions]

    @property
    def skipped(self) -> tuple[Path, ...]:
        return self.whole.skipped

    @property
    def passed_over(self) -> Mapping[str, int]:
        return self.whole.passed_over

    @property
    def remarks(self) -> tuple[str, ...]:
        return self.whole.remarks

    def __len__(self) -> int:
        return len(self.positions)

    def images(self, indices: ArrayLike) -> torch.Tensor:
        """Images ``[N, 3, S, S]`` in [0, 1]."""
        return self.whole.images(self.positions[np.asarray(indices)])

    def factors(self, indices: ArrayLike) -> pd.DataFrame | None:
        """The known factors, indexed by position in the part; None where none are known."""
        factors = self.whole.factors(self.positions[np.asarray(indices)])
        return None if factors is None else factors.set_index(np.asarray(indices))
