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
from rcdm_core.training_images import TrainingImages, doubts, hold_out, trained_rows
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


def trained(images: ImageSet, *, seed: int) -> np.ndarray:
    """By what the images of a training on these are known again."""
    return images.hashes[hold_out(len(images), seed=seed).training]


def decoder(hashes: np.ndarray = RCDM.trained_images, card: Mapping[str, Any] | None = None) -> Decoder:
    return Decoder("faithful", CONDITIONS, faithful, card, hashes)


def test_images_are_known_again_at_another_size_in_a_part_and_wherever_they_lie(photos: Path, tmp_path: Path) -> None:
    whole = load_data(photos, image_size=SIDE)
    assert len(set(whole.hashes)) == 120
    for size, limit in ((8, None), (SIDE, 70), (8, 70)):
        images = load_data(photos, image_size=size, limit=limit, seed=3)
        rows = trained_rows([decoder(trained(images, seed=3))], whole)
        assert set(whole.keys[rows]) == set(images.keys[hold_out(len(images), seed=3).training])
    changed = added(renamed(removed(copytree(photos, tmp_path / "mine"))))
    known = trained_rows([decoder(trained(whole, seed=3))], now := load_data(changed, image_size=8))
    names = {"a/first.png": "a/2.png", "a/0.png": "", "a/more.png": ""}
    before = set(whole.keys[hold_out(120, seed=3).training])
    assert {names.get(str(key), str(key)) for key in now.keys[known]} == before - {"a/0.png"}


def test_images_of_other_sets_are_others(photos: Path) -> None:
    sets = [load_data(name, image_size=SIDE, limit=60) for name in ("scenes", "scenes-train", photos)]
    assert len(np.unique(np.concatenate([images.hashes for images in sets]))) == 180
    larger = load_data("scenes", image_size=64, limit=60)
    assert np.array_equal(larger.hashes, sets[0].hashes)
    part = part_of(sets[0], np.array([4, 9]), trained_on=0, held_out=3)
    assert np.array_equal(part.hashes, sets[0].hashes[[4, 9]])


def test_of_several_decoders_only_what_none_of_them_saw_is_unseen(photos: Path) -> None:
    whole = load_data(photos, image_size=SIDE)
    one, two = (decoder(trained(whole, seed=seed)) for seed in (0, 1))
    both = trained_rows([one, decoder(), two], whole)
    splits = [hold_out(120, seed=seed) for seed in (0, 1)]
    assert np.array_equal(both, np.union1d(splits[0].training, splits[1].training))
    assert not len(trained_rows([decoder()], whole))
    assert not len(trained_rows([], whole))


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
    for whole in (False, True):
        found = open_images(photos, seen_by=(other, decoder()), least=10, limit=50, seed=1, whole=whole)
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
    (folder / "a" / "2.png").rename(folder / "a" / "first.png")
    return folder


def a_class(folder: Path) -> Path:
    return folder / "a"


@pytest.mark.parametrize("change", [added, removed, renamed, a_class])
def test_of_a_folder_that_has_changed_what_was_trained_on_is_known_still(
    photos: Path, tmp_path: Path, change: Callable[[Path], Path]
) -> None:
    hashes = trained(load_data(photos, image_size=SIDE), seed=3)
    now = load_data(folder := change(copytree(photos, tmp_path / "mine")), image_size=SIDE)
    found = open_images(folder, seen_by=(pixels(), decoder(hashes)), least=10, limit=None, seed=0)
    assert isinstance(found, PartOfImages)
    assert found.trained_on == np.isin(now.hashes, hashes).sum() > 40
    assert found.held_out == len(now) - found.trained_on


OLD = {"training": {"data": "photos", "data_fingerprint": "as it was", "images": 108}}


