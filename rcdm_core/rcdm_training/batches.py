"""The batches of a training: images, one representation of each, and what is random in their loss.

All of it belongs to a position in a batch: which image it is, at which level it is shown, its noise and its quantile
are functions of ``(seed, step, position)`` (`rcdm_core.rcdm.draws`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rcdm_core.rcdm.draws import random_draws
from rcdm_core.shuffle import shuffled_passes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch

    from rcdm_core.rcdm.learner import Batch
    from rcdm_core.rcdm_training.store import Store


def batches(
    store: Store,
    rows: np.ndarray,
    conditions: Mapping[str, str],
    *,
    batch_size: int,
    image_size: int,
    seed: int,
    device: torch.device | str,
) -> Callable[[int, slice], Batch]:
    """What `rcdm_core.training.train` draws from.

    Images come in shuffled passes over the rows. Levels take turns over the images, from batch to batch.

    Args:
        store: Images and representations.
        rows: Positions in the store that are trained on.
        conditions: Level of each condition, as ``{"vicreg/backbone": "backbone"}``.
        batch_size: Images of a whole batch.
        image_size: Side of the images in pixels.
        seed: Seed of everything.
        device: Where batches go.
    """
    names = list(conditions)

    def draw(step: int, positions: slice) -> Batch:
        places = np.arange(batch_size)[positions]
        shown = step * batch_size + places  # images before each, in all batches
        turn = shown % len(names)
        order = np.argsort(turn, kind="stable")  # images of one condition together
        _, chosen = shuffled_passes(shown, len(rows), seed=seed)
        chosen, turn = rows[chosen][order], turn[order]
        groups = [
            (name, store.representations(conditions[name], chosen[turn == number]).to(device))
            for number, name in enumerate(names)
        ]  # a condition without an image takes part with no rows: every process knows a gradient for every head
        draws = random_draws(step, positions, batch_size=batch_size, image_size=image_size, seed=seed)
        return store.images(chosen).to(device), groups, draws.of(order).to(device)

    return draw
