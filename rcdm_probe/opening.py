"""What every study opens before it computes: encoders and levels, RCDMs, images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from probes.context import Context
from probes.rendering import check_match, drawable
from rcdm_core.data.downloads import DownloadedImages
from rcdm_core.data.folder import FolderImages
from rcdm_core.data.imageset import draw_order, part_of
from rcdm_core.data.registry import SCENES, load_data
from rcdm_core.data.scenes import SIZE
from rcdm_core.encoders import Encoder, catalogue, load_encoder
from rcdm_core.encoders.any_network import admitted
from rcdm_core.errors import UserError, unknown_name
from rcdm_core.fingerprint import forget_fingerprints
from rcdm_core.images import is_resized_by_encoder, recipe
from rcdm_core.rcdm.choices import DISTILLED_SOLVER
from rcdm_core.rcdm.rcdm import RCDM, JoinedRCDM, unknown_condition
from rcdm_core.representations import representation_cache
from rcdm_core.training_images import doubts, told_of_doubts, trained_rows
from rcdm_core.weights import is_fresh
from rcdm_probe.device import choose_device
from reports.decoder import training_command

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.rcdm.network import NetworkSettings

ENOUGH_HELD_OUT = 100
"""Images that no RCDM was trained on, from which number on they alone are measured."""

EMBEDDED, PUBLISHED, NONE = "embedded", "published", "none"
"""Words for an RCDM, where a folder could stand."""


_OneOrSeveral: TypeAlias = str | Path | RCDM | Sequence[str | Path | RCDM]

RCDMSource: TypeAlias = "_OneOrSeveral | Opened"
"""A folder, an RCDM, ``"embedded"``, ``"published"`` or ``"none"``; or several folders and RCDMs, which are joined; or
what is open already.
"""


@dataclass(frozen=True)
class Asked:
    """Who is looked into, and on what: all that a probe is asked beside its settings.

    Attributes:
        encoder: Name or encoder; of a probe that compares them several, the embedded ones by default.
        data: Name of a data set, or folder.
        level: Level or levels; None for all of the encoder's own.
        weights: File of weights instead of the encoder's own, ``"random"``, or such by name of the encoder.
        features: Name of the feature space; None for the default.
        rcdm: Folder, RCDM, several of them, a word, or None for the encoder's.
        device: Where to compute.
        command: The command line, for the record; empty for a call from Python.
    """

    encoder: str | Encoder | Sequence[str | Encoder] | None = None
    data: str | Path = "scenes"
    _: KW_ONLY
    level: str | Sequence[str] | None = None
    weights: str | Path | Mapping[str, str | Path] | None = None
    features: str | None = None
    rcdm: RCDMSource | None = None
    device: str = "auto"
    command: str = ""


@dataclass(frozen=True, eq=False)
class Opened:
    """Encoders, and what draws from them, on the device that computes.

    Attributes:
        asked: How they were asked for; the device is the one that there is.
        weights: Files that were given instead of encoders' own, by name of the encoder.
        encoders: In the order in which they were given.
        levels: Levels that are asked for, each once; by default all that the encoders have.
        decoders: By name of the encoder; those from which nothing draws are missing.
    """

    asked: Asked
    weights: Mapping[str, str | Path]
    encoders: tuple[Encoder, ...]
    levels: tuple[str, ...]
    decoders: Mapping[str, RCDM]

    @property
    def networks(self) -> tuple[Encoder | RCDM, ...]:
        """All that is open."""
        return (*self.encoders, *self.decoders.values())

    def on(self, images: ImageSet, settings: Any, **besides: Any) -> Context:
        """What a study needs that looks at images.

        What a distilled RCDM settles of how is drawn goes into the settings, and the images tell it.

        Args:
            images: What is looked at.
            settings: Of the study, with ``levels``; where an RCDM draws, ``steps`` and ``solver``.
            **besides: Other fields of `Context`.
        """
        settings = replace(settings, levels=self.levels)
        calls = next((one.calls for one in self.decoders.values() if one.calls), None)  # several are joined, and alike
        if calls is not None and (settings.solver, settings.steps) != (DISTILLED_SOLVER, calls):
            images = images.remarking(
                f"pictures are drawn in {calls} steps of {DISTILLED_SOLVER}, to which the RCDM was distilled, and not "
                f"in {settings.steps} of {settings.solver}"
            )
            settings = replace(settings, solver=DISTILLED_SOLVER, steps=calls)
        return Context(
            encoders=self.encoders,
            levels=self.levels,
            images=images,
            settings=settings,
            decoders=self.decoders,
            cache=representation_cache(),
            **besides,
        )


def open_asked(
    asked: Asked,
    each: Sequence[tuple[str | Encoder, str | Sequence[str] | None]] | None = None,
    *,
    decoder: Literal["no", "may", "must"],
) -> Opened:
    """Open what is asked for: encoders with their levels, and what draws from them.

    Args:
        asked: Who is looked into.
        each: Encoders, with the level or levels of each; by default those that were asked for.
        decoder: Whether an RCDM is opened: none, where there is one, or of every encoder.

    Raises:
        UserError: An argument is mistaken; says which, and the remedy.
    """
    device = choose_device(asked.device)
    if each is None:
        each = with_levels(by_name(asked.encoder, ()), asked.level, default=False)
    names = [encoder if isinstance(encoder, str) else encoder.name for encoder, _ in each]
    weights = _weights_by_encoder(asked.weights, names)
    for name in weights.keys() - set(names):
        raise unknown_name("encoder of --weights", name, names)
    encoders = tuple(
        open_encoder(encoder, level, weights.get(name), device=device)
        for name, (encoder, level) in zip(names, each, strict=True)
    )
    levels = _several(asked.level) or tuple(dict.fromkeys(level for encoder in encoders for level in encoder.levels))
    opened = Opened(replace(asked, device=device), weights, encoders, levels, {})
    if decoder == "no":
        return opened
    if decoder == "may":
        return replace(opened, decoders=open_rcdms(asked.rcdm, encoders, levels, device))
    return replace(opened, decoders=_require_rcdms(opened))


def _weights_by_encoder(weights: Any, encoders: Sequence[str]) -> Mapping[str, str | Path]:
    """Files of weights by name of the encoder; those of a single one need none.

    Raises:
        UserError: It is not said whose weights they are.
    """
    if not weights or isinstance(weights, Mapping):
        return weights or {}
    if len(encoders) > 1:
        raise UserError(f"the weights {weights} do not say whose they are", "give them by name of the encoder")
    return {encoders[0]: weights}


def open_encoder(
    encoder: str | Encoder,
    level: str | Sequence[str] | None = None,
    weights: str | Path | None = None,
    *,
    device: str,
) -> Encoder:
    """An encoder on its device, with the levels that are asked for.

    Args:
        encoder: Name or encoder.
        level: Level or levels, layers of its trunk among them; None for all that it has of itself.
        weights: A file of weights instead of the encoder's own, or ``"random"``.
        device: Where to compute.

    Raises:
        UserError: No such encoder or level (says the nearest), or weights that are not there or do not fit.
    """
    if isinstance(encoder, str):
        encoder = load_encoder(encoder, levels=_several(level), weights=weights, device=device)
    elif weights is not None:
        raise UserError("weights were given beside an encoder that is loaded already", "give its name, or no weights")
    else:
        encoder = admitted(encoder.to(device))
    for name in _several(level):
        if name not in encoder.levels:
            raise unknown_name(f"level of {encoder.name}", name, encoder.levels)
    return encoder


def _several(level: str | Sequence[str] | None) -> tuple[str, ...]:
    """The levels that are asked for, each once; none where that is left to the encoder."""
    return (level,) if isinstance(level, str) else tuple(dict.fromkeys(level or ()))


def by_name(
    encoders: str | Encoder | Sequence[str | Encoder] | None, default: Iterable[str]
) -> dict[str, str | Encoder]:
    """Encoders that are asked for, each once, by name, in the order in which they were first given.

    Args:
        encoders: One or several, names or encoders; the default stands for none.
        default: Names.

    Raises:
        UserError: Two different ones have one name.
    """
    if encoders is not None and not isinstance(encoders, (str, Encoder, Sequence)):
        raise UserError(f"{encoders!r} is no encoder", "give a name, what load_encoder gives, or a list of such")
    named: dict[str, str | Encoder] = {}
    for encoder in [encoders] if isinstance(encoders, (str, Encoder)) else list(encoders or default):
        name = encoder if isinstance(encoder, str) else encoder.name
        if named.setdefault(name, encoder) != encoder:
            raise UserError(f"two encoders are called {name}", "give one of them another name")
    return named


def with_levels(
    named: Mapping[str, str | Encoder], level: str | Sequence[str] | None, *, default: bool
) -> list[tuple[str | Encoder, str | Sequence[str] | None]]:
    """Encoders with the levels that are asked of each.

    Args:
        named: Encoders by name.
        level: Level or levels, or None.
        default: Whether the encoders were not named, but are the embedded ones: those that lack a level are left out
            then, and asked for the others.

    Raises:
        UserError: None of the embedded ones has a level.
    """
    if level is None or not default:
        return [(encoder, level) for encoder in named.values()]
    levels = _several(level)
    known = {name: tuple(one for one in levels if one in catalogue.ENCODERS[name].dimensions) for name in named}
    for one in levels:
        if not any(one in own for own in known.values()):
            every = dict.fromkeys(one for name in named for one in catalogue.ENCODERS[name].dimensions)
            raise unknown_name("level of the embedded encoders", one, every)
    return [(name, own) for name, own in known.items() if own]


def default_rcdm(encoder: Encoder, levels: Sequence[str]) -> str:
    """Where an encoder's RCDM is unless the user says otherwise: a word for `open_rcdms`."""
    known = catalogue.ENCODERS.get(encoder.name)
    if known is None or is_fresh(encoder.card.get("weights")) or not set(levels) & set(known.dimensions):
        return NONE
    return EMBEDDED if encoder.name in (*catalogue.EMBEDDED, catalogue.UNTRAINED) else PUBLISHED


