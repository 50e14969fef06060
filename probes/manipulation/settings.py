"""Settings of the manipulation probe."""

from __future__ import annotations

import math
from dataclasses import dataclass

from probes.rendering import RenderingSettings
from rcdm_core.bounds import check_numbers
from rcdm_core.errors import UserError
from rcdm_core.rcdm import BRIEF_STEPS, DEFAULT_SOLVER

LEAST_IMAGES = 60
"""Below, neighbours are not near and readouts see hardly anything."""


@dataclass(frozen=True, kw_only=True)
class ManipulationSettings:
    """What is manipulated, on how much, with which solver.

    Attributes:
        levels: Levels of the encoder; None for all of them.
        images: Images that are manipulated, each beside a target of its own. A smaller data set gives half of what it
            has.
        gallery: Images among which neighbours are sought and on which directions are fitted; the images and their
            targets are of them, and where they do not fit, it holds just these.
        moved: Of the images, those that are moved along directions.
        strengths: How far they are moved, in standard deviations of the readout.
        samples: Samples drawn from each representation.
        pictures: Of the images, those that are shown.
        neighbours: Nearest neighbours that are asked whether a dimension is common (the paper's 20).
        shared: A dimension is common where it is active in more of the neighbours than this (the paper's 14).
        quantile: Where representations are not sparse, a dimension is active beyond this quantile of the gallery.
        steps: Solver steps of a sample.
        solver: Name of the solver.
        seed: Seed of everything that is drawn.
        batch_size: Images encoded, or sampled, at once; an interrupted run loses at most one batch of samples.
    """

    levels: tuple[str, ...] | None = None
    images: int = 40
    gallery: int = 2000
    moved: int = 18
    strengths: tuple[float, ...] = (-3.0, -1.5, 1.5, 3.0)
    samples: int = 1
    pictures: int = 6
    neighbours: int = 20
    shared: int = 14
    quantile: float = 0.7
    steps: int = BRIEF_STEPS
    solver: str = DEFAULT_SOLVER
    seed: int = 0
    batch_size: int = 128

    def __post_init__(self) -> None:
        check_numbers(self)
        if self.images < 2:
            raise UserError(f"{self.images} images have no targets", "take at least 2, better 20 and more")
        if self.samples < 1 or self.pictures < 1:
            raise UserError(
                f"{self.samples} samples to measure, of {self.pictures} images to show", "take at least one of both"
            )
        if self.moved < 1:
            raise UserError(f"{self.moved} images to be moved along directions", "take at least one")
        if self.gallery < LEAST_IMAGES:
            raise UserError(f"a gallery of {self.gallery} images", f"take at least {LEAST_IMAGES}")
        if not 0 < self.neighbours < LEAST_IMAGES:
            raise UserError(f"{self.neighbours} neighbours", f"take between 1 and {LEAST_IMAGES - 1}")
        if not 0 <= self.shared < self.neighbours:
            raise UserError(
                f"no dimension is active in more than {self.shared} of {self.neighbours} neighbours",
                "ask for fewer of them",
            )
        if not 0.5 <= self.quantile < 1:
            raise UserError(f"{self.quantile:g} is no upper quantile", "take one from 0.5 to below 1")
        if not any(self.strengths):
            raise UserError("no strength moves anything", "give one that is not 0")
        if not all(map(math.isfinite, self.strengths)) or len(set(self.strengths)) < len(self.strengths):
            raise UserError(
                f"strengths {', '.join(f'{strength:g}' for strength in self.strengths)}",
                "give finite numbers, and each once",
            )

    @property
    def drawn(self) -> int:
        """Images drawn from the data set: the gallery, room for every image and its target in it."""
        return max(self.gallery, 2 * self.images)

    @property
    def rendering(self) -> RenderingSettings:
        """How samples are drawn."""
        return RenderingSettings(steps=self.steps, solver=self.solver, seed=self.seed, batch_size=self.batch_size)
