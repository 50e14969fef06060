"""Settings of the fidelity probe."""

from __future__ import annotations

from dataclasses import dataclass

from probes.rendering import RenderingSettings
from rcdm_core.bounds import check_numbers
from rcdm_core.errors import UserError, unknown_name
from rcdm_core.rcdm import DEFAULT_SOLVER, DEFAULT_STEPS, SOLVERS

LEAST_IMAGES = 20  # below, sets have no shape

SWEPT = (
    *(("sde-dpmsolver++", steps) for steps in (6, 12, 20)),
    *(("dpmsolver++", steps) for steps in (6, 12, 20)),
    ("unipc", 12),
    ("ddim", 12),
    ("ddpm", 100),
)
"""Solvers and steps that are compared: by steps, by solver at equal steps, and the ancestral one as published."""


@dataclass(frozen=True, kw_only=True)
class FidelitySettings:
    """What is measured, on how much, with which solver.

    Attributes:
        levels: Levels of the encoders; None for all that an RCDM draws from.
        images: Images that one sample is drawn of, each. A smaller data set gives half of what it has, for as many
            others stand beside them.
        gallery: Images among which ranks are taken; they hold the former.
        neighbours: k of precision and recall.
        compared: Training images, and as many others, among which a picture's nearest is looked for; 0 for none.
        swept: Solvers with numbers of steps that are compared with each other.
        swept_images: Images on which they are compared, the first of `images`; 0 for none.
        swept_level: Encoder and level on which they are compared, such as ``vicreg/backbone``; None for the first.
        pictures: Images shown with their samples.
        steps: Solver steps of a sample.
        solver: Name of the solver.
        seed: Seed of everything that is drawn.
        batch_size: Images encoded, or sampled, at once.
    """

    levels: tuple[str, ...] | None = None
    images: int = 72
    gallery: int = 2000
    neighbours: int = 3
    compared: int = 5000
    swept: tuple[tuple[str, int], ...] = SWEPT
    swept_images: int = 20
    swept_level: str | None = None
    pictures: int = 8
    steps: int = DEFAULT_STEPS
    solver: str = DEFAULT_SOLVER
    seed: int = 0
    batch_size: int = 128

    def __post_init__(self) -> None:
        check_numbers(self)
        for solver, _ in (*self.swept, (self.solver, self.steps)):
            if solver not in SOLVERS:
                raise unknown_name("solver", solver, SOLVERS)
        for name in ("compared", "swept_images"):
            if getattr(self, name) < 0:
                raise UserError(f"{name} is {getattr(self, name)}", "take 0 or more")
        if self.pictures < 1:
            raise UserError(f"{self.pictures} images are shown", "show at least one")
        if self.images < LEAST_IMAGES:
            raise UserError(f"{self.images} images are too few for statistics", f"take at least {LEAST_IMAGES}")
        if 0 < self.swept_images < LEAST_IMAGES:
            raise UserError(
                f"{self.swept_images} images are too few to compare solvers on", f"take at least {LEAST_IMAGES}, or 0"
            )
        if not 1 <= self.neighbours < LEAST_IMAGES:
            raise UserError(f"{self.neighbours} neighbours", f"take at least 1, and fewer than {LEAST_IMAGES}")

    @property
    def rendering(self) -> RenderingSettings:
        """How samples are drawn."""
        return RenderingSettings(steps=self.steps, solver=self.solver, seed=self.seed, batch_size=self.batch_size)

    @property
    def rivals(self) -> tuple[tuple[str, int], ...]:
        """Solvers and steps that are compared, the chosen one first; none where nothing is."""
        return tuple(dict.fromkeys([(self.solver, self.steps), *self.swept])) if self.swept_images else ()
