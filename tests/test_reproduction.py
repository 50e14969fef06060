"""The whole paper in one report: it is made of finished runs, says what they say, and runs nothing twice."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from begun import facts_of
from left_behind import tables_left_out
from PIL import Image
from planted_content import TRAINED
from planted_content import content as invariance_content
from planted_content import run as invariance_facts
from rich.console import Console
from typer.testing import Result

from probes import page
from probes.generate import kinds_across
from probes.invariance import displacement_across
from probes.probe import Probe
from probes.transformations import TRANSFORMATIONS
from rcdm_core.encoders import load_encoder
from rcdm_core.errors import UserError
from rcdm_probe import runs
from rcdm_probe.commands.reproduce import _summary
from rcdm_probe.findings_table import findings_table, multiplicity, tally
from rcdm_probe.known_probes import load_probe
from rcdm_probe.opening import Asked
from rcdm_probe.reproduction import _run as run_step
from rcdm_probe.reproduction import conduct, prepare, read_run
from rcdm_probe.reproduction_report import (
    Content,
    document,
    in_short,
    limits,
    printed_tables,
    rules,
    said_of,
    side_by_side,
    write,
)
from reports import blocks, phrases
from reports.finished import FinishedRun
from reports.panels import Panel
from reports.style import TEXT_WIDTH
from reports.tables import Table

ENCODERS = ("supervised", "vicreg")


def verdict(finding: int, encoder: str, word: str, aspect: str = "", level: str = "") -> dict[str, Any]:
    return {
        "finding": finding, "claim": "c", "encoder": encoder, "word": word, "statistic": "s", "value": 0.3, "low": 0.1,
        "high": 0.5, "p_value": 0.01, "n": 30, "rule": "r.", "sentence": "t", "aspect": aspect, "level": level,
    }  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Finished invariance runs of two encoders, as the probe leaves them."""
    root, out = tmp_path_factory.mktemp("runs"), []
    for name in ENCODERS:
        told = invariance_content(encoder=name, transformations=TRAINED[:2], images=30, pictures=2)
        folder = root / f"2026-01-02-invariance-{name}"
        runs.save(folder, records=pd.DataFrame({"value": [1.0]}), facts=told.run, write=partial(page.write, told))
        out.append(folder)
    return out


@pytest.fixture(scope="module")
def told(folders: list[Path]) -> Content:
    kept = Panel("kept", torch.rand(2, 3, 3, 32, 32), ("", ""), ("image", "a, backbone", "b, backbone"))
    facts = {**invariance_facts(), "probe": "reproduce", "encoder_cards": {}}
    facts.pop("encoder_card")
    parts = [read_run(folder) for folder in folders]
    return Content(parts=parts, kept=kept, is_ssl={"supervised": False, "vicreg": True}, lacking={}, run=facts)


def test_agreement_is_about_the_encoders_that_the_paper_speaks_of() -> None:
    rows = [
        verdict(3, "vicreg", "not supported", "accuracy"),
        verdict(1, "vicreg", "supported"),
        verdict(1, "dino", "inconclusive"),
        verdict(1, "supervised", "not supported"),
        verdict(1, "untold", "supported"),
    ]
    found = findings_table(
        [pd.DataFrame(rows[:2]), pd.DataFrame(rows[2:])],
        {"vicreg": True, "dino": True, "supervised": False, "untold": None},
    )
    assert found["finding"].tolist() == [1, 1, 1, 1, 3]
    assert found["paper"].tolist() == ["agrees", "open", "for comparison", "for comparison", "disagrees"]
    counted = tally(found).set_index(["finding", "aspect"])
    assert counted.loc[(1, ""), ["agrees", "disagrees", "open"]].tolist() == [1, 0, 1]
    assert counted.loc[(3, "accuracy"), ["agrees", "disagrees", "open"]].tolist() == [0, 1, 0]


def test_what_the_paper_says_nothing_of_neither_agrees_nor_disagrees() -> None:
    rows = [verdict(0, "vicreg", "supported", "fewer places"), verdict(1, "vicreg", "supported")]
    found = findings_table([pd.DataFrame(rows)], {"vicreg": True})
    assert found["finding"].tolist() == [1, 0]
    assert found["paper"].tolist() == ["agrees", "beyond the paper"]
    assert tally(found)["finding"].tolist() == [1]


