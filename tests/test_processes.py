"""Several processes about one probe: each takes parts that nobody else is about, and the records are those of one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
import torch
from filelock import FileLock

import rcdm_probe
from probes.stages import Stages
from rcdm_core.sharing import Busy, completed, processes, taken, unless_busy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FEW = {"images": 20, "gallery": 40, "batch-size": 16, "rcdm": "none"}


@pytest.fixture
def one_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")


@contextmanager
def taken_elsewhere(path: Path) -> Iterator[Callable[[], None]]:
    """As another process takes a part: by another thread, until what this gives is called."""
    begun, over = threading.Event(), threading.Event()

    def hold() -> None:
        with FileLock(path.with_name(f".{path.name}.lock")):
            begun.set()
            over.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    begun.wait()
    yield over.set
    over.set()
    thread.join()


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


def test_two_processes_give_the_records_of_one(tmp_path: Path) -> None:
    words = [f"--{name}={value}" for name, value in FEW.items()]
    command = [sys.executable, "-m", "rcdm_probe", "invariance", "--encoder", "vicreg", "--transformation", "blur"]
    own = {**os.environ, "WORLD_SIZE": "2", "RCDM_PROBE_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    both = [
        subprocess.Popen(
            [*command, "--transformation", "hue", *words, "--out", "run"],
            cwd=tmp_path,
            env={**own, "RANK": rank},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in "01"
    ]
    told = [one.communicate(timeout=300)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], told
    assert "Report: run/report.pdf" in told[0]
    assert "Report" not in told[1]
    assert not (tmp_path / "run" / ".rcdm-probe-parts").exists()
    settings = {name.replace("-", "_"): value for name, value in FEW.items()}
    alone = rcdm_probe.invariance("vicreg", transformations=("blur", "hue"), **settings)
    alone.records.to_parquet(tmp_path / "alone.parquet", index=False)
    together, records = (pd.read_parquet(tmp_path / name) for name in ("run/records.parquet", "alone.parquet"))
    pd.testing.assert_frame_equal(together, records, check_exact=True)
