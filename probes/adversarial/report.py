"""What the records say about each encoder, what follows for finding 3, and what the report shows of it.

A number ``x`` with its 95% bootstrap interval is three columns, ``x``, ``x_low`` and ``x_high``; ``images`` is how many
it rests on. Displacements are of images that the classifier gets right untouched (all images where there are no
labels), so that attack and noise are compared on the same ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analyses.bootstrap import Estimate
from analyses.digits import decisive, fixed
from analyses.findings import rule_of_gain, word_of_gain
from analyses.paired import TEST, corrected, tested
from analyses.records import right_images
from analyses.statistics import mean, median, share
from analyses.tables import by_image, estimate_of, headings, measured, summed, tabulate
from probes.adversarial.attacks import AUTO_STEPS, FIRST, SHRINK, STRIDE
from probes.probe import Judgement, Show
from probes.scale import LEAST_OTHERS, MOVED, PLAIN, WHITENED, unit_error
from reports import blocks
from reports.decoder import training_command
from reports.figures.robustness import draw_budgets, draw_gains, draw_rendered, draw_robustness
from reports.names import listed
from reports.style import encoder_looks
from reports.tables import cell, number, rows_where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from matplotlib.figure import Figure

    from analyses.statistics import Statistic
    from probes.probe import Found, Page
    from reports.blocks import Block

ASPECTS: Mapping[str, Statistic] = {"displacement": median, "whitened": median, "accuracy": mean, "rendered": mean}
"""What a comparison can be about, and what stands for all images; kept apart, because they can disagree."""

JUDGED, OF_OTHERS, OF_UNTRAINED = "image", "another image", "untrained h"
"""What else the judge sees the class in, or of: the image itself, and the sample of another one."""

WORDED = ("displacement", "accuracy", "rendered")
"""Aspects that have a word; that of the whitened displacement is told beside the plain one's where it differs."""

COMPARABLE = 0.1
"""Largest difference, untouched, of shares of right decisions, or of classes seen in samples, that are compared."""

VANISHING, ERRING = 0.05, 0.2
"""Share of images without a gradient, and median error of what gradients foretell, beyond which an attack is blind."""

_AXES = {
    "displacement": "displacement saved",
    "whitened": "whitened displ. saved",
    "accuracy": "decisions saved",
    "rendered": "rendered classes saved",
}
_KEYS = ["encoder", "condition", "strength"]
_FAR = 1e100  # stands for a budget that no image was flipped by: unlike infinity, it has a middle with another


def by_strength(records: pd.DataFrame, encoder: str, measure: str, condition: str) -> pd.DataFrame:
    """A measure under one condition: one row an image, one column a strength."""
    own = records["encoder"] == encoder
    return by_image(records[own & (records["measure"] == measure) & (records["condition"] == condition)], "strength")


def over_budgets(records: pd.DataFrame, encoder: str, measure: str, condition: str) -> pd.Series:
    """The same by image, the mean over strengths."""
    return by_strength(records, encoder, measure, condition).mean(axis=1)


def _by_image(rows: pd.DataFrame, measure: str = "") -> pd.Series:
    """Values of rows, of one measure where it is named, by image."""
    return (measured(rows, measure) if measure else rows).set_index("image")["value"].sort_index()


def robustness(found: Found) -> pd.DataFrame:
    """Accuracy and displacement under every attack and under noise, against the budget.

    One row an (``encoder``, ``condition``, ``strength``): ``accuracy`` over all images, medians
    ``relative_displacement``, ``whitened_displacement`` and ``cosine`` over those classified rightly untouched;
    ``images``, how many the accuracy rests on. Intervals of displacements have the error of their unit. The untouched
    images have the condition ``""`` and the strength 0.
    """
    moved, rows = (*MOVED, "cosine"), {}
    groups = found.measured("correct", *moved).groupby(_KEYS, sort=False)
    for key, own in groups:
        rows[key] = {"accuracy": found.interval(_by_image(own, "correct"), share)}
        right = right_images(found.records, key[0])
        for name in moved:
            values = _by_image(own, name)
            values = values[values.index.isin(right)]
            rows[key][name] = found.interval(values, median)
            if name in MOVED:
                rows[key][name] = rows[key][name].widened(_error(found, values, key[0], name))
    return tabulate(rows, _KEYS, ("accuracy", *moved)).assign(images=groups["image"].nunique().to_numpy())


