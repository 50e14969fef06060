"""What cannot be is refused with its reason: settings, what is loaded already, folders that hold something else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import LOOP, NETWORK
from typer.testing import Result

from probes.adversarial import Adversarial
from probes.fidelity import Fidelity
from probes.generate import mean_distance
from probes.invariance import Invariance
from rcdm_core.encoders import load_encoder
from rcdm_core.errors import UserError
from rcdm_core.kept import save_json
from rcdm_core.rcdm_training import RCDMTraining
from rcdm_core.training import TrainingSettings
from rcdm_probe.opening import Asked, open_encoder
from rcdm_probe.rcdm_training import Training, prepare


@pytest.mark.parametrize(
    "settings, wrong, says",
    [
        (Invariance, {"samples": 1}, "samples: 1: take at least 2"),
        (Invariance, {"rendered": 0}, "rendered: 0: take at least 1"),
        (Invariance, {"varied": 1}, "varied: 1: take at least 2"),
        (Invariance, {"pictures": 0}, "pictures: 0: take at least 1"),
        (Adversarial, {"attack_steps": 0}, "attack steps: 0"),
        (Fidelity, {"neighbours": 0}, "neighbours: 0"),
    ],
)
def test_settings_that_make_no_sense(settings: Callable[..., Any], wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        settings(**wrong)


def test_weights_beside_an_encoder_that_is_loaded() -> None:
    with pytest.raises(UserError, match="beside an encoder that is loaded already"):
        open_encoder(load_encoder("simclr"), level=None, weights="random", device="cpu")


def test_images_that_all_look_the_same() -> None:
    with pytest.raises(UserError, match="all images look the same"):
        mean_distance(torch.ones(5, 3))


def test_a_picture_that_cannot_be_written(command: Callable[..., Result]) -> None:
    Path("drawn.png").mkdir()
    result = command("sample", "scenes:1", "-e", "vicreg", "--samples", 1, "--steps", 1, "--out", "drawn.png")
    assert result.exit_code == 2, result.output
    assert "drawn.png is there already" in result.stderr


def training(out: Path, device: str = "cpu") -> Training:
    """A small training in a folder, ready to begin."""
    settings = RCDMTraining(network=NETWORK, loop=TrainingSettings(**LOOP), every=100, looked_at=4, images=60)
    return prepare(Asked("simclr", device=device), settings, out)


def test_training_on_one_gpu_of_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rcdm_probe.rcdm_training.choose_device", lambda device: device)
    with pytest.raises(UserError, match="CUDA_VISIBLE_DEVICES=1"):
        training(tmp_path, device="cuda:1")


@pytest.mark.parametrize(
    "name, content, says",
    [("rcdm.json", {}, "holds rcdm.json"), ("run.json", {"probe": "invariance"}, "no run of this program")],
)
def test_training_in_a_folder_of_something_else(tmp_path: Path, name: str, content: dict[str, str], says: str) -> None:
    (tmp_path / name).write_text(json.dumps(content))
    with pytest.raises(UserError, match=says):
        training(tmp_path)


@pytest.mark.parametrize(
    "what, says",
    [("encoder", "a training with other weights of the encoder"), ("data", "a training with other images")],
)
def test_training_that_began_with_something_else(tmp_path: Path, what: str, says: str) -> None:
    facts = training(tmp_path).run.facts
    known = {**facts, "hashes": {**facts["hashes"], what: "0" * 64}}
    save_json(known, tmp_path / "run.json")
    with pytest.raises(UserError, match=says):
        training(tmp_path)
