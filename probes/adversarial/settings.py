"""What is attacked, how hard, and on how much."""

from __future__ import annotations

from dataclasses import dataclass

from probes.adversarial.attacks import ATTACKS, Entry
from probes.probe import Sampling, option
from rcdm_core.errors import UserError, unknown_name

SMALLEST, LARGEST_L2 = 1e-3, 10_000
"""Budgets that float32 can tell from none, and that no two images exceed."""

LEAST_IMAGES = 20  # below, no interval over images says anything


@dataclass(frozen=True, kw_only=True)
class Adversarial(Sampling):
    """What is attacked, how hard, and on how much.

    A labelled data set gives at most half of its images to the attack. Iterated attacks take ``attack_steps`` steps,
    each of 2.5 budgets over their number. Of the attacked images, ``checked`` are those on which it is checked that a
    stronger attacker finds no more, and samples are drawn of ``rendered``, of which ``pictures`` are shown.
    """

    reference: str = option("supervised", "Encoder that each other one is compared with.", metavar="NAME")
    attacks: tuple[str, ...] = option(
        ("PGD",),
        "FGSM, PGD, PGDL2 or AutoAttack of torchattacks, or Displacement, which needs no labels; may be repeated, the "
        "first carries the verdicts. By default PGD.",
        flag="attack",
        short="a",
        metavar="NAME",
    )
    eps: tuple[float, ...] = option(
        (0.5, 1.0, 2.0, 4.0), "Budgets of attacks bounded in L-inf, in 255ths.", metavar="A,B,..."
    )
    eps_l2: tuple[float, ...] = option(
        (0.1, 0.2, 0.4, 0.8),
        "Budgets of attacks bounded in L2: length of a perturbation as one vector, pixels being in [0, 1].",
        metavar="A,B,...",
    )
    attack_steps: int = option(20, "Gradient steps of an iterated attack.", least=1, metavar="K")
    restarts: int = option(1, "Starts of an attack; the best counts.", least=1)
    images: int = option(500, "Images that are attacked.", short="n", least=LEAST_IMAGES, metavar="N")
    training: int = option(3000, "Other images, that the linear classifier is trained on.", least=0, metavar="M")
    rendered: int = option(24, "Images that samples are drawn of.", least=0)
    judge: str | None = option(
        None,
        "Encoder, not under attack, that tells the class of samples through a linear classifier. It needs an RCDM; by "
        "default the embedded judge on scenes, and none on other images.",
        metavar="NAME",
    )
    checked: int = option(48, "Images on which the attacker is checked.", least=1, shown=False)
    pictures: int = option(3, "Images that are shown.", least=1, shown=False)
    batch_size: int = option(256, "Images that go through a network at once.", least=1)

    def __post_init__(self) -> None:
        super().__post_init__()
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

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The attacks, that of the verdicts first."""
        return tuple(ATTACKS[name] for name in self.attacks)

    @property
    def level(self) -> str:
        """The level under attack."""
        assert self.levels is not None
        return self.levels[0]

    def budgets(self, entry: Entry) -> tuple[float, ...]:
        """The grid of an attack, in its printed unit."""
        return self.eps if entry.norm == "Linf" else self.eps_l2

    def middle(self, entry: Entry) -> float:
        """The budget at which checks are made: in the middle of the grid an attack neither fails nor always wins."""
        budgets = self.budgets(entry)
        return budgets[(len(budgets) - 1) // 2]
