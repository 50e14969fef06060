"""What a training reads: every image small, and its representations, computed once and kept on disk; and its batches.

A store is a folder of chunks of 512 images (`rcdm_core.kept`), so that its making goes on where it was interrupted, and
several processes can make it together. Pixels are kept as 8-bit numbers, which is what picture files hold, at the size
at which the RCDM draws; representations as float32, because those of some encoders leave the range of float16. Files
are mapped into memory and only the rows of a batch are read: memory does not grow with the number of images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load_file

from rcdm_core import kept
from rcdm_core.images import resize
from rcdm_core.kept import OTHER_CACHE, cache_folder, keeping
from rcdm_core.precision import device_of
from rcdm_core.progress import track
from rcdm_core.rcdm.objective import Batch, random_draws
from rcdm_core.representations import encode
from rcdm_core.training_images import shuffled_passes

if TYPE_CHECKING:
    from accelerate import Accelerator

    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders.encoder import Encoder

CHUNK, AT_ONCE = 512, 128  # images in a file, and in a pass through the encoder
_IMAGES, _LEVEL = "images", "level/{}"


@dataclass(frozen=True)
class Store:
    """Small images and their representations by position. Made by `fill_store`.

    Attributes:
        folder: Where the chunks are.
        count: Number of images.
    """

    folder: Path
    count: int

    def images(self, rows: np.ndarray) -> torch.Tensor:
        """Images at these positions, ``[N, 3, S, S]`` float32 in [0, 1]."""
        return self._rows(_IMAGES, rows).float() / 255

    def representations(self, level: str, rows: np.ndarray) -> torch.Tensor:
        """Representations of the images at these positions, ``[N, D]`` float32."""
        return self._rows(_LEVEL.format(level), rows)

    def in_parts(self, level: str) -> Iterator[torch.Tensor]:
        """Representations of all images, ``[N, D]`` float32 a chunk."""
        for start in range(0, self.count, CHUNK):
            yield self.representations(level, np.arange(start, min(start + CHUNK, self.count)))

    def _rows(self, name: str, rows: np.ndarray) -> torch.Tensor:
        chunks, offsets = np.divmod(rows, CHUNK)
        first = _mapped(_chunk(self.folder, 0))[name]
        result = first.new_empty(len(rows), *first.shape[1:])
        for number in np.unique(chunks):
            here = torch.from_numpy(chunks == number)
            result[here] = _mapped(_chunk(self.folder, int(number) * CHUNK))[name][torch.from_numpy(offsets)[here]]
        return result


def store_folder(encoder: Encoder, levels: Sequence[str], images: ImageSet, image_size: int) -> Path:
    """Where the store of these images is kept: a name for all that its numbers depend on, in the cache folder."""
    device = device_of(encoder).type
    parts = (encoder.fingerprint, *levels, images.fingerprint, str(image_size), device, torch.__version__)
    return cache_folder() / "training" / hashlib.sha256("\0".join(parts).encode()).hexdigest()


def fill_store(
    folder: Path, encoder: Encoder, levels: Sequence[str], images: ImageSet, image_size: int, processes: Accelerator
) -> Store:
    """Encode and shrink the images that are not in the store yet, or damaged there.

    Args:
        folder: Where the store is, or will be; that of `store_folder`.
        encoder: A frozen encoder; images go to the device it is on.
        levels: Levels to keep.
        images: At the larger of the encoder's size and ``image_size``.
        image_size: Side in pixels of the images that are kept.
        processes: Those that fill the store together, each its own chunks.

    Returns:
        The store; complete when all processes are done.

    Raises:
        UserError: The encoder gives NaN or infinity, or the disk is full.
    """
    starts = range(processes.process_index * CHUNK, len(images), processes.num_processes * CHUNK)
    batches = [
        (start, np.arange(i, min(i + AT_ONCE, start + CHUNK, len(images))))
        for start in starts
        if not kept.is_sound(_chunk(folder, start))
        for i in range(start, min(start + CHUNK, len(images)), AT_ONCE)
    ]
    shown = track(batches, f"encoding with {encoder.name}", len(batches))
    for start, chunk in groupby(shown, key=itemgetter(0)):
        small, encoded = [], []
        for _, rows in chunk:
            pixels = images.images(rows)
            encoded.append(encode(encoder, pixels, batch_size=AT_ONCE))
            small.append((resize(pixels, image_size) * 255).round().byte())
        tensors = {_LEVEL.format(level): torch.cat([part[level] for part in encoded]) for level in levels}
        with keeping("images and representations", folder, remedy=OTHER_CACHE):
            kept.save_tensors({_IMAGES: torch.cat(small), **tensors}, _chunk(folder, start))
        _mapped.cache_clear()  # what was there before may be mapped still
    return Store(folder, len(images))


@dataclass(frozen=True, eq=False)
class Condition:
    """A level of an encoder, with its representations of the images that are trained on.

    Attributes:
        encoder: The encoder.
        level: Its level.
        store: Holds them, and the images.
    """

    encoder: Encoder
    level: str
    store: Store

    @property
    def name(self) -> str:
        """As RCDMs call it, ``"vicreg/backbone"``."""
        return f"{self.encoder.name}/{self.level}"

    @property
    def dimension(self) -> int:
        """Of its representations."""
        return self.encoder.dimensions[self.level]

    def representations(self, rows: np.ndarray) -> torch.Tensor:
        """Those of the images at these positions, ``[N, D]`` float32."""
        return self.store.representations(self.level, rows)


def batches(
    conditions: Sequence[Condition],
    rows: np.ndarray,
    batch_size: int,
    seed: int,
    device: torch.device | str,
    shares: Mapping[str, int] | None = None,
) -> Callable[[int, slice], Batch]:
    """What `rcdm_core.training.train` draws from.

    Images come in shuffled passes over the rows. Conditions take turns over the images, from batch to batch. Which
    image a position in a batch has, at which condition, and what is random in its loss are functions of
    ``(seed, step, position)``.

    Args:
        conditions: What images are drawn from; all stores hold the same images.
        rows: Positions in the stores that are trained on.
        batch_size: Images of a whole batch.
        seed: Seed of everything.
        device: Where batches go.
        shares: Images of a condition, by name, for each one of a condition that is not named.
    """
    store = conditions[0].store
    image_size = store.images(rows[:1]).shape[-1]
    dealt = np.repeat(np.arange(len(conditions)), [(shares or {}).get(one.name, 1) for one in conditions])

    def draw(step: int, positions: slice) -> Batch:
        places = np.arange(batch_size)[positions]
        shown = step * batch_size + places  # images before each, in all batches
        turn = dealt[shown % len(dealt)]
        order = np.argsort(turn, kind="stable")  # images of one condition together
        _, chosen = shuffled_passes(shown, len(rows), seed)
        chosen, turn = rows[chosen][order], turn[order]
        groups = [
            (one.name, one.representations(chosen[turn == number]).to(device)) for number, one in enumerate(conditions)
        ]  # a condition without an image takes part with no rows: every process knows a gradient for every head
        draws = random_draws(step, positions, batch_size=batch_size, image_size=image_size, seed=seed)
        return store.images(chosen).to(device), groups, draws.of(order).to(device)

    return draw


def _chunk(folder: Path, start: int) -> Path:
    return folder / f"{start:09d}.safetensors"


@lru_cache(maxsize=400)  # a process may hold some more files open
def _mapped(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a chunk, mapped: pages are read when rows are taken, and given back when memory is short."""
    return load_file(path)
