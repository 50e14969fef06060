"""Several processes about one probe: each takes parts that nobody else is about, and the records are those of one."""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
import torch
from filelock import FileLock
from small_training import processes as separately
from small_training import run_command

import rcdm_probe
from probes.stages import Stages
from rcdm_core.errors import UserError
from rcdm_core.sharing import Busy, completed, processes, taken, unless_busy
from rcdm_probe import runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FEW = {"images": 20, "gallery": 40, "batch-size": 16, "rcdm": "none"}


@pytest.fixture
def one_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")


@contextmanager
def locked_elsewhere(path: Path) -> Iterator[Callable[[], None]]:
    """As another process locks a file: by another thread, until what this gives is called."""
    begun, over = threading.Event(), threading.Event()

    def hold() -> None:
        with FileLock(path):
            begun.set()
            over.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    begun.wait()
    yield over.set
    over.set()
    thread.join()


def taken_elsewhere(path: Path) -> AbstractContextManager[Callable[[], None]]:
    """As another process takes a part."""
    return locked_elsewhere(path.with_name(f".{path.name}.lock"))


def made(folder: Path, name: str, by: list[str]) -> torch.Tensor:
    """A kept part; who makes it is noted."""

    def compute() -> torch.Tensor:
        by.append(name)
        return torch.tensor([float(len(name))])

    return Stages(folder).tensor(name, compute)


def test_a_part_of_another_process_is_passed_over_and_waited_for_at_the_end(one_of_two: None, tmp_path: Path) -> None:
    names, here = ["a", "bb", "ccc"], []

    def work(name: str) -> torch.Tensor:
        return made(tmp_path, name, here)

    with taken_elsewhere(tmp_path / "bb-.safetensors") as let_go:
        tried = [unless_busy(work, name) for name in names]
        assert [isinstance(one, Busy) for one in tried] == [False, True, False]
        assert here == ["a", "ccc"]
        threading.Timer(0.3, let_go).start()  # that process has died: its part is free again
        assert [one.item() for one in completed(tried, work, names)] == [1, 2, 3]
    assert here == ["a", "ccc", "bb"]


def test_who_comes_second_finds_what_the_first_has_made(one_of_two: None, tmp_path: Path) -> None:
    here: list[str] = []
    both = [threading.Thread(target=made, args=(tmp_path, "part", here)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert here == ["part"]


def test_nothing_is_locked_where_there_is_one_process(tmp_path: Path) -> None:
    assert processes() == 1
    with taken_elsewhere(tmp_path / "part"), taken(tmp_path / "part"):
        pass
    assert list(completed(map(partial(unless_busy, str), [1, 2]), str, [1, 2])) == ["1", "2"]


@pytest.fixture
def second(one_of_two: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(runs, "_PATIENCE", 0.5)


def facts() -> runs.Facts:
    return runs.collect_facts(
        "invariance", command="", arguments={"encoder": "vicreg", "seed": 0}, hashes={}, device="cpu"
    )


def test_who_is_not_the_first_waits_no_longer_than_the_first_may_take_to_begin(second: None, tmp_path: Path) -> None:
    for out in (None, tmp_path / "new"):
        with pytest.raises(UserError, match=r"process 1 has waited .* for the first \(RANK=0\): it is not there"):
            runs.begin(facts(), out=out, root=tmp_path)


def test_what_the_first_refuses_the_others_refuse(second: None, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(UserError, match=r"holds thesis\.txt and no run"):
        runs.begin(facts(), out=tmp_path)


def test_others_wait_for_the_report_while_the_first_is_at_work(
    second: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as first:
        first.setenv("RANK", "0")
        folder = runs.begin(facts(), out=tmp_path / "run").folder
    run, begun = runs.begin(facts(), out=folder), time.monotonic()
    with locked_elsewhere(folder / runs.LOCK) as let_go:
        threading.Timer(1.5, let_go).start()  # the first has died
        with pytest.raises(UserError, match="it is not there"):
            run.carry_out(None, lambda study, workdir: None)
    assert time.monotonic() - begun > 1.5


def test_two_processes_give_the_records_of_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    words = [f"--{name}={value}" for name, value in FEW.items()]
    command = ("invariance", "--encoder", "vicreg", "--transformation", "blur", "--transformation", "hue", *words)
    own, told = {"WORLD_SIZE": "2", "RCDM_PROBE_CACHE": str(tmp_path / "cache")}, [tmp_path / rank for rank in "01"]
    both = [
        separately().Process(
            target=run_command, args=(tmp_path, (*command, "--out", "run"), {**own, "RANK": path.name}, path)
        )
        for path in told
    ]
    for one in both:
        one.start()
    for one in both:
        one.join(300)
    said = [path.read_text() for path in told]
    assert [one.exitcode for one in both] == [0, 0], said
    assert "Report: run/report.pdf" in said[0]
    assert "Report" not in said[1]
    assert not (tmp_path / "run" / ".rcdm-probe-parts").exists()
    settings = {name.replace("-", "_"): value for name, value in FEW.items()}
    monkeypatch.setenv("RCDM_PROBE_CACHE", str(tmp_path / "another"))  # representations of batches of the same size
    alone = rcdm_probe.invariance("vicreg", transformations=("blur", "hue"), **settings)
    alone.records.to_parquet(tmp_path / "alone.parquet", index=False)
    together, records = (pd.read_parquet(tmp_path / name) for name in ("run/records.parquet", "alone.parquet"))
    pd.testing.assert_frame_equal(together, records, check_exact=True)