def test_of_a_decoder_that_does_not_hold_its_images_it_is_said_that_samples_may_be_memory(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for whole, limit in ((False, None), (False, 20), (True, None)):
        seen_by = (pixels(), decoder(card=OLD))
        found = open_images(photos, seen_by=seen_by, least=10, limit=limit, seed=0, whole=whole)
        (said,) = phrases.of_images({"data_card": data_card(found)})
        assert said.startswith("Of the images: samples may be memory. A decoder was trained on 108 images of photos")
    monkeypatch.setattr("rcdm_probe.opening.ENOUGH_HELD_OUT", 12)
    known = trained(load_data(photos, image_size=SIDE), seed=3)
    after = decoder(known, {**OLD, "trained_images": "told", "before": [OLD]})
    found = open_images(photos, seen_by=(after,), least=10, limit=None, seed=0)
    assert len(found) == 12
    assert len(found.remarks) == 1
    found = open_images(photos, seen_by=(decoder(known, {**OLD, "trained_images": "told"}),), least=10, limit=5, seed=0)
    assert found.remarks == ()


def test_a_data_set_that_goes_by_a_name_holds_no_folders_images(photos: Path) -> None:
    scenes, folder = load_data("scenes", image_size=SIDE, limit=60), load_data(photos, image_size=SIDE)
    of_folder = decoder(card=OLD)
    of_scenes = decoder(card={"training": {**OLD["training"], "data": "scenes"}})
    assert doubts([of_scenes], scenes)
    assert doubts([of_folder, of_folder], folder) == ["trained on 108 images of photos"]
    assert not doubts([of_scenes], folder)
    assert doubts([decoder(card={"training": {**OLD["training"], "data": "cifar10"}})], folder)  # ./cifar10, maybe
    assert not doubts([of_folder], scenes)
    assert not doubts([of_scenes], load_data("scenes-train", image_size=SIDE, limit=60))
    assert not doubts([decoder(card={"training": {"data": folder.name, "images": 3}})], folder)


def begun(start: RCDM, data: Path, out: Path, **settings: Any) -> Training:
    """A training that begins with an RCDM."""
    return prepare(Asked("simclr", data, level=["backbone"]), default_settings(start=start, **settings), out)


def split_keys(training: Training) -> tuple[set[str], set[str]]:
    """What the images that a training learns from, and those that it holds out, are called."""
    side, seed = training.settings.network.image_size, training.settings.loop.seed
    material = gather(training.asked, training.images, side, 4, seed, join_processes("cpu"))
    split = material.split
    assert np.array_equal(np.sort(np.concatenate([split.training, split.held_out])), np.arange(len(training.images)))
    start = training.settings.start
    kept = set(material.trained_images(start))
    assert kept == {*training.images.hashes[split.training], *start.trained_images}
    return set(training.images.keys[split.training]), set(training.images.keys[split.held_out])


def test_a_training_holds_out_what_the_rcdm_that_it_begins_with_has_not_seen(
    photos: Path, tiny_rcdm: Path, tmp_path: Path
) -> None:
    whole, some = load_data(photos, image_size=SIDE), load_data(photos, image_size=SIDE, limit=70, seed=0)
    start = load_rcdm(tiny_rcdm)
    new = set(whole.keys[hold_out(120, seed=0).held_out])
    start.trained_images = np.sort(trained(whole, seed=0))
    for seed in (0, 1):
        training = begun(start, photos, tmp_path / f"whole-{seed}", seed=seed)
        assert training.images.remarks == ()
        assert split_keys(training)[1] == new
    old = set(some.keys[hold_out(70, seed=0).training])
    start.trained_images = np.sort(trained(some, seed=0))
    training = begun(start, photos, tmp_path / "some", seed=1, images=100)
    held_out = split_keys(training)[1]
    assert len(held_out) == 10
    assert not held_out & old


def test_a_training_says_where_what_it_holds_out_may_have_been_seen(
    photos: Path, tiny_rcdm: Path, tmp_path: Path
) -> None:
    whole, start = load_data(photos, image_size=SIDE), load_rcdm(tiny_rcdm)
    start.trained_images = np.sort(trained(whole, seed=0))
    few = load_data(photos, image_size=SIDE, limit=60, seed=2)
    left = 60 - np.isin(few.hashes, start.trained_images).sum()
    training = begun(start, photos, tmp_path / "few", seed=2, images=60)
    (told,) = training.run.facts["data_card"]["remarks"]
    assert f"may be memory: the RCDM that is begun with was trained on all but {left} of these" in told
    assert len(split_keys(training)[1]) == 10
    unknown = RCDM(start.denoiser, start.schedule, OLD)
    (told,) = begun(unknown, photos, tmp_path / "unknown").images.remarks
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

    def known(*decoders: Decoder, compared: int = 50) -> tuple[TrainingImages | None, np.ndarray, str]:
        named = {str(n): one for n, one in enumerate(decoders)}
        open_: dict[str, Any] = {"levels": ("backbone",), "images": whole, "settings": Fidelity()}
        return trained_on(Context(encoders=(pixels(),), decoders=named, **open_), compared)

    one, two = (Decoder(str(seed), CONDITIONS, faithful, {}, trained(whole, seed=seed)) for seed in (0, 1))
    training, available, _ = known(one, two)
    splits = [hold_out(120, seed=seed) for seed in (0, 1)]
    assert np.array_equal(available, np.intersect1d(*(split.held_out for split in splits)))
    assert training is not None
    assert np.array_equal(training.positions, np.intersect1d(*(split.training for split in splits)))
    training, available, why = known(one, decoder())
    assert training is None
    assert np.array_equal(available, splits[0].held_out)
    assert why.startswith("Several decoders")
    nothing = known(one, two, compared=0)
    assert nothing[0] is None
    assert nothing[2] == ""