def test_the_table_says_how_many_of_its_words_may_be_false() -> None:
    p_values = [0.001, 0.01, 0.03, 0.3, np.nan, 0.001]
    words = ["supported", "not supported", "supported", "inconclusive", "supported", "too few"]
    rows = pd.DataFrame([verdict(1, "vicreg", word) for word in words]).assign(p_value=p_values)
    found = findings_table([rows], {"vicreg": True})
    assert found["p_table"].tolist() == pytest.approx([0.004, 0.03, 0.06, 0.3, np.nan, np.nan], nan_ok=True)
    said = multiplicity(found)
    assert "There are 5 words, of which 4 claim something" in said
    assert "up to 0.2 of 5 words would be false" in said
    assert "2 of the 3 that claim something and have a p" in said
    assert multiplicity(found.iloc[:0]) == ""


def test_finding_3_is_about_encoders_beside_one_that_is_not_self_supervised() -> None:
    is_ssl = {"supervised": False, "simclr": True, "vicreg": True}
    rows = [verdict(3, name, "supported", "accuracy") for name in ("vicreg", "supervised", "nobody-knows")]
    for reference, paper in (("supervised", "agrees"), ("simclr", "for comparison"), ("unknown", "for comparison")):
        found = findings_table([pd.DataFrame(rows).assign(reference=reference)], is_ssl)
        assert found["paper"].tolist() == [paper, "for comparison", "for comparison"]


def test_a_comparison_beside_a_self_supervised_reference_is_not_counted(told: Content) -> None:
    beside = replace(
        told.parts[0],
        probe="adversarial",
        encoders=("simclr", "vicreg"),
        run={"arguments": {"reference": "simclr"}},
        tables={"verdicts": pd.DataFrame([verdict(3, "vicreg", "not supported", "accuracy")])},
    )
    content = Content([beside], None, {"simclr": True, "vicreg": True}, {}, told.run)
    assert content.findings["paper"].tolist() == ["for comparison"]
    assert content.tally.empty


def test_verdicts_are_those_of_the_parts_read_back_from_their_folders(told: Content) -> None:
    for part in told.parts:
        theirs = part.tables["verdicts"]
        ours = told.findings[told.findings["encoder"] == part.encoders[0]]
        assert ours["value"].tolist() == theirs["value"].tolist()
        assert ours["word"].tolist() == theirs["word"].tolist()


def test_the_first_page_has_every_finding_for_every_encoder(told: Content) -> None:
    grid = document(told)["verdict-grid"]
    assert grid["columns"] == list(ENCODERS)
    assert [row["name"][0] for row in grid["rows"]] == ["1", "2", "2", "3", "4"]  # closer, and invariant
    assert (
        grid["rows"][0]["cells"][1]["word"]
        == told.findings.query("finding == 1 and encoder == 'vicreg'")["word"].item()
    )
    assert grid["rows"][3]["cells"] == ["not measured"] * 2


def test_a_number_of_the_grid_is_that_of_its_table_and_of_the_terminal(told: Content) -> None:
    near = pd.DataFrame([verdict(1, "vicreg", "supported") | {"value": 0.02, "low": 0.0003, "high": 0.031}])
    content = replace(told, parts=[replace(told.parts[1], tables={"verdicts": near})])
    cell = document(content)["verdict-grid"]["rows"][0]["cells"][1]
    number = f"{cell['value']} {cell['interval']}"
    assert number == "0.0200 [0.0003, 0.0310]"
    assert number in printed_tables(content)["finding-1"].rows[0]
    (console := Console(file=StringIO(), width=100)).print(_summary(content.findings))
    assert number in console.file.getvalue()


def test_the_report_is_whole_in_its_folder(told: Content, tmp_path: Path) -> None:
    path = write(tmp_path, told)
    assert path.read_bytes().startswith(b"%PDF")
    page = (tmp_path / "report.html").read_text()
    shown = document(told)
    shown_blocks = [shown["figure"], *(b for s in shown["sections"] for b in s["blocks"])]
    paths = []
    for block in shown_blocks:
        if block["kind"] in ("figure", "figures"):
            assert block["lead"].replace("'", "&#39;") in page
            paths += [picture["path"] for picture in block.get("pictures", [block])]
    for path in paths:
        assert (tmp_path / path).is_file()
        assert (tmp_path / path).with_suffix(".png").is_file()
    beside = {f"figures/invariance-{name}-training-augmentations.svg" for name in ENCODERS}
    assert beside < set(paths)
    for path in beside:  # drawn for half a line, and not shrunk into it
        width = re.search(r'width="([\d.]+)pt"', (tmp_path / path).read_text())
        assert width
        assert float(width[1]) / 72 * 25.4 <= TEXT_WIDTH / 2
    assert {"figures/invariance-displacement.svg", "figures/invariance-factors.svg"} < set(paths)
    assert {file.stem for file in (tmp_path / "tables").glob("*.tex")} >= set(printed_tables(told))
    assert not tables_left_out(tmp_path)
    saved = pd.read_csv(tmp_path / "tables" / "findings.csv", keep_default_na=False)
    np.testing.assert_allclose(saved["value"], told.findings["value"])


