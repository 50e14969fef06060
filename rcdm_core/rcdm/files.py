"""An RCDM on disk, in the layout of diffusers.

- ``unet/``: configuration and weights of the U-Net, as ``UNet2DModel.from_pretrained`` reads them;
- ``scheduler/``: the schedule it was trained on, as ``DDPMScheduler.from_pretrained`` reads it;
- ``heads.safetensors``: a head for each condition;
- ``rcdm.json``: the card, with the shape of the network, its conditions, how it was trained and what it scores.

The card is written last: a folder that has one is complete.
"""

from __future__ import annotations

import json
from importlib.resources import as_file, files
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import torch
from diffusers import DDPMScheduler
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from rcdm_core.atomic import atomic_path
from rcdm_core.errors import UserError
from rcdm_core.keeping import keeping
from rcdm_core.paths import user_path
from rcdm_core.rcdm.network import Denoiser, NetworkSettings
from rcdm_core.rcdm.rcdm import RCDM

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

UNET, UNET_CONFIG = "unet/diffusion_pytorch_model.safetensors", "unet/config.json"
SCHEDULE, HEADS, CARD = "scheduler/scheduler_config.json", "heads.safetensors", "rcdm.json"
FILES = (UNET, UNET_CONFIG, SCHEDULE, HEADS, CARD)
STATE = "training"  # folder in which a training keeps its state


def save_rcdm(
    denoiser: Denoiser,
    schedule: DDPMScheduler,
    folder: Path,
    *,
    card: Mapping[str, Any],
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write an RCDM; one that is there already is replaced.

    Args:
        denoiser: U-Net and heads.
        schedule: The schedule they were trained on.
        folder: Where to; made if it is not there. Other files in it stay.
        card: How the RCDM was trained and what it scores; shape and conditions are added.
        dtype: Of the weights in the files.

    Raises:
        UserError: The folder cannot be written.
    """
    shape = {"network": denoiser.settings.to_dict(), "conditions": denoiser.conditions}
    with keeping("the RCDM", folder):
        for name in FILES:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / CARD).unlink(missing_ok=True)
        _write_tensors(denoiser.unet.state_dict(), folder / UNET, dtype)
        _write_tensors(denoiser.heads.state_dict(), folder / HEADS, dtype)
        _write_json(json.loads(denoiser.unet.to_json_string()), folder / UNET_CONFIG)
        _write_json(json.loads(schedule.to_json_string()), folder / SCHEDULE)
        _write_json({**card, **shape}, folder / CARD)


def load_rcdm(path: str | Path | None = None, *, device: str | torch.device = "cpu") -> RCDM:
    """A trained RCDM, frozen.

    Args:
        path: A folder as `save_rcdm` writes it; by default the one that ships in the package.
        device: Where to put it.

    Raises:
        UserError: A file is missing or damaged; says which.
    """
    if path is not None:
        return _read(user_path(path, "the folder of the RCDM")).to(device)
    with as_file(files("rcdm_core.zoo") / "weights" / "rcdm") as folder:
        return _read(folder).to(device)


def read_card(folder: Path) -> dict[str, Any]:
    """The card of the RCDM in a folder.

    Raises:
        UserError: There is none, or it is damaged.
    """
    for name in FILES:
        if not (folder / name).is_file():
            raise UserError(f"no RCDM in {folder}", _reason(folder, name))
    try:
        card = json.loads((folder / CARD).read_text())
        NetworkSettings.from_dict(card["network"])
        dict(card["conditions"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / CARD} is no card of an RCDM", f"make the RCDM again ({error!r})") from error
    return card


def read_weights(denoiser: Denoiser, folder: Path) -> None:
    """Load the weights of the RCDM in a folder into a network of its shape, in float32.

    Raises:
        UserError: They are damaged, or of another shape.
    """
    for module, name in ((denoiser.unet, UNET), (denoiser.heads, HEADS)):
        try:
            state = {key: tensor.float() for key, tensor in load_file(folder / name).items()}
            module.load_state_dict(state, assign=True)
        except (RuntimeError, SafetensorError, OSError) as error:
            raise UserError(f"{folder / name} does not fit its card", shorten(str(error), 300)) from error
    denoiser.unet.to(memory_format=torch.channels_last)


def _read(folder: Path) -> RCDM:
    card = read_card(folder)
    with torch.device("meta"):  # weights come from the files, at once
        denoiser = Denoiser(NetworkSettings.from_dict(card["network"]), card["conditions"])
    read_weights(denoiser, folder)
    try:
        schedule = DDPMScheduler.from_config(json.loads((folder / SCHEDULE).read_text()))
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{folder / SCHEDULE} is no schedule", f"make the RCDM again ({error!r})") from error
    return RCDM(denoiser, schedule=schedule, card=card)


def _reason(folder: Path, missing: str) -> str:
    """Why a folder holds no RCDM, and what to do about it."""
    if not folder.is_dir():
        return "there is no such folder"
    if (folder / STATE).is_dir():
        return "its training has not ended; the same `rcdm-probe train` goes on with it"
    return f"{missing} is missing"


def _write_tensors(state: Mapping[str, torch.Tensor], path: Path, dtype: torch.dtype) -> None:
    tensors = {key: tensor.detach().to("cpu", dtype).contiguous() for key, tensor in state.items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})


def _write_json(content: Any, path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")
