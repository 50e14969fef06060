"""The zoo's files: cards that tell of the weights beside them, and files that are damaged or missing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from small_training import NETWORK

from rcdm_core.data.scenes import Scenes
from rcdm_core.encoders import load_encoder
from rcdm_core.encoders.embedded import load_trained
from rcdm_core.errors import UserError
from rcdm_core.rcdm import RCDM, load_rcdm
from rcdm_core.zoo import evaluate, recipes, train
from rcdm_core.zoo.files import Workshop, begin_leg, leg, save_weights, training_record, update_card
from rcdm_core.zoo.judge import read_judge

WEIGHTS = Path(str(files("rcdm_core.zoo") / "weights"))


def test_a_card_goes_with_the_weights_that_it_tells_of(tmp_path: Path) -> None:
    path, card = tmp_path / "judge.safetensors", tmp_path / "judge.json"
    save_weights({"w": torch.ones(3)}, path)
    update_card(tmp_path, "judge", scores={"class": 0.9})
    save_weights({"w": torch.ones(3)}, path)
    assert json.loads(card.read_text()) == {"name": "judge", "scores": {"class": 0.9}}
    save_weights({"w": torch.zeros(3)}, path)
    assert not card.exists()


def trained(workshop: Workshop) -> list[int]:
    """Images of the legs that the card tells of, after a training that is not done."""
    begin_leg(workshop, "judge", "judge.json")
    (workshop.folder / "judge" / "losses.csv").write_text("step,loss,gradient_norm,seconds\n0,1,1,2\n")
    own = leg(workshop, "judge", replace(recipes.JUDGE, steps=2, batch_size=3), noise=0.1)
    record = training_record(workshop, "judge", own)
    update_card(workshop.folder, "judge", training=record)
    card = json.loads((workshop.folder / "judge.json").read_text())["training"]
    assert card["legs"][-1]["noise"] == 0.1
    assert card["images"] == sum(leg["images"] for leg in card["legs"])
    return [leg["images"] for leg in card["legs"]]


def test_legs_are_those_that_a_training_began_with(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert trained(Workshop(folder=first)) == [6]
    assert trained(Workshop(folder=second, start=first)) == [6, 6]
    assert trained(Workshop(folder=second, start=first)) == [6, 6]
    assert trained(Workshop(folder=first, start=second)) == [6]  # it had begun without


def test_weights_that_do_not_tell_how_they_were_trained_are_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "judge.json").write_text('{"name": "judge"}')
    with pytest.raises(UserError, match="the card of judge in .* does not tell how its weights were trained"):
        begin_leg(Workshop(folder=tmp_path / "on", start=tmp_path), "judge", "judge.json")


def test_damaged_weights_and_cards_get_one_line(tmp_path: Path) -> None:
    for name in ("vicreg", "judge"):
        (tmp_path / f"{name}.safetensors").write_bytes((WEIGHTS / f"{name}.safetensors").read_bytes()[:-10])
    with pytest.raises(UserError, match=r"vicreg\.safetensors is damaged"):
        load_trained("vicreg", tmp_path)
    with pytest.raises(UserError, match=r"judge\.safetensors is damaged"):
        read_judge(tmp_path)
    (tmp_path / "judge.safetensors").write_bytes((WEIGHTS / "vicreg.safetensors").read_bytes())
    with pytest.raises(UserError, match="do not fit: .*expected the judge's state dict"):
        read_judge(tmp_path)
    for content, message in (("{", r"vicreg\.json is no card"), ("[]", r"vicreg\.json is no card")):
        (tmp_path / "vicreg.json").write_text(content)
        with pytest.raises(UserError, match=message):
            load_trained("vicreg", tmp_path)


def test_one_gpu_by_its_number_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="training on cuda:1 alone"):
        train.train_zoo(Workshop(folder=tmp_path, device="cuda:1"), ["judge"])


def test_what_is_missing_is_told_before_a_scene_is_rendered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Scenes, "images")
    for part in ("judge", "vicreg", "rcdm"):
        with pytest.raises(UserError, match="are not in"):
            evaluate.evaluate_zoo(tmp_path, evaluate.Evaluation(), parts=[part])


def test_an_rcdm_of_other_encoders_is_not_measured(tiny_rcdm: Path) -> None:
    rcdm, encoder = load_rcdm(tiny_rcdm), load_encoder("vicreg")
    evaluate.check_encoders(rcdm, [encoder])
    with pytest.raises(UserError, match="does not draw from simclr/backbone"):
        evaluate.check_encoders(rcdm, [load_encoder("simclr")])
    other = RCDM(rcdm.denoiser, schedule=rcdm.schedule, card={"encoders": {"vicreg": "0123"}})
    with pytest.raises(UserError, match="was trained on other weights of vicreg"):
        evaluate.check_encoders(other, [encoder])


def test_training_scenes_are_rendered_once_for_all_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "TRAINING_SCENES", 12)
    monkeypatch.setattr(evaluate, "_AT_ONCE", 5)
    rendered: list[int] = []

    class Counted(Scenes):
        def __getitem__(self, indices: np.ndarray) -> torch.Tensor:
            rendered.extend(indices)
            return super().__getitem__(indices)

    encoders = [load_encoder(name) for name in ("supervised", "vicreg")]
    seen = evaluate.encode_training(encoders, Counted())
    assert rendered == list(range(12))
    assert {name: {level: h.shape for level, h in levels.items()} for name, levels in seen.items()} == {
        encoder.name: {level: (12, dimension) for level, dimension in encoder.dimensions.items()}
        for encoder in encoders
    }


def test_an_rcdm_does_not_go_on_with_encoders_that_it_was_not_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, garments_folder: Path
) -> None:
    for name in recipes.DRAWN:
        shutil.copy(WEIGHTS / f"{name}.safetensors", tmp_path)
    monkeypatch.setattr(train, "MOMENTS", 40)
    monkeypatch.setattr(recipes, "RCDM", replace(recipes.RCDM, steps=1, batch_size=16, warmup=1))
    monkeypatch.setattr(recipes, "RCDM_NETWORK", replace(NETWORK, image_size=32))
    workshop = Workshop(folder=tmp_path, garments=garments_folder)
    train.train_rcdm(workshop)
    card = (tmp_path / "rcdm" / "rcdm.json").read_text()
    train.train_rcdm(workshop)  # which is finished
    assert (tmp_path / "rcdm" / "rcdm.json").read_text() == card
    changed = load_file(tmp_path / "simclr.safetensors")
    changed["trunk.layer4.0.bn2.weight"] = 1.5 * changed["trunk.layer4.0.bn2.weight"]
    save_file(changed, tmp_path / "simclr.safetensors")
    with pytest.raises(UserError, match=r"checkpoint\.pt is of another training"):
        train.train_rcdm(workshop)
    assert (tmp_path / "rcdm" / "rcdm.json").read_text() == card


def test_checkpoints_of_other_parts_are_known_by_their_names(tmp_path: Path) -> None:
    workshop = Workshop(folder=tmp_path)
    assert workshop.loop("vicreg", "32")["of"] == "vicreg"
    assert workshop.loop("judge")["of"] == "judge"


def test_heads_are_fitted_where_a_training_begins_and_not_where_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, garments_folder: Path
) -> None:
    for name in recipes.DRAWN:
        (tmp_path / f"{name}.safetensors").symlink_to(WEIGHTS / f"{name}.safetensors")
    fitted = []
    monkeypatch.setattr(train, "MOMENTS", 8)
    monkeypatch.setattr(train, "begin_heads", lambda *arguments: fitted.append(arguments))
    for name in ("save_rcdm", "training_record", "leg"):
        monkeypatch.setattr(train, name, lambda *arguments, **options: None)
    workshop = Workshop(folder=tmp_path, garments=garments_folder)
    monkeypatch.setattr(train, "train", lambda *arguments, callbacks, **options: callbacks.begin())
    train.train_rcdm(workshop)
    assert len(fitted) == 1
    monkeypatch.setattr(train, "train", lambda *arguments, **options: None)
    train.train_rcdm(workshop)
    assert len(fitted) == 1
