"""Settings of neighbourhood sampling."""

from __future__ import annotations

from dataclasses import dataclass

from probes.rendering import RenderingSettings
from rcdm_core.bounds import check_numbers
from rcdm_core.errors import UserError
from rcdm_core.rcdm import BRIEF_STEPS, DEFAULT_SOLVER

LEAST_IMAGES = 20
"""Pictures of a set below which no interval says anything."""


@dataclass(frozen=True, kw_only=True)
class NeighbourhoodSettings:
    """What is drawn, how often, with which solver.

    Attributes:
        levels: Levels of the encoder; None for all of them.
        count: Pictures of each kind, each beside a real image.
        gallery: Images whose representations are combined; those that pictures are compared with are others.
        neighbours: A representation is combined with one of so many nearest.
        pictures: Pictures of each kind that are shown.
        steps: Solver steps of a sample.
        solver: Name of the solver.
        seed: Seed of everything that is drawn.
        batch_size: Images encoded, or sampled, at once; an interrupted run loses at most one batch of samples.
    """

    levels: tuple[str, ...] | None = None
    count: int = 256
    gallery: int = 2000
    neighbours: int = 5
    pictures: int = 24
    steps: int = BRIEF_STEPS
    solver: str = DEFAULT_SOLVER
    seed: int = 0
    batch_size: int = 128

    def __post_init__(self) -> None:
        check_numbers(self)
        if self.count < LEAST_IMAGES:
            raise UserError(f"{self.count} pictures are too few for statistics", f"take at least {LEAST_IMAGES}")
        if self.gallery < self.count:
            raise UserError(f"a gallery of {self.gallery} images for {self.count} pictures", "take as many at least")
        if not 0 < self.neighbours < LEAST_IMAGES:
            raise UserError(f"{self.neighbours} neighbours", f"take between 1 and {LEAST_IMAGES - 1}")
        if self.pictures < 1:
            raise UserError(f"{self.pictures} pictures of each kind are shown", "show at least one")

    @property
    def rendering(self) -> RenderingSettings:
        """How samples are drawn."""
        return RenderingSettings(steps=self.steps, solver=self.solver, seed=self.seed, batch_size=self.batch_size)
