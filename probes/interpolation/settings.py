"""Settings of the interpolation probe."""

from __future__ import annotations

from dataclasses import dataclass

from probes.interpolation.paths import PATHS
from probes.rendering import RenderingSettings
from rcdm_core.bounds import check_numbers
from rcdm_core.errors import UserError, unknown_name
from rcdm_core.rcdm import BRIEF_STEPS, DEFAULT_SOLVER, SOLVERS

LEAST_IMAGES = 20  # below, neither ten pairs nor a typical distance
LEAST_POINTS = 4  # so that a sample between the ends can be compared with another


@dataclass(frozen=True, kw_only=True)
class InterpolationSettings:
    """What is measured, on how much, with which solver.

    Attributes:
        levels: Levels of the encoder; None for all of them.
        paths: Names of `probes.interpolation.paths.PATHS`; the first one carries the verdicts.
        pairs: Pairs of images that statistics rest on, no image in two of them. A smaller data set gives all it has.
        points: Positions along a path, both ends among them.
        gallery: Images whose median distance is the unit of all distances.
        pictures: Pairs that are shown.
        steps: Solver steps of a sample.
        solver: Name of the solver.
        seed: Seed of everything that is drawn.
        batch_size: Images encoded, or sampled, at once; an interrupted run loses at most one batch of samples.
    """

    levels: tuple[str, ...] | None = None
    paths: tuple[str, ...] = tuple(PATHS)
    pairs: int = 48
    points: int = 7
    gallery: int = 500
    pictures: int = 3
    steps: int = BRIEF_STEPS
    solver: str = DEFAULT_SOLVER
    seed: int = 0
    batch_size: int = 128

    def __post_init__(self) -> None:
        check_numbers(self)
        if not self.paths:
            raise UserError("no path was named", f"name one of {', '.join(PATHS)}")
        for name in self.paths:
            if name not in PATHS:
                raise unknown_name("path", name, PATHS)
        if self.solver not in SOLVERS:
            raise unknown_name("solver", self.solver, SOLVERS)
        if self.pairs < LEAST_IMAGES // 2:
            raise UserError(f"{self.pairs} pairs are too few for statistics", f"take at least {LEAST_IMAGES // 2}")
        if self.points < LEAST_POINTS:
            raise UserError(
                f"a path of {self.points} points has too little between its ends", f"take at least {LEAST_POINTS}"
            )
        if self.pictures < 1:
            raise UserError(f"{self.pictures} pairs to be shown", "show at least one")
        if self.gallery < LEAST_IMAGES:
            raise UserError(f"a gallery of {self.gallery} images is too small", f"take at least {LEAST_IMAGES}")

    @property
    def rendering(self) -> RenderingSettings:
        """How samples are drawn."""
        return RenderingSettings(steps=self.steps, solver=self.solver, seed=self.seed, batch_size=self.batch_size)
