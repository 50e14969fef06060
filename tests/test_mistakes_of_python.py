"""What is mistaken in a call from Python is told in a line, and nothing is computed of it without a word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from typer.testing import Result

import rcdm_probe
from probes.untrained import is_untrained
from rcdm_core.encoders import load_encoder
from rcdm_core.errors import UserError
from rcdm_core.rcdm import load_rcdm
from rcdm_probe import compare
from rcdm_probe.opening import open_encoder, open_images

BRIEF = {"images": 20, "transformations": ("blur",), "rcdm": "none", "levels": ("backbone",)}


@pytest.mark.parametrize(
    "images, says",
    [
        (torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8), "divide by 255"),
        (torch.randint(3, 256, (2, 3, 32, 32)).float(), "divide by 255"),
        (torch.full((2, 3, 32, 32), torch.nan), "hold NaN"),
        (torch.rand(3, 32, 32), r"shape \[3, 32, 32\]"),
        (torch.rand(2, 1, 32, 32), r"shape \[2, 1, 32, 32\]"),
        (np.random.default_rng(0).random((2, 3, 32, 32)), "images of ndarray"),
    ],
    ids=["of bytes", "of 255", "without value", "one alone", "grey", "of numpy"],
)
def test_what_is_no_image_has_no_representation(images: object, says: str) -> None:
    with pytest.raises(UserError, match=says):
        load_encoder("vicreg")(images)


def test_nothing_is_drawn_from_what_is_no_number(tiny_rcdm: Path) -> None:
    with pytest.raises(UserError, match="NaN or infinite"):
        load_rcdm(tiny_rcdm).sample(torch.full((2, 384), torch.nan), "vicreg/backbone", steps=1)


def test_slightly_beyond_the_range_is_an_image() -> None:
    assert load_encoder("vicreg")(torch.rand(2, 3, 32, 32) * 1.2 - 0.1)["backbone"].isfinite().all()


def test_what_is_no_encoder_and_no_table_is_told() -> None:
    with pytest.raises(UserError, match="3 is no encoder"):
        rcdm_probe.invariance(3)
    found = rcdm_probe.invariance("vicreg", **BRIEF, gallery=20)
    with pytest.raises(KeyError, match="did you mean displacement"):
        found.tables["displacemen"]


def test_an_encoder_that_is_trained_on_between_two_calls_is_another_one(capfd: pytest.CaptureFixture[str]) -> None:
    encoder, sizes = load_encoder("vicreg"), {**BRIEF, "gallery": 20}
    before = rcdm_probe.invariance(encoder, **sizes)
    with torch.no_grad():
        encoder.trunk.layer4[0].conv2.weight.mul_(1.5)
    after = rcdm_probe.invariance(encoder, **sizes)
    assert before.run["hashes"]["encoder"] != after.run["hashes"]["encoder"]
    assert "not what it gives now" not in capfd.readouterr().err  # nothing was kept under the name of this one
    same = load_encoder("vicreg")
    same.load_state_dict(encoder.state_dict())
    assert rcdm_probe.invariance(same, **sizes).records.equals(after.records)
    with pytest.raises(UserError, match="trained on other weights of vicreg"):
        rcdm_probe.invariance(encoder, **{**sizes, "rcdm": "embedded"})


def test_an_encoder_that_was_left_in_training_is_measured_as_it_is_used() -> None:
    encoder, sizes = load_encoder("vicreg"), {**BRIEF, "gallery": 20}
    wanted = rcdm_probe.invariance("vicreg", **sizes)
    encoder.train().requires_grad_(True)
    running = encoder.trunk.bn1.running_mean.clone()
    found = rcdm_probe.invariance(encoder, **sizes)
    assert found.records.equals(wanted.records)
    assert found.run["hashes"] == wanted.run["hashes"]
    assert torch.equal(running, encoder.trunk.bn1.running_mean)


def test_an_encoder_whose_layers_are_others_is_another_one() -> None:
    encoder = load_encoder("vicreg")
    encoder.trunk.global_pool.pool = torch.nn.AdaptiveMaxPool2d(1)
    with pytest.raises(UserError, match="trained on other weights of vicreg"):
        rcdm_probe.invariance(encoder, **{**BRIEF, "gallery": 20, "rcdm": "embedded"})


def test_what_timm_keeps_of_weights_is_not_older_than_they() -> None:
    x, encoders = torch.rand(2, 3, 224, 224), [load_encoder("timm/levit_128s", weights="random") for _ in range(2)]
    moved = encoders[0].state_dict()
    for key in (key for key in moved if "attention_biases" in key):
        moved[key] = torch.randn_like(moved[key])
    encoders[0](x)
    for encoder in encoders:
        encoder.load_state_dict(moved)
    encoders[1].train().eval()
    found, wanted = open_encoder(encoders[0], device="cpu")(x)["backbone"], encoders[1](x)["backbone"]
    assert torch.equal(found, wanted)


def test_a_path_is_a_folder_and_a_file_of_weights_is_trained_whatever_they_are_called(tmp_path: Path) -> None:
    seeing = load_encoder("timm/test_resnet", weights="random")
    (tmp_path / "scenes").mkdir()
    Image.new("RGB", (300, 300)).save(tmp_path / "scenes" / "a.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        images = open_images(Path("scenes"), seen_by=[seeing], least=1, limit=None, seed=0)
    assert images.image_size == seeing.image_size > 32
    weights = tmp_path / "random_crops.safetensors"
    save_file({key: value.contiguous() for key, value in load_encoder("vicreg").state_dict().items()}, weights)
    assert not is_untrained(load_encoder("vicreg", weights=weights))
    assert is_untrained(load_encoder("vicreg", weights="random:3"))


def test_an_rcdm_that_is_trained_on_between_two_calls_is_another_one(tiny_rcdm: Path) -> None:
    rcdm, sizes = load_rcdm(tiny_rcdm), {**BRIEF, "gallery": 20, "rendered": 2, "varied": 2, "samples": 2, "steps": 1}
    before = rcdm_probe.invariance("vicreg", **{**sizes, "rcdm": rcdm})
    with torch.no_grad():
        rcdm.denoiser.head("vicreg/backbone").linear.weight.mul_(1.5)
    after = rcdm_probe.invariance("vicreg", **{**sizes, "rcdm": rcdm})
    assert before.run["hashes"]["rcdm"] != after.run["hashes"]["rcdm"]


def test_a_gallery_holds_the_images_that_are_ranked_and_is_told_so(tmp_path: Path) -> None:
    asked = {"vicreg": 1, "simclr": 10}
    for name, gallery in asked.items():
        found = rcdm_probe.invariance(name, **BRIEF, seed=0, gallery=gallery)
        assert found.run["arguments"]["gallery"] == 20
        found.save(tmp_path / name)
    assert "rank" in set(compare([tmp_path / name for name in asked]).tables["differences"]["measure"])


@pytest.mark.parametrize(
    "words, says",
    [
        (("similarity", "-e", "vicreg", "--weights", "random", "--weights", "random:1"), "given twice"),
        (("invariance", "-e", "vicreg", "--weights", "simclr=random"), "simclr does not take part"),
        (
            ("invariance", "-e", "vicreg", "--rcdm", "none", "--samples", 3),
            "--samples changes nothing with --rcdm none",
        ),
        (("invariance", "-e", "vicreg", "--rcdm", "none", "--solver", "ddim"), "--solver changes nothing"),
        (("fidelity", "-e", "vicreg", "--rcdm", "none", "--rcdm", "embedded"), "leave none out"),
        (("interpolate", "scenes:0", "scenes:0", "-e", "vicreg"), "both ends are scenes:0"),
        (("invariance", "-e", "VICReg"), "did you mean vicreg"),
        (("invariance", "-e", "torchvision/resnet18"), "timm/resnet18"),
        (("invariance", "-e", "python:enc.py:made"), "python:enc:function"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(map(str, value[3:])),
)
def test_a_command_that_would_not_be_heeded_is_refused(
    words: tuple[object, ...], says: str, command: Callable[..., Result]
) -> None:
    result = command(*words)
    assert result.exit_code == 2
    assert says in " ".join(result.output.split())


def test_a_function_that_needs_arguments_is_told_by_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nets.py").write_text("def made(width, depth=3):\n    return None\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="needs width: it has to take no arguments"):
        load_encoder("python:nets:made")
