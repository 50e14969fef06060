"""An encoder: a frozen network that gives representations at named levels, straight from images in [0, 1]."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from rcdm_core.encoders.catalogue import Training
from rcdm_core.encoders.pooling import catching, pooled
from rcdm_core.errors import UserError
from rcdm_core.fingerprint import fingerprint
from rcdm_core.placement import device_of

if TYPE_CHECKING:
    from collections.abc import Sequence


class Encoder(nn.Module):
    """A frozen trunk, its projector where there is one, and the preprocessing that belongs to them.

    Everything is differentiable in the images, so that an attack can go through it. Parameters are frozen.

    Args:
        name: Name in the registry.
        preprocess: Images ``[N, 3, H, W]`` in [0, 1] to the trunk's own input; resizing and normalisation.
        trunk: Preprocessed images to features, pooled by the rules of `rcdm_core.encoders.pooling` to ``[N, D]``: the
            level ``backbone``. A trunk may also give several levels itself, as a mapping by name.
        projector: Pooled features to embeddings ``[N, D']``: the level ``projector``; None where there is none.
        dimensions: ``D`` of each level.
        image_size: Side in pixels at which it wants its images: what the preprocessing resizes to, before it crops.
        **training: What is told of its training: ``is_ssl`` and ``training_augmentations``, as of `Training`.

    Attributes:
        about: What it computes with besides weights and preprocessing, such as the code of the trunk.
        layers: Layers of the trunk that are levels as well, shallow to deep; see `with_layers`.
        card: How it was trained and what it scores; shown in reports.
    """

    about: str = ""
    layers: tuple[str, ...] = ()

    def __init__(
        self,
        name: str,
        *,
        preprocess: nn.Module,
        trunk: nn.Module,
        projector: nn.Module | None,
        dimensions: Mapping[str, int],
        image_size: int = 32,
        **training: Any,
    ) -> None:
        super().__init__()
        self.name = name
        self.preprocess, self.trunk, self.projector = preprocess, trunk, projector
        self.dimensions = dict(dimensions)
        told = Training(**training)
        self.is_ssl, self.training_augmentations = told.is_ssl, told.training_augmentations
        self.image_size = image_size
        self.card: dict[str, Any] = {}
        self.eval().requires_grad_(False)

    @property
    def levels(self) -> tuple[str, ...]:
        """Names of the levels, shallow to deep."""
        return tuple(self.dimensions)

    @cached_property
    def network_fingerprint(self) -> str:
        """SHA-256 of weights, preprocessing and code: the same whichever layers are looked at."""
        return fingerprint(self, repr(self.preprocess) + self.about)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of `network_fingerprint` and the layers: equal fingerprints give equal representations."""
        if not self.layers:
            return self.network_fingerprint
        return fingerprint(self, repr(self.preprocess) + self.about + repr(self.layers))

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Representations of every level from one pass.

        Args:
            images: ``[N, 3, H, W]`` in [0, 1].

        Returns:
            ``{level: [N, D] float32}``.
        """
        with catching(self.trunk, self.layers) as caught:
            features = self.trunk(self.preprocess(images))
        levels = {name: caught[name][0].float() for name in self.layers}
        own = features if isinstance(features, Mapping) else {"backbone": features}
        levels |= {level: pooled(h, self.trunk).float() for level, h in own.items()}
        if self.projector is not None:
            levels["projector"] = self.projector(levels["backbone"]).float()
        return levels


def with_layers(encoder: Encoder, names: Sequence[str]) -> Encoder:
    """The encoder with layers of its trunk as further levels; weights are shared.

    Args:
        encoder: Any encoder.
        names: Names of layers, as in ``trunk.named_modules()``.

    Raises:
        UserError: No such layer (says the nearest), or one whose output is no tensor that can be pooled to a row for
            each image.
    """
    known = [name for name, _ in encoder.trunk.named_modules() if name]
    listed = f"`rcdm-probe encoders {encoder.name}` lists"
    for name in names:
        if name not in known:
            near = ", ".join(get_close_matches(name, [*encoder.levels, *known]))
            remedy = f"one of {', '.join(encoder.levels)}, or a layer by name: {listed} them"
            raise UserError(f"unknown level of {encoder.name} {name!r}", f"did you mean {near}?" if near else remedy)
    ordered = [name for name in known if name in names]
    found = survey(encoder, ordered)
    for name in ordered:
        if name not in found:
            raise UserError(
                f"layer {name!r} of {encoder.name} cannot be a level: it does not run by itself, "
                "or gives no features of each image",
                f"{listed} the layers that can",
            )
    wider = copy(encoder)
    wider.__dict__.pop("fingerprint", None)  # not that of these layers
    wider.layers = tuple(ordered)
    wider.dimensions = {name: dimension for name, (dimension, _) in found.items()} | encoder.dimensions
    pooling = {name: rule for name, (_, rule) in found.items()}
    wider.card = encoder.card | {"pooling": encoder.card.get("pooling", {}) | pooling}
    return wider


@torch.no_grad()
def survey(encoder: Encoder, names: Sequence[str] | None = None) -> dict[str, tuple[int, str]]:
    """Dimension and pooling of layers of the trunk, shallow to deep, from one pass of two black images.

    Args:
        encoder: Any encoder.
        names: Layers to look at; None takes all that do something. Those that cannot be a level are left out.
    """
    if names is None:
        names = [name for name, layer in encoder.trunk.named_modules() if name and not isinstance(layer, nn.Identity)]
    with catching(encoder.trunk, names) as caught:
        encoder(torch.zeros(2, 3, encoder.image_size, encoder.image_size, device=device_of(encoder.trunk)))
    of_images = [name for name in names if name in caught and len(caught[name][0]) == 2]  # not of windows of them
    return {name: (caught[name][0].shape[1], caught[name][1]) for name in of_images}
