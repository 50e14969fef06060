"""Which images are trained on, when each comes, which are held out; and which an RCDM was trained on, by its card.

Those that were trained on an RCDM could recall: what is measured on them may be memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rcdm_core.data.garments import training_garments_are_here
from rcdm_core.data.registry import load_data, scene_set
from rcdm_core.data.scenes import SIZE, Scenes
from rcdm_core.errors import UserError
from rcdm_core.images import Side, recipe

if TYPE_CHECKING:
    from rcdm_core.data.imageset import ImageSet

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


def hold_out(count: int, seed: int) -> Split:
    """A tenth of ``count`` images held out at random, at least 10 and at most 2,000.

    Raises:
        UserError: There are fewer than `LEAST_IMAGES`.
    """
    if count < LEAST_IMAGES:
        raise UserError(f"{count} images to train on", f"give at least {LEAST_IMAGES}, better some hundreds")
    held_out = int(np.clip(round(SHARE * count), LEAST_HELD_OUT, MOST_HELD_OUT))
    order = np.random.default_rng(seed).permutation(count)
    return Split(training=np.sort(order[held_out:]), held_out=np.sort(order[:held_out]))


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


def names_its_images(card: Mapping[str, Any]) -> bool:
    """Whether the images that an RCDM was trained on can be known again by its card."""
    return "data_fingerprint" in card.get("training", {})


def known_split(card: Mapping[str, Any], images: ImageSet, data: str | Path) -> Split | None:
    """How the training of an RCDM split these images, where it was trained on them; None where on others.

    Args:
        card: Of the RCDM.
        images: The set, opened without a limit.
        data: What it was opened from: it is opened once more where the training took other sizes, or fewer images.

    Returns:
        Positions in `images`; those that the training left out count as held out.
    """
    if not names_its_images(card):
        return None
    training = card["training"]
    size, seed = training.get("image_size", images.image_size), training["settings"]["seed"]
    size = Side(size, **training.get("resized", {}))
    count, trained = training["images"] + training["held_out"], images
    if count < len(images) or (count == len(images) and recipe(size) != recipe(images.image_size)):
        trained = load_data(data, size, count, seed)
    if trained.fingerprint != training["data_fingerprint"]:
        return None
    seen = np.isin(images.keys, trained.keys[hold_out(count, seed).training])
    return Split(training=np.flatnonzero(seen), held_out=np.flatnonzero(~seen))


def unseen(splits: Iterable[Split | None], count: int) -> np.ndarray:
    """Positions of those of ``count`` images that none of several trainings was given, ascending."""
    given = [split.training for split in splits if split is not None]
    return np.setdiff1d(np.arange(count), np.concatenate(given) if given else ())


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
