"""Probes on planted encoders, decoders and records, without opening anything by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd

from probes.context import Context
from probes.probe import Probe, Ready
from rcdm_core.data.imageset import ImageSet
from rcdm_core.encoders.encoder import Encoder
from rcdm_core.progress import Progress, showing, silent
from rcdm_probe.conduct import Result, Study, conduct
from rcdm_probe.facts import data_card, encoder_card


def opened(
    probe: Probe,
    encoder: Encoder | Sequence[Encoder],
    images: ImageSet,
    settings: Any,
    *,
    ready: Ready | None = None,
    **more: Any,
) -> Context:
    """A context of planted encoders, one or several, as a probe has made it ready (or ``ready``); ``more``: fields."""
    encoders = (encoder,) if isinstance(encoder, Encoder) else tuple(encoder)
    default = (probe.needs.level,) if probe.needs.level else encoders[0].levels
    settings = replace(settings, levels=settings.levels or default)
    about = {"levels": settings.levels, "images": images, "settings": settings, "decoders": {}, **more}
    context = Context(encoders=encoders, **about)
    ready = ready or probe.ready(context, settings) or Ready()
    return replace(context, settings=ready.settings or settings, own=ready.own)


def measured(
    probe: Probe,
    encoder: Encoder | Sequence[Encoder],
    images: ImageSet,
    settings: Any,
    *,
    rcdm: Any = None,
    ready: Ready | None = None,
    workdir: Path | None = None,
    run: dict[str, Any] | None = None,
    progress: Progress = silent,
    **further: Any,
) -> Result:
    """What a probe finds on what is given.

    Args:
        probe: The probe.
        encoder: A planted encoder, or several that are compared.
        images: What it looks at.
        settings: Of the probe; all levels of the encoder where they name none.
        rcdm: What draws from the encoder's representations, or such by name of the encoder; None for nothing.
        ready: In place of what the probe opens itself.
        workdir: Where finished parts are kept.
        run: What ``run.json`` says besides.
        progress: Told of every long loop.
        **further: Further fields of the context.
    """
    first = encoder if isinstance(encoder, Encoder) else encoder[0]
    decoders = {} if rcdm is None else rcdm if isinstance(rcdm, Mapping) else {first.name: rcdm}
    context = opened(probe, encoder, images, settings, ready=ready, decoders=decoders, **further)
    cards = {one.encoder.name: encoder_card(one.encoder, one.levels) for one in context.each_encoder()}
    facts = {
        "arguments": {"encoder": "+".join(cards), "data": "planted", **asdict(context.settings)},
        **_cards(probe, cards),
        "data_card": data_card(images),
        "drawn_levels": list(dict.fromkeys(level for one in context.each_encoder() for level in one.drawn_levels)),
        **(run or {}),
    }
    with showing(progress):
        return conduct(Study(probe, context, facts), workdir=workdir)


def planted(
    probe: Probe, records: pd.DataFrame, *, is_ssl: bool | Mapping[str, bool | None] | None = True, **run: Any
) -> Result:
    """What a probe makes of planted records; ``is_ssl`` of all encoders, or by name."""
    told = is_ssl if isinstance(is_ssl, Mapping) else dict.fromkeys(records["encoder"], is_ssl)
    cards = {
        name: {"self_supervised": "not told" if told[name] is None else told[name], "levels": {}}
        for name in dict.fromkeys(records["encoder"])
    }
    settings = probe.settings(levels=(probe.needs.level,) if probe.needs.level else None)
    arguments = {"encoder": "+".join(cards), "data": "planted", **asdict(settings)}
    facts = {"arguments": arguments, **_cards(probe, cards), "drawn_levels": [], **run}
    none: dict[str, Any] = {"images": pd.DataFrame(), "panels": (), "maps": ()}
    return Result(probe=probe, settings=settings, records=records, run=facts, **none)


def _cards(probe: Probe, cards: dict[str, Any]) -> dict[str, Any]:
    """Cards of encoders as ``run.json`` has them."""
    return (
        {"encoder_cards": cards} if probe.needs.encoders == "several" else {"encoder_card": next(iter(cards.values()))}
    )
