"""Which images are held out: they are never trained on, so that what is measured on them is not memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rcdm_core.errors import UserError

LEAST_IMAGES = 50
SHARE, LEAST_HELD_OUT, MOST_HELD_OUT = 0.1, 10, 2_000


@dataclass(frozen=True, eq=False)
class Split:
    """Positions in a set of images, ascending.

    Attributes:
        training: Those that are trained on.
        held_out: The others.
    """

    training: np.ndarray
    held_out: np.ndarray


def hold_out(count: int, *, seed: int) -> Split:
    """A tenth of ``count`` images held out at random, at least 10 and at most 2,000.

    Raises:
        UserError: There are fewer than `LEAST_IMAGES`.
    """
    if count < LEAST_IMAGES:
        raise UserError(f"{count} images to train on", f"give at least {LEAST_IMAGES}, better some hundreds")
    held_out = int(np.clip(round(SHARE * count), LEAST_HELD_OUT, MOST_HELD_OUT))
    order = np.random.default_rng(seed).permutation(count)
    return Split(training=np.sort(order[held_out:]), held_out=np.sort(order[:held_out]))
