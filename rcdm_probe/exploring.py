"""What the page of ``rcdm-probe explore`` shows, computed: an image changed, and what every level makes of it.

A change gives representations ``h`` in the place of the image's own: those of a changed image, points between two
images, or ``h`` edited. What is drawn of both starts from equal noise, as everywhere.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from analyses.records import join, number_images, records
from probes.interpolate import linear
from probes.manipulate import LEAST, Manipulate, common_dimensions, edited, find_rule
from probes.probe import Sampling, option
from probes.transformations import TRANSFORMATIONS
from rcdm_core.data.registry import SCENES
from rcdm_core.distances import relative_displacement, typical_distance
from rcdm_core.encoders.soundness import refuse_without_gradients
from rcdm_core.errors import UserError, unknown_name
from rcdm_core.images import read_picture, resize
from rcdm_probe import opening, runs
from rcdm_probe.facts import data_card, encoder_card, network_hashes, rcdm_names, weights_name
from reports import blocks
from reports.names import listed, words
from reports.panels import Panel
from reports.provenance import head, several_encoders
from reports.tables import Table, number
from reports.writing import write_report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from probes.context import Context

ATTACK_STEPS = 10
Changed = dict[str, tuple[torch.Tensor, torch.Tensor | None]]
"""Of each level a changed ``h`` and, where there is one, the image that it is of."""
KEPT = 64  # drawings that are kept, so that a slider draws the changed images alone, and saving draws nothing

_check_gradients = cache(refuse_without_gradients)


@dataclass(frozen=True, kw_only=True)
class Explore(Sampling):
    """How much is drawn at each move of a slider: little, so that it answers at once."""

    steps: int = option(4, "Solver steps for each picture.", least=1, most=1000, metavar="K")
    samples: int = option(2, "Pictures from each representation.", least=1, most=16, metavar="N")
    gallery: int = option(1000, "Images whose distance is the unit, and that neighbours are among.", least=2)
    neighbours: int = option(5, "Nearest images of the gallery that are shown.", least=1, metavar="K")


@dataclass(frozen=True, eq=False)
class World:
    """What is open while a page is shown.

    Attributes:
        opened: How it was asked for, and what that opened.
        context: Encoders, decoders, images and settings.
        gallery: Positions of the images that neighbours are among, ``[M]``.
        known: Their representations, by name of the encoder and level, ``[M, D]`` each.
        units: The typical distance of two of them, likewise.
        drawn: The pictures that were drawn last.
    """

    opened: opening.Opened
    context: Context
    gallery: np.ndarray
    known: Mapping[str, Mapping[str, torch.Tensor]]
    units: Mapping[tuple[str, str], float]
    drawn: dict[tuple[str, ...], torch.Tensor] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Chosen:
    """An image that is looked at.

    Attributes:
        pixels: ``[3, S, S]`` in [0, 1].
        number: Its position in the data; their number for an image that was given.
        name: What it is called.
    """

    pixels: torch.Tensor
    number: int
    name: str


@dataclass(frozen=True)
class Change:
    """What is done to an image, or to its representation: ``kind`` of `CHANGES`, ``which`` and by how much."""

    kind: str
    which: str = ""
    amount: float = 0.0

    @property
    def told(self) -> str:
        """In words."""
        return f"{words(self.which or self.kind)} {self.amount:g}"


@dataclass(frozen=True, eq=False)
class Seen:
    """What one level of one encoder makes of a change.

    Attributes:
        encoder: Name of the encoder.
        level: Name of the level.
        moved: Distance of the changed ``h`` from the image's own, over the typical distance of two images.
        own: The image's ``h``, ``[1, D]``.
        h: The changed one.
        picture: The changed image, ``[3, S, S]``; None where ``h`` was changed and no image.
        near: The nearest images of the gallery, ``[N, 3, S, S]``.
    """

    encoder: str
    level: str
    moved: float
    own: torch.Tensor
    h: torch.Tensor
    picture: torch.Tensor | None
    near: torch.Tensor


def open_world(asked: opening.Asked, settings: Explore) -> World:
    """Load encoders, decoders and images, and encode the gallery.

    Args:
        asked: Who is looked into, and on what.
        settings: How much is drawn.

    Raises:
        UserError: An argument is mistaken.
    """
    opened = opening.open_asked(asked, decoder="may")
    images = opening.open_images(
        asked.data,
        seen_by=opened.networks,
        least=2,
        limit=None if asked.data in SCENES else settings.gallery,  # scenes cost nothing until they are looked at
        seed=settings.seed,
    )
    context = opened.on(images, settings)
    gallery = context.draw(settings.gallery)
    known = {one.encoder.name: one.represent(gallery) for one in context.each_encoder()}
    units = {
        (one.encoder.name, name): typical_distance(known[one.encoder.name][name], seed=settings.seed)
        for one in context.each_encoder()
        for name in one.levels
    }
    return World(opened, context, gallery, known, units)


def of_data(world: World, number: int) -> Chosen:
    """An image by its number in the data, as records have it."""
    images = world.context.images
    found = np.flatnonzero(images.numbers == number)
    if not len(found):
        taken = f"{number} is not among the {len(images):,} images that were taken of {images.name}"
        raise UserError(taken, "choose one of those that are shown, or take more with --gallery")
    return Chosen(images.images(found)[0], int(found[0]), f"image {number} of {images.name}")


def given(world: World, path: str | Path) -> Chosen:
    """An image file of the user."""
    images = world.context.images
    return Chosen(read_picture(Path(path), images.image_size).pixels, len(images), Path(path).name)


def see(world: World, image: Chosen, other: Chosen | None, change: Change) -> list[Seen]:
    """What every level of every encoder makes of a change.

    Args:
        world: What is open.
        image: The image.
        other: A second one, for changes that need two.
        change: What is done.

    Raises:
        UserError: The change is not possible: without a second image, a gradient, or enough of a gallery.
    """
    if {change.kind, change.which} & set(TWO) and other is None:
        raise UserError(f"{words(change.which or change.kind)} needs a second image", "choose one")
    most = largest(change)
    if not 0 <= change.amount <= most:
        raise UserError(f"{words(change.which or change.kind)} by {change.amount:g}", f"choose between 0 and {most:g}")
    out: list[Seen] = []
    for run in world.context.each_encoder():
        own = run.encode(image.pixels[None])
        out += _levels(world, run, own, CHANGES[change.kind](world, run, image, other, change))
    return out


def _levels(world: World, run: Context, own: Mapping[str, torch.Tensor], changed: Changed) -> Iterator[Seen]:
    """Every level of an encoder."""
    name, count = run.encoder.name, min(run.settings.neighbours, len(world.gallery))
    for level in run.levels:
        h, picture = changed[level]
        nearest = torch.cdist(h.double(), world.known[name][level].double())[0].topk(count, largest=False).indices
        moved = relative_displacement(h, own[level], world.units[name, level]).item()
        near = run.images.images(world.gallery[nearest.numpy()])
        yield Seen(name, level, moved, own[level], h, picture, near)


def draw(world: World, seen: Sequence[Seen], image: Chosen) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Samples from the image's own ``h`` and from the changed one, by equal noise, of each that was seen.

    Returns:
        Two of ``[K, 3, S, S]`` each, in [0, 1]; K is 0 where nothing draws from a level.
    """
    return [(_drawn(world, one, one.own, image), _drawn(world, one, one.h, image)) for one in seen]


