"""``rcdm-probe fidelity`` from arguments to what it leaves behind, and its report on decoders that are known."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from left_behind import tables_left_out
from planted_decoders import Decoder, deaf, faithful, pixels
from typer.testing import Result

from analyses.fidelity import copies_table, ranks_table, sets_table, solvers_table
from rcdm_core.errors import UserError
from rcdm_core.rcdm import DEFAULT_SOLVER, DEFAULT_STEPS
from rcdm_probe import FidelityResult, fidelity
from rcdm_probe.benchmark import wait_for
from rcdm_probe.fidelity_study import _asked
from rcdm_probe.rank_benchmark import rank_cost
from reports.fidelity import Content, document, trust
from reports.fidelity.sections import _evidence
from reports.figures.fidelity import draw_levels

Command = Callable[..., Result]

CONDITIONS = {"faithful/backbone": 3072, "deaf/backbone": 3072}
LEGS = [{"images": 200, "settings": {"seed": 0}}]
CARD = {"training": {"data": "fashion scenes, training split, new factors", "images": 200, "legs": LEGS}}


@pytest.fixture(scope="module")
def planted(garments_folder: Path) -> FidelityResult:
    """A study of an encoder that keeps everything, and of a decoder that listens."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rcdm_core.data.garments._SYSTEM", garments_folder)
        return fidelity(
            [pixels("faithful")],
            rcdm=Decoder("faithful", CONDITIONS, faithful, CARD),
            images=40, gallery=80, compared=60, swept=(("ddim", 2),), swept_images=20, pictures=3,
        )  # fmt: skip


