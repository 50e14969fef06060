"""The fidelity study: how far decoders are to be trusted, from arguments to a report.

A study is prepared (everything is loaded and checked, nothing is computed), conducted (probe, then statistics) and
saved (report, figures, tables). The command line does the three with a run folder; `fidelity` does the first two.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial, reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from analyses import fidelity as analysis
from probes.fidelity import FidelitySettings, check, measure
from probes.fidelity.settings import LEAST_IMAGES
from probes.fidelity.study import draw
from probes.rendering import drawable
from rcdm_core.cache import cache_folder
from rcdm_core.encoders.catalogue import EMBEDDED
from rcdm_core.errors import unknown_name
from rcdm_core.progress import Progress, silent
from rcdm_core.training_images import TrainingImages, known_split, names_its_images, trained_scenes, unseen
from rcdm_probe import runs
from rcdm_probe.device import choose_device
from rcdm_probe.facts import data_card, encoder_card, rcdm_names, weights_name
from rcdm_probe.opening import (
    RCDMSource,
    by_name,
    cards_of,
    open_encoders,
    open_features,
    open_whole,
    require_rcdms,
)
from rcdm_probe.studies import ProbeResult, carry_out
from reports import fidelity as report

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders import Encoder
    from rcdm_core.features import FeatureSpace
    from rcdm_core.rcdm import RCDM

SWEPT = "vicreg/backbone"
"""Where solvers are compared, unless another level is named, or this one is not drawn from."""


@dataclass(frozen=True)
class FidelityResult(ProbeResult):
    """What a fidelity study found.

    The records are those of `probes.fidelity`, the tables ``ranks``, ``sets``, ``copies`` and ``solvers``. There are no
    verdicts: fidelity is no finding of the paper, but the measure of its instrument.
    """

    @property
    def content(self) -> report.Content:
        """What the report is made of."""
        return report.Content(
            **self.tables,
            floor=analysis.solvers_floor(self.records, seed=self.run["seed"]),
            distances=self.records[self.records["measure"] == "nearest_training"],
            panels=self.panels,
            run=self.run,
        )

    def _write(self, folder: Path) -> Path:
        return report.write(folder, self.content)


@dataclass(frozen=True)
class Study:
    """A fidelity study, ready to be conducted."""

    encoders: tuple[Encoder, ...]
    images: ImageSet
    available: np.ndarray
    rcdms: Mapping[str, RCDM]
    space: FeatureSpace
    training: TrainingImages | None
    settings: FidelitySettings
    facts: runs.Facts


def fidelity(
    encoders: str | Encoder | Sequence[str | Encoder] | None = None,
    data: str | Path = "scenes",
    *,
    weights: Mapping[str, str | Path] | None = None,
    features: str | None = None,
    rcdm: RCDMSource | None = None,
    device: str = "auto",
    workdir: str | Path | None = None,
    progress: Progress = silent,
    **settings: Any,
) -> FidelityResult:
    """How far what an RCDM draws is to be trusted.

    Args:
        encoders: Names or encoders; None for the embedded ones.
        data: ``"scenes"``, a folder, or the name of a torchvision data set.
        weights: By name of the encoder, a file of weights instead of its own, or ``"random"``.
        features: Where sets of pictures are compared: ``"judge"``, ``"inception"`` or the name of an encoder. By
            default the judge on scenes, else Inception where its weights are at hand, else the first encoder.
        rcdm: A folder, an RCDM, or several of them. By default the one of each encoder.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        workdir: Folder in which finished parts are kept: the same call goes on from them. None keeps nothing.
        progress: Told of every long loop.
        **settings: Fields of `probes.fidelity.FidelitySettings`, such as ``images=100`` or ``seed=0``.

    Returns:
        Records, pictures and tables; ``.save(folder)`` writes the report.

    Raises:
        UserError: An argument is mistaken; says which, and the remedy.
    """
    begin = partial(prepare, encoders, data, weights=weights, features=features, rcdm=rcdm, device=device, **settings)
    return carry_out(begin, conduct, workdir=workdir, progress=progress)


def prepare(
    encoders: str | Encoder | Sequence[str | Encoder] | None = None,
    data: str | Path = "scenes",
    *,
    weights: Mapping[str, str | Path] | None = None,
    features: str | None = None,
    rcdm: RCDMSource | None = None,
    device: str = "auto",
    command: str = "",
    progress: Progress = silent,
    **settings: Any,
) -> Study:
    """Load and check all that a fidelity study needs; arguments as in `fidelity`.

    Args:
        encoders: Names or encoders.
        data: Name, or folder.
        weights: Files of weights by name of the encoder.
        features: Name of the feature space.
        rcdm: Folder, RCDM, several of them, word or None.
        device: Where to compute.
        command: The command line, for the record; empty for a call from Python.
        progress: Told of every long loop.
        **settings: Fields of `FidelitySettings`.

    Raises:
        UserError: An argument is mistaken.
    """
    chosen = FidelitySettings(**settings)
    device = choose_device(device)
    asked, weights = _asked(encoders, chosen.levels), weights or {}
    opened = open_encoders(asked, weights, device=device, progress=progress)
    names = [encoder.name for encoder in opened]
    levels = chosen.levels or tuple(dict.fromkeys(level for encoder in opened for level in encoder.levels))
    file = weights.get(names[0]) if len(names) == 1 else None
    rcdms = require_rcdms(rcdm, opened, levels, weights=file, device=device, progress=progress)
    decoders = tuple({decoder.fingerprint: decoder for decoder in rcdms.values()}.values())
    images = open_whole(
        data,
        seen_by=(*opened, *decoders),
        least=2 * LEAST_IMAGES,
        limit=_limit(chosen, decoders),
        seed=chosen.seed,
        progress=progress,
    )
    training, available, why = _training(images, data, decoders, chosen)
    check(opened, available, rcdms, chosen)
    chosen = replace(chosen, swept_level=_swept(chosen, opened, rcdms))
    drawn = draw(available, chosen)
    space = open_features(features, images, opened[0], device=device, progress=progress)
    dimension = space.of(images.images(drawn.images[:1]))[0].shape[1]
    facts = runs.collect_facts(
        "fidelity",
        command=command or f"rcdm_probe.fidelity({names!r}, {str(data)!r}, ...)",
        arguments={
            "encoder": "+".join(names),
            "data": str(data),
            "weights": weights_name(weights),
            "features": space.name,
            **asdict(chosen),
            "rcdm": rcdm_names(rcdm, opened, levels),
            "device": device,
        },
        hashes={
            **{encoder.name: encoder.fingerprint for encoder in opened},
            **(
                {"rcdm": decoders[0].fingerprint}
                if len(decoders) == 1
                else {f"rcdm of {name}": decoder.fingerprint for name, decoder in rcdms.items()}
            ),
            "features": space.fingerprint,
            "data": images.fingerprint,
            "training images": training.images.fingerprint if training else "",
        },
        device=device,
        encoder_cards={
            encoder.name: encoder_card(encoder, drawable(encoder, levels, rcdms[encoder.name])) for encoder in opened
        },
        data_card=data_card(images),
        features_card={
            "name": space.name, "distance": space.distance, "score": space.score, "dimension": dimension,
        },
        training_card=(
            {
                "name": training.images.name,
                "total": training.total,
                "compared": min(chosen.compared, len(training.positions), len(drawn.held_out)),
            }
            if training
            else {"missing": why}
        ),
        study_card={"gallery": len(drawn.gallery), "images": len(drawn.images)},
    )  # fmt: skip
    return Study(tuple(opened), images, available, rcdms, space, training, chosen, facts)


def conduct(study: Study, *, workdir: Path | None = None, progress: Progress = silent) -> FidelityResult:
    """Measure, then draw the conclusions.

    Args:
        study: From `prepare`.
        workdir: Where finished parts are kept, so that an interrupted measurement goes on from them.
        progress: Told of every long loop.
    """
    measured = measure(
        study.encoders,
        study.images,
        rcdms=study.rcdms,
        space=study.space,
        training=study.training,
        available=study.available,
        settings=study.settings,
        cache=cache_folder() / "representations",
        workdir=workdir,
        progress=progress,
    )
    records, settings = measured.records, study.settings
    tables = {
        "ranks": analysis.ranks_table(records, seed=settings.seed),
        "sets": analysis.sets_table(records, seed=settings.seed),
        "copies": analysis.copies_table(records, seed=settings.seed),
        "solvers": analysis.solvers_table(records, settings.solver, settings.steps, seed=settings.seed),
    }
    return FidelityResult(records, measured.panels, tables, (), study.facts)


def _asked(
    encoders: str | Encoder | Sequence[str | Encoder] | None, levels: tuple[str, ...] | None
) -> list[tuple[str | Encoder, tuple[str, ...] | None]]:
    """Encoders with the levels that are asked of each: those named, or the embedded ones that have such levels."""
    if encoders or levels is None:
        return [(encoder, levels) for encoder in by_name(encoders, EMBEDDED).values()]
    known = {name: tuple(level for level in levels if level in entry.dimensions) for name, entry in EMBEDDED.items()}
    for level in levels:
        if not any(level in own for own in known.values()):
            every = dict.fromkeys(level for entry in EMBEDDED.values() for level in entry.dimensions)
            raise unknown_name("level of the embedded encoders", level, every)
    return [(name, own) for name, own in known.items() if own]


def _limit(settings: FidelitySettings, decoders: Sequence[RCDM]) -> int | None:
    """How many images are needed; all of them where the training of a decoder may have split them."""
    if any(map(names_its_images, cards_of(decoders))):
        return None
    return max(settings.gallery, 2 * settings.images, settings.images + settings.compared)


def _training(
    images: ImageSet, data: str | Path, decoders: Sequence[RCDM], settings: FidelitySettings
) -> tuple[TrainingImages | None, np.ndarray, str]:
    """What all decoders were trained on, which of the images none ever saw, and why nothing is known."""
    cards = cards_of(decoders)
    splits = [known_split(card, images, data) for card in cards]
    available = unseen(splits, len(images))
    if not settings.compared:
        return None, available, ""
    known = [split.training for split in splits if split is not None]
    common = reduce(np.intersect1d, known) if len(known) == len(cards) else np.array([], int)
    if len(common):
        return TrainingImages(images, common, len(common)), available, ""
    if len(cards) != 1:
        return None, available, "Several decoders were used; ask for the encoders of one at a time."
    return (
        trained_scenes(cards[0], limit=settings.compared),
        available,
        "The images that the decoder was trained on are not at hand. Those of an RCDM made by rcdm-probe train are "
        "found when --data names the same folder; those of the embedded one are made from the training garments of "
        "Fashion-MNIST (Debian: apt install dataset-fashion-mnist).",
    )


def _swept(settings: FidelitySettings, encoders: Sequence[Encoder], rcdms: Mapping[str, RCDM]) -> str:
    """The level on which solvers are compared."""
    drawn = [
        f"{encoder.name}/{level}"
        for encoder in encoders
        for level in drawable(encoder, settings.levels or encoder.levels, rcdms[encoder.name])
    ]
    return settings.swept_level or (SWEPT if SWEPT in drawn else drawn[0])
