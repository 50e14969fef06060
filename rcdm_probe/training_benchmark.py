"""What the training loop costs beside the network: a real training against a bare loop, step by step in turn.

The bare loop does forward pass, backward pass and optimiser step on one batch that is there already. The training does
all else besides: batches read from disk, noise, gradient norm, average of the weights, log. As the two take turns in
one process, whatever else the machine does strikes both; medians leave out what strikes one.
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rcdm_core.precision import lowered
from rcdm_core.progress import current, showing
from rcdm_core.rcdm.diffusion import schedule_for
from rcdm_core.rcdm.learner import RCDMLearner
from rcdm_core.rcdm.network import Denoiser, NetworkSettings
from rcdm_core.rcdm_training.batches import batches
from rcdm_core.rcdm_training.store import fill_store
from rcdm_core.training import TrainingSettings, train
from rcdm_probe.benchmark import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders import Encoder
    from rcdm_core.rcdm.learner import Batch


@dataclass(frozen=True)
class TrainingRates:
    """Images a second.

    Attributes:
        training: Of the training loop.
        bare: Of forward pass, backward pass and optimiser step alone.
    """

    training: float
    bare: float


def training_rates(
    encoder: Encoder,
    level: str,
    images: ImageSet,
    network: NetworkSettings,
    *,
    batch_size: int,
    steps: int,
    seed: int = 0,
) -> TrainingRates:
    """Train a fresh network for some steps, with as many bare ones between them.

    Args:
        encoder: Encoder to train for, on the device to be measured.
        level: Its level.
        images: Some images.
        network: Shape of the network.
        batch_size: Images a step.
        steps: Steps that are measured; one before them and one after them are not.
        seed: Seed of the training.
    """
    device = next(encoder.buffers()).device
    condition = f"{encoder.name}/{level}"
    torch.manual_seed(seed)
    learner = RCDMLearner(Denoiser(network, {condition: encoder.dimensions[level]}), schedule_for(network)).to(device)
    settings = TrainingSettings(
        steps=steps + 2,
        batch_size=batch_size,
        learning_rate=1e-4,
        ema_decay=0.999,
        seed=seed,
        checkpoint_every=steps + 2,
    )
    trained: list[float] = []
    bare: list[float] = []
    with TemporaryDirectory() as folder:
        store = fill_store(Path(folder) / "store", encoder, (level,), images, image_size=network.image_size)
        draw = batches(
            store,
            np.arange(len(images)),
            {condition: level},
            batch_size=batch_size,
            image_size=network.image_size,
            seed=seed,
            device=device,
        )
        bare_step = _BareLoop(copy.deepcopy(learner), draw(0, slice(0, batch_size)), device)

        shown = current()

        def in_turn(items: Iterable[Any], description: str, total: int | None = None) -> Iterator[Any]:
            for item in shown(items, description, total):
                begun = time.perf_counter()
                yield item
                wait_for(device)
                trained.append(time.perf_counter() - begun)
                begun = time.perf_counter()
                bare_step()
                wait_for(device)
                bare.append(time.perf_counter() - begun)

        with showing(in_turn):
            train(
                learner,
                draw,
                settings,
                folder=Path(folder) / "training",
                description="training",
                device=device.type,
            )
    return TrainingRates(training=batch_size / median(trained[1:-1]), bare=batch_size / median(bare[1:-1]))


class _BareLoop:
    """Forward pass, backward pass, optimiser step; in the precision of the training."""

    def __init__(self, learner: RCDMLearner, batch: Batch, device: torch.device) -> None:
        self.learner, self.batch, self.device = learner.train(), batch, device
        self.optimizer = torch.optim.AdamW(learner.parameters(), lr=1e-4, fused=True)

    def __call__(self) -> None:
        with lowered(self.device):
            loss = self.learner(self.batch)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