def towards(found: Found) -> pd.DataFrame:
    """How much of the way to another image's h a targeted attack and noise cover.

    One row an (``encoder``, ``condition``, ``strength``): ``covered``, median over images of the share of the distance
    that is covered (1: arrived); ``images``.
    """
    return summed(
        found.measured("covered"), _KEYS, ("covered",), lambda own: {"covered": found.interval(_by_image(own), median)}
    )


def stakes(found: Found) -> pd.DataFrame:
    """What an encoder has to lose, and what its architecture reaches untrained.

    One row an (``encoder``, ``weights``), trained or untrained: ``accuracy`` untouched, over all images; medians
    ``displacement`` (of the attack on it, mean over budgets), ``class_distance`` (distance to images of another class,
    in the same unit) and ``of_class``, the one over the other on the same image; ``gain``, how much less the trained
    encoder moves than the untrained one, image by image; ``images``, those behind displacements: of the images on which
    the untrained encoder was attacked, those that the trained one classifies rightly. Without an untrained encoder all
    of these.
    """
    rows = {}
    for encoder, records in found.records.groupby("encoder", sort=False):
        push, untouched_rows = found.settings.pusher.name, records[records["strength"] == 0]
        prefixes = ("", "untrained_")
        moved = {prefix: over_budgets(records, encoder, f"{prefix}{PLAIN}", push) for prefix in prefixes}
        moved = {prefix: values for prefix, values in moved.items() if len(values)}
        both = set.intersection(right_images(records, encoder), *(set(values.index) for values in moved.values()))
        moved = {prefix: values[values.index.isin(both)] for prefix, values in moved.items()}
        errors = [_error(found, values, encoder, PLAIN, prefix) for prefix, values in moved.items()]
        for (prefix, values), error in zip(moved.items(), errors, strict=True):
            apart = _by_image(untouched_rows, f"{prefix}class_distance")
            rows[encoder, "untrained" if prefix else "trained"] = {
                "displacement": found.interval(values, median).widened(error),
                "class_distance": found.interval(apart, median).widened(_error(found, apart, encoder, PLAIN, prefix)),
                "of_class": found.interval((values / apart).dropna(), median),
                "accuracy": found.interval(_by_image(untouched_rows, f"{prefix}correct"), share),
            }
        if len(moved) == 2:
            gain = found.interval(moved["untrained_"] - moved[""], median)
            rows[encoder, "trained"]["gain"] = gain.widened(float(np.hypot(errors[0], errors[1])))
    names = ("displacement", "class_distance", "of_class", "accuracy", "gain")
    return tabulate(rows, ("encoder", "weights"), names)


def _error(found: Found, moved: pd.Series, encoder: str, measure: str, weights: str = "") -> float:
    """What the error of the unit adds to that of a median displacement."""
    return float(moved.median() * unit_error(found, measure, weights, encoder=encoder))


def budgets(found: Found) -> pd.DataFrame:
    """The smallest budget that flips a decision.

    One row an (``encoder``, ``condition``): the median ``budget``, which is infinite, and so are the ends of its
    interval, where it lies beyond the ``largest`` of the grid; ``flipped``, the share of images that some budget of the
    grid flips; ``images``, those classified rightly untouched.
    """
    tried = found.measured("correct").groupby("condition")["strength"].max()

    def sum_up(own: pd.DataFrame) -> dict[str, Any]:
        values, largest = _by_image(own), float(tried[own["condition"].iloc[0]])
        middle = found.interval(np.minimum(values, _FAR), median)
        value, low, high = (np.inf if end > largest else end for end in (middle.value, middle.low, middle.high))
        return {
            "budget": Estimate(value, low, high, middle.n),
            "flipped": found.interval(np.isfinite(values), share),
            "largest": largest,
        }

    return summed(found.measured("smallest_budget"), _KEYS[:2], ("budget", "flipped"), sum_up, ("largest",))


