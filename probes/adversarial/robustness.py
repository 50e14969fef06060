"""Robustness of one encoder: what each attack does to ``h`` and to the decision within each budget, beside noise.

Balls are nested: what was found within a smaller budget counts within a larger one, so that curves never rise because
an attack was unlucky.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from probes.adversarial.attacks import ATTACKS
from probes.adversarial.crafting import craft, noise, size, smallest_budget
from probes.adversarial.target import Found
from probes.records import join

if TYPE_CHECKING:
    import pandas as pd

    from probes.adversarial.attacks import Entry
    from probes.adversarial.settings import AdversarialSettings
    from probes.adversarial.study import Study
    from probes.stages import Stages
    from rcdm_core.progress import Progress

NOISE = {"Linf": "noise", "L2": "noise L2"}
"""Condition of the random control of each norm."""

_RESTART = 1_000_003  # between the seeds of two restarts; batches count up from each


def rows_of(study: Study, entry: Entry) -> torch.Tensor:
    """Rows of the victims that an attack is run on, ``[n]``."""
    return torch.nonzero(study.right).flatten() if entry.needs_labels else torch.arange(len(study.victims))


def attack(
    study: Study, entry: Entry, settings: AdversarialSettings, stages: Stages, progress: Progress
) -> dict[float, Found]:
    """Run an attack within every budget.

    Returns:
        For each budget, ascending, the strongest adversary of each of `rows_of`: over the steps of every restart, and
        over all smaller budgets.
    """
    strongest = untouched(study, entry)
    tries = [(budget, again) for budget in settings.budgets(entry.norm) for again in range(settings.restarts)]
    found = {}
    for budget, again in progress(tries, f"{entry.name} on {study.name}", len(tries)):
        strongest = strongest.or_stronger(
            attempt(study, entry, stages, budget, steps=settings.attack_steps, again=again, seed=settings.seed)
        )
        found[budget] = strongest
    return found


def untouched(study: Study, entry: Entry) -> Found:
    """The `rows_of` an attack as they are: what a budget of 0 finds."""
    victims = study.victims[rows_of(study, entry)]
    strength = study.target.strength(victims.h, victims, needs_labels=entry.needs_labels)
    return Found(victims.images, victims.h, strength)


def attempt(
    study: Study,
    entry: Entry,
    stages: Stages,
    budget: float,
    *,
    steps: int,
    again: int,
    seed: int,
    first: int | None = None,
) -> Found:
    """One run of an attack within one budget, on the first so many of `rows_of`; its images are kept in a stage."""
    victims = study.victims[rows_of(study, entry)[:first]]
    start = seed + _RESTART * again
    kept = stages.under(entry.name, budget, steps, start, first)
    compute = partial(craft, entry, study.target, victims, budget, steps=steps, seed=start)
    images = kept.tensor(f"{entry.name}-{study.name.replace('/', '-')}", compute)
    return study.target.look(images, victims, needs_labels=entry.needs_labels)


def untouched_records(study: Study) -> pd.DataFrame:
    """The decision on untouched images; nothing without labels."""
    if study.victims.labels is None:
        return join([])
    return study.records("correct", study.right.numpy(), strength=0.0)


def attack_records(study: Study, entry: Entry, found: dict[float, Found]) -> pd.DataFrame:
    """What the attack did: ``correct``, displacement, cosine, the smallest budget, and where it stayed."""
    rows = rows_of(study, entry)
    victims, tables = study.victims[rows], []
    for budget, adversaries in found.items():
        at: dict[str, Any] = {"condition": entry.name, "strength": budget}
        tables += _moved(study, adversaries.h, rows, **at)
        moved = size(adversaries.images, victims.images, entry.norm) * entry.scale / budget
        beyond = torch.maximum(adversaries.images - 1, -adversaries.images).flatten(1).amax(1).clamp(min=0)
        tables.append(study.records("perturbation", moved, rows=rows, **at))
        tables.append(study.records("out_of_range", beyond, rows=rows, **at))
    if entry.needs_labels:
        smallest = smallest_budget(study.target, victims, list(found.items()))
        tables.append(study.records("smallest_budget", smallest, rows=rows, condition=entry.name))
    return join(tables)


def noise_records(study: Study, settings: AdversarialSettings) -> pd.DataFrame:
    """What random noise of the same budgets does."""
    tables, every = [], torch.arange(len(study.victims))
    for norm, condition in NOISE.items():
        entries = [ATTACKS[name] for name in settings.attacks if ATTACKS[name].norm == norm]
        for budget in settings.budgets(norm) if entries else ():
            h = study.target.represent(noisy(study, entries[0], budget, settings.seed, every))
            tables += _moved(study, h, every, condition=condition, strength=budget)
    return join(tables)


def noisy(study: Study, entry: Entry, budget: float, seed: int, rows: torch.Tensor) -> torch.Tensor:
    """These rows of the victims under the noise that stands beside an attack, ``[n, 3, S, S]``."""
    numbers = study.positions[rows.numpy()].tolist()
    return noise(study.victims.images[rows], entry.norm, budget / entry.scale, seed=seed, numbers=numbers)


def _moved(study: Study, h: torch.Tensor, rows: torch.Tensor, *, condition: str, strength: float) -> list[pd.DataFrame]:
    """Displacement and cosine on these rows, and the decision on all images: those not attacked were wrong before."""
    origin = study.victims.h[rows]
    at: dict[str, Any] = {"condition": condition, "strength": strength}
    tables = [
        study.records("relative_displacement", study.target.displacement(h, origin), rows=rows, **at),
        study.records("cosine", study.target.cosine(h, origin), rows=rows, **at),
    ]
    if study.victims.labels is not None:
        correct = torch.zeros(len(study.victims), dtype=torch.bool)
        correct[rows] = study.target.predict(h) == study.victims.labels[rows]
        tables.append(study.records("correct", correct.numpy(), **at))
    return tables
