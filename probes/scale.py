"""What displacements are counted in: the distance to another image, plain and whitened, and how surely it is known."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rcdm_core.distances import relative_displacement, typical_distance, typical_error, whitening

MOVED = PLAIN, WHITENED = "relative_displacement", "whitened_displacement"
"""Displacement over the distance to another image: of h as it is, and with every direction of h counting alike."""

_PAIRED = 1000  # images of which all pairs are measured: the error is a percent then


@dataclass(frozen=True, eq=False)
class Scale:
    """What displacements of a level are counted in, plain and whitened.

    Attributes:
        units: Typical distance of two images.
        errors: Standard errors of these, as shares of them.
        whiten: ``[D, D]`` float64, by which representations become white.
    """

    units: tuple[float, float]
    errors: tuple[float, float]
    whiten: torch.Tensor

    @classmethod
    def of(cls, h: torch.Tensor, seed: int) -> Scale:
        """The scale of representations ``[N, D]`` of different images, N >= 20."""
        whiten = whitening(h)
        white, known = h.double() @ whiten, {"images": _PAIRED, "seed": seed}
        units = typical_distance(h, **known), typical_distance(white, **known)
        return cls(units, (typical_error(h, **known), typical_error(white, **known)), whiten)

    def displacement(self, moved: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
        """Relative displacement ``[N]`` of representations ``[N, D]``: 0 is unmoved, 1 as far as another image."""
        return relative_displacement(moved, original, self.units[0])

    def displacements(self, moved: torch.Tensor, original: torch.Tensor) -> dict[str, torch.Tensor]:
        """Displacement ``[N]`` of representations ``[N, D]``, by measure."""
        turned = (moved.double() - original.double()) @ self.whiten
        return {
            PLAIN: self.displacement(moved, original),
            WHITENED: torch.linalg.vector_norm(turned, dim=1) / self.units[1],
        }
