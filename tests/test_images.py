"""Every kind of image file becomes the same RGB in [0, 1]; a corrupt one is named."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from test_hostile_images import chunk, grey_tiff, png

from rcdm_core import images as decoding
from rcdm_core.errors import UserError
from rcdm_core.images import Side, read_picture, recipe, resize, square

RAMP = np.linspace(0, 255, 32 * 48).reshape(32, 48).astype(np.uint8)
COLOURS = np.stack([RAMP, RAMP[::-1], np.full_like(RAMP, 77)], -1)


def saved(folder: Path, name: str, image: Image.Image, **options: object) -> Path:
    image.save(folder / name, **options)
    return folder / name


def read_image(path: Path) -> torch.Tensor:
    """A whole file, not its square."""
    return decoding._read(path, decoding._tensor).pixels


def as_tensor(colours: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(colours.astype(np.float32) / 255).permute(2, 0, 1)


@pytest.mark.parametrize("name, options", [("a.png", {}), ("a.tif", {}), ("a.bmp", {}), ("a.webp", {"lossless": True})])
def test_lossless_colour_files_are_read_exactly(tmp_path: Path, name: str, options: dict) -> None:
    image = read_image(saved(tmp_path, name, Image.fromarray(COLOURS), **options))
    assert image.dtype == torch.float32
    torch.testing.assert_close(image, as_tensor(COLOURS), rtol=0, atol=0)


def test_jpeg_and_cmyk_jpeg_are_read_to_a_few_levels(tmp_path: Path) -> None:
    image = Image.fromarray(COLOURS)
    rgb = read_image(saved(tmp_path, "a.jpg", image, quality=98))
    cmyk = read_image(saved(tmp_path, "b.jpg", image.convert("CMYK"), quality=98))
    assert (rgb - as_tensor(COLOURS)).abs().mean() < 0.02
    assert (cmyk - as_tensor(COLOURS)).abs().mean() < 0.02


def test_grey_is_equal_in_all_channels(tmp_path: Path) -> None:
    image = read_image(saved(tmp_path, "a.png", Image.fromarray(RAMP)))
    torch.testing.assert_close(image, as_tensor(np.stack([RAMP] * 3, -1)), rtol=0, atol=0)


def test_palette_gives_its_colours(tmp_path: Path) -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 255, 0, 51])
    pixel = read_image(saved(tmp_path, "a.png", image))[:, 2, 2]
    torch.testing.assert_close(pixel, torch.tensor([1.0, 0.0, 0.2]))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_lies_on_white(tmp_path: Path, mode: str) -> None:
    image = Image.new(mode, (4, 4), (0,) * (len(mode) - 1) + (102,))
    assert read_image(saved(tmp_path, "a.png", image)).unique().tolist() == pytest.approx([153 / 255])


def test_transparent_palette_entry_is_white(tmp_path: Path) -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 255, 0, 51])
    assert (read_image(saved(tmp_path, "a.png", image, transparency=1)) == 1).all()


@pytest.mark.parametrize("bits, colour", [(1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (8, 2), (16, 2)])
def test_the_transparent_colour_of_a_png_is_white_at_any_depth(tmp_path: Path, bits: int, colour: int) -> None:
    """Four pixels of which the second is transparent."""
    channels, most = colour + 1, 2**bits - 1
    values = np.array([0, most // 3 + 1, most, 0]) if bits > 1 else np.array([1, 0, 1, 1])
    pixels = "".join(f"{value:0{bits}b}" * channels for value in values).ljust(8, "0")
    row = b"\0" + int(pixels, 2).to_bytes(len(pixels) // 8, "big")
    key = chunk(b"tRNS", struct.pack(">H", values[1]) * channels)
    (tmp_path / "a.png").write_bytes(png(4, 1, bits=bits, colour=colour, rows=row, more=key))
    expected = [1, 1, 1, 1] if bits == 1 else [0, 1, 1, 0]
    assert read_image(tmp_path / "a.png")[:, 0].tolist() == [expected] * 3


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bit_grey_keeps_its_precision(tmp_path: Path, name: str) -> None:
    values = np.arange(32 * 48, dtype=np.uint16).reshape(32, 48) + 20_000
    image = read_image(saved(tmp_path, name, Image.fromarray(values)))
    expected = torch.from_numpy(values.astype(np.float32) / 65535)
    torch.testing.assert_close(image, expected.expand(3, -1, -1), rtol=0, atol=1e-7)
    assert len(image.unique()) == values.size


def test_sixteen_bit_colour_is_read_to_eight_bits(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(sixteen_bit_rgb_png(COLOURS.astype(np.uint16) * 257))
    torch.testing.assert_close(read_image(path), as_tensor(COLOURS), rtol=0, atol=1 / 255)


def sixteen_bit_rgb_png(values: np.ndarray) -> bytes:
    """A PNG with 16 bits a channel, which Pillow can read and not write."""
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_float_in_unit_range_is_taken_as_it_is(tmp_path: Path) -> None:
    values = np.linspace(0.2, 0.6, 20, dtype=np.float32).reshape(4, 5)
    image = read_image(saved(tmp_path, "a.tif", Image.fromarray(values)))
    torch.testing.assert_close(image[0], torch.from_numpy(values), rtol=0, atol=0)


@pytest.mark.parametrize("values", [np.array([[-1000.0, 0.0, 1000.0]], np.float32), np.array([[-7, 3, 13]], np.int32)])
def test_numbers_without_a_nominal_range_are_stretched(tmp_path: Path, values: np.ndarray) -> None:
    image = read_image(saved(tmp_path, "a.tif", Image.fromarray(values)))
    torch.testing.assert_close(image[1], torch.tensor([[0.0, 0.5, 1.0]]))


@pytest.mark.parametrize("kind", ["i1", "<i2", "<u4", "<i4"])
def test_integers_keep_their_order_with_and_without_a_sign(tmp_path: Path, kind: str) -> None:
    numbers = np.iinfo(kind)
    values = np.linspace(numbers.min, numbers.max, 6).round().astype(kind).reshape(2, 3)
    (tmp_path / "a.tif").write_bytes(grey_tiff(values, form=2 if "i" in kind else 1))
    ramp = torch.linspace(0, 1, 6).reshape(2, 3)
    torch.testing.assert_close(read_image(tmp_path / "a.tif")[0], ramp, rtol=0, atol=1 / 255)


def test_a_file_with_nan_is_unreadable(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.tif", Image.fromarray(np.array([[0.1, np.nan]], np.float32)))
    with pytest.raises(UserError, match="NaN"):
        read_image(path)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_exif_orientation_is_applied(tmp_path: Path, depth: type) -> None:
    image = Image.fromarray(RAMP.astype(depth))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    upright = read_image(saved(tmp_path, "a.png", image))
    turned = read_image(saved(tmp_path, "b.png", image, exif=exif))
    torch.testing.assert_close(turned, torch.rot90(upright, -1, (1, 2)))


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_a_truncated_file_raises_with_its_path(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = saved(tmp_path, f"broken.{suffix}", Image.fromarray(noise))
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(UserError, match=f"broken.{suffix}"):
        read_picture(path, 16)


@pytest.mark.parametrize("content", [b"", b"not an image"])
def test_a_file_that_is_no_image_raises_with_its_path(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.png"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"notes\.png") as raised:
        read_image(path)
    assert "\n" not in str(raised.value)


def test_a_missing_file_raises_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.png.*No such file"):
        read_image(tmp_path / "gone.png")


@given(width=st.integers(1, 70), height=st.integers(1, 70), size=st.integers(1, 40), grey=st.integers(0, 65535))
def test_squares_have_their_size_and_keep_constants(width: int, height: int, size: int, grey: int) -> None:
    image = Image.fromarray(np.full((height, width), grey, np.uint16))
    result = square(image, size)
    assert result.shape == (3, size, size)
    torch.testing.assert_close(result, torch.full_like(result, grey / 65535))


@given(seed=st.integers(0, 99), size=st.integers(4, 40))
def test_squares_stay_in_range(seed: int, size: int) -> None:
    """Bicubic overshoots at edges between black and white."""
    checks = np.random.default_rng(seed).integers(0, 2, (16, 16)).astype(np.float32)
    result = square(Image.fromarray(checks), size)
    assert result.min() >= 0
    assert result.max() <= 1


def test_the_square_is_the_centre(tmp_path: Path) -> None:
    colours = np.zeros((10, 30, 3), np.uint8)
    colours[:, 10:20] = 255
    assert (read_picture(saved(tmp_path, "a.png", Image.fromarray(colours)), 10).pixels == 1).all()


def test_an_image_of_the_right_size_is_not_resampled(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    path = saved(tmp_path, "a.png", Image.fromarray(noise))
    torch.testing.assert_close(read_picture(path, 24).pixels, as_tensor(noise), rtol=0, atol=0)


def test_fine_stripes_vanish_instead_of_aliasing() -> None:
    stripes = np.zeros((256, 256), np.uint8)
    stripes[:, ::2] = 255
    inside = square(Image.fromarray(stripes), 24)[:, :, 2:-2]
    assert (inside - 0.5).abs().max() < 0.05


def test_large_jpegs_are_decoded_small_with_little_change(tmp_path: Path) -> None:
    x = np.linspace(0, 6, 1024)
    waves = (127 + 120 * np.sin(x)[:, None] * np.cos(1.7 * x)[None]).astype(np.uint8)
    path = saved(tmp_path, "a.jpg", Image.fromarray(waves).convert("RGB"), quality=95)
    torch.testing.assert_close(read_picture(path, 32).pixels, square(Image.fromarray(waves), 32), rtol=0, atol=0.02)


@pytest.mark.parametrize("size", [32, Side(32, "bicubic")])
def test_what_is_kept_of_files_that_were_decoded_otherwise_is_not_used(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    before = recipe(size)
    monkeypatch.setattr(decoding, "_DECODING", decoding._DECODING + 1)
    assert recipe(size) != before


def test_resize_changes_the_side_only_where_asked() -> None:
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert resize(images, 32) is images
    larger = resize(images, 48)
    assert larger.shape == (2, 3, 48, 48)
    assert larger.min() >= 0
    assert larger.max() <= 1


@pytest.mark.parametrize("low, high", [(0, 65_535), (1000, 1400)])
def test_sixteen_bit_grey_is_the_same_in_every_format(tmp_path: Path, low: int, high: int) -> None:
    values = np.linspace(low, high, 32 * 48).astype(np.int32).reshape(32, 48)
    grey = read_image(saved(tmp_path, "a.pgm", Image.fromarray(values)))
    torch.testing.assert_close(grey[0], torch.from_numpy(values / 65_535).float(), rtol=0, atol=1e-7)
    (tmp_path / "b.tif").write_bytes(signed_tiff((values - 32_768).astype("<i2")))
    torch.testing.assert_close(read_image(tmp_path / "b.tif"), grey, rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["<u2", "<f4"])
def test_grey_whose_zero_is_white_is_no_negative(tmp_path: Path, kind: str) -> None:
    """Pillow minds it in files of 8 bits alone; X-rays and scans are saved so."""
    values = (np.linspace(0, 1, 64).reshape(8, 8) * (65_535 if kind == "<u2" else 1)).astype(kind)
    for zero in (0, 1):  # white, black
        (tmp_path / f"{zero}.tif").write_bytes(grey_tiff(values, form=1 if kind == "<u2" else 3, t262=zero))
    white, black = (read_image(tmp_path / f"{zero}.tif") for zero in (0, 1))
    torch.testing.assert_close(white, 1 - black, rtol=0, atol=1e-7)
    assert black[0, 0, 0] == 0


def test_twelve_bits_are_the_whole_range(tmp_path: Path) -> None:
    values = np.linspace(0, 4095, 64).astype(int)
    pairs = [(a >> 4, (a & 15) << 4 | b >> 8, b & 255) for a, b in values.reshape(-1, 2)]
    packed = np.array(pairs, np.uint8).reshape(8, 12)
    (tmp_path / "a.tif").write_bytes(grey_tiff(packed, t256=8, t258=12))
    image = read_image(tmp_path / "a.tif")
    torch.testing.assert_close(image[0].flatten(), torch.from_numpy(values / 4095).float(), rtol=0, atol=1e-6)


def signed_tiff(values: np.ndarray) -> bytes:
    """A TIFF of 16-bit signed grey, which Pillow can read and not write."""
    height, width = values.shape
    tags = {256: width, 257: height, 258: 16, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: values.nbytes, 339: 2}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    return struct.pack("<2sHI", b"II", 42, 8 + values.nbytes) + values.tobytes() + directory
