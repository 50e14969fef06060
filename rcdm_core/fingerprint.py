"""Fingerprints: equal ones mean that two networks compute the same."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import nn


def fingerprint(module: nn.Module, about: str = "") -> str:
    """SHA-256 of a module's parameters and buffers with their names.

    Args:
        module: On any device.
        about: What the module computes with besides, such as its preprocessing.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256(about.encode())
    for key, tensor in sorted(module.state_dict().items()):
        digest.update(key.encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
