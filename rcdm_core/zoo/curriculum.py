"""Which training scenes a step sees.

Every batch is of scenes never seen before: scene ``i`` is garment ``i mod 60,000`` with its own factors. A pass over
the garments takes them in a new order, with new factors, so that no data set is stored.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

_GARMENTS = 60_000


def scene_indices(step: int, batch_size: int, *, seed: int) -> np.ndarray:
    """Indices of the training scenes of a step: each pass over the garments in a new order, with new factors."""
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    passes, offsets = positions // _GARMENTS, positions % _GARMENTS
    orders = {p: _order(int(p), seed) for p in np.unique(passes)}
    garments = np.array([orders[p][o] for p, o in zip(passes, offsets, strict=True)])
    return passes * _GARMENTS + garments


@lru_cache(maxsize=2)
def _order(number: int, seed: int) -> np.ndarray:
    return np.random.default_rng([seed, number]).permutation(_GARMENTS)