def test_scenes_are_spoken_of_where_images_are_scenes(told: Content) -> None:
    photos = {**told.run["data_card"], "name": "scenes_2024", "known_factors": []}
    assert phrases.OF_SCENES in limits(told)
    assert phrases.OF_SCENES not in limits(replace(told, run={**told.run, "data_card": photos}))


def test_counts_agree_with_their_verbs(told: Content) -> None:
    words = ["supported", "not supported", "not supported", "inconclusive"]
    several = told.findings.iloc[[0] * len(words)].assign(finding=1, aspect="", level="", word=words)
    part = replace(told.parts[0], tables={"verdicts": several.assign(encoder="vicreg").drop(columns="paper")})
    sentence, _ = in_short(replace(told, parts=[part]))
    assert "1 of 4 agrees with the paper (2 disagree, 1 open)" in sentence


def finished(probe: str, encoder: str, told: list[dict[str, Any]], folder: Path = Path()) -> FinishedRun:
    return FinishedRun(probe, (encoder,), folder, {}, {"sections": [{"blocks": told}]}, {})


def test_runs_whose_names_begin_alike_are_not_confused() -> None:
    told = [blocks.figure("training-augmentations", "Lead.", "", "")]
    encoders = ("timm/resnet50", "timm/resnet50_gn", "timm/resnet50-gn", "python:module:build")
    runs_of = [finished("invariance", encoder, told, Path(f"run-{n}")) for n, encoder in enumerate(encoders)]
    (shown,) = side_by_side(load_probe("invariance"), runs_of, 1)
    assert [picture["title"] for picture in shown.block["pictures"]] == list(encoders)
    names = [Path(picture["path"]).stem for picture in shown.block["pictures"]]
    where = [shown.pictures[name] for name in names]
    assert where == [run.folder / "figures" / "training-augmentations" for run in runs_of]
    assert not any(":" in name for name in names)


def test_tables_of_several_encoders_become_one_with_the_encoder_in_front() -> None:
    def table(*columns: str) -> dict[str, Any]:
        return blocks.table(Table("places", "Lead. Rest.", columns, (tuple("x" for _ in columns),)))

    probe = replace(load_probe("occlusion"), shown_in={})
    runs_of = [
        finished("occlusion", "a", [table("level")]),
        finished("occlusion", "b", [table("level")]),
        finished("occlusion", "c", [table("level", "cover")]),
    ]
    first, second = side_by_side(probe, runs_of, 0)
    assert first.table is not None
    assert first.table.columns == ("encoder", "level")
    assert first.table.rows == (("a", "x"), ("b", "x"))
    assert second.block["columns"] == ["encoder", "level", "cover"]
    assert first.block["name"] != second.block["name"]
    assert not list(side_by_side(probe, runs_of, 1))
    assert not list(side_by_side(replace(probe, shown_in={1: ()}), runs_of, 0))  # it belongs to a finding


def test_what_is_said_of_several_encoders_is_said_of_each_where_it_differs() -> None:
    same, own = "The lead. It ends.", "The lead. It ends so. More."
    assert said_of({"a": same, "b": same}) == same
    assert (
        said_of({"a": same, "b": own, "c": own}) == "The lead. Of a: It ends. Of b and c: It ends so. Of b and c: More."
    )
    rows = [verdict(4, name, "supported") | {"statistic": f"FD-{name} of sets"} for name in ("a", "b")]
    part = FinishedRun("generate", ("a",), Path(), {"arguments": {}}, {}, {"verdicts": pd.DataFrame(rows)})
    said = " ".join(rules(Content([part], None, {"a": True, "b": True}, {}, {}), 4))
    assert "Of a: FD-a of sets." in said
    assert "Of b: FD-b of sets." in said