def _drawn(world: World, seen: Seen, h: torch.Tensor, image: Chosen) -> torch.Tensor:
    run, level = next(run for run in world.context.each_encoder() if run.encoder.name == seen.encoder), seen.level
    if level not in run.drawn_levels:
        return torch.zeros(0, 3, run.images.image_size, run.images.image_size)
    key = (run.encoder.name, level, hashlib.sha256(h.numpy().tobytes()).hexdigest(), str(image.number))
    drawn = world.drawn.pop(key, None)
    if drawn is None:
        drawn = run.render("explored", level, h, [image.number], range(run.settings.samples))[0]
    world.drawn[key] = drawn  # the last of them again
    while len(world.drawn) > KEPT:
        del world.drawn[next(iter(world.drawn))]
    return drawn


# Changes: of an image, and of each level of a representation


def _transformed(world: World, run: Context, image: Chosen, other: Chosen | None, change: Change) -> Changed:
    apply = TRANSFORMATIONS[change.which].apply
    moved = apply(image.pixels[None], change.amount, run.settings.seed, numbers=[image.number])
    return {level: (h, moved[0]) for level, h in run.encode(moved).items()}


def _between(world: World, run: Context, image: Chosen, other: Chosen | None, change: Change) -> Changed:
    assert other is not None
    ends = run.encode(torch.stack([image.pixels, other.pixels]))
    t = torch.tensor([change.amount], dtype=torch.float64)
    return {level: (linear(h[:1], h[1:], t)[:, 0], None) for level, h in ends.items()}


