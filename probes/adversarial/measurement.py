"""What is measured: every encoder attacked on the same images, the attacker checked, and samples of what is left.

An attack that is too weak makes any encoder look robust (Athalye et al. 2018; Carlini et al. 2019). These signs give
it away: more steps or another start still find adversaries, adversaries made for another encoder do better than its
own, and gradients do not foretell how the loss of the attack changes, or vanish altogether.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from probes.adversarial.attacks import ATTACKS, NOISE, REGISTERED, Entry, check_classes, margin, noise, size
from probes.adversarial.target import classifier_on, covered, craft, smallest_budget, split, study_of
from probes.probe import Ready, Sampling, option
from probes.rendering import check_match
from probes.scale import PLAIN
from probes.untrained import untrained_of
from rcdm_core.allocator import give_back
from rcdm_core.distances import cosine, power_of_two
from rcdm_core.encoders import load_encoder
from rcdm_core.encoders.any_network import admitted
from rcdm_core.encoders.soundness import refuse_without_gradients
from rcdm_core.errors import UserError, unknown_name
from rcdm_core.fingerprint import fingerprint
from rcdm_core.images import at_one_size, resize
from rcdm_core.precision import device_of
from reports.panels import Panel

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    import numpy as np
    import pandas as pd

    from probes.adversarial.target import Adversaries, Study, Target, Victims
    from probes.context import Context
    from rcdm_core.encoders.encoder import Encoder

SMALLEST, LARGEST_L2 = 1e-3, 10_000
"""Budgets that float32 can tell from none, and that no two images exceed."""

SLIGHT = 0.1  # 255ths: a grid that ends below may be meant in shares of white

LEAST_IMAGES = 20  # below, no interval over images says anything

NEAR, STEP = 1 / 255, 1 / 16 / 255
"""How far from an image its gradient is looked at, and how far it is followed: across few kinks of a network."""

HELD = 2**25  # bytes of images that are attacked at a time: of all that is made of them, there are some ten times more

LEVEL = "backbone"  # of an encoder that judges


@dataclass(frozen=True, kw_only=True)
class Adversarial(Sampling):
    """What is attacked, how hard, and on how much.

    A labelled data set gives at most half of its images to the attack. Of the attacked images, ``checked`` are those on
    which it is checked that a stronger attacker finds no more, ``floor`` those on which the untrained encoder is
    attacked, and samples are drawn of ``rendered``, of which ``pictures`` are shown.
    """

    reference: str = option("supervised", "Encoder that each other one is compared with.", metavar="NAME")
    attacks: tuple[str, ...] = option(
        ("Margin", "Displacement", "PGD"),
        "Margin, or FGSM, PGD, PGDL2 or AutoAttack of torchattacks, on decisions; Displacement or Toward, without "
        "labels, on h; may be repeated. The first on decisions carries the verdicts on these, Displacement that on "
        "displacement. By default Margin and Displacement, and PGD beside them.",
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
    attack_steps: int = option(10, "Gradient steps of an iterated attack.", least=1, metavar="K")
    restarts: int = option(1, "Starts of an attack; the best counts.", least=1)
    images: int = option(500, "Images that are attacked.", short="n", least=LEAST_IMAGES, metavar="N")
    training: int = option(
        3000, "Other images: they train the linear classifier, and give the unit of distances.", least=0, metavar="M"
    )
    rendered: int = option(24, "Images that samples are drawn of.", least=0)
    judge: str | None = option(
        None,
        "Encoder, not under attack, that tells the class of samples through a linear classifier. It needs an RCDM; by "
        "default the embedded judge on scenes, and none on other images.",
        metavar="NAME",
    )
    checked: int = option(48, "Images on which the attacker is checked.", least=1, shown=False)
    floor: int = option(100, "Images on which the untrained encoder is attacked.", least=1, shown=False)
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
        """The attacks."""
        return tuple(ATTACKS[name] for name in self.attacks)

    @property
    def decider(self) -> Entry:
        """The attack that decisions and drawings are judged by: the first on decisions; else the first."""
        return next((entry for entry in self.entries if entry.needs_labels), self.entries[0])

    @property
    def pusher(self) -> Entry:
        """The attack that displacement is judged by: the first that pushes h away; else that on decisions."""
        away = (entry for entry in self.entries if not entry.needs_labels and not entry.targeted)
        return next(away, self.decider)

    @property
    def carrying(self) -> tuple[Entry, ...]:
        """The attacks that verdicts rest on: one, or that on decisions and that on displacement."""
        return tuple(dict.fromkeys((self.decider, self.pusher)))

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


@dataclass(frozen=True, eq=False)
class Opened:
    """What the probe has opened itself.

    Attributes:
        judge: The encoder that tells the class of samples; None where another does, or none.
        floors: By name of the encoder, its architecture untrained; encoders alike untrained share one.
    """

    judge: Encoder | None
    floors: Mapping[str, Encoder]


def ready(run: Context, settings: Adversarial) -> Ready:
    """Refuse at once what would fail later, and open the encoder that judges and the untrained ones."""
    for one in run.each_encoder():
        if settings.level not in one.encoder.levels:
            raise unknown_name(f"level of encoder {one.encoder.name!r}", settings.level, one.encoder.levels)
        refuse_without_gradients(one.encoder, settings.level)
        if one.decoder is not None:
            check_match(one.encoder, (settings.level,), one.decoder)
    images, labelled = run.images, run.images.labels is not None
    if max(settings.eps) < SLIGHT and any(entry.norm == "Linf" for entry in settings.entries):
        largest = f"{max(settings.eps):g}"
        print(f"budgets of L-inf are in 255ths: {largest} is {largest}/255, 8 is 8/255", file=sys.stderr)
    for entry in settings.entries:
        if entry.needs_labels and not labelled:
            raise UserError(
                f"{entry.name} attacks a decision and needs labels, and {images.name} has none",
                "sort them into a subfolder for each class, or use --attack Displacement, which needs no labels",
            )
        check_classes(entry, len(images.class_names))
    least = 2 * LEAST_IMAGES if labelled else LEAST_IMAGES
    if len(images) < least:
        raise UserError(f"{images.name} has {len(images)} images", f"attack and classifier need at least {least}")
    attacked, training = split(run)
    others = "training the classifiers" if labelled else "giving the unit of distances"
    used = {"attacked": len(attacked), others: len(training)}
    told = {"data_card": {use: count for use, count in used.items() if count}}
    judge = None if settings.judge is None else _judge(run, settings)
    floors = _floors(run, settings.level)
    hashes = {f"{name} untrained": floor.fingerprint for name, floor in floors.items()}
    hashes |= {f"attack {entry.name}": REGISTERED[entry.name] for entry in settings.entries if entry.name in REGISTERED}
    if judge is not None:
        settings, hashes = replace(settings, judge=judge.name), {**hashes, "judge": judge.fingerprint}
    return Ready(settings=settings, own=Opened(judge, floors), hashes=hashes, cards=told)


def _floors(run: Context, level: str) -> dict[str, Encoder]:
    """By name of the encoder, its architecture untrained, where it can be built."""
    floors: dict[str, Encoder] = {}
    known: dict[str, Encoder] = {}
    for encoder in run.encoders:
        if (fresh := untrained_of(encoder, (level,))) is not None:
            about = repr(fresh.preprocess) + fresh.about + repr(fresh.layers)
            alike = fingerprint(fresh.trunk, about) if level != "projector" else fresh.fingerprint
            floors[encoder.name] = fresh if fresh is encoder else known.setdefault(alike, fresh)
    return floors


def _judge(run: Context, settings: Adversarial) -> Encoder:
    """The encoder that tells the class of samples: one of its own, with a backbone."""
    if not (run.decoders and settings.rendered):
        raise UserError("--judge looks at samples, and none are drawn", "give an RCDM (--rcdm), or leave out --judge")
    judge: Any = settings.judge
    device = device_of(run.encoders[0])
    if isinstance(judge, str):
        judge = load_encoder(judge, levels=(LEVEL,), device=str(device))
    judge = admitted(judge.to(device))
    if LEVEL not in judge.levels:
        raise unknown_name(f"level of {judge.name}", LEVEL, judge.levels)
    if judge.name in [encoder.name for encoder in run.encoders]:
        raise UserError(f"{judge.name} is under attack itself", "name another encoder with --judge")
    if run.images.labels is None:
        raise UserError(
            f"{judge.name} is to judge classes, and {run.images.name} has none",
            "sort the images into a subfolder for each class, or leave out --judge",
        )
    return judge


def measure(run: Context, settings: Adversarial) -> Iterator[pd.DataFrame | Panel]:
    """Attack several encoders on the same images, by attacks that stand beside random noise of the same budget.

    =========================  ========================================================================================
    measure                    value; ``condition``; ``strength`` (the budget, 0 for the untouched image)
    =========================  ========================================================================================
    ``correct``                whether the linear classifier sees the true class; attack or noise; budget
    ``relative_displacement``  distance of h(x + d) from h(x) over the typical distance of two images; the same
    ``whitened_displacement``  the same where every direction of h varies alike over other images; the same
    ``cosine``                 cosine of h(x + d) and h(x); the same
    ``covered``                share of the distance from h(x) to another image's h that is covered; targeted attack or
                               noise; budget; none where that image has the same h
    ``class_distance``         median distance of h(x) from h of images of another class over the typical distance
    ``untrained_...``          of the untrained encoder: ``correct``, ``class_distance`` (untouched), and
                               ``relative_displacement`` under the attack on displacement
    ``unit_error``             of no image: standard error of the typical distance as a share of it; the measure that
                               it is the unit of
    ``smallest_budget``        smallest budget known to flip the decision, infinite where none did; attack
    ``class_seen``             whether the judge sees the true class in a sample from h(x + d); attack or noise; budget
    ``class_judged``           whether it sees it in the image itself
    ``class_of_others``        share of the other images whose class it sees in the sample from h(x): the floor
    ``class_of_untrained_h``   whether it sees the true class in a sample from the h of x of an untrained encoder
    ``transferred``            ``correct`` under the adversaries made for another encoder; that encoder; budget
    ``effort``                 ``strength`` of the attack after more and more work; what was done; budget
    ``change``                 difference of the attack's loss between two near points; attack
    ``foretold``               the same as its gradient foretells it, 0 where that vanishes; attack
    ``perturbation``           size of the perturbation over the budget; attack; budget
    ``out_of_range``           how far a pixel of the attacked image lies outside [0, 1]; attack; budget
    ``unchanged``              whether the attack, run with a budget of 0, leaves the decision as it was; attack; 0
    ``classifier``             of no image: accuracy on held-out images, penalty, or number of training images; which
    =========================  ========================================================================================

    Label-needing attacks are run on the images that the classifier gets right, for the others are lost already.
    """
    whole = {one.encoder.name: study_of(one) for one in run.each_encoder()}
    positions = next(iter(whole.values())).positions
    pictured = torch.nonzero(torch.stack([study.right for study in whole.values()]).all(0)).flatten()
    pictured = pictured[: settings.rendered]
    built: dict[Encoder, Study] = {}
    for encoder in dict.fromkeys(run.own.floors.values()):
        of_own = next((study for study in whole.values() if study.run.encoder is encoder), None)
        built[encoder] = of_own or study_of(replace(run, encoders=(encoder,), decoders={}))
    floors = {name: built[encoder] for name, encoder in run.own.floors.items()}
    at_once = max(1, HELD // (12 * run.images.image_size**2))
    pictures: list[dict[str, list[torch.Tensor]]] = []  # of each block, by name of the encoder: in every state
    for start in range(0, len(positions), at_once):
        block = slice(start, min(start + at_once, len(positions)))
        here = pictured[(pictured >= start) & (pictured < block.stop)] - start
        pictures.append((yield from _block_records(whole, floors, block, here)))
    if len(pictured):
        parts = {name: zip(*(block[name] for block in pictures), strict=True) for name in whole}
        versions = {name: list(map(torch.cat, states)) for name, states in parts.items()}
        yield from _drawn(run, whole, settings.decider, pictured, versions)


def _block_records(
    whole: Mapping[str, Study], floors: Mapping[str, Study], block: slice, pictured: torch.Tensor
) -> Generator[pd.DataFrame, None, dict[str, list[torch.Tensor]]]:
    """All that is measured on some of the images, and of each encoder `_versions` of those that are pictured.

    Memory holds what one attack on one encoder has found, and what the encoders are compared by.
    """
    one = next(iter(whole.values()))
    settings, images = one.run.settings, one.run.images.images(one.positions[block])
    first, budget = settings.decider, settings.middle(settings.decider)
    checked = [entry for entry in settings.entries if entry.iterated and entry in settings.carrying]
    checked = checked or [entry for entry in settings.entries if entry.iterated][:1]
    studies = {name: study.part(block, images) for name, study in whole.items()}
    at_budget: dict[str, Adversaries] = {}
    pushed: dict[str, dict[float, Adversaries]] = {}  # by the attack on displacement, where its floor is itself
    pictures: dict[str, list[torch.Tensor]] = {}
    for name, study in studies.items():
        yield from _untouched_records(study)
        yield from _noise_records(study)
        give_back()
        yield from zero_records(study)
        for entry in settings.carrying:
            yield from gradient_records(study, entry)
        for entry in settings.entries:
            adversaries = study.attack(entry)
            yield from _attack_records(study, entry, adversaries)
            if entry in checked:
                yield from effort_records(study, entry, adversaries)
            if entry is first:
                at_budget[name], pictures[name] = adversaries[budget], _versions(study, entry, adversaries, pictured)
            if entry is settings.pusher and name in floors and floors[name].run.encoder is study.run.encoder:
                pushed[name] = adversaries
            give_back()  # records lie between what images have taken: the next attack's would not fit in
    yield from floor_records(studies, floors, pushed, block)
    if first.needs_labels:
        yield from transfer_records(studies, first, at_budget, budget)
    return pictures


def _untouched_records(study: Study) -> Iterator[pd.DataFrame]:
    """What there is to lose: decisions and distances of classes; and once, the errors of units and the classifier."""
    yield from _stakes(study, study)
    if len(study.before):
        return
    yield from study.target.scale.error_records(study.run, study.target.level)
    if (classifier := study.target.classifier) is None:
        return
    facts = {"held-out accuracy": classifier.held_out_accuracy, "penalty": classifier.penalty}
    for name, value in (facts | {"training images": classifier.images}).items():
        yield study.run.records("classifier", [value], [-1], level=study.target.level, condition=name)


def _stakes(study: Study, seen: Study, prefix: str = "") -> Iterator[pd.DataFrame]:
    """Of these images untouched, what another study sees, told by the name of this one; nothing without labels."""
    if seen.class_distance is not None:
        yield study.records(f"{prefix}correct", seen.right.numpy(), strength=0.0)
        every = torch.arange(len(study.victims))
        yield study.known(f"{prefix}class_distance", seen.class_distance, every, strength=0.0)


def floor_records(
    studies: Mapping[str, Study],
    floors: Mapping[str, Study],
    pushed: Mapping[str, Mapping[float, Adversaries]],
    block: slice,
) -> Iterator[pd.DataFrame]:
    """What the untrained encoders have to lose, and how far the attack on displacement moves them on the first images.

    Args:
        studies: The encoders, on the images of the block.
        floors: By name of the encoder, its untrained one, on all images.
        pushed: What the attack on displacement found, by name of each encoder that is its own floor.
        block: Rows of these images among all.
    """
    prefix = "untrained_"
    made: dict[Study, Mapping[float, Adversaries]] = {}
    for name, whole in floors.items():
        study, images = studies[name], studies[name].victims.images
        settings = study.run.settings
        yield from _stakes(study, whole.part(block, images), prefix)
        if block.start == 0:
            error = whole.target.scale.errors[0]
            yield study.run.records(f"{prefix}unit_error", [error], [-1], level=settings.level, condition=PLAIN)
        entry, count = settings.pusher, min(block.stop, settings.floor) - block.start
        if count <= 0:
            continue
        seen = whole.part(slice(block.start, block.start + count), images[:count])
        if not len(rows := seen.rows_of(entry)):
            continue
        if whole.run.encoder is study.run.encoder:
            made[whole] = {budget: adversaries[: len(rows)] for budget, adversaries in pushed[name].items()}
        elif whole not in made:
            made[whole] = seen.attack(entry)
        for budget, adversaries in made[whole].items():
            moved = seen.target.scale.displacement(adversaries.h, seen.victims.h[rows])
            about: dict[str, Any] = {"condition": entry.name, "strength": budget}
            yield study.records(f"{prefix}{PLAIN}", moved, rows, **about)


def _attack_records(study: Study, entry: Entry, found: Mapping[float, Adversaries]) -> Iterator[pd.DataFrame]:
    """What the attack did: ``correct``, displacement, cosine, the smallest budget, and where it stayed."""
    rows, victims = study.rows_of(entry), study.victims_of(entry)
    for budget, adversaries in found.items():
        at: dict[str, Any] = {"condition": entry.name, "strength": budget}
        yield from _moved(study, adversaries.h, rows, **at)
        if entry.targeted:
            yield study.known("covered", adversaries.strength, rows, **at)
        moved = size(adversaries.images, victims.images, entry.norm) * entry.scale / budget
        low, high = adversaries.images.flatten(1).aminmax(dim=1)
        beyond = torch.maximum(high - 1, -low).clamp(min=0)
        yield study.records("perturbation", moved, rows, **at)
        yield study.records("out_of_range", beyond, rows, **at)
    if entry.needs_labels:
        smallest = smallest_budget(study.target, victims, list(found.items()))
        yield study.records("smallest_budget", smallest, rows, condition=entry.name)


def _noise_records(study: Study) -> Iterator[pd.DataFrame]:
    """What random noise of the same budgets does."""
    every = torch.arange(len(study.victims))
    settings = study.run.settings
    first_of = {entry.norm: entry for entry in reversed(settings.entries)}
    for entry in (first_of[norm] for norm in NOISE if norm in first_of):
        for budget in settings.budgets(entry):
            h = study.target.represent(study.noisy(entry, budget, every))
            yield from _moved(study, h, every, condition=entry.noise, strength=budget)
            if any(one.targeted and one.norm == entry.norm for one in settings.entries):
                assert study.victims.goals is not None
                share = covered(h, study.victims.h, study.victims.goals)
                yield study.known("covered", share, every, condition=entry.noise, strength=budget)


def _moved(study: Study, h: torch.Tensor, rows: torch.Tensor, **at: Any) -> Iterator[pd.DataFrame]:
    """Displacement and cosine on these rows, and the decision on all images: those not attacked were wrong before."""
    origin = study.victims.h[rows]
    for measure, moved in study.target.scale.displacements(h, origin).items():
        yield study.records(measure, moved, rows, **at)
    yield study.records("cosine", cosine(h, origin), rows, **at)
    if study.victims.labels is not None:
        correct = torch.zeros(len(study.victims), dtype=torch.bool)
        correct[rows] = study.target.predict(h) == study.victims.labels[rows]
        yield study.records("correct", correct.numpy(), **at)


def effort_records(study: Study, entry: Entry, found: Mapping[float, Adversaries]) -> Iterator[pd.DataFrame]:
    """Strength of an iterated attack after more and more work, each the strongest of all before.

    The work: half the steps, all that the probe did within this budget, as many steps from another start, and twice
    the steps.

    ``found`` is what the probe found within each budget.
    """
    settings = study.run.settings
    steps, first, budget = settings.attack_steps, study.checked(entry), settings.middle(entry)
    if not first:
        return
    half, attempt = max(1, steps // 2), partial(study.attempt, entry, budget, first=first)
    work = {
        f"{half} steps": attempt(half),
        f"and the attack reported, {steps} steps": found[budget][:first],
        f"and {steps} from another start": attempt(steps, settings.restarts),
        f"and {2 * steps} steps": attempt(2 * steps),
    }
    rows, strongest = study.rows_of(entry)[:first], study.untouched(entry)[:first]
    for place, (label, adversaries) in enumerate(work.items()):
        strongest = strongest.or_stronger(adversaries)
        at = {"condition": f"{entry.name}: {label}", "strength": budget, "sample": place}
        yield study.known("effort", strongest.strength, rows, **at)


def gradient_records(study: Study, entry: Entry) -> Iterator[pd.DataFrame]:
    """How the loss of the attack changes between two near points, and how its gradient foretells that it does.

    The points lie on both sides of one that is `NEAR` an image, for at the image itself the gradient of the label-free
    attack is 0. A gradient that vanishes, or is not finite, foretells exactly 0.

    Returns:
        Records ``change`` and ``foretold``.
    """
    settings, target = study.run.settings, study.target
    if not (count := study.checked(entry)):
        return
    rows, changes, foretold = study.rows_of(entry)[:count], list[float](), list[float]()
    for victims in target.batches(study.victims_of(entry, count)):
        numbers = study.numbers(rows[len(changes) :][: len(victims)])
        at = noise(victims.images, "Linf", NEAR, settings.seed, numbers)
        moved = noise(at, "Linf", STEP, settings.seed + 1, numbers)
        ends = (moved, (2 * at - moved).clamp(0, 1))
        middle = ((ends[0] + ends[1]) / 2).requires_grad_()
        (gradient,) = torch.autograd.grad(_loss(entry, target, middle, victims).sum(), middle)
        with torch.no_grad():
            first, last = (_loss(entry, target, end, victims, torch.float64) for end in ends)
        changes += (last - first).tolist()
        foretold += (gradient.double() * (ends[1] - ends[0])).flatten(1).sum(1).nan_to_num(0, 0, 0).tolist()
    yield study.records("change", changes, rows, condition=entry.name)
    yield study.records("foretold", foretold, rows, condition=entry.name)


def _loss(
    entry: Entry, target: Target, images: torch.Tensor, victims: Victims, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """What an attack raises, ``[N]``, on the CPU: margin or cross-entropy, or the squared distance of ``h``, scaled."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # small differences are looked at
        output = target.attacked(victims, precision="no")(images.to(target.device)).cpu().to(dtype)
    if victims.labels is None:
        unit = power_of_two([torch.tensor(target.scale.units[:1])])  # squares of float32 vanish, or overflow
        return ((output - victims.h) / unit).square().sum(1)
    return (
        margin(output, victims.labels)
        if entry.name == "Margin"
        else F.cross_entropy(output, victims.labels, reduction="none")
    )