def test_what_is_lacking_is_said_with_its_remedy(told: Content) -> None:
    without = replace(told, kept=None, lacking={"Nothing was drawn.": "Train an RCDM."})
    shown = json.dumps(document(without))
    assert "Nothing was drawn." in shown
    assert "This finding was not tested." in shown
    assert document(without)["figure"] is None


def test_a_folder_without_a_finished_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(str(tmp_path))):
        read_run(tmp_path)


@dataclass(frozen=True)
class OneNumber:
    """A study of nothing but its facts."""

    facts: dict[str, Any]
    probe: Probe = field(default_factory=lambda: load_probe("invariance"))


@dataclass(frozen=True)
class Found:
    """Its result: the run that lies in a folder."""

    facts: dict[str, Any]
    folder: Path

    def save(self, folder: Path) -> None:
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)


def one_number(seed: int) -> OneNumber:
    cards = {name: invariance_facts()[name] for name in ("encoder_card", "data_card")}
    arguments = {"encoder": "vicreg", "seed": seed}
    facts = runs.collect_facts("invariance", command="c", arguments=arguments, hashes={}, device="cpu", **cards)
    return OneNumber({**facts, "git_commit": "c0ffee"})


def test_a_finished_run_is_taken_and_another_seed_is_not(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conducted: list[int] = []

    def counted(study: OneNumber, **_: Any) -> Found:
        conducted.append(study.facts["seed"])
        return Found(study.facts, folders[1])

    def carried_out(seed: int) -> Path:
        return run_step(one_number(seed), tmp_path).folder

    monkeypatch.setattr("rcdm_probe.conduct.conduct", counted)
    first, again, other = carried_out(0), carried_out(0), carried_out(1)
    assert first == again != other
    assert conducted == [0, 1]


def test_a_probe_that_fails_late_is_lacking_and_the_others_are_kept(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_collapsed(study: OneNumber, **_: Any) -> Found:
        if study.facts["seed"] == 0:
            raise UserError("vicreg/projector is the same for all images", "leave it out")
        return Found(study.facts, folders[1])

    monkeypatch.setattr("rcdm_probe.conduct.conduct", first_collapsed)
    study = prepare(Asked(["vicreg"], rcdm="none"), scale="quick", root=tmp_path)
    failing, going = one_number(0), one_number(1)
    result = conduct(replace(study, steps=(failing, going)))
    assert [part.probe for part in result.parts] == ["invariance"]
    why = result.lacking["The probe invariance was not run on vicreg."]
    assert why == "vicreg/projector is the same for all images: leave it out."
    assert why in json.dumps(document(result))
    with pytest.raises(UserError, match="the same for all images"):
        conduct(replace(study, steps=(failing,)))


def test_probes_that_want_more_images_are_lacking_before_anything_is_measured(tmp_path: Path) -> None:
    for number in range(24):
        Image.new("RGB", (8, 8), (10 * number, 0, 0)).save(tmp_path / f"{number}.png")
    study = prepare(Asked(["vicreg"], tmp_path), scale="quick")
    assert [step.probe.name for step in study.steps] == ["invariance", "interpolate"]
    assert "60" in study.lacking["The probe manipulate was not run on vicreg."]
    assert "40" in study.lacking["The probe fidelity was not run on vicreg."]


def test_where_no_probe_can_be_run_it_is_said_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise UserError("too few images", "take more")

    monkeypatch.setattr("rcdm_probe.conduct.prepare", refused)
    with pytest.raises(UserError, match="too few images"):
        prepare(Asked(["vicreg"], rcdm="none"), scale="quick")


def test_encoders_are_named_or_given_one_or_several(command: Callable[..., Result], tmp_path: Path) -> None:
    study = prepare(Asked(load_encoder("vicreg"), rcdm="none"), scale="quick")
    assert study.facts["arguments"]["encoder"] == "vicreg"
    for option in ("--encoder", "--encoders"):
        out = tmp_path / option
        made = facts_of(command, "reproduce", option, "vicreg", "--rcdm", "none", "--quick", out=out)
        assert made["arguments"] == study.facts["arguments"]


BY_HAND = {
    "invariance": ("invariance", "--encoder", "supervised"),
    "adversarial": ("adversarial", "--encoder", "supervised", "--encoder", "vicreg"),
    "interpolate": ("interpolate", "--encoder", "supervised"),
    "manipulate": ("manipulate", "--encoder", "supervised"),
    "fidelity": ("fidelity", "--encoder", "supervised", "--encoder", "vicreg"),
}
"""The command that runs a probe with its default settings, as a user types it."""


@pytest.fixture(scope="module")
def steps() -> dict[str, runs.Facts]:
    """Facts of the first step of every probe, where everything is at its default."""
    study = prepare(Asked(ENCODERS), scale="full")
    return {step.probe.name: step.facts for step in reversed(study.steps)}


@pytest.mark.parametrize("probe", BY_HAND)
def test_a_run_made_by_hand_is_taken(
    command: Callable[..., Result], steps: dict[str, runs.Facts], probe: str, tmp_path: Path
) -> None:
    made = facts_of(command, *BY_HAND[probe], out=tmp_path / "run")
    for what in ("probe", "arguments", "hashes"):
        assert steps[probe][what] == made[what]


def test_steps_are_known_by_the_rcdm_that_was_asked_for_and_open_nothing_again() -> None:
    study = prepare(Asked(["vicreg"], rcdm="embedded"), scale="quick")
    for step in study.steps:
        assert step.context.encoder == study.encoders[0]
        if step.probe.needs.decoder != "no":
            assert step.facts["arguments"]["rcdm"] == "embedded"
            assert step.context.decoder == study.rcdms["vicreg"]
        assert set(filter(None, step.facts["hashes"].values())) <= set(study.facts["hashes"].values())
    assert {"vicreg", "rcdm of vicreg", "judge", "data"} <= study.facts["hashes"].keys()
    assert len(set(study.facts["hashes"].values())) == len(study.facts["hashes"])


def test_weights_of_ones_own_are_those_of_every_probe(command: Callable[..., Result], tmp_path: Path) -> None:
    study = prepare(Asked(ENCODERS, weights={"vicreg": "random"}, rcdm="none"), scale="full")
    made = {step.probe.name: step.facts for step in study.steps}
    assert made["invariance"]["arguments"]["weights"] == "random"  # the last of the two is vicreg's
    assert made["adversarial"]["arguments"]["weights"] == "vicreg=random"
    by_hand = facts_of(
        command, "invariance", "-e", "vicreg", "--weights", "random", "--rcdm", "none", out=tmp_path / "run"
    )
    for what in ("arguments", "hashes"):
        assert made["invariance"][what] == by_hand[what]
    assert study.facts["hashes"]["vicreg"] == by_hand["hashes"]["encoder"]
    with pytest.raises(UserError, match="encoder of --weights 'dino'"):
        prepare(Asked(ENCODERS, weights={"dino": "random"}))


def test_the_reference_is_an_encoder_that_is_known_to_be_supervised() -> None:
    names = ["dino", "barlow", "supervised"]
    for told, reference in ({"barlow": "own:supervised"}, "barlow"), ({}, "supervised"):
        study = prepare(Asked(names, weights=told, rcdm="none"), scale="quick")
        (step,) = (step for step in study.steps if step.probe.name == "adversarial")
        assert step.facts["arguments"]["reference"] == reference


def test_mistakes_are_told_before_anything_is_measured() -> None:
    with pytest.raises(UserError, match="vicreg"):
        prepare(Asked(["vicrag"]))
    with pytest.raises(UserError, match="quick"):
        prepare(Asked(["vicreg"]), scale="quik")


def test_one_encoder_alone_lacks_finding_3_and_says_so() -> None:
    study = prepare(Asked(["vicreg"]), scale="quick")
    names = ["invariance", "generate", "interpolate", "manipulate", "fidelity", "occlusion", "similarity"]
    assert [step.probe.name for step in study.steps] == names
    assert any("Finding 3" in what for what in study.lacking)
    result = conduct(replace(study, steps=()))
    assert result.kept is not None
    assert result.kept.images.shape[1] == 3  # the image, backbone, projector


TINY = {
    "invariance": {
        "images": 20, "gallery": 20, "rendered": 2, "varied": 2, "samples": 2, "pictures": 1, "compared": 1, "steps": 1,
        "transformations": TRAINED[:1],
    },
    "interpolate": {"pairs": 10, "points": 4, "paths": ("linear",), "pictures": 1, "steps": 1},
    "manipulate": {"images": 20, "gallery": 60, "moved": 2, "strengths": (-2.0, 2.0), "steps": 1},
    "generate": {"count": 20, "gallery": 40, "steps": 1},
    "fidelity": {"images": 20, "gallery": 40, "compared": 0, "swept_images": 0, "pictures": 1, "steps": 1},
    "occlusion": {"images": 20, "gallery": 20, "places": 2, "pictures": 1},
    "similarity": {"images": 20, "ranked": 20},
}  # fmt: skip


def test_the_command_runs_the_probes_and_tells_what_they_found(
    command: Callable[..., Result], tiny_rcdm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tiny(name: str) -> Probe:
        return replace(load_probe(name), quick=TINY.get(name, {}))

    monkeypatch.setattr("rcdm_probe.reproduction.load_probe", tiny)
    result = command("reproduce", "--encoders", "vicreg", "--quick", "--rcdm", tiny_rcdm, "--out", "paper")
    assert result.exit_code == 0, result.output
    assert "Finding 3 was not tested." in result.output
    parts = [read_run(folder) for folder in (tmp_path / "runs").iterdir()]
    assert sorted(part.probe for part in parts) == sorted(TINY)
    assert all(part.run["finished"] for part in parts)
    assert (tmp_path / "paper" / "report.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "paper" / "report.html").is_file()
    told = pd.read_csv(tmp_path / "paper" / "tables" / "findings.csv", keep_default_na=False)
    theirs = pd.concat([part.tables["verdicts"] for part in parts if "verdicts" in part.tables])
    assert set(told["finding"]) == {1, 2, 4, 0}
    ours, wanted = (sorted(zip(table["finding"], table["value"], strict=True)) for table in (told, theirs))
    np.testing.assert_allclose(ours, wanted)


def test_the_table_of_the_terminal_fits_80_columns_and_cuts_no_word() -> None:
    words, names = ("supported", "not supported", "inconclusive"), ("supervised", "simclr", "vicreg", "barlow", "dino")
    rows = [
        {"finding": 4, "aspect": aspect, "level": "projector", "encoder": name, "word": words[place % 3],
         "value": -0.41, "low": -0.61, "high": value, "bound": 0.0}
        for aspect in ("side effects", "neighbourhood")
        for place, name in enumerate(names)
        for value in (-0.21,)
    ]  # fmt: skip
    rows.append({**rows[0], "encoder": "few", "value": float("nan")})
    rows.append({**rows[0], "finding": 0, "aspect": "fewer places", "level": ""})
    console = Console(file=(out := StringIO()), width=80)
    console.print(_summary(pd.DataFrame(rows)))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    told = " ".join(lines)
    assert all(told.count(word) >= 2 for word in (*words, *names))
    assert "too few images" in told
    assert "beyond: fewer places" in told
    assert "…" not in told


def test_of_an_encoder_whose_augmentations_were_not_told_no_mark_says_that_it_was_not_trained_so() -> None:
    doses = {name: TRANSFORMATIONS[name].reference for name in ("crop", "blur")}
    rows = [
        {"level": level, "condition": name, "strength": dose, "relative_displacement": 0.3,
         "relative_displacement_low": 0.2, "relative_displacement_high": 0.4}
        for level in ("backbone", "projector") for name, dose in doses.items()
    ]  # fmt: skip

    def legend(*told: tuple[str, ...]) -> set[str]:
        runs_of = [
            FinishedRun(
                "invariance", (f"e{n}",), Path(), {"encoder_card": {"training_augmentations": names}}, {},
                {"displacement": pd.DataFrame(rows)},
            )
            for n, names in enumerate(told)
        ]  # fmt: skip
        return {text.get_text() for text in displacement_across(runs_of).legends[0].get_texts()}

    trained, other, untold = "the encoder was trained with it", "it was not", "that was not told"
    assert legend(("crop",), ("crop", "blur")) >= {trained, other}
    assert untold not in legend(("crop",))
    assert legend(("crop", "blur"), ()) & {trained, other, untold} == {trained, untold}


def test_distances_in_spaces_of_their_own_are_not_called_after_the_first() -> None:
    rows = [{"level": level, "kind": kind, "frechet": 1.0, "frechet_low": 0.9, "frechet_high": 1.1}
            for level, kind in ((None, "real"), ("backbone", "between"))]  # fmt: skip

    def axis(*distances: str) -> str:
        runs_of = [
            FinishedRun(
                "generate", (f"e{n}",), Path(), {"features_card": {"distance": of}}, {}, {"kinds": pd.DataFrame(rows)}
            )
            for n, of in enumerate(distances)
        ]
        return kinds_across(runs_of).get_supxlabel()

    assert axis("FID", "FID") == "FID from other real images"
    assert "FD-a" not in axis("FD-a", "FD-b")
