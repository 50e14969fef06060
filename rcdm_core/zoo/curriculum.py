"""Which training scenes a step sees.

Within a training every batch is of scenes that it has not seen before: scene ``i`` is garment ``i mod 60,000`` with its
own factors. A pass over the garments takes them in a new order, with new factors, so that no data set is stored.
Another training of the same seed, such as a further leg, is shown the same scenes again.
"""

from __future__ import annotations

import numpy as np

from rcdm_core.shuffle import shuffled_passes

_GARMENTS = 60_000


def scene_indices(step: int, batch_size: int, *, seed: int) -> np.ndarray:
    """Indices of the training scenes of a step: each pass over the garments in a new order, with new factors."""
    places = np.arange(step * batch_size, (step + 1) * batch_size)
    passes, garments = shuffled_passes(places, _GARMENTS, seed=seed)
    return passes * _GARMENTS + garments
