"""Kept files: a turned bit, a cut, another's content are noticed, told and made again; full disks end in a line."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from test_runs import facts
from test_store import Images, filled
from test_training import losses, trained

from probes.adversarial.target import train_classifier
from probes.stages import Stages
from rcdm_core import kept
from rcdm_core.errors import UserError
from rcdm_core.kept import NotKept, keeping
from rcdm_core.training import BEFORE, CHECKPOINT
from rcdm_probe import runs

TENSORS = {
    "h": torch.arange(12.0).view(3, 4),
    "mask": torch.tensor([True, False]),
    "pixels": torch.arange(5, dtype=torch.uint8),
}
TABLE = pd.DataFrame({"value": np.arange(20) / 7, "name": list("abcdefghijklmnopqrst")})


def keep_tensors(path: Path, other: bool = False) -> None:
    kept.save_tensors({name: t.flip(0) if other else t for name, t in TENSORS.items()}, path)


def keep_table(path: Path, other: bool = False) -> None:
    kept.save_table(TABLE[::-1] if other else TABLE, path)


def keep_state(path: Path, other: bool = False) -> None:
    with kept.sealed(path) as temporary:
        torch.save({"step": 2 if other else 1, "network": TENSORS}, temporary)


KINDS: dict[str, Callable[..., None]] = {
    "a.safetensors": keep_tensors,
    "a.parquet": keep_table,
    "a.pt": keep_state,
}


def damages(whole: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Turned bits, cuts, nothing at all, zeros, more than there was."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        content = bytearray(whole)
        content[random.integers(len(whole))] ^= 1 << int(random.integers(8))
        yield bytes(content)
        yield whole[: random.integers(len(whole))]
    yield from (b"", bytes(len(whole)), whole + b"\0", whole[1:], whole[:-1], whole + whole)


@pytest.mark.parametrize("name", KINDS)
def test_every_damage_is_noticed_and_told(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "key" / name
    path.parent.mkdir()
    assert not kept.is_sound(path)
    KINDS[name](path)
    assert kept.is_sound(path)
    assert capsys.readouterr().err == ""
    for content in damages(path.read_bytes(), 20, seed=len(name)):
        path.write_bytes(content)
        assert not kept.is_sound(path)
        assert capsys.readouterr().err == f"rcdm-probe: {path} is damaged; what it held is made again\n"
    path.unlink()
    KINDS[name](path)
    for other in (tmp_path / "key" / f"b{name}", tmp_path / "other" / name):  # sound, and in another's place
        other.parent.mkdir(exist_ok=True)
        KINDS[name](other, other=True)
        shutil.copy(other, path)
        assert not kept.is_sound(path)


@pytest.mark.parametrize("made", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_no_kept_one(tmp_path: Path, made: Callable[[Path], None]) -> None:
    path = tmp_path / "run.json"
    made(path)
    assert not kept.is_sound(path)
    assert kept.load_json(path) is None


def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    keep_tensors(tmp_path / "a")
    found = kept.load_tensors(tmp_path / "a")
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in TENSORS.items())
    keep_table(tmp_path / "b")
    pd.testing.assert_frame_equal(kept.load_table(tmp_path / "b"), TABLE)
    content = {"name": "caf\udce9 \N{WHITE SMILING FACE}", "numbers": [0.1, 3, None]}
    kept.save_json(content, tmp_path / "c")
    assert kept.load_json(tmp_path / "c") == content
    assert json.loads((tmp_path / "c").read_text(encoding="utf-8"))["name"] == content["name"]


def test_json_with_another_content_is_none(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    content = {"probe": "invariance", "seed": 12345, "finished": None, "names": ["a", "b"]}
    kept.save_json(content, path)
    for damaged in damages(path.read_bytes(), 60, seed=1):
        path.write_bytes(damaged)
        assert kept.load_json(path) in (None, content)  # a last line break may go
    for foreign in (b"[1]", b'{"mine": 1}', b"\xff", b"[" * 100_000, b"9" * 10_000, b'{"probe": "train"}'):
        path.write_bytes(foreign)
        assert kept.load_json(path) is None


def all_equal(one: object, other: object) -> bool:
    if isinstance(one, pd.DataFrame):
        return one.equals(other)
    return torch.equal(one, other)  # type: ignore[arg-type]


def from_stage_table(folder: Path) -> object:
    return Stages(folder, "key").table("found", lambda: TABLE)


def from_stage_tensor(folder: Path) -> object:
    return Stages(folder, "key").tensor("found", lambda: TENSORS["mask"])


def from_classifier(folder: Path) -> object:
    h = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    return train_classifier(h, (h[:, 0] > 0).long(), 2, cache=folder).weight


def from_store(folder: Path) -> object:
    return filled(folder, Images(12, 12))[1].representations("backbone", np.arange(12))


@pytest.mark.parametrize("damage", [b"", b"another's"])
@pytest.mark.parametrize("compute", [from_stage_table, from_stage_tensor, from_classifier, from_store])
def test_what_is_damaged_is_made_again(
    tmp_path: Path, compute: Callable[[Path], object], damage: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    first = copy.deepcopy(compute(tmp_path))  # a tensor may be mapped
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    path.write_bytes(damage or bytes([content[0] ^ 4]) + content[1:])
    torch.manual_seed(0)
    assert all_equal(first, compute(tmp_path))
    assert f"{path} is damaged" in capsys.readouterr().err
    assert path.read_bytes() == content


@pytest.mark.parametrize("damaged", [(CHECKPOINT,), (CHECKPOINT, BEFORE), (BEFORE,)])
def test_a_training_goes_on_from_what_is_sound(tmp_path: Path, damaged: tuple[str, ...]) -> None:
    class Killed(Exception):
        pass

    def dying(items, description, total):
        for step in items:
            if step == 11:
                raise Killed
            yield step

    whole = trained(tmp_path / "whole")
    with pytest.raises(Killed):
        trained(tmp_path / "parts", progress=dying)
    for name in damaged:
        (tmp_path / "parts" / name).write_bytes((tmp_path / "parts" / name).read_bytes()[:-7])
    (tmp_path / "parts" / "losses.csv").write_text("no table")
    begins = []
    resumed = trained(tmp_path / "parts", progress=lambda items, *_: begins.append(items.start) or items)
    assert begins == [{1: 5, 2: 0}[len(damaged)] if damaged[0] == CHECKPOINT else 10]
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    assert {path.name for path in (tmp_path / "parts").iterdir()} == {CHECKPOINT, "losses.csv"}


def test_files_of_a_finished_run_are_taken_as_they_were_left_only(tmp_path: Path) -> None:
    def write(folder: Path) -> Path:
        (folder / "tables").mkdir()
        (folder / "tables" / "a.csv").write_text("value\n1.25\n")
        (folder / "report.json").write_text("{}")
        return folder / "report.pdf"

    run = runs.begin(facts(), out=None, root=tmp_path)
    run.close()
    with run.locked():
        runs.save(run.folder, records=TABLE, facts=run.facts, write=write)
        run.finish()
    assert runs.finished(facts(), root=tmp_path) == run.folder
    for name in ("tables/a.csv", "report.json", "records.parquet"):
        content = (run.folder / name).read_bytes()
        (run.folder / name).write_bytes(content[:-1])
        assert runs.finished(facts(), root=tmp_path) is None
        (run.folder / name).unlink()
        assert runs.finished(facts(), root=tmp_path) is None
        (run.folder / name).write_bytes(content)
    assert runs.finished(facts(), root=tmp_path) == run.folder


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=False).returncode:
        pytest.skip("only the superuser mounts a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


LARGE = torch.randn(100_000)


def keep_checkpoint(path: Path) -> None:
    with kept.sealed(path) as temporary:
        torch.save({"h": LARGE}, temporary)


@pytest.mark.parametrize("disk", ["size=64k", "size=200k,ro", "nr_inodes=1"])
@pytest.mark.parametrize(
    "write",
    [
        lambda path: kept.save_tensors({"h": LARGE}, path),
        lambda path: kept.save_table(pd.DataFrame({"h": LARGE.numpy()}), path),
        lambda path: kept.save_json({"h": LARGE.tolist()}, path),
        keep_checkpoint,
    ],
)
def test_a_full_disk_is_told_in_a_line(tmp_path: Path, write: Callable[[Path], None], disk: str) -> None:
    with small_disk(tmp_path / "disk", disk) as folder:
        with pytest.raises(NotKept) as raised, keeping("a thing", folder):
            write(folder / "thing")
        assert "\n" not in str(raised.value)
        assert list(folder.iterdir()) == []


@pytest.mark.parametrize("disk", ["size=4k", "nr_inodes=1", "nr_inodes=2", "nr_inodes=3", "nr_inodes=4", "ro"])
def test_a_run_on_a_full_disk_is_told_and_goes_on_after(tmp_path: Path, disk: str) -> None:
    with small_disk(tmp_path / "disk", disk) as folder:

        def measure() -> torch.Tensor:
            run = runs.begin(facts(), out=folder / "out")
            with run.locked():
                return Stages(run.parts, "key").tensor("found", lambda: LARGE)

        with pytest.raises(UserError, match="cannot write in|cannot be kept in"):
            measure()
        if disk != "ro":
            subprocess.run(["mount", "-o", "remount,size=9m,nr_inodes=99", folder], check=True)
            assert torch.equal(measure(), LARGE)


@pytest.mark.skipif(os.name != "posix", reason="there are no modes")
def test_what_is_written_can_be_read_by_whom_the_umask_lets(tmp_path: Path) -> None:
    (plain := tmp_path / "plain").touch()
    kept.save_tensors({"h": torch.zeros(2)}, tmp_path / "h.safetensors")
    assert (tmp_path / "h.safetensors").stat().st_mode == plain.stat().st_mode
