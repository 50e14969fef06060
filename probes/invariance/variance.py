"""Variance: what the samples of one representation share is what it holds; what varies is what it dropped.

For each pixel the variance of a sample splits into *within* (among samples of one ``h``) and *between* (among the
expected samples of different ``h``). The variance of the observed means over ``K`` samples holds ``within / K``
besides, which is taken off. Both are means over images: what an image adds to *between* is the squared deviation of its
mean sample from that of all, times ``I / (I - 1)``, less its ``within / K``.
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
        between: What each image adds, ``[I, H, W]``. The mean is an estimate, so a little below 0 where it is nothing.
    """

    within: torch.Tensor
    between: torch.Tensor


def decompose(samples: torch.Tensor) -> Variance:
    """Split the variance of samples ``[I, K, 3, H, W]``, K >= 2 of each of I >= 2 representations."""
    count, number = samples.shape[:2]
    within, means = samples.var(1), samples.mean(1)
    between = (means - means.mean(0)).square() * count / (count - 1) - within / number
    return Variance(within.mean(1), between.mean(1))


def variance_records(study: Study, level: str, variance: Variance) -> pd.DataFrame:
    """Records ``within_variance`` and ``between_variance`` of the first I images of the study."""
    parts = {"within_variance": variance.within, "between_variance": variance.between}
    images = study.positions[: len(variance.within)]
    return join(
        [
            records(measure, values.mean((1, 2)), images, encoder=study.encoder.name, level=level)
            for measure, values in parts.items()
        ]
    )


def variance_maps(variances: Mapping[str, Variance]) -> tuple[Map, Map]:
    """Where samples of one ``h`` vary, and how much of a pixel's variance ``h`` fixes, a map for each level."""
    within = torch.stack([v.within.mean(0) for v in variances.values()])
    between = torch.stack([v.between.mean(0).clamp(min=0) for v in variances.values()])
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
