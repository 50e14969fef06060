"""The zoo on disk: weights in safetensors and float16, a card in JSON beside each; temporary names first."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from safetensors.torch import save_file

from rcdm_core.atomic import atomic_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rcdm_core.training import TrainingSettings
    from rcdm_core.zoo.workshop import Workshop


def save_weights(state: Mapping[str, torch.Tensor], path: Path) -> None:
    """Write a state dict; floating tensors as float16, others as they are."""
    half = {
        key: (tensor.half() if tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for key, tensor in state.items()
    }
    with atomic_path(path) as temporary:
        save_file(half, temporary)


def update_card(folder: Path, name: str, **details: Any) -> None:
    """Set entries of ``folder/name.json``; entries that are not named stay."""
    path = folder / f"{name}.json"
    card = json.loads(path.read_text()) if path.is_file() else {"name": name}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(card | details, indent=2) + "\n")


def describe_training(workshop: Workshop, name: str, settings: TrainingSettings) -> None:
    """Write into the card of a network how it was trained."""
    update_card(workshop.folder, name, training=training_record(workshop, name, settings, f"{name}.json"))


def training_record(workshop: Workshop, name: str, settings: TrainingSettings, card: str) -> dict[str, Any]:
    """How a network was trained: data, images and seconds in all, and each leg with its settings and machine.

    Args:
        workshop: Where and how.
        name: Part of the zoo.
        settings: Its settings.
        card: Path of its card in a folder of weights: where it began with others, they tell of the legs before.
    """
    before = None if workshop.start is None else workshop.start / card
    legs = json.loads(before.read_text())["training"]["legs"] if before is not None and before.is_file() else []
    legs.append(
        {
            "images": settings.steps * settings.batch_size,
            "seconds": round(pd.read_csv(workshop.folder / name / "losses.csv")["seconds"].sum()),
            "device": workshop.device,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "settings": asdict(settings),
        }
    )
    return {
        "data": "fashion scenes, training split, new factors at every pass",
        "images": sum(leg["images"] for leg in legs),
        "seconds": sum(leg["seconds"] for leg in legs),
        "legs": legs,
    }