def zero_records(study: Study) -> Iterator[pd.DataFrame]:
    """Whether each attack, run with a budget of 0, leaves the decision of the first images as it was."""
    settings = study.run.settings
    for entry in settings.entries:
        if study.victims.labels is None or entry.name == "AutoAttack":
            continue  # without a decision there is nothing to see; AutoAttack divides by its budget
        if not (first := study.checked(entry)):
            continue
        victims = study.victims_of(entry, first)
        images = craft(entry, study.target, victims, 0.0, 2, settings.seed)
        same, rows = study.target.decide(images) == study.target.predict(victims.h), study.rows_of(entry)
        yield study.records("unchanged", same.numpy(), rows[: len(victims)], condition=entry.name, strength=0.0)


def transfer_records(
    studies: Mapping[str, Study], entry: Entry, found: Mapping[str, Adversaries], budget: float
) -> Iterator[pd.DataFrame]:
    """Decisions of each encoder on the adversaries of each other one, where both were right before.

    ``found`` are the adversaries for each encoder within this budget.
    """
    for source, adversaries in found.items():
        rows = studies[source].rows_of(entry)
        for name, study in studies.items():
            both = study.right[rows]
            if name == source or not both.any():
                continue
            decided = study.target.decide(adversaries.images[both])
            assert study.victims.labels is not None
            correct = decided == study.victims.labels[rows[both]]
            yield study.records("transferred", correct.numpy(), rows[both], condition=source, strength=budget)


