"""Training of one encoder of the zoo."""

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
from rcdm_core.zoo.methods import build_method

if TYPE_CHECKING:
    from pathlib import Path


def train_encoder(
    name: str,
    *,
    folder: Path,
    start: Path | None = None,
    garments: Path | None = None,
    device: str = "cpu",
    progress: Progress = silent,
) -> None:
    """Train an encoder, or go on, and write ``folder/name.safetensors`` and its card.

    Args:
        name: A key of `recipes.ENCODERS`.
        folder: Where checkpoint, weights and card go.
        start: Folder of the weights to begin with; fresh ones by default.
        garments: Folder of the Fashion-MNIST training files.
        device: ``"cpu"`` or ``"cuda"``.
        progress: Wraps the loop over steps.
    """
    settings = recipes.ENCODERS[name]
    scenes = Scenes("train", seed=settings.seed, root=garments)

    def draw(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        indices = scene_indices(step, settings.batch_size, seed=settings.seed)
        labels = torch.tensor(scenes.factors(indices)["class"].to_numpy())
        return scenes[indices].to(device), labels.to(device)

    torch.manual_seed(settings.seed)
    method = build_method(name)
    if start is not None:
        method.load_encoder_state(load_file(start / f"{name}.safetensors"))
    train(method, draw, settings, folder=folder / name, description=name, device=device, progress=progress)
    save_weights(method.encoder_state(), folder / f"{name}.safetensors")
    describe_training(folder, name, settings, device=device)