def rendered(found: Found) -> pd.DataFrame:
    """How often the judge still sees the true class in what is drawn from ``h``.

    One row an (``encoder``, ``condition``, ``strength``): ``class_seen``; ``images``. More of an encoder tell what the
    judge sees in the images themselves, and the floors: how often it sees the class of another image, and how often the
    true one in what is drawn from an untrained encoder.
    """
    beside = {"class_judged": JUDGED, "class_of_others": OF_OTHERS, "class_of_untrained_h": OF_UNTRAINED}
    rows = found.measured(*beside, "class_seen")
    rows = rows.assign(condition=rows["measure"].map(beside).fillna(rows["condition"]))
    rows = rows.assign(strength=rows["strength"].fillna(0.0))
    return summed(rows, _KEYS, ("class_seen",), lambda own: {"class_seen": found.interval(_by_image(own), share)})


def effort(found: Found) -> pd.DataFrame:
    """Whether the attack has converged: what more and more work finds.

    One row an (``encoder``, ``condition``), the condition says what was done: ``strength``, the budget; ``found``,
    the share of images whose decision has flipped for an attack with labels, else the median relative displacement, or
    share of the way to its goal of a targeted one; ``images``.
    """
    labelled, lines = set(found.measured("smallest_budget")["condition"]), []
    for key, rows in found.measured("effort").groupby(_KEYS, sort=False):
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
    for key, given in found.measured("transferred").groupby(_KEYS, sort=False):
        other = _by_image(given)
        own = by_strength(found.records, key[0], "correct", found.settings.decider.name)[key[2]].loc[other.index]
        rows[key] = {
            "own": found.interval(own, share),
            "transferred": found.interval(other, share),
            "difference": found.interval(other - own, mean),
        }
    return tabulate(rows, ("encoder", "source", "strength"), ("own", "transferred", "difference"))


def gradients(found: Found) -> pd.DataFrame:
    """Whether an attack by gradients can find what there is to find.

    One row an (``encoder``, ``condition``), the attacks that carry verdicts: ``without``, the share of images on which
    the gradient of the attack's loss vanishes or is not finite; ``error``, how far gradients are off when they foretell
    the change of the loss between two near points, ``|change - foretold| / (|change| + |foretold|)``, median over
    images (0 perfect, 1 blind); ``beyond_noise``, relative displacement under the attack minus that under noise of the
    same budgets, mean over budgets, median over images classified rightly untouched (its sign does not depend on the
    unit); ``images``, how many these are.
    """
    rows = {}
    for encoder, own in found.records.groupby("encoder", sort=False):
        for entry in found.settings.carrying:
            seen = own[own["condition"] == entry.name]
            change, foretold = (measured(seen, name)["value"].reset_index(drop=True) for name in ("change", "foretold"))
            errors = (change - foretold).abs() / (change.abs() + foretold.abs())
            moved, random = (over_budgets(own, encoder, PLAIN, condition) for condition in (entry.name, entry.noise))
            beyond = (moved - random).dropna().sort_index()
            rows[encoder, entry.name] = {
                "beyond_noise": found.interval(beyond[beyond.index.isin(right_images(own, encoder))], median),
                "without": (foretold == 0).mean(),
                "error": errors.fillna(0.0).median(),
            }
    table = tabulate(rows, _KEYS[:2], ("beyond_noise",), ("without", "error"))
    return table[[*_KEYS[:2], "without", "error", *headings("beyond_noise"), "images"]]


def controls(found: Found) -> pd.DataFrame:
    """Whether the attack kept to its rules.

    One row an (``encoder``, ``condition``): the largest ``perturbation`` over its budget (at most 1), how far a
    pixel left [0, 1] (``out_of_range``, 0), the share of decisions ``unchanged`` by a budget of 0 (1; NaN where it
    was not tried).
    """
    kept = found.measured("perturbation", "out_of_range", "unchanged")
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
    rows = {}
    for encoder, told in found.measured("classifier").groupby("encoder", sort=False):
        own = found.records[(found.records["encoder"] == encoder) & (found.records["strength"] == 0)]
        numbers = told.set_index("condition")["value"].to_dict()
        accuracy = {"accuracy": found.interval(_by_image(own, "correct"), share)}
        rows[(encoder,)] = accuracy | {name: numbers[condition] for name, condition in facts.items()}
    table = tabulate(rows, _KEYS[:1], ("accuracy",), tuple(facts))
    return table.drop(columns="images").astype({"training": int})


