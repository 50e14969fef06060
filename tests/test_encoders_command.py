"""``rcdm-probe encoders``: what there is, quickly, and what levels one encoder has."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from typer.testing import Result

from rcdm_core.encoders import EMBEDDED, ENCODERS, FAMILIES, UNTRAINED, load_encoder

Command = Callable[..., Result]


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def test_known_encoders_with_levels_and_where_weights_are(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    output = command("encoders").output
    assert "pip install 'rcdm-probe[clip]'" in output
    assert "pip install 'rcdm-probe[explore]'" in command("explore", "--help").output
    lines = output.splitlines()[1:]
    listed = {line.split()[0]: line for line in lines[: len(ENCODERS)]}
    assert list(listed) == list(ENCODERS)
    assert {name for name, line in listed.items() if line.split()[-1] == "yes"} == {*EMBEDDED, UNTRAINED}
    assert "backbone (384), projector (512)" in listed["vicreg"]
    assert "backbone (2048), projector (8192)" in listed["imagenet/vicreg"]


def test_dimensions_in_the_list_are_those_of_the_networks() -> None:
    for name in (*EMBEDDED, UNTRAINED, "imagenet/supervised", "imagenet/simclr", "imagenet/dino"):
        assert load_encoder(name, weights="random").dimensions == ENCODERS[name].dimensions


def test_a_downloaded_file_is_here(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "torch/hub/checkpoints"
    folder.mkdir(parents=True)
    (folder / "resnet50-0676ba61.pth").touch()
    (line,) = (line for line in command("encoders").output.splitlines() if line.startswith("imagenet/supervised"))
    assert line.split()[-1] == "yes"


def test_families_are_explained(command: Command) -> None:
    output = command("encoders").output
    assert all(family.pattern in output and family.example in output for family in FAMILIES.values())


def test_the_list_does_without_pytorch() -> None:
    code = (
        "import sys; from rcdm_probe.cli import app; app(['encoders'], standalone_mode=False); "
        "print([m for m in ('torch', 'numpy', 'timm', 'torchvision') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.rstrip().endswith("[]")


@pytest.mark.parametrize(
    "name, rows",
    [
        ("vicreg", ["backbone 384", "projector 512", "layer3 192 mean over positions"]),
        ("timm/test_vit", ["backbone 64 class token", "blocks.5 64 class token"]),
    ],
)
def test_levels_and_layers_of_one(command: Command, name: str, rows: list[str]) -> None:
    output = command("encoders", name).output
    lines = [" ".join(line.split()) for line in output.splitlines()]
    assert set(rows) <= set(lines)
    assert not any(line.startswith(("blocks.5.mlp", "layer3.0.conv1")) for line in lines)
    deep = command("encoders", name, "--all").output
    assert any(line.startswith(("blocks.5.mlp ", "layer3.0.conv1 ")) for line in deep.splitlines())


def test_whether_a_file_of_weights_is_one_of_the_network(command: Command, tmp_path: Path) -> None:
    own, other = tmp_path / "own.pt", tmp_path / "other.pt"
    torch.save(timm.create_model("test_vit", num_classes=0).state_dict(), own)
    torch.save(timm.create_model("test_resnet", num_classes=0).state_dict(), other)
    output = " ".join(command("encoders", "timm/test_vit", "--weights", f"{own}:self-supervised").output.split())
    assert "self-supervised: yes" in output
    assert "own.pt" in output
    assert "backbone 64 class token" in output
    refused = command("encoders", "timm/test_vit", "--weights", other)
    assert refused.exit_code == 2
    assert "other.pt" in refused.output
    assert command("encoders", "--weights", own).exit_code == 2


def test_what_is_cropped_of_an_image_is_told(command: Command) -> None:
    output = command("encoders", "timm/tf_efficientnet_lite0").output
    assert "images of 256 pixels a side, of which it sees the middle 224" in " ".join(output.split())
