"""Run folders: written before computing, found again after an interruption, never mixed up, never half written."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from rcdm_core.data.folder import open_folder
from rcdm_core.data.imageset import ImageSet, part_of
from rcdm_core.errors import UserError
from rcdm_probe import provenance, runs


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
    assert {"torch", "pillow"} <= known["versions"].keys()
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


def test_encoders_whose_training_is_told_otherwise_are_another_run(tmp_path: Path) -> None:
    cards = [{"self_supervised": told, "training_augmentations": ["crop"]} for told in ("not told", True)]
    first, same, other = (
        runs.begin({**facts(), "encoder_card": cards[which]}, out=None, root=tmp_path).folder for which in (0, 0, 1)
    )
    assert first == same != other
    with pytest.raises(UserError, match="training was told otherwise"):
        runs.begin({**facts(), "encoder_card": cards[1]}, out=first)


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


@pytest.mark.parametrize(
    "change, told",
    [
        ({"hashes": {"encoder": "def"}}, "other weights or data"),
        ({"versions": {"torch": "0"}}, "other versions of packages"),
        ({"git_commit": "c0ffee-dirty-01234567"}, "other code"),
        ({"probe": "fidelity"}, "another probe"),
    ],
)
@pytest.mark.parametrize("is_finished", [True, False])
def test_out_of_a_run_of_something_else_is_refused_and_kept(
    tmp_path: Path, change: dict[str, object], told: str, is_finished: bool
) -> None:
    first = runs.begin(facts(), out=tmp_path)
    (first.parts / "geometry").write_text("old")
    if is_finished:
        first.close()
        first.finish()
    before = (tmp_path / "run.json").read_bytes()
    with pytest.raises(UserError, match=told):
        runs.begin({**facts(), **change}, out=tmp_path)
    assert (tmp_path / "run.json").read_bytes() == before
    assert first.parts.exists() is not is_finished


PLACES: dict[str, tuple[Callable[[Path], object] | None, str]] = {
    "taken": (lambda place: (place.mkdir(), (place / "report.pdf").write_text("a year's work")), "holds report.pdf"),
    "hidden": (lambda place: (place / ".git").mkdir(parents=True), "holds .git"),
    "list": (lambda place: (place.mkdir(), (place / "run.json").write_text("[1]")), "damaged, or no run"),
    "number": (lambda place: (place.mkdir(), (place / "run.json").write_text("7")), "damaged, or no run"),
    "theirs": (lambda place: (place.mkdir(), (place / "run.json").write_text('{"probe": "train"}')), "damaged, or no"),
    "bytes": (lambda place: (place.mkdir(), (place / "run.json").write_bytes(b"\xff")), "damaged, or no run"),
    "empty": (lambda place: (place.mkdir(), (place / "run.json").write_bytes(b"")), "damaged, or no run"),
    "folder": (lambda place: (place / "run.json").mkdir(parents=True), "damaged, or no run"),
    "pipe": (lambda place: (place.mkdir(), os.mkfifo(place / "run.json")), "damaged, or no run"),
    "file": (lambda place: place.write_text("mine"), "cannot write in"),
    "link": (lambda place: place.symlink_to(place.parent / "nowhere" / "at all"), "cannot write in"),
    "loop": (lambda place: place.symlink_to(place), "cannot write in"),
    "x" * 300: (None, "cannot write in"),
    "nul\0": (None, "cannot write in"),
    "/": (None, "and no run of this program"),
    "/proc/run": (None, "cannot write in"),
    "/dev/null/run": (None, "cannot write in"),
}
"""Places to write in that are refused: how they come to be, and what is told."""


@pytest.mark.parametrize("name", PLACES)
def test_what_is_not_ours_is_refused_and_left_as_it_was(tmp_path: Path, name: str) -> None:
    make, told = PLACES[name]
    place = tmp_path / name
    if make is not None:
        make(place)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=told) as raised:
        runs.begin(facts(), out=place)
    assert "\n" not in str(raised.value)
    with pytest.raises(UserError, match=told):
        runs.save(place, records=pd.DataFrame(), facts=facts(), write=lambda folder: folder)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("litter", [".DS_Store", runs.LOCK, ".12-0123abcd-run.json", runs.PARTS])
def test_a_folder_with_nothing_of_anybody_is_as_good_as_empty(tmp_path: Path, litter: str) -> None:
    (tmp_path / litter).mkdir()
    if litter != runs.LOCK:
        assert not runs.begin(facts(), out=tmp_path).resumed
        return
    with pytest.raises(UserError, match="cannot write in"):  # whatever it is, it is not our lock
        runs.begin(facts(), out=tmp_path)


def test_a_folder_that_has_gone_below_ones_feet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    for out in (Path("out"), None):
        with pytest.raises(UserError, match="cannot write in"):
            runs.begin(facts(), out=out)


def test_starts_at_once_each_get_a_folder(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        begun = list(pool.map(lambda seed: runs.begin(facts(seed=seed), out=None, root=tmp_path), range(64)))
    assert len({run.folder for run in begun}) == 64
    for seed, run in enumerate(begun):
        known = runs.read_facts(run.folder)
        assert known is not None
        assert known["seed"] == seed


def test_a_slow_second_start_leaves_the_first_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = runs._make
    monkeypatch.setattr(runs, "_make", lambda folder: (make(folder), first.append(start()), folder)[-1])
    first: list[object] = []

    def start() -> object:
        monkeypatch.setattr(runs, "_make", make)
        lock = (run := runs.begin(facts(), out=tmp_path)).locked()
        lock.__enter__()
        (run.parts / "part").touch()
        return lock

    second = runs.begin(facts(), out=tmp_path)
    assert (second.parts / "part").exists()
    with pytest.raises(UserError, match="under way"), second.locked():
        pass
    first[0].__exit__(None, None, None)  # type: ignore[attr-defined]
    with second.locked():
        assert second.resumed


def test_parts_without_their_record_are_not_used(tmp_path: Path) -> None:
    first = runs.begin(facts(), out=tmp_path)
    (first.parts / "geometry").write_text("old")
    (tmp_path / "run.json").unlink()
    assert list(runs.begin(facts(), out=tmp_path).parts.iterdir()) == []


def test_a_run_that_is_under_way_is_not_begun_again(tmp_path: Path) -> None:
    first, second = (runs.begin(facts(), out=None, root=tmp_path) for _ in range(2))
    assert first.folder == second.folder
    with first.locked(), pytest.raises(UserError, match="under way in"), second.locked():
        pass
    with second.locked():
        first.finish()


@pytest.mark.parametrize("error", [NotImplementedError(), OSError(errno.ENOLCK, "No locks available")])
def test_a_file_system_without_locks_is_worked_on_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    def unsupported(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(runs.FileLock, "acquire", unsupported)
    with runs.begin(facts(), out=tmp_path).locked():
        assert "has no locks" in capsys.readouterr().err


def test_results_of_two_runs_are_not_saved_into_one_folder(tmp_path: Path) -> None:
    def save(known: runs.Facts) -> None:
        table = pd.DataFrame({"value": [1.0]})
        runs.save(tmp_path, records=table, facts=known, write=lambda folder: folder / "report.pdf")

    save(facts())
    save(facts())
    with pytest.raises(UserError, match="other arguments"):
        save(facts(seed=5))


@pytest.fixture
def photos(tmp_path: Path) -> ImageSet:
    for name in ("cats", "dogs"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "photos" / name / "a.png")
    return open_folder(tmp_path / "photos", image_size=8)


@pytest.mark.parametrize("out", ["photos", "photos/cats", "photos/../photos"])
def test_a_run_does_not_write_among_its_images(tmp_path: Path, photos: ImageSet, out: str) -> None:
    for images in (photos, part_of(photos, np.array([0]), trained_on=0, held_out=1)):
        with pytest.raises(UserError, match="images"):
            runs.keep_apart(tmp_path / out, images)


def test_a_new_folder_among_the_images_is_none_of_theirs(tmp_path: Path, photos: ImageSet) -> None:
    out = tmp_path / "photos" / "run"
    for _ in range(2):  # new, and there already
        runs.keep_apart(out, photos)
        run = runs.begin(facts(), out=out)
        (run.folder / "figures").mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(run.folder / "figures" / "a.png")
        again = open_folder(tmp_path / "photos", image_size=8)
        assert again.fingerprint == photos.fingerprint
        assert again.class_names == photos.class_names


def test_two_edits_are_two_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        subprocess.run(["git", "-C", str(tmp_path), *who, *arguments], check=True, capture_output=True)

    code = tmp_path / "package" / "provenance.py"
    code.parent.mkdir()
    code.write_bytes(b"one\n")
    git("init")
    git("add", ".")
    git("commit", "-m", "one")
    monkeypatch.setattr(provenance, "__file__", str(code))
    clean = provenance.git_commit()
    code.write_bytes(b"two \xff\n")  # not UTF-8
    edited = provenance.git_commit()
    git("add", ".")
    assert provenance.git_commit() == edited  # the same code, staged
    code.write_bytes(b"three\n")
    assert edited.startswith(f"{clean}-dirty-")
    third = provenance.git_commit()
    assert len({clean, edited, third}) == 3
    found = {third}
    for text in ("one", "two"):  # a probe of one's own, which is added to the repository when it is done
        (tmp_path / "probes").mkdir(exist_ok=True)
        (tmp_path / "probes" / "mine.py").write_text(text)
        found.add(provenance.git_commit())
    (tmp_path / "notes.txt").write_text("no code")
    assert len(found | {provenance.git_commit()}) == 3


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
