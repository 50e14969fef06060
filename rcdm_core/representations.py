"""Representations of a set of images, computed once.

What was computed is kept under a key of everything the numbers depend on: the encoder's weights and preprocessing, the
images' content, which of them and in what order, the kind of device and PyTorch's version. A key's rows are written in
chunks of 512 (`rcdm_core.kept`), so that an interrupted run goes on where it was, several processes share them out, and
memory holds no more than the result and one chunk. Of what is read back a few images are encoded once more: if the
encoder gives something else, all of it is computed anew.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import ArrayLike

from rcdm_core import kept
from rcdm_core.errors import UserError
from rcdm_core.kept import OTHER_CACHE, cache_folder, keeping
from rcdm_core.precision import device_of, differ, rounding_of
from rcdm_core.progress import track
from rcdm_core.sharing import completed, processes, taken, unless_busy

if TYPE_CHECKING:
    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders.encoder import Encoder

CHUNK = 512
"""Rows in a cached file."""

CHECKED = 3
"""Images of those whose representations are kept that are encoded again, to see that the encoder still gives them."""

_FORM = "sealed"  # of a cached file: those of versions before are not looked for, and so are not called damaged

PIXELS = 2**20
"""Pixels that a processor encodes at once: more images of 224 pixels leave its cache and take gigabytes."""

COLLAPSED = 1e-5
"""Spread around the mean, relative to the length, below which representations differ by float32 rounding only."""


def representation_cache() -> Path:
    """Where representations are kept unless a caller says otherwise. The folder may not exist yet."""
    return cache_folder() / "representations"


def encode(encoder: Encoder, images: torch.Tensor, batch_size: int = 256) -> dict[str, torch.Tensor]:
    """Representations of images ``[N, 3, H, W]`` in [0, 1] at every level: ``{level: [N, D] float32}``, on the CPU.

    Args:
        encoder: A frozen encoder.
        images: Go to the device that it is on.
        batch_size: Images in one pass at most.

    Raises:
        UserError: A representation holds NaN or infinity.
    """
    device, size = device_of(encoder), fitting(batch_size, encoder, images.shape[-1])
    with torch.no_grad():
        return _joined(encoder, [encoder(batch.to(device)) for batch in images.split(size)])


def encode_with_grid(
    encoder: Encoder, images: torch.Tensor, *, batch_size: int = 256
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """What `encode` gives, and the grid of places ``[N, D, rows, columns]`` (`Encoder.with_grid`), on the CPU."""
    device, size = device_of(encoder), fitting(batch_size, encoder, images.shape[-1])
    with torch.no_grad():
        levels, grids = zip(*(encoder.with_grid(batch.to(device)) for batch in images.split(size)), strict=True)
    return _joined(encoder, levels), torch.cat([grid.cpu() for grid in grids])


def _joined(encoder: Encoder, batches: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    levels = {level: torch.cat([batch[level].float().cpu() for batch in batches]) for level in encoder.levels}
    refuse_nan(encoder, levels)
    return levels


def refuse_nan(encoder: Encoder, levels: Mapping[str, torch.Tensor]) -> None:
    """Raise a `UserError` if representations ``[N, D]`` of a level hold NaN or infinity."""
    for level, h in levels.items():
        if bad := int((~h.isfinite().all(dim=1)).sum()):
            raise UserError(
                f"encoder {encoder.name!r} gives NaN or infinity at level {level!r} for {bad} of {len(h)} images",
                "check its weights and its preprocessing",
            )


def fitting(batch_size: int, encoder: Encoder, side: int) -> int:
    """How many images of a side are worked on at once: a processor takes no more than `PIXELS`, a GPU what is asked.

    Smaller images than the encoder looks at are enlarged to its size, and count as what they become.
    """
    if device_of(encoder).type != "cpu":
        return batch_size
    return min(batch_size, max(1, PIXELS // max(side, encoder.image_size) ** 2))


def represent(
    encoder: Encoder,
    images: ImageSet,
    indices: ArrayLike,
    *,
    batch_size: int = 256,
    cache: Path | None = None,
    asked: Sequence[str] | None = None,
) -> dict[str, torch.Tensor]:
    """Representations of images at every level of an encoder.

    Args:
        encoder: A frozen encoder; images go to the device it is on.
        images: A set of images.
        indices: Positions in the set ``[N]``; rows come in this order.
        batch_size: Images in one pass.
        cache: Folder of kept representations, such as `representation_cache`; None keeps nothing.
        asked: Levels that have to vary; None for all.

    Returns:
        ``{level: [N, D] float32}``, on the CPU.

    Raises:
        UserError: A representation holds NaN or infinity, or a level that is asked for does not vary (a collapsed
            encoder), or the cache cannot be written.
    """
    indices = np.asarray(indices, np.int64)
    folder = cache / _key(encoder, images, indices) if cache else None
    result = {level: torch.empty(len(indices), size) for level, size in encoder.dimensions.items()}

    chunks = [slice(start, min(start + CHUNK, len(indices))) for start in range(0, len(indices), CHUNK)]
    missing = [rows for rows in chunks if not (folder and _read(_file(folder, rows), rows, result))]
    read = [row for rows in chunks if rows not in missing for row in range(rows.start, rows.stop)]
    is_stale = bool(read) and not _agrees(encoder, images, indices, result, read)
    if is_stale:
        missing = chunks

    batches = sum(len(range(rows.start, rows.stop, batch_size)) for rows in missing)
    begun = iter(track(range(batches), f"encoding with {encoder.name}", batches))

    def make(rows: slice) -> None:
        """Encode a chunk, and keep it."""
        with taken(_file(folder, rows)) if folder else nullcontext():
            if folder and processes() > 1 and not is_stale and _read(_file(folder, rows), rows, result):
                return  # another process has made it meanwhile
            for start in range(rows.start, rows.stop, batch_size):
                next(begun)
                batch = slice(start, min(start + batch_size, rows.stop))
                for level, h in encode(encoder, images.images(indices[batch]), batch_size).items():
                    result[level][batch] = h
            if folder:
                with keeping("representations", folder, remedy=OTHER_CACHE):
                    kept.save_tensors({level: h[rows] for level, h in result.items()}, _file(folder, rows))

    list(completed((unless_busy(make, rows) for rows in missing), make, missing))
    list(begun)  # those that other processes have made
    wanted = result if asked is None else asked
    refuse_collapse(encoder, {level: result[level].split(CHUNK) for level in wanted})
    return result


def _key(encoder: Encoder, images: ImageSet, indices: np.ndarray) -> str:
    parts = (_FORM, encoder.fingerprint, images.fingerprint, device_of(encoder).type, torch.__version__)
    digest = hashlib.sha256("\0".join(parts).encode() + b"\0")
    digest.update(indices.tobytes())
    return digest.hexdigest()


def _agrees(
    encoder: Encoder, images: ImageSet, indices: np.ndarray, known: Mapping[str, torch.Tensor], rows: Sequence[int]
) -> bool:
    """Whether the encoder gives kept representations, of these rows, of a few of the images once more; says if not."""
    few = np.asarray(rows)[np.unique(np.linspace(0, len(rows) - 1, CHECKED).round().astype(int))]
    rounding = rounding_of(encoder)
    for level, h in encode(encoder, images.images(indices[few])).items():
        if differ(h, known[level][few], known[level][few], rounding):
            told = f"kept representations of {encoder.name} are not what it gives now (level {level}): computed anew"
            print(told, file=sys.stderr)
            return False
    return True


def refuse_collapse(encoder: Encoder, levels: Mapping[str, Iterable[torch.Tensor]]) -> None:
    """Raise a `UserError` if all representations of a level, given in parts ``[N, D]``, are the same up to rounding."""
    for level, parts in levels.items():
        count, total, squares = 0, torch.zeros((), dtype=torch.float64), 0.0
        for part in parts:
            h = part.double()
            count, total, squares = count + len(h), total + h.sum(0), squares + h.square().sum().item()
        if count > 1 and squares - total.square().sum().item() / count <= COLLAPSED**2 * squares:
            raise UserError(
                f"collapsed encoder: {encoder.name!r} gives {count} images the same representation at level {level!r}",
                "check its weights and preprocessing, and that the images differ",
            )


def _file(folder: Path, rows: slice) -> Path:
    return folder / f"{rows.start:09d}.safetensors"


def _read(path: Path, rows: slice, result: dict[str, torch.Tensor]) -> bool:
    """Put a kept chunk in its place; whether there is one that is sound."""
    if not kept.is_sound(path):
        return False
    levels = kept.load_tensors(path)
    if {level: h.shape for level, h in levels.items()} != {level: h[rows].shape for level, h in result.items()}:
        return False
    for level, h in levels.items():
        result[level][rows] = h
    return True
