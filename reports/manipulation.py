"""The report of the manipulation probe: what is taken out of a representation, put in and turned, and what it does.

`write` turns summary tables, pictures and verdicts into a run folder's ``figures/``, ``tables/`` and ``report.pdf``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from analyses.bootstrap import LEVEL, RESAMPLES
from analyses.findings import ERROR_RATE
from analyses.manipulation import ALL, DIRECTIONS, ENCODED, LEAST_IMAGES, MANIPULATION
from probes.manipulation.editing import EDITS
from probes.manipulation.rule import SPARSE
from reports import blocks, decoder, protocol, style
from reports.figures.grid import draw_panel
from reports.figures.manipulation import draw_edits, draw_responses, draw_side_effects
from reports.invariance import FACTOR_LABELS
from reports.provenance import provenance
from reports.tables import Table, cell, number, p_equals, p_value
from reports.writing import data_name, file_name, head, panel_figures, write_report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from matplotlib.figure import Figure

    from analyses.findings import Verdict
    from probes.panels import Panel
    from reports.blocks import Block

NUMBERS = ("levels", "edits", "removal", "transplant", "directions", "responses")
"""The tables of a run, as files of numbers."""

EDIT_LABELS = dict(
    zip(
        EDITS,
        (
            "own common dimensions removed",
            "as many random ones removed",
            "target's common dimensions put in",
            "as many random ones put in",
            "random ones put in until h moved as far",
        ),
        strict=True,
    )
)
_SERIES = {"common": "common dimensions", "random": "as many random ones"}
_FAR = {"far": "random ones, until h has moved as far"}
_LABELS = {**FACTOR_LABELS, ALL: "mean over factors", ENCODED: "samples, encoded again"}


@dataclass(frozen=True)
class Content:
    """Everything that the report tells, as the floors below give it.

    Args:
        levels: `analyses.manipulation.level_table`.
        edits: `analyses.manipulation.edit_table`.
        removal: `analyses.manipulation.removal_table`; no rows where the data has no known factors.
        transplant: `analyses.manipulation.transplant_table`.
        directions: `analyses.manipulation.direction_table`; no rows where the data has no known factors.
        responses: `analyses.manipulation.response_table`; likewise.
        panels: Grids of images.
        verdicts: From `analyses.manipulation.manipulation_verdicts`.
        run: The content of ``run.json``.
    """

    levels: pd.DataFrame
    edits: pd.DataFrame
    removal: pd.DataFrame
    transplant: pd.DataFrame
    directions: pd.DataFrame
    responses: pd.DataFrame
    panels: Sequence[Panel]
    verdicts: Sequence[Verdict]
    run: Mapping[str, Any]

    @property
    def drawn(self) -> tuple[str, ...]:
        """Levels that were measured, backbone and projector first."""
        return style.ordered_levels(self.levels["level"])

    @property
    def given(self) -> bool:
        """Whether the user gave the image that was manipulated."""
        return bool(self.run["arguments"].get("given"))

    @cached_property
    def printed(self) -> dict[str, Table]:
        """The tables of the report, by name."""
        return printed_tables(self)


def write(folder: Path, content: Content) -> Path:
    """Write the report into a run folder (see `reports.writing`); gives the path of the PDF."""
    return write_report(
        folder,
        figures=figures(content),
        data={name: getattr(content, name) for name in NUMBERS},
        verdicts=content.verdicts,
        printed=content.printed.values(),
        document=document(content),
    )


def figures(content: Content) -> Iterator[tuple[str, Figure]]:
    """The figures of the report with their file names, drawn one by one."""
    yield (
        "transplant",
        draw_edits(
            content.transplant, series={**_SERIES, **_FAR}, labels=_LABELS, unit="share of the way to the target"
        ),
    )
    if len(content.removal):
        yield (
            "removal",
            draw_edits(
                content.removal, series=_SERIES, labels=_LABELS, unit="change, standard deviations (class: share)"
            ),
        )
    if len(content.directions):
        yield "responses", draw_responses(content.responses, labels=_short_labels())
        yield "side-effects", draw_side_effects(content.directions, labels=_short_labels())
    for panel in content.panels:
        yield file_name(panel.name), draw_panel(panel)


def printed_tables(content: Content) -> dict[str, Table]:
    """The tables of the report, by name."""
    made = [_level_table(content), _edit_table(content)]
    made += [_transplant_table(content, level) for level in content.drawn]
    if len(content.removal):
        made += [_removal_table(content, level) for level in content.drawn]
    if len(content.directions):
        made += [_direction_table(content, level) for level in content.drawn]
        made += [_side_table(content, level) for level in content.drawn]
    return {table.name: table for table in made}


def document(content: Content) -> dict[str, Any]:
    """The report as plain data, for ``templates/report.typ``."""
    run = content.run
    encoder = run["arguments"]["encoder"]
    what = f"{run['arguments']['given'][0]}, beside" if content.given else "on"
    made = {
        **head(
            run,
            title=f"What can be taken out of {encoder}, put in and turned",
            subtitle=f"Manipulation of its representations, measured {what} {data_name(run)}",
            keywords=["manipulation", "representation", encoder],
        ),
        "verdicts": [],
        "no-verdict": (
            f"No verdict. The finding is tested over at least {LEAST_IMAGES} images; this report is about "
            f"{'one image' if content.given else 'fewer'}, and its numbers have no intervals that say anything."
        ),
        "figure": _transplant_figure(content),
        "sections": [
            blocks.section("In short", [blocks.points(_in_short(content))]),
            blocks.section("Common dimensions, taken out and put in", _edits(content)),
            blocks.section("Directions of factors", _directions(content)),
            blocks.section("What this report cannot tell", protocol.limits([*_limits(content)])),
            blocks.section("How it was measured", [blocks.points(_protocol(content))]),
            blocks.section("Provenance", provenance(run), new_page=True),
        ],
    }
    return {**made, "verdict-grid": _verdict_grid(content)} if content.verdicts else made


# Parts of the document


def _verdict_grid(content: Content) -> dict[str, Any]:
    by_place = {(verdict.level, verdict.aspect): verdict for verdict in content.verdicts}
    aspects = [aspect for aspect in (MANIPULATION, DIRECTIONS) if any(v.aspect == aspect for v in content.verdicts)]
    rules = dict.fromkeys(verdict.rule for verdict in content.verdicts)
    columns = {
        MANIPULATION: "common dimensions take more of the target along",
        DIRECTIONS: "a direction changes its own factor most",
    }
    return {
        "claim": (
            "Finding 4. The representation has a structure that can be explored: manipulated, it gives images that "
            f"change as one would expect. Here: {content.run['arguments']['encoder']}, level by level."
        ),
        "columns": [columns[aspect] for aspect in aspects],
        "rows": [
            {"name": level, "cells": [_verdict_cell(by_place.get((level, aspect))) for aspect in aspects]}
            for level in content.drawn
        ],
        "rule": " ".join(rules),
    }


def _verdict_cell(verdict: Verdict | None) -> dict[str, str] | str:
    if verdict is None:
        return "not measured"
    return {
        "word": verdict.word,
        "value": number(verdict.value),
        "interval": f"[{number(verdict.low)}, {number(verdict.high)}]",
        "test": f"p {p_equals(verdict.p_value)}, {verdict.n} images",
    }


def _transplant_figure(content: Content) -> Block:
    return blocks.figure(
        "transplant",
        "How far on the way to the target the target's dimensions take what is drawn.",
        "Into the h of each image, dimensions of another image, the target, are put: those that the target has in "
        "common with its nearest neighbours (filled), as many random ones (open), and random ones until h has moved as "
        "far (crosses). Factors are read by the judge off samples from equal noise; in the last row the samples are "
        "encoded again. Lines are 95% bootstrap intervals over images.",
        "0 leaves the factor as it was in the image, 1 takes it to the target. Filled to the right of open is a "
        "representation that keeps what an image shares with its neighbours in dimensions of its own.",
    )


def _in_short(content: Content) -> list[str]:
    out = [verdict.sentence for verdict in content.verdicts]
    for _, row in content.levels.iterrows():
        size = content.run["encoder_card"].get("levels", {}).get(row["level"], "")
        how = (
            "so that the paper's rule applies: a dimension is active where it is not zero"
            if row["rule"] == "non-zero"
            else f"too few for the paper's rule: a dimension is active beyond the {_quantile(content)} quantile"
        )
        out.append(
            f"{row['zeros']:.0%} of the numbers of the {row['level']} are exact zeros, {how}. Of its {size} "
            f"dimensions, {number(row['own'], 0)} are common to an image and its neighbours (median)."
        )
    return out


def _edits(content: Content) -> list[Block]:
    printed = content.printed
    out: list[Block] = [
        *panel_figures(panel for panel in content.panels if panel.name.startswith("edits")),
        blocks.table(printed["levels"]),
        blocks.table(printed["edits"]),
        *(blocks.table(printed[f"transplant-{file_name(level)}"]) for level in content.drawn),
    ]
    if content.removal.empty:
        return [
            *out,
            blocks.missing(
                "Factors were not read.",
                "That needs images of which position, colour, pose and so on are known, as the embedded fashion scenes "
                "have them: run the probe on the same encoder with --data scenes. Here, what changes is measured on "
                "the samples encoded again.",
            ),
        ]
    return [
        *out,
        blocks.figure(
            "removal",
            "How much each factor changes where dimensions are removed.",
            "Mean absolute change of each factor, read off samples from equal noise, in standard deviations of the "
            "factor over images (of the class: share of images that show another one). Filled: the dimensions that an "
            "image has in common with its neighbours are removed; open: as many random ones. Lines are 95% bootstrap "
            "intervals over images.",
            "Far to the right and filled: what the neighbours share carries this factor.",
        ),
        *(blocks.table(printed[f"removal-{file_name(level)}"]) for level in content.drawn),
        *_undrawn(content),
    ]


def _directions(content: Content) -> list[Block]:
    if content.directions.empty:
        return [
            blocks.missing(
                "No directions were sought.",
                "That needs known factors, to which a readout can be fitted: run the probe with --data scenes.",
            )
        ]
    printed = content.printed
    return [
        blocks.text(
            "A ridge regression reads a factor from h. Its direction is the way in which h changes, over images, where "
            "that readout does; a step of one is one standard deviation of the readout. Moved along it, h should be "
            "drawn with more of the factor, and with nothing else changed."
        ),
        *panel_figures(panel for panel in content.panels if panel.name.startswith("directions")),
        blocks.figure(
            "responses",
            "How each factor follows its own direction.",
            "Mean change of the factor that is read off the samples, in its standard deviations over images, against "
            "how far h was moved along the factor's direction; with 95% bootstrap bands over images. Circular factors "
            "are moved around their circle.",
            "A rising line is a knob: the factor turns with it. A flat one is a factor that the level does not hold, "
            "holds in another form, or that the decoder does not draw.",
        ),
        blocks.figure(
            "side-effects",
            "What each direction changes, itself and besides.",
            "Rows: the factor along whose direction h is moved. Columns: the factor that is read off the samples. "
            "Numbers: its change for each standard deviation, in its own standard deviations; red grows, blue falls. "
            "The last column is the share of images that show another class, for each standard deviation.",
            "A clean direction has its one dark cell on the diagonal, in bold; what is dark besides is a side effect.",
        ),
        *(blocks.table(printed[f"directions-{file_name(level)}"]) for level in content.drawn),
        *(blocks.table(printed[f"side-effects-{file_name(level)}"]) for level in content.drawn),
    ]


def _undrawn(content: Content) -> list[Block]:
    undrawn = [level for level in content.run["encoder_card"].get("levels", ()) if level not in content.drawn]
    return [decoder.undrawn(undrawn, content.run)] if undrawn else []


def _limits(content: Content) -> Iterator[str]:
    yield protocol.OF_SAMPLES
    yield (
        "Common dimensions are those in which a target stands out, so that putting them in moves h further than as "
        "many random ones do. The control that moves h as far tells how much of the gain that is; the verdict is about "
        "as many, as the protocol states."
    )
    yield (
        "A manipulated h may be one that no image has. What is drawn from it then also shows how the decoder answers "
        "to what it has not seen."
    )
    if len(content.directions):
        yield (
            "A direction is linear and the same for all images. Factors of the scenes are independent of each other; "
            "where factors of other data go together, so will their directions."
        )
    yield protocol.OF_SCENES
    yield protocol.OF_INTERVALS


def _protocol(content: Content) -> list[str]:
    arguments = content.run["arguments"]
    out = [
        f"Common dimensions. Of the {arguments['neighbours']} nearest neighbours of h among "
        f"{arguments['gallery']:,} images (without the image itself), the dimensions that are active in more than "
        f"{arguments['shared']}. Where at least {SPARSE:.0%} of a level's numbers are exact zeros, active is what is "
        "not zero: the paper's rule. Where fewer are, that would be nearly every dimension whatever the image, and "
        f"active is what lies above the {_quantile(content)} quantile of the gallery or below its mirror image, in so "
        "many neighbours on the same side.",
        "Removal. The image's own common dimensions are set to zero where the level is sparse, else to the median of "
        "the gallery. Control: as many random dimensions.",
        "Transplant. The target's common dimensions take the target's values; all others stay. Controls: as many "
        "random dimensions, and random ones in the same order until h has moved as far.",
        "Samples. An RCDM generates images from h alone, without guidance; all versions of one image start from equal "
        "noise.",
        "Share of the way. Between the samples of h and of the target's h a factor differs by a vector g (circular "
        "ones as cosine and sine), an edit moves it by d: the share is the sum of d·g over that of g·g, over images. "
        "Of the class it is the share of images that show the target's class, among those that did not.",
        "Directions. A ridge regression on standardised h, its penalty chosen by leaving one out, is fitted on images "
        "of the gallery that are not moved. The direction is the regression of h on its readout (the pattern of Haufe "
        "et al. 2014), so that a move by one standard deviation of the readout changes it by just that. Circular "
        "factors, read as cosine and sine, are moved at right angles to the radius. The change for each standard "
        "deviation is the slope through the origin over all strengths, image by image.",
        f"Uncertainty. {LEVEL:.0%} percentile bootstrap over images, {RESAMPLES:,} resamples. Comparisons are paired "
        "over images: Wilcoxon signed-rank, two-sided, Holm-corrected over the factors of a level; effects as "
        f"matched-pairs rank-biserial correlation. The error rate of a verdict is {ERROR_RATE}.",
        "Finding 4 is that of Bordes, Balestriero and Vincent, High Fidelity Visualization of What Your "
        "Self-Supervised Representation Knows About, TMLR 2022 (arXiv 2112.09164).",
    ]
    if content.given:
        out.append("One image was given: its numbers are of that image alone, each the mean over its samples.")
    return out


# Tables


def _level_table(content: Content) -> Table:
    return Table(
        name="levels",
        caption=(
            "Which dimensions are common. Share of exact zeros, the rule that follows from it, and how many dimensions "
            "an image, and its target, have in common with their neighbours (median over images)."
        ),
        columns=("level", "dimensions", "exact zeros", "rule", "common, image", "common, target", "images"),
        rows=tuple(
            (
                row["level"],
                str(content.run["encoder_card"].get("levels", {}).get(row["level"], "–")),
                f"{row['zeros']:.0%}",
                "not zero" if row["rule"] == "non-zero" else f"{_quantile(content)} quantile",
                number(row["own"], 0),
                number(row["target"], 0),
                str(row["images"]),
            )
            for _, row in content.levels.iterrows()
        ),
    )


def _edit_table(content: Content) -> Table:
    return Table(
        name="edits",
        caption=(
            "How far each edit moves h, and what is drawn. Median distance from h, over the typical distance of two "
            "images (0 unchanged, 1 another image), and the same of the samples encoded again, with 95% bootstrap "
            "intervals over images."
        ),
        columns=("level", "edit", "h moves", "samples move"),
        rows=tuple(
            (row["level"], EDIT_LABELS[row["edit"]], cell(row, "moved"), cell(row, "drawn"))
            for _, row in content.edits.iterrows()
        ),
    )


def _transplant_table(content: Content, level: str) -> Table:
    return Table(
        name=f"transplant-{file_name(level)}",
        caption=(
            f"Share of the way to the target, {level}. By the target's common dimensions, as many random ones, and "
            "random ones until h has moved as far; the gain is common minus as many random, with its two-sided "
            "Wilcoxon signed-rank p, Holm-corrected over the rows but the mean (uncorrected there). Effect: "
            "rank-biserial correlation. In brackets, 95% bootstrap intervals over images."
        ),
        columns=("factor", "common", "random", "as far", "gain", "p (Holm)", "effect"),
        rows=tuple(
            (
                label,
                *(cell(row, name) for name in ("common", "random", "far", "gain")),
                p_value(row["p_holm"]),
                number(row["effect"]),
            )
            for label, row in _of_level(content.transplant, level)
        ),
    )


def _removal_table(content: Content, level: str) -> Table:
    return Table(
        name=f"removal-{file_name(level)}",
        caption=(
            f"Change where dimensions are removed, {level}. Mean absolute change in standard deviations of the factor "
            "(class: share of images that show another one), by common and by as many random dimensions; two-sided "
            "Wilcoxon signed-rank p of the difference, Holm-corrected over the factors; effect: rank-biserial "
            "correlation. In brackets, 95% bootstrap intervals over images."
        ),
        columns=("factor", "common", "random", "difference", "p (Holm)", "effect"),
        rows=tuple(
            (
                label,
                *(cell(row, name) for name in ("common", "random", "difference")),
                p_value(row["p_holm"]),
                number(row["effect"]),
            )
            for label, row in _of_level(content.removal, level)
        ),
    )


def _direction_table(content: Content, level: str) -> Table:
    rows = content.directions[content.directions["level"] == level]
    lines = []
    for factor in FACTOR_LABELS:
        effects = rows[rows["moved"] == factor].set_index("read")
        if effects.empty:
            continue
        own = effects.loc[factor]
        others = effects.drop(index=[factor, "class"])
        most = others.loc[others["change"].abs().idxmax()]
        lines.append(
            (
                _short(factor),
                number(own["readable"]),
                cell(own, "change"),
                p_value(own["p_holm"]),
                f"{_short(str(most.name))} {cell(most, 'change')}{_star(most)}",
                cell(effects.loc["class"], "change"),
            )
        )
    return Table(
        name=f"directions-{file_name(level)}",
        caption=(
            f"Directions of factors, {level}. R² of the linear readout (leave one out); change of the factor for each "
            "standard deviation that h is moved, in its own standard deviations; the largest side effect; and the "
            "share of images that show another class. p: two-sided Wilcoxon signed-rank, Holm-corrected over all pairs "
            f"of factors; an asterisk marks a side effect with p below {ERROR_RATE}. In brackets, 95% bootstrap "
            "intervals over images."
        ),
        columns=("factor", "R²", "own change", "p (Holm)", "largest side effect", "class changes"),
        rows=tuple(lines),
    )


def _side_table(content: Content, level: str) -> Table:
    rows = content.directions[content.directions["level"] == level].set_index(["moved", "read"])
    moved = [factor for factor in FACTOR_LABELS if factor in set(rows.index.get_level_values("moved"))]
    read = [*moved, "class"]
    return Table(
        name=f"side-effects-{file_name(level)}",
        caption=(
            f"Side effects, {level}. Row: moved; column: read off the samples; change for each standard deviation, in "
            "standard deviations of the factor read (class: share of images that show another one). An asterisk marks "
            f"Holm-corrected p below {ERROR_RATE}; intervals are in tables/directions.csv."
        ),
        columns=("moved", *(_short(factor) for factor in read)),
        rows=tuple(
            (
                _short(factor),
                *(number(rows.loc[(factor, other), "change"]) + _star(rows.loc[(factor, other)]) for other in read),
            )
            for factor in moved
        ),
    )


# Words


def _of_level(table: pd.DataFrame, level: str) -> Iterator[tuple[str, pd.Series]]:
    """Rows of a level in the order in which factors are printed, with their labels."""
    rows = table[table["level"] == level].set_index("factor")
    for factor in _LABELS:
        if factor in rows.index:
            yield _short(factor), rows.loc[factor]


def _star(effect: pd.Series) -> str:
    return "*" if effect["p_holm"] < ERROR_RATE else ""


def _short(factor: str) -> str:
    return factor.replace("background_hue", "backgr. hue")


def _short_labels() -> dict[str, str]:
    return {factor: _short(factor) for factor in FACTOR_LABELS}


def _quantile(content: Content) -> str:
    return f"{content.run['arguments']['quantile']:g}"
