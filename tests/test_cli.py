"""The real commands, from arguments to what they leave behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from stopping import stopped_at
from typer.testing import CliRunner, Result

from probes import transformations
from rcdm_core.data.downloads import DOWNLOADS
from rcdm_core.errors import UserError
from rcdm_core.rcdm import DEFAULT_SOLVER, SOLVERS, choices
from rcdm_probe import invariance
from rcdm_probe.cli import app
from rcdm_probe.commands import options
from rcdm_probe.commands.running import unread
from rcdm_probe.runs import PARTS

Start = Callable[..., "subprocess.Popen[str]"]
Command = Callable[..., Result]

SMALL = {"images": 20, "gallery": 40, "rendered": 4, "varied": 2, "samples": 2, "pictures": 1, "steps": 1}
TRANSFORMATIONS = ("vertical_shift", "color_jitter", "horizontal_flip")
ARGUMENTS = (
    "invariance",
    "--encoder",
    "vicreg",
    *(f"--{name}={value}" for name, value in SMALL.items()),
    *(f"--transformation={name}" for name in TRANSFORMATIONS),
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run folder and terminal output of a small run of the main job."""
    cwd = tmp_path_factory.mktemp("main-job")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(cwd)
        patch.setattr(sys, "argv", ["rcdm-probe", *ARGUMENTS])  # as the script has it, for the record of the command
        result = CliRunner().invoke(app, ARGUMENTS)
    assert result.exit_code == 0, result.output
    (folder,) = (cwd / "runs").iterdir()
    return folder, result.stdout


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


@pytest.mark.parametrize("name", ["adapt", "compare", "zoo evaluate"])
def test_paragraphs_of_help_fill_their_lines_at_any_width(
    command: Command, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 80)
    lines = command(*name.split(), "--help").output.partition("╭")[0].splitlines()
    ragged = [
        line for line, after in pairwise(lines) if line.strip() and after.strip()
        and len(line.strip()) + 1 + len(after.split()[0]) <= 78
    ]  # fmt: skip
    assert not ragged


def test_names_shown_in_help_are_those_that_there_are() -> None:
    assert tuple(SOLVERS) == choices.SOLVERS
    assert DEFAULT_SOLVER in SOLVERS
    assert set(options.DATA_SETS) == {name.removesuffix("-train") for name in DOWNLOADS}


