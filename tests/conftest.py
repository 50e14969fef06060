"""What tests share: a representation cache of their own, and the command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import hypothesis
import pytest
from typer.testing import CliRunner, Result

from rcdm_probe.cli import app

os.environ["OMP_NUM_THREADS"] = "1"  # before PyTorch is imported: as many tests as cores run at once
hypothesis.settings.register_profile("suite", deadline=None)  # time is not what is tested, and others use the machine
hypothesis.settings.load_profile("suite")

LONGEST = (
    "test_cli", "test_imagenet_path", "test_training", "test_train_command", "test_manipulate_command",
    "test_adversarial_command", "test_published_rcdm", "test_distributed", "test_zoo", "test_report",
    "test_reproduction", "test_interpolate_command", "test_invariance_measure",
)  # fmt: skip
SCRIPT = Path(sys.executable).with_name("rcdm-probe")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: a worker takes a file at a time, and none should begin a long one when others end."""
    items.sort(key=lambda item: item.path.stem not in LONGEST)


@pytest.fixture(autouse=True, scope="session")
def private_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Representations of the tests, and of the commands they start, stay out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RCDM_PROBE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("COLUMNS", "200")
        yield


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The command line, in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="session")
def script() -> Callable[..., subprocess.Popen[str]]:
    """The installed script, started in a process of its own."""

    def start(*arguments: object, cwd: Path) -> subprocess.Popen[str]:
        words = [str(SCRIPT), *map(str, arguments)]
        return subprocess.Popen(
            words,
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job ignores it
        )

    return start


@pytest.fixture(scope="session")
def garments_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of training garments without a download: the test garments under the names of the training files."""
    folder = tmp_path_factory.mktemp("garments")
    for part in ("images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"):
        packaged = files("rcdm_core.data") / "assets" / f"t10k-{part}"
        (folder / f"train-{part}").write_bytes(packaged.read_bytes())
    return folder


@pytest.fixture(scope="session")
def tiny_rcdm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A decoder of both levels of vicreg with random weights: what it draws is nothing, but it draws it from ``h``."""
    import torch

    from rcdm_core.rcdm.diffusion import build_schedule
    from rcdm_core.rcdm.files import save_rcdm
    from rcdm_core.rcdm.network import Denoiser, NetworkSettings

    torch.manual_seed(0)
    shape = NetworkSettings(image_size=32, patch=4, channels=(32, 32), attention=(False, False))
    folder = tmp_path_factory.mktemp("rcdm")
    save_rcdm(Denoiser(shape, {"vicreg/backbone": 384, "vicreg/projector": 512}), build_schedule(), folder, card={})
    return folder
