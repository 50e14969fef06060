"""The report: what was measured is in it, what was not is named, and no name of a folder can break it."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pandas as pd
import pytest
from left_behind import tables_left_out
from planted_content import TRAINED, content, run

from probes.invariance import in_short
from probes.page import document, write
from probes.transformations import TRANSFORMATIONS
from reports.pdf import compile_pdf
from reports.provenance import provenance

NASTY = r'/data/#_$%@* [a](b) <c> `d` \e "f" // ünï/very_long_name_without_any_blank_that_goes_on_and_on_and_on_and_on'


@pytest.fixture(scope="module")
def full(invariance_report):
    return invariance_report[0]


@pytest.fixture(scope="module")
def plain():
    few = {"transformations": TRAINED, "images": 30}
    return content(**few, levels=("backbone",), rcdm=False, factors=False, data=NASTY)


@pytest.fixture(scope="module")
def folder(invariance_report):
    return invariance_report[1]


@pytest.fixture(scope="module")
def plain_folder(plain, tmp_path_factory):
    path = tmp_path_factory.mktemp("plain")
    write(plain, path)
    return path


def test_a_single_transformation_is_not_compared_with_itself():
    alone = content(transformations=("grayscale",), images=30, rcdm=False, factors=False)
    told = next(iter(in_short(alone)))["items"][0]
    assert told.startswith("At its reference dose, grayscale moves the backbone by ")
    assert not {"most", "least"} & set(told.split())


def blocks_of(document, kind):
    return [block for section in document["sections"] for block in section["blocks"] if block["kind"] == kind]


def test_a_report_is_a_pdf_of_several_pages(folder):
    pdf = (folder / "report.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert 6 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 14


def test_every_figure_is_there_in_both_formats_and_every_table_in_its_own(full, folder):
    names = [block["path"] for block in [document(full)["figure"], *blocks_of(document(full), "figure")]]
    for name in names:
        assert (folder / name).is_file()
        assert (folder / name).with_suffix(".png").is_file()
    printed = {*full.printed, "verdicts"}
    assert {path.stem for path in (folder / "tables").glob("*.tex")} == printed
    data = set(full.tables) | {"verdicts"}
    assert {path.stem for path in (folder / "tables").glob("*.csv")} == data | printed
    assert "doses" in printed
    assert not tables_left_out(folder)


def test_a_csv_is_of_numbers_where_there_are_such_and_else_as_read(full, folder):
    saved = pd.read_csv(folder / "tables" / "comparison.csv")
    assert len(saved) == len(full.tables["comparison"])
    assert list(saved) == list(full.tables["comparison"])
    doses = pd.read_csv(folder / "tables" / "doses.csv", dtype=str, keep_default_na=False)
    assert list(doses.itertuples(index=False, name=None)) == list(full.printed["doses"].rows)


def test_a_dose_is_printed_as_it_is(full):
    told = {row[0].removeprefix("● "): tuple(map(float, row[2].split(", "))) for row in full.printed["doses"].rows}
    assert told == {entry.label: entry.doses for entry in TRANSFORMATIONS.values()}


def test_the_first_page_has_the_verdicts_with_their_numbers(full):
    shown = document(full)["verdicts"]
    assert [entry["word"] for entry in shown] == [verdict.word for verdict in full.verdicts]
    for entry, verdict in zip(shown, full.verdicts, strict=True):
        assert entry["interval"] == f"[{verdict.low:.2f}, {verdict.high:.2f}]".replace("-", "−")
        assert verdict.rule == entry["rule"]


def test_what_was_not_measured_is_named_with_the_way_to_get_it(full, plain):
    assert not blocks_of(document(full), "missing")
    named = " ".join(block["what"] for block in blocks_of(document(plain), "missing"))
    for thing in ("pictures", "projector", "Factors"):
        assert thing in named
    assert all(block["remedy"] for block in blocks_of(document(plain), "missing"))
    commands = dict(row for block in blocks_of(document(plain), "pairs") for row in block["rows"])
    assert commands["train"].startswith("rcdm-probe train --encoder vicreg --level backbone")
    assert commands["then"].endswith("--rcdm DIR")


def test_a_level_that_the_rcdm_does_not_know_is_named(full):
    known = replace(full, run={**full.run, "drawn_levels": ["backbone"]})
    (block,) = blocks_of(document(known), "missing")
    assert block["what"] == "No pictures were drawn from projector."
    assert "rcdm-probe train --encoder vicreg --level projector" in block["remedy"]


def test_scenes_without_an_rcdm_show_what_is_present_alone(tmp_path):
    write(content(transformations=TRAINED[:1], levels=("backbone",), images=30, rcdm=False), tmp_path)
    assert (tmp_path / "figures" / "factors.svg").is_file()
    assert not (tmp_path / "tables" / "variance.csv").exists()


def test_a_user_folder_without_anything_compiles_whatever_its_name(plain, plain_folder):
    assert (plain_folder / "report.pdf").stat().st_size > 10_000
    assert NASTY in document(plain)["subtitle"]
    assert not (plain_folder / "tables" / "factors.csv").exists()


def test_no_verdict_is_said_and_breaks_nothing(plain, plain_folder):
    card = {**plain.run["encoder_card"], "training_augmentations": ["solarize"]}  # none of those that were measured
    told = document(replace(plain, run={**plain.run, "encoder_card": card}))
    assert told["verdicts"] == []
    assert compile_pdf(told, plain_folder, name="no-verdict.pdf").is_file()


def test_a_level_with_a_slash_in_its_name_is_no_folder(tmp_path):
    few = {"transformations": TRAINED[:1], "images": 30}
    other = content(**few, levels=("trunk/layer3",), rcdm=False, factors=False)
    write(other, tmp_path)
    assert (tmp_path / "tables" / "transformations-trunk-layer3.tex").is_file()


def test_the_document_is_json_and_the_same_every_time(full):
    assert json.dumps(document(full), allow_nan=False) == json.dumps(document(full), allow_nan=False)


def test_the_same_document_gives_the_same_bytes(full, folder, tmp_path):
    again = compile_pdf(document(full), folder, name="again.pdf")
    assert again.read_bytes() == (folder / "report.pdf").read_bytes()


def test_all_facts_of_the_run_are_in_the_provenance():
    facts = run()
    text = json.dumps(provenance(facts), ensure_ascii=False)
    wanted = [facts["git_commit"], *facts["hashes"].values(), *facts["versions"].values(), facts["machine"]["cpu"]]
    assert all(str(value) in text for value in wanted)
    assert "95 s" in text
    assert "2.31 GB" in text


def test_a_hash_that_several_share_is_one_line():
    hashes = {"rcdm of simclr": "ab" * 32, "rcdm of vicreg": "ab" * 32, "judge": "cd" * 32, "data": ""}
    lines = dict(provenance({**run(), "hashes": hashes})[0]["rows"])
    told = {name: value for name, value in lines.items() if name.startswith("SHA-256")}
    assert told == {"SHA-256 of rcdm of simclr and rcdm of vicreg": "ab" * 32, "SHA-256 of judge": "cd" * 32}


def test_a_run_that_went_on_says_which_time_it_gives():
    text = json.dumps(provenance({**run(), "resumed": ["2026-01-02T10:21:00+01:00"]}))
    assert "95 s since it was last resumed" in text


def test_each_leg_of_a_training_is_a_line():
    facts = run()
    facts["encoder_card"]["training"] = {"images": 9, "legs": [{"images": 5}, {"images": 4, "settings": {"steps": 2}}]}
    text = json.dumps(provenance(facts))
    assert '"training legs 1", "images 5"' in text
    assert '"training legs 2", "images 4, settings steps 2"' in text


def test_machine_paths_are_cut_but_the_users_own_stay():
    facts = run(data="/home/me/pictures")
    facts["data_card"]["skipped_files"] = ["/home/me/pictures/broken.png"]
    facts["arguments"]["rcdm"] = "/given/by/me"
    facts["versions"]["torch"] = "/opt/secret/place/torch"
    text = json.dumps(provenance(facts))
    assert "/given/by/me" in text
    assert "/home/me/pictures/broken.png" not in text
    assert "broken.png" in text
    assert "/opt/secret" not in text


def test_text_of_a_user_is_never_read_as_markup(full, folder):
    card = {**full.run["encoder_card"], "name": "#panic() $x^ *b* @nowhere <lab>"}
    strange = replace(full, run={**full.run, "encoder_card": card}, panels=(), maps=())
    told = document(strange)
    compile_pdf(told, folder, name="strange.pdf")  # `#panic()` would stop it, `@nowhere` too
