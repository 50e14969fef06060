"""What tests share: a representation cache of their own, and the command line."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from typer import testing
from typer.testing import CliRunner, Result

from rcdm_core.allocator import keep_memory
from rcdm_probe.cli import GARBAGE, app

if TYPE_CHECKING:
    from rcdm_probe.conduct import Result as Found

gc.set_threshold(GARBAGE)  # as the command line does: importing PyTorch is quicker
keep_memory()  # as the command line does
os.environ["OMP_NUM_THREADS"] = "1"  # before PyTorch is imported: as many tests as cores run at once
hypothesis.settings.register_profile("suite", deadline=None)  # time is not what is tested, and others use the machine
hypothesis.settings.load_profile("suite")

LONGEST = (
    "test_cli", "test_report", "test_training", "test_adversarial_command", "test_imagenet_path",
    "test_manipulate", "test_zoo", "test_interpolate", "test_train_command", "test_published_rcdm",
    "test_fidelity", "test_invariance_measure",
)  # fmt: skip
"""Groups of tests, the longest first."""
SHARING = {
    "test_figures": "test_report", "test_html": "test_report", "test_reproduction": "test_report",
    "test_notebook": "test_report", "test_schemas": "test_report",
    "test_distributed": "test_training", "test_killed": "test_training", "test_processes": "test_training",
}  # fmt: skip
"""Files that join the group of another, with which they share what is slow to make; any other is a group by itself."""
SCRIPT = Path(sys.executable).with_name("rcdm-probe")


def group_of(file: str | Path) -> str:
    """The tests that one worker runs, one after the other, are of one group."""
    stem = Path(file).stem
    return SHARING.get(stem, stem)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Groups in the place of the files of ``--dist loadfile``."""
    from xdist.scheduler import LoadFileScheduling

    class Groups(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(super()._split_scope(nodeid))

    return Groups(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest groups first: a worker takes a group at a time, and none should begin a long one when others end."""
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(group_of(item.path), len(ranks)))


@pytest.fixture(autouse=True, scope="session")
def private_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Representations of the tests, and of the commands they start, stay out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RCDM_PROBE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("COLUMNS", "200")
        yield


@pytest.fixture(autouse=True, scope="session")
def coarse_pictures() -> None:
    """Pictures are drawn in a fifth of the pixels, and in half of the time; `test_figures` looks at them as printed."""
    from reports import style

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "DPI", 60)
        yield


@pytest.fixture(autouse=True, scope="session")
def few_checks() -> None:
    """Of the images that a command attacks, it is on a few that the attacker is checked: that takes the most time."""
    from probes.adversarial import Adversarial

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(Adversarial.__init__.__kwdefaults__, "checked", 4)
        yield


@pytest.fixture(autouse=True, scope="session")
def one_command_line() -> None:
    """The command line is put together once, and not, as typer's runner does, for every command that a test gives."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(testing, "_get_command", cache(testing._get_command))
        yield


@pytest.fixture(autouse=True)
def equal_draws() -> None:
    """What a test draws without a seed of its own does not depend on the tests before it."""
    import torch

    torch.manual_seed(0)


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
def invariance_report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Found, Path]:
    """Planted content with everything that an invariance report can hold, and the folder with that report."""
    from planted_content import content

    from probes.page import write

    told, folder = content(images=30, pictures=3), tmp_path_factory.mktemp("report")
    write(told, folder)
    return told, folder


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
