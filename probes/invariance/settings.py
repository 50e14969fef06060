"""Settings of the invariance probe."""

from __future__ import annotations

from dataclasses import dataclass

from probes.rendering import RenderingSettings
from probes.transformations import TRANSFORMATIONS
from rcdm_core.bounds import check_numbers
from rcdm_core.errors import UserError, unknown_name
from rcdm_core.rcdm import BRIEF_STEPS, DEFAULT_SOLVER

FOLDS = 5
LEAST_IMAGES = 4 * FOLDS  # below, a fold of a readout holds hardly anything


@dataclass(frozen=True, kw_only=True)
class InvarianceSettings:
    """What is measured, on how much, with which solver.

    Attributes:
        levels: Levels of the encoder; None for all of them.
        transformations: Names of `probes.transformations.TRANSFORMATIONS`.
        images: Images that statistics rest on. A smaller data set gives all it has.
        gallery: Images among which ranks are taken and on which readouts of factors are trained; they hold the former.
        rendered: Of these, images off whose samples the judge reads factors, one sample of each.
        varied: Of these, images of which several samples are drawn, for the variance within one representation.
        samples: Samples drawn of each of the latter.
        pictures: Images shown with their samples.
        compared: Images shown under every transformation, from 0; at most `pictures`.
        steps: Solver steps of a sample.
        solver: Name of the solver.
        seed: Seed of everything that is drawn.
        batch_size: Images encoded, or sampled, at once; an interrupted run loses at most one batch of samples.
    """

    levels: tuple[str, ...] | None = None
    transformations: tuple[str, ...] = tuple(TRANSFORMATIONS)
    images: int = 500
    gallery: int = 2000
    rendered: int = 100
    varied: int = 16
    samples: int = 6
    pictures: int = 8
    compared: int = 2
    steps: int = BRIEF_STEPS
    solver: str = DEFAULT_SOLVER
    seed: int = 0
    batch_size: int = 128

    def __post_init__(self) -> None:
        check_numbers(self)
        for name in self.transformations:
            if name not in TRANSFORMATIONS:
                raise unknown_name("transformation", name, TRANSFORMATIONS)
        if not self.transformations or len(set(self.transformations)) < len(self.transformations):
            raise UserError(
                f"transformations: {', '.join(self.transformations) or 'none'}", "name at least one, and each once"
            )
        if self.images < LEAST_IMAGES:
            raise UserError(f"{self.images} images are too few for statistics", f"take at least {LEAST_IMAGES}")
        if self.samples < 2:
            raise UserError(f"{self.samples} samples have no variance", "take at least 2")
        if self.rendered < 1:
            raise UserError(f"factors rendered in samples of {self.rendered} images", "take at least 1")
        if self.varied < 2 or self.pictures < 1:
            raise UserError(
                f"samples of {self.varied} images to measure, of {self.pictures} to show",
                "take at least 2 to measure what varies, and 1 to show",
            )
        if self.compared < 0:
            raise UserError(f"{self.compared} images under every transformation", "show some, or 0 for none")

    @property
    def rendering(self) -> RenderingSettings:
        """How samples are drawn."""
        return RenderingSettings(steps=self.steps, solver=self.solver, seed=self.seed, batch_size=self.batch_size)
