"""Files and folders that are not what they should be: a right result, a name in a list, or one line.

Every entry of the tables makes its files in an empty folder, beside twenty sound images, and says what is to become of
them. Nothing may end in another exception, take ten seconds, or start another program.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import PIL
import pytest
import torch
from PIL import Image
from typer.testing import Result

from analyses.records import join, number_images, records
from rcdm_core import images as decoding
from rcdm_core import kept
from rcdm_core.data.folder import FolderImages, open_folder
from rcdm_core.data.imageset import part_of
from rcdm_core.data.layout import natural
from rcdm_core.data.registry import load_data, open_given
from rcdm_core.data.scenes import Scenes
from rcdm_core.encoders import load_encoder
from rcdm_core.errors import UserError, legible
from rcdm_core.images import UnreadableImage, read_picture
from rcdm_core.representations import represent
from rcdm_probe import invariance
from rcdm_probe.facts import data_card
from rcdm_probe.runs import collect_facts

SECONDS = 10
NOISE = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
GREY = np.linspace(0, 255, 24 * 24).reshape(24, 24).astype(np.uint8)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def colours(kind: str, **options: object) -> bytes:
    return encoded(Image.fromarray(NOISE), kind, **options)


def in_mode(mode: str, kind: str, **options: object) -> bytes:
    return encoded(Image.fromarray(NOISE).convert(mode), kind, **options)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    width: int, height: int, *, bits: int = 8, colour: int = 0, rows: bytes | None = None, more: bytes = b""
) -> bytes:
    """A PNG by hand, black where no rows are given, with more chunks; it may announce more than it holds."""
    packed = zlib.compress(bytes(height * (1 + (width * bits + 7) // 8)) if rows is None else rows, 1)
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), more, chunk(b"IDAT", packed), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def with_chunk(kind: bytes, body: bytes) -> bytes:
    """A sound PNG with one chunk more, after its header."""
    whole = colours("PNG")
    return whole[:33] + chunk(kind, body) + whole[33:]


def tiff(tags: dict[int, tuple[int, int]], data: bytes = b"") -> bytes:
    """A TIFF by hand: its tags with type and value, and its data from byte 8 on."""
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, (kind, value) in sorted(tags.items()))
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    return struct.pack("<2sHI", b"II", 42, 8 + len(data)) + data + directory


def grey_tiff(values: np.ndarray, *, form: int = 1, **more: int) -> bytes:
    height, width = values.shape
    bits, size = values.dtype.itemsize * 8, values.nbytes
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: size, 339: form}
    return tiff({tag: (4, value) for tag, value in {**tags, **{int(k[1:]): v for k, v in more.items()}}.items()},
                values.tobytes())  # fmt: skip


def turned_jpeg(entries: bytes, extra: bytes = b"") -> bytes:
    """A JPEG of 24 x 12 whose EXIF holds these entries."""
    jpeg = encoded(Image.fromarray(NOISE[:12]), "JPEG", quality=95)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries) // 12) + entries + struct.pack("<I", 0) + extra
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


TURN = struct.pack("<HHII", 0x112, 3, 1, 6)
UNWRITABLE = turned_jpeg(TURN + struct.pack("<HHII", 0x11A, 10, 1, 38), struct.pack("<ii", -1, 0))
JPEG, PNG, WEBP = colours("JPEG"), colours("PNG"), colours("WEBP")
TIFF, BMP, GIF, PPM = colours("TIFF"), colours("BMP"), colours("GIF"), colours("PPM")
FRAMES = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
FLOATS = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
HUGE_TEXT = b"Comment\0\0" + zlib.compress(bytes(3 << 20))
HUGE_PROFILE = b"profile\0\0" + zlib.compress(bytes(3 << 20))
BOMB_TEXT = b"Comment\0\0" + zlib.compress(bytes(40 << 20))
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"

SOUND: dict[str, tuple[str, bytes]] = {
    # What is odd and can be read: name, content.
    **{f"{kind} called .png": ("x.png", data) for kind, data in
       {"jpeg": JPEG, "webp": WEBP, "tiff": TIFF, "bmp": BMP, "gif": GIF, "ppm": PPM}.items()},
    **{f"png called {ending}": (f"x{ending}", PNG) for ending in
       (".jpg", ".JPEG", ".webp", ".tif", ".bmp", ".gif", ".ppm", ".jfif", ".jpe")},
    **{f"{mode} png": ("x.png", in_mode(mode, "PNG")) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")},
    **{f"{mode} tiff": ("x.tif", in_mode(mode, "TIFF")) for mode in
       ("1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "F", "I")},
    **{f"{packing} tiff": ("x.tif", colours("TIFF", compression=packing)) for packing in
       ("tiff_lzw", "tiff_deflate", "packbits", "jpeg")},
    "lab": ("x.tif", encoded(Image.new("LAB", (8, 8)), "TIFF")),
    "big tiff": ("x.tif", colours("TIFF", big_tiff=True)),
    "cmyk jpeg": ("x.jpg", in_mode("CMYK", "JPEG")),
    "ycck jpeg": ("x.jpg", in_mode("CMYK", "JPEG", subsampling=2)),
    "grey jpeg": ("x.jpg", in_mode("L", "JPEG")),
    "progressive jpeg": ("x.jpg", colours("JPEG", progressive=True)),
    "palette with transparency": ("x.png", in_mode("P", "PNG", transparency=3)),
    "colour key": ("x.png", colours("PNG", transparency=(1, 2, 3))),
    "palette with alphas": ("x.png", in_mode("P", "PNG", transparency=bytes(range(256)))),
    "16-bit big endian tiff": ("x.tif", grey_tiff(np.arange(64, dtype="<u2").reshape(8, 8))),
    "16-bit signed tiff": ("x.tif", grey_tiff(np.arange(-32, 32, dtype="<i2").reshape(8, 8), form=2)),
    "16-bit colours": ("x.png", png(4, 4, bits=16, colour=2, rows=bytes(4 * 25))),
    "float tiff in a range of its own": ("x.tif", grey_tiff(FLOATS * 1e6 - 7, form=3)),
    "constant float tiff": ("x.tif", grey_tiff(np.full((8, 8), 9e9, "<f4"), form=3)),
    "1 pixel": ("x.png", png(1, 1)),
    "1 bit a pixel": ("x.png", png(9, 9, bits=1)),
    "1 x 50,000": ("x.png", png(1, 50_000)),
    "50,000 x 1": ("x.png", png(50_000, 1)),
    "lying thin jpeg": ("x.jpg", encoded(Image.new("RGB", (60_000, 1)), "JPEG")),
    "animated gif": ("x.gif", encoded(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:])),
    "animated webp": ("x.webp", encoded(FRAMES[0], "WEBP", save_all=True, append_images=FRAMES[1:])),
    "animated png": ("x.png", encoded(FRAMES[0], "PNG", save_all=True, append_images=FRAMES[1:])),
    "pages of tiff": ("x.tif", encoded(FRAMES[0], "TIFF", save_all=True, append_images=FRAMES[1:])),
    "mpo": ("x.jpg", encoded(FRAMES[0], "MPO", save_all=True, append_images=FRAMES[1:])),
    "huge text": ("x.png", with_chunk(b"zTXt", HUGE_TEXT)),
    "huge profile": ("x.png", with_chunk(b"iCCP", HUGE_PROFILE)),
    "unknown chunk": ("x.png", with_chunk(b"abCd", bytes(100))),
    "jpeg with rubbish behind": ("x.jpg", JPEG + bytes(5000)),
    "png with rubbish behind": ("x.png", PNG + bytes(5000)),
    "exif nobody can write": ("x.jpg", UNWRITABLE),
    "exif cut short": ("x.jpg", turned_jpeg(TURN).replace(b"\x01\0\x12\x01", b"\x09\0\x12\x01")),
    "exif of an unknown byte order": ("x.jpg", turned_jpeg(TURN).replace(b"II*\0", b"XX*\0")),
    "exif that points outside": ("x.jpg", turned_jpeg(TURN + struct.pack("<HHII", 0x8769, 4, 1, 0xFFFFFF))),
    "exif orientation of 99": ("x.jpg", turned_jpeg(struct.pack("<HHII", 0x112, 3, 1, 99))),
    "exif orientation as text": ("x.jpg", turned_jpeg(struct.pack("<HHI4s", 0x112, 2, 4, b"six\0"))),
    "exif orientation of many": ("x.jpg", turned_jpeg(struct.pack("<HHIHH", 0x112, 3, 2, 6, 6))),
    "pbm": ("x.pbm", b"P1\n3 2\n1 0 1\n0 1 0\n"),
    "pgm with comments": ("x.pgm", b"P2\n# by hand\n3 1\n# white\n4095\n0 2048 4095\n"),
}  # fmt: skip

CORRUPT: dict[str, tuple[str, bytes]] = {
    # What is no image, or none that is read: name, content.
    "empty": ("x.png", b""),
    "one byte": ("x.png", b"\x89"),
    "text": ("x.jpg", b"<html>404 Not Found</html>"),
    "zeros": ("x.png", bytes(4096)),
    "postscript": ("x.png", EPS),
    "pdf": ("x.png", b"%PDF-1.4\n1 0 obj\n"),
    "svg": ("x.png", b'<svg xmlns="http://www.w3.org/2000/svg"/>'),
    "zip": ("x.jpg", b"PK\x03\x04" + bytes(60)),
    "heic": ("x.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
    "avif": ("x.png", b"\0\0\0\x1cftypavif\0\0\0\0avifmif1"),
    "jpeg 2000": ("x.jpg", colours("JPEG2000")),
    "icon": ("x.png", in_mode("RGBA", "ICO", sizes=[(16, 16)])),
    "targa": ("x.png", colours("TGA")),
    "pcx": ("x.png", colours("PCX")),
    "silicon graphics": ("x.png", colours("SGI")),
    "photoshop": ("x.png", b"8BPS\0\1" + bytes(200)),
    "fits": ("x.tif", b"SIMPLE  =                    T" + b" " * 2850),
    "lost header": ("x.png", PNG[8:]),
    **{f"half a {kind}": (f"x.{kind}", data[: len(data) // 2]) for kind, data in
       {"jpg": JPEG, "png": PNG, "webp": WEBP, "tif": TIFF, "bmp": BMP, "ppm": PPM}.items()},
    **{f"head of a {kind}": (f"x.{kind}", data[:40]) for kind, data in
       {"jpg": JPEG, "png": PNG, "webp": WEBP, "tif": TIFF, "bmp": BMP, "gif": GIF, "ppm": PPM}.items()},
    "png with a wrong checksum": ("x.png", PNG[:60] + b"\xff" + PNG[61:]),
    "png of no width": ("x.png", png(0, 8)),
    "png of no height": ("x.png", png(8, 0)),
    "png without pixels": ("x.png", png(64, 64, rows=b"")),
    "png of too many bits": ("x.png", png(8, 8, bits=7)),
    "png of an unknown colour": ("x.png", png(8, 8, colour=5)),
    "png of 2^31 pixels a side": ("x.png", png(2**31 - 1, 2**31 - 1, rows=b"")),
    "png bomb": ("x.png", png(26_000, 26_000, rows=b"")),
    "png bomb in a row": ("x.png", png(2**30, 1, rows=b"")),
    "text bomb": ("x.png", with_chunk(b"zTXt", BOMB_TEXT)),
    "gif bomb": ("x.gif", b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + GIF[10:]),
    "bmp bomb": ("x.bmp", BMP[:18] + struct.pack("<ii", 60_000, 60_000) + BMP[26:]),
    "ppm bomb": ("x.ppm", b"P6 100000 100000 255\n"),
    "plain ppm bomb": ("x.pbm", b"P1 99999 99999\n1"),
    "ppm of a million digits": ("x.ppm", b"P6 " + b"9" * 1_000_000),
    "ppm without a maximum": ("x.ppm", b"P6 4 4 0\n" + bytes(48)),
    "tiff bomb": ("x.tif", grey_tiff(np.zeros((8, 8), "u1"), t256=60_000, t257=60_000)),
    "tiff of huge tiles": ("x.tif", grey_tiff(np.zeros((8, 8), "u1"), t322=60_000, t323=60_000, t324=8, t325=64)),
    "tiff without tags": ("x.tif", tiff({})),
    "tiff that points outside": ("x.tif", b"II*\0\xff\xff\xff\x7f"),
    "tiff that points at itself": ("x.tif", b"II*\0\x08\0\0\0" + struct.pack("<HI", 0, 8)),
    "tiff with NaN": ("x.tif", grey_tiff(np.full((8, 8), np.nan, "<f4"), form=3)),
    "tiff with one NaN": ("x.tif", grey_tiff(np.where(np.eye(8) > 0, np.nan, 0.5).astype("<f4"), form=3)),
    "tiff with infinity": ("x.tif", grey_tiff(np.where(np.eye(8) > 0, np.inf, 0.5).astype("<f4"), form=3)),
    "tiff of double floats": ("x.tif", grey_tiff(np.ones((8, 8), "<f8"), form=3)),
    "webp bomb": ("x.webp", WEBP[:12] + b"VP8X" + struct.pack("<I", 10) + b"\0" * 4 + b"\xff\x3f\0" * 2 + WEBP[12:]),
    "gif without frames": ("x.gif", GIF[:13] + b";"),
}  # fmt: skip


def sound(folder: Path, count: int = 20) -> None:
    """Images that differ, in no subfolder."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        Image.new("L", (8, 8), i * 3).save(folder / f"sound{i}.png")


