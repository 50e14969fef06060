"""Which of ``count`` things come when, if they are passed through again and again, each time in a new order."""

from __future__ import annotations

from functools import lru_cache

import numpy as np


def shuffled_passes(places: np.ndarray, count: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The things at places of the endless sequence of passes.

    Args:
        places: ``[N]`` integers from 0.
        count: Number of things; every pass takes each of them once.
        seed: Seed of the orders.

    Returns:
        Number of the pass and index of the thing, ``[N]`` each.
    """
    passes, offsets = places // count, places % count
    orders = {number: _order(int(number), count, seed) for number in np.unique(passes)}
    chosen = [orders[number][offset] for number, offset in zip(passes, offsets, strict=True)]
    return passes, np.array(chosen, np.int64)


@lru_cache(maxsize=4)
def _order(number: int, count: int, seed: int) -> np.ndarray:
    return np.random.default_rng([seed, number]).permutation(count)
