"""Sets of pictures beside a set of other real images: as near, as varied, as real as images themselves are?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from probes.records import join
from rcdm_core.fidelity import frechet_contributions, in_manifold, inception_contributions

if TYPE_CHECKING:
    from typing import Any

    import pandas as pd
    import torch

    from probes.fidelity.study import Study
    from rcdm_core.features import Look


def set_records(study: Study, seen: Look, **labels: Any) -> pd.DataFrame:
    """Frechet distance, Inception score (where the space has classes), precision and recall of a set.

    Args:
        study: Holds the other real images.
        seen: What is seen in the set, one picture of each of the study's images.
        **labels: Encoder, level, condition and strength of the records; none for real images.
    """
    features, probabilities = seen
    reference, k = study.reference[0], study.settings.neighbours
    tables = [
        frechet_records(study, "frechet", features, **labels),
        study.records("precision", in_manifold(features, reference, neighbours=k), **labels),
        study.records(
            "recall", in_manifold(reference, features, neighbours=k), positions=study.drawn.reference, **labels
        ),
    ]
    if probabilities is not None:
        tables.append(study.records("inception_score", inception_contributions(probabilities), **labels))
    return join(tables)


def frechet_records(study: Study, measure: str, features: torch.Tensor, **labels: Any) -> pd.DataFrame:
    """Contributions to the squared Frechet distance from as many of the other real images."""
    reference = study.reference[0][: len(features)]
    return study.records(measure, frechet_contributions(features, reference), **labels)
