"""The tables and verdicts of the manipulation probe, each a function of its records alone.

A number ``x`` with its 95% bootstrap interval is three columns, ``x``, ``x_low`` and ``x_high``; ``images`` is how many
it rests on. Several samples of one image are averaged before anything else.

*Change* of a factor is in standard deviations of the factor over images, signed, circular factors the shorter way
round; of the class it is whether another one is seen.

*Share of the way.* Between a sample of ``h`` and one of the target's ``h``, from equal noise, a factor differs by a
vector ``g`` (of one number, or of cosine and sine). An edit moves it by ``d``. Over images,

    share = sum d.g / sum g.g,

the slope of the regression of ``d`` on ``g``: 0 where the edit leaves the factor as it was, 1 where it takes it to the
target. Of the class it is the share of images that now show the target's class, among those that did not. The same
with representations of the samples, encoded again, in place of a factor, measures what no factor names.

The verdicts (finding 4: the representation has a structure that can be explored) are stated here, before any encoder is
measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyses.bootstrap import RESAMPLES, Estimate, interval
from analyses.by_image import by_image
from analyses.findings import ERROR_RATE, Verdict, Word, p_text
from analyses.paired import holm, rank_biserial, signed_rank
from analyses.statistics import mean, median, ratio
from probes.manipulation.rule import is_sparse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyses.statistics import Array

ALL, ENCODED = "all factors", "encoded again"
"""What stands in the column ``factor`` for the mean over the factors, and for the samples' own representation."""

LEAST_IMAGES = 20
"""Below, there is no verdict."""

_COMPONENTS = r"\.(?:cos|sin)$"


# Tables


def level_table(records: pd.DataFrame) -> pd.DataFrame:
    """What the rule found at each level.

    Returns:
        One row a ``level``: ``zeros``, the share of exact zeros; ``rule``, ``non-zero`` or ``quantile``; medians over
        images of the number of common dimensions of the image (``own``) and of its target; ``images``.
    """
    lines = []
    for level, rows in _rows(records, "zeros", "dimensions").groupby("level", sort=False):
        zeros = float(_rows(rows, "zeros")["value"].iloc[0])
        counts = by_image(_rows(rows, "dimensions"), "condition")
        line = {"level": level, "zeros": zeros, "rule": "non-zero" if is_sparse(zeros) else "quantile"}
        lines.append({**line, **counts[["own", "target"]].median().to_dict(), "images": len(counts)})
    return pd.DataFrame(lines, columns=["level", "zeros", "rule", "own", "target", "images"])


def edit_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """How far each edit moves ``h``, and the samples drawn from it.

    Returns:
        One row a (``level``, ``edit``): medians ``moved`` of the relative displacement of ``h``, ``drawn`` of that of
        the samples encoded again; ``images``.
    """
    lines = []
    measures = {"moved": "edited_displacement", "drawn": "sample_displacement"}
    for (level, edit), rows in _rows(records, *measures.values()).groupby(["level", "condition"], sort=False):
        values = {name: _by_image_mean(_rows(rows, measure)) for name, measure in measures.items()}
        found = {name: interval(part, median, resamples=resamples, seed=seed) for name, part in values.items()}
        lines.append({"level": level, "edit": edit, **_columns(found), "images": found["moved"].n})
    return pd.DataFrame(lines, columns=["level", "edit", *_headings(*measures), "images"])


def removal_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """How much each factor changes where dimensions are removed, common ones against as many random ones.

    Returns:
        One row a (``level``, ``factor``): means ``common`` and ``random`` of the absolute change, of the class the
        share of images that show another one; ``difference`` of the two; ``p_value`` (two-sided Wilcoxon signed-rank),
        ``p_holm`` over the factors of the level; ``effect`` (rank-biserial); ``images``.
    """
    lines = []
    for level, rows in records.groupby("level", sort=False):
        before = _readings(_rows(rows, "rendered_untouched"))
        changes = {
            name: _readings(_rows(rows, f"rendered_{edit}"))
            for name, edit in (("common", "removed"), ("random", "removed_random"))
        }
        spreads = _spreads(records)
        for factor, start in before.items():
            moved = {
                name: np.abs(_change(factor, start, after[factor])).mean(1) / spreads.get(factor, 1.0)
                for name, after in changes.items()
            }
            difference = moved["common"] - moved["random"]
            found = {
                name: interval(values, mean, resamples=resamples, seed=seed)
                for name, values in {**moved, "difference": difference}.items()
            }
            lines.append({"level": level, "factor": factor, **_columns(found), **_test(difference)})
    names = ["level", "factor", *_headings("common", "random", "difference"), *_TEST]
    return _corrected(pd.DataFrame(lines, columns=names), ["level"])


