"""A user's mistake: one clear line with a remedy, exit code 2, no traceback, and nothing computed or overwritten."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import Result

from rcdm_core.encoders import Encoder, load_encoder
from rcdm_core.errors import UserError
from rcdm_core.kept import save_json
from rcdm_core.rcdm import RCDM, load_rcdm, save_rcdm
from rcdm_core.rcdm.diffusion import build_schedule
from rcdm_core.rcdm.network import Denoiser, NetworkSettings
from rcdm_probe import invariance
from rcdm_probe.device import choose_device

Command = Callable[..., Result]

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


def line_of(result: Result) -> str:
    """The one line of a command that failed."""
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    (line,) = result.stderr.strip().splitlines()
    return line


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("--stepps 3", "No such option: --stepps (see `rcdm-probe --help`)"),
        ("invarianse", "No such command 'invarianse'. Did you mean 'invariance'? (see `rcdm-probe --help`)"),
        ("invariance --stepps 3", "(Possible options: --steps) (see `rcdm-probe invariance --help`)"),
        ("invariance --steps many", "Invalid value for '--steps': "),
        ("invariance -e vicrag", "unknown encoder 'vicrag': did you mean vicreg"),
        ("invariance -e vicreg --level projektor", "unknown level of vicreg 'projektor': did you mean projector?"),
        ("invariance -e supervised --level projector", "unknown level of supervised 'projector': one of backbone"),
        ("invariance -e vicreg --solver dpmsolver", "unknown solver 'dpmsolver': did you mean dpmsolver++"),
        ("invariance -e vicreg --data cifar", "unknown data set 'cifar'"),
        ("invariance -e vicreg --data ./nowhere", "there is no folder nowhere"),
        ("invariance -e vicreg --data ./empty", "empty"),
        ("invariance -e vicreg --data ./texts", "texts"),
        ("invariance -e vicreg --data ./mostly-broken", "mostly-broken"),
        ("invariance -e vicreg --data ./few", "20"),
        ("invariance -e vicreg --images 5", "20, not 5"),
        ("invariance -e vicreg --device gpu", "unknown device 'gpu'"),
        ("invariance -e vicreg --out file/run", "cannot write in file/run"),
        ("invariance -e vicreg --rcdm empty", "no RCDM in empty"),
        ("invariance -e vicreg --rcdm other-encoder", "vicreg/backbone"),
        ("sample nowhere.png -e vicreg", "cannot read nowhere.png as an image"),
        ("sample texts/notes.txt -e vicreg", "cannot read texts/notes.txt as an image"),
        ("sample scenes:10000 -e vicreg", "there is no scene '10000': scenes have numbers from 0 to 9999"),
        ("sample scenes:1 -e vicreg --solver euler", "unknown solver 'euler'"),
        ("sample scenes:1 -e vicreg --out drawn.xyz", "the ending of drawn.xyz names no format to write"),
        ("sample scenes:1 -e vicreg --out drawn.psd", "the ending of drawn.psd names no format to write"),
        ("sample scenes:1 -e vicreg --out nowhere/drawn.png", "no folder nowhere"),
        ("bench --images 50 --gallery 10", "50 images do not fit a gallery of 10"),
        ("zoo train resnet", "unknown part of the zoo 'resnet'"),
        ("zoo evaluate --folder empty", "not in empty"),
        pytest.param("invariance -e vicreg --device cuda", "there is no CUDA GPU on this machine", marks=no_gpu),
    ],
)
def test_one_line_that_says_what_is_wrong(
    command: Command, furnished: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, message: str
) -> None:
    monkeypatch.chdir(furnished)
    assert message in line_of(command(*arguments.split()))
    assert not (furnished / "runs").exists()


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the mistaken arguments point at."""
    folder = tmp_path_factory.mktemp("furnished")
    for name in ("empty", "texts", "mostly-broken", "few", "other-encoder"):
        (folder / name).mkdir()
    (folder / "file").write_text("a file where a folder is wanted")
    (folder / "texts" / "notes.txt").write_text("no image")
    for number in range(6):
        Image.new("RGB", (8, 8), (40 * number, 0, 0)).save(folder / "few" / f"{number}.png")
        Image.new("RGB", (8, 8), (40 * number, 0, 0)).save(folder / "mostly-broken" / f"{number}.png")
        (folder / "mostly-broken" / f"broken-{number}.png").write_bytes(b"no image")
    write_rcdm(folder / "other-encoder", {"resnet/backbone": 384})
    return folder


