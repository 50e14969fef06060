"""The report of the invariance probe: figures, tables and a PDF that says what an encoder keeps and what it drops.

`write` turns summary tables, pictures and verdicts into a run folder's ``figures/``, ``tables/`` and ``report.pdf``.
What a run could not measure (no projector, no RCDM, no known factors) is named in the report, with the way to get it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from analyses.findings import ERROR_RATE, NEGLIGIBLE, Verdict
from probes.panels import Panel
from probes.transformations import TRANSFORMATIONS
from rcdm_core.encoders.catalogue import EMBEDDED
from reports import blocks, decoder, protocol, style
from reports.figures.displacement import draw_displacement
from reports.figures.dose_response import draw_dose_response
from reports.figures.factors import draw_factors
from reports.figures.grid import draw_panel
from reports.figures.maps import draw_maps
from reports.provenance import provenance
from reports.tables import Table, cell, interval, number, p_value
from reports.writing import data_name, file_name, head, panel_figures, sentence, verdict_box, write_report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from matplotlib.figure import Figure

    from probes.panels import Map
    from reports.blocks import Block

DOSES = "doses"  # the panel that shows the transformations themselves; the only one that needs no RCDM
LACKING = "samples from each level, the factors that are rendered in them, and what h leaves open (variance)"
SHOWN_SAMPLES = 4  # of each level, in the figure that shows all levels

NO_VERDICT = (
    "No verdict. The findings are about the backbone, alone and beside the projector, under the augmentations of "
    "training; they were not measured together in this run."
)
NUMBERS = ("displacement", "readability", "factors", "variance", "comparison")  # the tables of `Content`

FACTOR_LABELS = {
    "class": "class of the garment",
    "hue": "hue of the garment",
    "background_hue": "hue of the background",
    "brightness": "brightness of the background",
    "direction": "direction of the gradient",
    "x": "x (left to right)",
    "y": "y (top to bottom)",
    "scale": "scale",
    "angle": "angle",
}


@dataclass(frozen=True)
class Content:
    """Everything that the report tells, as the floors below give it.

    Args:
        displacement: `analyses.invariance.displacement_table`.
        readability: `analyses.invariance.readability_table`.
        factors: `analyses.invariance.factor_table`; no rows where the data has no known factors.
        variance: `analyses.invariance.variance_table`; no rows without an RCDM.
        comparison: `analyses.invariance.comparison_table`; no rows without two levels.
        panels: Grids of images; none without an RCDM.
        maps: Maps over pixels; none without an RCDM.
        verdicts: From `analyses.findings.invariance_verdicts`.
        trained: Names of the transformations that the encoder was trained with.
        run: The content of ``run.json``.
    """

    displacement: pd.DataFrame
    readability: pd.DataFrame
    factors: pd.DataFrame
    variance: pd.DataFrame
    comparison: pd.DataFrame
    panels: Sequence[Panel]
    maps: Sequence[Map]
    verdicts: Sequence[Verdict]
    trained: Sequence[str]
    run: Mapping[str, Any]

    @property
    def levels(self) -> tuple[str, ...]:
        """Levels that were measured, backbone and projector first."""
        return style.ordered_levels(self.displacement["level"])

    @property
    def drawn(self) -> tuple[str, ...]:
        """Levels from which samples were drawn; none without an RCDM."""
        return style.ordered_levels(self.variance["level"])

    @property
    def labels(self) -> dict[str, str]:
        """The transformations that were measured, as printed."""
        measured = set(self.displacement["condition"])
        return {name: t.label for name, t in TRANSFORMATIONS.items() if name in measured}

    @cached_property
    def printed(self) -> dict[str, Table]:
        """The tables of the report, by name."""
        return printed_tables(self)

    @property
    def at_reference(self) -> pd.DataFrame:
        """`displacement` at each transformation's reference dose."""
        references = self.displacement["condition"].map({name: t.reference for name, t in TRANSFORMATIONS.items()})
        return self.displacement[self.displacement["strength"] == references]


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
        "displacement",
        draw_displacement(
            content.at_reference,
            content.readability,
            labels=content.labels,
            trained=content.trained,
            negligible=NEGLIGIBLE,
        ),
    )
    yield (
        "dose-response",
        draw_dose_response(
            content.displacement,
            labels=content.labels,
            units={name: t.unit for name, t in TRANSFORMATIONS.items()},
            references={name: t.reference for name, t in TRANSFORMATIONS.items()},
            trained=content.trained,
        ),
    )
    if len(content.factors):
        yield "factors", draw_factors(content.factors, labels=FACTOR_LABELS)
    for panel in (*content.panels, *_beside(content.panels)):
        yield file_name(panel.name), draw_panel(panel)
    for map_ in content.maps:
        yield file_name(map_.name), draw_maps(map_)


