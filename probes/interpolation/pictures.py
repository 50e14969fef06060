"""Strips: what is drawn along each path, one under the other, beneath the cross-fade of the two images.

Panels are built from images that were drawn before; nothing is sampled here.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import torch

from probes.interpolation.paths import CROSS_FADE, linear
from probes.panels import Panel
from rcdm_core.images import resize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from probes.interpolation.pairs import Pairs


def strip_panel(number: int, pairs: Pairs, t: torch.Tensor, samples: Mapping[str, Mapping[str, torch.Tensor]]) -> Panel:
    """The strip of one pair.

    Args:
        number: Place of the pair among the pairs.
        pairs: The pairs.
        t: Positions, ``[K]``.
        samples: Of each level and path, ``[P, K, 3, S, S]``.
    """
    pair = slice(number, number + 1)
    faded = linear(pairs.first[pair], pairs.second[pair], t)[0]
    strips = {
        f"{level}, {_LABELS.get(path, path)}": drawn[number]
        for level, paths in samples.items()
        for path, drawn in paths.items()
    }
    size = next(iter(strips.values())).shape[-1]
    return Panel(
        f"strip_{number + 1}",
        f"Pair {number + 1}: what is drawn between two images",
        "Top row: the two images, A at the left and B at the right, and their pixels cross-faded in between. Below: "
        "samples from the points of each path from h(A) to h(B); last of each level, from the representations of the "
        "cross-faded images above (the control). All samples start from equal noise, so that a change along a row "
        "comes from h. Even the first and the last picture of a row are samples: they show A and B as far as h holds "
        "them.",
        torch.stack([resize(faded, size), *strips.values()]),
        ("pixels, cross-faded", *strips),
        tuple(_label(position, len(t) - 1) for position in range(len(t))),
    )


_LABELS = {CROSS_FADE: "h of cross-fade"}


def _label(place: int, last: int) -> str:
    return {0: "A", last: "B"}.get(place) or str(Fraction(place, last))
