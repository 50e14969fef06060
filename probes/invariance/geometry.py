"""Geometry: how far a transformation moves a representation, in units of the distance to another image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from probes.records import join, records
from rcdm_core.distances import cosine, relative_displacement, retrieval_ranks

if TYPE_CHECKING:
    import pandas as pd

    from probes.invariance.study import Study


def displacements(study: Study, level: str, condition: str, moved: dict[float, torch.Tensor]) -> pd.DataFrame:
    """Relative displacement, cosine and rank of every image at every dose.

    Args:
        study: The study.
        level: Level of the representations.
        condition: Name of the transformation.
        moved: Representations of the transformed images by dose, each ``[N, D]``.

    Returns:
        Records ``relative_displacement``, ``cosine`` and ``rank``.
    """
    original, gallery = study.untouched(level), study.representations[level]
    targets = torch.arange(len(original))
    tables = []
    for dose, h in moved.items():
        measured = {
            "relative_displacement": relative_displacement(h, original, study.typical[level]),
            "cosine": cosine(h, original),
            "rank": retrieval_ranks(h, gallery, targets),
        }
        tables += [
            records(
                measure,
                values,
                study.positions,
                encoder=study.encoder.name,
                level=level,
                condition=condition,
                strength=dose,
            )
            for measure, values in measured.items()
        ]
    return join(tables)
