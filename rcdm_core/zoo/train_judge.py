"""Training of the judge: class by cross-entropy, linear and circular factors by squared error."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from rcdm_core.data.scenes import LINEAR, Scenes
from rcdm_core.training import Learner, train
from rcdm_core.zoo import recipes
from rcdm_core.zoo.curriculum import scene_indices
from rcdm_core.zoo.files import begin_leg, describe_training, save_weights
from rcdm_core.zoo.judge import Judge, read_judge, targets

if TYPE_CHECKING:
    from rcdm_core.zoo.workshop import Workshop


SCALE = LINEAR.index("scale")


class JudgeTraining(Learner):
    """The judge with its loss, on images with a little noise so that it reads generated images as well."""

    noise = 0.03

    def __init__(self) -> None:
        super().__init__()
        self.judge = Judge()

    def forward(self, batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Loss of images ``[N, 3, 32, 32]`` and targets: labels ``[N]``, linear ``[N, 5]``, circular ``[N, 3, 2]``."""
        images, labels, linear, circular = batch
        images = images + self.noise * torch.rand(len(images), 1, 1, 1, device=images.device) * torch.randn_like(images)
        logits, linear_read, circular_read = self.judge(images)
        return (
            F.cross_entropy(logits, labels, label_smoothing=0.05)
            + 10 * F.mse_loss(linear_read, linear)  # small where it is nearly solved
            + 10 * F.mse_loss(linear_read[:, SCALE], linear[:, SCALE])  # the hardest
            + 2 * F.mse_loss(circular_read, circular)
        )


def train_judge(workshop: Workshop) -> None:
    """Train the judge, or go on, and write its weights and its card."""
    settings = replace(recipes.JUDGE, seed=workshop.seed)
    scenes = Scenes("train", seed=settings.seed, root=workshop.garments)

    def draw(step: int, positions: slice) -> tuple[torch.Tensor, ...]:
        indices = scene_indices(step, settings.batch_size, seed=settings.seed)[positions]
        return tuple(part.to(workshop.device) for part in (scenes[indices], *targets(scenes.factors(indices))))

    torch.manual_seed(settings.seed)
    training = JudgeTraining()
    if workshop.start is not None:
        training.judge.load_state_dict(read_judge(workshop.start).state_dict())
    begin_leg(workshop, "judge", "judge.json")
    train(training, draw, settings, **workshop.loop("judge"))
    save_weights(training.judge.state_dict(), workshop.folder / "judge.safetensors")
    describe_training(workshop, "judge", settings)
