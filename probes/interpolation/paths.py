"""Paths between two representations, and between two images.

A path is a function of the position ``t`` in [0, 1], 0 at the first end and 1 at the second, both met exactly.

*Linear*: ``z(t) = (1 - t) a + t b``. *Spherical*: ``z(t) = r(t) u(t)``, where the direction ``u`` turns from that of
``a`` to that of ``b`` along the great circle at constant speed (slerp, Shoemake 1985) and the norm
``r(t) = (1 - t) |a| + t |b|`` goes linearly. Both turn about the origin of the representation, not about its mean. The
*cross-fade* is linear between the two images, each step encoded: what encoding a mixture of pixels gives, with no
structure of ``h`` made use of. It is the control of the other two.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CROSS_FADE = "cross-fade"
"""Name of the control, beside those of `PATHS`."""

_PARALLEL = 1e-4  # radians: nearer than this to 0 or to pi, the great circle of two directions is rounding


def positions(points: int) -> torch.Tensor:
    """Equally spaced positions, both ends among them, ``[K]`` float64."""
    return torch.linspace(0, 1, points, dtype=torch.float64)


def linear(first: torch.Tensor, second: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Points on the straight line, ``[N, ...]``, ``[N, ...]``, ``[K]`` -> ``[N, K, ...]`` of the type of the ends."""
    return torch.lerp(first[:, None], second[:, None], t.to(first.dtype).view(-1, *[1] * (first.ndim - 1)))


def spherical(first: torch.Tensor, second: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Points on the turning line, ``[N, D]``, ``[N, D]``, ``[K]`` -> ``[N, K, D]`` of the type of the ends.

    Where the great circle is not determined: of equal directions the path is the straight line; opposite ones are
    joined through the coordinate axis that is most nearly at a right angle to them; a vector of length 0 takes the
    direction of the other end.
    """
    a, b = first.double(), second.double()
    from_norm, to_norm = a.norm(dim=1, keepdim=True), b.norm(dim=1, keepdim=True)
    u = F.normalize(torch.where(from_norm > 0, a, b), dim=1)
    v = F.normalize(torch.where(to_norm > 0, b, a), dim=1)
    angle = 2 * torch.atan2((u - v).norm(dim=1), (u + v).norm(dim=1))[:, None]  # exact near 0 and near pi
    across = _unit_beside(v - (u * v).sum(1, keepdim=True) * u, u, angle)
    turn = angle[:, None] * t[:, None]  # [N, K, 1]
    direction = torch.cos(turn) * u[:, None] + torch.sin(turn) * across[:, None]
    points = linear(from_norm, to_norm, t) * direction
    points[:, t == 0], points[:, t == 1] = a[:, None], b[:, None]
    return points.to(first.dtype)


def _unit_beside(rest: torch.Tensor, u: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    """The unit vector at a right angle to ``u`` towards which the path turns; any one where the angle does not tell."""
    axis = F.one_hot(u.abs().argmin(1), u.shape[1]).to(u)
    beside = axis - (axis * u).sum(1, keepdim=True) * u
    determined = (angle > _PARALLEL) & (angle < torch.pi - _PARALLEL)
    return F.normalize(torch.where(determined, rest, beside), dim=1)


PATHS: Mapping[str, Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]] = MappingProxyType(
    {"linear": linear, "spherical": spherical}
)
"""Paths between representations, by name."""
