"""Findings 1 to 3 of zoos of several seeds, side by side.

    for seed in 0 1 2; do
        rcdm-probe zoo train supervised simclr vicreg barlow dino --seed $seed --folder .zoo$seed
    done
    python docs/seeds.py .zoo0 .zoo1 .zoo2

The zoos are of one recipe, trained from scratch, and differ in every random draw. What is finished is not done again.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd

from rcdm_core.encoders import EMBEDDED

KEYS = ["finding", "aspect", "level", "encoder"]


def findings(zoo: Path) -> pd.DataFrame:
    """Words and values of findings 1 to 3, without a decoder, of the encoders in a folder."""
    out = zoo / "reproduced"
    if not (out / "report.pdf").exists():
        weights = [
            f"{name}={zoo / name}.safetensors:{'self-supervised' if entry.is_ssl else 'supervised'}"
            for name, entry in EMBEDDED.items()
        ]
        given = [word for one in weights for word in ("--weights", one)]
        command = ["rcdm-probe", "reproduce", *given, "--rcdm", "none", "--out", str(out)]
        subprocess.run(command, check=True, stdout=sys.stderr)
    table = pd.read_csv(out / "tables" / "findings.csv", keep_default_na=False)
    return table[table["finding"].astype(str).isin(["1", "2", "3"])]


def told(row: pd.Series) -> str:
    """A word with its value and interval."""
    low, value, high = (f"{float(row[name]):.2f}" for name in ("low", "value", "high"))
    return f"{row['word']} {value} [{low}, {high}]"


def main(zoos: list[Path]) -> None:
    """Print the table: a row a claim and encoder, a column a zoo."""
    found = {zoo.name: findings(zoo) for zoo in zoos}
    columns = {name: table.set_index(KEYS).apply(told, axis=1) for name, table in found.items()}
    print(f"| finding | encoder | {' | '.join(columns)} |", "|---" * (2 + len(columns)) + "|", sep="\n")
    for key, row in pd.DataFrame(columns).fillna("–").iterrows():
        finding, aspect, level, encoder = map(str, key)
        about = ", ".join(filter(None, (aspect, level)))
        print(f"| {finding}{': ' if about else ''}{about} | {encoder} | {' | '.join(row)} |")


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]])