def transplant_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """How far each factor is taken towards the target by transplanted dimensions, common ones against random ones.

    Returns:
        One row a (``level``, ``factor``), ``encoded again`` and, where factors are known, ``all factors`` among them:
        the shares of the way ``common``, ``random`` (as many dimensions) and ``far`` (random ones, until ``h`` moved as
        far); ``gain``, common minus random, and ``gain_far``, common minus far; ``p_value`` of the gain (two-sided
        Wilcoxon signed-rank on its summands), ``p_holm`` over the factors of the level (the row of all factors is no
        member of the family and keeps its own); ``effect`` (rank-biserial); ``images``.
    """
    lines = []
    for level, rows in _rows(records, *_TRANSPLANT_MEASURES).groupby("level", sort=False):
        ways = dict(_ways(rows))
        factors = [factor for factor in ways if factor != ENCODED]
        for factor, way in ways.items():
            lines.append({"level": level, "factor": factor, **_shares(way[:, None], resamples, seed)})
        if factors:
            together = np.stack([ways[factor] for factor in factors], axis=1)
            lines.append({"level": level, "factor": ALL, **_shares(together, resamples, seed)})
    names = ["level", "factor", *_headings("common", "random", "far", "gain", "gain_far"), *_TEST]
    table = pd.DataFrame(lines, columns=names)
    single = table["factor"] != ALL
    corrected = _corrected(table[single], ["level"])["p_holm"]
    return table.assign(p_holm=corrected.reindex(table.index).where(single, table["p_value"]))


def direction_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """What moving along the direction of a factor does to it and to every other one: the table of side effects.

    Of each image, the change of the factor that is read is regressed, through the origin, on how far ``h`` was moved;
    the table holds the mean of the slopes.

    Returns:
        One row a (``level``, ``moved``, ``read``): ``change`` of the factor read, in its standard deviations, for each
        standard deviation of the readout (of the class: share of images that show another one, for each standard
        deviation in either sense); ``readable``, the R2 of the readout; ``p_value`` (two-sided Wilcoxon signed-rank
        against 0; none for the class, which cannot be below), ``p_holm`` over the level; ``effect``; ``images``.
    """
    lines = []
    for level, slopes in _slopes(records).items():
        readable = _rows(records[records["level"] == level], "readable").set_index("condition")["value"]
        for (moved, read), values in slopes.items():
            change = interval(values, mean, resamples=resamples, seed=seed)
            test = _test(values)
            if read == "class":
                test |= {"p_value": np.nan, "effect": np.nan}
            keys = {"level": level, "moved": moved, "read": read}
            lines.append({**keys, **change.columns("change"), "readable": readable[moved], **test})
    names = ["level", "moved", "read", *_headings("change"), "readable", *_TEST]
    return _corrected(pd.DataFrame(lines, columns=names), ["level"])


