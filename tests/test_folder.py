"""Folders of images: order, labels, corrupt files, choice and fingerprint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rcdm_core.data.folder import FolderImages, open_folder
from rcdm_core.errors import UserError
from rcdm_core.progress import showing


def put(path: Path, grey: int) -> None:
    """An image that can be told by its grey level."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (12, 10), grey).save(path)


def greys(images: FolderImages) -> list[int]:
    return (images.images(np.arange(len(images)))[:, 0, 0, 0] * 255).round().int().tolist()


def opened(folder: Path, **options: object) -> FolderImages:
    return open_folder(folder, image_size=8, **options)


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    for i in range(40):
        put(tmp_path / f"img{i}.png", i)
    return tmp_path


def test_order_is_natural_and_images_come_by_position(flat: Path) -> None:
    images = opened(flat)
    assert [path.name for path in images.paths] == [f"img{i}.png" for i in range(40)]
    assert greys(images) == list(range(40))
    some = images.images([7, 3, 3])
    assert some.shape == (3, 3, 8, 8)
    assert (some[:, 0, 0, 0] * 255).round().tolist() == [7, 3, 3]


def test_subfolders_are_classes(tmp_path: Path) -> None:
    for grey, name in enumerate(["class10/b.png", "class2/a.png", "class2/deep/c.png"]):
        put(tmp_path / name, grey)
    images = opened(tmp_path)
    assert images.class_names == ("class2", "class10")
    assert images.labels is not None
    assert images.labels.tolist() == [0, 0, 1]
    assert greys(images) == [1, 2, 0]


def test_classes_are_those_of_the_folder_however_few_images_are_taken(tmp_path: Path) -> None:
    for name in "abcdefgh":
        put(tmp_path / name / "x.png", 0)
    images = opened(tmp_path, limit=2)
    assert images.class_names == tuple("abcdefgh")
    assert [images.class_names[label] for label in images.labels] == [path.parent.name for path in images.paths]


def test_an_image_outside_the_subfolders_means_no_labels(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/1.png", "1.png"):
        put(tmp_path / name, 0)
    images = opened(tmp_path)
    assert images.labels is None
    assert images.class_names == ()


def test_one_subfolder_is_no_classification(tmp_path: Path) -> None:
    put(tmp_path / "images" / "1.png", 0)
    assert opened(tmp_path).labels is None


def test_hidden_files_and_other_files_are_passed_over(flat: Path) -> None:
    (flat / "notes.txt").write_text("hello")
    (flat / "._img1.png").write_bytes(b"resource fork")
    put(flat / ".thumbnails" / "1.png", 9)
    images = opened(flat)
    assert len(images) == 40
    assert images.skipped == ()


def test_what_a_probe_has_written_is_no_data(flat: Path) -> None:
    before = opened(flat)
    put(flat / "runs" / "2030-01-01-invariance" / "figures" / "samples.png", 99)
    (flat / "runs" / "2030-01-01-invariance" / "run.json").write_text('{"versions": {"rcdm-probe": "0.1"}}')
    assert opened(flat).fingerprint == before.fingerprint
    assert len(opened(flat / "runs" / "2030-01-01-invariance")) == 1  # asked for by name


def test_links_to_folders_are_followed_and_circles_end(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere" / "1.png", 5)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "data")
    assert greys(opened(tmp_path / "data")) == [5]


def test_a_few_corrupt_files_are_skipped_and_listed(flat: Path) -> None:
    for name in ("img5.png", "img12.png"):
        (flat / name).write_bytes((flat / name).read_bytes()[:-30])
    (flat / "empty.jpg").touch()
    images = opened(flat)
    assert [path.name for path in images.skipped] == ["empty.jpg", "img5.png", "img12.png"]
    assert greys(images) == [i for i in range(40) if i not in (5, 12)]


def test_exactly_one_in_ten_is_tolerated_and_more_is_not(flat: Path) -> None:
    for i in range(4):
        (flat / f"img{i}.png").write_bytes(b"x")
    assert len(opened(flat).skipped) == 4
    (flat / "img4.png").write_bytes(b"x")
    with pytest.raises(UserError, match="5 of 40 images in .* are corrupt, more than one in ten"):
        opened(flat)


def test_a_limit_is_met_although_some_are_corrupt(flat: Path) -> None:
    wanted = opened(flat, limit=20, seed=3)
    assert len(wanted) == 20
    wanted.paths[4].write_bytes(b"x")
    images = opened(flat, limit=20, seed=3)
    assert len(images) == 20
    assert images.skipped == (wanted.paths[4],)
    assert set(wanted.paths) - set(images.paths) == {wanted.paths[4]}


def test_the_choice_follows_the_seed_and_larger_choices_hold_smaller(flat: Path) -> None:
    ten = opened(flat, limit=10, seed=1)
    assert opened(flat, limit=10, seed=1).paths == ten.paths
    assert opened(flat, limit=10, seed=2).paths != ten.paths
    assert set(ten.paths) < set(opened(flat, limit=25, seed=1).paths)
    assert greys(ten) == sorted(greys(ten))


def test_a_limit_beyond_the_folder_takes_all_and_none_is_refused(flat: Path) -> None:
    assert len(opened(flat, limit=1000)) == 40
    with pytest.raises(UserError, match="at least one"):
        opened(flat, limit=0)


def test_the_fingerprint_follows_content_and_not_time_or_place(flat: Path) -> None:
    before = opened(flat).fingerprint
    content = (flat / "img3.png").read_bytes()
    moved = flat.rename(flat.parent / "elsewhere")
    (moved / "img3.png").write_bytes(content)  # another modification time
    assert opened(moved).fingerprint == before
    put(moved / "img3.png", 200)
    changed = opened(moved).fingerprint
    assert changed != before
    (moved / "img3.png").rename(moved / "img3b.png")
    assert opened(moved).fingerprint not in (before, changed)


def test_the_fingerprint_follows_the_choice_and_the_size(flat: Path) -> None:
    prints = {
        opened(flat).fingerprint,
        opened(flat, limit=10).fingerprint,
        opened(flat, limit=10, seed=1).fingerprint,
        open_folder(flat, image_size=9).fingerprint,
    }
    assert len(prints) == 4


def test_a_missing_folder_a_file_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no folder"):
        opened(tmp_path / "gone")
    put(tmp_path / "full" / "1.png", 0)
    with pytest.raises(UserError, match="is a file, not a folder"):
        opened(tmp_path / "full" / "1.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").touch()
    with pytest.raises(UserError, match=r"holds no image.*\.jpg.*\.webp"):
        opened(tmp_path / "empty")


def test_a_folder_without_a_readable_image_is_refused(tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / f"{i}.png").write_bytes(b"x")
    with pytest.raises(UserError, match="no readable image"):
        opened(tmp_path)


def test_a_file_damaged_after_opening_is_named(flat: Path) -> None:
    images = opened(flat)
    (flat / "img6.png").write_bytes(b"x")
    with pytest.raises(UserError, match=r"img6\.png"):
        images.images(np.arange(10))


def test_progress_sees_every_file(flat: Path) -> None:
    seen: list[tuple[str, int | None, int]] = []

    def counting(items: object, description: str, total: int | None = None) -> list:
        items = list(items)
        seen.append((description, total, len(items)))
        return items

    with showing(counting):
        opened(flat)
    assert seen == [("checking images", 40, 40)]


def test_images_are_float_in_unit_range(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    image = opened(tmp_path).images([0])
    assert image.dtype == torch.float32
    assert 0 <= image.min() < image.max() <= 1