@pytest.mark.parametrize(
    "name, words",
    [
        ("invariance", ["scenes-train", "cifar10", "zoom_out", "random:SEED", "FILE:self-supervised"]),
        ("adversarial", ["length of a perturbation", "own:self-supervised"]),
        ("interpolate", ["scenes-train", "imagenette"]),
        ("zoo train", [".[train]", "processor cores"]),
        ("bench", ["minutes on two processor cores"]),
        ("reproduce", ["With --quick", "half an hour"]),
    ],
)
def test_help_names_what_can_be_given_and_how_long_it_takes(command: Command, name: str, words: list[str]) -> None:
    text = re.sub(r"[\s│]+", " ", command(*name.split(), "--help").output)
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    "arguments, option",
    [
        ("interpolate scenes:0 scenes:7 -e vicreg --pairs 48", "--pairs"),
        ("interpolate scenes:0 scenes:7 -e vicreg --pictures 3", "--pictures"),
        ("manipulate scenes:0 -e vicreg --images 40", "--images"),
        ("manipulate scenes:0 -e vicreg --moved 20", "--moved"),
        ("encoders --all", "--all"),
        ("adversarial -e vicreg --rcdm none --judge dino", "--judge"),
        ("adversarial -e vicreg --rendered 0 --judge dino", "--judge"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(command: Command, arguments: str, option: str) -> None:
    result = command(*arguments.split())
    assert result.exit_code == 2
    (line,) = result.stderr.strip().splitlines()
    assert f"{option} " in line


def test_as_many_threads_are_used_as_are_asked_for(command: Command, tmp_path: Path) -> None:
    before, brief = torch.get_num_threads(), ("similarity", "-e", "vicreg", "--images", 20)
    try:
        for threads in (1, 3):
            result = command(*brief, "--threads", threads, "--out", tmp_path / str(threads))
            assert result.exit_code == 0, result.output
            assert torch.get_num_threads() == threads
        one, three = (pd.read_parquet(tmp_path / name / "records.parquet") for name in ("1", "3"))
        assert one.equals(three)
    finally:
        torch.set_num_threads(before)
    assert command(*brief, "--threads", 0).exit_code == 2


def test_the_weights_of_the_one_encoder_that_was_named_need_no_name() -> None:
    assert options.weights_of(["my.pt"], ["a"], others=("b",)) == {"a": "my.pt"}
    assert options.weights_of(["a=my.pt", "b=your.pt"], ["a"], others=("b",)) == {"a": "my.pt", "b": "your.pt"}
    with pytest.raises(UserError, match="whose they are"):
        options.weights_of(["my.pt"], ["a", "b"])


def test_unread_files_are_counted_and_named() -> None:
    assert unread(1, ["a.png"]) == "1 file could not be read and was left out: a.png"
    assert unread(5, list("abcde")) == "5 files could not be read and were left out: a, b, c and 2 more"


def test_the_main_job_leaves_everything_in_its_folder(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    assert folder.name.endswith("-invariance-vicreg")
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    for kind, ending in (("figures", "png"), ("figures", "svg"), ("tables", "csv"), ("tables", "tex")):
        assert list((folder / kind).glob(f"*.{ending}")), (kind, ending)
    records = pd.read_parquet(folder / "records.parquet")
    assert set(records["level"]) == {"", "backbone", "projector"}
    assert {"relative_displacement", "present", "rendered", "within_variance"} <= set(records["measure"])
    assert not (folder / PARTS).exists()


def test_the_main_job_records_where_its_numbers_come_from(finished: tuple[Path, str]) -> None:
    run = json.loads((finished[0] / "run.json").read_text())
    assert run["arguments"]["images"] == SMALL["images"]
    assert all(len(run["hashes"][name]) == 64 for name in ("encoder", "rcdm", "judge", "data"))
    assert run["finished"]
    assert run["seconds"] > 0
    assert 0 < run["peak_memory_gb"] < 4
    assert run["command"].startswith("rcdm-probe invariance --encoder vicreg")


def test_the_main_job_says_what_it_found_and_where(finished: tuple[Path, str]) -> None:
    folder, out = finished
    assert "Finding 1:" in out
    assert "Finding 2, closer:" in out
    assert "vertical shift" in out
    assert out.rstrip().endswith(f"{folder.parent.name}/{folder.name}/report.pdf")


def test_python_gives_the_numbers_of_the_command_line(finished: tuple[Path, str]) -> None:
    result = invariance("vicreg", transformations=TRANSFORMATIONS, **SMALL)
    records = pd.read_parquet(finished[0] / "records.parquet")
    pd.testing.assert_frame_equal(result.records, records, check_dtype=False)  # a file knows one type of text
    assert [verdict.finding for verdict in result.verdicts] == [1, 2, 2]
    assert result.panels
    assert result.maps


def test_tables_are_the_records_counted_by_hand(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    records = pd.read_parquet(folder / "records.parquet")

    def values(measure: str, **where: object) -> pd.Series:
        rows = records[records["measure"] == measure]
        for key, value in where.items():
            rows = rows[rows[key] == value]
        return rows.set_index("image")["value"].sort_index()

    tables = {path.stem: pd.read_csv(path).to_dict("records") for path in (folder / "tables").glob("*.csv")}
    for row in tables["displacement"]:
        at = {name: row[name] for name in ("level", "condition", "strength")}
        assert row["relative_displacement"] == pytest.approx(np.median(values("relative_displacement", **at)))
        assert row["mrr"] == pytest.approx(sum(1 / values("rank", **at)) / SMALL["images"])
    for row in tables["readability"]:
        scores = {name: row[name] for name in ("level", "condition")}
        doses = (0.0, transformations.TRANSFORMATIONS[row["condition"]].reference)
        untouched, applied = (values("applied_score", **scores, strength=dose).to_numpy() for dose in doses)
        above = (applied[:, None] > untouched) + 0.5 * (applied[:, None] == untouched)
        assert row["auc"] == pytest.approx(above.mean())
    for row in tables["variance"]:
        within, between = (values(f"{name}_variance", level=row["level"]) for name in ("within", "between"))
        assert len(within) == len(between) == SMALL["varied"]
        assert row["ratio"] == pytest.approx(sum(within) / sum(between))
    (row,) = (row for row in tables["factors"] if (row["factor"], row["level"]) == ("x", "backbone"))
    true, read = values("true", condition="x"), values("present", condition="x", level="backbone")
    assert row["present"] == pytest.approx(1 - ((read - true) ** 2).sum() / ((true - true.mean()) ** 2).sum())
    for row in tables["comparison"]:
        at = {name: row[name] for name in ("condition", "strength")}
        backbone, projector = (values("relative_displacement", level=name, **at) for name in ("backbone", "projector"))
        assert row["difference"] == pytest.approx(np.median(backbone - projector))


def test_python_as_the_readme_shows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    (block,) = re.findall(r"^```python\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    brief = {"images": 20, "gallery": 20, "rendered": 1, "varied": 2, "samples": 2, "pictures": 1, "steps": 1}
    few = {**brief, "transformations": ("horizontal_flip",)}
    monkeypatch.setattr("rcdm_probe.invariance", lambda name, **given: invariance(name, **{**given, **few}))
    monkeypatch.chdir(tmp_path)
    shown: dict[str, Any] = {}
    exec(compile(block, "README.md", "exec"), shown)
    assert {"present", "rendered"} <= set(shown["result"].records["measure"])
    assert shown["pictures"].shape == shown["images"].shape == (4, 3, 32, 32)
    assert Path("my-report", "report.pdf").is_file()
    assert json.loads(Path("my-report", "run.json").read_text())["arguments"]["seed"] == 0


def test_ctrl_c_ends_in_one_line_and_the_same_command_goes_on(
    command: Command, finished: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rcdm_probe.provenance.git_commit", lambda: "c0ffee")  # whatever is committed meanwhile
    with stopped_at(tmp_path, f"runs/*/{PARTS}/**/*.*"):
        result = command(*ARGUMENTS)
    assert result.exit_code == 130, result.output
    assert "the same command goes on" in result.stderr.splitlines()[-1]
    (folder,) = (tmp_path / "runs").iterdir()
    assert json.loads((folder / "run.json").read_text())["finished"] is None
    again = command(*ARGUMENTS)
    assert again.exit_code == 0, again.output
    assert list((tmp_path / "runs").iterdir()) == [folder]
    run = json.loads((folder / "run.json").read_text())
    assert run["finished"]
    assert len(run["resumed"]) == 1
    whole = pd.read_parquet(finished[0] / "records.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "records.parquet"), whole)


def test_own_images_with_a_corrupt_one(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(24):
        pixels = rng.integers(0, 256, (6, 9, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((90, 60)).save(folder / f"{number}.jpg")
    (folder / "broken.png").write_bytes(b"not an image")
    out = tmp_path / "out"
    result = command(
        "invariance", "-e", "simclr", "--level", "backbone", "--data", folder, "--images", 24, "--varied", 2,
        "--samples", 2, "--pictures", 1, "--steps", 2, "-t", "crop", "-t", "blur", "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "1 file could not be read and was left out: " in result.output
    run = json.loads((out / "run.json").read_text())
    assert run["data_card"]["skipped"] == 1
    assert run["data_card"]["skipped_files"][0].endswith("broken.png")
    assert "judge" not in run["hashes"]  # nothing is read off pictures
    assert set(pd.read_parquet(out / "records.parquet")["level"]) - {""} == {"backbone"}
    assert (out / "report.pdf").is_file()


def test_sample_draws_a_row_for_each_image(command: Command, tmp_path: Path) -> None:
    Image.new("RGB", (50, 40), "red").save(tmp_path / "red.png")
    result = command(
        "sample", "scenes:3", "red.png", "-e", "vicreg", "--samples", 5, "--steps", 1, "--out", tmp_path / "drawn.png"
    )
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "drawn.png") as picture:
        width, height = picture.size
    assert width > 5 * 128
    assert 2 * 128 <= height < 3 * 128


def test_sample_is_a_function_of_its_seed(command: Command, tmp_path: Path) -> None:
    brief = ("sample", "scenes:3", "-e", "dino", "--samples", 2, "--steps", 2)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert command(*brief, "--seed", seed, "-o", f"{name}.png").exit_code == 0
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_bench_prints_both_solvers_and_what_the_machine_gives(command: Command, tiny_rcdm: Path) -> None:
    sizes = ("--images", 4, "--gallery", 40, "--batch-size", 4, "--training-steps", 2, "--ranked", 8)
    result = command("bench", "--rcdm", tiny_rcdm, *sizes)
    assert result.exit_code == 0, result.output
    for words in ("dpmsolver++", "ddpm", "times as fast", "GFLOP/s", "representations a second"):
        assert words in result.output


def test_ctrl_c_ends_in_one_line_whenever_it_comes(script: Start, tmp_path: Path) -> None:
    for moment in np.random.default_rng(0).uniform(0.3, 2.5, 5).tolist():
        process = script("invariance", "-e", "vicreg", "--images", 20, cwd=tmp_path)
        time.sleep(moment)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        if "rcdm_probe/__main__" not in err and moment < 0.5:  # Python itself was not ready
            continue
        assert process.returncode == 130, (moment, err)
        assert err.splitlines()[-1].startswith("rcdm-probe: stopped"), (moment, err)
        assert "Traceback" not in out + err, (moment, err)
