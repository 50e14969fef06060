"""Which images an RCDM was trained on, as far as its card tells and they are at hand: those that it could recall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rcdm_core.data.garments import training_garments_are_here
from rcdm_core.data.registry import load_data, scene_set
from rcdm_core.data.scenes import SIZE, Scenes
from rcdm_core.rcdm_training.split import Split, hold_out
from rcdm_core.zoo.curriculum import scene_indices

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from typing import Any

    from rcdm_core.data.imageset import ImageSet

_SCENES = "fashion scenes, training split"  # as the cards of the zoo begin


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
    count, trained = training["images"] + training["held_out"], images
    if count < len(images) or (count == len(images) and size != images.image_size):
        trained = load_data(data, image_size=size, limit=count, seed=seed)
    if trained.fingerprint != training["data_fingerprint"]:
        return None
    seen = np.isin(images.keys, trained.keys[hold_out(count, seed=seed).training])
    return Split(training=np.flatnonzero(seen), held_out=np.flatnonzero(~seen))


def unseen(splits: Iterable[Split | None], count: int) -> np.ndarray:
    """Positions of those of ``count`` images that none of several trainings was given, ascending."""
    seen = np.zeros(count, bool)
    for split in splits:
        if split is not None:
            seen[split.training] = True
    return np.flatnonzero(~seen)


def trained_scenes(card: Mapping[str, Any], *, limit: int) -> TrainingImages | None:
    """The first scenes that the embedded RCDM was shown in the last leg of its training.

    Args:
        card: Of the RCDM.
        limit: How many at most.

    Returns:
        None where it was trained on something else, or the training garments are not on this machine.
    """
    training = card.get("training", {})
    if not str(training.get("data", "")).startswith(_SCENES) or not training_garments_are_here():
        return None
    leg = training["legs"][-1]
    seed = leg["settings"]["seed"] + 1  # as `rcdm_core.zoo.train_rcdm` draws them
    chosen = np.sort(scene_indices(0, min(limit, leg["images"]), seed=seed))
    return TrainingImages(
        scene_set(Scenes("train", seed=seed), chosen, SIZE), np.arange(len(chosen)), training["images"]
    )