def comparison(found: Found) -> pd.DataFrame:
    """What each encoder gains over the reference, image by image, over all budgets of the attack that an aspect has.

    One row an (``encoder``, ``aspect``), aspects as `ASPECTS`: ``gain``, above 0 where the encoder is more robust
    than the reference (see `gains`); Wilcoxon's ``p_value``; ``p_holm``, corrected over the encoders of an aspect;
    the rank-biserial ``effect``; ``images``. Intervals of displacements have the errors of both units, in quadrature.
    What was not measured has no row.
    """
    rows, reference = {}, found.settings.reference
    for encoder in dict.fromkeys(found.records["encoder"]):
        for aspect, own, other in sides(found, encoder) if encoder != reference else ():
            gain = own - other
            estimate = found.interval(gain, ASPECTS[aspect])
            if (measure := dict(zip(("displacement", "whitened"), MOVED, strict=True)).get(aspect)) and len(gain):
                errors = _error(found, own, encoder, measure), _error(found, other, reference, measure)
                estimate = estimate.widened(float(np.hypot(*errors)))
            rows[encoder, aspect] = {"gain": estimate, **tested(gain.to_numpy())}
    return corrected(tabulate(rows, ("encoder", "aspect"), ("gain",), TEST), "aspect")


def sides(found: Found, encoder: str) -> Iterator[tuple[str, pd.Series, pd.Series]]:
    """What `comparison` compares, aspect by aspect: numbers of the encoder and of the reference, larger is more robust.

    Only images that both encoders get right are compared, and each counts once: its displacement, and whether its
    decision and its rendered class hold, are averaged over the budgets of the grid.

    * displacement, whitened: minus the displacement, plain or whitened; compared by the median.
    * accuracy: share of budgets at which the decision is right; by the mean.
    * rendered: minus the share of budgets at which the judge has lost the class that it saw in the sample from ``h(x)``
      (plus that at which it has found it); by the mean.
    """
    records, names = found.records, (encoder, found.settings.reference)
    attack, push = found.settings.decider.name, found.settings.pusher.name
    both = set.intersection(*(right_images(records, name) for name in names))
    asked = {"displacement", "whitened", *(["accuracy"] if (records["measure"] == "correct").any() else [])}
    numbers = []
    for name in names:
        seen, before = (over_budgets(records, name, "class_seen", condition) for condition in (attack, ""))
        values = {
            "displacement": -over_budgets(records, name, PLAIN, push),
            "whitened": -over_budgets(records, name, WHITENED, push),
            "accuracy": over_budgets(records, name, "correct", attack),
            "rendered": seen - before,
        }
        numbers.append(values)
    for aspect in ASPECTS:
        pair = pd.concat([values[aspect] for values in numbers], axis=1, keys=[0, 1]).dropna()
        pair = pair[pair.index.isin(both)].sort_index()
        if len(pair) or aspect in asked:
            yield aspect, pair[0], pair[1]


def doubts(found: Found, attack: str) -> dict[str, str]:
    """Encoders that look more robust than they are, because an attack cannot see its way, each with the reason."""
    said, transferred, reasons = found.probe.wording.parts("blind"), found.tables["transfers"], {}
    if attack != found.settings.decider.name:
        transferred = transferred.iloc[:0]
    for _, row in rows_where(found.tables["gradients"], condition=attack).iterrows():
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


def untouched(found: Found, encoder: str, measure: str) -> float:
    """Mean of a measure over the images untouched; NaN where it was not measured."""
    rows = found.measured(measure)
    own = rows[(rows["encoder"] == encoder) & (rows["strength"] == 0) & (rows["condition"] == "")]
    return float(own["value"].mean())


def nothing_lost(found: Found, aspect: str, encoder: str, stronger: str) -> str:
    """Why a gain says little of robustness: there is less to lose, or an untrained encoder moves as little; else ''."""
    said = found.probe.wording.parts("unearned")
    if aspect == "displacement":
        if stronger in floorless(found):
            return ""
        trained, untrained = (
            rows_where(found.tables["stakes"], encoder=stronger, weights=weights).iloc[0]
            for weights in ("trained", "untrained")
        )
        if trained["gain_low"] > 0:
            return ""
        numbers = {"own": trained["displacement"], "untrained": untrained["displacement"]}
    else:
        measure, names = {"accuracy": "correct", "rendered": "class_seen"}[aspect], (encoder, found.settings.reference)
        own, other = (untouched(found, name, measure) for name in names)
        if not abs(own - other) > COMPARABLE:
            return ""
        numbers = {"own": own, "other": other}
    about = {name: f"{value:.2f}" for name, value in numbers.items()}
    names_of = {"encoder": encoder, "stronger": stronger, "reference": found.settings.reference}
    return said[aspect].format(comparable=COMPARABLE, **about, **names_of)


