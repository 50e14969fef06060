"""The training loop: resumed equals uninterrupted, however it was ended; the schedule, the log, the average, looks."""

from __future__ import annotations

import csv
import os
import signal
import time
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_training import processes, train_small
from torch import nn

from rcdm_core.progress import showing
from rcdm_core.training import Callbacks, Learner, TrainingSettings, learning_rate, train

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

SETTINGS = TrainingSettings(
    steps=12, batch_size=8, learning_rate=1e-2, warmup=3, ema_decay=0.9, precision="no", checkpoint_every=5
)


class Regression(Learner):
    """A small network with batch norm and noise, so that buffers and random draws are part of the state."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 1))

    def forward(self, batch):
        x, y = batch
        return (self.net(x + 0.1 * torch.randn_like(x)) - y).square().mean()


def draw(step: int, positions: slice):
    x = torch.randn(SETTINGS.batch_size, 4)
    return x, x.sum(1, keepdim=True)


def trained(folder, progress=lambda items, description, total: items):
    torch.manual_seed(0)
    learner = Regression()
    with showing(progress):
        train(learner, draw, SETTINGS, folder=folder)
    return learner


def losses(folder) -> list[tuple[int, float]]:
    with (folder / "losses.csv").open() as file:
        return [(int(row["step"]), float(row["loss"])) for row in csv.DictReader(file)]


@pytest.mark.parametrize("killed_after", [1, 5, 8, 11])
def test_resumed_training_is_the_uninterrupted_one(tmp_path, killed_after):
    class Killed(Exception):
        pass

    def dying(items, description, total):
        yield from islice(items, killed_after)
        raise Killed

    whole = trained(tmp_path / "whole")
    with pytest.raises(Killed):
        trained(tmp_path / "parts", progress=dying)
    torch.manual_seed(12345)  # whatever was drawn in between does not matter
    resumed = trained(tmp_path / "parts")
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_a_finished_training_is_not_trained_again(tmp_path):
    first = trained(tmp_path)
    again = trained(tmp_path)
    assert len(losses(tmp_path)) == SETTINGS.steps
    for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_training_ends_on_the_average_and_learns(tmp_path):
    learner = trained(tmp_path)
    last = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["network"]
    assert not torch.equal(learner.net[0].weight, last["net.0.weight"])
    assert not learner.training
    values = [loss for _, loss in losses(tmp_path)]
    assert values[-1] < values[0]


@given(st.integers(10, 1000), st.floats(0.1, 0.9), st.integers(1, 9))
def test_learning_rate_rises_stays_and_falls_to_nothing(steps, cooldown, warmup):
    settings = TrainingSettings(steps=steps, batch_size=1, learning_rate=2.0, warmup=warmup, cooldown=cooldown)
    rates = [learning_rate(step, settings) for step in range(steps)]
    assert all(0 < rate <= 2.0 for rate in rates)
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] <= 2.0 / max(cooldown * steps, 1) * 1.001


def test_looks_see_the_average_and_change_nothing(tmp_path):
    plain = trained(tmp_path / "plain")
    torch.manual_seed(0)
    learner, seen = Regression(), {}

    def look(done: int) -> None:
        assert not learner.training
        seen[done] = learner.net[0].weight.clone()
        torch.randn(3)

    train(learner, draw, SETTINGS, folder=tmp_path / "watched", callbacks=Callbacks(look=look, every=5))
    assert list(seen) == [5, 10, 12]
    assert torch.equal(seen[12], learner.net[0].weight)  # what it ends with
    assert losses(tmp_path / "watched") == losses(tmp_path / "plain")
    assert torch.equal(plain.net[0].weight, learner.net[0].weight)


def test_a_look_that_was_interrupted_is_taken_again(tmp_path):
    def interrupted(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(Regression(), draw, SETTINGS, folder=tmp_path, callbacks=Callbacks(look=interrupted, every=7))
    seen = []
    train(Regression(), draw, SETTINGS, folder=tmp_path, callbacks=Callbacks(look=seen.append, every=7))
    assert seen == [7, 12]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_to_stop_finishes_the_step_and_keeps_it(tmp_path, number):
    def asked(items, description, total):
        for step in items:
            if step == 7:
                os.kill(os.getpid(), number)
            yield step

    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, progress=asked)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 8
    assert signal.getsignal(number) == before
    trained(tmp_path)
    trained(tmp_path / "whole")
    assert losses(tmp_path) == losses(tmp_path / "whole")


def test_killed_ten_times_training_ends_with_the_same_weights(tmp_path):
    """SIGKILL, at ten random moments, to the process that trains an RCDM and looks at held-out images."""
    settings = {"steps": 24, "batch_size": 4, "checkpoint_every": 3, "every": 12}
    separately = processes()

    def begin(folder: Path) -> ForkServerProcess:
        process = separately.Process(target=train_small, args=(folder,), kwargs=settings)
        process.start()
        return process

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    begin(whole).join()
    log = killed / "training" / "losses.csv"
    random = np.random.default_rng(0)
    for target in np.sort(random.choice(np.arange(1, 22), size=10, replace=False)):
        process = begin(killed)
        while not (log.is_file() and log.read_text().count("\n") > target):
            assert process.is_alive()
            time.sleep(0.002)
        time.sleep(random.uniform(0, 0.03))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert not (killed / "rcdm.json").exists()
    (last := begin(killed)).join()
    assert last.exitcode == 0

    for name in ("unet/diffusion_pytorch_model.safetensors", "heads.safetensors", "fidelity.csv"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    columns = ["step", "loss", "gradient_norm"]
    tables = [pd.read_csv(folder / "training" / "losses.csv")[columns] for folder in (killed, whole)]
    pd.testing.assert_frame_equal(*tables)
    assert {path.name for path in (killed / "training").iterdir()} == {"checkpoint.pt", "looks.parquet", "losses.csv"}
