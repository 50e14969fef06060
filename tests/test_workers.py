"""Work shared out: what comes out is the same whoever computed it, and an end comes at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pandas as pd
import pytest
import torch

from probes.invariance import PROBE
from rcdm_core.sharing import shared_out
from rcdm_probe.conduct import conduct, prepare

FEW = {"images": 20, "gallery": 20, "transformations": ("noise", "horizontal_flip"), "rcdm": "none"}


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [2], indirect=True)
def test_records_are_the_same_of_one_worker_and_of_several(threads: int) -> None:
    study = prepare(PROBE, "vicreg", level="backbone", **FEW)
    several = conduct(study).records
    torch.set_num_threads(1)
    pd.testing.assert_frame_equal(several, conduct(study).records, check_exact=True)


def test_results_come_in_order_and_operations_have_one_thread_each(threads: int) -> None:
    both = threading.Barrier(min(threads, 2))

    def work(item: int) -> tuple[int, int]:
        both.wait(60)  # several are worked on at once
        return item, torch.get_num_threads()

    assert list(shared_out(work, range(6))) == [(item, 1) for item in range(6)]
    assert torch.get_num_threads() == threads


def test_after_an_error_nothing_more_is_begun(threads: int) -> None:
    begun = []

    def work(item: int) -> None:
        begun.append(item)
        if item == 1:
            raise KeyboardInterrupt
        threading.Event().wait(0.01 * item)

    with pytest.raises(KeyboardInterrupt):
        list(shared_out(work, range(50)))
    assert len(begun) < 20
    assert torch.get_num_threads() == threads
