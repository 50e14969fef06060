"""A probe from arguments to a report, the same way for all of them.

A study is prepared (everything is loaded and checked, nothing is computed), conducted (measured, and summed up) and
saved. A call from Python does the first two; in a run folder, all three are done.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from analyses.records import join, number_images
from probes import page
from probes.context import Context
from probes.probe import Found, Ready, options
from probes.stages import Stages
from rcdm_core.encoders.catalogue import EMBEDDED
from rcdm_core.errors import UserError, unknown_name
from rcdm_core.representations import representation_cache
from rcdm_core.training_images import names_its_images
from rcdm_probe import opening, runs
from rcdm_probe.device import choose_device
from rcdm_probe.facts import data_card, encoder_card, fingerprint_of, rcdm_names, weights_name
from rcdm_probe.studies import carry_out
from reports.panels import Map, Panel

if TYPE_CHECKING:
    from collections.abc import Callable

    from probes.probe import Probe
    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders import Encoder
    from rcdm_core.progress import Progress
    from rcdm_core.rcdm import RCDM
    from rcdm_probe.opening import RCDMSource

_FORMER = {"encoders": "encoder", "levels": "level"}
"""Arguments of versions before, and what they are called now."""


@dataclass(frozen=True, kw_only=True)
class Result(Found):
    """What a probe found; it can be saved."""

    def save(self, folder: str | Path) -> Path:
        """Write report, figures, tables, records and ``run.json``.

        Args:
            folder: Where; made if it is not there.

        Returns:
            Path of the PDF report.

        Raises:
            UserError: The folder cannot be written.
        """
        return runs.save(Path(folder), records=self.records, facts=self.run, write=partial(page.write, self))


@dataclass(frozen=True)
class Study:
    """A probe, ready to be conducted."""

    probe: Probe
    context: Context
    facts: runs.Facts

    @property
    def images(self) -> ImageSet:
        """What is measured on."""
        return self.context.images


def prepare(
    probe: Probe,
    encoder: str | Encoder | Sequence[str | Encoder] | None = None,
    data: str | Path = "scenes",
    *,
    level: str | Sequence[str] | None = None,
    weights: str | Path | Mapping[str, str | Path] | None = None,
    features: str | None = None,
    rcdm: RCDMSource | None = None,
    device: str = "auto",
    command: str = "",
    **settings: Any,
) -> Study:
    """Load and check all that a probe needs.

    Args:
        probe: Which.
        encoder: Name or encoder; of a probe that compares them several, the embedded ones by default.
        data: Name of a data set, or folder.
        level: Level or levels; None for all of the encoder's own.
        weights: File of weights instead of the encoder's own, ``"random"``, or such by name of the encoder.
        features: Name of the feature space; None for the default.
        rcdm: Folder, RCDM, several of them, a word, or None for the encoder's.
        device: Where to compute.
        command: The command line, for the record; empty for a call from Python.
        **settings: Fields of the probe's settings.

    Raises:
        UserError: An argument is mistaken; says which, and the remedy.
    """
    needs, chosen = probe.needs, _settings(probe, settings)  # a mistaken number is told before anything is loaded
    level = level or needs.level or None
    device = choose_device(device)
    encoders = _open_encoders(probe, encoder, level, weights, chosen, device=device)
    levels = _levels(encoders, level)
    given = _weights_of(weights, [one.name for one in encoders])
    decoders = _open_decoders(probe, rcdm, encoders, levels, given, device=device)
    split = any(map(names_its_images, opening.cards_of(decoders.values())))
    images = (opening.open_whole if needs.whole else opening.open_images)(
        data,
        seen_by=(*encoders, *decoders.values()),
        least=needs.images,
        limit=None if needs.whole and split else probe.images(chosen),
        seed=chosen.seed,
    )
    judge = opening.open_judge(images, device=device) if needs.judge and decoders else None
    context = Context(
        encoders=encoders,
        levels=levels,
        images=images,
        data=data,
        settings=replace(chosen, levels=levels),
        decoders=decoders,
        judge=judge,
        space=(opening.open_features(features, images, encoders[0], device=device) if needs.features else None),
        cache=representation_cache(),
    )
    ready = probe.ready(context, context.settings) or Ready()
    context = replace(context, settings=ready.settings or context.settings, own=ready.own)
    names = [encoder.name for encoder in encoders]
    facts = runs.collect_facts(
        probe.name,
        command=command or f"rcdm_probe.{probe.name}({names if len(names) > 1 else names[0]!r}, {str(data)!r}, ...)",
        arguments={
            "encoder": "+".join(names),
            "data": str(data),
            "weights": _weights_told(needs.encoders, given),
            **asdict(context.settings),
            **({"features": context.space.name} if context.space else {}),
            **ready.arguments,
            **({} if needs.decoder == "no" else {"rcdm": rcdm_names(rcdm, encoders, levels)}),
            "device": device,
        },
        hashes={
            **_hashes(probe, context),
            **({"given": ready.given.fingerprint} if ready.given else {}),
            **ready.hashes,
        },
        device=device,
        **_cards(probe, context, ready),
    )
    return Study(probe, context, facts)


def conduct(study: Study, *, workdir: Path | None = None) -> Result:
    """Measure, and sum up.

    Args:
        study: From `prepare`.
        workdir: Where finished parts are kept, so that an interrupted measurement goes on from them.
    """
    context = replace(study.context, stages=Stages(workdir))
    found = list(study.probe.measure(context, context.settings))
    records = join([part for part in found if isinstance(part, pd.DataFrame)])
    numbered, images = number_images(records, context.images)
    return Result(
        probe=study.probe,
        settings=context.settings,
        records=numbered,
        images=images,
        panels=tuple(part for part in found if isinstance(part, Panel)),
        maps=tuple(part for part in found if isinstance(part, Map)),
        run=study.facts,
    )


def function_of(probe: Probe) -> Callable[..., Result]:
    """A probe as a function for Python: arguments as of `prepare`, and ``workdir``, where finished parts are kept."""

    def probed(
        encoder: str | Encoder | Sequence[str | Encoder] | None = None,
        data: str | Path = "scenes",
        *,
        workdir: str | Path | None = None,
        progress: Progress | None = None,
        **arguments: Any,
    ) -> Result:
        for former, name in _FORMER.items():
            if former in arguments:
                warnings.warn(f"{former}= is called {name}= now", DeprecationWarning, stacklevel=2)
                arguments[name] = arguments.pop(former)
        begin = partial(prepare, probe, data=data, **{"encoder": encoder, **arguments})
        return carry_out(begin, conduct, workdir=workdir, progress=progress)

    sizes = options(probe.settings)
    common = inspect.signature(prepare).parameters
    kept = [common[name] for name in ("encoder", "data", "level", "weights", "features", "rcdm", "device")]
    own = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=getattr(probe.settings(), name))
        for name in sizes
    ]
    last = [inspect.signature(probed).parameters[name] for name in ("workdir", "progress")]
    probed.__signature__ = inspect.Signature([*kept, *own, *last])  # type: ignore[attr-defined]
    probed.__name__ = probed.__qualname__ = probe.name
    told = "\n".join(f"    {name}: {about.help}" for name, about in sizes.items())
    probed.__doc__ = f"{probe.about}\n\nSettings:\n{told}\n"
    return probed


def _settings(probe: Probe, given: Mapping[str, Any]) -> Any:
    """The settings of a probe, before the levels are known."""
    known = options(probe.settings)
    for name in given:
        if name not in known:
            raise unknown_name(f"setting of {probe.name}", name, known)
    return probe.settings(**given)


def _open_encoders(
    probe: Probe, encoder: Any, level: Any, weights: Any, settings: Any, *, device: str
) -> tuple[Encoder, ...]:
    """The encoder, or the several that are compared: the reference first, where there is one."""
    if probe.needs.encoders == "one":
        if encoder is None:
            raise UserError(f"{probe.name} looks into one encoder", "give its name")
        return (opening.open_encoder(encoder, level=level, weights=weights, device=device)[0],)
    named = opening.by_name(encoder, EMBEDDED)
    if probe.needs.reference:
        if len(named) == 1 and settings.reference in named:
            raise UserError(f"{settings.reference} is compared with nothing", "name another encoder with --encoder")
        named = {settings.reference: settings.reference, **named}
    asked = opening.with_levels(named, level, default=not encoder and not probe.needs.reference)
    given = _weights_of(weights, list(named))
    return tuple(opening.open_encoders(asked, given, device=device))


def _weights_of(weights: Any, encoders: Sequence[str]) -> Mapping[str, str | Path]:
    """Files of weights by name of the encoder; those of a single one need none.

    Raises:
        UserError: It is not said whose weights they are.
    """
    if not weights or isinstance(weights, Mapping):
        return weights or {}
    if len(encoders) > 1:
        raise UserError(f"the weights {weights} do not say whose they are", "give them by name of the encoder")
    return {encoders[0]: weights}


def _levels(encoders: Sequence[Encoder], level: str | Sequence[str] | None) -> tuple[str, ...]:
    """The levels that are asked for, each once; by default all that the encoders have."""
    if level is None:
        return tuple(dict.fromkeys(name for encoder in encoders for name in encoder.levels))
    return (level,) if isinstance(level, str) else tuple(dict.fromkeys(level))


def _open_decoders(
    probe: Probe,
    rcdm: RCDMSource | None,
    encoders: Sequence[Encoder],
    levels: Sequence[str],
    weights: Mapping[str, str | Path],
    *,
    device: str,
) -> dict[str, RCDM]:
    """What draws from each encoder, by its name; as far as the probe wants it."""
    if probe.needs.decoder == "no":
        return {}
    if probe.needs.decoder == "may":
        return opening.open_rcdms(rcdm, encoders, levels, device=device)
    file = weights.get(encoders[0].name) if len(encoders) == 1 else None
    return opening.require_rcdms(rcdm, encoders, levels, weights=file, device=device)


def _weights_told(encoders: str, weights: Mapping[str, str | Path]) -> str | None:
    """Files of weights as an argument in ``run.json``; None without any."""
    return weights_name(weights) if encoders == "several" else next(map(str, weights.values()), None)


def _hashes(probe: Probe, context: Context) -> dict[str, str]:
    """Fingerprints of all that is open."""
    one = probe.needs.encoders == "one"
    decoders = {decoder.fingerprint for decoder in context.decoders.values()}
    return {
        **{"encoder" if one else encoder.name: encoder.fingerprint for encoder in context.encoders},
        **(
            {"rcdm": next(iter(decoders), "")}
            if len(decoders) < 2
            else {f"rcdm of {name}": decoder.fingerprint for name, decoder in context.decoders.items()}
        ),
        **({"judge": fingerprint_of(context.judge)} if context.judge else {}),
        **({"features": context.space.fingerprint} if context.space else {}),
        "data": context.images.fingerprint,
    }


def _cards(probe: Probe, context: Context, ready: Ready) -> dict[str, Any]:
    """What ``run.json`` tells of all that takes part."""
    cards: dict[str, Any] = {"data_card": data_card(context.images, ready.given)}
    cards["drawn_levels"] = list(dict.fromkeys(level for one in context.each_encoder() for level in one.drawn_levels))
    if probe.needs.encoders == "one":
        cards["encoder_card"] = encoder_card(context.encoder, context.levels)
    else:
        cards["encoder_cards"] = {
            one.encoder.name: encoder_card(one.encoder, one.drawn_levels or one.levels)
            for one in context.each_encoder()
        }
    if (space := context.space) is not None:
        cards["features_card"] = {"name": space.name, "distance": space.distance, "score": space.score}
    for name, card in ready.cards.items():
        cards[name] = cards.get(name, {}) | card
    return cards
