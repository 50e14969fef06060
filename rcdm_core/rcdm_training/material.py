"""What a training has to work with: conditions with their representations, images, and which of them are held out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch

from rcdm_core.rcdm.heads import MOMENTS, thumbnails
from rcdm_core.rcdm_training.store import Condition, batches, fill_store, store_folder
from rcdm_core.representations import refuse_collapse
from rcdm_core.training_images import Split, hold_out

if TYPE_CHECKING:
    from accelerate import Accelerator

    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders.encoder import Encoder
    from rcdm_core.rcdm.objective import Batch
    from rcdm_core.rcdm.rcdm import RCDM

GALLERY = 2_000  # images among which ranks are taken, the held-out ones first
JUDGED = 4  # times as many held-out images as are sampled have their loss taken, where there are so many
_JUDGED_AT_ONCE = 64
_AT_ONCE = 512  # images that are read to be made into thumbnails
Given: TypeAlias = "Callable[[Condition, torch.Tensor], torch.Tensor]"
"""What stands in the place of representations ``[N, D]`` of a condition."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The images that a training is judged by, always the same.

    Attributes:
        rows: Positions in the store of those that are sampled, spread evenly over all that are held out.
        gallery: Positions of the images among which ranks are taken: first `rows`, then the other held-out images,
            then images that are trained on, as far as they are needed.
    """

    rows: np.ndarray
    gallery: np.ndarray


def choose_held_out(split: Split, count: int) -> HeldOut:
    """At most ``count`` held-out images to be sampled, and the gallery of their ranks."""
    rows = spread(split.held_out, count)
    others = np.setdiff1d(split.held_out, rows)
    further = spread(split.training, max(0, GALLERY - len(split.held_out)))
    return HeldOut(rows, np.concatenate([rows, others, further]))


def spread(rows: np.ndarray, count: int) -> np.ndarray:
    """At most ``count`` of the rows, evenly spaced."""
    kept = min(count, len(rows))
    return rows[np.arange(kept) * len(rows) // max(kept, 1)]


@dataclass(frozen=True, eq=False)
class Material:
    """See `gather`.

    Attributes:
        asked: The encoders, with the levels that are asked for.
        data: The images.
        conditions: What images are drawn from.
        split: Which images are trained on.
        held_out: Which of the others are looked at.
        seed: Of the split and of the batches.
        device: Where batches go.
    """

    asked: Mapping[Encoder, Sequence[str]]
    data: ImageSet
    conditions: tuple[Condition, ...]
    split: Split
    held_out: HeldOut
    seed: int
    device: torch.device

    @property
    def identity(self) -> tuple[list[tuple[str, tuple[str, ...]]], str]:
        """What encoders with their levels, and images, are known by in the key of a training."""
        encoders = [(encoder.network_fingerprint, tuple(levels)) for encoder, levels in self.asked.items()]
        return encoders, self.data.fingerprint

    @property
    def dimensions(self) -> dict[str, int]:
        """Of each condition, by name."""
        return {one.name: one.dimension for one in self.conditions}

    @property
    def labels(self) -> dict[str, Condition]:
        """Conditions by what tables call them: their level, with the encoder where there are several."""
        several = len({one.encoder.name for one in self.conditions}) > 1
        return {one.name if several else one.level: one for one in self.conditions}

    @property
    def beginning(self) -> np.ndarray:
        """Positions of the images from which heads begin."""
        return spread(self.split.training, MOMENTS)

    def trained_images(self, start: RCDM | None) -> np.ndarray:
        """By what the images that are trained on, and those of an RCDM that is begun with, are known again."""
        before = () if start is None else start.trained_images
        return np.union1d(self.data.hashes[self.split.training], np.asarray(before, np.uint64))

    def images(self, rows: np.ndarray) -> torch.Tensor:
        """Images at these positions, ``[N, 3, S, S]`` in [0, 1]."""
        return self.conditions[0].store.images(rows)

    def thumbnails(self, rows: np.ndarray) -> torch.Tensor:
        """The same, small; no more of them are in memory at once as they are."""
        return torch.cat([thumbnails(self.images(rows[i : i + _AT_ONCE])) for i in range(0, len(rows), _AT_ONCE)])

    def batches(self, size: int, shares: Mapping[str, int] | None = None) -> Callable[[int, slice], Batch]:
        """Those that are trained on, as of `rcdm_core.rcdm_training.store.batches`."""
        return batches(self.conditions, self.split.training, size, self.seed, self.device, shares)

    def held_out_batches(self, size: int) -> tuple[Callable[[int, slice], Batch], int]:
        """Those of the images that are sampled, and how many there are."""
        return self._looked_at(self.conditions, self.held_out.rows, size)

    def judged(self, one: Condition, given: Given = lambda one, h: h) -> tuple[Callable[[int, slice], Batch], int]:
        """Batches of more held-out images at one condition, by which heads are chosen, and how many there are.

        Args:
            one: The condition.
            given: What stands in the place of its representations.
        """
        rows = spread(self.split.held_out, JUDGED * len(self.held_out.rows))
        draw, count = self._looked_at([one], rows, _JUDGED_AT_ONCE)

        def changed(step: int, positions: slice) -> Batch:
            images, groups, draws = draw(step, positions)
            return images, [(name, given(one, h)) for name, h in groups], draws

        return changed, count

    def _looked_at(
        self, asked: Sequence[Condition], rows: np.ndarray, size: int
    ) -> tuple[Callable[[int, slice], Batch], int]:
        few = min(size, len(rows))
        return batches(asked, rows, few, self.seed + 1, self.device), len(rows) // few

    def refuse_collapse(self) -> None:
        """Raise a `UserError` where a condition is the same for all images."""
        for one in self.conditions:
            refuse_collapse(one.encoder, {one.level: one.store.in_parts(one.level)})


def gather(
    asked: Mapping[Encoder, Sequence[str]],
    images: ImageSet,
    image_size: int,
    looked_at: int,
    seed: int,
    processes: Accelerator,
) -> Material:
    """Encode the images, once and for all, with every encoder.

    Args:
        asked: Frozen encoders with their levels.
        images: At the largest of the encoders' sizes and ``image_size``; those that it says were `seen` are not held
            out.
        image_size: Side in pixels at which they are learned to be drawn.
        looked_at: Held-out images that are sampled at each look.
        seed: Of the split.
        processes: Those that train together.

    Raises:
        UserError: Too few images, an encoder that gives NaN or infinity, or a full disk.
    """
    split = hold_out(len(images), seed, images.seen)
    conditions = []
    for encoder, levels in asked.items():
        encoder.to(processes.device)
        folder = store_folder(encoder, levels, images, image_size)
        store = fill_store(folder, encoder, levels, images, image_size, processes)
        conditions += [Condition(encoder, level, store) for level in levels]
    processes.wait_for_everyone()
    held_out = choose_held_out(split, looked_at)
    return Material(asked, images, tuple(conditions), split, held_out, seed, processes.device)
