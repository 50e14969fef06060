"""Pictures of the fidelity probe: samples of every level, beside their nearest training images, solver by solver."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from probes.panels import Panel
from rcdm_core.images import at_one_size, resize

if TYPE_CHECKING:
    from collections.abc import Mapping


def levels_panel(images: torch.Tensor, samples: Mapping[str, torch.Tensor]) -> Panel:
    """Images, and a sample of each from every level.

    Args:
        images: ``[N, 3, S', S']``.
        samples: By encoder and level, ``[N, 3, S, S]``, with the S of the RCDM; all are shown at the largest.
    """
    columns = at_one_size(samples.values())
    return Panel(
        "samples",
        "One sample from every level",
        "First column: the image. The others: one sample from its representation at each level, all of a row from "
        "equal noise, so that a difference within a row comes from the representation (an RCDM that draws at another "
        "size has noise of its own).",
        torch.stack([resize(images, columns[0].shape[-1]), *columns], 1),
        tuple(f"image {number + 1}" for number in range(len(images))),
        ("image", *samples),
    )


def nearest_panel(images: torch.Tensor, sample: torch.Tensor, nearest: torch.Tensor, of: str, among: int) -> Panel:
    """Samples from one level and the training image nearest to each.

    Args:
        images: Those that were drawn of, ``[N, 3, S', S']``.
        sample: ``[N, 3, S, S]``.
        nearest: ``[N, 3, S'', S'']``.
        of: Encoder and level.
        among: How many training images there were to choose from.
    """
    size = sample.shape[-1]
    return Panel(
        "nearest_training",
        f"Samples from {of} and the training images nearest to them",
        "Top: images that the decoder was not trained on. Middle: a sample of each. Bottom: of "
        f"{among:,} images that it was trained on, the one whose pixels are nearest to the sample. A decoder that "
        "recalls would repeat the bottom row in the middle one; it should repeat the top row.",
        torch.stack([resize(images, size), sample, resize(nearest, size)]),
        ("image", "sample", "nearest\ntraining image"),
        tuple(str(number + 1) for number in range(len(images))),
    )


def solvers_panel(images: torch.Tensor, samples: Mapping[str, torch.Tensor], of: str) -> Panel:
    """Samples of the same images under several solvers.

    Args:
        images: ``[N, 3, S', S']``.
        samples: By solver and steps, ``[N, 3, S, S]``.
        of: Encoder and level.
    """
    drawn = list(samples.values())
    return Panel(
        "drawn_by_solvers",
        f"What solvers and steps make of {of}",
        "Top: the image. Below: a sample from its representation, each row by another solver or number of steps (in "
        "brackets); all of a column start from equal noise.",
        torch.stack([resize(images, drawn[0].shape[-1]), *drawn]),
        ("image", *samples),
        tuple(str(number + 1) for number in range(len(images))),
    )
