"""The real commands, from arguments to what they leave behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import Result

from rcdm_core.rcdm import BRIEF_STEPS, DEFAULT_SOLVER, DEFAULT_STEPS
from rcdm_probe import invariance
from rcdm_probe.commands import options

Start = Callable[..., "subprocess.Popen[str]"]
Command = Callable[..., Result]

SMALL = {"images": 24, "gallery": 40, "varied": 4, "samples": 2, "pictures": 2, "steps": 2}
TRANSFORMATIONS = ("vertical_shift", "color_jitter", "horizontal_flip")
ARGUMENTS = (
    "invariance",
    "--encoder",
    "vicreg",
    *(f"--{name}={value}" for name, value in SMALL.items()),
    *(f"--transformation={name}" for name in TRANSFORMATIONS),
)


@pytest.fixture(scope="module")
def finished(script: Start, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run folder and terminal output of a small run of the main job."""
    cwd = tmp_path_factory.mktemp("main-job")
    out, err = (process := script(*ARGUMENTS, cwd=cwd)).communicate(timeout=600)
    assert process.returncode == 0, err
    (folder,) = (cwd / "runs").iterdir()
    return folder, out


def test_help_answers_within_a_second_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from rcdm_probe.cli import app; app(['--help'], standalone_mode=False); "
        "print([m for m in ('torch', 'numpy', 'pandas', 'matplotlib', 'timm', 'kornia') if m in sys.modules])"
    )
    seconds = []
    for _ in range(3):
        begun = children_seconds()
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        seconds.append(children_seconds() - begun)
    assert "rcdm-probe invariance --encoder vicreg" in out
    assert out.rstrip().endswith("[]")
    assert min(seconds) < 1


def children_seconds() -> float:
    """Processor time of finished child processes: what they would have taken on a machine with nothing else to do."""
    times = os.times()
    return times.children_user + times.children_system


@pytest.mark.parametrize("name", ["invariance", "sample", "encoders", "bench", "zoo train", "zoo evaluate"])
def test_every_command_has_help(command: Command, name: str) -> None:
    result = command(*name.split(), "--help")
    assert result.exit_code == 0
    assert name == "encoders" or "Example" in result.output


def test_defaults_shown_in_help_are_those_of_the_rcdm() -> None:
    assert (options.DEFAULT_SOLVER, options.DEFAULT_STEPS) == (DEFAULT_SOLVER, DEFAULT_STEPS)
    assert options.BRIEF_STEPS == BRIEF_STEPS


def test_bench_prints_both_solvers_and_what_the_machine_gives(command: Command, tiny_rcdm: Path) -> None:
    sizes = ("--images", 4, "--gallery", 40, "--batch-size", 4, "--training-steps", 2, "--ranked", 8)
    result = command("bench", "--rcdm", tiny_rcdm, *sizes)
    assert result.exit_code == 0, result.output
    for words in ("dpmsolver++", "ddpm", "times as fast", "GFLOP/s", "representations a second"):
        assert words in result.output