def put(path: Path, grey: int = 0, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), grey).save(path, **options)
    return path


def opened(folder: Path, **options: object) -> FolderImages:
    return open_folder(folder, image_size=8, **options)


@pytest.fixture
def in_time() -> object:
    begun = time.perf_counter()
    yield
    assert time.perf_counter() - begun < SECONDS


if int(PIL.__version__.split(".")[0]) < 13:  # it cannot read the one that it writes
    del SOUND["YCbCr tiff"]


@pytest.mark.usefixtures("in_time")
@pytest.mark.parametrize("name, content", SOUND.values(), ids=SOUND)
def test_an_odd_file_is_read(tmp_path: Path, name: str, content: bytes) -> None:
    sound(tmp_path)
    (tmp_path / name).write_bytes(content)
    images = opened(tmp_path)
    assert images.skipped == ()
    assert len(images) == 21
    picture = images.images([images.paths.index(tmp_path / name)])[0]
    assert picture.shape == (3, 8, 8)
    assert 0 <= picture.min() <= picture.max() <= 1
    assert torch.equal(open_given([tmp_path / name], image_size=8).images[0], picture)


@pytest.mark.usefixtures("in_time")
@pytest.mark.parametrize("name, content", CORRUPT.values(), ids=CORRUPT)
def test_a_file_that_is_no_image_is_listed_and_as_a_given_one_is_told(
    tmp_path: Path, name: str, content: bytes
) -> None:
    sound(tmp_path)
    (tmp_path / name).write_bytes(content)
    images = opened(tmp_path)
    assert images.skipped == (tmp_path / name,)
    assert len(images) == 20
    with pytest.raises(UserError, match="cannot read") as told:
        open_given([tmp_path / name], image_size=8)
    assert len(str(told.value).splitlines()) == 1


