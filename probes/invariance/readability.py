"""Readability: does a representation tell, to a linear reader, that and how strongly an image was transformed?

An invariant representation cannot: the score of applied against untouched is then chance, and the predicted dose the
mean. An image and all its transformed versions are always in one fold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from probes.invariance.settings import FOLDS
from probes.records import join, records
from rcdm_core.readout import binary_scores, ridge_predictions

if TYPE_CHECKING:
    import pandas as pd

    from probes.invariance.study import Study


def readings(
    study: Study, level: str, condition: str, moved: dict[float, torch.Tensor], reference: float
) -> pd.DataFrame:
    """Out-of-fold scores that the transformation was applied, and out-of-fold doses.

    Args:
        study: The study.
        level: Level of the representations.
        condition: Name of the transformation.
        moved: Representations of the transformed images by dose, each ``[N, D]``.
        reference: Dose that is told from none.

    Returns:
        Records ``applied_score`` at strength 0 and at the reference, ``strength_predicted`` at 0 and at every dose.
    """
    by_dose = {0.0: study.untouched(level), **moved}
    count = len(study.positions)

    def stack(doses: tuple[float, ...]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        features = torch.cat([by_dose[dose] for dose in doses])
        return features, torch.tensor(doses).repeat_interleave(count), torch.arange(count).repeat(len(doses))

    def tables(measure: str, doses: tuple[float, ...], values: torch.Tensor) -> list[pd.DataFrame]:
        return [
            records(
                measure,
                part,
                study.positions,
                encoder=study.encoder.name,
                level=level,
                condition=condition,
                strength=dose,
            )
            for dose, part in zip(doses, values.split(count), strict=True)
        ]

    seed, pair, every = study.settings.seed, (0.0, reference), tuple(by_dose)
    features, doses, groups = stack(pair)
    scores = binary_scores(features, doses > 0, folds=FOLDS, seed=seed, groups=groups)
    features, doses, groups = stack(every)
    predicted = ridge_predictions(features, doses, folds=FOLDS, seed=seed, groups=groups)
    return join([*tables("applied_score", pair, scores), *tables("strength_predicted", every, predicted)])
