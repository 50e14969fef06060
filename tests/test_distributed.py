"""A batch may be cut in any way, over processes and over time, and stays the same batch."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pandas as pd
import pytest
import torch
from small_training import LOOP, processes, train_small, train_small_among

from rcdm_core.errors import UserError
from rcdm_core.rcdm.objective import random_draws


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The training in one process, batches whole."""
    folder = tmp_path_factory.mktemp("alone")
    train_small(folder)
    return folder


def assert_the_same_training(one: Path, other: Path) -> None:
    """Losses and gradients of every step, which depend on all weights before it, and what the average ends with."""
    losses = [pd.read_csv(folder / "training" / "losses.csv") for folder in (one, other)]
    assert losses[0]["step"].tolist() == losses[1]["step"].tolist() == list(range(LOOP["steps"]))
    torch.testing.assert_close(*(torch.tensor(table["loss"]) for table in losses), rtol=1e-5, atol=0)
    torch.testing.assert_close(*(torch.tensor(table["gradient_norm"]) for table in losses), rtol=1e-4, atol=0)
    found = [pd.read_csv(folder / "fidelity.csv") for folder in (one, other)]
    assert found[0]["level"].tolist() == found[1]["level"].tolist() == ["backbone", "projector"]
    torch.testing.assert_close(*(torch.tensor(table["held-out loss"]) for table in found), rtol=1e-4, atol=0)


def test_two_processes_train_as_one_with_twice_the_batch(alone: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    ranks = [{**place, "RANK": rank, "LOCAL_RANK": rank} for rank in ("0", "1")]
    both = [processes().Process(target=train_small_among, args=(rank, tmp_path), daemon=True) for rank in ranks]
    for process in both:
        process.start()
    for process in both:
        process.join(300)
        assert process.exitcode == 0
    card = json.loads((tmp_path / "rcdm.json").read_text())
    assert card["training"]["processes"] == 2
    assert_the_same_training(alone, tmp_path)


def test_what_accelerate_launch_sets_changes_no_training(alone: Path, tmp_path: Path) -> None:
    launched = {"ACCELERATE_MIXED_PRECISION": "bf16", "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "4"}
    process = processes().Process(target=train_small_among, args=(launched, tmp_path), daemon=True)
    process.start()
    process.join(300)
    assert process.exitcode == 0
    assert_the_same_training(alone, tmp_path)


@pytest.mark.parametrize("parts", [2, 8])  # 8: a part is one image, of one level
def test_accumulated_gradients_are_those_of_the_whole_batch(alone: Path, tmp_path: Path, parts: int) -> None:
    train_small(tmp_path, accumulate=parts)
    assert_the_same_training(alone, tmp_path)


def test_a_batch_that_cannot_be_cut_evenly_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="multiple of 3"):
        train_small(tmp_path, accumulate=3)


def test_draws_belong_to_positions() -> None:
    whole = random_draws(5, slice(0, 8), batch_size=8, image_size=4, seed=1)
    parts = [random_draws(5, slice(i, i + 2), batch_size=8, image_size=4, seed=1) for i in range(0, 8, 2)]
    assert torch.equal(whole.noise, torch.cat([part.noise for part in parts]))
    assert torch.equal(whole.quantiles, torch.cat([part.quantiles for part in parts]))
    assert sorted((whole.quantiles * 8).long().tolist()) == list(range(8))  # one in each interval
    assert not torch.equal(whole.noise, random_draws(6, slice(0, 8), batch_size=8, image_size=4, seed=1).noise)