def printed_tables(content: Content) -> dict[str, Table]:
    """The tables of the report, by name."""
    made = [_verdict_table(content.verdicts)]
    made += [_level_table(content, level) for level in content.levels]
    if len(content.comparison):
        made.append(_comparison_table(content))
    if len(content.factors):
        made.append(_factor_table(content))
    if len(content.variance):
        made.append(_variance_table(content))
    return {table.name: table for table in made}


def document(content: Content) -> dict[str, Any]:
    """The report as plain data, for ``templates/report.typ``."""
    run = content.run
    encoder = run["arguments"]["encoder"]
    return {
        **head(
            run,
            title=f"What {encoder} keeps, and what it drops",
            subtitle=f"Invariance of its representations, measured on {data_name(run)}",
            keywords=["invariance", "representation", encoder],
        ),
        "verdicts": [verdict_box(verdict) for verdict in content.verdicts],
        "no-verdict": NO_VERDICT,
        "figure": _displacement_figure(content),
        "sections": [
            blocks.section("In short", _in_short(content)),
            *([blocks.section("What the samples show", _pictures(content))] if content.drawn else []),
            blocks.section("How far each transformation moves h", _transformations(content)),
            blocks.section("What is present, and what is rendered", _factors(content)),
            *([blocks.section("What h leaves open", _variance(content))] if content.drawn else []),
            *([] if content.drawn else [blocks.section("No decoder", decoder.no_decoder(run, LACKING))]),
            blocks.section("What this report cannot tell", protocol.limits([*_limits(content)])),
            blocks.section("How it was measured", _protocol(content)),
            blocks.section("Provenance", provenance(run), new_page=True),
        ],
    }


# Parts of the document


def _displacement_figure(content: Content) -> Block:
    return blocks.figure(
        "displacement",
        "How far each transformation moves h, and whether h tells that it was applied.",
        "Left: distance from h(x) to h(T(x)) over the median distance between two different images, at the reference "
        "dose of each transformation; the grey band is what a verdict calls negligible. Right: area under the ROC "
        "curve of a linear readout that tells h(T(x)) from h(x) on images it was not fitted on. Dots are medians "
        f"(left) with 95% bootstrap intervals over images. {style.TRAINED} marks what the encoder was trained with.",
        "A level that is invariant to a transformation has its dot at the left edge of both plots: it neither moves "
        "nor tells.",
    )


def _in_short(content: Content) -> list[Block]:
    sentences = (
        _short_displacement(content),
        _short_comparison(content.comparison),
        _short_factors(content),
        _short_variance(content.variance),
    )
    return [blocks.points(sentence for sentence in sentences if sentence)]


def _short_displacement(content: Content) -> str:
    moved = content.at_reference.dropna(subset=["relative_displacement"])
    clauses = []
    for level in content.levels:
        rows = moved[moved["level"] == level].sort_values("relative_displacement")
        if len(rows):
            least, most = rows.iloc[0], rows.iloc[-1]
            clauses.append(
                f"{_label(content, most)} moves the {level} most ({cell(most, 'relative_displacement')}) and "
                f"{_label(content, least)} least ({cell(least, 'relative_displacement')})"
            )
    how_many = f"Of {len(content.labels)} transformations at their reference dose, "
    return f"{how_many}{'; '.join(clauses)}. 1 is as far as another image." if clauses else ""


