"""Checks of the attacker: whether more work finds more, whether gradients mislead it, and what no budget does.

An attack that is too weak makes any encoder look robust (Athalye et al. 2018; Carlini et al. 2019). These signs give
it away: more steps or another start still find adversaries, adversaries made for another encoder do better than its
own, and gradients do not foretell how the loss of the attack changes, or vanish altogether.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from probes.adversarial.attacks import craft, noise

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from probes.adversarial.attacks import Entry
    from probes.adversarial.study import Study
    from probes.adversarial.target import Adversaries, Target, Victims

NEAR, STEP = 1 / 255, 1 / 16 / 255
"""How far from an image its gradient is looked at, and how far it is followed: across few kinks of a network."""


def effort_records(study: Study, entry: Entry, found: Mapping[float, Adversaries]) -> Iterator[pd.DataFrame]:
    """Strength of an iterated attack after more and more work, each the strongest of all before.

    The work: half the steps, all that the probe did within this budget, as many steps from another start, and twice
    the steps.

    Args:
        study: The encoder.
        entry: The attack.
        found: What the probe found within each budget.
    """
    settings = study.run.settings
    steps, first, budget = settings.attack_steps, settings.checked, settings.middle(entry)
    half = max(1, steps // 2)
    work = {
        f"{half} steps": study.attempt(entry, budget, steps=half, first=first),
        f"and the attack reported, {steps} steps": found[budget][:first],
        f"and {steps} from another start": study.attempt(
            entry, budget, steps=steps, again=settings.restarts, first=first
        ),
        f"and {2 * steps} steps": study.attempt(entry, budget, steps=2 * steps, first=first),
    }
    rows, strongest = study.rows_of(entry)[:first], study.untouched(entry)[:first]
    for place, (label, adversaries) in enumerate(work.items()):
        strongest = strongest.or_stronger(adversaries)
        at = {"condition": f"{entry.name}: {label}", "strength": budget, "sample": place}
        yield study.records("effort", strongest.strength, rows, **at)


def gradient_records(study: Study, entry: Entry) -> Iterator[pd.DataFrame]:
    """How the loss of the attack changes between two near points, and how its gradient foretells that it does.

    The points lie on both sides of one that is `NEAR` an image, for at the image itself the gradient of the label-free
    attack is 0. A gradient that vanishes, or is not finite, foretells exactly 0.

    Returns:
        Records ``change`` and ``foretold``.
    """
    settings, target = study.run.settings, study.target
    rows, changes, foretold = study.rows_of(entry)[: settings.checked], [], []
    for part in rows.split(target.batch_size) if len(rows) else ():
        victims, numbers = study.victims[part], study.numbers(part)
        at = noise(victims.images, "Linf", NEAR, seed=settings.seed, numbers=numbers)
        moved = noise(at, "Linf", STEP, seed=settings.seed + 1, numbers=numbers)
        ends = (moved, (2 * at - moved).clamp(0, 1))
        middle = ((ends[0] + ends[1]) / 2).requires_grad_()
        (gradient,) = torch.autograd.grad(_loss(target, entry, middle, victims).sum(), middle)
        with torch.no_grad():
            first, last = (_loss(target, entry, end, victims, torch.float64) for end in ends)
        changes += (last - first).tolist()
        foretold += (gradient.double() * (ends[1] - ends[0])).flatten(1).sum(1).nan_to_num(0, 0, 0).tolist()
    yield study.records("change", changes, rows, condition=entry.name)
    yield study.records("foretold", foretold, rows, condition=entry.name)


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


def zero_records(study: Study) -> Iterator[pd.DataFrame]:
    """Whether each attack, run with a budget of 0, leaves the decision of the first images as it was."""
    settings = study.run.settings
    for entry in settings.entries:
        if study.victims.labels is None or entry.name == "AutoAttack":
            continue  # without a decision there is nothing to see; AutoAttack divides by its budget
        rows = study.rows_of(entry)[: settings.checked]
        victims = study.victims[rows]
        images = craft(entry, study.target, victims, 0.0, steps=2, seed=settings.seed)
        same = study.target.predict(study.target.represent(images)) == study.target.predict(victims.h)
        yield study.records("unchanged", same.numpy(), rows, condition=entry.name, strength=0.0)


def transfer_records(
    studies: Mapping[str, Study], entry: Entry, found: Mapping[str, Adversaries], budget: float
) -> Iterator[pd.DataFrame]:
    """Decisions of each encoder on the adversaries of each other one, where both were right before.

    Args:
        studies: By name of the encoder, on the same images.
        entry: The attack.
        found: Its adversaries for each encoder, at this budget.
        budget: The budget.
    """
    for source, adversaries in found.items():
        rows = studies[source].rows_of(entry)
        for name, study in studies.items():
            both = study.right[rows]
            if name == source or not both.any():
                continue
            decided = study.target.predict(study.target.represent(adversaries.images[both]))
            assert study.victims.labels is not None
            correct = decided == study.victims.labels[rows[both]]
            yield study.records("transferred", correct.numpy(), rows[both], condition=source, strength=budget)
