"""Attacks by name, with the settings of torchattacks (Kim 2020, arXiv 2010.01950).

A *budget* is the radius of the ball around an image that an attack may search, printed in 255ths of the range of a
pixel for L-inf and as a length for L2. Attacks that need labels look for a wrong class, the other one for
the largest displacement of ``h``.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import torch
import torchattacks

from probes.adversarial.displacement import Displacement

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import nn
    from torchattacks.attack import Attack

Norm = Literal["Linf", "L2"]
STRIDE = 2.5  # budgets walked in all steps together: every corner of the ball can be reached (Madry et al. 2018)
AUTO_STEPS = 100  # of each gradient attack within AutoAttack (Croce and Hein 2020, section 6); torchattacks takes 10
UNITS: Mapping[Norm, tuple[float, str]] = {"Linf": (255.0, "255ths"), "L2": (1.0, "L2")}
"""For each norm, what a budget is multiplied by to be printed, and its unit."""


@dataclass(frozen=True)
class Entry:
    """An attack.

    Attributes:
        name: Name in torchattacks (of the label-free one, its own), in records and on the command line.
        about: What it does, in a few words.
        norm: Norm that bounds it.
        needs_labels: Whether it attacks a classifier; else it attacks ``h`` itself.
        iterated: Whether it takes steps, all of them inside the ball and with the whole batch.
        build: Model, budget in units of [0, 1], steps, number of classes -> the attack. What it draws comes from
            torch's generator.
    """

    name: str
    about: str
    norm: Norm
    needs_labels: bool
    iterated: bool
    build: Callable[[nn.Module, float, int, int], Attack]

    @property
    def scale(self) -> float:
        """What a budget in units of [0, 1] is multiplied by to be printed."""
        return UNITS[self.norm][0]

    @property
    def unit(self) -> str:
        """Unit of a printed budget."""
        return UNITS[self.norm][1]

    def told(self, budget: float) -> str:
        """A printed budget as it stands in a sentence: ``1/255``, ``0.2 in L2``."""
        return f"{budget:g}/255" if self.norm == "Linf" else f"{budget:g} in {self.unit}"


def _walk(attack: Callable[..., Attack], **settings: Any) -> Callable[[nn.Module, float, int, int], Attack]:
    return lambda model, eps, steps, _: attack(model, eps=eps, alpha=STRIDE * eps / steps, steps=steps, **settings)


def _auto_attack(model: nn.Module, eps: float, _steps: int, classes: int) -> Attack:
    """AutoAttack's standard version, its parts as strong as in the paper; each part sees what those before it left."""
    begun: dict[str, Any] = {"norm": "Linf", "eps": eps, "seed": int(torch.randint(2**31, ()))}
    return torchattacks.MultiAttack(
        [
            torchattacks.APGD(model, steps=AUTO_STEPS, loss="ce", **begun),
            torchattacks.APGDT(model, steps=AUTO_STEPS, n_classes=classes, **begun),
            torchattacks.FAB(model, steps=AUTO_STEPS, multi_targeted=True, n_classes=classes, **begun),
            torchattacks.Square(model, n_queries=5000, **begun),
        ]
    )


_ENTRIES = {
    entry.name: entry
    for entry in (
        Entry(
            "FGSM", "one signed gradient step", "Linf", True, False,
            lambda model, eps, _steps, _classes: torchattacks.FGSM(model, eps=eps),
        ),
        Entry("PGD", "projected gradient steps", "Linf", True, True, _walk(torchattacks.PGD, random_start=True)),
        Entry(
            "PGDL2", "projected gradient steps", "L2", True, True, _walk(torchattacks.PGDL2, random_start=True)
        ),
        Entry("AutoAttack", "four attacks, one without gradients", "Linf", True, False, _auto_attack),
        Entry("Displacement", "label-free: pushes h away", "Linf", False, True, _walk(Displacement)),
    )
}  # fmt: skip
ATTACKS: Mapping[str, Entry] = MappingProxyType(_ENTRIES)
"""Every attack by its name; `register` adds one."""


def register(entry: Entry) -> None:
    """Add an attack, for the rest of the process, to those that can be chosen.

    Raises:
        ValueError: The name is taken.
    """
    if entry.name in _ENTRIES:
        raise ValueError(f"there is an attack {entry.name!r} already")
    _ENTRIES[entry.name] = entry