def write_rcdm(folder: Path, conditions: dict[str, int]) -> None:
    settings = NetworkSettings(channels=(32, 32))
    save_rcdm(Denoiser(settings, conditions), build_schedule(), folder, card={})


def test_encoder_and_rcdm_of_other_dimensions_are_both_named(command: Command, tmp_path: Path) -> None:
    write_rcdm(tmp_path, {"vicreg/backbone": 100, "vicreg/projector": 512})
    line = line_of(command("invariance", "-e", "vicreg", "--rcdm", tmp_path))
    assert "384" in line
    assert "100" in line


def test_an_rcdm_of_other_weights_is_refused() -> None:
    with pytest.raises(UserError, match="trained on other weights of vicreg"):
        invariance(damaged(0.0), images=20, gallery=20)


def test_a_collapsed_encoder_is_named_as_such() -> None:
    with pytest.raises(UserError, match="collapsed encoder"):
        invariance(damaged(0.0), rcdm=untold(), images=20, gallery=20)


def test_representations_with_nan_are_refused() -> None:
    with pytest.raises(UserError, match="NaN"):
        invariance(damaged(float("nan")), rcdm=untold(), images=20, gallery=20)


def untold() -> RCDM:
    """An RCDM whose card does not say which weights it was trained on."""
    rcdm = load_rcdm()
    return RCDM(rcdm.denoiser, schedule=rcdm.schedule)


def damaged(value: float) -> Encoder:
    encoder = load_encoder("vicreg")
    for parameter in encoder.parameters():
        parameter.fill_(value)
    return encoder


@pytest.mark.parametrize(
    "arguments, at, kept",
    [
        ("sample scenes:1 -e vicreg", "rcdm_probe.opening.open_encoder", False),
        ("zoo evaluate", "rcdm_core.zoo.evaluate.evaluate_zoo", False),
        ("reproduce", "rcdm_probe.reproduction.prepare", True),
    ],
)
def test_ctrl_c_promises_no_more_than_is_kept(
    command: Command, monkeypatch: pytest.MonkeyPatch, arguments: str, at: str, kept: bool
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(at, stopped)
    result = command(*arguments.split())
    assert result.exit_code == 130
    assert ("goes on from there" in result.stderr) is kept


def test_a_gpu_that_is_too_small_is_told_in_one_line(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr("rcdm_probe.opening.open_encoder", full)
    assert "--batch-size" in line_of(command("sample", "scenes:1", "-e", "vicreg"))


def test_another_run_in_out_is_not_overwritten(command: Command, tmp_path: Path) -> None:
    facts = {"probe": "invariance", "arguments": {"seed": 7}, "started": "", "resumed": [], "finished": None}
    save_json(facts, tmp_path / "run.json")
    assert "holds a run with other arguments" in line_of(command("invariance", "-e", "vicreg", "--out", tmp_path))
    assert json.loads((tmp_path / "run.json").read_text())["arguments"]["seed"] == 7


def test_a_mistyped_command_and_option_get_the_nearest_names(command: Command) -> None:
    assert "invariance" in command("invarianc").stderr
    assert "--encoder" in command("invariance", "--encodr", "vicreg").stderr


def test_a_device_that_is_not_there_is_refused_by_number() -> None:
    assert choose_device("cpu") == "cpu"
    with pytest.raises(UserError, match="unknown device 'cpu:1'"):
        choose_device("cpu:1")
