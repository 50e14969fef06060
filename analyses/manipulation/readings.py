"""What each image shows before and after a manipulation: from the records of the probe to arrays, one row an image.

Several samples of one image are averaged before anything else.

*Change* of a factor is in standard deviations of the factor over images, signed, circular factors the shorter way
round; of the class it is whether another one is seen.

*Way.* Between a sample of ``h`` and one of the target's ``h``, from equal noise, a factor differs by a vector ``g`` (of
one number, or of cosine and sine). An edit moves it by ``d``: its progress is ``d.g``, the whole way ``g.g``. Of the
class, progress is whether the target's class is now shown, among the images that did not show it. The same with
representations of the samples, encoded again, in place of a factor, measures what no factor names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyses.by_image import by_image, measured

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from analyses.statistics import Array

ENCODED = "encoded again"
"""What stands in the column ``factor`` for the samples' own representation."""

_TRANSPLANT_EDITS = {"common": "transplanted", "random": "transplanted_random", "far": "transplanted_far"}

TRANSPLANT_MEASURES = (
    "sample_gap", "sample_progress", "rendered_untouched", "rendered_target",
    *(f"rendered_{edit}" for edit in _TRANSPLANT_EDITS.values()),
)  # fmt: skip

_COMPONENTS = r"\.(?:cos|sin)$"


def ways_of_images(rows: pd.DataFrame) -> Iterator[tuple[str, Array]]:
    """Of each factor, and of the samples encoded again, ``[N, 4]``: progress of the three edits, and the whole way."""
    start, end = (readings(measured(rows, f"rendered_{version}")) for version in ("untouched", "target"))
    edits = {name: readings(measured(rows, f"rendered_{edit}")) for name, edit in _TRANSPLANT_EDITS.items()}
    for factor in start:
        gap, moves = _gap(factor, start[factor], end[factor]), []
        for after in edits.values():
            if factor == "class":
                moves.append((after[factor] == end[factor])[..., 0] & (gap > 0))
            else:
                moves.append(((after[factor] - start[factor]) * (end[factor] - start[factor])).sum(2))
        yield factor, np.stack([*moves, gap], axis=-1).astype(np.float64).mean(1)
    progress = measured(rows, "sample_progress")
    columns = [progress[progress["condition"] == edit] for edit in _TRANSPLANT_EDITS.values()]
    yield ENCODED, np.stack([mean_by_image(part) for part in (*columns, measured(rows, "sample_gap"))], axis=-1)


def _gap(factor: str, start: Array, end: Array) -> Array:
    """Squared length of the way to the target, ``[N, K]``; of the class, whether it differs."""
    return (start != end)[..., 0] if factor == "class" else np.square(end - start).sum(2)


def changes_of_images(records: pd.DataFrame) -> dict[str, dict[tuple[str, str], dict[float, Array]]]:
    """By level, (factor moved, factor read) and strength: the change of each image, ``[N]``."""
    spread, out = spreads(records), {}
    for level, rows in measured(records, "rendered_moved", "rendered_untouched").groupby("level", sort=False):
        steps = measured(rows, "rendered_moved")
        if steps.empty:
            continue
        steps = steps.assign(
            moved=steps["condition"].str.partition(" > ")[0], condition=steps["condition"].str.partition(" > ")[2]
        )
        before = measured(rows, "rendered_untouched")
        start = readings(before[before["image"].isin(steps["image"].unique())])
        found: dict[tuple[str, str], dict[float, Array]] = {}
        for (moved, strength), part in steps.groupby(["moved", "strength"], sort=False):
            for read, after in readings(part).items():
                change = change_of(read, start[read], after).mean(1) / spread.get(read, 1.0)
                found.setdefault((moved, read), {})[float(strength)] = change
        out[str(level)] = found
    return out


def slopes_of_images(records: pd.DataFrame) -> dict[str, dict[tuple[str, str], Array]]:
    """By level and (factor moved, factor read): the change for each standard deviation, of each image, ``[N]``."""
    out: dict[str, dict[tuple[str, str], Array]] = {}
    for level, found in changes_of_images(records).items():
        out[level] = {}
        for (moved, read), by_strength in found.items():
            strengths = np.array(list(by_strength))
            weights = np.abs(strengths) if read == "class" else strengths
            out[level][moved, read] = weights @ np.stack(list(by_strength.values())) / np.square(strengths).sum()
    return out


def readings(rows: pd.DataFrame) -> dict[str, Array]:
    """Readings of each factor, ``[N, K, C]``: images ascending, K samples, C components (cosine before sine)."""
    if rows.empty:
        return {}
    wide = by_image(rows, "condition", "sample")
    conditions = wide.columns.get_level_values("condition")
    factors = conditions.str.replace(_COMPONENTS, "", regex=True)
    samples = wide.columns.get_level_values("sample").nunique()
    return {
        factor: np.moveaxis(wide.loc[:, factors == factor].to_numpy().reshape(len(wide), -1, samples), 1, 2)
        for factor in dict.fromkeys(rows["condition"].str.replace(_COMPONENTS, "", regex=True))
    }


def change_of(factor: str, start: Array, end: Array) -> Array:
    """Signed change of readings ``[N, K, C]``, ``[N, K]``: circular ones in turns; of the class, whether it differs."""
    if factor == "class":
        return (start != end)[..., 0].astype(np.float64)
    if start.shape[2] == 1:
        return (end - start)[..., 0]
    turns = [np.arctan2(values[..., 1], values[..., 0]) / (2 * np.pi) for values in (start, end)]
    difference = turns[1] - turns[0]
    return difference - np.rint(difference)


def spreads(records: pd.DataFrame) -> dict[str, float]:
    """The standard deviation of each factor over images; none of the class."""
    rows = measured(records, "spread")
    return dict(zip(rows["condition"], rows["value"], strict=True))


def mean_by_image(rows: pd.DataFrame) -> Array:
    """Mean over the samples of each image, ``[N]``, images ascending."""
    return rows.groupby("image")["value"].mean().sort_index().to_numpy()
