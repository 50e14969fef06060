"""``rcdm-probe train``: from a folder of pictures to an RCDM that every other command takes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from accelerate import tracking
from accelerate.tracking import GeneralTracker
from diffusers import DDPMScheduler, UNet2DModel
from PIL import Image
from safetensors.torch import save_file
from small_training import NETWORK, train_small
from stopping import stopped_at
from torch import nn
from typer.testing import CliRunner, Result

import rcdm_probe
from probes.page import document
from rcdm_core.data.registry import load_data
from rcdm_core.encoders import Encoder, load_encoder
from rcdm_core.errors import UserError
from rcdm_core.fidelity import frechet_distance
from rcdm_core.progress import showing
from rcdm_core.rcdm import NETWORKS, load_rcdm
from rcdm_core.rcdm_training import default_settings
from rcdm_core.rcdm_training.material import choose_held_out
from rcdm_core.rcdm_training.store import Store, fill_store
from rcdm_core.representations import encode
from rcdm_core.training import join_processes
from rcdm_core.training_images import hold_out
from rcdm_probe.cli import app

Command = Callable[..., Result]

IMAGES = 60
BRIEF = ("--image-size", 8, "--steps", 4, "--every", 2, "--batch-size", 4, "--looked-at", 4)


@pytest.fixture(scope="module", autouse=True)
def narrow() -> Iterator[None]:
    """The network that commands train by default has a third of its channels, and few of its samples are looked at.

    Nothing here is about what it learns.
    """
    shape, side = NETWORKS["embedded"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NETWORKS, "embedded", (replace(shape, channels=(32, 64)), side))
        patch.setattr("rcdm_core.rcdm_training.evaluation.PICTURED", 2)
        yield


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for number in range(IMAGES):
        pixels = random.integers(0, 256, (4, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((60, 40)).save(folder / f"{number}.jpg")
    return folder


@pytest.fixture(scope="module")
def finished(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Folder and output of a small training."""
    cwd = tmp_path_factory.mktemp("trained")
    given = ("train", "-e", "simclr", "-l", "projector", "-l", "layer2", "-d", photos, "-o", "mine", *BRIEF)
    words = [str(word) for word in given]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(cwd)
        patch.setattr(sys, "argv", ["rcdm-probe", *words])  # as the script has it, for the record of the command
        result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return cwd / "mine", result.output


