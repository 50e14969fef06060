"""Images that an RCDM was trained on are known again, and are not what it is measured on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from planted_decoders import SIDE, Decoder, faithful, pixels

from probes.context import Context
from probes.fidelity import Fidelity, trained_on
from rcdm_core.data.imageset import ImageSet, PartOfImages, part_of
from rcdm_core.data.registry import load_data
from rcdm_core.rcdm import RCDM, load_rcdm
from rcdm_core.rcdm_training import default_settings
from rcdm_core.rcdm_training.material import gather
from rcdm_core.training import join_processes
from rcdm_core.training_images import TrainingImages, hold_out, known_split, may_hold, unseen
from rcdm_probe.facts import data_card
from rcdm_probe.opening import Asked, open_images
from rcdm_probe.rcdm_training import Training, prepare
from reports import phrases

CONDITIONS = {"pixels/backbone": 3 * SIDE * SIDE}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 photos, in two classes."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for number in range(120):
        place = folder / "ab"[number % 2]
        place.mkdir(exist_ok=True)
        Image.fromarray(random.integers(0, 256, (5, 5, 3), dtype=np.uint8)).save(place / f"{number}.png")
    return folder


def trained(images: ImageSet, *, seed: int) -> dict[str, Any]:
    """The card of an RCDM that was trained on these images."""
    split = hold_out(len(images), seed=seed)
    return {
        "training": {
            "data": images.name, "data_fingerprint": images.fingerprint, "image_size": images.image_size,
            "images": len(split.training), "held_out": len(split.held_out), "settings": {"seed": seed},
        }
    }  # fmt: skip


def decoder(card: Mapping[str, Any]) -> Decoder:
    return Decoder("faithful", CONDITIONS, faithful, card)


def test_a_training_at_another_size_or_on_fewer_images_is_known_again(photos: Path) -> None:
    whole = load_data(photos, image_size=SIDE)
    for size, limit in ((SIDE, None), (8, None), (SIDE, 70), (8, 70)):
        images = load_data(photos, image_size=size, limit=limit, seed=3)
        split = known_split(trained(images, seed=3), whole, photos)
        assert split is not None
        assert set(whole.keys[split.training]) == set(images.keys[hold_out(len(images), seed=3).training])
        assert np.array_equal(np.sort(np.concatenate([split.training, split.held_out])), np.arange(120))
    assert known_split(trained(load_data("scenes", image_size=SIDE, limit=120), seed=3), whole, photos) is None


def test_of_several_trainings_only_what_none_of_them_saw_is_unseen() -> None:
    one, two = hold_out(200, seed=0), hold_out(200, seed=1)
    assert np.array_equal(unseen([one, None, two], 200), np.intersect1d(one.held_out, two.held_out))
    assert np.array_equal(unseen([None], 3), np.arange(3))


def test_a_probe_is_given_the_images_that_its_decoder_never_saw(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rcdm_probe.opening.ENOUGH_HELD_OUT", 12)
    whole = load_data(photos, image_size=SIDE)
    held_out = hold_out(120, seed=3).held_out
    seen_by = (pixels(), decoder(trained(whole, seed=3)))
    found = open_images(photos, seen_by=seen_by, least=10, limit=None, seed=0)
    assert isinstance(found, PartOfImages)
    assert np.array_equal(found.positions, held_out)
    assert torch.equal(found.images([2, 0]), whole.images(held_out[[2, 0]]))
    assert whole.labels is not None
    assert np.array_equal(found.labels, whole.labels[held_out])
    assert set(found.keys) == set(whole.keys[held_out])
    few = open_images(photos, seen_by=seen_by, least=10, limit=5, seed=0)
    assert len(few) == 5
    assert set(few.keys) < set(found.keys)
    assert few.fingerprint != found.fingerprint
    run = {"data_card": data_card(few)}
    assert run["data_card"]["name"] == f"{photos.name} (held out)"
    assert "108 of the 120 images" in " ".join(phrases.of_memory(run))


def test_too_few_to_be_measured_alone_are_measured_with_the_others_and_it_is_said(photos: Path) -> None:
    whole = load_data(photos, image_size=SIDE)
    found = open_images(photos, seen_by=(decoder(trained(whole, seed=3)),), least=10, limit=None, seed=0)
    assert len(found) == 120
    assert found.name == photos.name
    (said,) = phrases.of_memory({"data_card": data_card(found)})
    assert said.startswith("Samples may be memory. A decoder was trained on 108 of the 120 images")


def test_a_decoder_of_other_images_changes_nothing(photos: Path) -> None:
    other = decoder(trained(load_data("scenes", image_size=SIDE, limit=60), seed=0))
    found = open_images(photos, seen_by=(other, decoder({})), least=10, limit=50, seed=1)
    assert found.fingerprint == load_data(photos, image_size=SIDE, limit=50, seed=1).fingerprint
    assert phrases.of_memory({"data_card": data_card(found)}) == []
    assert found.remarks == ()


def added(folder: Path) -> Path:
    Image.new("RGB", (5, 5), "red").save(folder / "a" / "more.png")
    return folder


def removed(folder: Path) -> Path:
    (folder / "a" / "0.png").unlink()
    return folder


def renamed(folder: Path) -> Path:
    (folder / "a" / "0.png").rename(folder / "a" / "first.png")
    return folder


def a_class(folder: Path) -> Path:
    return folder / "a"


CHANGES = (added, removed, renamed, a_class)


@pytest.mark.parametrize("change", CHANGES)
def test_of_a_folder_that_is_not_known_again_it_is_said_that_samples_may_be_memory(
    photos: Path, tmp_path: Path, change: Callable[[Path], Path]
) -> None:
    card = trained(load_data(photos, image_size=SIDE), seed=3)
    folder = change(copytree(photos, tmp_path / "mine"))
    for whole, limit in ((False, None), (False, 20), (True, None)):
        found = open_images(folder, seen_by=(pixels(), decoder(card)), least=10, limit=limit, seed=0, whole=whole)
        (said,) = phrases.of_images({"data_card": data_card(found)})
        assert said.startswith("Of the images: samples may be memory. A decoder was trained on 108 images of photos")


def test_of_two_decoders_the_one_that_may_have_seen_what_is_measured_is_told(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rcdm_probe.opening.ENOUGH_HELD_OUT", 12)
    here = trained(load_data(photos, image_size=SIDE), seed=3)
    elsewhere = trained(load_data(removed(copytree(photos, tmp_path / "other")), image_size=SIDE), seed=0)
    found = open_images(photos, seen_by=(decoder({**here, "before": [elsewhere]}),), least=10, limit=None, seed=0)
    assert isinstance(found, PartOfImages)
    assert len(found) == 12
    (remark,) = found.remarks
    assert "107 images of other, and whether" in remark


def test_a_data_set_that_goes_by_a_name_holds_no_folders_images(photos: Path) -> None:
    scenes, folder = load_data("scenes", image_size=SIDE, limit=60), load_data(photos, image_size=SIDE)
    of_scenes, of_folder = trained(scenes, seed=0), trained(folder, seed=0)
    assert may_hold(of_scenes, scenes)
    assert may_hold(of_folder, folder)
    assert not may_hold(of_scenes, folder)
    assert not may_hold(of_folder, scenes)
    assert not may_hold(of_scenes, load_data("scenes-train", image_size=SIDE, limit=60))
    assert not may_hold({"training": {"data": folder.name}}, folder)


def begun(rcdm: Path, card: Mapping[str, Any], data: Path, out: Path, **settings: Any) -> Training:
    """A training that begins with an RCDM of that card."""
    given = load_rcdm(rcdm)
    start = RCDM(given.denoiser, given.schedule, card)
    return prepare(Asked("simclr", data, level=["backbone"]), default_settings(start=start, **settings), out)


def split_keys(training: Training) -> tuple[set[str], set[str]]:
    """What the images that a training learns from, and those that it holds out, are called."""
    side, seed = training.settings.network.image_size, training.settings.loop.seed
    split = gather(training.asked, training.images, side, 4, seed, join_processes("cpu")).split
    assert np.array_equal(np.sort(np.concatenate([split.training, split.held_out])), np.arange(len(training.images)))
    return set(training.images.keys[split.training]), set(training.images.keys[split.held_out])


def test_a_training_holds_out_what_the_rcdm_that_it_begins_with_has_not_seen(
    photos: Path, tiny_rcdm: Path, tmp_path: Path
) -> None:
    whole, some = load_data(photos, image_size=SIDE), load_data(photos, image_size=SIDE, limit=70, seed=0)
    new = set(whole.keys[hold_out(120, seed=0).held_out])
    for seed in (0, 1):
        training = begun(tiny_rcdm, trained(whole, seed=0), photos, tmp_path / f"whole-{seed}", seed=seed)
        assert training.images.remarks == ()
        assert split_keys(training)[1] == new
    old = set(some.keys[hold_out(70, seed=0).training])
    training = begun(tiny_rcdm, trained(some, seed=0), photos, tmp_path / "some", seed=1, images=100)
    learned, held_out = split_keys(training)
    assert len(held_out) == 10
    assert not held_out & old
    after = known_split(trained(training.images, seed=1), whole, photos)  # by the card, no more was held out than was
    before = known_split(trained(some, seed=0), whole, photos)
    assert not learned & set(whole.keys[unseen([before, after], 120)])


def test_a_training_says_where_what_it_holds_out_may_have_been_seen(
    photos: Path, tiny_rcdm: Path, tmp_path: Path
) -> None:
    card = trained(load_data(photos, image_size=SIDE), seed=0)
    left = np.isin(
        load_data(photos, image_size=SIDE, limit=60, seed=2).keys,
        load_data(photos, image_size=SIDE).keys[hold_out(120, seed=0).held_out],
    ).sum()
    training = begun(tiny_rcdm, card, photos, tmp_path / "few", seed=2, images=60)
    (told,) = training.run.facts["data_card"]["remarks"]
    assert f"may be memory: the RCDM that is begun with was trained on all but {left} of these" in told
    assert len(split_keys(training)[1]) == 10
    changed = added(copytree(photos, tmp_path / "mine"))
    (told,) = begun(tiny_rcdm, card, changed, tmp_path / "changed").images.remarks
    assert "trained on 108 images of photos" in told


def test_factors_of_a_part_are_those_of_its_images() -> None:
    scenes = load_data("scenes", image_size=SIDE, limit=30)
    part = part_of(scenes, np.array([4, 9, 20]), trained_on=0, held_out=3)
    factors, whole = part.factors([2, 1]), scenes.factors([20, 9])
    assert factors is not None
    assert whole is not None
    assert factors.index.tolist() == [2, 1]
    assert np.array_equal(factors.to_numpy(), whole.to_numpy())


def test_fidelity_of_several_decoders_is_measured_on_what_none_of_them_saw(photos: Path) -> None:
    whole = load_data(photos, image_size=SIDE)

    def known(*cards: Mapping[str, Any], compared: int = 50) -> tuple[TrainingImages | None, np.ndarray, str]:
        decoders = {str(n): Decoder(str(n), CONDITIONS, faithful, card) for n, card in enumerate(cards)}
        open_: dict[str, Any] = {"levels": ("backbone",), "images": whole, "data": photos, "settings": Fidelity()}
        return trained_on(Context(encoders=(pixels(),), decoders=decoders, **open_), compared)

    one, two = (trained(whole, seed=seed) for seed in (0, 1))
    training, available, _ = known(one, two)
    splits = [hold_out(120, seed=seed) for seed in (0, 1)]
    assert np.array_equal(available, np.intersect1d(*(split.held_out for split in splits)))
    assert training is not None
    assert np.array_equal(training.positions, np.intersect1d(*(split.training for split in splits)))
    training, available, why = known(one, {})
    assert training is None
    assert np.array_equal(available, splits[0].held_out)
    assert why.startswith("Several decoders")
    nothing = known(one, two, compared=0)
    assert nothing[0] is None
    assert nothing[2] == ""
