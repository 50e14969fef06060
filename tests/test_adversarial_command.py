"""``rcdm-probe adversarial`` from arguments to what it leaves behind, and the verdicts that its records allow."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import Result

from analyses.adversarial import comparison_table
from analyses.robustness import robustness_verdicts
from probes.records import join, records

Command = Callable[..., Result]


def planted(name: str, *, moves: float, holds: float, images: int = 60) -> pd.DataFrame:
    """An encoder that is right on all images, moves so far, and holds its decision and its rendered class so often."""
    rng = np.random.default_rng(len(name))
    every = np.arange(images)
    tables = [records(m, np.ones(images), every, encoder=name, strength=0.0) for m in ("correct", "class_seen")]
    for budget in (1.0, 2.0):
        at = {"encoder": name, "condition": "PGD", "strength": budget}
        tables.append(records("relative_displacement", moves * rng.uniform(0.8, 1.2, images), every, **at))
        tables += [records(m, rng.random(images) < holds, every, **at) for m in ("correct", "class_seen")]
    return join(tables)


@pytest.mark.parametrize(
    "moves, holds, words",
    [
        (0.2, 0.9, ["supported"] * 3),
        (0.9, 0.05, ["not supported"] * 3),
        (0.2, 0.05, ["supported", "not supported", "not supported"]),  # aspects can disagree
    ],
)
def test_planted_truths_get_their_words(moves: float, holds: float, words: list[str]) -> None:
    both = join([planted("supervised", moves=0.5, holds=0.45), planted("ssl", moves=moves, holds=holds)])
    table = comparison_table(both, "supervised", "PGD", resamples=200)
    found = robustness_verdicts(table, reference="supervised", attack="PGD", is_ssl={"supervised": False, "ssl": True})
    assert [verdict.word for verdict in found] == words
    assert "for comparison" not in found[0].claim


def test_an_encoder_like_the_reference_is_inconclusive_and_holm_counts_the_encoders() -> None:
    parts = [planted("supervised", moves=0.5, holds=0.5), planted("a", moves=0.5, holds=0.5)]
    alone = comparison_table(join(parts), "supervised", "PGD", resamples=200)
    more = comparison_table(join([*parts, planted("bb", moves=0.1, holds=0.9)]), "supervised", "PGD", resamples=200)
    held = robustness_verdicts(alone, reference="supervised", attack="PGD", is_ssl={"supervised": False, "a": False})
    assert "inconclusive" in {verdict.word for verdict in held}
    assert "for comparison" in held[0].claim
    first = more[more["encoder"] == "bb"]
    assert first["p_holm"].to_numpy() == pytest.approx(2 * first["p_value"].to_numpy())


def test_only_images_that_both_get_right_are_compared() -> None:
    one, two = planted("supervised", moves=0.5, holds=0.5), planted("ssl", moves=0.2, holds=0.5)
    wrong = (two["measure"] == "correct") & (two["strength"] == 0) & (two["image"] < 20)
    two.loc[wrong, "value"] = 0.0
    assert set(comparison_table(join([one, two]), "supervised", "PGD", resamples=50)["images"]) == {40}


def test_the_command_leaves_a_whole_run(command: Command, tmp_path: Path) -> None:
    result = command(
        "adversarial", "--encoder", "vicreg", "--images", 24, "--training", 120, "--attack", "FGSM", "--eps", "1,4",
        "--rcdm", "none", "--out", tmp_path / "run",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    folder = tmp_path / "run"
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    facts = json.loads((folder / "run.json").read_text())
    assert facts["finished"]
    assert facts["arguments"]["encoder"] == "supervised+vicreg"
    found = pd.read_parquet(folder / "records.parquet")
    assert set(found["encoder"]) == {"supervised", "vicreg"}
    assert {path.stem for path in (folder / "tables").glob("*.csv")} >= {"robustness", "comparison", "verdicts"}
    assert "Finding 3, accuracy" in result.output


@pytest.mark.parametrize(
    "arguments, says",
    [
        (("--attack", "PDG"), "did you mean PGD"),
        (("--eps", "much"), "--eps much is not a list of numbers"),
        (("--encoder", "supervised"), "compared with nothing"),
    ],
)
def test_mistakes_get_one_line(command: Command, arguments: tuple[str, ...], says: str) -> None:
    result = command("adversarial", *arguments)
    assert result.exit_code == 2
    assert says in result.stderr
