"""The invariance study: what an encoder's levels keep of each transformation, from arguments to a report.

A study is prepared (everything is loaded and checked, nothing is computed), conducted (probe, then statistics) and
saved (report, figures, tables). The command line does the three with a run folder; `invariance` does the first two.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from analyses import invariance as analysis
from probes.invariance import InvarianceSettings, measure
from probes.invariance.settings import LEAST_IMAGES
from rcdm_core.errors import unknown_name
from rcdm_core.progress import Progress, silent
from rcdm_core.rcdm import RCDM, SOLVERS
from rcdm_core.representations import representation_cache
from rcdm_probe.device import choose_device
from rcdm_probe.facts import facts_of_one, fingerprint_of
from rcdm_probe.opening import RCDMSource, open_encoder, open_images, open_judge, open_rcdm
from rcdm_probe.studies import ProbeResult, carry_out
from reports import invariance as report

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from probes.panels import Map
    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders import Encoder
    from rcdm_core.zoo.judge import Judge
    from rcdm_probe import runs


@dataclass(frozen=True)
class InvarianceResult(ProbeResult):
    """What an invariance study found.

    The records are those of `probes.invariance`, the tables ``displacement``, ``readability``, ``factors``,
    ``variance`` and ``comparison``.

    Attributes:
        maps: Where in the picture samples of one representation vary.
    """

    maps: tuple[Map, ...]

    def _write(self, folder: Path) -> Path:
        content = report.Content(
            **self.tables,
            panels=self.panels,
            maps=self.maps,
            verdicts=self.verdicts,
            trained=self.run["encoder_card"]["training_augmentations"],
            run=self.run,
        )
        return report.write(folder, content)


@dataclass(frozen=True)
class Study:
    """An invariance study, ready to be conducted."""

    encoder: Encoder
    images: ImageSet
    rcdm: RCDM | None
    judge: Judge | None
    settings: InvarianceSettings
    facts: runs.Facts


def invariance(
    encoder: str | Encoder,
    data: str | Path = "scenes",
    *,
    level: str | Sequence[str] | None = None,
    weights: str | Path | None = None,
    rcdm: RCDMSource | None = None,
    device: str = "auto",
    workdir: str | Path | None = None,
    progress: Progress = silent,
    **settings: Any,
) -> InvarianceResult:
    """What an encoder keeps of each transformation, backbone beside projector.

    Args:
        encoder: A name (`rcdm-probe encoders` lists them) or an encoder.
        data: ``"scenes"``, a folder of images, or the name of a torchvision data set.
        level: Level or levels to look at, layers of the trunk among them; by default all of the encoder's own.
        weights: A file of weights instead of the encoder's own.
        rcdm: What draws from representations: a folder, an RCDM, several of them, or ``"none"``, which leaves
            out what needs pictures. By default the embedded or the published one of the encoder, where there is one.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        workdir: Folder in which finished parts are kept: the same call goes on from them. None keeps nothing.
        progress: Told of every long loop.
        **settings: Fields of `probes.invariance.InvarianceSettings`, such as ``images=500`` or ``seed=0``.

    Returns:
        Records, pictures, tables and verdicts; ``.save(folder)`` writes the report.

    Raises:
        UserError: An argument is mistaken; says which, and the remedy.
    """
    begin = partial(prepare, encoder, data, level=level, weights=weights, rcdm=rcdm, device=device, **settings)
    return carry_out(begin, conduct, workdir=workdir, progress=progress)


def prepare(
    encoder: str | Encoder,
    data: str | Path = "scenes",
    *,
    level: str | Sequence[str] | None = None,
    weights: str | Path | None = None,
    rcdm: RCDMSource | None = None,
    device: str = "auto",
    command: str = "",
    progress: Progress = silent,
    **settings: Any,
) -> Study:
    """Load and check all that an invariance study needs; arguments as in `invariance`.

    Args:
        encoder: Name or encoder.
        data: Name, or folder.
        level: Level or levels.
        weights: File of weights, or None.
        rcdm: Folder, RCDM, several of them, word or None.
        device: Where to compute.
        command: The command line, for the record; empty for a call from Python.
        progress: Told of every long loop.
        **settings: Fields of `InvarianceSettings`.

    Raises:
        UserError: An argument is mistaken.
    """
    solver = settings.get("solver", InvarianceSettings.solver)
    if solver not in SOLVERS:
        raise unknown_name("solver", solver, SOLVERS)
    device = choose_device(device)
    encoder, levels = open_encoder(encoder, level=level, weights=weights, device=device, progress=progress)
    chosen = InvarianceSettings(levels=levels, **settings)
    decoder = open_rcdm(rcdm, encoder, levels, device=device, progress=progress)
    images = open_images(
        data,
        seen_by=(encoder, decoder),
        least=LEAST_IMAGES,
        limit=max(chosen.images, chosen.gallery),
        seed=chosen.seed,
        progress=progress,
    )
    judge = open_judge(images, device=device) if decoder else None
    facts = facts_of_one(
        "invariance",
        chosen,
        encoder=encoder,
        weights=weights,
        data=data,
        images=images,
        rcdm=rcdm,
        decoder=decoder,
        reading={"judge": fingerprint_of(judge)},
        device=device,
        command=command,
    )
    return Study(encoder, images, decoder, judge, chosen, facts)


def conduct(study: Study, *, workdir: Path | None = None, progress: Progress = silent) -> InvarianceResult:
    """Measure, then draw the conclusions.

    Args:
        study: From `prepare`.
        workdir: Where finished parts are kept, so that an interrupted measurement goes on from them.
        progress: Told of every long loop.
    """
    encoder, settings = study.encoder, study.settings
    measured = measure(
        encoder,
        study.images,
        rcdm=study.rcdm,
        judge=study.judge,
        settings=settings,
        cache=representation_cache(),
        workdir=workdir,
        progress=progress,
    )
    records, seed = measured.records, settings.seed
    tables = {
        "displacement": analysis.displacement_table(records, seed=seed),
        "readability": analysis.readability_table(records, seed=seed),
        "factors": analysis.factor_table(records, seed=seed),
        "variance": analysis.variance_table(records, seed=seed),
        "comparison": analysis.comparison_table(records, seed=seed),
    }
    verdicts = analysis.invariance_verdicts(
        records, training_augmentations=encoder.training_augmentations, is_ssl=encoder.is_ssl, seed=seed
    )
    return InvarianceResult(records, measured.panels, tables, verdicts, study.facts, measured.maps)
