"""What samples start from, and which decoder draws from which encoder.

The starting noise of a sample is a function of ``(seed, image, number of the sample)`` alone. So samples of one image
from its backbone and from its projector, or from ``h(x)`` and from ``h(T(x))``, start from equal noise, and a
difference between two such pictures comes from the representation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from rcdm_core.errors import UserError
from rcdm_core.rcdm.rcdm import unknown_condition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcdm_core.encoders.encoder import Encoder
    from rcdm_core.rcdm import RCDM


def starting_noise(size: int, keys: Sequence[Sequence[int]], *, seed: int) -> torch.Tensor:
    """Standard normal noise ``[N, 3, size, size]`` of N pairs (position of the image, number of the sample)."""
    rows = [np.random.default_rng([seed, *key]).standard_normal((3, size, size), dtype=np.float32) for key in keys]
    return torch.from_numpy(np.stack(rows))


def drawable(encoder: Encoder, levels: Sequence[str], rcdm: RCDM) -> tuple[str, ...]:
    """Those of an encoder's levels that the RCDM was trained on."""
    return tuple(level for level in levels if f"{encoder.name}/{level}" in rcdm.conditions)


def check_match(encoder: Encoder, levels: Sequence[str], rcdm: RCDM) -> None:
    """Raise a `UserError` unless the RCDM was trained on this encoder, with these weights, at one of these levels."""
    known = drawable(encoder, levels, rcdm)
    if not known:
        raise unknown_condition(f"{encoder.name}/{levels[0]}", rcdm.conditions)
    for level in known:
        trained = rcdm.conditions[f"{encoder.name}/{level}"]
        if trained != encoder.dimensions[level]:
            raise UserError(
                f"{encoder.name}/{level} has {encoder.dimensions[level]} dimensions, "
                f"this RCDM was trained on {trained}",
                "use the RCDM that was trained for this encoder and level",
            )
    weights = encoder.network_fingerprint
    if rcdm.card.get("encoders", {}).get(encoder.name, weights) != weights:
        raise UserError(
            f"this RCDM was trained on other weights of {encoder.name}",
            "use the RCDM that was trained for them",
        )
