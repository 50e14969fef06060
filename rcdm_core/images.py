"""Image files of any kind to float RGB in [0, 1].

Files differ in what their numbers mean; all become red, green and blue in [0, 1]:

=================================  ============================================================================
grey, palette, 1 bit, CMYK, ...    converted to RGB (colour profiles are not applied)
transparency                       composited on white
16-bit colour                      rounded to 8 bits by the decoder
16-bit grey                        divided by 65,535, at full precision
signed numbers of 8 or 16 bits     black is the lowest that there could be, -128 or -32,768
float and 32-bit integer grey      as it is where it lies in [0, 1]; else the file's own range is stretched to it,
                                   for such numbers have no nominal range; see `told_of_range`
EXIF orientation                   applied; the rest of the metadata is not looked at
several frames or pages            the first
=================================  ============================================================================

Only regular files are opened, only by the decoders of `FORMATS`, and only up to `LARGEST_FILE` and `LARGEST`: what is
no image, or unpacks to more than the memory, is told before it is read.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Condition
from typing import IO, Any, TypeGuard

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFile, ImageOps, PngImagePlugin, PpmImagePlugin, TiffImagePlugin, UnidentifiedImageError

from rcdm_core.errors import UserError
from rcdm_core.paths import open_regular

RECIPE = "centre square, Pillow bicubic, float32"
"""Name of our own way from a file to a square; see `recipe`."""

_DECODING = 4  # counts up where files are decoded otherwise: what was kept of them is not used then

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
"""Pillow's names of what is decoded. Others are not tried: one of its readers starts another program."""

LARGEST_FILE = 2_000_000_000  # bytes
LARGEST = 250_000_000
"""Pixels that an image may have: the largest scans do, and decoding it takes less than 3 GB."""
LARGEST_WEBP = 150_000_000
"""Pixels of a WebP, whose decoder takes 16 bytes for each, four times what others take."""
_AT_ONCE = 64_000_000  # pixels that all threads decode at a time; a larger image is decoded alone
_STRIP = 4_000_000  # pixels that are converted at a time

Image.MAX_IMAGE_PIXELS = LARGEST  # Pillow's own limits would count a scan, or a photo with a long profile, as corrupt
PngImagePlugin.MAX_TEXT_CHUNK = 16 << 20  # bytes
# A size that glibc gives back to the system at once; what is smaller it keeps, for each thread its own.
Image.core.set_block_size(64 << 20)  # type: ignore[attr-defined]


class Side(int):
    """A side in pixels, and how an encoder's own preprocessing brings the centre of a picture to it.

    A set of images that is opened at such a side has of every file what the preprocessing would have made of it.

    Args:
        pixels: The side.
        by: ``bicubic``, ``bilinear`` or ``nearest``: the short side of the whole picture is resized to the side as
            torchvision does it. ``aliased`` behind it: not smoothed before; ``squashed``: both sides are; ``bordered``:
            the long side is, with a border around. ``cropped``: none is, the centre is cut out, black where it is
            larger than the picture. ``halving``: as `rcdm_core.encoders.preprocess.HalvingCrop` does it. Empty: in our
            own way, as a plain number.
        crop: Side of the centre that is cropped of it later: it decides which pixel is in the middle.
        border: RGB of a border, up to 255; empty where there is none.
    """

    by: str
    crop: int

    def __new__(cls, pixels: int, by: str = "", crop: int = 0, border: Sequence[int] = ()) -> Side:
        side = super().__new__(cls, pixels)
        side.by, side.crop = by, crop
        if border:
            side.border = tuple(border)
        return side

    border: tuple[int, ...] = ()


_FILTERS = {name: Image.Resampling[name.upper()] for name in ("bicubic", "bilinear", "nearest")}


def is_resized_by_encoder(size: int) -> TypeGuard[Side]:
    """Whether an encoder's own preprocessing says how pictures are brought to a side."""
    return isinstance(size, Side) and bool(size.by)


