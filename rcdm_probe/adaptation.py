"""Putting encoders on the denoiser of an RCDM, from arguments to the folder; begun and gone on with as a training."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import pandas as pd

from rcdm_core.rcdm_training import Adaptation, Stage, adapt_rcdm
from rcdm_core.rcdm_training.adaptation import STAGES_TABLE
from rcdm_core.rcdm_training.beginning import encoders_at_hand
from rcdm_core.rcdm_training.training import numbers
from rcdm_core.training import join_processes
from rcdm_core.training_images import LEAST_IMAGES
from rcdm_probe.device import choose_device
from rcdm_probe.opening import open_images
from rcdm_probe.rcdm_training import begin_run, open_asked, told_of
from reports.training import write_samples, write_stages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders import Encoder
    from rcdm_probe import runs


@dataclass(frozen=True)
class Adapting:
    """An adaptation, ready to begin or to go on; as `rcdm_probe.rcdm_training.Training`."""

    asked: Mapping[Encoder, tuple[str, ...]]
    known: list[Encoder]
    images: ImageSet
    settings: Adaptation
    run: runs.Run
    is_main: bool


def prepare(
    encoders: str | Encoder | Sequence[str | Encoder],
    data: str | Path,
    settings: Adaptation,
    *,
    out: Path,
    level: str | Sequence[str] | None = None,
    weights: Mapping[str, str | Path] = MappingProxyType({}),
    device: str = "auto",
) -> Adapting:
    """Load and check all that an adaptation needs, and write ``run.json``; as `rcdm_probe.rcdm_training.prepare`."""
    kind = choose_device(device)
    asked = open_asked(encoders, level, weights, device=str(join_processes(kind).device))
    known = encoders_at_hand(settings.rcdm, asked)
    found = open_images(
        data,
        seen_by=(*asked, *known, settings.rcdm.denoiser.settings),
        least=LEAST_IMAGES,
        limit=settings.images,
        seed=settings.heads.seed,
    )
    arguments = {
        **told_of(asked, weights, data, settings.images),
        **numbers(settings.heads),
        "whole": settings.whole and {name: asdict(settings.whole)[name] for name in ("steps", "learning_rate")},
        "every": settings.every,
        "looked_at": settings.looked_at,
        "rcdm": settings.rcdm.fingerprint,
    }
    return Adapting(asked, known, found, settings, *begin_run("adapt", asked, found, arguments, out=out, device=kind))


def conduct(adapting: Adapting, *, tell: Callable[[str], None] = lambda line: None) -> pd.DataFrame:
    """Adapt; ``tell`` is told in one line what was found after each stage.

    Returns:
        ``stages.csv``: one row a stage and level.

    Raises:
        UserError: Another process works in the folder.
    """
    folder = adapting.run.folder

    def report(stage: Stage) -> None:
        number = stage.table["stage"].nunique()
        name = stage.name.replace(":", "").replace(" ", "-")
        write_samples(folder / "samples" / f"{number}-{name}.png", stage.originals, stage.samples)
        write_stages(folder / "stages.png", stage.table)
        now = stage.table[stage.table["stage"] == stage.name].to_dict("records")
        tell(
            f"{stage.name}: "
            + "; ".join(
                f"{row['level']}: held-out loss {row['held-out loss']:.4f}, MRR {row['MRR']:.3f}, mean rank "
                f"{row['mean rank']:.1f} of {row['gallery']}, variance within {row['variance within']:.2f}"
                for row in now
            )
        )

    with adapting.run.locked() if adapting.is_main else nullcontext():
        adapt_rcdm(
            adapting.asked,
            adapting.images,
            adapting.settings,
            folder=folder,
            known=adapting.known,
            card={"command": adapting.run.facts["command"]},
            report=report,
        )
        if adapting.is_main:
            adapting.run.close()
            adapting.run.finish()
    return pd.read_csv(folder / STAGES_TABLE)
