"""``rcdm-probe adversarial`` from arguments to what it leaves behind, and the verdicts that its records allow."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import probing
import pytest
import torch
from left_behind import tables_left_out
from PIL import Image
from small_training import NETWORK
from stopping import stopped_at
from typer.testing import CliRunner
from typer.testing import Result as Outcome

from analyses.records import join, records
from probes.adversarial import PROBE
from rcdm_core.rcdm.diffusion import schedule_for
from rcdm_core.rcdm.files import save_rcdm
from rcdm_core.rcdm.network import Denoiser
from rcdm_probe.cli import app
from rcdm_probe.conduct import Result
from rcdm_probe.runs import PARTS

Command = Callable[..., Outcome]


def planted(
    name: str, *, moves: float, holds: float, white: float = 1.0, images: int = 60, floor: float | None = 2.0
) -> pd.DataFrame:
    """An encoder that is right on all images, moves so far (whitened ``white`` times that), and holds its decision and
    its rendered class so often. Untrained it moves so far, or there is no such encoder."""
    rng = np.random.default_rng(len(name))
    every = np.arange(images)
    tables = [records(m, np.ones(images), every, encoder=name, strength=0.0) for m in ("correct", "class_seen")]
    for budget in (1.0, 2.0):
        at = {"encoder": name, "strength": budget}
        moved = moves * rng.uniform(0.8, 1.2, images)
        tables.append(records("relative_displacement", moved, every, condition="Displacement", **at))
        tables.append(records("whitened_displacement", white * moved, every, condition="Displacement", **at))
        held = (
            records(m, rng.random(images) < holds, every, condition="Margin", **at) for m in ("correct", "class_seen")
        )
        tables += held
    return join([*tables, *([] if floor is None else [floor_of(name, moves=floor, images=images)])])


def floor_of(name: str, *, moves: float, images: int = 60) -> pd.DataFrame:
    """What an encoder does untrained."""
    at = {"encoder": name, "condition": "Displacement"}
    every = np.arange(images)
    moved = moves * np.random.default_rng(9).uniform(0.9, 1.1, images)
    return join([records("untrained_relative_displacement", moved, every, strength=b, **at) for b in (1.0, 2.0)])


def found_of(*tables: pd.DataFrame, **is_ssl: bool | None) -> Result:
    """What the probe makes of planted records of a reference that is supervised, and of others that are not."""
    told = {name: name != "supervised" for table in tables for name in table["encoder"].unique()}
    return probing.planted(PROBE, join(list(tables)), is_ssl=told | is_ssl)


def words_of(found: Result) -> list[str]:
    return [verdict.word for verdict in found.verdicts]


@pytest.mark.parametrize(
    "moves, holds, words",
    [
        (0.2, 0.9, ["supported"] * 3),
        (0.9, 0.05, ["not supported"] * 3),
        (0.2, 0.05, ["supported", "not supported", "not supported"]),  # aspects can disagree
    ],
)
def test_planted_truths_get_their_words(moves: float, holds: float, words: list[str]) -> None:
    both = planted("supervised", moves=0.5, holds=0.45), planted("ssl", moves=moves, holds=holds)
    found = found_of(*both)
    assert words_of(found) == words
    assert {verdict.finding for verdict in found.verdicts} == {3}
    assert "for comparison" not in found.verdicts[0].claim
    assert "for comparison" in found_of(*both, supervised=None).verdicts[0].claim


@pytest.mark.parametrize(
    "moves, holds, blind, words",
    [
        (0.2, 0.9, "ssl", ["inconclusive"] * 3),
        (0.2, 0.9, "supervised", ["supported"] * 3),  # a better attack would only widen it
        (0.9, 0.05, "ssl", ["not supported"] * 3),
        (0.9, 0.05, "supervised", ["inconclusive"] * 3),
        (0.2, 0.05, "ssl", ["inconclusive", "not supported", "not supported"]),
    ],
)
def test_what_a_blind_attack_flatters_is_inconclusive(moves: float, holds: float, blind: str, words: list[str]) -> None:
    every = np.arange(60)
    unforetold = [
        records(m, np.full(60, value), every, encoder=blind, condition=attack)
        for m, value in (("change", 1.0), ("foretold", 0.0))
        for attack in ("Margin", "Displacement")
    ]
    both = planted("supervised", moves=0.5, holds=0.45), planted("ssl", moves=moves, holds=holds)
    found = found_of(*both, *unforetold)
    assert words_of(found) == words
    for verdict in found.verdicts:
        says = f"the attack on {blind} is blind: the gradient of its loss vanishes on 100% of the images"
        assert (says in verdict.sentence) is (verdict.word == "inconclusive")


def test_images_that_none_of_both_get_right_are_too_few() -> None:
    one, two = planted("supervised", moves=0.5, holds=0.5), planted("ssl", moves=0.2, holds=0.5)
    two = two[(two["measure"] == "correct") & (two["strength"] == 0)].assign(value=0.0)
    found = found_of(one, two).verdicts
    assert [(verdict.aspect, verdict.word, verdict.n) for verdict in found] == [
        ("displacement", "too few", 0), ("accuracy", "too few", 0),
    ]  # fmt: skip


def test_an_encoder_like_the_reference_is_inconclusive_and_holm_counts_the_encoders() -> None:
    parts = [planted("supervised", moves=0.5, holds=0.5), planted("a", moves=0.5, holds=0.5)]
    alone = found_of(*parts, a=False)
    assert "inconclusive" in words_of(alone)
    assert "for comparison" in alone.verdicts[0].claim
    more = found_of(*parts, planted("bb", moves=0.1, holds=0.9)).tables["comparison"]
    first = more[more["encoder"] == "bb"]
    assert first["p_holm"].to_numpy() == pytest.approx(2 * first["p_value"].to_numpy())


def wrong_on(table: pd.DataFrame, images: int) -> pd.DataFrame:
    """The encoder gets the first images wrong, untouched."""
    wrong = (table["measure"] == "correct") & (table["strength"] == 0) & (table["image"] < images)
    return table.assign(value=table["value"].where(~wrong, 0.0))


@pytest.mark.parametrize("wrong, word", [(6, "supported"), (7, "inconclusive")])
def test_decisions_are_compared_where_there_is_as_much_to_lose(wrong: int, word: str) -> None:
    one, two = planted("supervised", moves=0.5, holds=0.45), planted("ssl", moves=0.2, holds=0.9)
    verdicts = {verdict.aspect: verdict for verdict in found_of(one, wrong_on(two, wrong)).verdicts}
    assert verdicts["accuracy"].word == word
    assert ("they do not have as much to lose" in verdicts["accuracy"].sentence) is (word == "inconclusive")
    assert "Accuracy untouched: ssl 0." in verdicts["displacement"].sentence
    assert verdicts["displacement"].word == "supported"


def test_what_is_drawn_is_compared_where_as_much_is_drawn_untouched() -> None:
    one, two = planted("supervised", moves=0.5, holds=0.3), planted("ssl", moves=0.2, holds=0.6)
    unseen = (two["measure"] == "class_seen") & (two["image"] < 12)
    two.loc[unseen, "value"] = 0.0
    (rendered,) = (verdict for verdict in found_of(one, two).verdicts if verdict.aspect == "rendered")
    assert rendered.word == "inconclusive"
    assert "the class is seen in 0.80 of what is drawn from ssl" in rendered.sentence


@pytest.mark.parametrize(
    "moves, floor, of, word",
    [
        (0.2, 0.1, "ssl", "inconclusive"),
        (0.2, 0.2, "ssl", "inconclusive"),
        (0.2, 0.4, "ssl", "supported"),
        (0.2, 0.1, "supervised", "supported"),  # the floor of the one that moves more says nothing
        (0.9, 0.1, "supervised", "inconclusive"),
        (0.9, 0.8, "supervised", "not supported"),
    ],
)
def test_a_displacement_that_an_untrained_encoder_has_too_is_no_robustness(
    moves: float, floor: float, of: str, word: str
) -> None:
    floors = {"supervised": 2.0, "ssl": 2.0, of: floor}
    reference = planted("supervised", moves=0.5, holds=0.45, floor=floors["supervised"])
    verdict = found_of(reference, planted("ssl", moves=moves, holds=0.9, floor=floors["ssl"])).verdicts[0]
    assert verdict.aspect == "displacement"
    assert verdict.word == word
    assert (f"the architecture of {of}, untrained, moves as little" in verdict.sentence) is (word == "inconclusive")


@pytest.mark.parametrize(
    "moves, without, word",
    [
        (0.2, "ssl", "supported"),
        (0.2, "supervised", "supported"),  # of the one that moves more nothing is asked
        (0.9, "ssl", "not supported"),
        (0.9, "supervised", "not supported"),
    ],
)
def test_where_no_untrained_encoder_stands_beside_the_one_that_a_word_speaks_for_it_is_said(
    moves: float, without: str, word: str
) -> None:
    floors = {"supervised": 2.0, "ssl": 2.0, without: None}
    reference = planted("supervised", moves=0.5, holds=0.45, floor=floors["supervised"])
    found = found_of(reference, planted("ssl", moves=moves, holds=0.9, floor=floors["ssl"]))
    verdict, speaks_for = found.verdicts[0], "ssl" if word == "supported" else "supervised"
    assert (verdict.aspect, verdict.word) == ("displacement", word)
    assert (f"No untrained encoder stands beside {without}" in verdict.sentence) is (without == speaks_for)
    assert "where no untrained encoder stands beside it, the sentence says so" in verdict.rule
    (note,) = (show for show in PROBE.page["What there is to lose"] if show.name == "untrained")
    assert note.when(found)
    assert PROBE.wording.text("missing untrained", found.names).startswith(
        f"No untrained encoder stands beside {without}."
    )


def test_where_the_whitened_displacement_has_another_word_the_report_says_so() -> None:
    one = planted("supervised", moves=0.5, holds=0.45)
    for white, says in ((1.0, False), (5.0, True)):
        verdict = found_of(one, planted("ssl", moves=0.2, holds=0.9, white=white)).verdicts[0]
        assert verdict.word == "supported"
        assert ("would say not supported" in verdict.sentence) is says


def test_only_images_that_both_get_right_are_compared() -> None:
    one, two = planted("supervised", moves=0.5, holds=0.5), planted("ssl", moves=0.2, holds=0.5)
    assert set(found_of(one, wrong_on(two, 20)).tables["comparison"]["images"]) == {40}


BRIEF = (
    "adversarial", "--encoder", "vicreg", "--images", 20, "--training", 80, "--attack", "PGD", "--attack-steps", 2,
    "--eps", "1,4", "--rcdm", "none",
)  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run folder and terminal output of a small run."""
    folder = tmp_path_factory.mktemp("adversarial") / "run"
    result = CliRunner().invoke(app, [str(word) for word in (*BRIEF, "--out", folder)])
    assert result.exit_code == 0, result.output
    return folder, result.output


