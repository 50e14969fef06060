"""Encoders: frozen networks with named levels, found by name.

What needs PyTorch is imported when it is first used, so that a list of encoders is quick.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rcdm_core.encoders.catalogue import EMBEDDED, ENCODERS, FAMILIES, PUBLISHED, UNTRAINED
from rcdm_core.errors import UserError
from rcdm_core.weights import parse_weights, split_training

if TYPE_CHECKING:
    import torch

    from rcdm_core.encoders.encoder import Encoder

__all__ = ["EMBEDDED", "ENCODERS", "FAMILIES", "PUBLISHED", "UNTRAINED", "Encoder", "load_encoder"]


def __getattr__(name: str) -> Any:
    if name != "Encoder":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rcdm_core.encoders.encoder import Encoder

    return Encoder


_FAMILIES = {
    "timm/": "hubs.load_timm",
    "hf-hub:": "hubs.load_timm",
    "hf:": "optional_hubs.load_huggingface",
    "open_clip:": "optional_hubs.load_open_clip",
    "torchhub/": "hubs.load_torchhub",
    "python:": "python_function.load_custom",
}
"""Beginning of a name to who loads it: only what is needed is imported."""


def load_encoder(
    name: str, *, levels: Sequence[str] = (), weights: str | Path | None = None, device: str | torch.device = "cpu"
) -> Encoder:
    """An encoder by name, frozen and in evaluation mode.

    Args:
        name: A key of `ENCODERS`, or a name of one of the `FAMILIES`, such as ``timm/resnet18``.
        levels: Levels that are wanted; its own are there in any case, others are layers of its trunk by name, such as
            ``layer3`` or ``blocks.5``, pooled by the rules of `rcdm_core.encoders.encoder`.
        weights: A file of weights to use instead of the encoder's own (``own``); ``random`` or ``random:SEED`` for
            fresh ones. How they were trained may follow: ``my.pt:self-supervised``, ``own:supervised``.
        device: Where to put it.

    Raises:
        UserError: No such encoder or layer (says the nearest names), or its weights are not here or do not fit.
    """
    from rcdm_core.encoders.any_network import described
    from rcdm_core.encoders.encoder import with_layers

    place = next((place for prefix, place in _FAMILIES.items() if name.startswith(prefix)), None)
    if name in ENCODERS:
        place = "published.load_published" if name in PUBLISHED else "embedded.load_embedded"
    if place is None:
        raise _unknown(name)
    module, _, function = place.partition(".")
    load = getattr(import_module(f"{__name__}.{module}"), function)
    what, is_ssl = split_training(weights)
    encoder = load(name, weights=parse_weights(what))
    if is_ssl is not None:
        encoder.is_ssl = is_ssl
    encoder.is_stateless = name in ENCODERS or load.__name__ == "load_timm"
    encoder.examined_as = described(encoder)  # a family's own has been; ours are known
    further = [level for level in levels if level not in encoder.levels]
    return (with_layers(encoder, further) if further else encoder).to(device)


def _unknown(name: str) -> UserError:
    """The error for a name that stands for nothing, with the nearest of all that do."""
    import timm

    near = get_close_matches(name.lower(), ENCODERS, cutoff=0.5)
    last = name.lower().rpartition("/")[2].partition(".")[0]
    near += [f"timm/{match}" for match in get_close_matches(last, timm.list_models(), cutoff=0.75)]
    families = ", ".join(family.pattern for family in FAMILIES.values())
    return UserError(
        f"unknown encoder {name!r}",
        f"did you mean {', '.join(near[:3])}?" if near else f"`rcdm-probe encoders` lists them; others are {families}",
    )