def link(target: str) -> Callable[[Path], object]:
    return lambda path: path.symlink_to(target)


def listens(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server, pytest.MonkeyPatch.context() as patch:
        patch.chdir(path.parent)  # the name of a socket has to be short
        server.bind(path.name)


def sparse(size: int) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        with path.open("wb") as file:
            file.truncate(size)

    return make


NO_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "named pipe": (os.mkfifo, "named pipe"),
    "socket": (listens, "socket"),
    "link to /dev/zero": (link("/dev/zero"), "device"),
    "link to /dev/stdin": (link("/dev/tty"), ""),
    "link to a device of the terminal": (link("/dev/null"), "device"),
    "link to memory": (link("/proc/self/mem"), ""),
    "link to nothing": (link("gone.png"), "No such file"),
    "link to itself": (link("x.png"), "symbolic links"),
    "file of 10 TB": (sparse(10**13), "bytes"),
    "file of just too much": (sparse(decoding.LARGEST_FILE + 1), "bytes"),
    "gigabyte of zeros": (sparse(10**9), "none of JPEG"),
}


@pytest.mark.usefixtures("in_time")
@pytest.mark.parametrize("make, reason", NO_FILES.values(), ids=NO_FILES)
def test_what_is_no_file_is_listed_unread(tmp_path: Path, make: Callable[[Path], object], reason: str) -> None:
    sound(tmp_path)
    try:
        make(tmp_path / "x.png")
    except OSError:
        pytest.skip("this file system has none such")
    images = opened(tmp_path)
    assert images.skipped == (tmp_path / "x.png",)
    with pytest.raises(UnreadableImage, match=reason):
        read_picture(tmp_path / "x.png", 8)


