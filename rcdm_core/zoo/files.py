"""Weights on disk: safetensors in float16, written to a temporary name first."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def save_weights(state: Mapping[str, torch.Tensor], path: Path) -> None:
    """Write a state dict; floating tensors as float16, others as they are."""
    half = {
        key: (tensor.half() if tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for key, tensor in state.items()
    }
    temporary = path.with_suffix(".tmp")
    save_file(half, temporary)
    os.replace(temporary, path)
