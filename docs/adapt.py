"""What adapting reaches beside trainings of the same images: the table of adapt.md.

    rcdm-probe zoo train vicreg --seed 1 --folder .zoo1
    python docs/adapt.py .zoo1

Every row is a command, given below the table; what is finished is not done again. It takes some hours of two cores.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).parents[1] / "examples"


def main(folder: Path) -> None:
    """Run what has not been run, and print the table.

    Args:
        folder: Of a zoo of another seed, with ``vicreg.safetensors``; runs go there too.
    """
    lite0 = folder / "lite0.safetensors"
    if not lite0.exists():
        subprocess.run([sys.executable, EXAMPLES / "lite0_weights.py", lite0], check=True)
    old = "-e vicreg -l backbone --data scenes --looked-at 200"
    new = f"{old} --weights {folder / 'vicreg.safetensors'}"
    real = f"-e timm/tf_efficientnet_lite0 --weights {lite0}:supervised --data scenes --images 5000 --looked-at 500"
    both = "-l backbone --data scenes --images 5000 --looked-at 500 --image-size 32 --steps 800 --every 800"
    commands = {
        "the vicreg that ships, on its own head": f"adapt {old} --steps 1",
        "another vicreg, a head": f"adapt {new} --steps 100",
        "another vicreg, all of it": f"adapt {new} --steps 150 --whole 700 --whole-lr 6e-4",
        "EfficientNet-Lite0, adapted": f"adapt {real} --lr 3e-4 --whole 1200",
        "EfficientNet-Lite0, trained": f"train {real} --image-size 32 --steps 2000 --every 2000 --batch-size 64",
        "vicreg and barlow, one training": f"train -e vicreg -e barlow {both} --batch-size 64",
        "vicreg, a training of its own": f"train -e vicreg {both} --batch-size 32",
        "barlow, a training of its own": f"train -e barlow {both} --batch-size 32",
    }
    print("| | after | MRR | mean rank | minutes |\n|---|---|---|---|---|")
    for number, (name, command) in enumerate(commands.items(), 1):
        out = folder / f"adapting-{number}"
        facts = out / "run.json"
        if not (facts.exists() and json.loads(facts.read_text(encoding="utf-8")).get("finished")):
            subprocess.run(["rcdm-probe", *shlex.split(command), "--out", str(out)], check=True, stdout=sys.stderr)
        minutes = json.loads(facts.read_text(encoding="utf-8"))["seconds"] / 60
        for after, row in found(out):
            rank = f"{row['mean rank']:.1f} of {row['gallery']}"
            print(f"| {name} | {after} | {row['MRR']:.3f} | {rank} | {minutes:.1f} |")
    print("\n```sh", *(f"rcdm-probe {command}" for command in commands.values()), "```", sep="\n")


def found(out: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Stages of an adaptation, or levels after the last step of a training, with what was found there."""
    if (out / "stages.csv").exists():
        yield from ((row["stage"], row) for row in pd.read_csv(out / "stages.csv").to_dict("records"))
    else:
        table = pd.read_csv(out / "fidelity.csv")
        last = table[table["step"] == table["step"].max()]
        yield from ((f"{row['step']} steps, {row['level']}", row) for row in last.to_dict("records"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