def test_an_rcdm_is_left_in_the_layout_of_diffusers(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    assert UNet2DModel.from_pretrained(folder / "unet").config["sample_size"] == 4
    assert DDPMScheduler.from_pretrained(folder / "scheduler").config["prediction_type"] == "v_prediction"
    rcdm = load_rcdm(folder)
    assert set(rcdm.conditions) == {"simclr/projector", "simclr/layer2"}
    assert torch.isfinite(rcdm.sample(torch.randn(2, 128), "simclr/projector", steps=2)).all()
    card = json.loads((folder / "rcdm.json").read_text())
    assert card["encoders"] == {"simclr": load_encoder("simclr").fingerprint}
    assert card["training"]["images"] == 50
    assert card["training"]["held_out"] == 10
    assert set(card["scores"]) == set(rcdm.conditions)
    assert card["command"].startswith("rcdm-probe train -e simclr")


def test_a_report_says_how_faithful_the_decoder_was_that_drew(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    last = pd.read_csv(folder / "fidelity.csv").set_index("level").tail(2)["MRR"]
    found = rcdm_probe.invariance(
        "simclr",
        rcdm=folder,
        levels=("layer2",),
        steps=1,
        images=20,
        gallery=20,
        varied=2,
        samples=2,
        rendered=2,
        transformations=("rotation",),
    )
    card = next(card for card in document(found)["cards"] if card["title"] == "The decoder")
    told = f"MRR {last['layer2']:.3f} among {IMAGES} images, trained for 4 steps"
    assert card["rows"] == [["simclr/layer2", told]]


def test_pictures_and_a_table_show_how_it_went(finished: tuple[Path, str]) -> None:
    folder, out = finished
    table = pd.read_csv(folder / "fidelity.csv")
    assert table["step"].tolist() == [2, 2, 4, 4]
    assert table["level"].tolist() == ["projector", "layer2"] * 2
    assert table["gallery"].eq(IMAGES).all()
    assert table["MRR"].between(1 / IMAGES, 1).all()
    assert np.isfinite(table.drop(columns="level").to_numpy(float)).all()
    for picture in ("progress.png", "samples/step-0000002.png", "samples/step-0000004.png"):
        with Image.open(folder / picture) as image:
            assert image.width > 200
    assert "step 2: loss" in out
    assert "rcdm-probe invariance --encoder simclr" in out
    run = json.loads((folder / "run.json").read_text())
    assert run["finished"]
    assert run["arguments"]["learning_rate"] == 8e-4


def test_invariance_takes_what_was_trained(
    finished: tuple[Path, str], photos: Path, command: Command, tmp_path: Path
) -> None:
    result = command(
        "invariance", "-e", "simclr", "-l", "projector", "-d", photos, "--rcdm", finished[0], "-o", tmp_path / "run",
        "--images", 20, "--gallery", 30, "--varied", 2, "--samples", 2, "--pictures", 1, "--steps", 1,
        "-t", "hue", "-t", "blur",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert (tmp_path / "run" / "report.pdf").is_file()
    card = json.loads((tmp_path / "run" / "run.json").read_text())["data_card"]
    assert (card["whole"], card["held_out"]) == (IMAGES, 10)
    assert 0 < card["trained_on"] <= card["images"] == 30
    assert "Samples may be memory" in (tmp_path / "run" / "report.json").read_text()


def test_other_settings_in_the_same_folder_are_refused_by_name(
    finished: tuple[Path, str], photos: Path, command: Command
) -> None:
    words = ("train", "-e", "simclr", "-l", "projector", "-l", "layer2", "-d", photos, "-o", finished[0])
    before = (finished[0] / "run.json").read_bytes()
    for changed, told in (
        (("--seed", 1), "seed 0, not 1"),
        (("--steps", 8), "steps 4, not 8: to train longer, begin with it: --start"),
        (("--network", "small", "--image-size", 16), "image size 8, not 16"),
    ):
        given = dict(zip(BRIEF[::2], BRIEF[1::2], strict=True)) | dict(zip(changed[::2], changed[1::2], strict=True))
        result = command(*words, *(word for option in given.items() for word in option))
        assert result.exit_code == 2
        assert told in result.output
    assert (finished[0] / "run.json").read_bytes() == before


def test_a_stopped_training_goes_on_to_the_same_weights(
    finished: tuple[Path, str], photos: Path, command: Command, tmp_path: Path
) -> None:
    words = ("train", "-e", "simclr", "-l", "projector", "-l", "layer2", "-d", photos, "-o", tmp_path / "mine", *BRIEF)
    with stopped_at(tmp_path / "mine", "training/losses.csv"):
        stopped = command(*words)
    assert stopped.exit_code == 130, stopped.output
    assert "the same command goes on" in stopped.stderr.splitlines()[-1]
    assert not (tmp_path / "mine" / "rcdm.json").exists()
    again = command(*words)
    assert again.exit_code == 0, again.output
    assert "going on" in again.output
    for name in ("unet/diffusion_pytorch_model.safetensors", "heads.safetensors", "fidelity.csv"):
        assert (tmp_path / "mine" / name).read_bytes() == (finished[0] / name).read_bytes(), name


def test_several_encoders_share_a_network(photos: Path, command: Command, tmp_path: Path) -> None:
    words = ("train", "-e", "simclr", "-e", "vicreg", "-l", "projector", "-d", photos, "-o", tmp_path / "both", *BRIEF)
    wrong = command(*words, "--share", "vicreg/backbone=3")
    assert wrong.exit_code == 2
    assert "did you mean vicreg/projector" in wrong.output
    result = command(*words, "--share", "vicreg/projector=3")
    assert result.exit_code == 0, result.output
    rcdm = load_rcdm(tmp_path / "both")
    assert rcdm.conditions == {"simclr/projector": 128, "vicreg/projector": 512}
    assert set(rcdm.card["scores"]) == set(rcdm.conditions)
    assert rcdm.card["encoders"].keys() == {"simclr", "vicreg"}
    assert rcdm.basis is not None
    table = pd.read_csv(tmp_path / "both" / "fidelity.csv")
    assert set(table["level"]) == set(rcdm.conditions)


def test_training_may_begin_with_another_rcdms_network(finished: tuple[Path, str]) -> None:
    start = load_rcdm(finished[0])
    shape = start.denoiser.settings
    assert default_settings(start=start, image_size=12).network == replace(shape, image_size=12)
    with pytest.raises(UserError, match="multiple of 4"):
        default_settings(start=start, image_size=10)
    with pytest.raises(UserError, match="is not small: it has .*channels"):
        default_settings(start=start, network="small", image_size=16)


@pytest.mark.parametrize(
    "words, told",
    [
        (("--network", "embeded"), "did you mean embedded"),
        (("--level", "projektor"), "projector"),
        (("--image-size", 30), "multiple of 4"),
        (("--precision", "fp8"), "unknown precision"),
        (("--images", 20), "at least 50"),
        (("--batch-size", 4, "--accumulate", 3), "multiple of 3"),
        (("--lr", -1), "learning rate"),
        (("--ema", 1.5), "moving average"),
        (("--start", "nowhere"), "no RCDM in nowhere: there is no such folder"),
        (("--start", "begun"), "no RCDM in begun: its training has not ended"),
    ],
)
def test_mistakes_are_told_in_one_line(command: Command, photos: Path, words: tuple[object, ...], told: str) -> None:
    Path("begun", "training").mkdir(parents=True)
    result = command("train", "-e", "simclr", "-d", photos, "-o", "mine", *words)
    assert result.exit_code == 2
    assert told in result.output
    assert len(result.output.strip().splitlines()) == 1, result.output


def test_a_training_does_not_write_among_its_images(command: Command, photos: Path) -> None:
    result = command("train", "-e", "simclr", "-d", photos, "-o", photos, *BRIEF)
    assert result.exit_code == 2
    assert "is the folder of the images" in result.stderr
    assert not (photos / "run.json").exists()


def test_a_tenth_is_held_out_within_bounds() -> None:
    for count, held_out in ((50, 10), (300, 30), (100_000, 2000)):
        split = hold_out(count, seed=0)
        assert len(split.held_out) == held_out
        assert np.array_equal(np.sort(np.concatenate([split.training, split.held_out])), np.arange(count))
        chosen = choose_held_out(split, 100)
        assert np.isin(chosen.rows, split.held_out).all()
        assert len(np.unique(chosen.gallery)) == len(chosen.gallery) == min(count, 2000)
        assert np.array_equal(chosen.gallery[: len(chosen.rows)], chosen.rows)


def test_a_store_keeps_images_and_representations_in_their_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rcdm_core.rcdm_training.store.CHUNK", 16)
    monkeypatch.setattr("rcdm_core.rcdm_training.store.AT_ONCE", 8)
    encoder, images = load_encoder("simclr"), load_data("scenes", image_size=32, limit=50)
    for number in (1, 0):  # two processes, one after the other
        process = SimpleNamespace(num_processes=2, process_index=number)
        store = fill_store(tmp_path, encoder, encoder.levels, images, image_size=16, processes=process)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{start:09d}.safetensors" for start in (0, 16, 32, 48)]
    rows = np.array([49, 0, 17, 16, 3, 49])
    pixels = images.images(rows)
    for level, h in encode(encoder, pixels).items():
        assert torch.allclose(store.representations(level, rows), h, atol=1e-4)
    assert store.images(rows).shape == (6, 3, 16, 16)
    assert (store.images(rows).mean((2, 3)) - pixels.mean((2, 3))).abs().max() < 0.02


def test_the_published_objective_trains_and_begins_with_a_given_network(tmp_path: Path) -> None:
    shape = replace(NETWORK, patch=1, learned_variances=True, residual_resampling=True)
    train_small(tmp_path / "first", network=shape, steps=2)
    first = load_rcdm(tmp_path / "first")
    assert first.schedule.config["prediction_type"] == "epsilon"
    train_small(tmp_path / "second", network=shape, start=first, steps=1, learning_rate=1e-9, ema_decay=0.0)
    second = load_rcdm(tmp_path / "second")
    assert second.card["training"]["began_with"] == first.fingerprint
    for name, tensor in first.denoiser.unet.state_dict().items():
        assert torch.allclose(tensor, second.denoiser.unet.state_dict()[name], atol=1e-6), name


def test_only_the_rows_that_are_read_come_into_memory(tmp_path: Path) -> None:
    size = 100_000
    tensors = {"images": torch.zeros(512, 3, 4, 4, dtype=torch.uint8), "level/wide": torch.ones(512, size)}
    save_file(tensors, tmp_path / "000000000.safetensors")
    whole = tensors["level/wide"].nbytes
    del tensors
    before = psutil.Process().memory_info().rss
    assert Store(tmp_path, 512).representations("wide", np.array([500, 3])).shape == (2, size)
    assert psutil.Process().memory_info().rss - before < whole / 10


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux what a process holds")
def test_memory_is_flat_in_the_number_of_images(tmp_path: Path) -> None:
    count, size = 8192, 1024
    encoder = Encoder(
        "wide", preprocess=nn.Identity(), trunk=nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, size)), projector=None,
        dimensions={"backbone": size}, is_ssl=True, image_size=8,
    )  # fmt: skip
    held = []

    def watched(items, description, total):
        for item in items:
            held.append(anonymous_memory())
            yield item

    before = anonymous_memory()
    with showing(watched):
        store = fill_store(
            tmp_path, encoder, ("backbone",), Noise(count), image_size=8, processes=join_processes("cpu")
        )
    for rows in np.array_split(np.random.default_rng(0).permutation(count), 64):
        store.images(rows)
        store.representations("backbone", rows)
        held.append(anonymous_memory())
    assert max(held) - before < 4 * count * size / 3  # a third of all representations


class Noise:
    """So many images of 8 x 8 pixels, each made when it is asked for."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def images(self, indices: np.ndarray) -> torch.Tensor:
        pixels = [np.random.default_rng(index).random((3, 8, 8), dtype=np.float32) for index in indices]
        return torch.from_numpy(np.stack(pixels))


def anonymous_memory() -> int:
    """Bytes that this process holds and that no file could give back."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return 1024 * int(line.split()[1])


def test_frechet_distance_is_that_of_gaussians() -> None:
    random = torch.Generator().manual_seed(0)
    a = torch.randn(20_000, 3, generator=random)
    b = torch.randn(20_000, 3, generator=random) * torch.tensor([1.0, 2.0, 3.0]) + torch.tensor([2.0, 0.0, 0.0])
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-5)
    assert frechet_distance(a, b) ** 2 == pytest.approx(4 + 1 + 4, rel=0.03)  # means, then (s_a - s_b)^2
    few = torch.randn(5, 40, generator=random)
    assert frechet_distance(few, few + 1) == pytest.approx(40**0.5, rel=1e-5)  # fewer rows than dimensions