def test_no_program_is_started_for_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound(tmp_path / "img")
    (tmp_path / "img" / "x.png").write_bytes(EPS)
    gs = tmp_path / "gs"
    gs.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    gs.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert len(opened(tmp_path / "img")) == 20
    assert not (tmp_path / "started").exists()


def many(*names: str, each: int = 3) -> Callable[[Path], None]:
    """Images in these folders, all different."""

    def make(folder: Path) -> None:
        for place, name in enumerate(names):
            for i in range(each):
                put(folder / name / f"{i}.png", place * each + i)

    return make


def both(*makers: Callable[[Path], object]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        for maker in makers:
            maker(folder)

    return make


def files(*names: str, content: bytes = b"x") -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)

    return make


def folders(*names: str) -> Callable[[Path], None]:
    return lambda folder: [(folder / name).mkdir(parents=True) for name in names] and None


def twice(folder: Path) -> None:
    (folder / "c").symlink_to(folder / "a")


def copied(folder: Path) -> None:
    for name in ("a/0.png", "a/1.png"):
        shutil.copy(folder / name, folder / "b" / f"copy-{Path(name).name}")


RUN = b'{"probe": "invariance", "versions": {"python": "3.11", "rcdm-probe": "0.1"}, "finished": null'
AB = many("a", "b", each=8)
TRAIN_VAL = many("train/a", "train/b", "val/a", "val/b")

