"""Training of the RCDM that the five encoders share."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from rcdm_core.data.scenes import Scenes
from rcdm_core.encoders.embedded import load_trained
from rcdm_core.errors import UserError
from rcdm_core.rcdm.diffusion import schedule_for
from rcdm_core.rcdm.draws import random_draws
from rcdm_core.rcdm.files import read_card, read_weights, save_rcdm
from rcdm_core.rcdm.learner import RCDMLearner
from rcdm_core.rcdm.network import Denoiser
from rcdm_core.rcdm_training.heads import MOMENTS, begin_heads, hand_over_heads
from rcdm_core.representations import encode
from rcdm_core.training import train
from rcdm_core.zoo import recipes
from rcdm_core.zoo.curriculum import scene_indices
from rcdm_core.zoo.files import begin_leg, training_record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rcdm_core.encoders import Encoder
    from rcdm_core.rcdm.learner import Batch
    from rcdm_core.zoo.workshop import Workshop


def train_rcdm(workshop: Workshop) -> None:
    """Train the RCDM on the encoders in the workshop's folder, or go on, and write its weights and its card.

    Representations are computed on the fly, one for each image: an encoder costs a hundredth of the denoiser.
    """
    settings = replace(recipes.RCDM, seed=workshop.seed)
    folder, device = workshop.folder, workshop.device
    scenes = Scenes("train", seed=settings.seed + 1, root=workshop.garments)  # not the encoders' draw of factors
    encoders = {name: load_trained(name, folder).to(device) for name in recipes.ENCODERS}
    conditions = {f"{name}/{level}": d for name, e in encoders.items() for level, d in e.dimensions.items()}
    dealt = [name for name in conditions for _ in range(recipes.RCDM_SHARES[name])]
    whole = {"batch_size": settings.batch_size, "seed": settings.seed + 1}

    def draw(step: int, positions: slice) -> Batch:
        images = scenes[scene_indices(step, **whole)[positions]].to(device)
        draws = random_draws(step, positions, image_size=recipes.RCDM_NETWORK.image_size, **whole).to(device)
        return images, _deal(images, encoders, Counter(dealt[positions])), draws

    torch.manual_seed(settings.seed)
    denoiser, schedule = Denoiser(recipes.RCDM_NETWORK, conditions), schedule_for(recipes.RCDM_NETWORK)
    former = {} if workshop.start is None else _former(workshop.start, encoders)
    begin_leg(workshop, "rcdm", "rcdm/rcdm.json")

    def begin() -> None:
        images = scenes[scene_indices(0, MOMENTS, seed=settings.seed + 2)]
        if workshop.start is None:
            begin_heads(denoiser, images, _every_level(encoders, images))
        else:
            read_weights(denoiser, workshop.start / "rcdm")
            changed = {name: encoders[name] for name in former}
            hand_over_heads(denoiser, _every_level(former, images), _every_level(changed, images))

    train(RCDMLearner(denoiser, schedule), draw, settings, begin=begin, **workshop.loop("rcdm"))
    card = {
        "name": "rcdm",
        "training": training_record(workshop, "rcdm", settings),
        "encoders": {name: encoder.network_fingerprint for name, encoder in encoders.items()},
    }
    save_rcdm(denoiser, schedule, folder / "rcdm", card=card, dtype=torch.float16)


def _former(start: Path, encoders: Mapping[str, Encoder]) -> dict[str, Encoder]:
    """The encoders that the RCDM in a folder was trained on, where they are no longer those that it is to go on with.

    Raises:
        UserError: The folder does not hold an encoder that the RCDM in it was trained on.
    """
    known = read_card(start / "rcdm").get("encoders", {})
    changed = [name for name, encoder in encoders.items() if known.get(name) != encoder.network_fingerprint]
    former = {name: load_trained(name, start) for name in changed}
    for name, encoder in former.items():
        if known.get(name) != encoder.network_fingerprint:
            raise UserError(
                f"the RCDM in {start} was trained on another {name} than the one beside it",
                "put the weights it was trained on there, or start afresh",
            )
    return former


def _every_level(encoders: Mapping[str, Encoder], images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Representations of images at each condition."""
    return {f"{name}/{level}": h for name, encoder in encoders.items() for level, h in encode(encoder, images).items()}


@torch.no_grad()
def _represent(encoder: Encoder, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """All levels, in float32 as they are at use, whatever the precision of the training."""
    with torch.autocast(images.device.type, enabled=False):
        return encoder(images)


def _deal(
    images: torch.Tensor, encoders: Mapping[str, Encoder], shares: Counter[str]
) -> list[tuple[str, torch.Tensor]]:
    """The representation of each image at one condition: as many to each as its share, in order; none to some."""
    groups, first = [], 0
    for name, encoder in encoders.items():
        counts = [shares[f"{name}/{level}"] for level in encoder.levels]
        levels = _represent(encoder, images[first : first + sum(counts)])
        within = 0
        for level, count in zip(encoder.levels, counts, strict=True):
            groups.append((f"{name}/{level}", levels[level][within : within + count]))
            within += count
        first += sum(counts)
    return groups
