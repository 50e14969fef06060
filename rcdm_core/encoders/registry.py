"""Names of encoders: a plain mapping from a name to what loads it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING

from rcdm_core.encoders.embedded import AUGMENTATIONS, PROJECTOR_DIMENSIONS, WIDTH, load_embedded
from rcdm_core.encoders.encoder import with_layers
from rcdm_core.errors import unknown_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import torch

    from rcdm_core.encoders.encoder import Encoder


@dataclass(frozen=True)
class Entry:
    """What is known of an encoder before it is loaded.

    Attributes:
        load: Makes the encoder, on the CPU.
        method: How it was trained, in words.
        dimensions: Levels and their dimensions.
        weights: Where the weights are, in words.
        here: Whether they are on this machine.
    """

    load: Callable[[], Encoder]
    method: str
    dimensions: Mapping[str, int]
    weights: str
    here: Callable[[], bool]


_METHODS = {
    "supervised": "cross-entropy on labels",
    "simclr": "SimCLR (Chen et al. 2020)",
    "vicreg": "VICReg (Bardes et al. 2022)",
    "barlow": "Barlow Twins (Zbontar et al. 2021)",
    "dino": "DINO (Caron et al. 2021)",
}


def _embedded(name: str) -> Entry:
    projector = {"projector": PROJECTOR_DIMENSIONS[name]} if name in PROJECTOR_DIMENSIONS else {}
    return Entry(
        load=partial(load_embedded, name),
        method=_METHODS[name],
        dimensions={"backbone": WIDTH, **projector},
        weights="in the package",
        here=lambda: (files("rcdm_core.zoo") / "weights" / f"{name}.safetensors").is_file(),
    )


ENCODERS: Mapping[str, Entry] = {name: _embedded(name) for name in AUGMENTATIONS}


def load_encoder(
    name: str,
    *,
    levels: Sequence[str] = (),
    weights: str | Path | None = None,
    device: str | torch.device = "cpu",
) -> Encoder:
    """An encoder by name, frozen and in evaluation mode.

    Args:
        name: A key of `ENCODERS`.
        levels: Levels that are wanted; its own are there in any case, others are layers of its trunk by name, such as
            ``layer3`` or ``blocks.5``, pooled by the rules of `rcdm_core.encoders.layers`.
        weights: A file of weights to use instead of the encoder's own.
        device: Where to put it.

    Raises:
        UserError: No such encoder or layer (says the nearest names), or its weights are not here or do not fit.
    """
    if name not in ENCODERS:
        raise unknown_name("encoder", name, ENCODERS)
    encoder = ENCODERS[name].load()
    further = [level for level in levels if level not in encoder.levels]
    return (with_layers(encoder, further) if further else encoder).to(device)
