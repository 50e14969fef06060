"""One encoder under attack: the images it is attacked on, and what each attack finds within each budget.

Balls are nested: what was found within a smaller budget counts within a larger one, so that curves never rise because
an attack was unlucky.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from probes.adversarial.attacks import craft, noise
from probes.adversarial.target import Adversaries, Target, Victims, train_classifier
from rcdm_core.distances import typical_distance
from rcdm_core.kept import cache_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import ArrayLike

    from probes.adversarial.attacks import Entry
    from probes.adversarial.settings import Adversarial
    from probes.context import Context
    from rcdm_core.linear_classifier import LinearClassifier

_RESTART = 1_000_003  # between the seeds of two restarts; batches count up from each


def split(run: Context, settings: Adversarial) -> tuple[np.ndarray, np.ndarray]:
    """Positions of images that are attacked, ``[N]``, and of others that train the classifier, ``[M]``: by the seed.

    A labelled data set gives at most half of its images to the attack; of one without labels, none train.
    """
    if run.images.labels is None:
        return run.draw(settings.images), run.draw(0)
    count = min(settings.images, len(run.images) // 2)
    return run.draw(count), run.draw(count + settings.training)[count:]


@dataclass(frozen=True, eq=False)
class Study:
    """An encoder under attack.

    Attributes:
        run: A context of that encoder.
        target: What is attacked.
        victims: The images, with their labels and representations.
        positions: Their positions in the data set, ``[N]``.
        right: Which of them the classifier gets right untouched, ``[N]``; all of them without labels.
    """

    run: Context
    target: Target
    victims: Victims
    positions: np.ndarray
    right: torch.Tensor

    @property
    def name(self) -> str:
        """Name of the encoder."""
        return self.run.encoder.name

    def records(self, measure: str, values: ArrayLike, rows: torch.Tensor | None = None, **about: Any) -> pd.DataFrame:
        """Records of one measure on these rows of the victims, ``[N]``; by default all."""
        return self.run.records(measure, values, self.numbers(rows), level=self.target.level, **about)

    def numbers(self, rows: torch.Tensor | None = None) -> list[int]:
        """Positions of these rows of the victims; by default of all."""
        return (self.positions if rows is None else self.positions[rows.numpy()]).tolist()

    def rows_of(self, entry: Entry) -> torch.Tensor:
        """Rows of the victims that an attack is run on, ``[n]``: of one on the decision, those right before."""
        return torch.nonzero(self.right).flatten() if entry.needs_labels else torch.arange(len(self.victims))

    def untouched(self, entry: Entry) -> Adversaries:
        """The `rows_of` an attack as they are: what a budget of 0 finds."""
        victims = self.victims[self.rows_of(entry)]
        strength = self.target.strength(victims.h, victims, needs_labels=entry.needs_labels)
        return Adversaries(victims.images, victims.h, strength)

    def attempt(
        self, entry: Entry, budget: float, *, steps: int, again: int = 0, first: int | None = None
    ) -> Adversaries:
        """One run of an attack within one budget, on the first so many of `rows_of`; its images are kept.

        Args:
            entry: The attack.
            budget: In its printed unit.
            steps: Gradient steps.
            again: Number of the start.
            first: How many; None for all.
        """
        rows, settings = self.rows_of(entry)[:first], self.run.settings
        victims, start = self.victims[rows], settings.seed + _RESTART * again
        images = self.run.kept(
            f"{entry.name}-{self.name.replace('/', '-')}",
            partial(craft, entry, self.target, victims, budget, steps=steps, seed=start),
            *(entry.name, budget, steps, start, settings.batch_size, self.target.level, self.numbers(rows)),
            *(settings.seed, settings.training),  # by which the classifier was trained
        )
        return self.target.look(images, victims, needs_labels=entry.needs_labels)

    def attack(self, entry: Entry) -> dict[float, Adversaries]:
        """Run an attack within every budget.

        Returns:
            For each budget, ascending, the strongest adversary of each of `rows_of`: over the steps of every restart,
            and over all smaller budgets.
        """
        settings, strongest, found = self.run.settings, self.untouched(entry), {}
        tries = [(budget, again) for budget in settings.budgets(entry) for again in range(settings.restarts)]
        for budget, again in self.run.each(tries, f"{entry.name} on {self.name}"):
            attempt = self.attempt(entry, budget, steps=settings.attack_steps, again=again)
            found[budget] = strongest = strongest.or_stronger(attempt)
        return found

    def noisy(self, entry: Entry, budget: float, rows: torch.Tensor) -> torch.Tensor:
        """These rows of the victims under the noise that stands beside an attack, ``[n, 3, S, S]``."""
        images, seed = self.victims.images[rows], self.run.settings.seed
        return noise(images, entry.norm, budget / entry.scale, seed=seed, numbers=self.numbers(rows))


def study_of(run: Context, settings: Adversarial) -> Study:
    """Encode the images of a context of one encoder, and train the classifier on it.

    Raises:
        UserError: Representations that are not finite or do not vary; training images of a single class.
    """
    level, labels = settings.level, run.images.labels
    attacked, training = split(run, settings)
    h = run.represent(attacked)[level]
    typical = typical_distance(h, seed=settings.seed)
    classifier = None if labels is None else classifier_on(run, level, training)
    target = Target(run.encoder, level, typical, classifier, settings.batch_size)
    victims = Victims(run.images.images(attacked), None if labels is None else torch.tensor(labels[attacked]), h)
    right = torch.ones(len(h), dtype=torch.bool) if victims.labels is None else target.predict(h).eq(victims.labels)
    return Study(run, target, victims, attacked, right)


def classifier_on(run: Context, level: str, training: np.ndarray) -> LinearClassifier:
    """The linear classifier on a level of an encoder, trained on images of a labelled data set."""
    assert run.images.labels is not None
    labels, classes = torch.tensor(run.images.labels[training]), len(run.images.class_names)
    cache = cache_folder() / "classifiers" if run.cache else None
    return train_classifier(run.represent(training)[level], labels, classes, seed=run.settings.seed, cache=cache)


def smallest_budget(
    target: Target, victims: Victims, found: Sequence[tuple[float, Adversaries]], *, halvings: int = 6
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