def _short_comparison(comparison: pd.DataFrame) -> str:
    sure = comparison[comparison["p_holm"] < ERROR_RATE]
    less, more = (sure["difference"] > 0).sum(), (sure["difference"] < 0).sum()
    return (
        f"The projector moves less than the backbone under {less} of {len(comparison)} transformations and more under "
        f"{more} (Wilcoxon signed-rank, Holm-corrected p < {ERROR_RATE})."
        if len(comparison)
        else ""
    )


def _short_factors(content: Content) -> str:
    clauses = []
    for level in content.levels:
        rows = content.factors[content.factors["level"] == level].dropna(subset=["present"])
        if len(rows):
            linear = rows[rows["factor"] != "class"].sort_values("present")
            accuracy = [f"class {cell(row, 'present')}" for _, row in rows[rows["factor"] == "class"].iterrows()]
            ends = [linear.iloc[-1], linear.iloc[0]] if len(linear) > 1 else []
            named = [f"{_factor(row['factor'])} R² {cell(row, 'present')}" for row in ends]
            clauses.append(f"from the {level}, " + ", ".join([*accuracy, *named]))
    return f"Read linearly (the class, then the best and the worst of the other factors): {'; '.join(clauses)}." * bool(
        clauses
    )


def _short_variance(variance: pd.DataFrame) -> str:
    clauses = [f"{cell(row, 'ratio')} for the {row['level']}" for _, row in variance.iterrows()]
    what = "What h leaves open, as the variance of samples from one h over that between the h of different images: "
    return f"{what}{'; '.join(clauses)}." * bool(clauses)


def _pictures(content: Content) -> list[Block]:
    undrawn = [level for level in content.levels if level not in content.drawn]
    return [
        blocks.text(
            "An RCDM generates images from h alone. What all samples from one h have in common is what h holds; what "
            "varies among them is what h leaves open. Samples in one column start from equal noise wherever two "
            "representations are compared, so that a difference between them comes from h."
        ),
        *panel_figures(
            [*_beside(content.panels), *(p for p in content.panels if not _is_samples(p) and p.name != DOSES)]
        ),
        *([decoder.undrawn(undrawn, content.run)] if undrawn else []),
    ]


def _is_samples(panel: Panel) -> bool:
    return panel.name.startswith("samples_")


def _beside(panels: Sequence[Panel]) -> list[Panel]:
    """The panels of samples, one for each level, as one: the images, then a few samples of every level."""
    parts = {panel.name.removeprefix("samples_"): panel for panel in panels if _is_samples(panel)}
    if not parts:
        return []
    first = next(iter(parts.values()))
    shown = {level: panel.images[:, 1 : 1 + SHOWN_SAMPLES] for level, panel in parts.items()}
    return [
        Panel(
            "samples",
            f"What every level keeps: {', '.join(parts)}",
            "First column: the image. The others: samples conditioned on nothing but the representation of that image, "
            "each column from other noise. What all samples of a row and level share is in the representation; what "
            "varies among them is what it leaves open.",
            torch.cat([first.images[:, :1], *shown.values()], 1),
            first.rows,
            ("image", *(f"{level} {k + 1}" for level, images in shown.items() for k in range(images.shape[1]))),
        )
    ]


def _transformations(content: Content) -> list[Block]:
    printed = content.printed
    first, *others = [blocks.table(printed[f"transformations-{file_name(level)}"]) for level in content.levels]
    out = [
        first,  # fills the page that the figure is too tall for
        blocks.figure(
            "dose-response",
            "Displacement of h against the strength of each transformation.",
            "Median over images of the relative displacement, with 95% bootstrap bands; each plot has its "
            "transformation's own unit along the bottom, all share the vertical axis. The dotted line is the reference "
            "dose, at which tables and verdicts are read; every curve starts at no transformation, where the "
            "displacement is 0 by definition.",
            "A flat curve is an invariance. A curve that reaches the dashed line has left the image behind: h(T(x)) is "
            "then as far from h(x) as the h of any other image.",
        ),
        *others,
    ]
    if "comparison" in printed:
        out.append(blocks.table(printed["comparison"]))
    else:
        out.append(
            blocks.missing(
                "Backbone and projector are not compared.",
                "That needs both levels of one encoder. A supervised encoder has no projector; where yours has one, "
                "measure it together with the backbone.",
            )
        )
    return out


