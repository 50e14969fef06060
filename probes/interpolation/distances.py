"""Distances along a path: from each sample, encoded again, to every point of the path.

All of them are kept, not only that to the sample's own point. For a sample that has nothing to do with its position is
on average nearer to the middle of a straight line than to its ends (``|r - m|^2 = |r - a|^2 - |a - b|^2 / 4`` for the
midpoint ``m`` of ``a`` and ``b``, both equally far from ``r``), so that "nearer to its own point than to either end"
proves nothing by itself. With all distances, chance can be computed on the very same points and samples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from probes.records import join, records

if TYPE_CHECKING:
    import pandas as pd

    from probes.interpolation.pairs import Pairs


def distances(
    pairs: Pairs,
    encoder: str,
    level: str,
    path: str,
    points: torch.Tensor,
    seen: torch.Tensor,
    t: torch.Tensor,
    typical: float,
) -> pd.DataFrame:
    """Records ``distance`` of one path.

    Args:
        pairs: The pairs.
        encoder: Name of the encoder.
        level: Level of the representations.
        path: Name of the path.
        points: What the samples were drawn from, ``[P, K, D]``.
        seen: What the encoder makes of the samples, ``[P, K, D]``.
        t: Positions of the points, ``[K]``.
        typical: `rcdm_core.distances.typical_distance` of the level: the unit.
    """
    apart = torch.cdist(seen.double(), points.double(), compute_mode="donot_use_mm_for_euclid_dist") / typical
    return join(
        [
            records(
                "distance", apart[:, sample, point], pairs.numbers[:, 0], encoder=encoder, level=level,
                condition=f"{path}: {sample}", strength=position, sample=0,
            )
            for sample in range(len(t))
            for point, position in enumerate(t.tolist())
        ]
    )  # fmt: skip


def offsets(
    pairs: Pairs,
    encoder: str,
    level: str,
    path: str,
    points: torch.Tensor,
    straight: torch.Tensor,
    t: torch.Tensor,
    typical: float,
) -> pd.DataFrame:
    """Records ``offset``: how far points ``[P, K, D]`` lie from those of the straight line, in typical distances."""
    apart = (points.double() - straight.double()).norm(dim=2) / typical
    return join(
        [
            records(
                "offset", apart[:, point], pairs.numbers[:, 0], encoder=encoder, level=level, condition=path,
                strength=position,
            )
            for point, position in enumerate(t.tolist())
        ]
    )  # fmt: skip