def open_rcdms(
    rcdm: RCDMSource | None, encoders: Sequence[Encoder], levels: Sequence[str], device: str
) -> dict[str, RCDM]:
    """What draws from the representations of each of several encoders, for a study that can do without.

    Args:
        rcdm: What the user gave; None for `default_rcdm`. An RCDM that encoders share is opened once.
        encoders: The encoders.
        levels: Levels that are asked for; it is enough that the RCDM knows one of them.
        device: Where to compute.

    Returns:
        By name of the encoder; those for which there is none are missing.

    Raises:
        UserError: No RCDM there, one that draws from none of the encoders at none of the levels, or one of other
            weights.
    """
    try:
        return _open_rcdms(rcdm, encoders, levels, device)
    except UserError as error:
        raise UserError(error.problem, f"{error.remedy} (--rcdm none goes without pictures)") from error


def _require_rcdms(opened: Opened) -> dict[str, RCDM]:
    """What draws from the representations of each of several encoders, for a study that is nothing without.

    Raises:
        UserError: As in `open_rcdms`; or there is none for an encoder (says how to train one).
    """
    asked, levels = opened.asked, opened.levels
    if asked.rcdm == NONE:
        raise UserError(
            "without an RCDM there is nothing to draw with",
            "give the folder of one with --rcdm, or leave the option out",
        )
    decoders = _open_rcdms(asked.rcdm, opened.encoders, levels, asked.device)
    for encoder in opened.encoders:
        if encoder.name not in decoders:
            own = [level for level in levels if level in encoder.levels]
            file = opened.weights.get(encoder.name)
            command = training_command(encoder.name, own, str(file) if file else None)
            raise UserError(
                f"no RCDM draws from {encoder.name}/{own[0]}, and nothing is seen of it without one",
                f"train one on your images and give it with --rcdm: {command}",
            )
    return decoders