def verdicts(found: Found) -> Iterator[Judgement]:
    """Whether an encoder is more robust than the reference, in each aspect.

    Not where a blind attack alone says so, nor where there is not as much to lose.
    """
    table, settings, said = found.tables["comparison"], found.settings, found.probe.wording.parts("beside")
    reference, decided = settings.reference, "accuracy" in set(table["aspect"])
    whitened = rows_where(table, aspect="whitened").set_index("encoder")
    for _, row in table[table["aspect"].isin(WORDED)].iterrows():
        aspect, encoder, gain = row["aspect"], row["encoder"], estimate_of(row, "gain")
        attack = (settings.pusher if aspect == "displacement" else settings.decider).name
        seen = word_of_gain(gain, row["p_holm"])
        stronger = {"supported": encoder, "not supported": reference}.get(seen, "")  # what a blind attack flatters
        blind = doubts(found, attack).get(stronger, "")
        idle = nothing_lost(found, aspect, encoder, stronger) if stronger else ""
        beside = ""
        if decided:
            shares = {"own": untouched(found, encoder, "correct"), "other": untouched(found, reference, "correct")}
            beside += " " + said["clean"].format(encoder=encoder, reference=reference, **shares)
        if aspect == "displacement":
            if stronger in floorless(found):
                beside += " " + said["floorless"].format(stronger=stronger)
            white = whitened.loc[encoder]
            told = estimate_of(white, "gain")
            if (word := word_of_gain(told, white["p_holm"])) != seen:
                beside += " " + said["whitened"].format(word=word, plain=seen, gain=told.signed())
        whose = "all encoders" if aspect == "rendered" else "both"
        papers = found.is_ssl(encoder) and found.is_ssl(reference) is False
        yield Judgement(
            aspect,
            gain,
            "inconclusive" if blind or idle else seen,
            encoder=encoder,
            p_value=row["p_holm"],
            names={
                "attack": attack,
                "compared": f"{gain.n} images{f' that {whose} classify rightly' if decided else ''}",
                "effect": fixed(row["effect"]),
                "stronger": stronger,
                "reason": blind or idle,
                "beside": beside,
                "comparison": "" if papers else f" {found.probe.wording.parts('verdict')['comparison']}",
            },
            told="blind" if blind else "unearned" if idle else "",
            seen=seen,
        )


def parted(found: Found) -> bool:
    """Whether the plain and the whitened displacement of any encoder would have different words."""
    table = found.tables["comparison"]
    words = {
        (row["encoder"], row["aspect"]): word_of_gain(estimate_of(row, "gain"), row["p_holm"])
        for _, row in table.iterrows()
    }
    return any(words[name, "displacement"] != words[name, "whitened"] for name in set(table["encoder"]))


# The page


def are_decided(found: Found) -> bool:
    """Whether there are labels, and so decisions."""
    return not found.tables["classifiers"].empty


def were_drawn(found: Found) -> bool:
    """Whether there are samples."""
    return bool(found.panels_of("attacked"))


def floorless(found: Found) -> list[str]:
    """Names of the encoders that no untrained one stands beside, image by image."""
    trained = rows_where(found.tables["stakes"], weights="trained")
    return trained.loc[trained["gain"].isna(), "encoder"].tolist()


def undrawn(found: Found) -> list[str]:
    """Names of the encoders that nothing was drawn from, where there are samples of others."""
    return [name for name in found.encoders if were_drawn(found) and name not in found.panels_of("attacked")[0].rows]


def has_rows(table: str) -> Callable[[Found], bool]:
    """Whether a table has rows."""
    return lambda found: not found.tables[table].empty


def flips(found: Found) -> pd.DataFrame:
    """Records of the smallest budgets of the verdicts' attack; none of one that needs no labels."""
    return rows_where(found.measured("smallest_budget"), condition=found.settings.decider.name)


def unit_images(card: Mapping[str, Any]) -> str:
    """Which images the unit of distances is from, in words."""
    others = card.get("training the classifiers") or card.get("giving the unit of distances") or 0
    return f"{others:,} other images" if others >= LEAST_OTHERS else "the attacked images, there being too few others"


