"""What takes long to import is imported when it is needed: seconds before the first number."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FIRST_NUMBER = """
import sys
from rcdm_probe import runs
from rcdm_probe.cli import main

def until_the_first_number(run, study, conduct):
    made = study.probe.measure(study.context, study.context.settings)
    assert any({"applied_score", "rank"} <= set(records["measure"]) for records in made)
    print(*sorted(sys.modules))
    sys.exit()

runs.Run.carry_out = until_the_first_number
sys.argv = "rcdm-probe invariance -e vicreg --rcdm none --images 20 --gallery 20 -t blur --out".split() + [sys.argv[1]]
main()
"""
DRAWN = """
import sys
import torch
from rcdm_core.quick_import import import_diffusers_quickly
import_diffusers_quickly()
{before}
from rcdm_core.rcdm import load_rcdm
drawn = load_rcdm().sample(torch.zeros(1, 384), "vicreg/backbone", steps=1)
print(*sorted(sys.modules))
{after}
print(drawn.double().sum().item())
"""
AS_EVER = """
import importlib.metadata, scipy.stats, torch._dynamo, torchvision
assert torch.compiler.disable.__module__.startswith("torch.") and importlib.metadata.packages_distributions()
import diffusers
assert diffusers.EulerDiscreteScheduler and diffusers.AutoencoderKL
"""
HEAVY = {
    "diffusers",
    "seaborn",
    "matplotlib.figure",
    "scipy.stats",
    "scipy.special",
    "sklearn",
    "timm",
    "torchvision",
    "torch._dynamo",
    "sympy",
    "accelerate",
    "jinja2",
}


SLOW_OF_DIFFUSERS = {"torch._dynamo", "torchvision", "scipy.stats", "transformers"}


def printed(code: str, *arguments: str, **env: str) -> list[str]:
    words = [sys.executable, "-c", code, *arguments]
    return subprocess.run(
        words, capture_output=True, text=True, check=True, env={**os.environ, **env}
    ).stdout.splitlines()


def test_the_first_number_of_a_command_needs_no_library_that_draws_plots_or_compiles(tmp_path: Path) -> None:
    imported = set(printed(FIRST_NUMBER, str(tmp_path / "out"))[-1].split())
    assert "torch" in imported
    assert not HEAVY & imported


def test_a_command_draws_the_same_without_what_diffusers_imports_for_others_and_leaves_that_as_it_was(
    tmp_path: Path,
) -> None:
    (tmp_path / "transformers").mkdir()
    (tmp_path / "transformers" / "__init__.py").write_text("import torch._dynamo\n")
    (tmp_path / "transformers-5.0.0.dist-info").mkdir()
    (tmp_path / "transformers-5.0.0.dist-info" / "METADATA").write_text("Name: transformers\nVersion: 5.0.0\n")
    imported, drawn = printed(DRAWN.format(before="", after=AS_EVER), PYTHONPATH=str(tmp_path))
    assert "diffusers" in imported.split()
    assert not SLOW_OF_DIFFUSERS & set(imported.split())
    # Where diffusers cannot do without, it is imported as ever.
    missing = 'import rcdm_core.quick_import as q; q._NEEDED = ("diffusers.schedulers", "diffusers.no_such_module")'
    imported, drawn_as_ever = printed(DRAWN.format(before=missing, after=""))
    assert "torch._dynamo" in imported.split()
    assert drawn == drawn_as_ever
