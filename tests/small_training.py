"""A training of seconds, to be run in this process, in one that is killed, or in several at once."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

from rcdm_core.data.registry import load_data
from rcdm_core.encoders import load_encoder
from rcdm_core.rcdm import RCDM
from rcdm_core.rcdm.network import NetworkSettings
from rcdm_core.rcdm_training import RCDMTraining, train_rcdm
from rcdm_core.training import TrainingSettings

NETWORK = NetworkSettings(image_size=16, channels=(32, 32), attention=(False, False))
LOOP = {"steps": 6, "batch_size": 8, "learning_rate": 1e-3, "warmup": 2, "ema_decay": 0.9, "precision": "no"}


def train_small(
    folder: Path, *, network: NetworkSettings = NETWORK, start: RCDM | None = None, every: int = 100, **loop: Any
) -> None:
    """Train a tiny RCDM for both levels of an embedded encoder, or go on."""
    torch.set_num_threads(1)
    settings = RCDMTraining(network=network, loop=TrainingSettings(**{**LOOP, **loop}), every=every, looked_at=4)
    encoder, images = load_encoder("simclr"), load_data("scenes", image_size=32, limit=60)
    train_rcdm(encoder, encoder.levels, images, settings, folder=folder, start=start)


if __name__ == "__main__":
    train_small(Path(sys.argv[1]), **json.loads(sys.argv[2]))