def names(found: Found) -> dict[str, Any]:
    """What the words tell besides; phrases by what holds of the run."""
    settings, words, run = found.settings, found.probe.wording, found.run
    entry, push, left = settings.decider, settings.pusher, undrawn(found)
    factors = [panel.rows[1].rpartition(" ")[2] for panel in found.panels_of("perturbations")]
    saved = words.parts("saved")
    told = {
        "encoders": listed(found.encoders),
        "entries": [
            f"{one.name}: {one.about}; {', '.join(f'{budget:g}' for budget in settings.budgets(one))} {one.unit}"
            for one in settings.entries
        ],
        "level": settings.level,
        "attack": entry.name,
        "push": push.name,
        "pushed": push.told(settings.middle(push)),
        "under": entry.name
        if push is entry
        else f"{entry.name} (decisions and drawings) and {push.name} (displacement)",
        "unit": entry.unit,
        "middle": entry.told(settings.middle(entry)),
        "largest": entry.told(settings.budgets(entry)[-1]),
        "factor": "".join(factors),
        "saved": ", ".join(saved[aspect] for aspect in saved if aspect in set(found.tables["comparison"]["aspect"])),
        "undrawn": ", ".join(left),
        "floorless": listed(floorless(found)),
        "train": training_command("NAME"),
        "train_undrawn": training_command(left[0]) if left else "",
        "rule_of_gain": rule_of_gain("encoders"),
        "vanishing": f"{VANISHING:.0%}",
        "erring": ERRING,
        "stride": STRIDE,
        "first_step": f"{FIRST:g}",
        "shrink": f"1/{1 / SHRINK:g}",
        "comparable": COMPARABLE,
        "unit_images": unit_images(run.get("data_card", {})),
        "auto_steps": AUTO_STEPS,
        "floor": min(settings.floor, run.get("data_card", {}).get("attacked", settings.floor)),
    }
    judged = not found.tables["rendered"].empty
    holds = {
        "decisions are attacked": are_decided(found),
        "the reference is supervised": found.is_ssl(settings.reference) is False,
        "displacement is judged by an attack on decisions": push.needs_labels,
        "two attacks carry verdicts": push is not entry,
        "the judge reads scenes": judged and settings.judge is None,
        "an encoder judges": judged and settings.judge is not None,
        "samples were drawn": settings.rendered and run["drawn_levels"],
    }
    phrases = words.parts("phrases", *(f"phrases where {condition}" for condition, held in holds.items() if held))
    for name, text in phrases.items():
        told[name] = text.format_map({**run["arguments"], **told})
    return told


def in_short(found: Found) -> Iterator[Block]:
    """The outcome in sentences."""
    entry, push, table = found.settings.decider, found.settings.pusher, found.tables["robustness"]
    said, points = found.probe.wording.parts("in short"), []
    by_key = table.set_index(["encoder", "condition", "strength"])
    at, middle = found.settings.middle(entry), found.settings.middle(push)
    about = {
        "attack": push.name,
        "budget": push.told(middle),
        "moved": ", ".join(f"{name} {cell(by_key.loc[(name, push.name, middle)], PLAIN)}" for name in found.encoders),
    }
    points.append(said["moved"].format_map(about))
    if are_decided(found):
        accuracy = {key: number(value) for key, value in by_key["accuracy"].items()}
        both = (f"{name} {accuracy[name, '', 0.0]} to {accuracy[name, entry.name, at]}" for name in found.encoders)
        about = {"attack": entry.name, "budget": entry.told(at), "kept": ", ".join(both)}
        points.append(said["accuracy"].format_map(about))
    noise = rows_where(table, condition=push.noise).dropna(subset=[PLAIN])
    if len(noise):
        worst = noise.loc[noise[PLAIN].idxmax()]
        about = {
            "random": number(worst[PLAIN]),
            "encoder": worst["encoder"],
            "budget": push.told(worst["strength"]),
            "attack": push.name,
            "far": cell(by_key.loc[(worst["encoder"], push.name, worst["strength"])], PLAIN),
        }
        points.append(said["noise"].format_map(about))
    if words := [verdict.word for verdict in found.verdicts]:
        each = (f"{words.count(word)} {word}" for word in dict.fromkeys(words))
        points.append(said["verdicts"].format(count=len(words), counts=", ".join(each)))
    yield blocks.points(points)


