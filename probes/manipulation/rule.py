"""Which dimensions an image shares with its neighbours: the rule of the paper, and one for dense representations.

The paper's rule (Bordes et al. 2022): of the ``k = 20`` nearest neighbours of ``h`` in a gallery, the dimensions that
are not zero in more than 14. It presumes that a zero is rare news: that a dimension is zero for most images. Where less
than `SPARSE` of a level's numbers are exact zeros, nearly every dimension would be common whatever the image, and a
dimension counts as *active* instead where it lies beyond a quantile of the gallery: above the upper one or below the
lower one, in more than 14 neighbours on the same side.

To remove a dimension is to set it to what it is where nothing is active: zero, or the median of the gallery.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

SPARSE = 0.5
"""Share of exact zeros from which on a level is sparse: a dimension that is no more often active near ``h`` than
elsewhere is then common to 15 of 20 neighbours with a probability of 2%."""

_BLOCK = 64  # images whose neighbours are looked at together


@dataclass(frozen=True, eq=False)
class Rule:
    """When a dimension of one level is active, and what it is where it is not.

    Attributes:
        zeros: Share of exact zeros in the gallery.
        low: A dimension is active below this, ``[D]``.
        high: Or above this, ``[D]``.
        rest: Value of a dimension that is removed, ``[D]``.
        shared: A dimension is common where it is active in more neighbours than this.
    """

    zeros: float
    low: torch.Tensor
    high: torch.Tensor
    rest: torch.Tensor
    shared: int

    def common(self, neighbours: torch.Tensor) -> torch.Tensor:
        """Which dimensions are common to the neighbours ``[N, K, D]`` of each image, ``[N, D]``."""
        above, below = (neighbours > self.high).sum(1), (neighbours < self.low).sum(1)
        active = above + below if is_sparse(self.zeros) else torch.maximum(above, below)
        return active > self.shared


def is_sparse(zeros: float) -> bool:
    """Whether a level with this share of exact zeros is sparse, so that the paper's own rule applies."""
    return zeros >= SPARSE


def find_rule(gallery: torch.Tensor, *, shared: int, quantile: float) -> Rule:
    """The rule for a level.

    Args:
        gallery: Its representations, ``[M, D]``.
        shared: A dimension is common where it is active in more neighbours than this.
        quantile: The upper quantile for a dense level, in [0.5, 1).
    """
    zeros = (gallery == 0).double().mean().item()
    if is_sparse(zeros):
        nothing = torch.zeros(gallery.shape[1])
        return Rule(zeros, nothing, nothing, nothing, shared)
    low, rest, high = torch.quantile(gallery, torch.tensor([1 - quantile, 0.5, quantile]), dim=0)
    return Rule(zeros, low, high, rest, shared)


def common_dimensions(
    rule: Rule, h: torch.Tensor, gallery: torch.Tensor, rows: torch.Tensor, *, neighbours: int
) -> torch.Tensor:
    """The dimensions that each image shares with its nearest neighbours.

    Args:
        rule: The rule of the level.
        h: Representations of the images, ``[N, D]``.
        gallery: Representations among which neighbours are sought, ``[M, D]``.
        rows: Row of the gallery that is the image itself and no neighbour, ``[N]``; -1 where it is not there.
        neighbours: How many, below M.

    Returns:
        ``[N, D]`` booleans.
    """
    parts = []
    for own, row in zip(h.split(_BLOCK), rows.split(_BLOCK), strict=True):
        distances = torch.cdist(own.double(), gallery.double())
        inside = row >= 0
        distances[inside.nonzero().flatten(), row[inside]] = torch.inf
        parts.append(rule.common(gallery[distances.topk(neighbours, largest=False).indices]))
    return torch.cat(parts)