def _common(world: World, run: Context, image: Chosen, other: Chosen | None, change: Change) -> Changed:
    if len(world.gallery) < LEAST:
        raise UserError(
            f"{run.images.name} has {len(world.gallery)} images, too few for near neighbours", f"it takes {LEAST}"
        )
    sides, settings, out = [image, other or image], Manipulate(), Changed()
    both = run.encode(torch.stack([side.pixels for side in sides]))
    places = {int(position): row for row, position in enumerate(world.gallery)}
    rows = torch.tensor([places.get(side.number, -1) for side in sides])
    for level in run.levels:
        known, h = world.known[run.encoder.name][level], both[level]
        rule = find_rule(known, settings)
        mask = common_dimensions(rule, h, known, rows, settings.neighbours)
        made = edited(h[:1], h[1:], rule, mask[:1], mask[1:], seed=run.settings.seed, images=[image.number])
        out[level] = torch.lerp(h[:1], made[change.which], change.amount), None
    return out


def _attacked(world: World, run: Context, image: Chosen, other: Chosen | None, change: Change) -> Changed:
    from probes.adversarial.attacks import Displacement  # with torchattacks, which takes seconds to import
    from probes.adversarial.target import Attacked

    out = {}
    for level in run.levels:
        _check_gradients(run.encoder, level)
        with torch.random.fork_rng():
            torch.manual_seed(run.settings.seed)
            model = Attacked(run.encoder, level, nn.Identity(), "auto")
            attack = Displacement(model, change.amount / 255, ATTACK_STEPS)
            moved = attack(image.pixels[None], None).cpu() if change.amount else image.pixels[None]  # no labels
        out[level] = run.encode(moved)[level], moved[0]
    return out


CHANGES = {"transformation": _transformed, "between": _between, "common dimensions": _common, "attack": _attacked}
"""Every kind of change; the amount is a dose, the way from one image to another, the same of an edit, or 255ths."""

LARGEST = 32  # 255ths, the budget of an attack: a change beyond is plain to see


def largest(change: Change) -> float:
    """The largest amount that there is of a change, whatever its own is.

    Raises:
        UserError: There is no such change.
    """
    if change.kind not in CHANGES:
        raise unknown_name("change", change.kind, CHANGES)
    if change.kind == "transformation":
        if change.which not in TRANSFORMATIONS:
            raise unknown_name("transformation", change.which, TRANSFORMATIONS)
        return TRANSFORMATIONS[change.which].doses[-1]
    return LARGEST if change.kind == "attack" else 1.0


TWO = ("between", "transplanted")
"""What needs a second image."""

EDITS = {"removed": "remove the image's own", "transplanted": "put in those of the second image"}
"""What can be done to common dimensions."""


# What is kept of it