def _open_rcdms(
    rcdm: RCDMSource | None, encoders: Sequence[Encoder], levels: Sequence[str], device: str
) -> dict[str, RCDM]:
    if isinstance(rcdm, Opened):
        known = rcdm.decoders
        return {encoder.name: known[encoder.name] for encoder in encoders if encoder.name in known}
    shared: RCDM | None = None
    opened = {}
    for encoder in encoders:
        where = default_rcdm(encoder, levels) if rcdm is None else rcdm
        if where == NONE:
            continue
        if where == PUBLISHED:
            from rcdm_core.rcdm.published import load_published

            decoder = load_published(encoder.name, levels, device=device)
        else:
            decoder = shared = shared or _open_shared(where, device)
            if not drawable(encoder, levels, decoder):
                continue
        check_match(encoder, levels, decoder)
        opened[encoder.name] = decoder
    if shared is not None and not opened:
        raise unknown_condition(f"{encoders[0].name}/{levels[0]}", shared.conditions)
    return opened


def _open_shared(where: _OneOrSeveral, device: str) -> RCDM:
    """An RCDM that is the same for whoever asks: given, embedded, in a folder, or joined of several."""
    if not isinstance(where, (str, Path, RCDM)):
        return JoinedRCDM([_open_shared(one, device) for one in where])
    if isinstance(where, RCDM):
        forget_fingerprints(where)
        return where.to(device)
    from rcdm_core.rcdm.rcdm import load_rcdm

    return load_rcdm(None if where == EMBEDDED else where, device=device)


