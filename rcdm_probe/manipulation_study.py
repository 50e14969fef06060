"""The manipulation study: what can be taken out of a representation, put in and turned, from arguments to a report.

A study is prepared (everything is loaded and checked, nothing is computed), conducted (probe, then statistics) and
saved (report, figures, tables). The command line does the three with a run folder; `manipulation` does the first two.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from analyses import manipulation as analysis
from probes.manipulation import Given, ManipulationSettings, measure
from probes.manipulation.measurement import check
from probes.manipulation.settings import LEAST_IMAGES
from rcdm_core.data.given import open_given
from rcdm_core.errors import UserError
from rcdm_core.progress import Progress, silent
from rcdm_core.representations import representation_cache
from rcdm_probe.device import choose_device
from rcdm_probe.facts import facts_of_one, fingerprint_of
from rcdm_probe.opening import RCDMSource, open_encoder, open_images, open_judge, require_rcdm
from rcdm_probe.studies import ProbeResult, carry_out
from reports import manipulation as report

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders import Encoder
    from rcdm_core.rcdm import RCDM
    from rcdm_core.zoo.judge import Judge
    from rcdm_probe import runs

GIVEN_SAMPLES = 8
"""Samples from each representation where a single image is given: its numbers are means over them."""


@dataclass(frozen=True)
class ManipulationResult(ProbeResult):
    """What a manipulation study found.

    The records are those of `probes.manipulation`, the tables ``levels``, ``edits``, ``removal``, ``transplant``,
    ``directions`` and ``responses``, over images. The verdicts are on finding 4, manipulation and directions, for each
    level; there are none from a single image.
    """

    def _write(self, folder: Path) -> Path:
        content = report.Content(**self.tables, panels=self.panels, verdicts=self.verdicts, run=self.run)
        return report.write(folder, content)


@dataclass(frozen=True)
class Study:
    """A manipulation study, ready to be conducted."""

    encoder: Encoder
    images: ImageSet
    given: Given | None
    rcdm: RCDM
    judge: Judge | None
    settings: ManipulationSettings
    facts: runs.Facts


def manipulation(
    encoder: str | Encoder,
    data: str | Path = "scenes",
    *,
    image: str | Path | None = None,
    target: str | Path | None = None,
    level: str | Sequence[str] | None = None,
    weights: str | Path | None = None,
    rcdm: RCDMSource | None = None,
    device: str = "auto",
    workdir: str | Path | None = None,
    progress: Progress = silent,
    **settings: Any,
) -> ManipulationResult:
    """What manipulating a representation changes in what is drawn from it.

    Args:
        encoder: A name (`rcdm-probe encoders` lists them) or an encoder.
        data: ``"scenes"``, a folder of images, or the name of a torchvision data set. Neighbours are sought in it, and
            images to be manipulated are drawn from it.
        image: An image file, or ``"scenes:7"`` for scene number 7, to be manipulated instead.
        target: The image that it takes dimensions from; by default one of the data.
        level: Level or levels to look at, layers of the trunk among them; by default all of the encoder's own.
        weights: A file of weights instead of the encoder's own.
        rcdm: What draws from representations: a folder, an RCDM, or several of them. By default the embedded or the
            published one of the encoder.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        workdir: Folder in which finished parts are kept: the same call goes on from them. None keeps nothing.
        progress: Told of every long loop.
        **settings: Fields of `probes.manipulation.ManipulationSettings`, such as ``images=96`` or ``seed=0``.

    Returns:
        Records, pictures, tables and verdicts; ``.save(folder)`` writes the report.

    Raises:
        UserError: An argument is mistaken; says which, and the remedy.
    """
    begin = partial(
        prepare, encoder, data, image=image, target=target, level=level, weights=weights, rcdm=rcdm, device=device,
        **settings,
    )  # fmt: skip
    return carry_out(begin, conduct, workdir=workdir, progress=progress)


def prepare(
    encoder: str | Encoder,
    data: str | Path = "scenes",
    *,
    image: str | Path | None = None,
    target: str | Path | None = None,
    level: str | Sequence[str] | None = None,
    weights: str | Path | None = None,
    rcdm: RCDMSource | None = None,
    device: str = "auto",
    command: str = "",
    progress: Progress = silent,
    **settings: Any,
) -> Study:
    """Load and check all that a manipulation study needs; arguments as in `manipulation`.

    Args:
        encoder: Name or encoder.
        data: Name, or folder.
        image: An image, or None.
        target: Its target, or None.
        level: Level or levels.
        weights: File of weights, or None.
        rcdm: Folder, RCDM, several of them, word or None.
        device: Where to compute.
        command: The command line, for the record; empty for a call from Python.
        progress: Told of every long loop.
        **settings: Fields of `ManipulationSettings`.

    Raises:
        UserError: An argument is mistaken.
    """
    if target is not None and image is None:
        raise UserError("a target was given and no image to put it into", "give the image as well")
    if image is not None:
        settings = {"samples": GIVEN_SAMPLES, **settings}
    ManipulationSettings(**settings)  # a mistaken number is told before anything is loaded
    device = choose_device(device)
    encoder, levels = open_encoder(encoder, level=level, weights=weights, device=device, progress=progress)
    chosen = ManipulationSettings(levels=levels, **settings)
    decoder = require_rcdm(rcdm, encoder, levels, weights=weights, device=device, progress=progress)
    images = open_images(
        data,
        seen_by=(encoder, decoder),
        least=LEAST_IMAGES,
        limit=chosen.drawn,
        seed=chosen.seed,
        progress=progress,
    )
    check(encoder, levels, images, decoder, chosen)
    specs = [spec for spec in (image, target) if spec is not None]
    given = open_given(specs, image_size=images.image_size) if specs else None
    judge = open_judge(images, device=device)
    facts = facts_of_one(
        "manipulation",
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
    return Study(encoder, images, Given(*given.images) if given else None, decoder, judge, chosen, facts)


def conduct(study: Study, *, workdir: Path | None = None, progress: Progress = silent) -> ManipulationResult:
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
        judge=study.judge,
        settings=study.settings,
        given=study.given,
        cache=representation_cache(),
        workdir=workdir,
        progress=progress,
    )
    records, seed = measured.records, study.settings.seed
    tables = {
        "levels": analysis.level_table(records),
        "edits": analysis.edit_table(records, seed=seed),
        "removal": analysis.removal_table(records, seed=seed),
        "transplant": analysis.transplant_table(records, seed=seed),
        "directions": analysis.direction_table(records, seed=seed),
        "responses": analysis.response_table(records, seed=seed),
    }
    verdicts = analysis.manipulation_verdicts(records, is_ssl=study.encoder.is_ssl, seed=seed)
    return ManipulationResult(records, measured.panels, tables, verdicts, study.facts)
