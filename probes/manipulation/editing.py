"""Edits of a representation: common dimensions removed or transplanted, and random ones that do as much or go as far.

``transplanted`` replaces, in ``h``, the dimensions that are common in the target's neighbourhood by the target's own
values. Its two controls replace random dimensions by the target's values: as many of them, and as many as it takes to
move ``h`` as far.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from probes.manipulation.rule import Rule

EDITS = ("removed", "removed_random", "transplanted", "transplanted_random", "transplanted_far")
"""Every edit: of common dimensions, and of random ones."""

_REMOVAL, _TRANSPLANT = 0, 1  # streams of random orders


def edited(
    h: torch.Tensor,
    target: torch.Tensor,
    rule: Rule,
    own: torch.Tensor,
    theirs: torch.Tensor,
    *,
    seed: int,
    images: Sequence[int],
) -> dict[str, torch.Tensor]:
    """Every edit of each representation.

    Args:
        h: Representations ``[N, D]``.
        target: Those of the targets, ``[N, D]``.
        rule: The rule of the level.
        own: Common dimensions of each image, ``[N, D]`` booleans.
        theirs: Common dimensions of each target.
        seed: Seed of the random dimensions.
        images: Numbers of the images; random dimensions are a function of the seed and the number.

    Returns:
        ``{edit: [N, D]}``, keys as `EDITS`.
    """
    size = h.shape[1]
    masks = {
        "removed": own,
        "removed_random": first_of(random_orders(seed, _REMOVAL, images, size), own.sum(1)),
        "transplanted": theirs,
    }
    orders = random_orders(seed, _TRANSPLANT, images, size)
    masks["transplanted_random"] = first_of(orders, theirs.sum(1))
    masks["transplanted_far"] = first_of(orders, reach(orders, target - h, theirs))
    values = {name: rule.rest if name.startswith("removed") else target for name in EDITS}
    return {name: torch.where(masks[name], values[name], h) for name in EDITS}


def random_orders(seed: int, stream: int, images: Sequence[int], size: int) -> torch.Tensor:
    """An order of all dimensions for each image, ``[N, size]``."""
    return torch.from_numpy(np.stack([np.random.default_rng([seed, stream, i]).permutation(size) for i in images]))


def first_of(orders: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """The first ``counts [N]`` dimensions of each order ``[N, D]``, as booleans ``[N, D]``."""
    taken = torch.arange(orders.shape[1]) < counts[:, None]
    return torch.zeros_like(taken).scatter(1, orders, taken)


def reach(orders: torch.Tensor, gap: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """How many dimensions of each order it takes to go as far along ``gap [N, D]`` as the masked ones go, ``[N]``."""
    squares = gap.double().square()
    wanted = (squares * mask).sum(1, keepdim=True)
    short = squares.gather(1, orders).cumsum(1) < wanted * (1 - 1e-12)
    return torch.where(wanted[:, 0] > 0, (short.sum(1) + 1).clamp(max=orders.shape[1]), 0)
