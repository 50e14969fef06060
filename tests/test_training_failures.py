"""Trainings that cannot go on: one line that says why, and what was there stays as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from rcdm_core.errors import UserError
from rcdm_core.training import BEFORE, Learner, TrainingSettings, join_processes, train

SETTINGS = TrainingSettings(steps=12, batch_size=4, learning_rate=1e-2, precision="no", checkpoint_every=5)


class Linear(Learner):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(2, 1)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.net(batch).square().mean()


def begin(folder: Path, *, bad_from: int = 100, settings: TrainingSettings = SETTINGS) -> None:
    def draw(step: int, positions: slice) -> torch.Tensor:
        return torch.full((4, 2), float("nan") if step >= bad_from else 1.0)

    train(Linear(), draw, settings, folder=folder)


@pytest.mark.parametrize("bad_from, kept, told", [(7, 5, "checkpoint of step 5 is kept"), (2, None, "no checkpoint")])
def test_a_training_that_diverges_stops_and_keeps_the_last_good_checkpoint(
    tmp_path: Path, bad_from: int, kept: int | None, told: str
) -> None:
    with pytest.raises(UserError, match=f"diverged at step {bad_from + 1}: lower the learning rate .--lr.; .*{told}"):
        begin(tmp_path, bad_from=bad_from)
    checkpoint = tmp_path / "checkpoint.pt"
    assert checkpoint.is_file() == (kept is not None)
    if kept is not None:
        state = torch.load(checkpoint, weights_only=True)
        assert state["step"] == kept
        assert state["network"]["net.weight"].isfinite().all()


def test_divergence_at_the_last_step_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="diverged at step 12"):
        begin(tmp_path, bad_from=11)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 10


def test_one_gpu_by_its_number_is_refused() -> None:
    with pytest.raises(UserError, match="training on cuda:1 alone: .*CUDA_VISIBLE_DEVICES=1, use --device cuda"):
        join_processes("cuda:1")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="the state of a training cannot be kept in .*file.*make room there"):
        begin(tmp_path / "file" / "mine")


def test_a_full_disk_is_told_and_the_checkpoint_before_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(tmp_path, settings=replace(SETTINGS, steps=1))

    def full(state: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("[enforce fail at inline_container.cc] . unexpected pos 64 vs 0\nframe #0")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(UserError, match="the checkpoint cannot be kept in .*unexpected pos") as raised:
        begin(tmp_path)
    assert "\n" not in str(raised.value)
    assert torch.load(tmp_path / BEFORE, weights_only=True)["step"] == 1
    assert {path.name for path in tmp_path.iterdir()} == {BEFORE, "losses.csv"}
    monkeypatch.undo()
    begin(tmp_path)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 12
