"""Attacks by name, with the settings of torchattacks (Kim 2020, arXiv 2010.01950), and attacked images.

A *budget* is the radius of the ball around an image that an attack may search, printed in 255ths of the range of a
pixel for L-inf and as a length for L2. Attacks that need labels look for a wrong class; of the others, one pushes ``h``
away from where it was, and one towards another image's. Random noise of the same budget stands beside each.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import torch
import torchattacks
from torch import nn
from torchattacks.attack import Attack

from probes.image_draws import ImageDraws
from rcdm_core.distances import pair_by_pair, power_of_two
from rcdm_core.errors import UserError
from rcdm_core.fingerprint import code_fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Norm = Literal["Linf", "L2"]
FIRST = 2.0  # budgets that the first step of our own attacks spans: from one face of the ball to the other
SHRINK = 1 / 32  # what is left of it when all steps are taken
STRIDE = 2.5  # budgets that those of torchattacks walk in all steps, so as to reach every corner (Madry et al. 2018)
AUTO_STEPS = 100  # of each gradient attack within AutoAttack (Croce and Hein 2020, section 6); torchattacks takes 10
UNITS: Mapping[Norm, tuple[float, str]] = {"Linf": (255.0, "255ths"), "L2": (1.0, "L2")}
"""For each norm, what a budget is multiplied by to be printed, and its unit."""

NOISE: Mapping[Norm, str] = {"Linf": "noise", "L2": "noise L2"}
"""Condition of the random control of each norm."""

LEAST_CLASSES = 4  # AutoAttack's loss compares the true class with three others


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
        targeted: Whether it pushes ``h`` towards another image's, which it is given in place of labels.
    """

    name: str
    about: str
    norm: Norm
    needs_labels: bool
    iterated: bool
    build: Callable[[nn.Module, float, int, int], Attack]
    targeted: bool = False

    @property
    def scale(self) -> float:
        """What a budget in units of [0, 1] is multiplied by to be printed."""
        return UNITS[self.norm][0]

    @property
    def noise(self) -> str:
        """Condition of its random control."""
        return NOISE[self.norm]

    @property
    def unit(self) -> str:
        """Unit of a printed budget."""
        return UNITS[self.norm][1]

    def told(self, budget: float) -> str:
        """A printed budget as it stands in a sentence: ``1/255``, ``0.2 in L2``."""
        return f"{budget:g}/255" if self.norm == "Linf" else f"{budget:g} in {self.unit}"


