"""A probe from arguments to a report, the same way for all of them.

A study is prepared (everything is loaded and checked, nothing is computed), conducted (measured, and summed up) and
saved. A call from Python does the first two (`carry_out`); in a run folder, all three are done (`runs.Run.carry_out`).
"""

from __future__ import annotations

import inspect
import time
import warnings
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from analyses.records import join, number_images
from probes import page
from probes.probe import Found, Ready, options
from probes.stages import Stages
from rcdm_core.allocator import give_back
from rcdm_core.encoders.catalogue import EMBEDDED
from rcdm_core.errors import UserError, unknown_name
from rcdm_core.features import default_features, load_features
from rcdm_core.progress import showing
from rcdm_core.zoo.judge import load_judge
from rcdm_probe import opening, runs
from rcdm_probe.facts import data_card, encoder_card, rcdm_names, weights_name
from rcdm_probe.handing_on import Savable
from rcdm_probe.opening import Asked
from rcdm_probe.progress import asked_for
from reports import notebook
from reports.panels import Map, Panel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from probes.context import Context
    from probes.probe import Probe
    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders import Encoder
    from rcdm_core.features import FeatureSpace
    from rcdm_core.progress import Progress

T = TypeVar("T")
R = TypeVar("R", bound=Any)

_FORMER = {"encoders": "encoder", "levels": "level"}
"""Arguments of versions before, and what they are called now."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Result(Savable, Found):
    """What a probe found; it can be saved, and shows itself in a notebook."""

    def _left(self) -> tuple[pd.DataFrame, runs.Facts, Callable[[Path], Path]]:
        return self.records, self.run, partial(page.write, self)

    def __repr__(self) -> str:
        return f"<what {self.probe.name} found on {', '.join(self.encoders)}: {len(self.records)} records>"

    def _repr_html_(self) -> str:
        about, words = self.names, self.probe.wording
        return notebook.summary(
            words.title.format_map(about),
            words.subtitle.format_map(about),
            verdicts=[(verdict.heading, verdict.word, verdict.sentence) for verdict in self.verdicts],
            sentences=filter(None, [self.probe.gist(self)]),
            figure=page.first_figure(self),
            saved=self.saved,
        )


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


def prepare(probe: Probe, encoder: Any = None, data: str | Path = "scenes", **arguments: Any) -> Study:
    """Load and check all that a probe needs.

    Args:
        probe: Which.
        encoder: As of `Asked`.
        data: As of `Asked`.
        **arguments: Other fields of `Asked`, and of the probe's settings.

    Raises:
        UserError: An argument is mistaken; says which, and the remedy.
    """
    common = {field.name: arguments.pop(field.name) for field in fields(Asked) if field.name in arguments}
    chosen = _settings(probe, arguments)  # a mistaken number is told before anything is loaded
    asked, needs = Asked(encoder, data, **common), probe.needs
    asked = replace(asked, level=asked.level or needs.level or None)
    opened = opening.open_asked(asked, _each(probe, asked, chosen), decoder=needs.decoder)
    images = opening.open_images(
        data,
        seen_by=opened.networks,
        least=needs.images,
        limit=probe.images(chosen),
        seed=chosen.seed,
        whole=needs.whole,
    )
    judged = needs.judge and bool(opened.decoders) and images.factors([0]) is not None
    context = opened.on(
        images,
        chosen,
        judge=load_judge(device=opened.asked.device) if judged else None,
        space=_feature_space(opened, images) if needs.features else None,
    )
    ready = probe.ready(context, context.settings) or Ready()
    context = replace(context, settings=ready.settings or context.settings, own=ready.own)
    names = [encoder.name for encoder in opened.encoders]
    facts = runs.collect_facts(
        probe.name,
        command=asked.command
        or f"rcdm_probe.{probe.name}({names if len(names) > 1 else names[0]!r}, {str(data)!r}, ...)",
        arguments={
            "encoder": "+".join(names),
            "data": str(data),
            "weights": weights_name(opened.weights, alone=needs.encoders == "one"),
            **asdict(context.settings),
            **({"features": context.space.name} if context.space else {}),
            **ready.arguments,
            **({} if needs.decoder == "no" else {"rcdm": rcdm_names(opened)}),
            "device": opened.asked.device,
        },
        hashes={
            **_hashes(probe, context),
            **({"given": ready.given.fingerprint} if ready.given else {}),
            **ready.hashes,
        },
        device=opened.asked.device,
        **_cards(probe, context, ready),
    )
    return Study(probe, context, facts)


def conduct(study: Study, *, workdir: Path | None = None) -> Result:
    """Measure, and sum up.

    Args:
        study: From `prepare`.
        workdir: Where finished parts are kept, so that an interrupted measurement goes on from them.
    """
    made_by = [study.facts.get(name) for name in ("versions", "git_commit", "hashes")]  # a caller's may be older
    context = replace(study.context, stages=Stages(workdir).under(made_by))
    found = list(study.probe.measure(context, context.settings))
    give_back()  # what measuring has kept, before it is summed up
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


def carry_out(
    prepare: Callable[[], T],
    conduct: Callable[..., R],
    workdir: str | Path | None = None,
    progress: Progress | None = None,
) -> R:
    """Prepare and conduct a study, as a call from Python does.

    Args:
        prepare: Gives the study.
        conduct: Takes the study and ``workdir``; gives the result, which has its ``run``.
        workdir: Folder in which finished parts are kept; None keeps nothing.
        progress: Told of every long loop; None leaves that to whoever was set with `rcdm_core.progress.showing`, or
            shows bars in a notebook.
    """
    begun = time.perf_counter()
    with asked_for() if progress is None else showing(progress):
        result = conduct(prepare(), workdir=None if workdir is None else Path(workdir))
    runs.close(result.run, seconds=time.perf_counter() - begun)
    return result


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
        arguments = {"encoder": encoder, "data": data, **arguments}
        return carry_out(partial(prepare, probe, **arguments), conduct, workdir, progress)

    sizes, default = options(probe.settings), probe.settings()
    kept = [one for name, one in inspect.signature(Asked).parameters.items() if name != "command"]
    own = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=getattr(default, name)) for name in sizes]
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


def _each(probe: Probe, asked: Asked, settings: Any) -> list[tuple[str | Encoder, str | Sequence[str] | None]]:
    """The encoder, or the several that are compared, with their levels: the reference first, where there is one."""
    if probe.needs.encoders == "one":
        named = opening.by_name(asked.encoder, ())
        if len(named) != 1:
            raise UserError(f"{probe.name} looks into one encoder", "give its name")
    else:
        named = opening.by_name(asked.encoder, EMBEDDED)
    if probe.needs.reference:
        if len(named) == 1 and settings.reference in named:
            raise UserError(f"{settings.reference} is compared with nothing", "name another encoder with --encoder")
        named = {settings.reference: settings.reference, **named}
    return opening.with_levels(named, asked.level, default=not asked.encoder and not probe.needs.reference)


def _feature_space(opened: opening.Opened, images: ImageSet) -> FeatureSpace:
    """Where sets of pictures are compared: by default the judge on scenes, else Inception, else the encoder."""
    if opened.asked.features is None:
        return default_features(images, opened.encoders[0])
    return load_features(opened.asked.features, device=opened.asked.device)


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
        **({"judge": context.judge.fingerprint} if context.judge else {}),
        **({"features": context.space.fingerprint} if context.space else {}),
        "data": context.images.fingerprint,
    }


def _cards(probe: Probe, context: Context, ready: Ready) -> dict[str, Any]:
    """What ``run.json`` tells of all that takes part."""
    cards: dict[str, Any] = {"data_card": data_card(context.images, ready.given)}
    cards["drawn_levels"] = list(dict.fromkeys(level for one in context.each_encoder() for level in one.drawn_levels))
    cards |= {name: told for name, told in _drawing(context).items() if told}
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


def _drawing(context: Context) -> dict[str, dict[str, Any]]:
    """What is known of the heads that draw, by condition: how faithful their samples were when the RCDM was made, and
    what was found of those that were put on a denoiser that was trained without them.
    """
    scores, adapted = {}, {}
    for one in filter(None, (*context.each_encoder(), context.untrained())):
        for card in one.decoder.cards if one.decoder else ():
            for condition in (f"{one.encoder.name}/{level}" for level in one.drawn_levels):
                if stages := card.get("adapted", {}).get(condition):
                    adapted[condition] = stages
                elif seen := card.get("scores", {}).get(condition):
                    steps = card.get("training", {}).get("settings", {}).get("steps")
                    scores[condition] = {key: seen[key] for key in ("MRR", "gallery") if key in seen} | (
                        {"steps": steps} if isinstance(steps, int) else {}
                    )
    return {"scores": scores, "adapted": adapted}