def open_one(where: str, *, device: str = "cpu") -> RCDM:
    """An RCDM by name or folder: ``"embedded"``, ``"imagenet/vicreg/backbone"``, or where it was written.

    Raises:
        UserError: There is none, or its file cannot be fetched.
    """
    from rcdm_core.rcdm.published import PUBLISHED_RCDMS, load_published

    encoder, _, level = where.rpartition("/")
    if encoder in PUBLISHED_RCDMS and not Path(where).exists():
        return load_published(encoder, [level], device=device)
    return _open_shared(where, device)


def open_images(
    data: str | Path,
    *,
    seen_by: Iterable[Encoder | RCDM | NetworkSettings | None],
    least: int,
    limit: int | None,
    seed: int,
    whole: bool = False,
) -> ImageSet:
    """Images to be measured, as large as the largest network wants them; scenes are always 32 pixels wide.

    Where one of the RCDMs was trained on images of the set, those that none was trained on. Where these are fewer than
    `ENOUGH_HELD_OUT`, all are taken, and the set says how many were trained on. Where it may hold some of them, and it
    is not known which, it says that.

    Args:
        data: Name, or folder.
        seen_by: Encoders that look at the images, and RCDMs whose samples stand beside them or that learn to draw them.
        least: How many there must be.
        limit: How many are taken at most; None takes all.
        seed: Seed of the choice.
        whole: Whether images that an RCDM was trained on are wanted, too: where there are some, all there are.

    Raises:
        UserError: No such data, or too few images.
    """
    networks = [network for network in seen_by if network]
    size = SIZE if isinstance(data, str) and data.lower() in SCENES else max(network.image_size for network in networks)

    def opened(limit: int | None) -> ImageSet:
        images = load_data(data, image_size=size, limit=limit, seed=seed)
        images = _told_of_sizes(images, [network for network in networks if isinstance(network, Encoder)])
        if len(images) < least and len(images) == limit:
            raise UserError(f"{limit} images of {images.name} were asked for", f"ask for at least {least}")
        if len(images) < least:
            raise UserError(f"{images.name} has {len(images)} images", f"take at least {least}")
        return images

    decoders = list(dict.fromkeys(network for network in networks if isinstance(network, RCDM)))
    if any(len(decoder.trained_images) for decoder in decoders):
        every = opened(None)
        held_out = np.setdiff1d(np.arange(len(every)), trained_rows(decoders, every))
        if len(held_out) < len(every):
            if whole:
                return told_of_doubts(every, doubts(decoders, every))
            taken = held_out if len(held_out) >= ENOUGH_HELD_OUT else np.arange(len(every))
            positions = np.sort(taken[draw_order(len(taken), limit, seed)[:limit]])
            trained_on = np.setdiff1d(positions, held_out).size
            part = part_of(every, positions, trained_on=trained_on, held_out=len(held_out))
            return told_of_doubts(part, doubts(decoders, every))
    images = opened(limit)
    return told_of_doubts(images, doubts(decoders, images))


def _told_of_sizes(images: ImageSet, encoders: Sequence[Encoder]) -> ImageSet:
    """The images; where they are not resized as an encoder would do it itself, they say so."""
    if not isinstance(images, (FolderImages, DownloadedImages)):
        return images
    wanted = [(one.name, one.image_size) for one in encoders if recipe(one.image_size) != recipe(images.image_size)]
    others = [f"{name} ({side.by}, {side} pixels)" for name, side in wanted if is_resized_by_encoder(side)]
    if not others:
        return images
    told = (
        f"they are resized to {images.image_size} pixels for all networks, and not as these would do it themselves: "
        f"{', '.join(others)}"
    )
    return images.remarking(told)