def _versions(study: Study, entry: Entry, found: Mapping[float, Adversaries], rows: torch.Tensor) -> list[torch.Tensor]:
    """These rows untouched, under the largest noise, and attacked within each budget: ``[n, 3, S, S]`` each."""
    largest, places = study.run.settings.budgets(entry)[-1], torch.searchsorted(study.rows_of(entry), rows)
    attacked = (adversaries.images[places] for adversaries in found.values())
    return [study.victims.images[rows], study.noisy(entry, largest, rows), *attacked]


def _drawn(
    run: Context,
    studies: Mapping[str, Study],
    entry: Entry,
    rows: torch.Tensor,
    versions: Mapping[str, list[torch.Tensor]],
) -> Iterator[pd.DataFrame | Panel]:
    """Samples from ``h(x)``, ``h(x + noise)`` and ``h(x + attack)``, on images that every encoder gets right.

    ``versions`` are these rows in every state, as of `_versions`, of each encoder.
    """
    settings = run.settings
    largest = settings.budgets(entry)[-1]
    under = [(f"{entry.name} {budget:g}", entry.name, budget) for budget in settings.budgets(entry)]
    states = [("h(x)", "", 0.0), ("h(x + noise)", entry.noise, largest), *under]
    read, samples, of_floor = _reader(run), {}, None
    for name, study in studies.items():
        if study.run.decoder is None:
            continue
        h, labels = study.target.represent(torch.cat(versions[name])), study.victims.labels
        numbers = study.numbers(rows) * len(states)
        drawn = study.run.render("attacked", settings.level, h, numbers)[:, 0].split(len(rows))
        samples[name] = {heading: part for (heading, _, _), part in zip(states, drawn, strict=True)}
        if read is None or labels is None:
            continue
        true, told = labels[rows].numpy(), [read(part) for part in drawn]
        yield study.records("class_judged", read(versions[name][0]) == true, rows)
        if (floor := study.run.untrained()) is not None:
            if of_floor is None:  # of the same images for all encoders
                (level,) = floor.levels
                untouched = floor.encode(versions[name][0])[level]
                of_floor = read(floor.render("floor", level, untouched, study.numbers(rows))[:, 0])
            yield study.records("class_of_untrained_h", of_floor == true, rows)
        if len(true) > 1:
            hits = told[0][:, None] == true
            yield study.records("class_of_others", (hits.sum(1) - hits.diagonal()) / (len(true) - 1), rows)
        for (_, condition, strength), seen in zip(states, told, strict=True):
            yield study.records("class_seen", seen == true, rows, condition=condition, strength=strength)
    originals = next(iter(versions.values()))[0][: settings.pictures]
    for place, original in enumerate(originals if samples else ()):
        shown = {name: {heading: part[place] for heading, part in own.items()} for name, own in samples.items()}
        yield drawn_panel(place + 1, shown, original)
    control = next(iter(versions.values()))[1]
    moved = {"noise": control[0], **{name: images[-1][0] for name, images in versions.items()}}
    yield perturbations_panel(originals[0], moved)


