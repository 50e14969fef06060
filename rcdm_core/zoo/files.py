"""The zoo on disk: weights in safetensors and float16, a card in JSON beside each; temporary names first."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from safetensors.torch import save_file

from rcdm_core import kept
from rcdm_core.errors import UserError
from rcdm_core.json_files import card_at, write_json
from rcdm_core.kept import atomic_path, keeping
from rcdm_core.training_images import SCENES

if TYPE_CHECKING:
    from rcdm_core.training import TrainingSettings


_LEGS = "legs.json"  # in the folder of a training: its seed and the legs before it


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """Where and how the zoo is trained: what every part of it is told.

    Attributes:
        folder: Where checkpoints, weights and cards go, and where the RCDM finds its encoders.
        start: Folder of the weights to begin with; None for fresh ones. A checkpoint in ``folder`` goes before it.
        garments: Folder of the Fashion-MNIST training files; None looks for them, then downloads them.
        seed: Of weights, scenes and views; a folder holds one zoo, of one seed.
        device: ``"cpu"``, ``"cuda"`` or ``"mps"``.
    """

    folder: Path
    start: Path | None = None
    garments: Path | None = None
    seed: int = 0
    device: str = "cpu"

    def loop(self, name: str, phase: str = "", on: Sequence[str] = ()) -> dict[str, Any]:
        """What `rcdm_core.training.train` is told of the part ``name``, or of a phase of its training.

        ``on`` are the fingerprints of the networks that it is trained on: a checkpoint is of these alone.
        """
        return {"folder": self.folder / _part(name, phase), "of": " ".join((name, *on)), "device": self.device}


def _part(name: str, phase: str) -> str:
    """What the folder of a training, or of a phase of one, is called."""
    return f"{name}-{phase}" if phase else name


def save_weights(state: Mapping[str, torch.Tensor], path: Path) -> None:
    """Write a state dict; floating tensors as float16, others as they are. A card that tells of other weights goes."""
    half = {
        key: (tensor.half() if tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for key, tensor in state.items()
    }
    with keeping("weights", path.parent), atomic_path(path) as temporary:
        save_file(half, temporary)
        if not (path.is_file() and filecmp.cmp(path, temporary, shallow=False)):
            path.with_suffix(".json").unlink(missing_ok=True)


def update_card(folder: Path, name: str, **details: Any) -> None:
    """Set entries of ``folder/name.json``; entries that are not named stay."""
    path = folder / f"{name}.json"
    content = {"name": name} | card_at(path) | details
    with keeping("the card", folder):
        write_json(content, path)


def begin_leg(workshop: Workshop, name: str, card: str) -> None:
    """Note in the folder of a training which legs went before it; one that goes on keeps what it began with.

    Args:
        workshop: Where and how.
        name: Part of the zoo.
        card: Path of its card in a folder of weights.

    Raises:
        UserError: The weights to begin with have a card that does not tell how they were trained, or the training that
            is there has another seed.
    """
    noted = workshop.folder / name / _LEGS
    if (known := kept.load_json(noted)) is not None:
        if known["seed"] != workshop.seed:
            raise UserError(
                f"{noted.parent} holds a training of seed {known['seed']}",
                f"go on with --seed {known['seed']}, or name another --folder",
            )
        return
    if os.path.lexists(noted):
        kept.tell_damaged(noted)
    before = {} if workshop.start is None else card_at(workshop.start / card)
    if before and "legs" not in before.get("training", {}):
        raise UserError(
            f"the card of {name} in {workshop.start} does not tell how its weights were trained",
            "put the one there that `rcdm-probe zoo train` wrote, or none",
        )
    legs = before["training"]["legs"] if before else []
    with keeping("the legs of a training", noted.parent):
        kept.save_json({"seed": workshop.seed, "legs": legs}, noted)


def leg(workshop: Workshop, name: str, settings: TrainingSettings, phase: str = "", **details: Any) -> dict[str, Any]:
    """A leg of a training, or a phase of one, that has ended; ``details`` are what else there is to tell of it."""
    return {
        "images": settings.steps * settings.batch_size,
        "seconds": round(pd.read_csv(workshop.folder / _part(name, phase) / "losses.csv")["seconds"].sum()),
        "device": workshop.device,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        **details,
        "settings": asdict(settings),
    }


def training_record(workshop: Workshop, name: str, *own: dict[str, Any]) -> dict[str, Any]:
    """How a network was trained: data, images and seconds in all, and each leg with its settings and machine.

    ``images`` counts how often one was shown: legs of the same seed show the same scenes. ``own`` are those that
    followed the ones with which `begin_leg` began.
    """
    legs = [*(kept.load_json(workshop.folder / name / _LEGS) or {"legs": []})["legs"], *own]
    return {
        "data": f"{SCENES}, new factors at every pass",
        "images": sum(leg["images"] for leg in legs),
        "seconds": sum(leg["seconds"] for leg in legs),
        "legs": legs,
    }