# name: (how it is made, classes, number of images, what is said)
FOLDERS: dict[str, tuple[Callable[[Path], None], tuple[str, ...], int, str]] = {
    "classes": (AB, ("a", "b"), 16, ""),
    "splits": (TRAIN_VAL, ("a", "b"), 12, "train, val are splits"),
    **{f"splits {one} and {two}": (many(f"{one}/a", f"{one}/b", f"{two}/a", f"{two}/b"), ("a", "b"), 12, "are splits")
       for one, two in [("training", "testing"), ("Train", "Test"), ("train", "valid"), ("train", "dev"),
                        ("train2017", "val2017"), ("TRAINING_SET", "test_set"), ("train-images", "test-images"),
                        ("training", "validation"), ("trainval", "test"), ("train_1", "holdout"), ("train", "eval"),
                        ("val", "test")]},
    "three splits": (many("train/a", "train/b", "val/a", "val/b", "test/a", "test/b"), ("a", "b"), 18, "are splits"),
    "one split": (many("train/a", "train/b"), ("a", "b"), 6, "train is a split: .* in it"),
    "a split that lacks a class": (many("train/a", "train/b", "train/c", "val/a"), ("a", "b", "c"), 12, "are splits"),
    "splits without classes": (many("train", "test"), (), 6, ""),
    "one split without classes": (many("train", each=6), (), 6, ""),
    "a split without classes beside one with": (many("train/a", "train/b", "test"), (), 9, "outside.*give .*/train"),
    "splits of other classes": (many("train/a", "train/b", "test/c", "test/d"), (), 12, "hold different subfolders"),
    "splits beside other folders": (many("train", "test", "more"), (), 9, "lie beside others: give .*data/test"),
    **{f"pictures beside {other}": (both(many("images"), many(other)), (), 6, "what belongs to them.*images for those")
       for other in ("masks", "labels", "annotations", "GT", "SegmentationClass")},
    "pictures of a split beside masks": (many("train_images", "train_masks"), (), 6, "give .*data/train_images"),
    "a split beside its masks": (many("train", "train_masks"), (), 6, "give .*/train for those"),
    "pictures beside masks in splits": (many("train/images", "train/masks", "val/images", "val/masks"), (), 12,
                                        "folders in train .images, masks. are pictures.*give .*data/train/images"),
    "pictures beside masks in classes": (many("a/images", "a/ground_truth", "b/images", "b/ground_truth"), ("a", "b"),
                                         12, "folders in a .ground_truth, images. are pictures.*all of them are taken"),
    "a class of masks": (many("hats", "masks"), ("hats", "masks"), 6, ""),
    "classes of recycling": (many("recycled", "recycler"), ("recycled", "recycler"), 6, ""),
    "folds": (many("fold_0/a", "fold_0/b", "fold_1/a", "fold_1/b"), ("a", "b"), 12, "fold_0, fold_1 are splits"),
    "shards without classes": (many("part1", "part2", "part10"), (), 9, ""),
    "a class that is called train": (many("train", "bus", "car"), ("bus", "car", "train"), 9, ""),
    "a class that is called valid": (many("invalid", "valid"), ("invalid", "valid"), 6, ""),
    "classes that hold splits": (many("a/train", "a/val", "b/train", "b/val"), ("a", "b"), 12, ""),
    "all in one folder": (many("images/a", "images/b"), (), 6, "all images lie in one folder, images"),
    "splits and rubbish": (both(TRAIN_VAL, many("__MACOSX/train", ".git")), ("a", "b"), 12, "2 hidden or system"),
    **{f"a folder {name}": (both(AB, many(name)), ("a", "b"), 16, "1 hidden or system folders") for name in
       ("__MACOSX", ".Trash-1000", "$RECYCLE.BIN", "System Volume Information", "@eaDir", ".git", ".ipynb_checkpoints",
        "lost+found", ".thumbnails", ".hidden", "#recycle", "__macosx", "$Recycle.Bin", "Temporary Items")},
    "a system folder in a class": (both(AB, many("a/@eaDir")), ("a", "b"), 16, "1 hidden or system folders .@eaDir"),
    "files of a system": (both(AB, files("a/._0.png", "Thumbs.db", "a/.DS_Store", "desktop.ini")), ("a", "b"), 16,
                          "2 hidden files, 1 .db, 1 .ini"),
    "one stray image": (both(AB, many("", each=1)), ("a", "b"), 16, "left out.*: 1 .0.png."),
    "many stray images": (both(AB, many("", each=8)), (), 24, "8 of 24 images lie outside"),
    "a stray image in splits": (both(TRAIN_VAL, many("train", each=1)), ("a", "b"), 12, "left out"),
    "heic": (both(AB, files(*(f"a/{i}.HEIC" for i in range(40)))), ("a", "b"), 16, "passed over: 40 .heic"),
    **{f"files {ending}": (both(AB, files(f"a/x{ending}", f"b/x{ending}")), ("a", "b"), 16, f"2 {ending}") for ending in
       (".svg", ".cr2", ".nef", ".arw", ".dng", ".psd", ".avif", ".mp4", ".jp2", ".jxl", ".tga", ".npy", ".txt")},
    "files without an ending": (both(AB, files("a/README")), ("a", "b"), 16, "1 files without an ending"),
    "a class of heic alone": (both(AB, files("c/1.heic")), ("a", "b"), 16, "no classes: 1 .c."),
    "an empty class": (both(AB, folders("c")), ("a", "b"), 16, "folders without an image that is read"),
    "a class with one image": (both(AB, many("c", each=1)), ("a", "b", "c"), 17, "copies"),
    "a run of somebody else": (both(AB, files("b/run.json", content=b'{"shots": 1}')), ("a", "b"), 16, "1 .json"),
    "an empty run.json": (both(AB, files("b/run.json", content=b"")), ("a", "b"), 16, "1 .json"),
    "a run.json of bytes": (both(AB, files("b/run.json", content=bytes(range(256)))), ("a", "b"), 16, "1 .json"),
    "a run.json that is a pipe": (both(AB, lambda at: os.mkfifo(at / "b" / "run.json")), ("a", "b"), 16, "1 .json"),
    "a run.json that is a folder": (both(AB, folders("b/run.json")), ("a", "b"), 16, ""),
    "a run of ours": (both(AB, many("out"), files("out/run.json", content=RUN)), ("a", "b"), 16, "1 folders of runs"),
    "runs of ours": (both(AB, many("r/1", "r/2"), files("r/1/run.json", "r/2/run.json", content=RUN)), ("a", "b"), 16,
                     "2 folders of runs"),
    "a link to itself": (both(AB, lambda at: (at / "a" / "l").symlink_to("l")), ("a", "b"), 16, "1 files without"),
    "a link upwards": (both(AB, lambda at: (at / "a" / "up").symlink_to("..")), ("a", "b"), 16, "links to"),
    "a class that is a link to another": (both(AB, twice), ("a", "b"), 16, "1 links to folders.* .c."),
    "a dangling folder": (both(AB, lambda at: (at / "c").symlink_to("gone")), ("a", "b"), 16, "1 files without"),
    "a folder called x.png": (both(AB, many("a/x.png")), ("a", "b"), 19, "copies"),
    "copies in several classes": (both(AB, copied), ("a", "b"), 18, "in several classes: 2"),
    "upper and lower case": (many("Cat", "cat", "dog"), ("Cat", "cat", "dog"), 9, "differ in case or coding alone"),
    "composed and decomposed": (many("caf\u00e9", "cafe\u0301"), ("cafe\u0301", "caf\u00e9"), 6, "differ in case"),
    **{f"a class called {legible(name)}": (many("a", name), tuple(sorted(["a", name])), 6, "") for name in
       ("b\nc", "b\tc", "b\x1b[31m", "[red]b", "#b_$%@*", "<b>", "b\u202egnp", "\U0001f600", "\u05d0\u05d1",
        os.fsdecode(b"caf\xe9"), "b" * 250, "b c", "b,c", 'b"c', "b'c", "b\\c", "~b", "-b", "b.png")},
}  # fmt: skip


