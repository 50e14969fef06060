"""Neighbourhood sampling: pictures without an image to start from, from arguments to a report.

A study is prepared (everything is loaded and checked, nothing is computed), conducted (probe, then statistics) and
saved (report, figures, tables). The command line does the three with a run folder; `neighbourhood` does the first two.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from analyses import neighbourhood as analysis
from probes.neighbourhood import NeighbourhoodSettings, measure
from probes.neighbourhood.measurement import check
from probes.neighbourhood.settings import LEAST_IMAGES
from rcdm_core.progress import Progress, silent
from rcdm_core.representations import representation_cache
from rcdm_probe.device import choose_device
from rcdm_probe.facts import facts_of_one
from rcdm_probe.opening import RCDMSource, open_encoder, open_features, open_images, require_rcdm
from rcdm_probe.studies import ProbeResult, carry_out
from reports import neighbourhood as report

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders import Encoder
    from rcdm_core.features import FeatureSpace
    from rcdm_core.rcdm import RCDM
    from rcdm_probe import runs


@dataclass(frozen=True)
class NeighbourhoodResult(ProbeResult):
    """What neighbourhood sampling gave.

    The records are those of `probes.neighbourhood`, the tables ``kinds`` and ``comparison``, over pictures; the
    verdicts are on finding 4, neighbourhood, for each level.

    Attributes:
        distance: What a squared Frechet distance is called in the feature space.
    """

    distance: str

    def _write(self, folder: Path) -> Path:
        content = report.Content(
            **self.tables, panels=self.panels, verdicts=self.verdicts, distance=self.distance, run=self.run
        )
        return report.write(folder, content)


@dataclass(frozen=True)
class Study:
    """Neighbourhood sampling, ready to be conducted."""

    encoder: Encoder
    images: ImageSet
    rcdm: RCDM
    space: FeatureSpace
    settings: NeighbourhoodSettings
    facts: runs.Facts


def neighbourhood(
    encoder: str | Encoder,
    data: str | Path = "scenes",
    *,
    level: str | Sequence[str] | None = None,
    features: str | None = None,
    weights: str | Path | None = None,
    rcdm: RCDMSource | None = None,
    device: str = "auto",
    workdir: str | Path | None = None,
    progress: Progress = silent,
    **settings: Any,
) -> NeighbourhoodResult:
    """Pictures drawn from between neighbouring representations, beside the two other ways to draw without an image.

    Args:
        encoder: A name (`rcdm-probe encoders` lists them) or an encoder.
        data: ``"scenes"``, a folder of images, or the name of a torchvision data set.
        level: Level or levels to draw from; by default all of the encoder's own.
        features: Space in which sets of pictures are compared: ``"judge"``, ``"inception"`` or an encoder by name. By
            default the judge on scenes, else Inception where its weights are at hand, else the encoder.
        weights: A file of weights instead of the encoder's own.
        rcdm: What draws from representations: a folder, an RCDM, or several of them. By default the embedded or the
            published one of the encoder.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        workdir: Folder in which finished parts are kept: the same call goes on from them. None keeps nothing.
        progress: Told of every long loop.
        **settings: Fields of `probes.neighbourhood.NeighbourhoodSettings`, such as ``count=400`` or ``seed=0``.

    Returns:
        Records, pictures, tables and verdicts; ``.save(folder)`` writes the report.

    Raises:
        UserError: An argument is mistaken; says which, and the remedy.
    """
    begin = partial(
        prepare, encoder, data, level=level, features=features, weights=weights, rcdm=rcdm, device=device, **settings
    )
    return carry_out(begin, conduct, workdir=workdir, progress=progress)


def prepare(
    encoder: str | Encoder,
    data: str | Path = "scenes",
    *,
    level: str | Sequence[str] | None = None,
    features: str | None = None,
    weights: str | Path | None = None,
    rcdm: RCDMSource | None = None,
    device: str = "auto",
    command: str = "",
    progress: Progress = silent,
    **settings: Any,
) -> Study:
    """Load and check all that neighbourhood sampling needs; arguments as in `neighbourhood`.

    Args:
        encoder: Name or encoder.
        data: Name, or folder.
        level: Level or levels.
        features: Name of the feature space, or None.
        weights: File of weights, or None.
        rcdm: Folder, RCDM, several of them, word or None.
        device: Where to compute.
        command: The command line, for the record; empty for a call from Python.
        progress: Told of every long loop.
        **settings: Fields of `NeighbourhoodSettings`.

    Raises:
        UserError: An argument is mistaken.
    """
    NeighbourhoodSettings(**settings)  # a mistaken number is told before anything is loaded
    device = choose_device(device)
    encoder, levels = open_encoder(encoder, level=level, weights=weights, device=device, progress=progress)
    chosen = NeighbourhoodSettings(levels=levels, **settings)
    decoder = require_rcdm(rcdm, encoder, levels, weights=weights, device=device, progress=progress)
    images = open_images(
        data,
        seen_by=(encoder, decoder),
        least=2 * LEAST_IMAGES,
        limit=chosen.count + chosen.gallery,
        seed=chosen.seed,
        progress=progress,
    )
    check(encoder, levels, images, decoder, chosen)
    space = open_features(features, images, encoder, device=device, progress=progress)
    facts = facts_of_one(
        "neighbourhood",
        chosen,
        encoder=encoder,
        weights=weights,
        data=data,
        images=images,
        rcdm=rcdm,
        decoder=decoder,
        reading={"features": space.fingerprint},
        further={"features": space.name},
        device=device,
        command=command,
    )
    return Study(encoder, images, decoder, space, chosen, facts)


def conduct(study: Study, *, workdir: Path | None = None, progress: Progress = silent) -> NeighbourhoodResult:
    """Draw, then compare.

    Args:
        study: From `prepare`.
        workdir: Where finished parts are kept, so that an interrupted measurement goes on from them.
        progress: Told of every long loop.
    """
    measured = measure(
        study.encoder,
        study.images,
        rcdm=study.rcdm,
        space=study.space,
        settings=study.settings,
        cache=representation_cache(),
        workdir=workdir,
        progress=progress,
    )
    records, seed = measured.records, study.settings.seed
    tables = {
        "kinds": analysis.kind_table(records, seed=seed),
        "comparison": analysis.comparison_table(records, seed=seed),
    }
    distance = study.space.distance
    verdicts = analysis.neighbourhood_verdicts(records, is_ssl=study.encoder.is_ssl, distance=distance, seed=seed)
    return NeighbourhoodResult(records, measured.panels, tables, verdicts, study.facts, distance)