def test_the_command_leaves_a_whole_run(finished: tuple[Path, str]) -> None:
    folder, output = finished
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    facts = json.loads((folder / "run.json").read_text())
    assert facts["finished"]
    assert facts["arguments"]["encoder"] == "supervised+vicreg"
    found = pd.read_parquet(folder / "records.parquet")
    assert set(found["encoder"]) == {"supervised", "vicreg"}
    assert {path.stem for path in (folder / "tables").glob("*.csv")} >= {"robustness", "comparison", "verdicts"}
    assert not tables_left_out(folder)
    assert "Finding 3, accuracy" in output


def rows_of(run: Path, table: str) -> list[dict[str, Any]]:
    """The rows of a table of numbers."""
    read = pd.read_csv(run / "tables" / f"{table}.csv").fillna({"condition": ""})
    assert len(read)
    return read.to_dict("records")


def values_of(found: pd.DataFrame, measure: str, row: dict[str, Any], *keys: str) -> pd.Series:
    """Values of a measure, by image, from the records that have the row's encoder and its values of these keys."""
    rows = found[found["measure"] == measure]
    for key in ("encoder", *keys):
        rows = rows[rows[key] == row[key]]
    return rows.set_index("image")["value"]


def test_tables_are_the_records_counted_by_hand(finished: tuple[Path, str]) -> None:
    table = partial(rows_of, finished[0])
    values = partial(values_of, pd.read_parquet(finished[0] / "records.parquet"))
    for row in table("robustness"):
        correct, moved = (values(m, row, "condition", "strength") for m in ("correct", "relative_displacement"))
        assert row["accuracy"] == pytest.approx(correct.sum() / 20)
        if row["strength"]:
            untouched = values("correct", {**row, "strength": 0.0}, "strength")
            right = moved[moved.index.isin(untouched.index[untouched == 1])]
            assert row["relative_displacement"] == pytest.approx(np.median(right))
    for row in table("budgets"):
        flipped = values("smallest_budget", row, "condition")
        assert row["flipped"] == pytest.approx((flipped < np.inf).sum() / len(flipped))
        assert row["budget"] == pytest.approx(np.median(flipped))
    for row in table("effort"):
        strength = values("effort", row, "condition")
        assert row["found"] == pytest.approx((strength > 0).sum() / len(strength))
    for row in table("transfers"):
        theirs = values("transferred", {**row, "condition": row["source"]}, "condition")
        own = values("correct", {**row, "condition": "PGD"}, "condition", "strength").loc[theirs.index]
        assert row["transferred"] == pytest.approx(theirs.sum() / len(theirs))
        assert row["difference"] == pytest.approx((theirs.sum() - own.sum()) / len(theirs))
    for row in table("controls"):
        assert row["perturbation"] == pytest.approx(max(values("perturbation", row, "condition")))
        assert row["unchanged"] == pytest.approx(min(values("unchanged", row, "condition")))


