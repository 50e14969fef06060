"""What displacements are counted in: the distance to another image, plain and whitened, and how surely it is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from rcdm_core.distances import Whitening, pair_by_pair, relative_displacement, some, typical_distance, typical_error
from rcdm_core.encoders.encoder import PATCHES
from rcdm_core.errors import UserError
from reports.tables import rows_where

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import pandas as pd

    from probes.context import Context
    from probes.probe import Found
    from rcdm_core.data.imageset import ImageSet

MOVED = PLAIN, WHITENED = "relative_displacement", "whitened_displacement"
"""Displacement over the distance to another image: of h as it is, and with every direction of h counting alike."""

LEAST_OTHERS = 20
"""Images that are not measured, below which the unit cannot come from them."""

TOKENS = 100
"""Images whose tokens give the unit of tokens, and whose tokens a map is the mean over: grids are large."""

OF_TOKENS = (
    "Tokens. Distances between the tokens of an image before and after are taken place by place, and divided by one "
    f"number: the median distance between the tokens of two images at one place, over all places and all pairs of up "
    f"to {TOKENS} images."
)
"""What a report says of the unit of tokens."""

_PAIRED = 1000  # images of which all pairs are measured: the error is a percent then
_WHITE = 2000  # images that make the whitening, at most


def check_others(images: ImageSet, count: int, doing: str) -> None:
    """Raise a `UserError` unless a set leaves others for the unit, where ``count`` of it are to be measured."""
    if len(images) < count + LEAST_OTHERS:
        raise UserError(
            f"{images.name} has {len(images)} images, {count} to be {doing} among them",
            f"leave {LEAST_OTHERS} others, for the unit of distances: ask for at most {len(images) - LEAST_OTHERS}",
        )


def between_tokens(run: Context, positions: np.ndarray) -> float:
    """The unit of tokens: median distance between those of two images at one place, over places and pairs of images."""
    grid = run.encode_with_grid(run.images.images(positions[:TOKENS]))[1]
    unit = torch.cat([torch.pdist(at_one_place) for at_one_place in grid.flatten(2).permute(2, 0, 1)]).median().item()
    if not unit > 0:
        raise UserError(
            f"at most places of its grid {run.encoder.name} gives different images the same token",
            f"leave out --level {PATCHES}, or take images that fill their frame",
        )
    return unit


def unit_error(found: Found, measure: str, weights: str = "", **of: str) -> float:
    """Standard error of the unit of a displacement ``of`` an encoder or a level, as a share of it.

    ``weights`` is ``untrained_`` or nothing.
    """
    errors = rows_where(found.measured(f"{weights}unit_error"), condition=measure, **of)["value"]
    return float(errors.iloc[0]) if len(errors) else 0.0


@dataclass(frozen=True, eq=False)
class Scale:
    """What displacements of a level are counted in, plain and whitened.

    Attributes:
        units: Typical distance of two images.
        errors: Standard errors of these, as shares of them.
        whiten: Makes differences of representations white; of other images than those of its unit.
    """

    units: tuple[float, float]
    errors: tuple[float, float]
    whiten: Whitening

    @classmethod
    def of(cls, h: torch.Tensor, seed: int) -> Scale:
        """The scale of representations ``[N, D]`` of different images, N >= 20.

        Whitened, the images that the whitening is of lie nearer to each other than any others, by up to 7% where its
        axes are a tenth of them: a unit of these would be too small. So the whitened unit is of a random half, at most
        1,000, and the whitening of the rest, at most 2,000. Of fewer than 20 it trusts one axis, and changes nothing.

        Raises:
            UserError: The representations do not vary, or most are one and the same.
        """
        order = torch.randperm(len(h), generator=torch.Generator().manual_seed(seed))
        held = min(len(h) // 2, _PAIRED)
        whiten = Whitening.of(h[order[held : held + _WHITE]], images=_WHITE)
        both = some(h, _PAIRED, seed), whiten(h[order[:held]])
        plain, white = map(typical_distance, both)
        errors = [*map(typical_error, both)]
        return cls((plain, white), (errors[0], errors[1]), whiten)

    def error_records(self, run: Context, level: str, weights: str = "") -> Iterator[pd.DataFrame]:
        """Records of the errors, ``unit_error`` of no image, as `unit_error` reads them."""
        for measure, error in zip(MOVED, self.errors, strict=True):
            yield run.records(f"{weights}unit_error", [error], [-1], level, measure)

    def displacement(self, moved: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
        """Relative displacement ``[N]`` of representations ``[N, D]``: 0 is unmoved, 1 as far as another image."""
        return relative_displacement(moved, original, self.units[0])

    def displacements(self, moved: torch.Tensor, original: torch.Tensor) -> dict[str, torch.Tensor]:
        """Displacement ``[N]`` of representations ``[N, D]``, by measure."""
        white = pair_by_pair(lambda a, b: torch.linalg.vector_norm(self.whiten(a - b), dim=1), moved, original)
        return {PLAIN: self.displacement(moved, original), WHITENED: white / self.units[1]}
