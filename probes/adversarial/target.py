"""What is attacked: a level of an encoder, the linear classifier on it, the images, and what is found within budgets.

An attack that takes steps sees a model that remembers for each image the strongest point it was asked about, so that it
is judged by the best adversary on its way and not by the last. Balls are nested: what was found within a smaller budget
counts within a larger one, so that curves never rise because an attack was unlucky.

There, where only the direction of a gradient matters, the encoder computes in bfloat16 on processors that are made for
it; every number that enters a record is computed again in float32.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from probes.adversarial.attacks import margin, noise
from probes.scale import LEAST_OTHERS, Scale
from rcdm_core import kept
from rcdm_core.distances import ROUNDING, power_of_two
from rcdm_core.kept import OTHER_CACHE, cache_folder, keeping
from rcdm_core.linear_classifier import PENALTIES, LinearClassifier, fit_classifier
from rcdm_core.precision import device_of, lowered
from rcdm_core.representations import encode, fitting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    import pandas as pd
    from numpy.typing import ArrayLike

    from probes.adversarial.attacks import Entry
    from probes.context import Context
    from rcdm_core.encoders.encoder import Encoder


_RESTART = 1_000_003  # between the seeds of two restarts; batches count up from each
_RECIPE = "standardised, lbfgs, 2"


@dataclass(frozen=True, eq=False)
class Victims:
    """The images under attack, and what the encoder makes of them untouched.

    Attributes:
        images: ``[N, 3, S, S]`` in [0, 1].
        labels: True classes ``[N]`` int64; None where they are not known, or an attack needs none.
        h: Representations ``[N, D]``.
        goals: Representations ``[N, D]`` that a targeted attack pushes towards; None for another attack.
    """

    images: torch.Tensor
    labels: torch.Tensor | None
    h: torch.Tensor
    goals: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: slice | torch.Tensor) -> Victims:
        labels, goals = (None if given is None else given[rows] for given in (self.labels, self.goals))
        return Victims(self.images[rows], labels, self.h[rows], goals)

    def split(self, size: int) -> list[Victims]:
        """The victims in batches."""
        return [self[start : start + size] for start in range(0, len(self), size)]


@dataclass(frozen=True, eq=False)
class Adversaries:
    """Attacked images and what the encoder makes of them.

    Attributes:
        images: ``[N, 3, S, S]`` in [0, 1].
        h: Representations ``[N, D]``.
        strength: What the attack maximises, ``[N]``: see `Target.strength`. NaN is never stronger.
    """

    images: torch.Tensor
    h: torch.Tensor
    strength: torch.Tensor

    def __getitem__(self, rows: slice | torch.Tensor) -> Adversaries:
        return Adversaries(self.images[rows], self.h[rows], self.strength[rows])

    def or_stronger(self, other: Adversaries) -> Adversaries:
        """For each image, the other where it is stronger, else this."""
        better = other.strength > self.strength
        return Adversaries(
            torch.where(better[:, None, None, None], other.images, self.images),
            torch.where(better[:, None], other.h, self.h),
            torch.where(better, other.strength, self.strength),
        )


@dataclass(frozen=True, eq=False)
class Target:
    """A level of an encoder.

    Attributes:
        encoder: The frozen encoder.
        level: The level under attack.
        scale: What displacements are counted in.
        classifier: The linear classifier on it; None without labels.
        batch_size: Images that go through the encoder at once.
    """

    encoder: Encoder
    level: str
    scale: Scale
    classifier: LinearClassifier | None
    batch_size: int

    def represent(self, images: torch.Tensor) -> torch.Tensor:
        """Representations ``[N, D]`` of images ``[N, 3, S, S]``, in float32, on the CPU."""
        return encode(self.encoder, images, batch_size=self.batch_size)[self.level]

    def predict(self, h: torch.Tensor) -> torch.Tensor:
        """Classes ``[N]`` that the classifier sees in representations ``[N, D]``."""
        assert self.classifier is not None  # only a labelled data set has predictions
        return self.classifier.logits(h).argmax(1)

    def decide(self, images: torch.Tensor) -> torch.Tensor:
        """The same in images ``[N, 3, S, S]``."""
        return self.predict(self.represent(images))

    def strength(self, h: torch.Tensor, victims: Victims) -> torch.Tensor:
        """What an attack maximises, ``[N]``.

        Margin of the best wrong class over the true one; share of the way to its goal; displacement of h.
        """
        if victims.labels is not None:
            assert self.classifier is not None
            return margin(self.classifier.logits(h), victims.labels)
        if victims.goals is not None:
            return covered(h, victims.h, victims.goals)
        return self.scale.displacement(h, victims.h)

    def look(self, images: torch.Tensor, victims: Victims) -> Adversaries:
        """Attacked versions of the victims, seen in float32."""
        h = self.represent(images)
        return Adversaries(images, h, self.strength(h, victims))

    def batches(self, victims: Victims) -> list[Victims]:
        """The victims, as many at a time as gradients are made for."""
        return victims.split(fitting(self.batch_size, self.encoder, victims.images.shape[-1]))

    @property
    def device(self) -> torch.device:
        """Where the encoder is."""
        return device_of(self.encoder)

    def attacked(self, victims: Victims, *, precision: str = "auto", remembers: bool = False) -> Attacked:
        """What an attack on these victims sees: images to logits where they have labels, else to ``h``."""
        if victims.labels is None:
            origin, goals = victims.h.to(self.device), None if victims.goals is None else victims.goals.to(self.device)
            unit = power_of_two([origin])
            away = lambda h: ((h - origin) / unit).norm(dim=1)  # noqa: E731
            aim = away if goals is None else (lambda h: covered(h, origin, goals))
            return Attacked(self.encoder, self.level, nn.Identity(), precision, aim if remembers else None)
        assert self.classifier is not None
        labels = victims.labels.to(self.device)
        strength = (lambda logits: margin(logits, labels)) if remembers else None
        return Attacked(self.encoder, self.level, _linear(self.classifier), precision, strength)


class Attacked(nn.Module):
    """Images ``[N, 3, S, S]`` in [0, 1], through the encoder to one level, to what a head makes of it.

    Args:
        encoder: The encoder.
        level: The level under attack.
        head: What is made of its representations ``[N, D]``.
        precision: Of the encoder, one of `rcdm_core.precision.PRECISIONS`.
        strength: Its output to a number for each image, larger is stronger: where it is given, ``best`` is for each
            image the strongest point asked about, of one batch that is always asked about in one order.
    """

    def __init__(
        self, encoder: Encoder, level: str, head: nn.Module, precision: str,
        strength: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.encoder, self.level, self.precision, self.strength = encoder, level, precision, strength
        self.head = head.to(device_of(encoder))
        self.strongest = self.best = torch.empty(0)
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        images = images.flatten(1).unflatten(1, images.shape[1:])  # so that gradients are contiguous, as attacks expect
        with lowered(images.device, self.precision):
            h = self.encoder.with_grid(images)[0][self.level]  # unchecked: of no budget, some attacks make NaN
        output = self.head(h.float())
        if self.strength is not None:
            seen, strength = images.detach(), self.strength(output.detach())
            if len(self.best) == 0:
                self.best, self.strongest = seen.clone(), strength
            better = strength > self.strongest
            self.best[better], self.strongest[better] = seen[better], strength[better]
        return output


def covered(h: torch.Tensor, origin: torch.Tensor, goals: torch.Tensor) -> torch.Tensor:
    """How much of the distance from ``origin`` to ``goals`` is covered at ``h``, ``[N]``: 0 none, 1 all of it.

    NaN where goal and origin are one but for rounding, as of an image and its copy: there is no way.
    """
    unit = power_of_two([origin])
    whole, left = (torch.linalg.vector_norm((goals - of) / unit, dim=1) for of in (origin, h))
    rounding = ROUNDING * torch.linalg.vector_norm(origin / unit, dim=1)
    return 1 - left / whole.where(whole > rounding, torch.nan)


def _linear(classifier: LinearClassifier) -> nn.Linear:
    """The classifier as a layer; making one draws a first weight, and the starts of attacks are drawn after it."""
    classes, size = classifier.weight.shape
    head = nn.Linear(size, classes).requires_grad_(False)
    head.load_state_dict({"weight": classifier.weight, "bias": classifier.bias})
    return head


def train_classifier(
    h: torch.Tensor, labels: torch.Tensor, classes: int, seed: int = 0, cache: Path | None = None
) -> LinearClassifier:
    """Fit the classifier, or read it where it was kept: under the hash of what it was trained on.

    Args:
        h: Representations ``[N, D]`` of the training images.
        labels: Their classes ``[N]`` int64, in 0 .. C-1.
        classes: C.
        seed: Seed of the choice of held-out images.
        cache: Folder of kept classifiers; None keeps nothing.

    Raises:
        UserError: The training images are all of one class.
    """
    if cache is None:
        return fit_classifier(h, labels, classes, seed=seed)
    digest = hashlib.sha256(repr((_RECIPE, PENALTIES, classes, seed)).encode())
    for part in (h, labels):
        digest.update(part.contiguous().numpy().tobytes())
    path = cache / f"{digest.hexdigest()}.safetensors"
    if not kept.is_sound(path):
        made = fit_classifier(h, labels, classes, seed=seed)
        facts = torch.tensor([made.penalty, made.held_out_accuracy, made.images], dtype=torch.float64)
        with keeping("the classifier", cache, remedy=OTHER_CACHE):
            kept.save_tensors({"weight": made.weight, "bias": made.bias, "facts": facts}, path)
    tensors = kept.load_tensors(path)
    penalty, accuracy, images = tensors["facts"].tolist()
    return LinearClassifier(tensors["weight"], tensors["bias"], penalty, accuracy, int(images))


def craft(entry: Entry, target: Target, victims: Victims, budget: float, steps: int, seed: int) -> torch.Tensor:
    """Attack images once.

    Args:
        entry: The attack.
        target: What is attacked.
        victims: The images; without labels it is ``h`` that is attacked.
        budget: Radius of the ball, in the printed unit of the attack.
        steps: Gradient steps of an iterated attack.
        seed: Seed of the random starts, in the order of the victims.

    Returns:
        ``[N, 3, S, S]`` in [0, 1], on the CPU. For an iterated attack, of each image the strongest point on its way.
    """
    classes = 0 if target.classifier is None else len(target.classifier.bias)
    made = [victims.images[:0]]
    for number, batch in enumerate(target.batches(victims)):
        images = batch.images.to(target.device)
        given = batch.goals if batch.labels is None else batch.labels
        given = None if given is None else given.to(target.device)
        with torch.random.fork_rng():
            torch.manual_seed(seed + number)
            if entry.iterated:
                model = target.attacked(batch, remembers=True)
                last = entry.build(model, budget / entry.scale, steps, classes)(images, given)
                with torch.no_grad():
                    model(last)
                made.append(model.best.cpu())
                model.best = torch.empty(0)  # torchattacks holds the model until garbage is collected
            else:  # it stops where a decision turns: where that is, bfloat16 cannot tell
                model = target.attacked(batch, precision="no")
                moved = entry.build(model, budget / entry.scale, steps, classes)(images, given).detach()
                made.append(torch.where(moved.isfinite(), moved, images).cpu())  # without a gradient there is no step
    return torch.cat(made)


def split(run: Context) -> tuple[np.ndarray, np.ndarray]:
    """Positions of images that are attacked, ``[N]``, and of others, ``[M]``: by the seed.

    The others train the classifier and give the unit of distances. A labelled data set gives at most half of its images
    to the attack.
    """
    settings, labelled = run.settings, run.images.labels is not None
    count = min(settings.images, len(run.images) // 2) if labelled else settings.images
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
        before: Of the images that were attacked before these, which were right, ``[M]``.
        class_distance: Median distance of each image to others of another class, in the unit of displacements,
            ``[N]``; None without labels.
    """

    run: Context
    target: Target
    victims: Victims
    positions: np.ndarray
    right: torch.Tensor
    before: torch.Tensor
    class_distance: torch.Tensor | None

    def part(self, rows: slice, images: torch.Tensor) -> Study:
        """The study of some of the images."""
        victims, apart = replace(self.victims[rows], images=images), self.class_distance
        return Study(
            self.run, self.target, victims, self.positions[rows], self.right[rows], self.right[: rows.start],
            None if apart is None else apart[rows],
        )  # fmt: skip

    def checked(self, entry: Entry) -> int:
        """On how many of `rows_of` an attack it is checked: the first of all images, these or those before."""
        before = self.before.sum() if entry.needs_labels else len(self.before)
        return max(0, self.run.settings.checked - int(before))

    @property
    def name(self) -> str:
        """Name of the encoder."""
        return self.run.encoder.name

    def records(self, measure: str, values: ArrayLike, rows: torch.Tensor | None = None, **about: Any) -> pd.DataFrame:
        """Records of one measure on these rows of the victims, ``[N]``; by default all."""
        return self.run.records(measure, values, self.numbers(rows), level=self.target.level, **about)

    def known(self, measure: str, values: torch.Tensor, rows: torch.Tensor, **about: Any) -> pd.DataFrame:
        """`records` of those rows ``[N]`` of which there is a number."""
        some = values.isfinite()
        return self.records(measure, values[some], rows[some], **about)

    def numbers(self, rows: torch.Tensor | None = None) -> list[int]:
        """Positions of these rows of the victims; by default of all."""
        return (self.positions if rows is None else self.positions[rows.numpy()]).tolist()

    def rows_of(self, entry: Entry) -> torch.Tensor:
        """Rows of the victims that an attack is run on, ``[n]``: of one on the decision, those right before."""
        return torch.nonzero(self.right).flatten() if entry.needs_labels else torch.arange(len(self.victims))

    def victims_of(self, entry: Entry, first: int | None = None) -> Victims:
        """The first so many of `rows_of` an attack, with what it needs of labels and goals."""
        victims = self.victims[self.rows_of(entry)[:first]]
        labels, goals = victims.labels if entry.needs_labels else None, victims.goals if entry.targeted else None
        return replace(victims, labels=labels, goals=goals)

    def untouched(self, entry: Entry) -> Adversaries:
        """The `victims_of` an attack as they are: what a budget of 0 finds."""
        victims = self.victims_of(entry)
        return Adversaries(victims.images, victims.h, self.target.strength(victims.h, victims))

    def attempt(self, entry: Entry, budget: float, steps: int, again: int = 0, first: int | None = None) -> Adversaries:
        """One run of an attack on `victims_of`, within a budget in its printed unit; its images are kept.

        ``again`` is the number of the start.
        """
        victims, settings, rows = self.victims_of(entry, first), self.run.settings, self.rows_of(entry)[:first]
        start = settings.seed + _RESTART * again
        images = self.run.kept(
            f"{entry.name}-{self.name.replace('/', '-')}",
            partial(craft, entry, self.target, victims, budget, steps, start),
            *(entry.name, budget, steps, start, settings.batch_size, self.target.level, self.numbers(rows)),
            *(settings.seed, settings.training),  # by which the classifier was trained
        )
        return self.target.look(images, victims)

    def attack(self, entry: Entry) -> dict[float, Adversaries]:
        """Run an attack within every budget.

        Returns:
            For each budget, ascending, the strongest adversary of each of `rows_of`: over the steps of every restart,
            and over all smaller budgets.
        """
        settings, strongest, found = self.run.settings, self.untouched(entry), {}
        tries = [(budget, again) for budget in settings.budgets(entry) for again in range(settings.restarts)]
        attempts = self.run.spread(
            lambda one: self.attempt(entry, one[0], settings.attack_steps, one[1]),
            tries,
            f"{entry.name} on {self.name}",
        )
        for (budget, _), attempt in zip(tries, attempts, strict=True):
            found[budget] = strongest = strongest.or_stronger(attempt)
        return found

    def noisy(self, entry: Entry, budget: float, rows: torch.Tensor) -> torch.Tensor:
        """These rows of the victims under the noise that stands beside an attack, ``[n, 3, S, S]``."""
        images, seed = self.victims.images[rows], self.run.settings.seed
        return noise(images, entry.norm, budget / entry.scale, seed, self.numbers(rows))


