"""One training loop for everything that is trained here, resumable to the same losses.

Nothing random outlives a step: the batch of step ``k`` and every draw made on it are functions of ``(seed, k)``, so the
state of a training is its weights, its optimiser's moments and the number ``k``. A run that was interrupted and went on
is the run that was not.

The learning rate follows warm-up, plateau and cool-down (Hägele et al. 2024):
``lr * min(1, k / warmup, (K - k) / cooldown)``.
"""

from __future__ import annotations

import csv
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from torch import nn

from rcdm_core.atomic import atomic_path
from rcdm_core.progress import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Learner(nn.Module, ABC):
    """A module whose forward pass is the scalar training loss of a batch."""

    @abstractmethod
    def forward(self, batch: Any) -> torch.Tensor:
        """The loss of a batch."""

    def after_step(self, fraction: float) -> None:
        """Called after each optimiser step with the fraction of the training done, in (0, 1]; nothing by default."""


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How a network is trained.

    Attributes:
        steps: Optimiser steps.
        batch_size: Images a step, over all processes.
        learning_rate: Plateau of the schedule.
        weight_decay: Decoupled (AdamW), on every matrix and kernel; vectors are exempt.
        warmup: Steps of linear rise.
        cooldown: Fraction of the steps over which the rate falls linearly to zero.
        ema_decay: Decay of the moving average of the weights; 0 for none.
        gradient_clip: Largest norm of the gradient.
        precision: ``"bf16"`` or ``"no"``.
        seed: Of weights, batches and noise.
        checkpoint_every: Steps between checkpoints.
    """

    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.05
    warmup: int = 100
    cooldown: float = 0.4
    ema_decay: float = 0.0
    gradient_clip: float = 1.0
    precision: str = "bf16"
    seed: int = 0
    checkpoint_every: int = 100


def learning_rate(step: int, settings: TrainingSettings) -> float:
    """Rate of step ``step`` (from 0): warm-up, plateau, cool-down."""
    rise = (step + 1) / max(settings.warmup, 1)
    fall = (settings.steps - step) / max(settings.cooldown * settings.steps, 1)
    return settings.learning_rate * min(1.0, rise, fall)


def train(
    learner: Learner,
    draw: Callable[[int], Any],
    settings: TrainingSettings,
    *,
    folder: Path,
    description: str,
    device: str = "cpu",
    progress: Progress = silent,
) -> None:
    """Train a learner, or go on from the checkpoint in its folder.

    Args:
        learner: A `Learner`.
        draw: Step number to batch, on any device; seeded by the caller's own means or by torch's generator, which is
            set from ``(seed, step)`` before each call.
        settings: How to train.
        folder: Where ``checkpoint.pt`` and ``losses.csv`` are kept.
        description: What the progress bar says.
        device: ``"cpu"`` or ``"cuda"``.
        progress: Wraps the loop over steps.

    The learner ends with the averaged weights where there is an average, in evaluation mode.
    """
    accelerator = Accelerator(cpu=device == "cpu")  # its own mixed precision is one for all trainings of a process
    folder.mkdir(parents=True, exist_ok=True)
    network = learner.to(accelerator.device)
    trainable = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(_groups(trainable, settings.weight_decay), betas=(0.9, 0.99), fused=True)
    average = _average(trainable, settings.ema_decay) if settings.ema_decay else None
    checkpoint = folder / "checkpoint.pt"
    first = _restore(checkpoint, network, optimizer, average)
    log = folder / "losses.csv"
    _truncate(log, first)
    prepared = accelerator.prepare(network)

    network.train()
    began = time.perf_counter()
    for step in progress(range(first, settings.steps), description, settings.steps - first):
        torch.manual_seed(settings.seed * 1_000_003 + step)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, settings)
        with torch.autocast(accelerator.device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
            loss = prepared(draw(step))
        accelerator.backward(loss)
        norm = accelerator.clip_grad_norm_(trainable, settings.gradient_clip)
        optimizer.step()
        optimizer.zero_grad()
        learner.after_step((step + 1) / settings.steps)
        if average is not None:
            average.step(trainable)
        now = time.perf_counter()
        _append(log, step, loss=loss.item(), gradient_norm=float(norm), seconds=now - began)
        began = now
        if (step + 1) % settings.checkpoint_every == 0 or step + 1 == settings.steps:
            _save(checkpoint, step + 1, network, optimizer, average)
    if average is not None:
        average.copy_to(trainable)
    network.eval()


def _average(parameters: list[nn.Parameter], decay: float) -> EMAModel:
    return EMAModel(parameters, decay=decay, use_ema_warmup=True, power=0.75, foreach=True)


def _groups(parameters: list[nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    matrices = [p for p in parameters if p.ndim > 1]
    vectors = [p for p in parameters if p.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]


def _save(
    path: Path, step: int, network: nn.Module, optimizer: torch.optim.Optimizer, average: EMAModel | None
) -> None:
    state: dict[str, Any] = {"step": step, "network": network.state_dict(), "optimizer": optimizer.state_dict()}
    if average is not None:
        state["average"] = average.state_dict()
    with atomic_path(path) as temporary:
        torch.save(state, temporary)


def _restore(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, average: EMAModel | None) -> int:
    """Load a checkpoint if there is one; the number of the next step."""
    if not path.is_file():
        return 0
    state = torch.load(path, weights_only=True, map_location="cpu")
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    if average is not None:
        average.load_state_dict(state["average"])
        average.to(next(network.parameters()).device)
    return state["step"]


def _append(path: Path, step: int, **values: float) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["step", *values])
        writer.writerow([step, *values.values()])


def _truncate(path: Path, step: int) -> None:
    """Drop what was logged after the checkpoint that training goes on from."""
    if path.is_file():
        header, *rows = path.read_text().splitlines(keepends=True)
        path.write_text("".join([header, *(row for row in rows if int(row.split(",")[0]) < step)]))