def recipe(size: int) -> str:
    """Name of the way from a file to a square; part of the fingerprint of every set of images that goes it."""
    way = f"by an encoder, {vars(size)}" if is_resized_by_encoder(size) else RECIPE
    return f"{way}, decoding {_DECODING}, {size} pixels"


class UnreadableImage(UserError):
    """A file that cannot be decoded as an image.

    Args:
        path: The file.
        reason: Why, in the decoder's words.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot read {path} as an image", reason)
        self.path = path


@dataclass(frozen=True)
class Range:
    """What a file holds whose numbers may not mean what they are taken for.

    Attributes:
        low: The lowest number.
        high: The highest.
        white: The one that is taken for white, 65,535; None of numbers without a nominal range.
    """

    low: float
    high: float
    white: int | None = None

    @property
    def is_stretched(self) -> bool:
        """Whether the file becomes [0, 1] by its own lowest and highest number."""
        return self.white is None and (self.low < 0 or self.high > 1)


@dataclass(frozen=True, eq=False)
class Picture:
    """An image file that was read.

    Attributes:
        pixels: RGB, ``[3, H, W]`` float32 in [0, 1].
        digest: SHA-256 of the file.
        range: Of a file with 16 or 32 bits a channel; else None.
    """

    pixels: torch.Tensor
    digest: bytes
    range: Range | None


def read_image(path: Path) -> torch.Tensor:
    """Decode a whole image file in one of `FORMATS`: RGB, ``[3, H, W]`` float32 in [0, 1].

    Raises:
        UnreadableImage: The file is missing, truncated, corrupt, too large or not an image.
    """
    return _read(path, _tensor).pixels


def read_picture(path: Path, size: int) -> Picture:
    """Decode the largest centred square of an image file, resized without aliasing.

    A JPEG far larger than asked is decoded at 1/2, 1/4 or 1/8 of its size, yet never below twice ``size``; whole where
    an encoder's own preprocessing says how it is resized.

    Args:
        path: A file in one of `FORMATS`.
        size: Side of the square in pixels, perhaps a `Side`.

    Returns:
        The picture with pixels ``[3, size, size]``.

    Raises:
        UnreadableImage: The file is missing, truncated, corrupt, too large or not an image.
    """
    return _read(path, lambda image: square(image, size), least=None if is_resized_by_encoder(size) else 2 * size)


def square(image: Image.Image, size: int) -> torch.Tensor:
    """The largest centred square of a decoded image, resized: bicubic and antialiased, unless a `Side` says otherwise.

    Args:
        image: An image in any mode.
        size: Side of the square in pixels.

    Returns:
        RGB, ``[3, size, size]`` float32 in [0, 1].
    """
    image = _standard(image)
    if is_resized_by_encoder(size):
        return _in_their_way(image, size)
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side)
    return _tensor(image.resize((size, size), Image.Resampling.BICUBIC, box))


def _in_their_way(image: Image.Image, size: Side) -> torch.Tensor:
    """The centre of an image, resized as a `Side` says: what is made of the whole image first, and then cropped."""
    while size.by == "halving" and min(image.size) >= 2 * size:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    sampling = _FILTERS.get(size.by.partition(",")[0], Image.Resampling.BICUBIC)
    short, long = sorted(image.size)
    if size.by == "cropped":
        left, top = (_margin(side, size) for side in image.size)
        return _tensor(image.crop((left, top, left + size, top + size)))
    if size.by.endswith("bordered"):
        width, height = (max(1, round(side / (long / size))) for side in image.size)
        left, top = (_margin(size, size.crop) - _margin(side, size.crop) for side in (width, height))
        whole = (torch.tensor(size.border, dtype=torch.float32) / 255)[:, None, None].repeat(1, size, size)
        whole[:, top : top + height, left : left + width] = _tensor(image.resize((width, height), sampling))
        return whole
    if size.by == "halving":
        resized = [round(side * (size / short)) for side in image.size]
        corner = [(side - size) // 2 for side in resized]
    elif size.by.endswith("squashed"):
        resized, corner = [size, size], [0, 0]
    else:
        resized = [int(size * side / short) for side in image.size]
        corner = [_margin(side, size.crop) - _margin(size, size.crop) for side in resized]
    scale = [before / after for before, after in zip(image.size, resized, strict=True)]
    x, y = (place * by for place, by in zip(corner, scale, strict=True))
    box = (x, y, x + size * scale[0], y + size * scale[1])
    if size.by.startswith("bilinear, aliased"):
        return _tensor(image.transform((size, size), Image.Transform.EXTENT, box, Image.Resampling.BILINEAR))
    return _tensor(image.resize((size, size), sampling, box))


def _margin(side: int, crop: int) -> int:
    """Pixels before the centre that torchvision crops of a side; what it pads it with counts below 0."""
    return round((side - crop) / 2) if side >= crop else -((crop - side) // 2)


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


def told_of_range(ranges: Iterable[Range | None]) -> Iterator[str]:
    """What is said of files, by their `Picture.range`, whose grey levels may not be what was meant.

    Cameras and scanners save 12 bits in 16, which are nearly black: the numbers do not tell whether they are meant so,
    and it is said where all 16-bit files together use less than half of the 16 bits. Floating point and integers of 32
    bits have no nominal range: where files are stretched, the same number is another grey in each.
    """
    known = [found for found in ranges if found is not None]
    if of_16_bits := [found for found in known if found.white]:
        low, high = int(min(found.low for found in of_16_bits)), int(max(found.high for found in of_16_bits))
        if high - low < 1 << 15:
            yield (
                f"files of 16 bits a channel ({len(of_16_bits):,}) hold numbers from {low:,} to {high:,} of 65,535 "
                f"alone, no more than {(high - low).bit_length()} bits, and are taken as {low / 65535:.0%} to "
                f"{high / 65535:.0%} of white: if that is their whole range, stretch it to 16 bits first"
            )
    if stretched := [found for found in known if found.is_stretched]:
        whole = f"{min(found.low for found in stretched):g} to {max(found.high for found in stretched):g}"
        kept = sum(not found.white for found in known) - len(stretched)
        yield (
            f"files of numbers without a nominal range, floating point or 32 bits ({len(stretched):,}, which hold "
            f"{whole}), are stretched one by one, the lowest number of each to black and its highest to "
            f"white{f'; those in [0, 1] ({kept:,}) stay as they are' if kept else ''}: where their brightness counts, "
            "save all in [0, 1], or with 16 bits"
        )


def _read(path: Path, finish: Callable[[Image.Image], torch.Tensor], *, least: int | None = None) -> Picture:
    try:
        with warnings.catch_warnings(), open_regular(path, largest=LARGEST_FILE) as file:
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata, which no one can mend
            image = _opened(file)
            _refuse_size(image)
            if least is not None:
                image.draft(None, (least, least))
            with _MEMORY.held(image.width * image.height):
                is_16_bit = image.format in ("PNG", "TIFF") and ";16" in str([tile.args for tile in image.tile])
                _scale_transparent_colour(image)
                image.load()
                lowest = _lowest_of_16_bits(image)
                used = _range(image, lowest, is_16_bit)
                _turn_upright(image)
                pixels = finish(_standard(image, lowest))
            file.seek(0)
            return Picture(pixels, hashlib.file_digest(file, "sha256").digest(), used)
    except MemoryError:
        raise
    except Image.DecompressionBombError as error:
        raise UnreadableImage(path, f"it has more than {LARGEST:,} pixels") from error
    except Exception as error:  # decoders fail in many ways: OSError, SyntaxError, ValueError, struct.error, ...
        reason = error.strerror if isinstance(error, OSError) else None
        raise UnreadableImage(path, reason or str(error).split(" <")[0] or type(error).__name__) from error


def _opened(file: IO[bytes]) -> ImageFile.ImageFile:
    """An image that is not decoded yet."""
    try:
        return Image.open(file, formats=FORMATS)
    except UnidentifiedImageError as error:
        raise ValueError(_kind_of_tiff(file) or f"it is none of {', '.join(FORMATS)}") from error


def _refuse_size(image: Image.Image) -> None:
    """Raise where an opened image, or what its decoder takes at a time, is larger than is read."""
    areas = [image.width * image.height]
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        width, height = (image.tag_v2.get(tag, 0) for tag in (TiffImagePlugin.TILEWIDTH, TiffImagePlugin.TILELENGTH))
        areas.append(width * height)
    most = LARGEST_WEBP if image.format == "WEBP" else LARGEST
    if max(areas) > most:
        raise ValueError(f"it has {max(areas):,} pixels, and at most {most:,} are read of {image.format}")
    if not areas[0]:
        raise ValueError("it has no pixels")


class _Memory:
    """Lets threads decode as long as their images together have no more pixels than the limit; a larger one alone."""

    def __init__(self, limit: int) -> None:
        self._limit = self._free = limit
        self._changed = Condition()

    @contextmanager
    def held(self, pixels: int) -> Iterator[None]:
        """Wait for room for an image of so many pixels, and keep it in the block."""
        pixels = min(pixels, self._limit)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()


_MEMORY = _Memory(_AT_ONCE)


def _turn_upright(image: Image.Image) -> None:
    """Turn a decoded image as its EXIF orientation has it. EXIF that cannot be read says nothing of the pixels."""
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except MemoryError:
        raise
    except Exception:  # it fails in as many ways as decoders do
        pass


def _lowest_of_16_bits(image: Image.Image) -> int | None:
    """The number that stands for black in an opened file of 16-bit grey for which Pillow gives 32 bits; else None."""
    if image.mode == "I" and isinstance(image, PpmImagePlugin.PpmImageFile):
        return 0
    if image.mode == "I" and isinstance(image, TiffImagePlugin.TiffImageFile):
        return -(1 << 15) if _tiff_tag(image, TiffImagePlugin.BITSPERSAMPLE) == (16,) else None
    return None


def _range(image: Image.Image, lowest: int | None, is_16_bit: bool) -> Range | None:
    """The `Picture.range` of a decoded file; where it has 16 bits, the least number is 0."""
    if is_16_bit and not image.mode.startswith("I"):  # Pillow has rounded colours to 8 bits
        bounds = np.array(image.convert("RGB").getextrema())
        return Range(int(bounds.min()) << 8, int(bounds.max()) << 8 | 0xFF, 65535)
    if is_16_bit:
        low, high = _extremes(image)
        return Range(low - (lowest or 0), high - (lowest or 0), 65535)
    return Range(*_extremes(image)) if image.mode in ("I", "F") and lowest is None else None


def _scale_transparent_colour(image: ImageFile.ImageFile) -> None:
    """Bring the colour of a PNG that stands for transparency to 8 bits, as its pixels will be; Pillow leaves it."""
    if image.format == "PNG" and "transparency" in image.info:
        key, bits = image.info["transparency"], image.tile[0].args
        if bits in ("L;2", "L;4"):
            image.info["transparency"] = key * {"L;2": 85, "L;4": 17}[bits]
        elif bits == "RGB;16B":
            image.info["transparency"] = tuple(value >> 8 for value in key)


def _standard(image: Image.Image, lowest: int | None = None) -> Image.Image:
    """The image in one of two modes: RGB, or F (one float channel in [0, 1]) where 8 bits would lose grey levels."""
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    is_negative = _tiff_tag(image, TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0  # Pillow minds it in 8 bits alone
    if image.mode.startswith("I;16"):
        lowest = 0
    if lowest is not None:
        white = 4095 if _tiff_tag(image, TiffImagePlugin.BITSPERSAMPLE) == (12,) else 65535
        key = image.info.get("transparency")  # of a PNG
        return _converted(image, "F", lambda part: _grey(_scaled(part, lowest, white, key), is_negative))
    if image.mode in ("I", "F"):
        kind, (low, high) = _numbers_of(image), _extremes(image)
        return _converted(image, "F", lambda part: _grey(_unit(np.asarray(part).view(kind), low, high), is_negative))
    if image.mode == "L" and _tiff_tag(image, TiffImagePlugin.SAMPLEFORMAT) == (2,):
        image = image.point([grey ^ 128 for grey in range(256)])
    if image.has_transparency_data:
        return _converted(image, "RGB", _on_white)
    return image.convert("RGB")


def _converted(image: Image.Image, mode: str, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """An image in another mode, converted strip by strip: what lies between takes several times its memory."""
    strips = list(_strips(image))
    if len(strips) == 1:
        return convert(image)
    whole = Image.new(mode, image.size)
    for box in strips:
        whole.paste(convert(image.crop(box)), box)
    return whole


def _strips(image: Image.Image) -> Iterator[tuple[int, int, int, int]]:
    """Boxes of whole rows that cover an image."""
    rows = max(1, _STRIP // image.width)
    for top in range(0, image.height, rows):
        yield 0, top, image.width, min(top + rows, image.height)


def _extremes(image: Image.Image) -> tuple[float, float]:
    """Lowest and highest number in an image of one channel; NaN where it holds NaN."""
    kind = _numbers_of(image)
    found = [(part.min(), part.max()) for part in (np.asarray(image.crop(box)).view(kind) for box in _strips(image))]
    return float(np.min(found)), float(np.max(found))


def _numbers_of(image: Image.Image) -> np.dtype[Any]:
    """What the numbers of an image of one channel are; those of 32 bits and no sign Pillow takes as if they had one."""
    tags = TiffImagePlugin.BITSPERSAMPLE, TiffImagePlugin.SAMPLEFORMAT
    is_unsigned = [_tiff_tag(image, tag) for tag in tags] in ([(32,), (1,)], [(32,), None])
    return np.dtype(np.uint32) if is_unsigned else np.asarray(image.crop((0, 0, 1, 1))).dtype


def _scaled(image: Image.Image, lowest: int, white: int, key: int | None) -> np.ndarray:
    """16-bit grey as float32 in [0, 1], white where it is transparent: where it has the number ``key``."""
    values = np.asarray(image, np.float32)
    scaled = (values - lowest) / white
    return scaled if key is None else np.where(values == key, np.float32(1), scaled)


def _kind_of_tiff(file: IO[bytes]) -> str:
    """Why a TIFF that no decoder takes is not read; empty where it is none, or cannot be understood."""
    try:
        file.seek(0)
        head = file.read(8)
        head += file.read(8) if head[2:3] == b"+" else b""  # of more than 4 GB
        tags = TiffImagePlugin.ImageFileDirectory_v2(head)
        file.seek(tags.next)
        tags.load(file)
        bits, forms = tags[TiffImagePlugin.BITSPERSAMPLE], tags.get(TiffImagePlugin.SAMPLEFORMAT, (1,))
        colours = tags[TiffImagePlugin.PHOTOMETRIC_INTERPRETATION]
    except Exception:  # it fails in as many ways as decoders do
        return ""
    form = {2: " with a sign", 3: " of floating point"}.get(forms[0], "")
    return (
        f"it is a TIFF of a kind that is not read (channels: {len(bits)}, each {bits[0]} bits{form}, photometric "
        f"interpretation {colours}); save it as grey or RGB of 8 or 16 bits, or as grey of 32-bit floating point"
    )


def _tiff_tag(image: Image.Image, tag: int) -> Any:
    """What a TIFF says under a tag; None of other files, and where it says nothing."""
    return image.tag_v2.get(tag) if isinstance(image, TiffImagePlugin.TiffImageFile) else None


def _grey(values: np.ndarray, is_negative: bool) -> Image.Image:
    return Image.fromarray(1 - values if is_negative else values)


def _on_white(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _unit(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values without a nominal range as float32 in [0, 1]: unchanged if the whole image's lie there, else stretched."""
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
