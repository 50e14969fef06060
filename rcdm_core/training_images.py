"""Which images an RCDM was trained on, as far as its card tells and they are at hand: those that it could recall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rcdm_core.data.garments import training_garments_are_here
from rcdm_core.data.registry import SceneImages
from rcdm_core.data.scenes import SIZE, Scenes
from rcdm_core.rcdm_training.split import Split, hold_out
from rcdm_core.zoo.curriculum import scene_indices

if TYPE_CHECKING:
    from collections.abc import Mapping
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


def known_split(card: Mapping[str, Any], images: ImageSet) -> Split | None:
    """How the training of an RCDM split these images, where it was trained on them; None where on others.

    Args:
        card: Of the RCDM.
        images: The set, opened without a limit, as the training opened it.
    """
    training = card.get("training", {})
    if training.get("data_fingerprint") != images.fingerprint:
        return None
    return hold_out(len(images), seed=training["settings"]["seed"])


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
    images = SceneImages("scenes-train", Scenes("train", seed=seed), chosen, SIZE)
    return TrainingImages(images, np.arange(len(chosen)), training["images"])
