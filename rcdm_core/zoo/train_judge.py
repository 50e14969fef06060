"""Training of the judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file

from rcdm_core.data.scenes import Scenes
from rcdm_core.training import train
from rcdm_core.zoo import recipes
from rcdm_core.zoo.curriculum import scene_indices
from rcdm_core.zoo.files import describe_training, save_weights
from rcdm_core.zoo.judge import JudgeTraining, targets

if TYPE_CHECKING:
    from rcdm_core.zoo.workshop import Workshop


def train_judge(workshop: Workshop) -> None:
    """Train the judge, or go on, and write its weights and its card."""
    settings = recipes.JUDGE
    scenes = Scenes("train", seed=settings.seed, root=workshop.garments)

    def draw(step: int, positions: slice) -> tuple[torch.Tensor, ...]:
        indices = scene_indices(step, settings.batch_size, seed=settings.seed)[positions]
        return tuple(part.to(workshop.device) for part in (scenes[indices], *targets(scenes.factors(indices))))

    torch.manual_seed(settings.seed)
    training = JudgeTraining()
    if workshop.start is not None:
        training.judge.load_state_dict(load_file(workshop.start / "judge.safetensors"))
    train(training, draw, settings, **workshop.loop("judge"))
    save_weights(training.judge.state_dict(), workshop.folder / "judge.safetensors")
    describe_training(workshop, "judge", settings)