def test_ctrl_c_ends_in_one_line_and_the_same_command_goes_on(
    finished: tuple[Path, str], command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rcdm_probe.provenance.git_commit", lambda: "c0ffee")  # whatever is committed meanwhile
    with stopped_at(tmp_path, f"runs/*/{PARTS}/*.safetensors"):
        result = command(*BRIEF)
    assert result.exit_code == 130, result.output
    assert "the same command goes on" in result.stderr.splitlines()[-1]
    (folder,) = (tmp_path / "runs").iterdir()
    assert json.loads((folder / "run.json").read_text())["finished"] is None
    again = command(*BRIEF)
    assert again.exit_code == 0, again.output
    assert list((tmp_path / "runs").iterdir()) == [folder]
    assert len(json.loads((folder / "run.json").read_text())["resumed"]) == 1
    whole, resumed = (pd.read_parquet(run / "records.parquet") for run in (finished[0], folder))
    pd.testing.assert_frame_equal(resumed, whole)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of drawings, a folder for each; one folder alone has no labels."""
    folder, rng = tmp_path_factory.mktemp("shapes"), np.random.default_rng(0)
    for number, name in enumerate(("dark", "middling", "light")):
        (folder / name).mkdir()
        for image in range(24):
            pixels = np.clip(rng.normal(60 + 70 * number, 25, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{image}.png")
    return folder


def test_labelled_images_of_ones_own_and_a_judge_that_is_not_under_attack(
    command: Command, shapes: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    denoiser = Denoiser(NETWORK, {"simclr/backbone": 384, "vicreg/backbone": 384})
    save_rcdm(denoiser, schedule_for(NETWORK), tmp_path / "rcdm", card={})
    words = (
        "adversarial", "-e", "simclr", "--reference", "vicreg", "--weights", "simclr=random", "--data", shapes,
        "--images", 30, "--attack", "FGSM", "--eps", 2, "--rendered", 8, "--steps", 1, "--rcdm", tmp_path / "rcdm",
    )  # fmt: skip
    result = command(*words, "--judge", "dino", "--out", "run")
    assert result.exit_code == 0, result.output
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["arguments"]["judge"] == "dino"
    assert run["arguments"]["weights"] == "simclr=random"
    records = pd.read_parquet(tmp_path / "run" / "records.parquet")
    seen = records.query("measure == 'class_seen'")
    assert set(seen["encoder"]) == {"simclr", "vicreg"}
    assert set(seen["condition"]) == {"", "noise", "FGSM"}
    assert (tmp_path / "run" / "tables" / "rendered.csv").is_file()
    assert run["data_card"]["attacked"] == 30
    assert run["data_card"]["training the classifiers"] == 42
    assert "as the paper has it" not in (tmp_path / "run" / "report.json").read_text()  # vicreg is no supervised one
    beside = {"image": "class_judged", "another image": "class_of_others"}
    for row in rows_of(tmp_path / "run", "rendered"):
        measure = beside.get(row["condition"])
        of = records.query("measure == @measure") if measure else seen
        kept = values_of(of, measure or "class_seen", row, *(() if measure else ("condition", "strength")))
        assert row["class_seen"] == pytest.approx(kept.sum() / len(kept))
    assert "fashion scenes are not ImageNet" not in (tmp_path / "run" / "report.json").read_text()

    refused = command(*words, "--judge", "simclr")
    assert refused.exit_code == 2
    assert "simclr is under attack itself" in refused.stderr


def test_what_an_rcdm_does_not_draw_from_is_told_and_the_rest_is_drawn(
    command: Command, shapes: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    save_rcdm(Denoiser(NETWORK, {"vicreg/backbone": 384}), schedule_for(NETWORK), tmp_path / "rcdm", card={})
    result = command(
        "adversarial", "-e", "simclr", "--reference", "vicreg", "--data", shapes, "--images", 30, "--attack", "FGSM",
        "--eps", 2, "--rendered", 4, "--steps", 1, "--rcdm", tmp_path / "rcdm", "--judge", "dino", "--out", "run",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    seen = pd.read_parquet(tmp_path / "run" / "records.parquet").query("measure == 'class_seen'")
    assert set(seen["encoder"]) == {"vicreg"}
    assert "Nothing was drawn from simclr." in (tmp_path / "run" / "report.json").read_text()


def test_without_labels_the_label_free_attack_is_offered_and_works(command: Command, shapes: Path) -> None:
    words = ("adversarial", "-e", "timm/test_resnet", "--reference", "vicreg", "--weights", "timm/test_resnet=random",
             "--data", shapes / "dark", "--images", 20, "--eps", 2, "--attack-steps", 2, "--rcdm", "none")  # fmt: skip
    refused = command(*words)
    assert refused.exit_code == 2
    assert "or use --attack Displacement" in " ".join(refused.stderr.split())
    assert "Traceback" not in refused.output
    result = command(*words, "--attack", "Displacement", "--out", "run")
    assert result.exit_code == 0, result.output
    assert "Finding 3, displacement" in result.output
    told = Path("run/report.json").read_text()
    assert "classify rightly" not in told
    assert "Decisions. A linear classifier" not in told
    assert "the judge is" not in told
    judged = command(*words, "--attack", "Displacement", "--judge", "dino")
    assert judged.exit_code == 2
    assert "leave out --judge" in " ".join(judged.stderr.split())


@pytest.mark.parametrize(
    "arguments, says",
    [
        (("--attack", "PDG"), "did you mean PGD"),
        (("--eps", "much"), "--eps 'much' is not a list of numbers"),
        (("--encoder", "supervised"), "compared with nothing"),
        (("--weights", "random"), "write --weights ENCODER=random"),
        (("--weights", "vicrge=random"), "did you mean vicreg"),
    ],
)
def test_mistakes_get_one_line(command: Command, arguments: tuple[str, ...], says: str) -> None:
    result = command("adversarial", *arguments)
    assert result.exit_code == 2
    assert says in result.stderr
