"""Tables of the fidelity probe: from records to numbers with intervals.

Every number is a mean (or a median) over images of what was recorded of each, so that one bootstrap over images serves
them all: Frechet distances and Inception scores too, which are recorded as contributions whose mean is the value.
Where samples stand beside real images, or one solver beside another, they are resampled together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyses.bootstrap import RESAMPLES, Estimate, interval
from analyses.by_image import by_image, measured
from analyses.columns import columns, headings
from analyses.paired import holm, rank_biserial, signed_rank
from analyses.statistics import mean, mean_reciprocal, median, ratio
from probes.records import REAL

if TYPE_CHECKING:
    from analyses.statistics import Array, Statistic

_LEVEL = ["encoder", "level"]
_SETS = ("frechet", "inception_score", "precision", "recall")


def ranks_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """Where an image comes among the gallery, seen from its sample.

    Returns:
        One row an (``encoder``, ``level``): ``mrr``, ``mean_rank`` and ``median_rank``; ``images``.
    """
    statistics: dict[str, Statistic] = {"mrr": mean_reciprocal, "mean_rank": mean, "median_rank": median}
    lines = []
    for key, rows in measured(records, "sample_rank").groupby(_LEVEL, sort=False):
        ranks = rows.sort_values("image")["value"].to_numpy()
        found = {name: interval(ranks, statistic, resamples=resamples, seed=seed)
                 for name, statistic in statistics.items()}  # fmt: skip
        lines.append({**dict(zip(_LEVEL, key, strict=True)), **columns(found), "images": len(ranks)})
    return pd.DataFrame(lines, columns=[*_LEVEL, *headings(*statistics), "images"])


def sets_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """Samples as a set, level by level, the real images that they were drawn of first.

    Returns:
        One row an (``encoder``, ``level``), real images with `REAL` as encoder: ``frechet``; ``excess``, how much
        larger it is than that of the real images, paired with them (0 for a perfect decoder); ``inception_score`` (NaN
        where the feature space has no classes); ``precision``; ``recall``; ``images``.
    """
    chosen = measured(records, *_SETS)
    chosen = chosen.assign(encoder=chosen["encoder"].where(chosen["condition"] != REAL, REAL))
    floor: Array | None = None
    lines = []
    for key, rows in chosen.groupby(_LEVEL, sort=False):
        values = {
            measure: rows[rows["measure"] == measure].sort_values("image")["value"].to_numpy() for measure in _SETS
        }
        floor = values["frechet"] if floor is None else floor
        values["excess"] = values["frechet"] - floor
        found = {name: interval(value, mean, resamples=resamples, seed=seed) for name, value in values.items()}
        lines.append({**dict(zip(_LEVEL, key, strict=True)), **columns(found), "images": len(floor)})
    return pd.DataFrame(lines, columns=[*_LEVEL, *headings("frechet", "excess", *_SETS[1:]), "images"])


def copies_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """Whether samples are copies of training images.

    Returns:
        One row an (``encoder``, ``level``), real images first: ``distance`` from the nearest training image, mean;
        ``ratio`` to that of the real images, of means, paired; ``share`` of pictures whose nearest image is one that
        was trained on, not one of as many that were not (0.5 for a decoder that does not recall; a tie counts one
        half); ``closest``, the share nearer to a training image than any of the real images is, and ``surplus``, by
        how much it exceeds the share that is as near to one of the others (0 for a decoder that does not recall);
        ``images``.
    """
    chosen = measured(records, "nearest_training", "nearest_held_out")
    chosen = chosen.assign(encoder=chosen["encoder"].where(chosen["condition"] != REAL, REAL))
    real: Array | None = None
    lines = []
    for key, rows in chosen.groupby(_LEVEL, sort=False):
        wide = by_image(rows, "measure")
        near, other = wide["nearest_training"].to_numpy(), wide["nearest_held_out"].to_numpy()
        real = near if real is None else real
        found = {
            "distance": interval(near, mean, resamples=resamples, seed=seed),
            "ratio": interval(np.stack([near, real], 1), ratio, resamples=resamples, seed=seed),
            "share": interval((near < other) + 0.5 * (near == other), mean, resamples=resamples, seed=seed),
            "closest": interval(1.0 * (near < real.min()), mean, resamples=resamples, seed=seed),
            "surplus": interval(1.0 * (near < real.min()) - (other < real.min()), mean, resamples=resamples, seed=seed),
        }
        lines.append({**dict(zip(_LEVEL, key, strict=True)), **columns(found), "images": len(near)})
    return pd.DataFrame(
        lines, columns=[*_LEVEL, *headings("distance", "ratio", "share", "closest", "surplus"), "images"]
    )


def solvers_table(
    records: pd.DataFrame, solver: str, steps: int, *, resamples: int = RESAMPLES, seed: int = 0
) -> pd.DataFrame:
    """Solvers and numbers of steps, each beside the chosen one, image by image from equal noise.

    Args:
        records: Records of the probe.
        solver: The chosen solver.
        steps: Its steps.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resamples.

    Returns:
        One row a (``solver``, ``steps``), the chosen one first: ``mrr``, ``mean_rank``, ``frechet``; ``seconds`` a
        picture; ``gain`` in MRR over the chosen one; Wilcoxon's ``p_value`` on the reciprocal ranks and ``p_holm``,
        corrected over all the others; the rank-biserial ``effect`` (all NaN for the chosen one); ``images``.
    """
    ranks, distances = (
        by_image(rows[rows["condition"] != REAL], "condition", "strength")
        for rows in (measured(records, "swept_rank"), measured(records, "swept_frechet"))
    )
    seconds = measured(records, "seconds").set_index(["condition", "strength"])["value"]
    order = list(
        dict.fromkeys(zip(*(measured(records, "swept_rank")[c] for c in ("condition", "strength")), strict=True))
    )
    lines = []
    for place in order:
        own, gain = ranks[place].to_numpy(), (1 / ranks[place] - 1 / ranks[(solver, float(steps))]).to_numpy()
        found = {
            "mrr": interval(own, mean_reciprocal, resamples=resamples, seed=seed),
            "mean_rank": interval(own, mean, resamples=resamples, seed=seed),
            "frechet": interval(distances[place].to_numpy(), mean, resamples=resamples, seed=seed),
            "gain": interval(gain, mean, resamples=resamples, seed=seed),
        }
        chosen = place == (solver, float(steps))
        lines.append(
            {
                "solver": place[0],
                "steps": int(place[1]),
                **columns(found),
                "seconds": seconds.get(place, np.nan),
                "p_value": np.nan if chosen else signed_rank(gain),
                "effect": np.nan if chosen else rank_biserial(gain),
                "images": len(own),
            }
        )
    names = ["solver", "steps", *headings("mrr", "mean_rank", "frechet", "gain"), "seconds", "p_value", "effect"]
    table = pd.DataFrame(lines, columns=[*names, "images"])
    table.insert(table.columns.get_loc("effect"), "p_holm", holm(table["p_value"]))
    return table


def solvers_floor(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> Estimate:
    """The Frechet distance of the real images that solvers are compared on."""
    rows = measured(records, "swept_frechet")
    values = rows[rows["condition"] == REAL].sort_values("image")["value"].to_numpy()
    return interval(values, mean, resamples=resamples, seed=seed)
