"""Variance: what the samples of one representation share is what it holds; what varies is what it dropped.

For each pixel the variance of a sample splits into *within* (among samples of one ``h``) and *between* (among the
expected samples of different ``h``). The variance of the observed means over ``K`` samples holds ``within / K``
besides, which is taken off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from probes.panels import Map
from probes.records import join, records

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from probes.invariance.study import Study


@dataclass(frozen=True, eq=False)
class Variance:
    """Variance of samples by pixel, mean over channels, in squared units of [0, 1].

    Attributes:
        within: Of each image, ``[I, H, W]``.
        between: Of the set of images, ``[H, W]``; an estimate, so a little below 0 where it is nothing.
    """

    within: torch.Tensor
    between: torch.Tensor


def decompose(samples: torch.Tensor) -> Variance:
    """Split the variance of samples ``[I, K, 3, H, W]``, K >= 2 of each of I >= 2 representations."""
    within = samples.var(1)
    between = samples.mean(1).var(0) - within.mean(0) / samples.shape[1]
    return Variance(within.mean(1), between.mean(0))


def variance_records(study: Study, level: str, variance: Variance) -> pd.DataFrame:
    """Records ``within_variance`` of the first I images of the study, ``between_variance`` and ``total_variance``."""
    within, between = variance.within.mean((1, 2)), variance.between.mean()
    images = study.positions[: len(within)]
    name = study.encoder.name
    return join(
        [
            records("within_variance", within, images, encoder=name, level=level),
            records("between_variance", [between], [-1], encoder=name, level=level),
            records("total_variance", [within.mean() + between], [-1], encoder=name, level=level),
        ]
    )


def variance_maps(variances: Mapping[str, Variance]) -> tuple[Map, Map]:
    """Where samples of one ``h`` vary, and how much of a pixel's variance ``h`` fixes, a map for each level."""
    within = torch.stack([v.within.mean(0) for v in variances.values()])
    between = torch.stack([v.between.clamp(min=0) for v in variances.values()])
    levels = tuple(variances)
    return (
        Map(
            "within_deviation",
            "Where samples of one representation differ",
            "Standard deviation of a pixel among samples from one representation, root mean square over images. Bright "
            "is what the representation leaves open.",
            within.sqrt(),
            levels,
            "standard deviation (full range 1)",
        ),
        Map(
            "fixed_share",
            "Where the representation decides",
            "Share of the variance of a pixel over images and samples that is between representations: 1 where the "
            "representation decides the pixel, 0 where knowing it says nothing.",
            between / (within + between).clamp(min=1e-12),
            levels,
            "share of variance",
        ),
    )