def _factors(content: Content) -> list[Block]:
    if content.factors.empty:
        return [
            blocks.missing(
                "Factors were not measured.",
                "That needs images of which position, colour, pose and so on are known. A folder of images has no such "
                "record; the embedded fashion scenes do: run the probe on the same encoder with --data scenes.",
            )
        ]
    out = [
        blocks.text(
            "Each known factor of a scene is measured twice. It is present where a cross-validated linear readout "
            "finds it in h. It is rendered where a separate network, the judge, which never saw the encoder, reads it "
            "off the samples that the RCDM draws from h."
        ),
        blocks.figure(
            "factors",
            "Known factors: present in h, and rendered in the samples.",
            "Filled: R² of a ridge regression from h on held-out images (accuracy for the class; R² of cosine and sine "
            "together for hues and directions). Open: the same agreement between the scene and the judge's reading of "
            "the samples. Lines are 95% bootstrap intervals over images.",
            "1 is perfect, 0 as good as the best constant answer (a tick marks it, also for the class). A factor that "
            "h has dropped has its filled dot at the tick; the open one goes on to −1, the score of samples that vary "
            "as freely as scenes do. Present and not rendered is the generator's share: it missed what h has.",
        ),
        blocks.table(content.printed["factors"]),
    ]
    if content.drawn and content.factors["rendered"].isna().all():
        out.append(
            blocks.missing(
                "Rendered factors were not measured.",
                "That needs the judge of the embedded scenes.",
            )
        )
    return out


def _variance(content: Content) -> list[Block]:
    return [
        blocks.table(content.printed["variance"]),
        *(blocks.figure(file_name(map_.name), sentence(map_.title), map_.caption, "") for map_ in content.maps),
    ]


def _limits(content: Content) -> Iterator[str]:
    if content.drawn:
        yield protocol.OF_SAMPLES
    yield protocol.OF_READOUTS
    if len(content.factors) or content.run["arguments"]["encoder"] in EMBEDDED:
        yield protocol.OF_SCENES
    yield protocol.OF_DOSES
    yield protocol.OF_INTERVALS


def _protocol(content: Content) -> list[Block]:
    doses = [panel for panel in content.panels if panel.name == DOSES]
    return [*protocol.measured(), blocks.table(_dose_table(content)), *panel_figures(doses)]


# Tables


def _verdict_table(verdicts: Sequence[Verdict]) -> Table:
    return Table(
        name="verdicts",
        caption="Verdicts. Each finding is one comparison that was stated before the measurement.",
        columns=("finding", "claim", "verdict", "statistic", "value [95% interval]", "p", "images"),
        rows=tuple(
            (
                str(v.finding),
                v.claim,
                v.word,
                v.statistic,
                interval(v.value, v.low, v.high),
                p_value(v.p_value),
                str(v.n),
            )
            for v in verdicts
        ),
    )


def _level_table(content: Content, level: str) -> Table:
    moved = content.at_reference[content.at_reference["level"] == level].set_index("condition")
    told = content.readability[content.readability["level"] == level].set_index("condition")
    rows = []
    for condition in content.labels:
        if condition not in moved.index:
            continue
        row = {**(told.loc[condition].to_dict() if condition in told.index else {}), **moved.loc[condition].to_dict()}
        measures = ("relative_displacement", "cosine", "mrr", "auc", "r2")
        rows.append((_marked(content, condition), _dose(condition), *(cell(row, name) for name in measures)))
    return Table(
        name=f"transformations-{file_name(level)}",
        caption=(
            f"Each transformation at its reference dose, {level}. Median relative displacement (0 unchanged, 1 another "
            "image) and cosine of h(T(x)) with h(x); mean reciprocal rank (MRR) of the original among the gallery, "
            "seen from the transformed image (1: always the nearest); AUC of telling that the transformation was "
            "applied (0.5 is chance) and R² of telling how strongly (0 is chance; – where there is a single dose). In "
            f"brackets, 95% bootstrap intervals over images. {style.TRAINED} used in training."
        ),
        columns=("transformation", "dose", "displacement", "cosine", "MRR", "AUC", "R²"),
        rows=tuple(rows),
    )


