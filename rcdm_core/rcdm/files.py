"""An RCDM on disk: ``rcdm.safetensors`` (float16) and its card ``rcdm.json``, which holds the shape of the network."""

from __future__ import annotations

import json
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import load_file

from rcdm_core.errors import UserError
from rcdm_core.rcdm.network import Denoiser, NetworkSettings
from rcdm_core.rcdm.rcdm import RCDM

if TYPE_CHECKING:
    import torch


def load_rcdm(path: str | Path | None = None, *, device: str | torch.device = "cpu") -> RCDM:
    """A trained RCDM, frozen.

    Args:
        path: A folder with ``rcdm.safetensors`` and ``rcdm.json``; by default the one that ships in the package.
        device: Where to put it.

    Raises:
        UserError: The files are not there.
    """
    if path is not None:
        return _read(Path(path)).to(device)
    with as_file(files("rcdm_core.zoo") / "weights") as folder:
        return _read(folder).to(device)


def network_of(card: dict[str, Any]) -> Denoiser:
    """The network that a card describes, with fresh weights."""
    shape: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in card["network"].items()}
    return Denoiser(NetworkSettings(**shape), card["conditions"])


def _read(folder: Path) -> RCDM:
    weights, card_path = folder / "rcdm.safetensors", folder / "rcdm.json"
    for path in (weights, card_path):
        if not path.is_file():
            raise UserError(f"no RCDM in {folder}", f"{path.name} is missing")
    card = json.loads(card_path.read_text())
    denoiser = network_of(card)
    denoiser.load_state_dict(load_file(weights))  # float16 in the file, float32 in the network
    return RCDM(denoiser, card=card)
