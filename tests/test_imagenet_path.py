"""Published layouts and anybody's encoder, from files on disk to a report; weights are random, every line is real."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import torch
from begun import facts_of
from PIL import Image

from rcdm_core.encoders import load_encoder, published
from rcdm_core.rcdm.diffusion import schedule_for
from rcdm_core.rcdm.files import save_rcdm
from rcdm_core.rcdm.network import Denoiser, network_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typer.testing import Result

    Command = Callable[..., Result]

OWN_ENCODER = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 4, stride=4), nn.ReLU(), nn.Conv2d(8, 12, 4, stride=4))
    network.image_size = 32
    return network
"""


SIDE = 96  # pixels at which published networks look: at their own 224 (`test_encoders_published`), five times as long


@pytest.fixture(autouse=True, scope="module")
def small_side() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(published, "IMAGE_SIZE", SIDE)
        yield


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of no common size, each a soft pattern of its own."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(26):
        pixels = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((150 + 4 * number, 130), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def dino_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A ResNet-50 and its projector as DINO published them, with random weights in float16."""
    torch.manual_seed(0)
    head = published.projector("dino")
    assert head is not None
    parts = {"backbone": published.trunk(), "head.mlp": head}
    state = {
        f"module.{part}.{key}": tensor.half() if tensor.is_floating_point() else tensor
        for part, network in parts.items()
        for key, tensor in network.state_dict().items()
    }
    path = tmp_path_factory.mktemp("weights") / "full_checkpoint.pth"
    torch.save({"epoch": 800, "student": {}, "teacher": state}, path)
    yield path
    path.unlink()  # 70 MB


@pytest.fixture(scope="module")
def rcdm_folder(dino_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An RCDM of the published architecture, narrow, for the backbone of that encoder."""
    torch.manual_seed(0)
    settings = replace(
        network_settings("published", 64), channels=(32, 32, 64), blocks=1, attention=(False, False, True)
    )
    encoder = load_encoder("imagenet/dino", weights=dino_file)
    folder = tmp_path_factory.mktemp("rcdm")
    save_rcdm(
        Denoiser(settings, {"imagenet/dino/backbone": 2048}),
        schedule_for(settings),
        folder,
        card={"encoders": {"imagenet/dino": encoder.network_fingerprint}},
        dtype=torch.float16,
    )
    return folder


def test_published_layouts_from_files_to_a_report(
    command: Command, photos: Path, dino_file: Path, rcdm_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = command(
        "invariance", "--encoder", "imagenet/dino", "--weights", dino_file, "--rcdm", rcdm_folder, "--data", photos,
        "--images", 20, "--gallery", 20, "--varied", 2, "--samples", 3, "--pictures", 1, "--steps", 2,
        "-t", "horizontal_flip", "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    run = json.loads((out / "run.json").read_text())
    assert run["data_card"]["image_size"] == SIDE
    assert run["encoder_card"]["levels"] == {"backbone": 2048, "projector": 256}
    assert run["arguments"]["weights"] == str(dino_file)
    records = pd.read_parquet(out / "records.parquet")
    assert set(records.loc[records["measure"] == "relative_displacement", "level"]) == {"backbone", "projector"}
    assert records.loc[records["measure"] == "within_variance", "level"].tolist() == ["backbone"] * 2
    asked = ("varied", "samples", "pictures")
    assert [run["arguments"][name] for name in asked] == [2, 3, 1]
    assert (out / "report.pdf").read_bytes().startswith(b"%PDF")
    assert (out / "figures" / "samples.png").is_file()
    assert {path.stem for path in (out / "figures").glob("transformed-*.png")} == {"transformed-1"}


def test_sample_shows_originals_at_the_size_of_the_rcdm(
    command: Command, photos: Path, dino_file: Path, rcdm_folder: Path, tmp_path: Path
) -> None:
    given = ("-e", "imagenet/dino", "--weights", dino_file, "--rcdm", rcdm_folder, "--steps", 1, "--samples", 2)
    result = command("sample", photos / "3.png", "scenes:7", *given, "--out", tmp_path / "drawn.png")
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "drawn.png") as picture:
        assert picture.height in range(2 * 128, 2 * 128 + 20)
    refused = command("sample", photos / "3.png", *given, "--level", "projector", "--out", tmp_path / "no.png")
    assert refused.exit_code == 2
    assert "imagenet/dino/projector" in refused.stderr


def test_an_rcdm_is_refused_for_other_weights(command: Command, photos: Path, rcdm_folder: Path) -> None:
    result = command(
        "invariance", "-e", "imagenet/dino", "--weights", "random:1", "--rcdm", rcdm_folder, "--data", photos
    )
    assert result.exit_code == 2
    assert "other weights of imagenet/dino" in result.stderr


def test_ones_own_encoder_without_an_rcdm(
    command: Command, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plain_encoder.py").write_text(OWN_ENCODER)
    monkeypatch.syspath_prepend(str(tmp_path))
    out, name = tmp_path / "out", "python:plain_encoder:build"
    result = command(
        "invariance", "-e", name, "--level", "0", "--level", "backbone", "--data", photos,
        "--images", 20, "--gallery", 20, "-t", "rotation", "-t", "blur", "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    records = pd.read_parquet(out / "records.parquet")
    moved = records[records["measure"] == "relative_displacement"]
    assert set(moved["level"]) == {"0", "backbone"}
    assert set(moved["condition"]) == {"rotation", "blur"}
    assert not set(records["measure"]) & {"rendered", "within_variance"}
    assert "Finding 1" in result.output
    run = json.loads((out / "run.json").read_text())
    assert run["arguments"]["rcdm"] == "none"
    assert run["hashes"]["rcdm"] == ""
    assert "judge" not in run["hashes"]
    assert (out / "report.pdf").is_file()
    sys.modules.pop("plain_encoder", None)

    refused = command("sample", photos / "3.png", "-e", name)
    assert refused.exit_code == 2
    assert f"rcdm-probe train --encoder {name} --level backbone" in " ".join(refused.stderr.split())


def test_timm_layers_on_scenes_without_an_rcdm_have_their_factors(command: Command, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = command(
        "invariance", "-e", "timm/test_resnet", "--weights", "random", "-l", "layer2", "-l", "backbone",
        "--images", 20, "--gallery", 40, "-t", "horizontal_flip", "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    records = pd.read_parquet(out / "records.parquet")
    assert set(records.loc[records["measure"] == "present", "level"]) == {"layer2", "backbone"}
    assert json.loads((out / "run.json").read_text())["data_card"]["image_size"] == 32
    assert (out / "report.pdf").is_file()


def test_an_embedded_encoder_can_do_without_its_rcdm(command: Command, tmp_path: Path) -> None:
    assert facts_of(command, "invariance", "-e", "dino", out=tmp_path / "with")["hashes"]["rcdm"]
    begun = facts_of(command, "invariance", "-e", "dino", "--rcdm", "none", out=tmp_path / "without")
    assert begun["hashes"]["rcdm"] == ""
    assert begun["drawn_levels"] == []