def looks(found: Found) -> dict[str, tuple[str, str]]:
    """Colour and marker of each encoder, in every figure."""
    return encoder_looks(found.encoders, found.settings.reference)


def gains_figure(found: Found) -> Figure:
    """Each encoder beside the reference."""
    return draw_gains(found.tables["comparison"], _AXES, looks(found))


def robustness_figure(found: Found) -> Figure:
    """Curves against the budget."""
    return draw_robustness(found.tables["robustness"], found.settings.entries, looks(found))


def budgets_figure(found: Found) -> Figure:
    """The share of decisions flipped by each budget."""
    entry = found.settings.decider
    return draw_budgets(flips(found), entry, found.settings.budgets(entry)[-1], looks(found))


def rendered_figure(found: Found) -> Figure:
    """How often the class is still seen in what is drawn."""
    return draw_rendered(found.tables["rendered"], found.settings.decider, looks(found))


def printed_robustness(found: Found) -> pd.DataFrame:
    """Attack by attack, a row for each encoder and budget, noise beside."""
    by_key, rows = found.tables["robustness"].set_index(["encoder", "condition", "strength"]), []
    for entry in found.settings.entries:
        for name in found.encoders:
            about = {"attack": entry.name, "unit": entry.unit, "encoder": name}
            if (name, "", 0.0) in by_key.index:
                rows.append(by_key.loc[(name, "", 0.0)].to_dict() | about | {"budget": "0"})
            for budget in found.settings.budgets(entry):
                attacked, noise = (by_key.loc[(name, one, budget)] for one in (entry.name, entry.noise))
                beside = {"noise_accuracy": noise["accuracy"], "noise_displacement": noise[PLAIN]}
                rows.append(attacked.to_dict() | about | beside | {"budget": f"{budget:g}"})
    return pd.DataFrame(rows)


def printed_strengths(found: Found) -> pd.DataFrame:
    """For each encoder, accuracy and displacement untouched and at every budget of the attack that judges each."""
    table, lines = found.tables["robustness"], list[dict[str, str]]()
    for measure, entry in (("accuracy", found.settings.decider), (PLAIN, found.settings.pusher)):
        rows = table[table["condition"].isin(["", entry.name])].dropna(subset=[measure])
        for name in found.encoders:
            own = rows_where(rows, encoder=name).sort_values("strength", kind="stable")
            shown = {f"{row['strength']:g}": number(row[measure]) for _, row in own.iterrows()}
            told = "accuracy" if measure == "accuracy" else "displacement"
            if shown:
                lines.append({"encoder": name, "what": f"{told}, {entry.name}", **shown})
    return pd.DataFrame(lines)


def beside(cells: Iterable[tuple[tuple[str, ...], str, str]]) -> pd.DataFrame:
    """Cells as a table: of each the row, by the encoder or this and a condition, the heading, and what it reads."""
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for key, heading, text in cells:
        rows.setdefault(key, dict(zip(_KEYS, key, strict=False)))[heading] = text
    return pd.DataFrame(list(rows.values()))


def printed_budgets(found: Found) -> pd.DataFrame:
    """Median budgets; they, and ends of their intervals, that lie beyond the grid are said to."""
    table = found.tables["budgets"]
    medians = []
    for _, row in table.iterrows():
        digits = decisive(row["budget_low"], row["budget_high"])
        median, low, high = (
            f"≥ {row['largest']:g}" if row[name] > row["largest"] else number(row[name], digits)
            for name in headings("budget")
        )
        medians.append(median if low == "–" else f"{median} [{low}, {high}]")
    return table.assign(median=medians)


def printed_rendered(found: Found) -> pd.DataFrame:
    """A row for each encoder, a column for each state of h."""
    called = {"": "h(x)", found.settings.decider.noise: "noise"}
    called |= {name: name for name in (JUDGED, OF_OTHERS, OF_UNTRAINED)}
    cells = []
    for _, row in found.tables["rendered"].iterrows():
        heading = called.get(row["condition"], f"{row['condition']} {row['strength']:g}")
        cells.append(((row["encoder"],), heading, cell(row, "class_seen")))
    return beside(cells)


