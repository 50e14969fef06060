"""Pictures of the invariance probe: what samples share, and what a transformation changes in them.

Panels are built from images that were drawn before; nothing is sampled here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from probes.panels import Panel
from probes.transformations import TRANSFORMATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from probes.invariance.study import Study

TRAINED, USUAL = "the training augmentations", "the augmentations that SSL encoders are usually trained with"
"""What augmentations are called: those of the encoder's own training, and those taken where they are not known."""


def samples_panel(level: str, originals: torch.Tensor, samples: torch.Tensor) -> Panel:
    """Several samples of each image at one level.

    Args:
        level: Level that the samples come from.
        originals: The images, ``[R, 3, S, S]``.
        samples: ``[R, K, 3, S, S]``.
    """
    count = samples.shape[1]
    return Panel(
        f"samples_{level}",
        f"What the {level} keeps: {count} samples from each representation",
        f"First column: the image. The others: samples conditioned on its {level} representation and on nothing else, "
        "each from other noise. What all samples of a row share is in the representation; what varies was dropped.",
        torch.cat([originals[:, None], samples], 1),
        tuple(f"image {i + 1}" for i in range(len(originals))),
        ("image", *(f"sample {k + 1}" for k in range(count))),
    )


def doses_panel(study: Study) -> Panel:
    """The first image under every transformation at every dose."""
    names = study.settings.transformations
    most = max(len(TRANSFORMATIONS[name].doses) for name in names)
    rows = []
    for name in names:
        doses = (0.0, *TRANSFORMATIONS[name].doses)
        images = torch.cat([study.transformed(name, dose, slice(1)) for dose in doses])
        blank = torch.ones(most + 1 - len(images), *images.shape[1:])
        rows.append(torch.cat([images, blank]))
    return Panel(
        "doses",
        "The transformations, dose by dose",
        "One image under each transformation, stronger to the right: from the first to the last dose of the "
        "dose-response curves. The other panels show each transformation at its reference dose.",
        torch.stack(rows),
        tuple(_doses_label(name) for name in names),
        ("untouched", *(f"dose {i + 1}" for i in range(most))),
    )


def _doses_label(name: str) -> str:
    entry = TRANSFORMATIONS[name]
    if len(entry.doses) == 1:
        return entry.label
    return f"{entry.label}\n{entry.doses[0]:.3g} to {entry.doses[-1]:.3g} ({entry.unit})"


def transformed_panel(
    number: int, names: Sequence[str], inputs: torch.Tensor, samples: Mapping[str, torch.Tensor]
) -> Panel:
    """One image under every transformation at its reference dose, and a sample from each level beneath.

    Args:
        number: Number of the image among the pictures, from 0.
        names: The transformations, ``C - 1``.
        inputs: The image untouched, then transformed, ``[C, 3, S, S]``.
        samples: Of each level, ``[C, 3, S, S]``.
    """
    return Panel(
        f"transformed_{number + 1}",
        f"Image {number + 1} transformed, and what is left of the transformation",
        "Top row: the input, untouched and under each transformation at its reference dose. Below: a sample from the "
        "representation of that input, all from equal noise, so that columns differ only by what the transformation "
        "did to the representation. A level that is invariant gives the same picture in every column.",
        torch.stack([inputs, *samples.values()]),
        ("input", *samples),
        ("untouched", *(TRANSFORMATIONS[name].label for name in names)),
    )


def training_panel(
    names: Sequence[str], inputs: torch.Tensor, samples: Mapping[str, torch.Tensor], *, which: str
) -> Panel:
    """One image under each augmentation of training, with several samples from every level.

    Args:
        names: The augmentations, ``R - 1``.
        inputs: The image untouched, then transformed, ``[R, 3, S, S]``.
        samples: Of each level, ``[R, K, 3, S, S]``.
        which: What the augmentations are called in the title.
    """
    columns = [f"{level} {k + 1}" for level, drawn in samples.items() for k in range(drawn.shape[1])]
    return Panel(
        "training_augmentations",
        f"What is left of {which}",
        "First column: image 1, untouched and under each augmentation. The others: samples from the representation of "
        "that input; a column has the same noise in every row, and so has the same number at another level. Where a "
        "sample shows the augmentation of its row, the level is not invariant to it.",
        torch.cat([inputs[:, None], *samples.values()], 1),
        ("untouched", *(TRANSFORMATIONS[name].label for name in names)),
        ("input", *columns),
    )
