"""What takes long to import is imported when it is needed: seconds before the first number."""

from __future__ import annotations

import subprocess
import sys

FIRST_NUMBER = """
import sys
from probes.invariance import PROBE
from rcdm_probe.conduct import prepare
few = {"images": 20, "gallery": 20, "transformations": ("blur",)}
study = prepare(PROBE, "vicreg", rcdm="none", **few)
made = PROBE.measure(study.context, study.context.settings)
assert any({"applied_score", "rank"} <= set(records["measure"]) for records in made)
print(*sorted(sys.modules))
"""
HEAVY = {
    "diffusers",
    "seaborn",
    "scipy.stats",
    "sklearn",
    "timm",
    "torchvision",
    "torch._dynamo",
    "sympy",
    "accelerate",
}


def test_the_first_number_needs_no_library_that_draws_plots_or_compiles() -> None:
    words = [sys.executable, "-c", FIRST_NUMBER]
    out = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert not HEAVY & set(out.split())
