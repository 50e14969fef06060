"""Data by name: scenes, torchvision's sets read from files laid down by hand, folders, and names that mean nothing."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rcdm_core.data.downloads import DOWNLOADS, Download, _digest
from rcdm_core.data.registry import load_data
from rcdm_core.data.scenes import Scenes
from rcdm_core.errors import UserError


def test_scenes_are_the_scenes_with_their_factors() -> None:
    images = load_data("scenes", image_size=32)
    scenes = Scenes("test")
    assert len(images) == 10_000
    torch.testing.assert_close(images.images([5, 2]), scenes.images([5, 2]), rtol=0, atol=0)
    factors = images.factors([5, 2])
    assert factors is not None
    assert factors.equals(scenes.factors([5, 2]))
    assert images.labels is not None
    assert images.labels[[5, 2]].tolist() == factors["class"].tolist()
    assert len(images.class_names) == 10
    assert images.skipped == ()


def test_chosen_scenes_keep_images_factors_and_labels_together() -> None:
    images = load_data("scenes", image_size=32, limit=50, seed=4)
    assert len(images) == 50
    positions = np.array([49, 0, 17])
    factors = images.factors(positions)
    assert factors is not None
    assert factors.index.tolist() == positions.tolist()
    assert images.labels is not None
    assert images.labels[positions].tolist() == factors["class"].tolist()
    everything = Scenes("test").factors()
    found = [int(np.flatnonzero(everything["hue"] == hue)[0]) for hue in factors["hue"]]
    torch.testing.assert_close(images.images(positions), Scenes("test").images(found))


def test_scene_fingerprints_follow_choice_and_size() -> None:
    def fingerprint(**options: int) -> str:
        return load_data("scenes", **{"image_size": 32, **options}).fingerprint

    assert fingerprint() == fingerprint(seed=1)  # all of them, whatever the seed
    assert fingerprint(limit=9) == fingerprint(limit=9)
    assert len({fingerprint(), fingerprint(limit=9), fingerprint(limit=9, seed=1), fingerprint(image_size=64)}) == 4


def test_a_folder_of_nearly_that_name_is_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no folder of that name: did you mean photos"):
        load_data("fotos", image_size=32)


def test_scenes_at_another_size() -> None:
    images = load_data("scenes", image_size=48, limit=3).images([0, 1, 2])
    assert images.shape == (3, 3, 48, 48)
    assert 0 <= images.min() < images.max() <= 1


def test_a_path_and_a_string_open_the_same_folder(tmp_path: Path) -> None:
    for i in range(3):
        Image.new("RGB", (9, 9), (i, 0, 0)).save(tmp_path / f"{i}.png")
    by_path, by_text = load_data(tmp_path, image_size=8), load_data(str(tmp_path), image_size=8)
    assert len(by_path) == len(by_text) == 3
    assert by_path.fingerprint == by_text.fingerprint
    assert by_path.factors([0]) is None
    assert by_path.name == tmp_path.name


def test_a_name_goes_before_a_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scenes").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "scenes" / "1.png")
    assert len(load_data("scenes", image_size=32)) == 10_000
    assert len(load_data("./scenes", image_size=32)) == 1
    assert len(load_data(Path("scenes"), image_size=32)) == 1


@pytest.mark.parametrize("spec", ["cifar1O", "torchvision:cifar1O"])
def test_an_unknown_name_gives_the_nearest(spec: str) -> None:
    with pytest.raises(UserError, match="unknown data set 'cifar1o', and there is no folder.*did you mean .*cifar10"):
        load_data(spec, image_size=8)


def test_something_with_a_slash_is_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no folder"):
        load_data(str(tmp_path / "gone"), image_size=8)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RCDM_PROBE_CACHE", str(tmp_path))
    return tmp_path


def write_idx(path: Path, values: np.ndarray) -> None:
    header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + values.tobytes())


def lay_down_mnist(folder: Path, images: np.ndarray) -> None:
    for stem in ("train", "t10k"):
        write_idx(folder / f"MNIST/raw/{stem}-images-idx3-ubyte", images)
        write_idx(folder / f"MNIST/raw/{stem}-labels-idx1-ubyte", (np.arange(len(images)) % 10).astype(np.uint8))


def test_torchvision_sets_are_read_from_the_cache_folder(cache: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 28, 28), dtype=np.uint8)
    lay_down_mnist(cache, pixels)
    images = load_data("torchvision:MNIST", image_size=28)
    assert images.name == "mnist"
    assert len(images) == 30
    expected = torch.from_numpy(pixels[[4, 1]] / np.float32(255))[:, None].expand(-1, 3, -1, -1)
    torch.testing.assert_close(images.images([4, 1]), expected, rtol=0, atol=0)
    assert images.labels is not None
    assert images.labels.tolist() == [i % 10 for i in range(30)]
    assert images.class_names[3] == "3 - three"

    some = load_data("mnist", image_size=28, limit=7, seed=1)
    assert len(some) == 7
    assert some.labels is not None
    chosen = [
        int(np.flatnonzero((torch.from_numpy(pixels / np.float32(255)) == image[0]).all((1, 2)))[0])
        for image in some.images(range(7))
    ]
    assert [i % 10 for i in chosen] == some.labels.tolist()

    pixels[3] = 0
    lay_down_mnist(cache, pixels)
    assert load_data("mnist", image_size=28).fingerprint != images.fingerprint
    assert images.fingerprint != some.fingerprint


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every connection goes to a proxy on a port where nothing listens."""
    for scheme in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(scheme, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    "name, file", [("cifar10", "cifar-10-python.tar.gz"), ("kmnist", "KMNIST/raw/t10k-images-idx3-ubyte.gz")]
)
def test_without_network_the_files_to_place_are_named(cache: Path, name: str, file: str) -> None:
    with pytest.raises(UserError) as raised:
        load_data(name, image_size=32)
    message = str(raised.value)
    assert file in message
    assert str(cache) in message
    assert "\n" not in message


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", DOWNLOADS)
def test_the_files_named_are_those_torchvision_asks_for(
    cache: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Follow torchvision's own download up to the first file it wants from the network."""
    first = first_wanted(DOWNLOADS[name], cache, monkeypatch)
    assert first in DOWNLOADS[name].files


def first_wanted(download: Download, root: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The first file, relative to the root, that torchvision finds missing."""
    from torchvision import datasets
    from torchvision.datasets import utils

    asked: list[str] = []
    check = utils.check_integrity

    def noting(path: object, md5: str | None = None) -> bool:
        asked.append(Path(str(path)).relative_to(root).as_posix())
        return check(path, md5)

    monkeypatch.setattr(utils, "check_integrity", noting)
    with pytest.raises((RuntimeError, OSError)):
        getattr(datasets, download.dataset)(root, **download.arguments, download=True)
    return asked[0]


def test_a_set_that_was_extracted_in_part_gets_one_line(tmp_path: Path) -> None:
    class Food101:
        root = tmp_path

        def __getitem__(self, index: int) -> tuple[Image.Image, int]:
            raise FileNotFoundError(f"no picture {index}")

    with pytest.raises(UserError, match="torchvision's Food101 in .* is not whole .no picture 3.: remove its folder"):
        _digest(Food101(), 3)
