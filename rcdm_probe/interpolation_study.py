"""The interpolation study: what an encoder's levels draw between two images, from arguments to a report.

A study is prepared (everything is loaded and checked, nothing is computed), conducted (probe, then statistics) and
saved (report, figures, tables). The command line does the three with a run folder; `interpolation` does the first two.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from analyses import interpolation as analysis
from probes.interpolation import InterpolationSettings, measure
from probes.interpolation.pairs import given_pair
from probes.interpolation.settings import LEAST_IMAGES
from rcdm_core.data.given import GivenImages, open_given
from rcdm_core.errors import UserError
from rcdm_core.progress import Progress, silent
from rcdm_core.representations import representation_cache
from rcdm_probe.device import choose_device
from rcdm_probe.facts import facts_of_one, fingerprint_of
from rcdm_probe.opening import RCDMSource, open_encoder, open_images, open_judge, require_rcdm
from rcdm_probe.studies import ProbeResult, carry_out
from reports import interpolation as report

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders import Encoder
    from rcdm_core.rcdm import RCDM
    from rcdm_core.zoo.judge import Judge
    from rcdm_probe import runs


@dataclass(frozen=True)
class InterpolationResult(ProbeResult):
    """What an interpolation study found.

    The records are those of `probes.interpolation`, the panels strips of pictures, the tables ``orders``, ``factors``,
    ``trajectories``, ``classes``, ``distances``, ``approach`` and ``comparison``, over pairs. The verdicts are on
    finding 4, interpolation, for each level; there are none from a single pair.
    """

    def _write(self, folder: Path) -> Path:
        content = report.Content(**self.tables, panels=self.panels, verdicts=self.verdicts, run=self.run)
        return report.write(folder, content)


@dataclass(frozen=True)
class Study:
    """An interpolation study, ready to be conducted."""

    encoder: Encoder
    images: ImageSet
    given: GivenImages | None
    rcdm: RCDM
    judge: Judge | None
    settings: InterpolationSettings
    facts: runs.Facts


def interpolation(
    encoder: str | Encoder,
    data: str | Path = "scenes",
    *,
    pair: Sequence[str | Path] = (),
    level: str | Sequence[str] | None = None,
    weights: str | Path | None = None,
    rcdm: RCDMSource | None = None,
    device: str = "auto",
    workdir: str | Path | None = None,
    progress: Progress = silent,
    **settings: Any,
) -> InterpolationResult:
    """What is drawn between two images, over many pairs of a data set, or of two given images.

    Args:
        encoder: A name (`rcdm-probe encoders` lists them) or an encoder.
        data: ``"scenes"``, a folder of images, or the name of a torchvision data set. Pairs are drawn from it, and it
            gives the unit of distances.
        pair: Two image files, or ``"scenes:7"`` for scene number 7, to be looked at instead.
        level: Level or levels to look at, layers of the trunk among them; by default all of the encoder's own.
        weights: A file of weights instead of the encoder's own.
        rcdm: What draws from representations: a folder, an RCDM, or several of them. By default the embedded or the
            published one of the encoder.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        workdir: Folder in which finished parts are kept: the same call goes on from them. None keeps nothing.
        progress: Told of every long loop.
        **settings: Fields of `probes.interpolation.InterpolationSettings`, such as ``pairs=48`` or ``seed=0``.

    Returns:
        Records, strips, tables and verdicts; ``.save(folder)`` writes the report.

    Raises:
        UserError: An argument is mistaken; says which, and the remedy.
    """
    begin = partial(
        prepare, encoder, data, pair=pair, level=level, weights=weights, rcdm=rcdm, device=device, **settings
    )
    return carry_out(begin, conduct, workdir=workdir, progress=progress)


def prepare(
    encoder: str | Encoder,
    data: str | Path = "scenes",
    *,
    pair: Sequence[str | Path] = (),
    level: str | Sequence[str] | None = None,
    weights: str | Path | None = None,
    rcdm: RCDMSource | None = None,
    device: str = "auto",
    command: str = "",
    progress: Progress = silent,
    **settings: Any,
) -> Study:
    """Load and check all that an interpolation study needs; arguments as in `interpolation`.

    Args:
        encoder: Name or encoder.
        data: Name, or folder.
        pair: Two images, or none.
        level: Level or levels.
        weights: File of weights, or None.
        rcdm: Folder, RCDM, several of them, word or None.
        device: Where to compute.
        command: The command line, for the record; empty for a call from Python.
        progress: Told of every long loop.
        **settings: Fields of `InterpolationSettings`.

    Raises:
        UserError: An argument is mistaken.
    """
    if len(pair) not in (0, 2):
        raise UserError(f"{len(pair)} images were given", "a path has two ends: give two, or none for random pairs")
    InterpolationSettings(**settings)  # a mistaken number is told before anything is loaded
    device = choose_device(device)
    encoder, levels = open_encoder(encoder, level=level, weights=weights, device=device, progress=progress)
    chosen = InterpolationSettings(levels=levels, **settings)
    decoder = require_rcdm(rcdm, encoder, levels, weights=weights, device=device, progress=progress)
    images = open_images(
        data,
        seen_by=(encoder, decoder),
        least=LEAST_IMAGES,
        limit=max(chosen.gallery, 2 * chosen.pairs),
        seed=chosen.seed,
        progress=progress,
    )
    given = open_given(pair, image_size=images.image_size) if pair else None
    judge = open_judge(images, device=device)
    facts = facts_of_one(
        "interpolation",
        chosen,
        encoder=encoder,
        weights=weights,
        data=data,
        images=images,
        given=given,
        rcdm=rcdm,
        decoder=decoder,
        reading={"judge": fingerprint_of(judge)},
        device=device,
        command=command,
    )
    return Study(encoder, images, given, decoder, judge, chosen, facts)


def conduct(study: Study, *, workdir: Path | None = None, progress: Progress = silent) -> InterpolationResult:
    """Measure, then draw the conclusions.

    Args:
        study: From `prepare`.
        workdir: Where finished parts are kept, so that an interrupted measurement goes on from them.
        progress: Told of every long loop.
    """
    measured = measure(
        study.encoder,
        study.images,
        rcdm=study.rcdm,
        pairs=None if study.given is None else given_pair(study.given, study.judge),
        judge=study.judge,
        settings=study.settings,
        cache=representation_cache(),
        workdir=workdir,
        progress=progress,
    )
    records, seed = measured.records, study.settings.seed
    tables = {
        "orders": analysis.order_table(records, seed=seed),
        "factors": analysis.factor_table(records, seed=seed),
        "trajectories": analysis.trajectory_table(records, seed=seed),
        "classes": analysis.class_table(records, seed=seed),
        "distances": analysis.distance_table(records, seed=seed),
        "approach": analysis.approach_table(records, seed=seed),
        "comparison": analysis.comparison_table(records, seed=seed),
    }
    verdicts = analysis.interpolation_verdicts(records, is_ssl=study.encoder.is_ssl, seed=seed)
    return InterpolationResult(records, measured.panels, tables, verdicts, study.facts)
