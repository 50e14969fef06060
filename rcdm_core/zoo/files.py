"""The zoo on disk: weights in safetensors and float16, a card in JSON beside each; temporary names first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from safetensors.torch import save_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch


def save_weights(state: Mapping[str, torch.Tensor], path: Path) -> None:
    """Write a state dict; floating tensors as float16, others as they are."""
    half = {
        key: (tensor.half() if tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for key, tensor in state.items()
    }
    temporary = path.with_suffix(".tmp")
    save_file(half, temporary)
    temporary.replace(path)


def update_card(folder: Path, name: str, **details: Any) -> None:
    """Set entries of ``folder/name.json``; entries that are not named stay."""
    path = folder / f"{name}.json"
    card = json.loads(path.read_text()) if path.is_file() else {"name": name}
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(card | details, indent=2) + "\n")
    temporary.replace(path)
