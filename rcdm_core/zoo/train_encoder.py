"""Training of one encoder of the zoo."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from rcdm_core.data.scenes import Scenes
from rcdm_core.encoders.embedded import load_trained, preprocessing
from rcdm_core.training import train
from rcdm_core.zoo import recipes
from rcdm_core.zoo.augmentations import NOISE, VIEW, Pairs
from rcdm_core.zoo.curriculum import scene_indices
from rcdm_core.zoo.files import begin_leg, describe_training, save_weights
from rcdm_core.zoo.methods import build_method

if TYPE_CHECKING:
    import numpy as np

    from rcdm_core.zoo.workshop import Workshop

SETTLING = 80  # batches for the statistics of batch norms


def train_encoder(name: str, workshop: Workshop) -> None:
    """Train the encoder ``name`` of `recipes.ENCODERS`, or go on, and write its weights and its card."""
    settings = replace(recipes.ENCODERS[name], seed=workshop.seed)
    scenes = Scenes("train", seed=settings.seed, root=workshop.garments)
    pairs, preprocess_view, preprocess = Pairs(), preprocessing(VIEW), preprocessing()

    def batch(step: int) -> np.ndarray:
        return scene_indices(step, settings.batch_size, seed=settings.seed)

    def draw(step: int, positions: slice) -> tuple[torch.Tensor, torch.Tensor]:
        indices = batch(step)[positions]
        labels = torch.tensor(scenes.factors(indices)["class"].to_numpy()).repeat(2)
        return preprocess_view(pairs(scenes[indices].to(workshop.device))), labels.to(workshop.device)

    torch.manual_seed(settings.seed)
    method = build_method(name)
    if workshop.start is not None:
        method.begin_with(load_trained(name, workshop.start).state_dict())
    begin_leg(workshop, name, f"{name}.json")
    train(method, draw, settings, **workshop.loop(name))
    method.settle(preprocess(scenes[batch(step)].to(workshop.device)) for step in range(SETTLING))
    save_weights(method.encoder.state_dict(), workshop.folder / f"{name}.safetensors")
    describe_training(workshop, name, settings, noise=NOISE)
