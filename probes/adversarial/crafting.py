"""Crafting: attacked images within a budget, and the random noise that stands beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from probes.image_draws import ImageDraws
from rcdm_core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from probes.adversarial.attacks import Entry, Norm
    from probes.adversarial.target import Found, Target, Victims

LEAST_CLASSES = 4  # AutoAttack's loss compares the true class with three others


def craft(entry: Entry, target: Target, victims: Victims, budget: float, *, steps: int, seed: int) -> torch.Tensor:
    """Attack images once.

    Args:
        entry: The attack.
        target: What is attacked.
        victims: The images; attacks that need labels are given theirs.
        budget: Radius of the ball, in the printed unit of the attack.
        steps: Gradient steps of an iterated attack.
        seed: Seed of the random starts, in the order of the victims.

    Returns:
        ``[N, 3, S, S]`` in [0, 1], on the CPU. For an iterated attack, of each image the strongest point on its way.
    """
    made = [
        _attack(entry, target, batch, budget / entry.scale, steps, seed + number)
        for number, batch in enumerate(victims.split(target.batch_size))
    ]
    return torch.cat(made) if made else victims.images


def _attack(entry: Entry, target: Target, victims: Victims, eps: float, steps: int, seed: int) -> torch.Tensor:
    classes = 0 if target.classifier is None else len(target.classifier.bias)
    images = victims.images.to(target.device)
    labels = None if victims.labels is None else victims.labels.to(target.device)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if not entry.iterated:  # it stops where a decision turns: where that is, bfloat16 cannot tell
            model = target.attacked(needs_labels=entry.needs_labels, precision="no")
            moved = entry.build(model, eps, steps, classes)(images, labels).detach()
            return torch.where(moved.isfinite(), moved, images).cpu()  # where a gradient was not, there is no step
        witness = target.witness(victims, needs_labels=entry.needs_labels)
        last = entry.build(witness, eps, steps, classes)(images, labels)
        with torch.no_grad():
            witness(last)
    return witness.best.cpu()


def noise(images: torch.Tensor, norm: Norm, eps: float, *, seed: int, numbers: Sequence[int]) -> torch.Tensor:
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
    draws, shape = ImageDraws(seed, f"adversarial noise {norm}", tuple(numbers)), images.shape[1:]
    if norm == "Linf":
        direction = 2 * draws.uniform(*shape) - 1
    else:
        direction = draws.normal(*shape)
        direction /= direction.flatten(1).norm(dim=1)[:, None, None, None]
    return (images + eps * direction.to(images)).clamp(0, 1)


def size(moved: torch.Tensor, images: torch.Tensor, norm: Norm) -> torch.Tensor:
    """Size of each perturbation in its norm, ``[N]``, in units of [0, 1]."""
    order = torch.inf if norm == "Linf" else 2
    return torch.linalg.vector_norm((moved.double() - images.double()).flatten(1), ord=order, dim=1)


def smallest_budget(
    target: Target, victims: Victims, found: Sequence[tuple[float, Found]], *, halvings: int = 6
) -> torch.Tensor:
    """The smallest budget known to flip the decision of each image.

    Along the line from the image to the first adversary that flips it, bisection finds where the decision turns. That
    is an upper bound of the true smallest budget, and finer than the grid.

    Args:
        target: What was attacked.
        victims: The images, all classified rightly untouched.
        found: Budgets, ascending, with the adversaries found within them.
        halvings: Bisections; the result is within 2^-halvings of the budget that flipped.

    Returns:
        ``[N]`` float64, in the printed unit; infinite where no budget flipped the decision.
    """
    assert victims.labels is not None
    smallest = torch.full((len(victims),), torch.inf, dtype=torch.float64)
    for budget, adversaries in found:
        rows = torch.nonzero((adversaries.strength > 0) & smallest.isinf()).flatten()
        if not len(rows):
            continue
        start, end, labels = victims.images[rows], adversaries.images[rows], victims.labels[rows]
        low, high = torch.zeros(len(rows)), torch.ones(len(rows))
        for _ in range(halvings):
            middle = (low + high) / 2
            between = torch.lerp(start, end, middle[:, None, None, None])
            wrong = target.predict(target.represent(between)) != labels
            low, high = torch.where(wrong, low, middle), torch.where(wrong, middle, high)
        smallest[rows] = budget * high.double()
    return smallest


def check_classes(entry: Entry, classes: int) -> None:
    """Refuse an attack that the number of classes does not allow."""
    if entry.name == "AutoAttack" and classes < LEAST_CLASSES:
        raise UserError(f"AutoAttack needs {LEAST_CLASSES} classes, the data have {classes}", "use --attack PGD")
