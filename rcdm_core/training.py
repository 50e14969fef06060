"""One training loop for everything that is trained here, in one process or many, resumable to the same losses.

Nothing random outlives a step: the batch of step ``k`` and every draw made on it are functions of ``(seed, k)`` and of
the position in the batch. So the state of a training is its weights, its optimiser's moments and the number ``k``, and
a run that was interrupted and went on is the run that was not. Two checkpoints are kept, the newest and the one before,
each with the log up to its step: where the newest is damaged, training goes on from the other.

A batch is cut into equal *portions*: each process computes ``accumulate`` of them one after the other and adds up their
gradients, and the processes average theirs. As the gradient of a mean is the mean of the gradients, cutting changes
nothing but the rounding, for every loss that is a mean over examples; one that compares the examples of a batch, as in
self-supervised learning, compares those of a portion.

The learning rate follows warm-up, plateau and cool-down (Hägele et al. 2024):
``lr * min(1, k / warmup, (K - k) / cooldown)``.
"""

from __future__ import annotations

import csv
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import GradientAccumulationPlugin, InitProcessGroupKwargs
from diffusers.training_utils import EMAModel
from torch import nn

from rcdm_core import kept
from rcdm_core.errors import UserError
from rcdm_core.interruption import Deferral
from rcdm_core.kept import atomic_path, keeping, remove_unfinished
from rcdm_core.precision import device_of, lowered
from rcdm_core.progress import track

CHECKPOINT, BEFORE, LOSSES = "checkpoint.pt", "checkpoint-before.pt", "losses.csv"
_COLUMNS = ("step", "loss", "gradient_norm", "seconds")
_PATIENCE = timedelta(hours=6)  # that processes wait for the one that evaluates


