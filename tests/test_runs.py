"""Run folders: written before computing, found again after an interruption, never mixed up, never half written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from rcdm_core.errors import UserError
from rcdm_probe import runs


def facts(**arguments: object) -> runs.Facts:
    known = runs.collect_facts(
        "invariance",
        command="rcdm-probe invariance --encoder vicreg",
        arguments={"encoder": "vicreg", "seed": 0, "levels": ("backbone",), **arguments},
        hashes={"encoder": "abc"},
        device="cpu",
    )
    return {**known, "git_commit": "c0ffee"}  # a commit made while the tests run is no other code to these tests


def test_the_record_stands_before_anything_is_computed(tmp_path: Path) -> None:
    run = runs.begin(facts(), out=None, root=tmp_path / "runs")
    known = json.loads((run.folder / "run.json").read_text())
    assert known["arguments"]["encoder"] == "vicreg"
    assert known["versions"]["torch"]
    assert known["machine"]["memory_gb"] > 0
    assert known["finished"] is None
    assert run.folder.name == f"{known['started'][:10]}-invariance-vicreg"


def test_a_folder_is_named_by_letters_that_every_system_allows(tmp_path: Path) -> None:
    run = runs.begin(facts(encoder="python:package.module:build"), out=None, root=tmp_path)
    assert run.folder.name.endswith("-invariance-python-package.module-build")


def test_an_interrupted_run_goes_on_in_its_folder(tmp_path: Path) -> None:
    first = runs.begin(facts(), out=None, root=tmp_path)
    (first.parts / "geometry").write_text("done")
    second = runs.begin(facts(), out=None, root=tmp_path)
    assert second.folder == first.folder
    assert second.resumed
    assert (second.parts / "geometry").read_text() == "done"
    assert second.facts["started"] == first.facts["started"]
    assert len(second.facts["resumed"]) == 1


@pytest.mark.parametrize("change", [{"seed": 1}, {"levels": ("backbone", "projector")}, {"encoder": "simclr"}])
def test_other_arguments_get_their_own_folder(tmp_path: Path, change: dict[str, object]) -> None:
    first = runs.begin(facts(), out=None, root=tmp_path)
    second = runs.begin(facts(**change), out=None, root=tmp_path)
    assert second.folder != first.folder
    assert not second.resumed


def test_other_weights_get_their_own_folder(tmp_path: Path) -> None:
    first = runs.begin(facts(), out=None, root=tmp_path)
    second = runs.begin({**facts(), "hashes": {"encoder": "def"}}, out=None, root=tmp_path)
    assert second.folder != first.folder


def test_a_finished_run_is_left_alone(tmp_path: Path) -> None:
    first = runs.begin(facts(), out=None, root=tmp_path)
    first.close()
    first.finish()
    known = runs.read_facts(first.folder)
    assert known is not None
    assert known["finished"]
    assert known["seconds"] >= 0
    assert known["peak_memory_gb"] > 0
    assert not first.parts.exists()
    assert runs.begin(facts(), out=None, root=tmp_path).folder.name == f"{first.folder.name}-2"


def test_out_is_taken_exactly_and_continued(tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    first = runs.begin(facts(), out=out)
    assert first.folder == out
    assert runs.begin(facts(), out=out).resumed


def test_out_of_another_run_is_refused_and_kept(tmp_path: Path) -> None:
    runs.begin(facts(), out=tmp_path)
    before = (tmp_path / "run.json").read_bytes()
    with pytest.raises(UserError, match="other arguments"):
        runs.begin(facts(seed=5), out=tmp_path)
    assert (tmp_path / "run.json").read_bytes() == before


def test_parts_of_other_weights_are_not_used_again(tmp_path: Path) -> None:
    first = runs.begin(facts(), out=tmp_path)
    (first.parts / "geometry").write_text("old")
    second = runs.begin({**facts(), "hashes": {"encoder": "def"}}, out=tmp_path)
    assert not second.resumed
    assert list(second.parts.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot write in .*file"):
        runs.begin(facts(), out=tmp_path / "file" / "run")
    with pytest.raises(UserError, match="cannot write in"):
        runs.begin(facts(), out=None, root=tmp_path / "file")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_read_only_folder_is_the_users_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot write in"):
        runs.begin(facts(), out=tmp_path / "run")


def test_a_damaged_record_of_another_run_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "run.json").write_text('{"half": ')
    assert not runs.begin(facts(), out=None, root=tmp_path).resumed


def test_slashes_in_an_encoders_name_make_no_folders(tmp_path: Path) -> None:
    run = runs.begin(facts(encoder="imagenet/vicreg"), out=None, root=tmp_path)
    assert run.folder.parent == tmp_path
