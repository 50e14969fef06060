"""Which images are trained on, when each comes, which are held out; and which an RCDM was trained on, by its card.

Those that were trained on an RCDM could recall: what is measured on them may be memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from rcdm_core.data.folder import FolderImages
from rcdm_core.data.garments import training_garments_are_here
from rcdm_core.data.registry import SCENES as SCENES_BY_NAME
from rcdm_core.data.registry import scene_set
from rcdm_core.data.scenes import SIZE, Scenes
from rcdm_core.errors import UserError

if TYPE_CHECKING:
    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.rcdm import RCDM

LEAST_IMAGES = 50
SHARE, LEAST_HELD_OUT, MOST_HELD_OUT = 0.1, 10, 2_000
SCENES = "fashion scenes, training split"
"""How the cards of the zoo name what it is trained on."""

_GARMENTS = 60_000


@dataclass(frozen=True, eq=False)
class Split:
    """Positions in a set of images, ascending.

    Attributes:
        training: Those that are trained on.
        held_out: The others.
    """

    training: np.ndarray
    held_out: np.ndarray


def hold_out(count: int, seed: int, seen: ArrayLike = ()) -> Split:
    """A tenth of ``count`` images held out at random, at least 10 and at most 2,000.

    Args:
        count: Number of images.
        seed: Of the choice.
        seen: Positions of images that are not to be held out; where too few others are left, fewer are.

    Raises:
        UserError: There are fewer than `LEAST_IMAGES`.
    """
    if count < LEAST_IMAGES:
        raise UserError(f"{count} images to train on", f"give at least {LEAST_IMAGES}, better some hundreds")
    held_out = int(np.clip(round(SHARE * count), LEAST_HELD_OUT, MOST_HELD_OUT))
    order = np.random.default_rng(seed).permutation(count)
    chosen = np.sort(order[~np.isin(order, seen)][:held_out])
    return Split(training=np.setdiff1d(np.arange(count), chosen), held_out=chosen)


def shuffled_passes(places: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What comes when, if ``count`` things are passed through again and again, each time in a new order.

    Args:
        places: In the endless sequence, ``[N]`` integers from 0.
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


def scene_indices(step: int, batch_size: int, seed: int) -> np.ndarray:
    """Indices of the training scenes of a step: each pass over the garments in a new order, with new factors.

    Scene ``i`` is garment ``i mod 60,000`` with its own factors, so that no data set is stored. Another training of the
    same seed, such as a further leg, is shown the same scenes again.
    """
    places = np.arange(step * batch_size, (step + 1) * batch_size)
    passes, garments = shuffled_passes(places, _GARMENTS, seed)
    return passes * _GARMENTS + garments


@dataclass(frozen=True, eq=False)
class TrainingImages:
    """Images that an RCDM has seen.

    Attributes:
        images: A set that holds them.
        positions: Where in the set, ``[G]``.
        total: How many images the RCDM has seen in all.
    """

    images: ImageSet
    positions: np.ndarray
    total: int


def trained_rows(rcdms: Iterable[RCDM], images: ImageSet) -> np.ndarray:
    """Positions of those of the images that any of these RCDMs, or one that it began with, was trained on."""
    hashes = [rcdm.trained_images for rcdm in rcdms]
    return np.flatnonzero(np.isin(images.hashes, np.concatenate(hashes))) if hashes else np.array([], np.int64)


def doubts(rcdms: Iterable[RCDM], images: ImageSet) -> list[str]:
    """What is told of trainings that may have been on these images: those of RCDMs that do not hold by which.

    One folder may hold what another does, however they are called, and what torchvision's data sets hold, after which a
    folder may have been called, too; a data set that goes by a name is no other, and scenes are nowhere else.
    """
    told = []
    for card in (card for rcdm in rcdms for card in rcdm.cards):
        training = card.get("training", {})
        if "data_fingerprint" in training and "trained_images" not in card:
            name = training.get("data", "a folder")
            if name == images.name or (isinstance(images, FolderImages) and name not in SCENES_BY_NAME):
                told.append(f"trained on {training['images']:,} images of {name}")
    return list(dict.fromkeys(told))


def told_of_doubts(images: ImageSet, told: Sequence[str]) -> ImageSet:
    """The images that are measured; where there are `doubts`, they say so."""
    if not told:
        return images
    return images.remarking(
        f"samples may be memory. A decoder was {' and '.join(told)}, and whether any of these are measured is not "
        "known: it does not hold by what its images are known again. Numbers that rest on samples are safe only on "
        "images that it has not seen"
    )


def spared(images: ImageSet, start: RCDM) -> ImageSet:
    """Images that an RCDM is trained further on, with those it has seen, none of which is then held out.

    Where fewer than `LEAST_HELD_OUT` are left, or it is not known which it has seen, they say so.
    """
    seen = trained_rows([start], images)
    told = "numbers of held-out images may be memory: the RCDM that is begun with was"
    if unknown := doubts([start], images):
        images = images.remarking(f"{told} {' and '.join(unknown)}, and whether on any of these is not known")
    if (left := len(images) - len(seen)) < LEAST_HELD_OUT:
        return images.remarking(
            f"{told} trained on all but {left} of these, and at least {LEAST_HELD_OUT} are held out"
        )
    return replace(images, seen=seen)


def trained_scenes(card: Mapping[str, Any], *, limit: int) -> TrainingImages | None:
    """The first scenes, at most ``limit``, that the embedded RCDM was shown in the last leg of its training.

    None where it was trained on something else, or the training garments are not on this machine.
    """
    training = card.get("training", {})
    if not str(training.get("data", "")).startswith(SCENES) or not training_garments_are_here():
        return None
    leg = training["legs"][-1]
    seed = leg["settings"]["seed"] + 1  # as `rcdm_core.zoo.train` draws them
    chosen = np.sort(scene_indices(0, min(limit, leg["images"]), seed))
    return TrainingImages(scene_set(Scenes("train", seed), chosen, SIZE), np.arange(len(chosen)), training["images"])
