"""Settings of the adversarial probe."""

from __future__ import annotations

from dataclasses import dataclass

from probes.adversarial.attacks import ATTACKS
from rcdm_core.bounds import check_numbers
from rcdm_core.errors import UserError, unknown_name
from rcdm_core.rcdm import BRIEF_STEPS, DEFAULT_SOLVER

SMALLEST, LARGEST_L2 = 1e-3, 10_000
"""Budgets that float32 can tell from none, and that no two images exceed."""

LEAST_IMAGES = 20  # below, no interval over images says anything


@dataclass(frozen=True, kw_only=True)
class AdversarialSettings:
    """What is attacked, how hard, and on how much.

    Attributes:
        level: The level under attack.
        attacks: Names of `probes.adversarial.attacks.ATTACKS`; the first one carries the verdicts.
        eps: Ascending budgets of attacks bounded in L-inf, in 255ths of the range of a pixel.
        eps_l2: Ascending budgets of attacks bounded in L2, the length of the perturbation of an image in [0, 1].
        attack_steps: Gradient steps of an iterated attack, each of 2.5 budgets over the number of steps.
        restarts: Times that an attack starts anew; the strongest adversary of all is kept.
        images: Images that statistics rest on; at most half of a labelled data set, the rest trains the classifier.
        training: Images that the linear classifier is trained on, none of them among the former.
        checked: Images on which it is checked that a stronger attacker finds no more.
        rendered: Images from whose attacked representations samples are drawn.
        pictures: Of these, images that are shown.
        steps: Solver steps of a sample.
        solver: Name of the solver.
        seed: Seed of everything that is drawn.
        batch_size: Images that go through a network at once.
    """

    level: str = "backbone"
    attacks: tuple[str, ...] = ("PGD",)
    eps: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)
    eps_l2: tuple[float, ...] = (0.1, 0.2, 0.4, 0.8)
    attack_steps: int = 20
    restarts: int = 1
    images: int = 500
    training: int = 3000
    checked: int = 48
    rendered: int = 24
    pictures: int = 3
    steps: int = BRIEF_STEPS
    solver: str = DEFAULT_SOLVER
    seed: int = 0
    batch_size: int = 256

    def __post_init__(self) -> None:
        check_numbers(self)
        if not self.attacks:
            raise UserError("no attack was named", f"name one of {', '.join(ATTACKS)}")
        for name in self.attacks:
            if name not in ATTACKS:
                raise unknown_name("attack", name, ATTACKS)
        for budgets, most in ((self.eps, 255), (self.eps_l2, LARGEST_L2)):
            given = ", ".join(f"{budget:g}" for budget in budgets) or "none"
            if not budgets or min(budgets) <= 0 or list(budgets) != sorted(set(budgets)):
                raise UserError(f"the budgets are {given}", "give one or more above 0, each larger than the last")
            if min(budgets) < SMALLEST or max(budgets) > most:
                raise UserError(f"the budgets are {given}", f"give some from {SMALLEST} to {most}")
        if self.images < LEAST_IMAGES:
            raise UserError(f"{self.images} images are too few for statistics", f"take at least {LEAST_IMAGES}")
        for what, count in (("attack steps", self.attack_steps), ("restarts", self.restarts)):
            if count < 1:
                raise UserError(f"{count} {what}", "take at least one")

    def budgets(self, norm: str) -> tuple[float, ...]:
        """The grid of a norm, in its printed unit."""
        return self.eps if norm == "Linf" else self.eps_l2