def printed_effort(found: Found) -> pd.DataFrame:
    """A row for each attack and encoder, a column for each amount of work."""
    table = found.tables["effort"]
    split = [condition.partition(": ") for condition in table["condition"]]
    table = table.assign(attack=[attack for attack, _, _ in split], work=[work for _, _, work in split])
    wide = table.pivot(index=["attack", "encoder"], columns="work", values="found")
    images = table.groupby(["attack", "encoder"])["images"].max()
    every = [(attack, name) for attack in dict.fromkeys(table["attack"]) for name in found.encoders]
    wide = wide.reindex(index=pd.MultiIndex.from_tuples(every, names=["attack", "encoder"]) if every else wide.index)
    wide = wide[list(dict.fromkeys(table["work"]))]
    return wide.assign(images=images.reindex(wide.index, fill_value=0)).reset_index()


def printed_towards(found: Found) -> pd.DataFrame:
    """A row for each encoder and attack, a column for each budget."""
    return beside(
        ((row["encoder"], row["condition"]), f"{row['strength']:g}", cell(row, "covered"))
        for _, row in found.tables["towards"].iterrows()
    )


def printed_transfers(found: Found) -> pd.DataFrame:
    """Of each encoder, the other one whose adversaries do best."""
    table = found.tables["transfers"]
    best = table.loc[table.groupby("encoder", sort=False)["difference"].idxmin()]
    told = [f"{row['source']}: {cell(row, 'transferred')}" for _, row in best.iterrows()]
    return best.assign(best=told, masked=np.where(best["difference_high"] < 0, "yes", "no"))


def printed_gradients(found: Found) -> pd.DataFrame:
    """Whether the attack could see its way, and so can be trusted."""
    table, blind = found.tables["gradients"], {one.name: doubts(found, one.name) for one in found.settings.carrying}
    told = (
        "no" if row["encoder"] in blind[row["condition"]] else "yes" if row["images"] else "–"
        for _, row in table.iterrows()
    )
    return table.assign(trusted=list(told))


def printed_classifiers(found: Found) -> pd.DataFrame:
    """Penalties as powers of ten, and thousands set apart."""
    table = found.tables["classifiers"]
    return table.assign(penalty=table["penalty"].map("{:g}".format), training=table["training"].map("{:,}".format))


PRINTED = {
    "robustness": printed_robustness,
    "strengths": printed_strengths,
    "budgets": printed_budgets,
    "rendered": printed_rendered,
    "effort": printed_effort,
    "towards": printed_towards,
    "transfers": printed_transfers,
    "gradients": printed_gradients,
    "classifiers": printed_classifiers,
}

PAGE: Page = {
    "": [Show("figure", "gains", gains_figure, has_rows("comparison"))],
    "In short": [in_short],
    "Accuracy and displacement against the budget": [
        Show("figure", "robustness", robustness_figure),
        Show("table", "robustness"),
        Show("table", "comparison"),
        Show("text", "whitened", when=parted),
        Show("table", "towards"),
        Show("missing", "decisions", when=lambda found: not are_decided(found)),
    ],
    "What there is to lose": [
        Show("text", "stakes"),
        Show("table", "stakes"),
        Show("missing", "untrained", when=lambda found: bool(floorless(found))),
    ],
    "The smallest budget that flips a decision": [
        Show("missing", "budgets", when=lambda found: found.tables["budgets"].empty),
        Show("figure", "smallest-budget", budgets_figure, lambda found: len(flips(found)) > 0),
        Show("table", "budgets"),
    ],
    "What is drawn from an attacked h": [
        Show("text", "drawn", when=were_drawn),
        Show("missing", "asked", when=lambda found: found.settings.rendered == 0),
        Show("missing", "drawn", when=lambda found: found.settings.rendered > 0 and not were_drawn(found)),
        Show("missing", "undrawn", when=lambda found: bool(undrawn(found))),
        Show("panel", "attacked"),
        Show("panel", "perturbations"),
        Show("figure", "rendered", rendered_figure, has_rows("rendered")),
        Show("table", "rendered"),
        Show("missing", "judge", when=lambda found: were_drawn(found) and found.tables["rendered"].empty),
    ],
    "Can the attacker be trusted?": [
        Show("text", "checks"),
        *(Show("table", name) for name in ("effort", "transfers", "gradients", "controls", "classifiers")),
    ],
}
