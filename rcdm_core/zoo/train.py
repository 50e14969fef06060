"""Training everything that ships: five encoders, the judge, the shared RCDM. Each part resumes from its own checkpoint.

Every batch is of scenes never seen before: scene ``i`` is garment ``i mod 60,000`` with its own factors, and step ``k``
takes scenes ``k * batch_size ...`` of a fixed permutation of the garments, so that no data set is stored.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch

from rcdm_core.data.scenes import Scenes
from rcdm_core.progress import Progress, silent
from rcdm_core.training import train
from rcdm_core.zoo import recipes
from rcdm_core.zoo.files import save_weights
from rcdm_core.zoo.judge import JudgeTraining, targets
from rcdm_core.zoo.methods import build_method

if TYPE_CHECKING:
    from pathlib import Path

_GARMENTS = 60_000


def scene_indices(step: int, batch_size: int, *, seed: int) -> np.ndarray:
    """Indices of the training scenes of a step: each pass over the garments in a new order, with new factors."""
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    passes, offsets = positions // _GARMENTS, positions % _GARMENTS
    orders = {p: _order(int(p), seed) for p in np.unique(passes)}
    garments = np.array([orders[p][o] for p, o in zip(passes, offsets, strict=True)])
    return passes * _GARMENTS + garments


@lru_cache(maxsize=2)
def _order(number: int, seed: int) -> np.ndarray:
    return np.random.default_rng([seed, number]).permutation(_GARMENTS)


def train_encoder(
    name: str, *, folder: Path, garments: Path | None = None, device: str = "cpu", progress: Progress = silent
) -> None:
    """Train one encoder of the zoo and write ``folder/name.safetensors``."""
    settings = recipes.ENCODERS[name]
    scenes = Scenes("train", seed=settings.seed, root=garments)

    def draw(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        indices = scene_indices(step, settings.batch_size, seed=settings.seed)
        labels = torch.tensor(scenes.factors(indices)["class"].to_numpy())
        return scenes[indices].to(device), labels.to(device)

    torch.manual_seed(settings.seed)
    method = build_method(name)
    train(method, draw, settings, folder=folder / name, description=name, device=device, progress=progress)
    save_weights(method.encoder_state(), folder / f"{name}.safetensors")


def train_judge(
    *, folder: Path, garments: Path | None = None, device: str = "cpu", progress: Progress = silent
) -> None:
    """Train the judge and write ``folder/judge.safetensors``."""
    settings = recipes.JUDGE
    scenes = Scenes("train", seed=settings.seed, root=garments)

    def draw(step: int) -> tuple[torch.Tensor, ...]:
        indices = scene_indices(step, settings.batch_size, seed=settings.seed)
        return tuple(part.to(device) for part in (scenes[indices], *targets(scenes.factors(indices))))

    torch.manual_seed(settings.seed)
    training = JudgeTraining()
    train(training, draw, settings, folder=folder / "judge", description="judge", device=device, progress=progress)
    save_weights(training.judge.state_dict(), folder / "judge.safetensors")