def response_table(records: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """How each factor follows its own direction, against how far ``h`` is moved.

    Returns:
        One row a (``level``, ``factor``, ``strength``), strengths ascending: mean ``change`` in standard deviations of
        the factor; ``images``.
    """
    lines = []
    for level, changes in _changes(records).items():
        for (moved, read), by_strength in changes.items():
            if moved != read:
                continue
            for strength, values in sorted(by_strength.items()):
                change = interval(values, mean, resamples=resamples, seed=seed)
                keys = {"level": level, "factor": moved, "strength": strength}
                lines.append({**keys, **change.columns("change"), "images": change.n})
    return pd.DataFrame(lines, columns=["level", "factor", "strength", *_headings("change"), "images"])


# Verdicts

MANIPULATION, DIRECTIONS = "manipulation", "directions"
"""The two aspects of the finding."""

_WORD_RULE = (
    "Supported where the whole 95% interval lies above 0 and the two-sided Wilcoxon signed-rank p, Holm-corrected over "
    f"the levels, is below {ERROR_RATE}; not supported where it lies below 0 with p below {ERROR_RATE}; else "
    "inconclusive."
)
_RULES = {
    MANIPULATION: (
        "The share of the way to the target that transplanting the target's common dimensions takes what is drawn, "
        "minus that of as many random dimensions; mean over the factors, where there are any, else of the samples "
        "encoded again. "
    ),
    DIRECTIONS: (
        "Along the direction of a factor, the change of that factor for each standard deviation, minus the mean "
        "absolute change of the other factors; mean over the factors. Noise alone gives a value below 0. "
    ),
}


def manipulation_verdicts(
    records: pd.DataFrame, *, is_ssl: bool, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[Verdict, ...]:
    """Finding 4 by manipulation, for each level of the encoder of the records and both aspects.

    Args:
        records: Records of the manipulation probe, of one encoder.
        is_ssl: Whether the encoder is self-supervised: the paper's claim is about those.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resamples.

    Returns:
        The verdicts that the records allow: at least `LEAST_IMAGES` images; for the directions, known factors.
    """
    if records.empty:
        return ()
    encoder = str(records["encoder"].iloc[0])
    aside = "" if is_ssl else " (shown for comparison: the paper claims it of self-supervised encoders)"
    found = [
        *_transplanted(records, encoder, aside, resamples, seed),
        *_directed(records, encoder, aside, resamples, seed),
    ]
    return tuple(found)


def _transplanted(
    records: pd.DataFrame, encoder: str, aside: str, resamples: int, seed: int
) -> Iterator[Verdict]:  # fmt: skip
    table = transplant_table(records, resamples=resamples, seed=seed)
    moved = edit_table(records, resamples=resamples, seed=seed).set_index(["level", "edit"])["moved"]
    by_factors = (table["factor"] == ALL).any()
    rows = table[(table["factor"] == (ALL if by_factors else ENCODED)) & (table["images"] >= LEAST_IMAGES)]
    what = "the factors of what is drawn" if by_factors else "what is drawn, encoded again,"
    for (_, row), p in zip(rows.iterrows(), holm(rows["p_value"]), strict=True):
        level, gain = row["level"], _estimate(row, "gain")
        word = _word(gain, p)
        yield Verdict(
            finding=4,
            claim=(
                f"At the {level} of {encoder}, the dimensions that a target shares with its neighbours take more of "
                f"the target with them than as many random dimensions{aside}."
            ),
            encoder=encoder,
            word=word,
            statistic=(
                f"{MANIPULATION}: share of the way to the target, common minus random dimensions, "
                f"{'mean over factors' if by_factors else 'of the samples encoded again'}"
            ),
            value=gain.value,
            low=gain.low,
            high=gain.high,
            p_value=float(p),
            n=gain.n,
            rule=_RULES[MANIPULATION] + _WORD_RULE,
            sentence=(
                f"Put into another image's h at the {level}, a target's common dimensions take {what} "
                f"{_estimate(row, 'common')} of the way to the target, as many random ones {_estimate(row, 'random')}: "
                f"{_signed(gain)} ({gain.n} images, {p_text(p)}, rank-biserial {row['effect']:.2f}). They move h "
                f"itself by {moved[level, 'transplanted']:.2f} and {moved[level, 'transplanted_random']:.2f} of the "
                f"distance to another image; beside random dimensions that move it as far, the gain is "
                f"{_signed(_estimate(row, 'gain_far'))}."
            ),
            aspect=MANIPULATION,
            level=level,
        )


def _directed(records: pd.DataFrame, encoder: str, aside: str, resamples: int, seed: int) -> Iterator[Verdict]:
    own, side = {}, {}
    for level, slopes in _slopes(records).items():
        numbers = {key: values for key, values in slopes.items() if key[1] != "class"}
        own[level] = np.mean([values for (moved, read), values in numbers.items() if moved == read], axis=0)
        side[level] = np.mean([np.abs(values) for (moved, read), values in numbers.items() if moved != read], axis=0)
    levels = [level for level in own if len(own[level]) >= LEAST_IMAGES]
    p_values = holm([signed_rank(own[level] - side[level]) for level in levels])
    for level, p in zip(levels, p_values, strict=True):
        difference = own[level] - side[level]
        gain, itself, others = (
            interval(values, mean, resamples=resamples, seed=seed) for values in (difference, own[level], side[level])
        )
        yield Verdict(
            finding=4,
            claim=(
                f"At the {level} of {encoder}, moving along the linear direction of a factor changes that factor in "
                f"what is drawn, by more than it changes others{aside}."
            ),
            encoder=encoder,
            word=_word(gain, p),
            statistic=f"{DIRECTIONS}: own change minus mean absolute change of the others, for each standard deviation",
            value=gain.value,
            low=gain.low,
            high=gain.high,
            p_value=float(p),
            n=gain.n,
            rule=_RULES[DIRECTIONS] + _WORD_RULE,
            sentence=(
                f"One standard deviation along a factor's direction at the {level} changes the factor by {itself} of "
                f"its own standard deviations in what is drawn, and another factor by {others} in either sense: "
                f"{_signed(gain)} ({gain.n} images, {p_text(p)}, rank-biserial {rank_biserial(difference):.2f})."
            ),
            aspect=DIRECTIONS,
            level=level,
        )


def _word(gain: Estimate, p: float) -> Word:
    certain = p < ERROR_RATE
    return "supported" if certain and gain.low > 0 else "not supported" if certain and gain.high < 0 else "inconclusive"


def _signed(gain: Estimate) -> str:
    return f"{gain.value:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}]"


# From records to arrays

_TRANSPLANT_EDITS = {"common": "transplanted", "random": "transplanted_random", "far": "transplanted_far"}
_TRANSPLANT_MEASURES = (
    "sample_gap", "sample_progress", "rendered_untouched", "rendered_target",
    *(f"rendered_{edit}" for edit in _TRANSPLANT_EDITS.values()),
)  # fmt: skip
_TEST = ("p_value", "p_holm", "effect", "images")


def _ways(rows: pd.DataFrame) -> Iterator[tuple[str, Array]]:
    """Of each factor, and of the samples encoded again, ``[N, 4]``: progress of the three edits, and the whole way."""
    start, end = (_readings(_rows(rows, f"rendered_{version}")) for version in ("untouched", "target"))
    edits = {name: _readings(_rows(rows, f"rendered_{edit}")) for name, edit in _TRANSPLANT_EDITS.items()}
    for factor in start:
        gap, moves = _gap(factor, start[factor], end[factor]), []
        for after in edits.values():
            if factor == "class":
                moves.append((after[factor] == end[factor])[..., 0] & (gap > 0))
            else:
                moves.append(((after[factor] - start[factor]) * (end[factor] - start[factor])).sum(2))
        yield factor, np.stack([*moves, gap], axis=-1).astype(np.float64).mean(1)
    progress = _rows(rows, "sample_progress")
    columns = [progress[progress["condition"] == edit] for edit in _TRANSPLANT_EDITS.values()]
    yield ENCODED, np.stack([_by_image_mean(part) for part in (*columns, _rows(rows, "sample_gap"))], axis=-1)


def _gap(factor: str, start: Array, end: Array) -> Array:
    """Squared length of the way to the target, ``[N, K]``; of the class, whether it differs."""
    return (start != end)[..., 0] if factor == "class" else np.square(end - start).sum(2)


def _shares(ways: Array, resamples: int, seed: int) -> dict[str, float]:
    """Shares, gains and test of ``[N, F, 4]``, averaged over the F factors."""
    common, random, far, gap = np.moveaxis(ways, -1, 0)
    parts = {"common": common, "random": random, "far": far, "gain": common - random, "gain_far": common - far}
    found = {
        name: interval(np.stack([part, gap], axis=-1), _mean_ratio, resamples=resamples, seed=seed)
        for name, part in parts.items()
    }
    scale = gap.mean(0)
    summands = np.divide(common - random, scale, out=np.zeros_like(common), where=scale > 0).mean(1)
    return {**_columns(found), **_test(summands)}


def _mean_ratio(values: Array, counts: Array) -> Array:
    """Mean over factors of the `ratio` of ``values [N, F, 2]``; factors without a way do not count."""
    ratios = np.stack([ratio(values[:, factor], counts) for factor in range(values.shape[1])])
    known = ~np.isnan(ratios)
    return np.divide(
        np.where(known, ratios, 0).sum(0), known.sum(0), out=np.full(len(counts), np.nan), where=known.any(0)
    )


def _changes(records: pd.DataFrame) -> dict[str, dict[tuple[str, str], dict[float, Array]]]:
    """By level, (factor moved, factor read) and strength: the change of each image, ``[N]``."""
    spreads, out = _spreads(records), {}
    for level, rows in _rows(records, "rendered_moved", "rendered_untouched").groupby("level", sort=False):
        steps = _rows(rows, "rendered_moved")
        if steps.empty:
            continue
        steps = steps.assign(
            moved=steps["condition"].str.partition(" > ")[0], condition=steps["condition"].str.partition(" > ")[2]
        )
        before = _rows(rows, "rendered_untouched")
        start = _readings(before[before["image"].isin(steps["image"].unique())])
        found: dict[tuple[str, str], dict[float, Array]] = {}
        for (moved, strength), part in steps.groupby(["moved", "strength"], sort=False):
            for read, after in _readings(part).items():
                change = _change(read, start[read], after).mean(1) / spreads.get(read, 1.0)
                found.setdefault((moved, read), {})[float(strength)] = change
        out[str(level)] = found
    return out


def _slopes(records: pd.DataFrame) -> dict[str, dict[tuple[str, str], Array]]:
    """By level and (factor moved, factor read): the change for each standard deviation, of each image, ``[N]``."""
    out: dict[str, dict[tuple[str, str], Array]] = {}
    for level, found in _changes(records).items():
        out[level] = {}
        for (moved, read), by_strength in found.items():
            strengths = np.array(list(by_strength))
            weights = np.abs(strengths) if read == "class" else strengths
            out[level][moved, read] = weights @ np.stack(list(by_strength.values())) / np.square(strengths).sum()
    return out


def _readings(rows: pd.DataFrame) -> dict[str, Array]:
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


def _change(factor: str, start: Array, end: Array) -> Array:
    """Signed change of readings ``[N, K, C]``, ``[N, K]``: circular ones in turns; of the class, whether it differs."""
    if factor == "class":
        return (start != end)[..., 0].astype(np.float64)
    if start.shape[2] == 1:
        return (end - start)[..., 0]
    turns = [np.arctan2(values[..., 1], values[..., 0]) / (2 * np.pi) for values in (start, end)]
    difference = turns[1] - turns[0]
    return difference - np.rint(difference)


def _spreads(records: pd.DataFrame) -> dict[str, float]:
    rows = _rows(records, "spread")
    return dict(zip(rows["condition"], rows["value"], strict=True))


def _by_image_mean(rows: pd.DataFrame) -> Array:
    """Mean over the samples of each image, ``[N]``, images ascending."""
    return rows.groupby("image")["value"].mean().sort_index().to_numpy()


def _test(differences: Array) -> dict[str, float]:
    return {
        "p_value": signed_rank(differences), "p_holm": np.nan, "effect": rank_biserial(differences),
        "images": len(differences),
    }  # fmt: skip


def _corrected(table: pd.DataFrame, family: list[str]) -> pd.DataFrame:
    """The table with ``p_holm`` over the rows of each family."""
    if table.empty:
        return table
    return table.assign(p_holm=table.groupby(family, sort=False)["p_value"].transform(holm))


def _estimate(row: pd.Series, name: str) -> Estimate:
    return Estimate(row[name], row[f"{name}_low"], row[f"{name}_high"], int(row["images"]))


def _columns(found: dict[str, Estimate]) -> dict[str, float]:
    return {column: value for name, estimate in found.items() for column, value in estimate.columns(name).items()}


def _headings(*names: str) -> list[str]:
    return [column for name in names for column in Estimate(0, 0, 0, 0).columns(name)]


def _rows(records: pd.DataFrame, *measures: str) -> pd.DataFrame:
    return records[records["measure"].isin(measures)]
