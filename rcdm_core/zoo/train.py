"""Training everything that ships: five encoders, the judge, the shared RCDM. Each part resumes from its own checkpoint.

Every batch is of scenes never seen before: scene ``i`` is garment ``i mod 60,000`` with its own factors, and step ``k``
takes scenes ``k * batch_size ...`` of a fixed permutation of the garments, so that no data set is stored.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from rcdm_core.data.scenes import Scenes
from rcdm_core.encoders.embedded import load_trained
from rcdm_core.errors import unknown_name
from rcdm_core.progress import Progress, silent
from rcdm_core.rcdm.learner import RCDMLearner
from rcdm_core.rcdm.network import Denoiser
from rcdm_core.training import train
from rcdm_core.zoo import recipes
from rcdm_core.zoo.files import save_weights, update_card
from rcdm_core.zoo.judge import JudgeTraining, targets
from rcdm_core.zoo.methods import build_method

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from rcdm_core.training import TrainingSettings

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
    _describe(folder, name, settings, device)


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
    _describe(folder, "judge", settings, device)


def train_rcdm(*, folder: Path, garments: Path | None = None, device: str = "cpu", progress: Progress = silent) -> None:
    """Train the shared RCDM on the encoders in ``folder`` and write ``folder/rcdm.safetensors`` and its card."""
    settings, shares = recipes.RCDM, recipes.RCDM_SHARES
    scenes = Scenes("train", seed=settings.seed + 1, root=garments)  # not the encoders' draw of factors
    encoders = {name: load_trained(name, folder).to(device) for name in recipes.ENCODERS}
    conditions = {f"{e.name}/{level}": d for e in encoders.values() for level, d in e.dimensions.items()}

    @torch.no_grad()
    def represent(name: str, images: torch.Tensor) -> dict[str, torch.Tensor]:
        with torch.autocast(torch.device(device).type, enabled=False):
            return encoders[name](images)

    def draw(step: int) -> tuple[torch.Tensor, list[tuple[str, torch.Tensor]]]:
        images = scenes[scene_indices(step, settings.batch_size, seed=settings.seed + 1)].to(device)
        groups, start = [], 0
        for name, encoder in encoders.items():
            stop = start + sum(shares[f"{name}/{level}"] for level in encoder.levels)
            levels = represent(name, images[start:stop])
            for level in encoder.levels:
                count = shares[f"{name}/{level}"]
                groups.append((f"{name}/{level}", levels[level][:count]))
                levels = {key: h[count:] for key, h in levels.items()}
            start = stop
        return images, groups

    torch.manual_seed(settings.seed)
    denoiser = Denoiser(recipes.RCDM_NETWORK, conditions)
    moments = scenes[scene_indices(0, 8192, seed=settings.seed + 2)].to(device)
    for name in encoders:
        levels = [represent(name, batch) for batch in moments.split(512)]
        for level in levels[0]:
            denoiser.head(f"{name}/{level}").fit(torch.cat([part[level] for part in levels]))
    learner = RCDMLearner(denoiser)
    train(learner, draw, settings, folder=folder / "rcdm", description="rcdm", device=device, progress=progress)
    save_weights(denoiser.state_dict(), folder / "rcdm.safetensors")
    _describe(folder, "rcdm", settings, device, network=recipes.RCDM_NETWORK.to_dict(), conditions=conditions)


def _describe(folder: Path, name: str, settings: TrainingSettings, device: str, **details: Any) -> None:
    """Write what the card of a network says of its training."""
    seconds = pd.read_csv(folder / name / "losses.csv")["seconds"].sum()
    training = {
        "data": "fashion scenes, training split, new factors at every pass",
        "images": settings.steps * settings.batch_size,
        "settings": asdict(settings),
        "device": device,
        "threads": torch.get_num_threads(),
        "seconds": round(seconds),
        "torch": torch.__version__,
    }
    update_card(folder, name, training=training, **details)


PARTS = (*recipes.ENCODERS, "judge", "rcdm")


def train_zoo(
    folder: Path,
    *,
    parts: Sequence[str] = PARTS,
    garments: Path | None = None,
    device: str = "cpu",
    progress: Progress = silent,
) -> None:
    """Train the named parts of the zoo, in the order of `PARTS`; what is finished is not trained again.

    Args:
        folder: Where checkpoints and weights go.
        parts: Of `PARTS`. The RCDM needs the five encoders in ``folder``.
        garments: Folder of the Fashion-MNIST training files; by default they are looked for, then downloaded.
        device: ``"cpu"`` or ``"cuda"``.
        progress: Wraps the loops over steps.

    Raises:
        UserError: An unknown part, or no training garments.
    """
    for part in parts:
        if part not in PARTS:
            raise unknown_name("part of the zoo", part, PARTS)
    trainers: dict[str, Callable[..., None]] = {name: partial(train_encoder, name) for name in recipes.ENCODERS}
    trainers |= {"judge": train_judge, "rcdm": train_rcdm}
    for part in PARTS:
        if part in parts:
            trainers[part](folder=folder, garments=garments, device=device, progress=progress)
