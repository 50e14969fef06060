"""A training of seconds, to be run in this process, in one that is killed, or in several at once; commands likewise."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from rcdm_core.data.registry import load_data
from rcdm_core.encoders import load_encoder
from rcdm_core.rcdm import RCDM
from rcdm_core.rcdm.network import NetworkSettings
from rcdm_core.rcdm_training import RCDMTraining, train_rcdm
from rcdm_core.training import TrainingSettings

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext

NETWORK = NetworkSettings(image_size=16, channels=(32, 32), attention=(False, False))
LOOP = {"steps": 6, "batch_size": 8, "learning_rate": 1e-3, "warmup": 2, "ema_decay": 0.9, "precision": "no"}


def train_small(
    folder: Path, *, network: NetworkSettings = NETWORK, start: RCDM | None = None, every: int = 100, **loop: Any
) -> None:
    """Train a tiny RCDM for both levels of an embedded encoder, or go on."""
    torch.set_num_threads(1)
    settings = RCDMTraining(
        network=network, loop=TrainingSettings(**{**LOOP, **loop}), every=every, looked_at=4, start=start
    )
    encoder, images = load_encoder("simclr"), load_data("scenes", image_size=32, limit=60)
    train_rcdm({encoder: encoder.levels}, images, settings, folder=folder)


def train_small_among(variables: dict[str, str], folder: Path) -> None:
    """`train_small` in a process that these variables of the environment make one of several, as torchrun does."""
    os.environ.update(variables)
    train_small(folder)


def run_command(folder: Path, words: tuple[object, ...], variables: dict[str, str], told: Path | None = None) -> None:
    """A command in a folder, in this process, which is made for it.

    Args:
        folder: The working folder.
        words: Of the command line.
        variables: Of the environment.
        told: Where all that is printed goes; None for where it goes anyway.
    """
    from rcdm_probe.cli import app

    torch.set_num_threads(1)
    os.environ.update(variables)
    os.chdir(folder)
    if told is not None:
        with told.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
    app([str(word) for word in words])


_HEAVY = (
    "accelerate", "pandas.io.parquet", "pyarrow.parquet", "seaborn",
    "rcdm_core.encoders.embedded", "rcdm_core.data.registry", "rcdm_core.rcdm_training",
    "probes.invariance", "reports.figures.grid", "rcdm_probe.conduct", "rcdm_probe.rcdm_training", "rcdm_probe.cli",
)  # fmt: skip
"""What trainings and probes import, if only when it is needed."""


def processes() -> ForkServerContext:
    """Makes processes of their own that begin at once: what is slow to import one has imported before they are made.

    It is one server for all tests of a process, and imports what the first to ask names: so it is the same for all.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_HEAVY))
    return context
