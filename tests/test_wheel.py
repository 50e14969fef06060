"""The wheel holds everything that a package of it reads: weights, garments, templates, words, marks of types."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_file_of_the_packages_is_in_the_wheel() -> None:
    wheel = pytest.importorskip("hatchling.builders.wheel", reason="hatchling, which builds the wheel, is in extra dev")
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    inside = {file.distribution_path for file in wheel.WheelBuilder(str(ROOT)).recurse_included_files()}
    listed = subprocess.run(["git", "ls-files", "-z", *packages], cwd=ROOT, capture_output=True, check=True, text=True)
    assert inside >= {name for name in listed.stdout.split("\0") if name}
    assert {f"{package}/py.typed" for package in packages} <= inside
    for data in ("rcdm_core/zoo/weights/rcdm/rcdm.json", "reports/templates/report.typ", "probes/invariance.md"):
        assert data in inside
    assert {name.partition("/")[0] for name in inside} == set(packages)


def test_the_image_runs_the_command() -> None:
    words = (ROOT / "Dockerfile").read_text().split()
    assert f'["{next(iter(PROJECT["project"]["scripts"]))}"]' in words
    for name in (line.split()[1:-1] for line in (ROOT / "Dockerfile").read_text().splitlines() if line[:4] == "COPY"):
        assert all((ROOT / path).exists() for path in name)
