"""Image files of any kind to float RGB in [0, 1].

Files differ in what their numbers mean; all become red, green and blue in [0, 1]:

=================================  ============================================================================
grey, palette, 1 bit, CMYK, ...    converted to RGB (colour profiles are not applied)
transparency                       composited on white
16-bit colour                      rounded to 8 bits by the decoder
16-bit grey                        divided by 65,535, at full precision; signed numbers (TIFF) from -32,768 on
float and 32-bit integer grey      as it is where it lies in [0, 1]; else the file's own range is stretched to it,
                                   for such numbers have no nominal range
EXIF orientation                   applied
several frames or pages            the first
=================================  ============================================================================
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps, PpmImagePlugin, TiffImagePlugin

from rcdm_core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

RECIPE = "centre square, Pillow bicubic, float32, 2"
"""Name of the way from a file to a square; part of the fingerprint of every set of images that goes it."""


class UnreadableImage(UserError):
    """A file that cannot be decoded as an image.

    Args:
        path: The file.
        reason: Why, in the decoder's words.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot read {path} as an image", reason)
        self.path = path


def read_image(path: Path) -> torch.Tensor:
    """Decode a whole image file.

    Args:
        path: A file in any format that Pillow reads.

    Returns:
        RGB, ``[3, H, W]`` float32 in [0, 1].

    Raises:
        UnreadableImage: The file is missing, truncated, corrupt or not an image.
    """
    return _tensor(_decode(path, path))


def read_square(path: Path, size: int, *, file: BinaryIO | None = None) -> torch.Tensor:
    """Decode the largest centred square of an image file, resized without aliasing.

    A JPEG far larger than asked is decoded at 1/2, 1/4 or 1/8 of its size, yet never below twice ``size``.

    Args:
        path: A file in any format that Pillow reads.
        size: Side of the square in pixels.
        file: The opened content of ``path``, where it has been read already.

    Returns:
        RGB, ``[3, size, size]`` float32 in [0, 1].

    Raises:
        UnreadableImage: The file is missing, truncated, corrupt or not an image.
    """
    return square(_decode(path, file or path, least=2 * size), size)


def square(image: Image.Image, size: int) -> torch.Tensor:
    """The largest centred square of a decoded image, resized (bicubic, antialiased).

    Args:
        image: An image in any mode.
        size: Side of the square in pixels.

    Returns:
        RGB, ``[3, size, size]`` float32 in [0, 1].
    """
    image = _standard(image)
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side)
    return _tensor(image.resize((size, size), Image.Resampling.BICUBIC, box=box))


def resize(images: torch.Tensor, size: int) -> torch.Tensor:
    """Images ``[N, 3, S, S]`` in [0, 1] at another side (bicubic, antialiased); unchanged if they have it already."""
    if images.shape[-1] == size:
        return images
    return F.interpolate(images, size=(size, size), mode="bicubic", antialias=True).clamp(0, 1)


def at_one_size(batches: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """Batches of images, each ``[..., 3, S, S]`` with a side of its own, all at the largest."""
    batches = list(batches)
    size = max(batch.shape[-1] for batch in batches)
    return [resize(batch, size) for batch in batches]


def _decode(path: Path, source: Path | BinaryIO, least: int | None = None) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata, which no one can mend
            with Image.open(source) as image:
                if least is not None:
                    image.draft(None, (least, least))
                return _standard(ImageOps.exif_transpose(image), lowest=_lowest_of_16_bits(image))
    except MemoryError:
        raise
    except Exception as error:  # decoders fail in many ways: OSError, SyntaxError, ValueError, struct.error, ...
        reason = error.strerror if isinstance(error, OSError) else None
        raise UnreadableImage(path, reason or str(error).split(" <")[0] or type(error).__name__) from error


def _lowest_of_16_bits(image: Image.Image) -> int | None:
    """The number that stands for black in an opened file of 16-bit grey for which Pillow gives 32 bits; else None."""
    if image.mode == "I" and isinstance(image, PpmImagePlugin.PpmImageFile):
        return 0
    if image.mode == "I" and isinstance(image, TiffImagePlugin.TiffImageFile):
        return -(1 << 15) if image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE) == (16,) else None
    return None


def _standard(image: Image.Image, *, lowest: int | None = None) -> Image.Image:
    """The image in one of two modes: RGB, or F (one float channel in [0, 1]) where 8 bits would lose grey levels."""
    if lowest is not None:
        return Image.fromarray((np.asarray(image) - lowest).astype(np.float32) / 65535)
    if image.mode.startswith("I;16"):
        return Image.fromarray(np.asarray(image).astype(np.float32) / 65535)
    if image.mode in ("I", "F"):
        return Image.fromarray(_unit(np.asarray(image)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _unit(values: np.ndarray) -> np.ndarray:
    """Values without a nominal range as float32 in [0, 1]: unchanged if they lie there, else stretched."""
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise ValueError("it holds NaN or infinite values")
    if low < 0 or high > 1:
        values = (values - low) / max(high - low, np.finfo(np.float64).tiny)
    return values.astype(np.float32)


def _tensor(image: Image.Image) -> torch.Tensor:
    values = np.array(image, np.float32)
    if image.mode == "F":
        return torch.from_numpy(values.clip(0, 1)).expand(3, -1, -1).contiguous()  # bicubic overshoots
    return torch.from_numpy(values / 255).permute(2, 0, 1).contiguous()