def _reader(run: Context) -> Callable[[torch.Tensor], np.ndarray] | None:
    """Who tells the class of pictures ``[N, 3, S, S]``, ``[N]``; None where no one does.

    On scenes that is the judge, trained to read factors off images. On other labelled images it can be an encoder with
    a linear classifier on its backbone, trained on images that nobody attacks.
    """
    if run.own.judge is None:
        judge = run.judge
        return None if judge is None else lambda pictures: judge.read(pictures)["class"].to_numpy()
    reader = replace(run, encoders=(run.own.judge,), levels=(LEVEL,))
    classifier = classifier_on(reader, LEVEL, split(run)[1])
    return lambda pictures: classifier.logits(reader.encode(pictures)[LEVEL]).argmax(1).numpy()


def drawn_panel(number: int, samples: Mapping[str, Mapping[str, torch.Tensor]], image: torch.Tensor) -> Panel:
    """Samples of one image from every encoder, untouched, under noise and under attack.

    Args:
        number: Number of the image among the pictures, from 1.
        samples: Of each encoder, what is drawn under each heading, ``[3, S, S]``, with the S of its RCDM; the same
            headings for all. All are shown at the largest size.
        image: The image untouched, ``[3, S', S']``.
    """
    drawn = at_one_size(torch.stack(list(row.values())) for row in samples.values())
    rows = [torch.cat([resize(image[None], row.shape[-1]), row]) for row in drawn]
    headings: Sequence[str] = list(next(iter(samples.values())))
    return Panel(f"attacked_{number}", torch.stack(rows), tuple(samples), ("image", *headings))


def perturbations_panel(image: torch.Tensor, moved: Mapping[str, torch.Tensor]) -> Panel:
    """One image ``[3, S, S]`` as it was moved, by noise and against each encoder; and the moves amplified."""
    largest = max(float((version - image).abs().max()) for version in moved.values())
    factor = max(1, round(0.5 / max(largest, 1e-9)))
    top = torch.stack([image, *moved.values()])
    bottom = (0.5 + factor * (top - image)).clamp(0, 1)
    names = ("image", f"difference, × {factor}")
    return Panel("perturbations", torch.stack([top, bottom]), names, ("untouched", *moved))