@pytest.mark.usefixtures("in_time")
@pytest.mark.parametrize("make, classes, count, said", FOLDERS.values(), ids=map(legible, FOLDERS))
def test_a_folder_is_taken_as_it_is_meant(
    tmp_path: Path, make: Callable[[Path], None], classes: tuple[str, ...], count: int, said: str
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    try:
        make(folder)
    except OSError as error:
        pytest.skip(f"this file system has no such name ({error})")
    images = opened(folder)
    assert images.class_names == classes
    assert (images.labels is None) == (not classes)
    assert len(images) == count
    told = "; ".join(images.remarks)
    assert re.search(said, told) if said else not told, told
    card = data_card(images)
    assert card.get("remarks", []) == list(images.remarks)
    facts = collect_facts("test", command="", arguments={"seed": 0}, hashes={}, device="cpu", data_card=card)
    kept.save_json(facts, tmp_path / "run.json")


def test_a_link_takes_no_class_away_from_the_folder_that_it_leads_to(tmp_path: Path) -> None:
    many("p/cats", "p/dogs", "elsewhere")(tmp_path)
    (tmp_path / "p" / "dogs" / "hard").symlink_to("../cats")
    (tmp_path / "p" / "birds").mkdir()
    (tmp_path / "p" / "birds" / "of prey").symlink_to("../../elsewhere")
    (tmp_path / "p" / "owls").symlink_to("../elsewhere")  # a class: the nearest of two links
    images = opened(tmp_path / "p")
    assert [images.class_names[label] for label in images.labels] == [path.parent.name for path in images.paths]
    assert images.class_names == ("cats", "dogs", "owls")
    assert "2 links to folders that are read already (of prey, hard)" in images.remarks[0]


@pytest.mark.parametrize(
    "spec", ["~nosuchuser/photos", "", "x" * 300, "/" + "x/" * 3000, "gone\udce9", "./gone\n", "./[red]"]
)
def test_a_path_that_leads_nowhere_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for open_it in (lambda: load_data(spec, image_size=8), lambda: open_given([spec], image_size=8)):
        with pytest.raises(UserError) as told:
            open_it()
        assert str(told.value).encode()
        assert len(str(told.value).splitlines()) == 1


@pytest.mark.parametrize(
    "content",
    [turned_jpeg(TURN), SOUND["exif nobody can write"][1], SOUND["exif that points outside"][1]],
    ids=["plain", "exif nobody can write", "exif that points outside"],
)
def test_a_photo_stands_upright_whatever_else_is_in_its_exif(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.jpg").write_bytes(content)
    assert decoding._read(tmp_path / "x.jpg", decoding._tensor).pixels.shape == (3, 24, 12)


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("form, start", [(1, 0), (2, -1024)])
def test_a_range_that_is_hardly_used_is_said(tmp_path: Path, bits: int, form: int, start: int) -> None:
    for i in range(3):
        values = np.linspace(start, start + (1 << bits) - 1, 64).reshape(8, 8).astype("<i2" if form == 2 else "<u2")
        (tmp_path / f"{i}.tif").write_bytes(grey_tiff(np.roll(values, i), form=form))
    (said, *_) = opened(tmp_path).remarks
    assert f"no more than {bits} bits" in said
    assert said.startswith("files of 16 bits a channel (3)")
    assert open_given([tmp_path / "0.tif"], image_size=8).remarks[0].startswith("files of 16 bits a channel (1)")


def test_colours_of_16_bits_are_no_exception_and_a_full_range_is_not_told(tmp_path: Path) -> None:
    dim = np.linspace(0, 4095, 4 * 4 * 3).astype(">u2").reshape(4, 12)
    rows = b"".join(b"\0" + row.tobytes() for row in dim)
    (tmp_path / "dim.png").write_bytes(png(4, 4, bits=16, colour=2, rows=rows))
    assert "12 bits" in opened(tmp_path).remarks[0]
    Image.fromarray(np.linspace(0, 65_535, 64).astype(np.uint16).reshape(8, 8)).save(tmp_path / "full.png")
    assert opened(tmp_path).remarks == ()


def test_that_files_are_stretched_one_by_one_is_said(tmp_path: Path) -> None:
    for name, low, high in [("a", 0, 4095), ("b", 100, 300), ("c", 0, 0.5)]:
        values = np.linspace(low, high, 64, dtype="<f4").reshape(8, 8)
        (tmp_path / f"{name}.tif").write_bytes(grey_tiff(values, form=3))
    (said,) = opened(tmp_path).remarks
    assert "(2, which hold 0 to 4095), are stretched one by one" in said
    assert "those in [0, 1] (1) stay as they are" in said
    assert "(1, which hold 100 to 300)" in open_given([tmp_path / "b.tif"], image_size=8).remarks[0]
    assert open_given([tmp_path / "c.tif"], image_size=8).remarks == ()


@pytest.mark.parametrize(
    "content, kind",
    [
        (grey_tiff(np.ones((8, 8), "<f8"), form=3), "channels: 1, each 64 bits of floating point"),
        (grey_tiff(np.ones((8, 8), "<f2"), form=3), "channels: 1, each 16 bits of floating point"),
        (grey_tiff(np.ones((8, 8), "<i4"), form=2, t262=0), "bits with a sign, photometric interpretation 0"),
    ],
)
def test_a_tiff_of_a_kind_that_is_not_read_is_told_so(tmp_path: Path, content: bytes, kind: str) -> None:
    (tmp_path / "x.tif").write_bytes(content)
    with pytest.raises(UnreadableImage, match=f"{kind}.*save it as grey or RGB"):
        read_picture(tmp_path / "x.tif", 8)


def test_large_files_are_not_all_decoded_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(12):
        (tmp_path / f"{i}.png").write_bytes(png(500, 500 + i))
    (tmp_path / "large.png").write_bytes(png(500, 3000))
    lock, now, most = threading.Lock(), [0], [0]

    def slow(image: Image.Image, size: int) -> torch.Tensor:
        pixels = image.width * image.height
        with lock:
            now[0] += pixels
            most[0] = max(most[0], now[0])
        time.sleep(0.02)
        with lock:
            now[0] -= pixels
        return torch.zeros(3, size, size)

    monkeypatch.setattr(decoding, "square", slow)
    monkeypatch.setattr(decoding, "_MEMORY", decoding._Memory(800_000))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert len(opened(tmp_path)) == 13
    assert most[0] == 1_500_000  # the largest alone; of the others, three at a time


def test_a_scan_of_190_megapixels_is_read_in_one_gigabyte(tmp_path: Path) -> None:
    (tmp_path / "scan.png").write_bytes(png(100_000, 1_900, bits=1))
    status, clear = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not os.access(clear, os.W_OK):
        pytest.skip("peak memory cannot be measured here")

    def kilobytes(name: str) -> int:
        return int(re.search(rf"{name}:\s+(\d+)", status.read_text())[1])

    clear.write_text("5")  # the peak is counted from here
    before = kilobytes("VmRSS")
    assert read_picture(tmp_path / "scan.png", 8).pixels.max() == 0
    assert kilobytes("VmHWM") - before < 1.2e6


def test_a_webp_that_would_take_four_gigabytes_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "LARGEST_WEBP", 30 * 40 - 1)
    for ending in ("webp", "png", "jpg"):
        Image.new("RGB", (30, 40)).save(tmp_path / f"a.{ending}")
    for ending in ("png", "jpg"):
        read_picture(tmp_path / f"a.{ending}", 8)
    with pytest.raises(UnreadableImage, match="1,200 pixels, and at most 1,199 are read of WEBP"):
        read_picture(tmp_path / "a.webp", 8)


def test_what_is_encoded_is_what_was_hashed(tmp_path: Path) -> None:
    sound(tmp_path / "img")
    encoder = load_encoder("vicreg")
    true = represent(encoder, opened(tmp_path / "img"), range(20))["backbone"]
    images, path, cache = opened(tmp_path / "img"), tmp_path / "img" / "sound3.png", tmp_path / "cache"
    before = path.read_bytes()
    for spoil in (lambda: put(path, 200), lambda: path.write_bytes(before + b"x"), path.unlink, lambda: path.mkdir()):
        spoil()
        with pytest.raises(UserError, match=r"sound3\.png"):
            represent(encoder, images, range(20), cache=cache)
    path.rmdir()
    path.write_bytes(before)
    assert torch.equal(represent(encoder, opened(tmp_path / "img"), range(20), cache=cache)["backbone"], true)


def test_a_folder_is_as_deep_as_the_file_system_allows(tmp_path: Path) -> None:
    here = tmp_path
    for _ in range(1300):  # deeper than a recursion goes
        here = here / "d"
        here.mkdir()
    put(here / "1.png")
    try:
        assert len(opened(tmp_path)) == 1
    finally:  # nothing else can remove it
        (here / "1.png").unlink()
        while here != tmp_path:
            here.rmdir()
            here = here.parent


def test_numbers_of_images_are_those_of_the_whole_folder(tmp_path: Path) -> None:
    sound(tmp_path)
    whole = opened(tmp_path)
    assert whole.numbers.tolist() == list(range(20))
    part = opened(tmp_path, limit=7, seed=4)
    assert [whole.paths[number] for number in part.numbers] == list(part.paths)
    (tmp_path / "sound0.png").write_bytes(b"x")
    assert opened(tmp_path).numbers.tolist() == list(range(1, 20))


def test_records_of_two_probes_of_the_same_folder_can_be_joined(tmp_path: Path, command: Callable[..., Result]) -> None:
    sound(tmp_path / "photos" / "a", 30)
    for i in range(30):
        put(tmp_path / "photos" / "b" / f"{i}.png", 100 + i)
    (tmp_path / "photos" / "a" / os.fsdecode(b"broken\xe9.png")).write_bytes(b"x")
    (tmp_path / "photos" / "b" / "1.heic").write_bytes(b"x")
    ended = command(
        "invariance", "--encoder", "vicreg", "--data", "photos", "--rcdm", "none", "-t", "grayscale", "--images", 20,
        "--level", "backbone", "--gallery", 25, "--seed", 1, "--out", "out",
    )  # fmt: skip
    assert ended.exit_code == 0, ended.output
    assert "passed over: 1 .heic" in ended.stderr
    assert r"broken\xe9.png" in ended.stdout
    report = (tmp_path / "out" / "report.json").read_text(encoding="utf-8")
    assert "Of the images: passed over: 1 .heic." in report
    few = {"level": "backbone", "transformations": ("grayscale",), "images": 20, "gallery": 25}
    found = invariance("vicreg", "photos", rcdm="none", seed=2, **few)
    joined = (
        pd.read_parquet(tmp_path / "out" / "records.parquet")
        .merge(pd.read_csv(tmp_path / "out" / "tables" / "images.csv"), on="image")
        .merge(found.records.merge(found.images, on="image"), on=["image", "level", "measure", "condition", "strength"])
    )
    assert joined["image"].nunique() > 3
    assert (joined["file_x"] == joined["file_y"]).all()
    assert (joined["class_x"] == joined["file_x"].str[0]).all()
    whole = opened(tmp_path / "photos")
    listed = sorted([*whole.paths, *whole.skipped], key=lambda path: natural(path.relative_to(whole.folder)))
    assert [listed[i] for i in joined["image"]] == [whole.folder / name for name in joined["file_x"]]


def test_numbers_of_scenes_are_their_index_and_images_of_the_user_have_none() -> None:
    scenes = load_data("scenes", image_size=32, limit=6, seed=3)
    part = part_of(scenes, np.array([1, 4]), trained_on=0, held_out=2)
    table = join([
        records("x", [0.5, 0.25], [1, 0], encoder="e"), records("partner", [0.0, 2.0], [1, 2], encoder="e"),
        records("y", [1.0], [-1], encoder="e"),
    ])  # fmt: skip
    numbered, images = number_images(table, part)
    first, second = scenes.numbers[[1, 4]].tolist()
    assert numbered["image"].tolist() == [second, first, second, -1, -1]
    assert numbered["value"].tolist() == [0.5, 0.25, first, -1.0, 1.0]
    assert images["image"].tolist() == [first, second]
    assert torch.equal(Scenes("test")[numbered["image"][:2]], part.images([1, 0]))
