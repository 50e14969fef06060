"""Factors: what is known of an image, what a linear reader finds of it in ``h``, and what the decoder draws of it.

Present but not rendered means that the decoder missed it. This bounds the objection that a detail missing from a sample
may be the generator's fault.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from probes.factors import components
from probes.invariance.settings import FOLDS
from probes.records import join, records
from rcdm_core.readout import class_predictions, ridge_predictions

if TYPE_CHECKING:
    import pandas as pd

    from probes.invariance.study import Study
    from rcdm_core.zoo.judge import Judge


def true(study: Study, factors: pd.DataFrame) -> pd.DataFrame:
    """Records ``true`` of the factors of the gallery, ``[M]`` rows, for the images of the study."""
    return _records(study, "true", "", components(factors))


def present(study: Study, level: str, factors: pd.DataFrame) -> pd.DataFrame:
    """Records ``present``: factors read linearly from ``h``, out of fold.

    Readouts are trained on the gallery, which is larger, and read the images of the study.
    """
    h, parts = study.representations[level], components(factors)
    labels = torch.from_numpy(parts.pop("class")).long()
    targets = torch.from_numpy(np.stack(list(parts.values()), 1))
    seed = study.settings.seed
    read = dict(zip(parts, ridge_predictions(h, targets, folds=FOLDS, seed=seed).T.numpy(), strict=True))
    classes = class_predictions(h, labels, folds=FOLDS, seed=seed).numpy()
    return _records(study, "present", level, {"class": classes, **read})


def rendered(study: Study, level: str, samples: torch.Tensor, judge: Judge) -> pd.DataFrame:
    """Records ``rendered``: factors that the judge reads off sample 0 of the first images, ``[n, 3, S, S]``."""
    return _records(study, "rendered", level, components(judge.read(samples)), sample=0)


def _records(study: Study, measure: str, level: str, parts: dict[str, np.ndarray], *, sample: int = -1) -> pd.DataFrame:
    return join(
        [
            records(
                measure,
                values[: len(study.positions)],
                study.positions[: len(values)],
                encoder=study.encoder.name,
                level=level,
                condition=condition,
                sample=sample,
            )
            for condition, values in parts.items()
        ]
    )