class Learner(nn.Module, ABC):
    """A module whose forward pass is the scalar training loss of a batch."""

    @abstractmethod
    def forward(self, batch: Any) -> torch.Tensor:
        """The loss of a batch."""

    def after_step(self) -> None:
        """Called after each optimiser step; nothing by default."""

    @property
    def constant(self) -> frozenset[str]:
        """Parameters that training leaves as they are, by name; checkpoints do not hold them. Without gradients is not
        enough: others may be moved by `after_step`.
        """
        return frozenset()


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
        precision: One of `rcdm_core.precision.PRECISIONS`.
        seed: Of weights, batches and noise.
        checkpoint_every: Steps between checkpoints.
        accumulate: Portions that a process computes one after the other in each step, to fit its memory.
    """

    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.05
    warmup: int = 100
    cooldown: float = 0.4
    ema_decay: float = 0.0
    gradient_clip: float = 1.0
    precision: str = "auto"
    seed: int = 0
    checkpoint_every: int = 100
    accumulate: int = 1


@dataclass(frozen=True)
class Callbacks:
    """What is done besides, by whoever trains.

    Attributes:
        begin: Called where no checkpoint is gone on from, before the first step: gives the learner its first weights.
        look: Called in the main process with the number of steps done, at the end too, while the learner holds its
            averaged weights; once more for a step at which it was interrupted. Whether that is enough: training ends.
        every: Steps between two looks; 0 for none.
    """

    begin: Callable[[], None] = lambda: None
    look: Callable[[int], bool | None] = lambda done: None
    every: int = 0


def learning_rate(step: int, settings: TrainingSettings) -> float:
    """Rate of step ``step`` (from 0): warm-up, plateau, cool-down."""
    rise = (step + 1) / max(settings.warmup, 1)
    fall = (settings.steps - step) / max(settings.cooldown * settings.steps, 1)
    return settings.learning_rate * min(1.0, rise, fall)


def join_processes(device: str) -> Accelerator:
    """This process among those that train together; alone unless torchrun or accelerate started several.

    Args:
        device: ``"cpu"``; anything else is the accelerator that belongs to this process.

    Raises:
        UserError: A GPU by its number: which one a process gets is not for it to choose.
    """
    kind, _, number = device.partition(":")
    if number:
        raise UserError(
            f"training on {device} alone",
            f"set the environment variable CUDA_VISIBLE_DEVICES={number}, use --device {kind}",
        )
    # Its own mixed precision would be one for all trainings of a process, and portions are accumulated here. Both are
    # said: what is left out, `accelerate launch` sets by the environment.
    return Accelerator(
        cpu=device == "cpu",
        mixed_precision="no",
        gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
        kwargs_handlers=[InitProcessGroupKwargs(timeout=_PATIENCE)],
    )


def train(
    learner: Learner,
    draw: Callable[[int, slice], Any],
    settings: TrainingSettings,
    *,
    folder: Path,
    of: str = "",
    device: str = "cpu",
    callbacks: Callbacks = Callbacks(),
) -> None:
    """Train a learner, or go on from the checkpoint in its folder.

    Args:
        learner: The same in every process; ends in evaluation mode, with the averaged weights where there are any.
        draw: ``draw(step, positions)`` gives the examples at these positions of the step's batch, on any device; seeded
            by the caller's own means or by torch's generator, which is set from the seed, the step and the first of
            the positions before each call.
        settings: How to train.
        folder: Where checkpoints and ``losses.csv`` are kept, one that all processes share; its name is on the bar.
        of: What is trained on what, as a key: a checkpoint of something else is not gone on from.
        device: ``"cpu"`` or ``"cuda"``.
        callbacks: What to do besides.

    Raises:
        UserError: The batch cannot be cut into equal portions, processes see different checkpoints, the checkpoint is
            of something else, the training has diverged, or the folder cannot be written.
        KeyboardInterrupt: It was stopped (Ctrl-C, SIGTERM); the step under way was finished and kept.
    """
    accelerator = join_processes(device)
    mine = portions(settings, accelerator)
    state = _newest_state(folder, of)
    if state is None:
        callbacks.begin()
    network = learner.to(accelerator.device)
    trainable = [p for p in network.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.99), fused=True)
    decay = settings.ema_decay
    average = EMAModel(trainable, decay, use_ema_warmup=True, power=0.75, foreach=True) if decay else None
    first, log = (0, []) if state is None else _restore(state, network, optimizer, average)
    del state
    starts = accelerator.gather(torch.tensor([first], device=accelerator.device))
    if int(starts.min()) != int(starts.max()):
        raise UserError(f"processes see different checkpoints in {folder}", "use a folder that all machines share")
    if accelerator.is_main_process:
        with keeping("the state of a training", folder):
            remove_unfinished(folder)
            with atomic_path(folder / LOSSES) as temporary, temporary.open("w", newline="") as file:
                csv.writer(file).writerows([_COLUMNS, *([int(step), *values] for step, *values in log)])
    prepared = accelerator.prepare(network)
    saved = first

    def is_due(done: int) -> bool:
        return bool(callbacks.every and done) and (done % callbacks.every == 0 or done == settings.steps)

    def look(done: int) -> bool:
        enough = False
        if is_due(done):
            if accelerator.is_main_process:
                with _at_rest(network, trainable, average):
                    enough = bool(callbacks.look(done))
            told = torch.tensor(float(enough), device=accelerator.device)
            enough = bool(accelerator.reduce(told, reduction="sum"))  # which waits for the main process
        return enough

    enough = look(first)
    network.train()
    began = time.perf_counter()
    with Deferral() as deferral:
        ahead = range(first, first if enough else settings.steps)
        for step in track(ahead, folder.name, len(ahead)):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, settings)
            loss = _backward(accelerator, prepared, draw, step, mine, settings)
            norm = accelerator.clip_grad_norm_(trainable, settings.gradient_clip)
            optimizer.step()
            optimizer.zero_grad()
            learner.after_step()
            if average is not None:
                average.step(trainable)
            # The mean loss of all processes, and whether any was asked to stop: one exchange for both.
            told = torch.stack([loss.float(), torch.tensor(float(deferral.asked), device=loss.device)])
            mean_loss, asked = accelerator.reduce(told, reduction="mean").tolist()
            now = time.perf_counter()
            log.append([step, mean_loss, float(norm), now - began])
            if accelerator.is_main_process:
                with keeping("the log of a training", folder), (folder / LOSSES).open("a", newline="") as file:
                    csv.writer(file).writerow(log[-1])
            began = now
            done = step + 1
            if not math.isfinite(mean_loss + float(norm)):
                rest = f"the checkpoint of step {saved} is kept" if saved else "no checkpoint was kept"
                raise UserError(f"the training diverged at step {done}", f"lower the learning rate (--lr); {rest}")
            if asked or is_due(done) or done % settings.checkpoint_every == 0 or done == settings.steps:
                if accelerator.is_main_process:
                    _save(folder, {"of": of, "step": done, "log": log}, network, optimizer, average)
                saved = done
            if asked:
                raise KeyboardInterrupt
            with deferral.lifted():
                enough = look(done)
            if enough:
                break
    if accelerator.is_main_process:
        (folder / BEFORE).unlink(missing_ok=True)
    if average is not None:
        average.copy_to(trainable)
    network.eval()


def portions(settings: TrainingSettings, processes: Accelerator) -> list[slice]:
    """The positions of the batch that this process among several computes, portion by portion.

    Raises:
        UserError: The batch cannot be cut into equal portions.
    """
    count = processes.num_processes * settings.accumulate
    size, rest = divmod(settings.batch_size, count)
    if rest:
        raise UserError(
            f"a batch of {settings.batch_size} images cannot be cut into {count} equal portions "
            f"({processes.num_processes} processes, {settings.accumulate} accumulated)",
            f"take a batch size that is a multiple of {count}",
        )
    first = processes.process_index * settings.accumulate
    return [slice(i * size, (i + 1) * size) for i in range(first, first + settings.accumulate)]


def _backward(
    accelerator: Accelerator,
    prepared: nn.Module,
    draw: Callable[[int, slice], Any],
    step: int,
    mine: list[slice],
    settings: TrainingSettings,
) -> torch.Tensor:
    """Add up the gradient of a step over the portions of this process; their mean loss, detached."""
    losses = []
    for portion in mine:
        torch.manual_seed(settings.seed * 1_000_003 + step + portion.start * 1_000_000_007)
        waits = portion is not mine[-1]
        with accelerator.no_sync(prepared) if waits else nullcontext():
            with lowered(accelerator.device, settings.precision):
                loss = prepared(draw(step, portion)) / len(mine)
            accelerator.backward(loss)
        losses.append(loss.detach())
    return torch.stack(losses).sum()


@contextmanager
def _at_rest(network: Learner, parameters: list[nn.Parameter], average: EMAModel | None) -> Iterator[None]:
    """Within it the network is in evaluation mode and holds its averaged weights."""
    network.eval()
    if average is not None:
        average.store(parameters)
        average.copy_to(parameters)
    try:
        yield
    finally:
        if average is not None:
            average.restore(parameters)
        network.train()


def _save(
    folder: Path, known: dict[str, Any], network: Learner, optimizer: torch.optim.Optimizer, average: EMAModel | None
) -> None:
    log, constant = torch.tensor(known["log"], dtype=torch.float64), network.constant
    weights = {name: tensor for name, tensor in network.state_dict().items() if name not in constant}
    state = {**known, "log": log, "network": weights, "optimizer": optimizer.state_dict()}
    if average is not None:
        state["average"] = average.state_dict()
    path = folder / CHECKPOINT
    with keeping("the checkpoint", folder):
        if path.is_file():
            path.replace(folder / BEFORE)
        with kept.sealed(path, name=CHECKPOINT) as temporary:
            torch.save(state, temporary)


def _newest_state(folder: Path, of: str) -> dict[str, Any] | None:
    """The newest sound checkpoint; None where there is none.

    Raises:
        UserError: It is of another training.
    """
    for path in (folder / CHECKPOINT, folder / BEFORE):
        if kept.is_sound(path, name=CHECKPOINT):
            state = torch.load(path, weights_only=True, map_location="cpu")
            if state["of"] != of:
                raise UserError(f"{path} is of another training", "remove it, or name another folder")
            return state
    return None


def _restore(
    state: dict[str, Any], network: Learner, optimizer: torch.optim.Optimizer, average: EMAModel | None
) -> tuple[int, list[list[float]]]:
    """Load a checkpoint; the number of the next step, and the log up to there."""
    network.load_state_dict({name: network.get_parameter(name) for name in network.constant} | state["network"])
    optimizer.load_state_dict(state["optimizer"])
    if average is not None:
        average.load_state_dict(state["average"])
        average.to(device_of(network))
    return state["step"], state["log"].tolist()