class Ascent(Attack):
    """Projected gradient ascent within an L-inf ball from a random start, by steps that shrink geometrically.

    The first step spans the ball, so that every corner can be reached; the last ones find where, on the side it came
    to, the loss is largest. With steps of one size (Madry et al. 2018), as many of them find less (compare the halved
    steps of Croce and Hein 2020).

    Args:
        model: What is attacked: images ``[N, 3, H, W]`` in [0, 1] to ``[N, K]``.
        eps: Largest change of a pixel.
        steps: Number of steps.
    """

    def __init__(self, model: nn.Module, eps: float = 8 / 255, steps: int = 10) -> None:
        super().__init__(type(self).__name__, model)
        self.eps, self.steps = eps, steps
        self.supported_mode = ["default"]

    def loss(self, output: torch.Tensor, origin: torch.Tensor, given: torch.Tensor | None) -> torch.Tensor:
        """What is maximised, ``[N]``: of what the model makes of the images now, and made of them untouched."""
        raise NotImplementedError

    def forward(self, images: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Adversarial images ``[N, 3, H, W]`` in [0, 1]; what stands in place of labels is up to the loss."""
        images = images.clone().detach().to(self.device)
        given = None if labels is None else labels.clone().detach().to(self.device)
        with torch.no_grad():
            origin = self.get_logits(images)
        adversarial = (images + torch.empty_like(images).uniform_(-self.eps, self.eps)).clamp(0, 1)
        for step in range(self.steps):
            adversarial.requires_grad_()
            loss = self.loss(self.get_logits(adversarial), origin, given)
            (gradient,) = torch.autograd.grad(loss.sum(), adversarial)
            moved = adversarial.detach() + FIRST * self.eps * SHRINK ** (step / self.steps) * gradient.sign()
            adversarial = (images + (moved - images).clamp(-self.eps, self.eps)).clamp(0, 1).detach()
        return adversarial


class Margin(Ascent):
    """Looks for a wrong class: maximises the logit of the best one minus that of the true one (``labels [N]``).

    The loss of Carlini and Wagner (2017). Unlike the cross-entropy it does not go flat where the classifier is sure.
    """

    def loss(self, output: torch.Tensor, origin: torch.Tensor, given: torch.Tensor | None) -> torch.Tensor:
        assert given is not None
        return margin(output, given)


class Displacement(Ascent):
    """The label-free attack: pushes representations ``[N, D]`` as far from where they were as the ball allows.

    The gradient of ``|f(x + d) - f(x)|^2`` is zero at ``d = 0``, so that the random start is not a refinement here but
    what makes it move at all. Labels are taken, as every attack does, and not looked at.
    """

    def loss(self, output: torch.Tensor, origin: torch.Tensor, given: torch.Tensor | None) -> torch.Tensor:
        return _apart(output, origin, origin)


class Toward(Ascent):
    """The targeted, label-free attack: pushes representations as near to given ones (``labels [N, D]``) as it can.

    Sabour et al. 2016, within a ball of our own.
    """

    def loss(self, output: torch.Tensor, origin: torch.Tensor, given: torch.Tensor | None) -> torch.Tensor:
        assert given is not None
        return -_apart(output, given, origin)


def margin(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Logit of the best wrong class minus that of the true one, ``[N]``: above 0 the decision is wrong."""
    true = logits.gather(1, labels[:, None])
    return (logits.scatter(1, labels[:, None], -torch.inf).amax(1, keepdim=True) - true).squeeze(1)


def _apart(output: torch.Tensor, other: torch.Tensor, origin: torch.Tensor) -> torch.Tensor:
    return ((output - other) / power_of_two([origin])).square().sum(1)


def _ascend(attack: type[Ascent]) -> Callable[[nn.Module, float, int, int], Attack]:
    return lambda model, eps, steps, _: attack(model, eps, steps)


def _walk(attack: Callable[..., Attack]) -> Callable[[nn.Module, float, int, int], Attack]:
    return lambda model, eps, steps, _: attack(model, eps, STRIDE * eps / steps, steps, random_start=True)


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
            lambda model, eps, _steps, _classes: torchattacks.FGSM(model, eps),
        ),
        Entry("Margin", "shrinking gradient steps on the margin", "Linf", True, True, _ascend(Margin)),
        Entry("PGD", "projected gradient steps", "Linf", True, True, _walk(torchattacks.PGD)),
        Entry(
            "PGDL2", "projected gradient steps", "L2", True, True, _walk(torchattacks.PGDL2)
        ),
        Entry("AutoAttack", "four attacks, one without gradients", "Linf", True, False, _auto_attack),
        Entry("Displacement", "label-free: pushes h away", "Linf", False, True, _ascend(Displacement)),
        Entry(
            "Toward", "label-free: pushes h towards another image's", "Linf", False, True, _ascend(Toward),
            targeted=True,
        ),
    )
}  # fmt: skip
ATTACKS: Mapping[str, Entry] = MappingProxyType(_ENTRIES)
"""Every attack by its name; `register` adds one."""
REGISTERED: dict[str, str] = {}
"""Of those that were added, by what they are known: numbers of another attack under the name are not theirs."""


def register(entry: Entry) -> None:
    """Add an attack, for the rest of the process, to those that can be chosen.

    Raises:
        ValueError: The name is taken.
    """
    if entry.name in _ENTRIES:
        raise ValueError(f"there is an attack {entry.name!r} already")
    _ENTRIES[entry.name] = entry
    REGISTERED[entry.name] = code_fingerprint(entry)


def noise(images: torch.Tensor, norm: Norm, eps: float, seed: int, numbers: Sequence[int]) -> torch.Tensor:
    """Images moved at random, as far as an attack may move them.

    The direction belongs to the image, so that along a curve only the budget changes.

    Args:
        images: ``[N, 3, S, S]`` in [0, 1].
        norm: ``"Linf"``: each channel of each pixel uniform in [-eps, eps]; ``"L2"``: a random direction of length eps.
        eps: Budget in units of [0, 1].
        seed: Seed of the run.
        numbers: Position of each image in the data set, ``[N]``.

    Returns:
        ``[N, 3, S, S]`` in [0, 1].
    """
    if not len(images):
        return images
    draws, shape = ImageDraws(seed, f"adversarial noise {norm}", tuple(numbers)), images.shape[1:]
    if norm == "Linf":
        direction = 2 * draws.uniform(*shape) - 1
    else:
        direction = draws.normal(*shape)
        direction /= direction.flatten(1).norm(dim=1)[:, None, None, None]
    return (images + eps * direction.to(images)).clamp(0, 1)


def size(moved: torch.Tensor, images: torch.Tensor, norm: Norm) -> torch.Tensor:
    """Size of each perturbation in its norm, ``[N]``, in units of [0, 1]."""
    order, pairs = torch.inf if norm == "Linf" else 2, (moved.flatten(1), images.flatten(1))
    return pair_by_pair(lambda a, b: torch.linalg.vector_norm(a - b, ord=order, dim=1), *pairs)


def check_classes(entry: Entry, classes: int) -> None:
    """Refuse an attack that the number of classes does not allow."""
    if entry.name == "AutoAttack" and classes < LEAST_CLASSES:
        raise UserError(f"AutoAttack needs {LEAST_CLASSES} classes, the data have {classes}", "use --attack PGD")
