"""Decoders written for tests, of which it is known how far they are to be trusted; no network is behind them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from rcdm_core.encoders.encoder import Encoder
from rcdm_core.features import FeatureSpace, Look
from rcdm_core.rcdm import RCDM

SIDE = 32  # pixels

Draw = Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]
"""From representations, starting noise and number of steps to images."""


class Decoder(RCDM):
    """An RCDM with a rule in the place of its network.

    Args:
        name: Tells decoders apart.
        conditions: Encoder and level with its dimension.
        draw: The rule.
        card: As an RCDM has one.
        trained_images: Of which it is known that it was trained on them.
    """

    image_size, conditions, fingerprint = SIDE, None, None  # values in the place of the properties of a network

    def __init__(
        self,
        name: str,
        conditions: Mapping[str, int],
        draw: Draw,
        card: Mapping[str, Any] | None = None,
        trained_images: np.ndarray = RCDM.trained_images,
    ) -> None:
        nn.Module.__init__(self)
        self.trained_images = trained_images
        self.conditions, self.draw, self.card = dict(conditions), draw, dict(card or {})
        self.fingerprint = hashlib.sha256(name.encode()).hexdigest()

    def sample(self, h: torch.Tensor, condition: str, *, noise: torch.Tensor, steps: int, **_: Any) -> torch.Tensor:
        assert condition in self.conditions
        return self.draw(h, noise, steps).clamp(0, 1)


def pixels(name: str = "pixels") -> Encoder:
    """The encoder that keeps everything."""
    return Encoder(
        name, preprocess=nn.Identity(), trunk=nn.Flatten(), projector=None,
        dimensions={"backbone": 3 * SIDE * SIDE}, is_ssl=True, image_size=SIDE,
    )  # fmt: skip


def faithful(h: torch.Tensor, noise: torch.Tensor, steps: int) -> torch.Tensor:
    """The image itself, with noise that more steps take away."""
    return h.view(-1, 3, SIDE, SIDE) + 0.5 / steps * noise


def deaf(h: torch.Tensor, noise: torch.Tensor, steps: int) -> torch.Tensor:
    """Grey noise, whatever the representation."""
    return 0.5 + 0.2 * noise


def space(classes: bool = True) -> FeatureSpace:
    """Images at 4 x 4 pixels; classes are how red, green or blue they are."""

    def look(images: torch.Tensor) -> Look:
        features = F.adaptive_avg_pool2d(images, 4).flatten(1)
        return features, (20 * images.mean((2, 3))).softmax(1) if classes else None

    return FeatureSpace("coarse", "FD-coarse", "IS-coarse" if classes else "", "coarse", look)