def test_the_command_leaves_a_whole_run(command: Command, tmp_path: Path) -> None:
    result = command(
        "fidelity", "--encoder", "vicreg", "--level", "backbone", "--images", 20, "--gallery", 40, "--compared", 0,
        "--swept-images", 0, "--steps", 1, "--out", tmp_path / "run",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    folder = tmp_path / "run"
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    facts = json.loads((folder / "run.json").read_text())
    assert facts["finished"]
    assert facts["features_card"]["distance"] == "FD-judge"
    assert facts["command"].startswith("rcdm-probe fidelity --encoder vicreg --data scenes --level backbone")
    records = pd.read_parquet(folder / "records.parquet")
    assert {"sample_rank", "frechet", "inception_score", "precision", "recall"} == set(records["measure"])
    for name, table in (("ranks", ranks_table(records)), ("sets", sets_table(records))):
        pd.testing.assert_frame_equal(pd.read_csv(folder / "tables" / f"{name}.csv").fillna(""), table.fillna(""))
        assert (folder / "tables" / f"{name}.tex").is_file()
    assert not tables_left_out(folder)
    ranks = records.loc[records["measure"] == "sample_rank", "value"]
    (told,) = pd.read_csv(folder / "tables" / "ranks.csv").to_dict("records")
    assert told["mean_rank"] == pytest.approx(ranks.sum() / 20)
    assert told["mrr"] == pytest.approx(sum(1 / ranks) / 20)
    assert "How far to trust the decoder" in result.output
    assert result.output.rstrip().endswith("report.pdf")


def test_weights_of_a_single_encoder_need_no_name(command: Command, tmp_path: Path, tiny_rcdm: Path) -> None:
    words = ("fidelity", "-e", "vicreg", "--level", "backbone", "--rcdm", tiny_rcdm, "--images", 20, "--gallery", 40,
             "--compared", 0, "--swept-images", 0, "--steps", 1)  # fmt: skip
    for number, given in enumerate(("random:3", "vicreg=random:3")):
        result = command(*words, "--weights", given, "--out", tmp_path / str(number))
        assert result.exit_code == 0, result.output
        run = json.loads((tmp_path / str(number) / "run.json").read_text())
        assert run["arguments"]["weights"] == "vicreg=random:3"
        assert run["encoder_cards"]["vicreg"]["weights"] == "random, seed 3"
    refused = command(*words, "-e", "simclr", "--weights", "random")
    assert refused.exit_code == 2
    assert "write --weights ENCODER=random" in refused.stderr


def test_a_long_name_of_a_feature_space_is_broken_not_printed_over_the_next() -> None:
    name = "timm/vit_small_patch16_224.dino"
    titles = {"mrr": "MRR", "frechet": f"FD-{name}", "precision": "precision", "recall": "recall"}
    values = {f"{measure}{end}": [0.5] for measure in titles for end in ("", "_low", "_high")}
    table = pd.DataFrame({"encoder": [name], "level": ["backbone"], **values})
    figure = draw_levels(table, titles=titles, floor=pd.Series(dtype=float), chance={})
    headings = [axes.get_title(loc="left") for axes in figure.axes]
    assert [heading.replace("\n", "") for heading in headings] == list(titles.values())
    places = [axes._left_title.get_window_extent(figure.canvas.get_renderer()) for axes in figure.axes]
    assert all(place.x1 < after.x0 for place, after in itertools.pairwise(places))


def test_a_report_tells_what_the_records_hold(planted: FidelityResult, tmp_path: Path) -> None:
    planted.save(tmp_path)
    records = pd.read_parquet(tmp_path / "records.parquet")
    tables = {
        "ranks": ranks_table(records),
        "sets": sets_table(records),
        "copies": copies_table(records),
        "solvers": solvers_table(records, DEFAULT_SOLVER, DEFAULT_STEPS),
    }
    for name, table in tables.items():
        pd.testing.assert_frame_equal(planted.tables[name], table, check_dtype=False)
    figures = {path.stem for path in (tmp_path / "figures").glob("*.png")}
    assert figures == {"levels", "solvers", "copies", "samples", "nearest-training", "drawn-by-solvers"}
    told = json.loads((tmp_path / "report.json").read_text())
    named = [block["path"] for part in told["sections"] for block in part["blocks"] if block["kind"] == "figure"]
    assert {Path(path).stem for path in (*named, told["figure"]["path"])} == figures


def test_a_faithful_decoder_is_trusted(planted: FidelityResult) -> None:
    said = trust(planted.content)
    assert "median rank of 1 among 80 (MRR 1.00 [1.00, 1.00]" in said
    assert "Nothing points to copies" in said
    assert "has an interval above 0 at no level" in said


def solved(*rows: tuple[str, int, float, float, float]) -> Content:
    """What a report knows of solvers: name, steps, the interval of the gain, and seconds; the first is the chosen."""
    names = ["solver", "steps", "gain_low", "gain_high", "seconds"]
    table = pd.DataFrame(rows, columns=names).assign(mrr=0.5, mrr_low=0.4, mrr_high=0.6)
    table["gain"] = (table["gain_low"] + table["gain_high"]) / 2
    nothing: Any = pd.DataFrame()
    return Content(nothing, nothing, nothing, table, nothing, nothing, (), {})


CHOSEN = ("ddim", 12, float("nan"), float("nan"), 1.0)


def test_a_faster_solver_that_is_no_worse_is_named() -> None:
    worse, dear = ("ddim", 2, -0.3, -0.1, 0.2), ("ddpm", 100, -0.1, 0.2, 8.0)
    as_good, faster = ("unipc", 8, -0.1, 0.1, 0.7), ("unipc", 6, -0.2, 0.1, 0.5)
    assert _evidence(solved(CHOSEN, worse, dear)).endswith("none that is not worse takes less time.")
    said = _evidence(solved(CHOSEN, worse, as_good, faster, dear))
    assert said.endswith("the fastest is unipc with 6 steps, in 50% of the time.")
    better = _evidence(solved(CHOSEN, faster, ("ddpm", 100, 0.1, 0.3, 8.0)))
    assert "the best, ddpm with 100 steps" in better
    assert "8.0 times the time" in better


def test_an_encoder_that_is_named_twice_is_measured_once() -> None:
    assert _asked(["vicreg", "simclr", "vicreg"], None) == [("vicreg", None), ("simclr", None)]
    own = pixels("mine")
    assert _asked([own, own], None) == [(own, None)]
    with pytest.raises(UserError, match="two encoders are called mine"):
        _asked([own, pixels("mine")], None)


def test_what_is_not_at_hand_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rcdm_core.training_images.training_garments_are_here", lambda: False)
    decoder = Decoder("deaf", CONDITIONS, deaf, CARD)
    result = fidelity([pixels("deaf")], rcdm=decoder, features="vicreg", images=20, gallery=40, swept_images=0)
    parts = [block for part in document(result.content)["sections"] for block in part["blocks"]]
    missing = [block["what"] for block in parts if block["kind"] == "missing"]
    assert missing == [
        "There is no Inception score.",
        "Solvers were not compared.",
        "Samples were not held beside training images.",
    ]
    assert set(result.records["measure"]) == {"sample_rank", "frechet", "precision", "recall"}
    assert result.run["features_card"]["distance"] == "FD-vicreg"


@pytest.mark.parametrize(
    "arguments, says",
    [
        (("--rcdm", "none"), "without an RCDM there is nothing to draw with"),
        (("--level", "bakbone"), "did you mean backbone"),
        (("--solver", "unipcc"), "did you mean unipc"),
        (("--images", "3"), "3 images are too few"),
        (("--features", "inception"), "the weights of Inception are not here"),
        (("--swept-level", "vicreg/projecter"), "did you mean vicreg/projector"),
        (("--swept-images", "2"), "2 images are too few to compare solvers on"),
    ],
)
def test_mistakes_get_one_line(command: Command, arguments: tuple[str, ...], says: str) -> None:
    result = command("fidelity", *arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_an_encoder_without_a_decoder_gets_the_command_that_trains_one(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "undrawn_encoder.py").write_text(
        "import torch\n\n\ndef build():\n    return torch.nn.Sequential(torch.nn.AvgPool2d(8), torch.nn.Flatten())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    result = command("fidelity", "--encoder", "python:undrawn_encoder:build")
    assert result.exit_code == 2
    assert "no RCDM draws from python:undrawn_encoder:build" in result.stderr
    assert "rcdm-probe train --encoder python:undrawn_encoder:build" in result.stderr


@pytest.mark.parametrize("kind, waits", [("cpu", 0), ("cuda", 1), ("mps", 1)])
def test_a_clock_is_read_when_the_device_is_done(kind: str, waits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr("torch.accelerator.synchronize", waited.append)
    wait_for(torch.device(kind))
    assert len(waited) == waits


def test_the_rank_benchmark_tells_time_and_memory() -> None:
    cost = rank_cost(600, gallery=1200, seed=0, device="cpu")
    assert (cost.queries, cost.gallery) == (600, 1200)
    assert cost.seconds > 0
    assert cost.bare > 0
    assert 0 <= cost.memory < 200 * 2**20