def panel(seen: Sequence[Seen], drawn: Sequence[tuple[torch.Tensor, torch.Tensor]], image: Chosen) -> Panel:
    """All that is shown, a row a level; what there is none of is white."""
    size = max(one.shape[-1] for level, (before, _) in zip(seen, drawn, strict=True) for one in (before, level.near))
    samples, near = max(len(before) for before, _ in drawn), len(seen[0].near)
    white = torch.ones(1, 3, size, size)
    sized = partial(resize, size=size)
    rows = [
        torch.cat(
            [
                sized(image.pixels[None]),
                white if level.picture is None else sized(level.picture[None]),
                *(sized(of) if len(of) else white.expand(samples, -1, -1, -1) for of in pictures),
                sized(level.near),
            ]
        )
        for level, pictures in zip(seen, drawn, strict=True)
    ]
    columns = ("image", "changed", *(f"from h {i + 1}" for i in range(samples)))
    columns += (*(f"from changed h {i + 1}" for i in range(samples)), *(f"nearest {i + 1}" for i in range(near)))
    return Panel("seen", torch.stack(rows), tuple(f"{level.encoder}, {level.level}" for level in seen), columns)


def save(
    world: World,
    seen: Sequence[Seen],
    image: Chosen,
    other: Chosen | None,
    change: Change,
    *,
    root: Path = Path("runs"),
) -> Path:
    """Keep what is shown as a run: figure, table, records, and where they come from; gives the path of the report.

    Raises:
        UserError: The folder cannot be written.
    """
    context, asked = world.context, world.opened.asked
    shown = {"image": image.name, **({"other": other.name} if other else {})}
    pixels = {what: one.pixels for what, one in (("image", image), ("other image", other)) if one}
    facts = runs.collect_facts(
        "explore",
        command=asked.command,
        arguments={
            "encoder": "+".join(one.name for one in context.encoders),
            "data": str(asked.data),
            "rcdm": rcdm_names(world.opened),
            "weights": weights_name(world.opened.weights),
            "device": asked.device,
            **{name: getattr(context.settings, name) for name in ("steps", "solver", "samples", "gallery", "seed")},
            **shown,
            "change": change.told,
        },
        hashes={
            **network_hashes(world.opened),
            **{what: hashlib.sha256(one.numpy().tobytes()).hexdigest() for what, one in pixels.items()},
            "data": context.images.fingerprint,
        },
        device=asked.device,
        encoder_cards={one.encoder.name: encoder_card(one.encoder, one.levels) for one in context.each_encoder()},
        data_card=data_card(context.images),
    )
    runs.close(facts, seconds=0.0)
    moved, images = number_images(
        join(
            [
                records(
                    "relative_displacement", [one.moved], [image.number], encoder=one.encoder, level=one.level,
                    condition=change.which or change.kind, strength=change.amount,
                )
                for one in seen
            ]
        ),
        context.images,
    )  # fmt: skip
    table = Table(
        "displacement",
        "How far each level moved. Distance of the changed h from the image's own, over the median distance of two "
        "images: 0 is unmoved, 1 as far as another image.",
        ("encoder", "level", "displacement"),
        tuple((one.encoder, one.level, number(one.moved)) for one in seen),
    )
    document = {
        **head(
            facts,
            title=f"{image.name}: {change.told}",
            subtitle=listed([one.name for one in context.encoders]),
            keywords=["explore"],
        ),
        "verdicts": [],
        "no-verdict": "One image, looked at: no claim is tested.",
        "figure": blocks.figure(
            "seen",
            f"What each level makes of {change.told}.",
            "The image, and the changed one where an image was changed; samples drawn from its own h, and from the "
            "changed h by equal noise; the images of the gallery that are nearest to the changed h.",
            "What changes between the samples is what the change did to h.",
        ),
        "sections": [
            blocks.section("In numbers", [blocks.table(table)]),
            blocks.section("Provenance", several_encoders(facts, ("method", "self_supervised", "levels"))),
        ],
    }
    write = partial(
        write_report, numbers={"displacement": moved, "images": images}, printed={table.name: table},
        figures=[("seen", panel(seen, draw(world, seen, image), image).figure())], document=document,
    )  # fmt: skip
    run = runs.begin(facts, None, root)
    with run.locked():
        report = runs.save(run.folder, moved, run.facts, write)
        run.finish()
    return report
