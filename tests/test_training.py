"""The training loop: resumed equals uninterrupted, the schedule, the log, the average."""

from __future__ import annotations

import csv
from itertools import islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from rcdm_core.training import Learner, TrainingSettings, learning_rate, train

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
    train(learner, draw, SETTINGS, folder=folder, description="test", progress=progress)
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
