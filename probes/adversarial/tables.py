"""What the records say about each encoder, and what follows for finding 3.

A number ``x`` with its 95% bootstrap interval is three columns, ``x``, ``x_low`` and ``x_high``; ``images`` is how many
it rests on. Displacements are of images that the classifier gets right untouched (all images where there are no
labels), so that attack and noise are compared on the same ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analyses.findings import word_of_gain
from analyses.paired import holm, rank_biserial, signed_rank
from analyses.statistics import mean, median
from analyses.tables import by_image, columns, estimate_of, headings, measured, tabulate
from probes.probe import Judgement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from analyses.statistics import Statistic
    from probes.probe import Found

ASPECTS: Mapping[str, Statistic] = {"displacement": median, "accuracy": mean, "rendered": mean}
"""What a comparison can be about, and what stands for all images; kept apart, because the three can disagree."""

VANISHING, ERRING = 0.05, 0.2
"""Share of images without a gradient, and median error of what gradients foretell, beyond which an attack is blind."""

FEWEST = 6
"""Images below which no order of signs reaches the error rate of the test."""

_KEYS = ["encoder", "condition", "strength"]


def right_images(records: pd.DataFrame, encoder: str) -> set[int]:
    """Images that the classifier on an encoder gets right untouched; all of them where there are no labels."""
    own = records[records["encoder"] == encoder]
    untouched = own[(own["measure"] == "correct") & (own["strength"] == 0)]
    return set((untouched[untouched["value"] == 1] if len(untouched) else own)["image"])


def by_strength(records: pd.DataFrame, encoder: str, measure: str, condition: str) -> pd.DataFrame:
    """A measure under one condition: one row an image, one column a strength."""
    own = records["encoder"] == encoder
    return by_image(records[own & (records["measure"] == measure) & (records["condition"] == condition)], "strength")


def _by_image(rows: pd.DataFrame, measure: str = "") -> pd.Series:
    """Values of rows, of one measure where it is named, by image."""
    return (measured(rows, measure) if measure else rows).set_index("image")["value"].sort_index()


def robustness(found: Found) -> pd.DataFrame:
    """Accuracy and displacement under every attack and under noise, against the budget.

    One row an (``encoder``, ``condition``, ``strength``): ``accuracy`` over all images, medians
    ``relative_displacement`` and ``cosine`` over those classified rightly untouched; ``images``, how many the
    accuracy rests on. The untouched images have the condition ``""`` and the strength 0.
    """
    moved, lines = ("relative_displacement", "cosine"), []
    for key, rows in measured(found.records, "correct", *moved).groupby(_KEYS, sort=False):
        right = right_images(found.records, key[0])
        summed = {"accuracy": found.interval(_by_image(rows, "correct"), mean)}
        for name in moved:
            values = _by_image(rows, name)
            summed[name] = found.interval(values[values.index.isin(right)], median)
        lines.append({**dict(zip(_KEYS, key, strict=True)), **columns(summed), "images": rows["image"].nunique()})
    return pd.DataFrame(lines, columns=[*_KEYS, *headings("accuracy", *moved), "images"])


def budgets(found: Found) -> pd.DataFrame:
    """The smallest budget that flips a decision.

    One row an (``encoder``, ``condition``): the median ``budget``, at most the largest of the grid (``largest``,
    where it equals that the median lies beyond); ``flipped``, the share of images that some budget of the grid
    flips; ``images``, those classified rightly untouched.
    """
    records, lines = found.records, []
    for (encoder, condition), rows in measured(records, "smallest_budget").groupby(_KEYS[:2], sort=False):
        values = _by_image(rows)
        tried = measured(records, "correct")
        largest = float(tried[tried["condition"] == condition]["strength"].max())
        summed = {
            "budget": found.interval(np.minimum(values, largest), median),
            "flipped": found.interval(np.isfinite(values).astype(float), mean),
        }
        about = {"encoder": encoder, "condition": condition, "largest": largest, "images": len(values)}
        lines.append({**about, **columns(summed)})
    return pd.DataFrame(lines, columns=[*_KEYS[:2], *headings("budget", "flipped"), "largest", "images"])


def rendered(found: Found) -> pd.DataFrame:
    """How often the judge still sees the true class in what is drawn from ``h``.

    One row an (``encoder``, ``condition``, ``strength``): ``class_seen``; ``images``.
    """
    groups = measured(found.records, "class_seen").groupby(_KEYS, sort=False)
    rows = {key: {"class_seen": found.interval(_by_image(own), mean)} for key, own in groups}
    return tabulate(rows, _KEYS, ["class_seen"], counted="images")


def effort(found: Found) -> pd.DataFrame:
    """Whether the attack has converged: what more and more work finds.

    One row an (``encoder``, ``condition``), the condition says what was done: ``strength``, the budget; ``found``,
    the share of images whose decision has flipped for an attack with labels, else the median relative displacement;
    ``images``.
    """
    labelled, lines = set(measured(found.records, "smallest_budget")["condition"]), []
    for key, rows in measured(found.records, "effort").groupby(_KEYS, sort=False):
        values = rows["value"].to_numpy()
        of_decisions = str(key[1]).partition(":")[0] in labelled
        seen = float((values > 0).mean() if of_decisions else np.median(values))
        lines.append({**dict(zip(_KEYS, key, strict=True)), "found": seen, "images": len(values)})
    return pd.DataFrame(lines, columns=[*_KEYS, "found", "images"])


def transfers(found: Found) -> pd.DataFrame:
    """Whether gradients mislead: accuracy under an encoder's own adversaries beside those made for another.

    One row an (``encoder``, ``source``): ``strength``; accuracy ``own`` and ``transferred`` on the images that both
    encoders get right, and ``difference``, transferred minus own: below 0 the other encoder's adversaries do better
    than its own; ``images``.
    """
    rows = {}
    for key, given in measured(found.records, "transferred").groupby(_KEYS, sort=False):
        other = _by_image(given)
        own = by_strength(found.records, key[0], "correct", found.settings.attacks[0])[key[2]].loc[other.index]
        values = {"own": own, "transferred": other, "difference": other - own}
        rows[key] = {name: found.interval(value, mean) for name, value in values.items()}
    return tabulate(rows, ["encoder", "source", "strength"], ["own", "transferred", "difference"], counted="images")


def gradients(found: Found) -> pd.DataFrame:
    """Whether an attack by gradients can find what there is to find.

    One row an ``encoder``: ``without``, the share of images on which the gradient of the attack's loss vanishes or
    is not finite; ``error``, how far gradients are off when they foretell the change of the loss between two near
    points, ``|change - foretold| / (|change| + |foretold|)``, median over images (0 perfect, 1 blind);
    ``beyond_noise``, relative displacement under the attack minus that under noise of the same budgets, mean over
    budgets, median over images classified rightly untouched; ``images``, how many these are.
    """
    entry, records, lines = found.settings.entries[0], found.records, []
    for encoder in dict.fromkeys(records["encoder"]):
        own = records[records["encoder"] == encoder]
        change, foretold = (measured(own, name)["value"].to_numpy() for name in ("change", "foretold"))
        size = np.abs(change) + np.abs(foretold)
        errors = np.divide(np.abs(change - foretold), size, out=np.zeros_like(size), where=size > 0)
        moved, random = (
            by_strength(own, encoder, "relative_displacement", condition).mean(axis=1)
            for condition in (entry.name, entry.noise)
        )
        beyond = (moved - random).dropna().sort_index()
        estimate = found.interval(beyond[beyond.index.isin(right_images(own, encoder))], median)
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


def controls(found: Found) -> pd.DataFrame:
    """Whether the attack kept to its rules.

    One row an (``encoder``, ``condition``): the largest ``perturbation`` over its budget (at most 1), how far a
    pixel left [0, 1] (``out_of_range``, 0), the share of decisions ``unchanged`` by a budget of 0 (1; NaN where it
    was not tried).
    """
    kept = measured(found.records, "perturbation", "out_of_range", "unchanged")
    groups = kept.groupby(["encoder", "condition", "measure"], sort=False)["value"]
    wide = groups.agg(["max", "min"]).unstack("measure")
    names = ("perturbation", "out_of_range", "unchanged")
    kept_to = {name: wide.get(("min" if name == "unchanged" else "max", name), np.nan) for name in names}
    return pd.DataFrame(kept_to, index=wide.index).reset_index()


def classifiers(found: Found) -> pd.DataFrame:
    """The linear classifiers under attack, one row an ``encoder``; none without labels.

    ``accuracy`` on the attacked images, untouched; the ``held_out`` one that chose the ``penalty``; ``training``, on
    how many images it was trained.
    """
    facts = {"held_out": "held-out accuracy", "penalty": "penalty", "training": "training images"}
    lines = []
    for encoder, rows in measured(found.records, "classifier").groupby("encoder", sort=False):
        untouched = (found.records["encoder"] == encoder) & (found.records["strength"] == 0)
        accuracy = found.interval(_by_image(found.records[untouched], "correct"), mean)
        told = rows.set_index("condition")["value"]
        numbers = {name: told[condition] for name, condition in facts.items()}
        lines.append({"encoder": encoder, **accuracy.columns("accuracy"), **numbers})
    return pd.DataFrame(lines, columns=["encoder", *headings("accuracy"), *facts]).astype({"training": int})


def comparison(found: Found) -> pd.DataFrame:
    """What each encoder gains over the reference, image by image, over all budgets of the first attack.

    One row an (``encoder``, ``aspect``), aspects as `ASPECTS`: ``gain``, above 0 where the encoder is more robust
    than the reference (see `gains`); Wilcoxon's ``p_value``; ``p_holm``, corrected over the encoders of an aspect;
    the rank-biserial ``effect``; ``images``. What was not measured has no row.
    """
    lines: list[dict[str, Any]] = []
    for encoder in dict.fromkeys(found.records["encoder"]):
        for aspect, gain in gains(found, encoder) if encoder != found.settings.reference else ():
            estimate = found.interval(gain, ASPECTS[aspect])
            lines.append(
                {
                    "encoder": encoder,
                    "aspect": aspect,
                    **estimate.columns("gain"),
                    "p_value": signed_rank(gain.to_numpy()),
                    "effect": rank_biserial(gain.to_numpy()),
                    "images": estimate.n,
                }
            )
    table = pd.DataFrame(lines, columns=["encoder", "aspect", *headings("gain"), "p_value", "effect", "images"])
    corrected = table.groupby("aspect")["p_value"].transform(holm)
    table.insert(table.columns.get_loc("effect"), "p_holm", corrected.astype(float))
    return table


def gains(found: Found, encoder: str) -> Iterator[tuple[str, pd.Series]]:
    """The paired differences behind `comparison`, for the aspects that were measured; of no image, maybe.

    Only images that both encoders get right are compared, and each counts once: its displacement, and whether its
    decision and its rendered class hold, are averaged over the budgets of the grid.

    * displacement: relative displacement of the reference minus that of the encoder, mean over budgets; median.
    * accuracy: share of budgets at which the decision is right, encoder minus reference; mean.
    * rendered: share of budgets at which the judge has lost the class that it saw in the sample from ``h(x)`` (minus
      that at which it has found it), reference minus encoder; mean.
    """
    records, reference, attack = found.records, found.settings.reference, found.settings.attacks[0]
    both = right_images(records, reference) & right_images(records, encoder)
    sides = {}
    for name in (reference, encoder):
        moved = by_strength(records, name, "relative_displacement", attack).mean(axis=1)
        right = by_strength(records, name, "correct", attack).mean(axis=1)
        seen = by_strength(records, name, "class_seen", attack).mean(axis=1)
        before = by_strength(records, name, "class_seen", "").mean(axis=1)
        sides[name] = {"displacement": -moved, "accuracy": right, "rendered": seen - before}
    asked = ("displacement", "accuracy") if (records["measure"] == "correct").any() else ("displacement",)
    for aspect in ASPECTS:
        gain = (sides[encoder][aspect] - sides[reference][aspect]).dropna()
        gain = gain[gain.index.isin(both)].sort_index()
        if len(gain) or aspect in asked:
            yield aspect, gain


def doubts(found: Found) -> dict[str, str]:
    """Encoders that look more robust than they are, because an attack cannot see its way, each with the reason."""
    said, transferred, reasons = found.probe.wording.parts("blind"), found.tables["transfers"], {}
    for _, row in found.tables["gradients"].iterrows():
        theirs = transferred[(transferred["encoder"] == row["encoder"]) & (transferred["difference_high"] < 0)]
        signs = []
        if row["without"] > VANISHING:
            signs.append(said["vanishing"].format(without=f"{row['without']:.0%}"))
        elif row["error"] > ERRING:
            signs.append(said["erring"].format(error=f"{row['error']:.2f}"))
        if len(theirs):
            best = theirs.loc[theirs["difference"].idxmin()]
            numbers = {name: f"{best[name]:.2f}" for name in ("own", "transferred")}
            signs.append(said["masked"].format(source=best["source"], **numbers))
        if row["beyond_noise_low"] <= 0:
            signs.append(said["noise"])
        if signs:
            reasons[row["encoder"]] = " and ".join(signs)
    return reasons


def verdicts(found: Found) -> Iterator[Judgement]:
    """Whether an encoder is more robust than the reference, in each aspect; not where a blind attack alone says so."""
    rows, reference, blind = found.tables["comparison"], found.settings.reference, doubts(found)
    decided = "accuracy" in set(rows["aspect"])
    for _, row in rows.iterrows():
        aspect, encoder, gain = row["aspect"], row["encoder"], estimate_of(row, "gain")
        seen = word_of_gain(gain, row["p_holm"])
        stronger = {"supported": encoder, "not supported": reference}.get(seen, "")  # what a blind attack flatters
        whose = "all encoders" if aspect == "rendered" else "both"
        papers = found.is_ssl(encoder) and found.is_ssl(reference) is False
        yield Judgement(
            aspect,
            gain,
            "inconclusive" if stronger in blind else seen,
            encoder=encoder,
            p_value=row["p_holm"],
            names={
                "compared": f"{gain.n} images{f' that {whose} classify rightly' if decided else ''}",
                "effect": f"{row['effect']:.2f}",
                "stronger": stronger,
                "reason": blind.get(stronger, ""),
                "comparison": "" if papers else f" {found.probe.wording.parts('verdict')['comparison']}",
            },
            told="blind" if stronger in blind else "few" if gain.n < FEWEST else "",
            seen=seen,
        )
