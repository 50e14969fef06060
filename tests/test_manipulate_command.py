"""``rcdm-probe manipulate`` from arguments to what it leaves behind; every table follows from the records."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from left_behind import tables_left_out
from typer.testing import Result

from analyses import manipulation as analysis
from probes.manipulation import ManipulationSettings
from rcdm_probe.commands import manipulate, options

Command = Callable[..., Result]


@pytest.fixture
def run(command: Command, tmp_path: Path, tiny_rcdm: Path) -> Path:
    result = command(
        "manipulate", "--encoder", "vicreg", "--images", 20, "--gallery", 60, "--moved", 2, "--steps", 1,
        "--rcdm", tiny_rcdm, "--out", tmp_path / "run",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "Finding 4, manipulation" in result.output
    return tmp_path / "run"


def test_the_command_leaves_a_whole_run_whose_tables_follow_from_its_records(run: Path) -> None:
    assert (run / "report.pdf").read_bytes().startswith(b"%PDF")
    facts = json.loads((run / "run.json").read_text())
    assert facts["finished"]
    assert facts["command"].startswith("rcdm-probe manipulate --encoder vicreg")
    records = pd.read_parquet(run / "records.parquet")
    made = {
        "levels": analysis.level_table(records),
        "edits": analysis.edit_table(records),
        "removal": analysis.removal_table(records),
        "transplant": analysis.transplant_table(records),
        "directions": analysis.direction_table(records),
        "responses": analysis.response_table(records),
    }
    for name, table in made.items():
        pd.testing.assert_frame_equal(pd.read_csv(run / "tables" / f"{name}.csv"), table, check_dtype=False, rtol=1e-9)
    verdicts = pd.read_csv(run / "tables" / "verdicts.csv")
    assert list(verdicts["aspect"]) == ["manipulation"] * 2  # two moved images are too few for the other one
    assert list(verdicts["level"]) == ["backbone", "projector"]
    assert set(verdicts["finding"]) == {4}
    assert list(verdicts["word"]) == [v.word for v in analysis.manipulation_verdicts(records, is_ssl=True)]
    document = json.loads((run / "report.json").read_text())
    paths = [b["path"] for s in document["sections"] for b in s["blocks"] if b["kind"] == "figure"]
    assert all((run / path).is_file() for path in [*paths, document["figure"]["path"]])
    assert not tables_left_out(run)


def test_a_given_image_has_a_report_without_a_verdict(command: Command, tmp_path: Path, tiny_rcdm: Path) -> None:
    result = command(
        "manipulate", "scenes:3", "--target", "scenes:7", "--encoder", "vicreg", "--level", "projector",
        "--gallery", 60, "--samples", 2, "--steps", 1, "--strengths", "-2,1.5", "--rcdm", tiny_rcdm,
        "--out", tmp_path / "run",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "Finding" not in result.output
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["arguments"]["given"] == ["scenes:3", "scenes:7"]
    assert "manipulate scenes:3 --target scenes:7" in facts["command"]
    assert "--strengths -2,1.5" in facts["command"]
    assert facts["arguments"]["strengths"] == [-2.0, 1.5]
    document = json.loads((tmp_path / "run" / "report.json").read_text())
    assert "verdict-grid" not in document
    assert "one image" in document["no-verdict"]
    assert "measured on scenes:3, beside scenes" in document["subtitle"]


@pytest.mark.parametrize(
    "arguments, says",
    [
        (("--encoder", "vicreg", "--rcdm", "none"), "there is nothing to draw with"),
        (("--encoder", "vicreg", "--target", "scenes:1"), "no image to put it into"),
        (("--encoder", "vicreg", "--shared", 20), "in more than 20 of 20"),
        (("--encoder", "vicreg", "--strengths", "-1,one"), "--strengths '-1,one' is not a list of numbers"),
        (("--encoder", "vicreg", "--strengths", "-1,-1"), "each once"),
        (("scenes:99999", "--encoder", "vicreg"), "no scene '99999'"),
        (("nowhere.png", "--encoder", "vicreg"), "cannot read nowhere.png"),
    ],
)
def test_mistakes_get_one_line(command: Command, arguments: tuple[object, ...], says: str) -> None:
    result = command("manipulate", *arguments)
    assert result.exit_code == 2
    assert says in result.stderr


def test_defaults_of_the_command_are_those_of_the_settings() -> None:
    shown, real = inspect.signature(manipulate.run).parameters, ManipulationSettings()
    for name in ("images", "gallery", "moved", "neighbours", "shared", "quantile", "steps", "solver", "seed"):
        assert shown[name].default == getattr(real, name)
    assert options.numbers("--strengths", shown["strengths"].default) == real.strengths
