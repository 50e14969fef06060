"""Which images are trained on, when each comes, which are held out; and which an RCDM was trained on, by its card.

Those that were trained on an RCDM could recall: what is measured on them may be memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from rcdm_core.data.folder import FolderImages
from rcdm_core.data.garments import training_garments_are_here
from rcdm_core.data.registry import NAMES, load_data, scene_set
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
        Positions in `images`; those that the training left out count as held out. Those that were held out in the
        place of others, which an RCDM it began with had seen, count as trained on.
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


def may_hold(card: Mapping[str, Any], images: ImageSet) -> bool:
    """Whether images may be among those that an RCDM was trained on, by what both sets are called.

    One folder may hold what another does, however they are called; a data set that goes by a name is no other.
    """
    if not names_its_images(card):
        return False
    name = card["training"].get("data")
    return name == images.name or (isinstance(images, FolderImages) and name not in NAMES)


def known_splits(
    cards: Iterable[Mapping[str, Any]], images: ImageSet, data: str | Path
) -> tuple[list[Split], list[str]]:
    """As `known_split`, of several cards: those that are known, and what is told of trainings that may be on these.

    A folder to which an image was added, or in which one was renamed, is not known again.
    """
    splits, doubts = [], []
    for card in cards:
        if split := known_split(card, images, data):
            splits.append(split)
        elif may_hold(card, images):
            training = card["training"]
            doubts.append(f"trained on {training['images']:,} images of {training.get('data', 'a folder')}")
    return splits, list(dict.fromkeys(doubts))


def told_of_doubts(images: ImageSet, doubts: Sequence[str]) -> ImageSet:
    """The images that are measured; where `known_splits` has doubts, they say so."""
    if not doubts:
        return images
    return images.remarking(
        f"samples may be memory. A decoder was {' and '.join(doubts)}, and whether any of these are measured is not "
        "known: a folder is known again only while no file in it is added, removed or renamed. Numbers that rest on "
        "samples are safe only on images that it has not seen"
    )


def spared(
    images: ImageSet, cards: Sequence[Mapping[str, Any]], data: str | Path, limit: int | None = None
) -> ImageSet:
    """Images that an RCDM is trained further on, with those it has seen, none of which is then held out.

    Where fewer than `LEAST_HELD_OUT` are left, or it is not known which it has seen, they say so.

    Args:
        images: The images.
        cards: Of the RCDM.
        data: What they were opened from: it is opened once more where the RCDM was trained on others of the set.
        limit: With which limit they were opened.
    """
    named = [card for card in cards if may_hold(card, images)]
    same = all(card["training"]["data_fingerprint"] == images.fingerprint for card in named)
    every = images if same or len(images) != limit else load_data(data, images.image_size)
    splits, doubts = known_splits(named, every, data)
    given = np.setdiff1d(np.arange(len(every)), unseen(splits, len(every)))
    seen = np.flatnonzero(np.isin(images.keys, every.keys[given]))
    told = "numbers of held-out images may be memory: the RCDM that is begun with was"
    if doubts:
        images = images.remarking(f"{told} {' and '.join(doubts)}, and whether on any of these is not known")
    if (left := len(images) - len(seen)) < LEAST_HELD_OUT:
        return images.remarking(
            f"{told} trained on all but {left} of these, and at least {LEAST_HELD_OUT} are held out"
        )
    return replace(images, seen=seen)


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