def study_of(run: Context) -> Study:
    """Encode the images of a context of one encoder, and train the classifier on it. The images are not held.

    Raises:
        UserError: Representations that are not finite or do not vary; training images of a single class.
    """
    settings, level, (attacked, others) = run.settings, run.settings.level, split(run)
    h = run.represent(attacked)[level]
    apart = run.represent(others)[level] if len(others) >= LEAST_OTHERS else h
    scale, none = Scale.of(apart, settings.seed), torch.empty(len(h), 0)
    if run.images.labels is None:
        target = Target(run.encoder, level, scale, None, settings.batch_size)
        right, labels, class_distance = torch.ones(len(h), dtype=torch.bool), None, None
    else:
        classifier = classifier_on(run, level, others)
        target, known = Target(run.encoder, level, scale, classifier, settings.batch_size), run.images.labels
        labels = torch.tensor(known[attacked])
        right = target.predict(h).eq(labels)
        theirs = torch.tensor(known[others if len(others) >= LEAST_OTHERS else attacked])
        class_distance = to_other_classes(h, labels, apart, theirs) / scale.units[0]
    victims = Victims(none, labels, h, h.roll(-1, 0))
    return Study(run, target, victims, attacked, right, right[:0], class_distance)


def to_other_classes(h: torch.Tensor, labels: torch.Tensor, others: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """Median distance ``[N]`` of representations ``[N, D]`` to ``others [M, D]`` of another class (NaN: there is none).

    ``labels [N]`` and ``theirs [M]`` are their classes.
    """
    apart = torch.cat([torch.cdist(rows.double(), others.double()) for rows in h.split(256)])
    return apart.masked_fill(labels[:, None] == theirs, torch.nan).nanmedian(1).values


def classifier_on(run: Context, level: str, training: np.ndarray) -> LinearClassifier:
    """The linear classifier on a level of an encoder, trained on images of a labelled data set."""
    assert run.images.labels is not None
    labels, classes = torch.tensor(run.images.labels[training]), len(run.images.class_names)
    cache = cache_folder() / "classifiers" if run.cache else None
    return train_classifier(run.represent(training)[level], labels, classes, run.settings.seed, cache)


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
            wrong = target.decide(between) != labels
            low, high = torch.where(wrong, low, middle), torch.where(wrong, middle, high)
        smallest[rows] = budget * high.double()
    return smallest
