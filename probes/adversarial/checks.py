"""Checks of the attacker: whether more work finds more, whether gradients mislead it, and what no budget does.

An attack that is too weak makes any encoder look robust (Athalye et al. 2018; Carlini et al. 2019). These signs give
it away: more steps or another start still find adversaries, adversaries made for another encoder do better than its
own, and gradients do not foretell how the loss of the attack changes, or vanish altogether.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from probes.adversarial.attacks import ATTACKS
from probes.adversarial.crafting import craft, noise
from probes.adversarial.robustness import attempt, rows_of, untouched
from probes.records import join

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from probes.adversarial.attacks import Entry
    from probes.adversarial.settings import AdversarialSettings
    from probes.adversarial.study import Study
    from probes.adversarial.target import Found, Target, Victims
    from probes.stages import Stages

NEAR, STEP = 1 / 255, 1 / 16 / 255
"""How far from an image its gradient is looked at, and how far it is followed: across few kinks of a network."""


def checked_budget(entry: Entry, settings: AdversarialSettings) -> float:
    """The budget at which checks are made: the middle of the grid, where an attack neither fails nor always wins."""
    budgets = settings.budgets(entry.norm)
    return budgets[(len(budgets) - 1) // 2]


def effort_records(
    study: Study, entry: Entry, found: Mapping[float, Found], settings: AdversarialSettings, stages: Stages
) -> pd.DataFrame:
    """Strength of an iterated attack after more and more work, each the strongest of all before.

    The work: half the steps, all that the probe did within this budget, as many steps from another start, and twice
    the steps.

    Args:
        study: The encoder.
        entry: The attack.
        found: What the probe found within each budget.
        settings: Of the probe.
        stages: Where attacked images are kept.
    """
    steps, budget, first = settings.attack_steps, checked_budget(entry, settings), settings.checked
    half = max(1, steps // 2)
    more = partial(attempt, study, entry, stages, budget, seed=settings.seed, first=first)
    work = (
        (f"{half} steps", more(steps=half, again=0)),
        (f"and the attack reported, {steps} steps", found[budget][:first]),
        (f"and {steps} from another start", more(steps=steps, again=settings.restarts)),
        (f"and {2 * steps} steps", more(steps=2 * steps, again=0)),
    )
    rows, strongest, tables = rows_of(study, entry)[:first], untouched(study, entry)[:first], []
    for place, (label, adversaries) in enumerate(work):
        strongest = strongest.or_stronger(adversaries)
        condition = f"{entry.name}: {label}"
        tables.append(
            study.records(
                "effort", strongest.strength, rows=rows, condition=condition, strength=budget, sample=place
            )
        )  # fmt: skip
    return join(tables)


def gradient_records(study: Study, entry: Entry, settings: AdversarialSettings) -> pd.DataFrame:
    """How the loss of the attack changes between two near points, and how its gradient foretells that it does.

    The points lie on both sides of one that is `NEAR` an image, for at the image itself the gradient of the label-free
    attack is 0. A gradient that vanishes, or is not finite, foretells exactly 0.

    Returns:
        Records ``change`` and ``foretold``.
    """
    rows, target = rows_of(study, entry)[: settings.checked], study.target
    numbers, changes, foretold = study.positions[rows.numpy()].tolist(), [], []
    for start in range(0, len(rows), target.batch_size):
        part = slice(start, start + target.batch_size)
        victims, own = study.victims[rows[part]], numbers[part]
        at = noise(victims.images, "Linf", NEAR, seed=settings.seed, numbers=own)
        moved = noise(at, "Linf", STEP, seed=settings.seed + 1, numbers=own)
        ends = (moved, (2 * at - moved).clamp(0, 1))
        middle = ((ends[0] + ends[1]) / 2).requires_grad_()
        (gradient,) = torch.autograd.grad(_loss(target, entry, middle, victims).sum(), middle)
        with torch.no_grad():
            first, last = (_loss(target, entry, end, victims, torch.float64) for end in ends)
        changes += (last - first).tolist()
        foretold += (gradient.double() * (ends[1] - ends[0])).flatten(1).sum(1).nan_to_num(0, 0, 0).tolist()
    about: dict[str, Any] = {"rows": rows, "condition": entry.name}
    return join([study.records("change", changes, **about), study.records("foretold", foretold, **about)])


def _loss(
    target: Target, entry: Entry, images: torch.Tensor, victims: Victims, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """What an attack raises, ``[N]``, on the CPU: cross-entropy, or the squared distance from the untouched ``h``."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # small differences are looked at
        model = target.attacked(needs_labels=entry.needs_labels, precision="no")
        output = model(images.to(target.device)).cpu().to(dtype)
    if victims.labels is None or not entry.needs_labels:
        return (output - victims.h).square().sum(1)
    return F.cross_entropy(output, victims.labels, reduction="none")


def zero_records(study: Study, settings: AdversarialSettings) -> pd.DataFrame:
    """Whether each attack, run with a budget of 0, leaves the decision of the first images as it was."""
    tables = []
    for entry in (ATTACKS[name] for name in settings.attacks):
        if study.victims.labels is None or entry.name == "AutoAttack":
            continue  # without a decision there is nothing to see; AutoAttack divides by its budget
        rows = rows_of(study, entry)[: settings.checked]
        victims = study.victims[rows]
        images = craft(entry, study.target, victims, 0.0, steps=2, seed=settings.seed)
        same = study.target.predict(study.target.represent(images)) == study.target.predict(victims.h)
        tables.append(study.records("unchanged", same.numpy(), rows=rows, condition=entry.name, strength=0.0))
    return join(tables)


def transfer_records(
    studies: Mapping[str, Study], entry: Entry, found: Mapping[str, Found], budget: float
) -> pd.DataFrame:
    """Decisions of each encoder on the adversaries of each other one, where both were right before.

    Args:
        studies: By name of the encoder, on the same images.
        entry: The attack.
        found: Its adversaries for each encoder, at this budget.
        budget: The budget.
    """
    tables = []
    for source, adversaries in found.items():
        rows = rows_of(studies[source], entry)
        for name, study in studies.items():
            both = study.right[rows]
            if name == source or not both.any():
                continue
            decided = study.target.predict(study.target.represent(adversaries.images[both]))
            assert study.victims.labels is not None
            correct = decided == study.victims.labels[rows[both]]
            tables.append(
                study.records("transferred", correct.numpy(), rows=rows[both], condition=source, strength=budget)
            )
    return join(tables)
