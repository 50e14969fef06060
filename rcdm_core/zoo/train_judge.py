"""Training of the judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file

from rcdm_core.data.scenes import Scenes
from rcdm_core.progress import Progress, silent
from rcdm_core.training import train
from rcdm_core.zoo import recipes
from rcdm_core.zoo.curriculum import scene_indices
from rcdm_core.zoo.files import describe_training, save_weights
from rcdm_core.zoo.judge import JudgeTraining, targets

if TYPE_CHECKING:
    from pathlib import Path


def train_judge(
    *,
    folder: Path,
    start: Path | None = None,
    garments: Path | None = None,
    device: str = "cpu",
    progress: Progress = silent,
) -> None:
    """Train the judge, or go on, and write ``folder/judge.safetensors`` and its card; arguments as `train_encoder`."""
    settings = recipes.JUDGE
    scenes = Scenes("train", seed=settings.seed, root=garments)

    def draw(step: int) -> tuple[torch.Tensor, ...]:
        indices = scene_indices(step, settings.batch_size, seed=settings.seed)
        return tuple(part.to(device) for part in (scenes[indices], *targets(scenes.factors(indices))))

    torch.manual_seed(settings.seed)
    training = JudgeTraining()
    if start is not None:
        training.judge.load_state_dict(load_file(start / "judge.safetensors"))
    train(training, draw, settings, folder=folder / "judge", description="judge", device=device, progress=progress)
    save_weights(training.judge.state_dict(), folder / "judge.safetensors")
    describe_training(folder, "judge", settings, device=device)