def _comparison_table(content: Content) -> Table:
    return Table(
        name="comparison",
        caption=(
            "Backbone minus projector, image by image. Median paired difference of relative displacement at the "
            "reference dose, with its 95% bootstrap interval; above 0 the backbone moves more. p: two-sided Wilcoxon "
            f"signed-rank, Holm-corrected over the {len(content.comparison)} transformations. Effect: matched-pairs "
            "rank-biserial correlation, 1 where the backbone moves more on every image, −1 where the projector does. "
            f"{style.TRAINED} used in training."
        ),
        columns=("transformation", "dose", "backbone − projector", "p (Holm)", "effect", "images"),
        rows=tuple(
            (
                _marked(content, row["condition"]),
                _dose(row["condition"]),
                cell(row, "difference"),
                p_value(row["p_holm"]),
                number(row["effect"]),
                str(row["images"]),
            )
            for _, row in content.comparison.iterrows()
        ),
    )


def _factor_table(content: Content) -> Table:
    levels = style.ordered_levels(content.factors["level"])
    by_key = content.factors.set_index(["factor", "level"])
    rows = []
    for factor, label in FACTOR_LABELS.items():
        found = [level for level in levels if (factor, level) in by_key.index]
        if found:
            lines = [by_key.loc[(factor, level)].to_dict() if level in found else {} for level in levels]
            cells = [cell(line, name) if line else "–" for line in lines for name in ("present", "rendered")]
            rows.append((label, number(by_key.loc[(factor, found[0])]["chance"]), *cells))
    return Table(
        name="factors",
        caption=(
            "Known factors, present in h and rendered in the samples. Accuracy for the class, R² for the others, with "
            "95% bootstrap intervals over images; guessing is the score of the best constant answer."
        ),
        columns=("factor", "guessing", *(f"{level}, {name}" for level in levels for name in ("present", "rendered"))),
        rows=tuple(rows),
    )


def _variance_table(content: Content) -> Table:
    return Table(
        name="variance",
        caption=(
            "Variance of a pixel among samples from one h (within) and between the h of different images, in units of "
            "0.001 of the squared range of a pixel, and their ratio. Near 0, h fixes the image; the larger, the more h "
            "leaves open. In brackets, 95% bootstrap intervals over images; that of the ratio takes the variance "
            "between as known."
        ),
        columns=("level", "within h", "between h", "within / between", "images"),
        rows=tuple(
            (
                row["level"],
                interval(row["within"] * 1e3, row["within_low"] * 1e3, row["within_high"] * 1e3),
                number(row["between"] * 1e3),
                cell(row, "ratio"),
                str(row["images"]),
            )
            for _, row in content.variance.iterrows()
        ),
    )


def _dose_table(content: Content) -> Table:
    chosen = [TRANSFORMATIONS[condition] for condition in content.labels]
    return Table(
        name="doses",
        caption=f"Transformations and their doses. {style.TRAINED} used in training.",
        columns=("transformation", "unit", "doses", "reference"),
        rows=tuple(
            (_marked(content, t.name), t.unit, ", ".join(f"{dose:.3g}" for dose in t.doses), f"{t.reference:.3g}")
            for t in chosen
        ),
    )


# Words


def _marked(content: Content, condition: str) -> str:
    return f"{style.TRAINED} {content.labels[condition]}" if condition in content.trained else content.labels[condition]


def _label(content: Content, row: pd.Series) -> str:
    return content.labels[row["condition"]].lower()


def _dose(condition: str) -> str:
    return f"{TRANSFORMATIONS[condition].reference:.3g}"


def _factor(name: str) -> str:
    return FACTOR_LABELS.get(name, name)
