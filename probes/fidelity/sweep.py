"""Solvers and numbers of steps, compared on the same images from equal noise: what more network evaluations buy."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from probes.fidelity.sets import frechet_records
from probes.records import join
from probes.stages import Stages
from rcdm_core.distances import retrieval_ranks
from rcdm_core.representations import encode

if TYPE_CHECKING:
    import pandas as pd

    from probes.fidelity.study import Study
    from probes.rendering import Renderer
    from rcdm_core.encoders.encoder import Encoder


def sweep(
    study: Study, encoder: Encoder, level: str, gallery: torch.Tensor, renderer: Renderer, stages: Stages
) -> pd.DataFrame:
    """Ranks, Frechet distance and time of the first images under every solver and number of steps.

    Args:
        study: The study.
        encoder: Encodes samples again.
        level: Level that is drawn from.
        gallery: Representations of the gallery at the level, ``[M, D]``.
        renderer: Draws from the encoder's levels.
        stages: Keeps what one solver did.
    """
    count = min(study.settings.swept_images, len(study.images))
    positions = study.drawn.images[:count].tolist()

    def measured(solver: str, steps: int) -> pd.DataFrame:
        settings = replace(renderer.settings, solver=solver, steps=steps)
        whole = replace(renderer, settings=settings, stages=Stages(None))  # drawn in one go: its time is taken
        begun = time.perf_counter()
        drawn = whole.render("swept", level, gallery[:count], positions, (0,))[:, 0]
        seconds = (time.perf_counter() - begun) / count
        labels: dict[str, Any] = {
            "encoder": encoder.name,
            "level": level,
            "condition": solver,
            "strength": float(steps),
        }
        of_samples = encode(encoder, drawn, batch_size=study.settings.batch_size)[level]
        features, _ = study.space.of(drawn, batch_size=study.settings.batch_size)
        return join(
            [
                study.records("swept_rank", retrieval_ranks(of_samples, gallery, torch.arange(count)), **labels),
                frechet_records(study, "swept_frechet", features, **labels),
                study.records("seconds", [seconds], positions=np.array([-1]), **labels),
            ]
        )

    rivals = study.settings.rivals
    tables = [
        stages.under(positions).table(f"swept-{solver}-{steps}", partial(measured, solver, steps))
        for solver, steps in renderer.progress(rivals, "comparing solvers", len(rivals))
    ]
    return join([frechet_records(study, "swept_frechet", study.seen[0][:count]), *tables])
