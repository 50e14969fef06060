"""An encoder: a frozen network that gives representations at named levels, straight from images in [0, 1]."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from rcdm_core.fingerprint import fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping


class Encoder(nn.Module):
    """A frozen trunk, its projector where there is one, and the preprocessing that belongs to them.

    Everything is differentiable in the images, so that an attack can go through it. Parameters are frozen.

    Args:
        name: Name in the registry.
        preprocess: Images ``[N, 3, H, W]`` in [0, 1] to the trunk's own input; resizing and normalisation.
        trunk: Preprocessed images to pooled features ``[N, D]``: the level ``backbone``.
        projector: Pooled features to embeddings ``[N, D']``: the level ``projector``; None where there is none.
        dimensions: ``D`` of each level.
        is_ssl: Whether the encoder was trained without labels.
        training_augmentations: Names of the probes' transformations it was trained with.
        card: How it was trained and what it scores; shown in reports.
    """

    def __init__(
        self,
        name: str,
        *,
        preprocess: nn.Module,
        trunk: nn.Module,
        projector: nn.Module | None,
        dimensions: Mapping[str, int],
        is_ssl: bool,
        training_augmentations: tuple[str, ...] = (),
        card: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.preprocess, self.trunk, self.projector = preprocess, trunk, projector
        self.dimensions = dict(dimensions)
        self.is_ssl = is_ssl
        self.training_augmentations = training_augmentations
        self.card = dict(card or {})
        self.eval().requires_grad_(False)

    @property
    def levels(self) -> tuple[str, ...]:
        """Names of the levels, shallow to deep."""
        return tuple(self.dimensions)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the weights and the preprocessing: equal fingerprints give equal representations."""
        return fingerprint(self, repr(self.preprocess))

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Representations of every level from one pass.

        Args:
            images: ``[N, 3, H, W]`` in [0, 1].

        Returns:
            ``{level: [N, D] float32}``.
        """
        levels = {"backbone": self.trunk(self.preprocess(images)).float()}
        if self.projector is not None:
            levels["projector"] = self.projector(levels["backbone"]).float()
        return levels
