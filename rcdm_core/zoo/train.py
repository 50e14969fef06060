"""Training everything that ships: five encoders, the judge, the shared RCDM; each resumes from its own checkpoint."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from rcdm_core.data.scenes import LINEAR, Scenes
from rcdm_core.encoders import UNTRAINED, Encoder, load_encoder
from rcdm_core.encoders.embedded import is_idle, load_trained, preprocessing
from rcdm_core.errors import UserError
from rcdm_core.rcdm import load_rcdm
from rcdm_core.rcdm.diffusion import schedule_for
from rcdm_core.rcdm.files import read_card, save_rcdm
from rcdm_core.rcdm.heads import MOMENTS
from rcdm_core.rcdm.network import Denoiser, begin_heads, hand_over_heads
from rcdm_core.rcdm.objective import Batch, RCDMLearner, random_draws
from rcdm_core.representations import encode
from rcdm_core.training import Callbacks, Learner, TrainingSettings, join_processes, train
from rcdm_core.training_images import scene_indices
from rcdm_core.zoo import recipes
from rcdm_core.zoo.files import Workshop, begin_leg, leg, save_weights, training_record, update_card
from rcdm_core.zoo.judge import Judge, read_judge, targets
from rcdm_core.zoo.methods import NOISE, Pairs, build_method
from rcdm_core.zoo.recipes import PARTS, check_parts

if TYPE_CHECKING:
    import numpy as np


SETTLING = 80  # batches for the statistics of batch norms
_GUIDE = "vicreg/backbone"  # a condition that is new to an RCDM begins by what this head gives of the same images
_SCALE = LINEAR.index("scale")


def train_zoo(workshop: Workshop, parts: Sequence[str] = PARTS) -> None:
    """Train the named parts of the zoo, in the order of `PARTS`; what is finished is not trained again.

    Raises:
        UserError: An unknown part, one GPU by its number, no weights to start from, or no training garments.
    """
    check_parts(parts)
    join_processes(workshop.device)  # a mistake is told at once
    start = workshop.start
    for part in parts:
        weights = "rcdm/rcdm.json" if part == "rcdm" else f"{part}.safetensors"
        if start is not None and not (start / weights).is_file():
            raise UserError(f"no weights of {part} in {start}", "name a folder that has them, or start afresh")
    trainers = {UNTRAINED: keep_untrained, "judge": train_judge, "rcdm": train_rcdm}
    for part in PARTS:
        if part in parts:
            trainers.get(part, partial(train_encoder, part))(workshop)


def train_encoder(name: str, workshop: Workshop) -> None:
    """Train the encoder ``name`` of `recipes.ENCODERS`, or go on, and write its weights and its card."""
    scenes = Scenes("train", workshop.seed, workshop.garments)

    def draw(
        rows: Callable[[int], np.ndarray], views: nn.Module, step: int, positions: slice
    ) -> tuple[torch.Tensor, ...]:
        indices = rows(step)[positions]
        labels = torch.tensor(scenes.factors(indices)["class"].to_numpy()).repeat(2)
        return views(scenes[indices].to(workshop.device)), labels.to(workshop.device)

    torch.manual_seed(workshop.seed)
    method, before, legs = build_method(name), 0, []
    if workshop.start is not None:
        method.begin_with(load_trained(name, workshop.start).state_dict())
    begin_leg(workshop, name, f"{name}.json")
    for side, phase in recipes.PHASES.items():
        settings = replace(phase, seed=workshop.seed)
        rows = partial(_rows, before, settings)
        views = nn.Sequential(Pairs(side), preprocessing(side))
        train(method, partial(draw, rows, views), settings, **workshop.loop(name, str(side)))
        legs.append(leg(workshop, name, settings, str(side), view=side, noise=NOISE))
        before += settings.steps
    settled = (_rows(0, settings, step) for step in range(SETTLING))
    method.settle(preprocessing()(scenes[rows].to(workshop.device)) for rows in settled)
    save_weights(method.encoder.state_dict(), workshop.folder / f"{name}.safetensors")
    update_card(workshop.folder, name, training=training_record(workshop, name, *legs))


def _rows(before: int, settings: TrainingSettings, step: int) -> np.ndarray:
    """Scenes of a step, behind those of ``before`` others."""
    return scene_indices(before + step, settings.batch_size, settings.seed)


def keep_untrained(workshop: Workshop) -> None:
    """Write the network that no method has trained yet: fresh weights are not the same to the last bit everywhere."""
    encoder = load_encoder(UNTRAINED, weights=f"random:{workshop.seed}")
    counting = {key: value for key, value in encoder.state_dict().items() if not is_idle(key)}
    save_weights(counting, workshop.folder / f"{UNTRAINED}.safetensors")
    update_card(workshop.folder, UNTRAINED, training={"data": "none", "images": 0, "seconds": 0, "legs": []})


class JudgeTraining(Learner):
    """The judge with its loss, on images with a little noise so that it reads generated images as well.

    Class by cross-entropy, linear and circular factors by squared error.
    """

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
            + 10 * F.mse_loss(linear_read[:, _SCALE], linear[:, _SCALE])  # the hardest
            + 2 * F.mse_loss(circular_read, circular)
        )


def train_judge(workshop: Workshop) -> None:
    """Train the judge, or go on, and write its weights and its card."""
    settings = replace(recipes.JUDGE, seed=workshop.seed)
    scenes = Scenes("train", settings.seed, workshop.garments)

    def draw(step: int, positions: slice) -> tuple[torch.Tensor, ...]:
        indices = scene_indices(step, settings.batch_size, settings.seed)[positions]
        return tuple(part.to(workshop.device) for part in (scenes[indices], *targets(scenes.factors(indices))))

    torch.manual_seed(settings.seed)
    training = JudgeTraining()
    if workshop.start is not None:
        training.judge.load_state_dict(read_judge(workshop.start).state_dict())
    begin_leg(workshop, "judge", "judge.json")
    train(training, draw, settings, **workshop.loop("judge"))
    save_weights(training.judge.state_dict(), workshop.folder / "judge.safetensors")
    update_card(workshop.folder, "judge", training=training_record(workshop, "judge", leg(workshop, "judge", settings)))


def train_rcdm(workshop: Workshop) -> None:
    """Train the RCDM on the encoders in the workshop's folder, or go on, and write its weights and its card.

    Representations are computed on the fly, one for each image: an encoder costs a hundredth of the denoiser.

    Raises:
        UserError: The checkpoint that is there was trained on other encoders.
    """
    settings = replace(recipes.RCDM, seed=workshop.seed)
    folder, device, network = workshop.folder, workshop.device, recipes.RCDM_NETWORK
    scenes = Scenes("train", settings.seed + 1, workshop.garments)  # not the encoders' draw of factors
    encoders = {name: load_trained(name, folder).to(device) for name in recipes.DRAWN}
    conditions = {f"{name}/{level}": d for name, e in encoders.items() for level, d in e.dimensions.items()}
    dealt = [name for name in conditions for _ in range(recipes.RCDM_SHARES[name])]
    whole = {"batch_size": settings.batch_size, "seed": settings.seed + 1}

    def draw(step: int, positions: slice) -> Batch:
        images = scenes[scene_indices(step, **whole)[positions]].to(device)
        draws = random_draws(step, positions, image_size=network.image_size, **whole).to(device)
        return images, _deal(images, encoders, Counter(dealt[positions])), draws

    torch.manual_seed(settings.seed)
    denoiser, schedule = Denoiser(network, conditions), schedule_for(network)
    former = {} if workshop.start is None else _former(workshop.start, encoders)
    begin_leg(workshop, "rcdm", "rcdm/rcdm.json")

    def begin() -> None:
        images = scenes[scene_indices(0, MOMENTS, settings.seed + 2)]
        now = _every_level(encoders, images)
        if workshop.start is None:
            begin_heads(denoiser, images, now)
        else:
            _go_on(denoiser, load_rcdm(workshop.start / "rcdm").denoiser, _every_level(former, images), now)

    weights = {name: encoder.network_fingerprint for name, encoder in encoders.items()}
    loop = workshop.loop("rcdm", on=tuple(weights.values()))
    train(RCDMLearner(denoiser, schedule), draw, settings, callbacks=Callbacks(begin), **loop)
    card = {
        "name": "rcdm",
        "training": training_record(workshop, "rcdm", leg(workshop, "rcdm", settings)),
        "encoders": weights,
    }
    save_rcdm(denoiser, schedule, folder / "rcdm", card, dtype=torch.float16)


@torch.no_grad()
def _go_on(
    denoiser: Denoiser, before: Denoiser, former: Mapping[str, torch.Tensor], now: Mapping[str, torch.Tensor]
) -> None:
    """Give a denoiser the weights of one that was trained before, for the conditions that it has.

    Args:
        denoiser: To be trained.
        before: For some or all of its conditions.
        former: Of encoders that have changed since, by condition, representations ``[N, D]`` as they were.
        now: All representations of the same images now.
    """
    denoiser.unet.load_state_dict(before.unet.state_dict())
    for condition in before.conditions:
        denoiser.head(condition).load_state_dict(before.head(condition).state_dict())
    hand_over_heads(denoiser, former, {condition: now[condition] for condition in former})
    read = denoiser.embed([(_GUIDE, now[_GUIDE])])
    for condition in now.keys() - before.conditions.keys():
        denoiser.head(condition).begin(now[condition], read)


def _former(start: Path, encoders: Mapping[str, Encoder]) -> dict[str, Encoder]:
    """The encoders that the RCDM in a folder was trained on, where they are no longer those that it is to go on with.

    Raises:
        UserError: The folder does not hold an encoder that the RCDM in it was trained on.
    """
    known = read_card(start / "rcdm").get("encoders", {})
    changed = [name for name in encoders if name in known and known[name] != encoders[name].network_fingerprint]
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
def _deal(
    images: torch.Tensor, encoders: Mapping[str, Encoder], shares: Counter[str]
) -> list[tuple[str, torch.Tensor]]:
    """The representation of each image at one condition: as many to each as its share, in order; none to some.

    In float32 as they are at use, whatever the precision of the training.
    """
    groups, first = [], 0
    for name, encoder in encoders.items():
        counts = [shares[f"{name}/{level}"] for level in encoder.levels]
        with torch.autocast(images.device.type, enabled=False):
            levels = encoder(images[first : first + sum(counts)])
        groups += [(f"{name}/{level}", levels[level].split(counts)[k]) for k, level in enumerate(encoder.levels)]
        first += sum(counts)
    return groups
