"""The tables of the adversarial probe: what its records say about each encoder, with intervals over images.

Each table is a function of the records alone. A number ``x`` with its 95% bootstrap interval is three columns, ``x``,
``x_low`` and ``x_high``; ``images`` is how many it rests on. Displacements are of images that the classifier gets right
untouched (all images where there are no labels), so that attack and noise are compared on the same ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyses.adversarial.by_encoder import by_strength, right_images
from analyses.bootstrap import RESAMPLES, interval
from analyses.by_image import measured
from analyses.columns import columns, headings
from analyses.statistics import mean, median

if TYPE_CHECKING:
    from analyses.statistics import Statistic

_STATISTICS: dict[str, Statistic] = {
    "correct": mean, "relative_displacement": median, "cosine": median, "class_seen": mean,
}  # fmt: skip


def robustness_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """Accuracy and displacement under every attack and under noise, against the budget.

    Returns:
        One row an (``encoder``, ``condition``, ``strength``): ``accuracy`` over all images, medians
        ``relative_displacement`` and ``cosine`` over those classified rightly untouched; ``images``, how many the
        accuracy rests on. The untouched images have the condition ``""`` and the strength 0.
    """
    chosen = measured(records, "correct", "relative_displacement", "cosine")
    lines = []
    for (encoder, condition, strength), rows in chosen.groupby(["encoder", "condition", "strength"], sort=False):
        right = right_images(records, str(encoder))
        line: dict[str, object] = {"encoder": encoder, "condition": condition, "strength": strength}
        for name, measure in (("accuracy", "correct"), *((m, m) for m in ("relative_displacement", "cosine"))):
            values = measured(rows, measure).set_index("image")["value"].sort_index()
            kept = values if measure == "correct" else values[values.index.isin(right)]
            found = interval(kept.to_numpy(), _STATISTICS[measure], resamples=resamples, seed=seed)
            line |= found.columns(name)
        lines.append({**line, "images": rows["image"].nunique()})
    return pd.DataFrame(lines, columns=["encoder", "condition", "strength", *headings("accuracy"),
                                        *headings("relative_displacement"), *headings("cosine"), "images"])  # fmt: skip


def budget_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """The smallest budget that flips a decision.

    Returns:
        One row an (``encoder``, ``condition``): the median ``budget``, at most the largest of the grid (``largest``,
        where it equals that the median lies beyond); ``flipped``, the share of images that some budget of the grid
        flips; ``images``, those classified rightly untouched.
    """
    lines = []
    for (encoder, condition), rows in measured(records, "smallest_budget").groupby(
        ["encoder", "condition"], sort=False
    ):
        values = rows.sort_values("image")["value"].to_numpy()
        tried = records[(records["condition"] == condition) & (records["measure"] == "correct")]
        largest = float(tried["strength"].max())
        budget = interval(np.minimum(values, largest), median, resamples=resamples, seed=seed)
        flipped = interval(np.isfinite(values).astype(float), mean, resamples=resamples, seed=seed)
        lines.append(
            {
                "encoder": encoder,
                "condition": condition,
                **budget.columns("budget"),
                **flipped.columns("flipped"),
                "largest": largest,
                "images": len(values),
            }
        )
    names = ["encoder", "condition", *headings("budget"), *headings("flipped"), "largest", "images"]
    return pd.DataFrame(lines, columns=names)


def rendered_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """How often the judge still sees the true class in what is drawn from ``h``.

    Returns:
        One row an (``encoder``, ``condition``, ``strength``): ``class_seen``; ``images``.
    """
    lines = []
    keys = ["encoder", "condition", "strength"]
    for key, rows in measured(records, "class_seen").groupby(keys, sort=False):
        values = rows.sort_values("image")["value"].to_numpy()
        found = interval(values, mean, resamples=resamples, seed=seed)
        lines.append({**dict(zip(keys, key, strict=True)), **found.columns("class_seen"), "images": len(values)})
    return pd.DataFrame(lines, columns=[*keys, *headings("class_seen"), "images"])


def effort_table(records: pd.DataFrame) -> pd.DataFrame:
    """Whether the attack has converged: what more and more work finds.

    Returns:
        One row an (``encoder``, ``condition``), the condition says what was done: ``strength``, the budget; ``found``,
        the share of images whose decision has flipped for an attack with labels, else the median relative displacement;
        ``images``.
    """
    lines = []
    labelled = set(measured(records, "smallest_budget")["condition"])
    for (encoder, condition), rows in measured(records, "effort").groupby(["encoder", "condition"], sort=False):
        values = rows["value"].to_numpy()
        found = (values > 0).mean() if str(condition).partition(":")[0] in labelled else np.median(values)
        lines.append(
            {
                "encoder": encoder,
                "condition": condition,
                "strength": rows["strength"].iloc[0],
                "found": float(found),
                "images": len(values),
            }
        )
    return pd.DataFrame(lines, columns=["encoder", "condition", "strength", "found", "images"])


def transfer_table(records: pd.DataFrame, attack: str, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """Whether gradients mislead: accuracy under an encoder's own adversaries beside those made for another.

    Args:
        records: Records of the probe.
        attack: The attack whose adversaries were tried on other encoders.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resamples.

    Returns:
        One row an (``encoder``, ``source``): ``strength``; accuracy ``own`` and ``transferred`` on the images that both
        encoders get right, and ``difference``, transferred minus own: below 0 the other encoder's adversaries do better
        than its own; ``images``.
    """
    lines = []
    for (encoder, source), rows in measured(records, "transferred").groupby(["encoder", "condition"], sort=False):
        strength = float(rows["strength"].iloc[0])
        other = rows.set_index("image")["value"].sort_index()
        own = by_strength(records, str(encoder), "correct", attack)[strength].loc[other.index]
        found = {
            "own": interval(own.to_numpy(), mean, resamples=resamples, seed=seed),
            "transferred": interval(other.to_numpy(), mean, resamples=resamples, seed=seed),
            "difference": interval((other - own).to_numpy(), mean, resamples=resamples, seed=seed),
        }
        lines.append(
            {"encoder": encoder, "source": source, "strength": strength, **columns(found), "images": len(other)}
        )
    names = headings("own", "transferred", "difference")
    return pd.DataFrame(lines, columns=["encoder", "source", "strength", *names, "images"])


def controls_table(records: pd.DataFrame) -> pd.DataFrame:
    """Whether the attack kept to its rules.

    Returns:
        One row an (``encoder``, ``condition``): the largest ``perturbation`` over its budget (at most 1), how far a
        pixel left [0, 1] (``out_of_range``, 0), the share of decisions ``unchanged`` by a budget of 0 (1; NaN where it
        was not tried).
    """
    kept = measured(records, "perturbation", "out_of_range", "unchanged")
    groups = kept.groupby(["encoder", "condition", "measure"], sort=False)["value"]
    wide = groups.agg(["max", "min"]).unstack("measure")
    names = ("perturbation", "out_of_range", "unchanged")
    kept_to = {name: wide.get(("min" if name == "unchanged" else "max", name), np.nan) for name in names}
    return pd.DataFrame(kept_to, index=wide.index).reset_index()


def gradient_table(
    records: pd.DataFrame, attack: str, noise: str, *, resamples: int = RESAMPLES, seed: int = 0
) -> pd.DataFrame:
    """Whether an attack by gradients can find what there is to find.

    Args:
        records: Records of the probe.
        attack: The attack.
        noise: Condition of the random noise beside it.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resamples.

    Returns:
        One row an encoder: the share of images ``without`` a gradient; the median ``error`` of gradients where they
        foretell how the loss changes nearby, 0 to 1; ``beyond_noise``, how much farther the attack moves ``h`` than
        noise of the same budgets, median over the images classified rightly untouched; ``images``, as many.
    """
    lines = []
    for encoder in dict.fromkeys(records["encoder"]):
        own = records[records["encoder"] == encoder].set_index("image")
        change, foretold = (own.loc[own["measure"] == name, "value"].to_numpy() for name in ("change", "foretold"))
        size = np.abs(change) + np.abs(foretold)
        errors = np.divide(np.abs(change - foretold), size, out=np.zeros_like(size), where=size > 0)
        moved, random = (
            by_strength(records, encoder, "relative_displacement", condition).mean(axis=1)
            for condition in (attack, noise)
        )
        beyond = (moved - random).dropna()
        beyond = beyond[beyond.index.isin(right_images(records, encoder))].sort_index()
        estimate = interval(beyond.to_numpy(), median, resamples=resamples, seed=seed)
        lines.append(
            {
                "encoder": encoder,
                "without": float((foretold == 0).mean()) if len(foretold) else np.nan,
                "error": float(np.median(errors)) if len(errors) else np.nan,
                **estimate.columns("beyond_noise"),
                "images": estimate.n,
            }
        )
    return pd.DataFrame(lines, columns=["encoder", "without", "error", *headings("beyond_noise"), "images"])