def test_a_tracker_is_told_every_step_once_also_by_a_training_that_went_on(
    command: Command, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, dict[str, float]]] = []

    class Kept(GeneralTracker):
        name, requires_logging_directory, tracker = "kept", False, None

        def log(self, values: dict[str, float], step: int | None = None, **_: object) -> None:
            told.append((step or 0, values))

    monkeypatch.setattr(tracking, "get_available_trackers", lambda: ["tensorboard"])
    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "tensorboard", lambda **about: Kept())
    words = ("train", "-e", "simclr", "-l", "projector", "-d", photos, "-o", tmp_path / "mine", *BRIEF)
    with stopped_at(tmp_path / "mine", "samples/*.png"):
        assert command(*words, "--log", "tensorboard").exit_code == 130
    assert command(*words, "--log", "tensorboard").exit_code == 0
    assert [step for step, values in told if "gradient_norm" in values] == [0, 1, 2, 3]
    assert [step for step, values in told if "projector/MRR" in values and "held-out loss" in values] == [2, 4]


@pytest.mark.parametrize("log, line", [("wandb", "pip install wandb"), ("tensorbord", "did you mean tensorboard?")])
def test_a_tracker_that_is_not_there_is_told_before_anything_is_written(
    command: Command, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: str, line: str
) -> None:
    monkeypatch.setattr(tracking, "get_available_trackers", list)
    result = command("train", "-e", "simclr", "-d", photos, "-o", tmp_path / "mine", *BRIEF, "--log", log)
    assert result.exit_code == 2
    assert line in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "mine").exists()
