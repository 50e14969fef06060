"""The report of the invariance probe: figures, tables and a PDF that says what an encoder keeps and what it drops.

`write` turns summary tables, pictures and verdicts into a run folder's ``figures/``, ``tables/`` and ``report.pdf``.
What a run could not measure (no projector, no RCDM, no known factors) is named in the report, with the way to get it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from analyses.findings import NEGLIGIBLE, Verdict
from probes.transformations import TRANSFORMATIONS
from reports import blocks, protocol, style, tables
from reports.figures.displacement import draw_displacement
from reports.figures.dose_response import draw_dose_response
from reports.figures.factors import draw_factors
from reports.figures.grid import draw_panel
from reports.figures.maps import draw_maps
from reports.pdf import compile_pdf
from reports.provenance import card, provenance
from reports.tables import Table, cell, interval, number, p_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from probes.panels import Map, Panel
    from reports.blocks import Block

FACTOR_LABELS = {
    "class": "class of the garment",
    "hue": "hue of the garment",
    "background_hue": "hue of the background",
    "brightness": "brightness of the background",
    "direction": "direction of the light",
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
    def labels(self) -> dict[str, str]:
        """The transformations that were measured, as printed."""
        measured = set(self.displacement["condition"])
        return {name: t.label for name, t in TRANSFORMATIONS.items() if name in measured}

    @property
    def at_reference(self) -> pd.DataFrame:
        """`displacement` at each transformation's reference dose."""
        references = self.displacement["condition"].map({name: t.reference for name, t in TRANSFORMATIONS.items()})
        return self.displacement[self.displacement["strength"] == references]


def write(folder: Path, content: Content) -> Path:
    """Write ``figures/`` (PNG at 300 dpi, SVG), ``tables/`` (CSV, LaTeX) and ``report.pdf`` into a run folder.

    Returns:
        Path of the PDF.
    """
    for name in ("figures", "tables"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, figure in figures(content):
        style.save(figure, folder / "figures", name)
    for name, data in _data(content):
        tables.save_csv(folder / "tables", name, data)
    for table in printed_tables(content).values():
        tables.save_latex(folder / "tables", table)
    return compile_pdf(document(content), template="report", folder=folder)


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
    for panel in content.panels:
        yield _file(panel.name), draw_panel(panel)
    for map_ in content.maps:
        yield _file(map_.name), draw_maps(map_)


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
        "title": f"What {encoder} keeps, and what it drops",
        "subtitle": f"Invariance of its representations, measured on {_data_name(run)}",
        "made-by": f"rcdm-probe {run.get('versions', {}).get('rcdm-probe', '')}".strip(),
        "keywords": ["rcdm-probe", "invariance", "representation", encoder],
        "started": run.get("started"),
        "verdicts": [_verdict(verdict) for verdict in content.verdicts],
        "figure": _displacement_figure(content),
        "cards": [
            card(title, run[key], run)
            for title, key in (("The encoder", "encoder_card"), ("The data", "data_card"))
            if run.get(key)
        ],
        "sections": [
            blocks.section("In short", _in_short(content)),
            blocks.section("What the samples show", _pictures(content)),
            blocks.section("How far each transformation moves h", _transformations(content)),
            blocks.section("What is present, and what is rendered", _factors(content)),
            blocks.section("What h leaves open", _variance(content)),
            blocks.section("How it was measured", protocol.measured(len(content.labels))),
            blocks.section("What this report cannot tell", protocol.limits()),
            blocks.section("Provenance", provenance(run)),
        ],
    }


# Parts of the document


def _verdict(verdict: Verdict) -> dict[str, str]:
    numbers = interval(verdict.value, verdict.low, verdict.high)
    return {
        "word": verdict.word,
        "claim": f"Finding {verdict.finding}. {verdict.claim}",
        "sentence": verdict.sentence,
        "statistic": f"{numbers}, 95% bootstrap interval, p {_p(verdict.p_value)}, {verdict.n} images",
        "rule": verdict.rule,
    }


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
    return [blocks.points([*_short_displacement(content), *_short_factors(content), *_short_variance(content)])]


def _short_displacement(content: Content) -> Iterator[str]:
    for level in content.levels:
        rows = content.at_reference[content.at_reference["level"] == level]
        rows = rows.dropna(subset=["relative_displacement"]).sort_values("relative_displacement")
        if rows.empty:
            continue
        least, most = rows.iloc[0], rows.iloc[-1]
        yield (
            f"Of {len(rows)} transformations, {_label(content, most)} moves the {level} most "
            f"({cell(most, 'relative_displacement')} of the way to another image) and {_label(content, least)} least "
            f"({cell(least, 'relative_displacement')})."
        )
    if len(content.comparison):
        sure = content.comparison[content.comparison["p_holm"] < 0.05]
        less, more = (sure["difference"] > 0).sum(), (sure["difference"] < 0).sum()
        yield (
            f"The projector moves less than the backbone under {less}, and more under {more}, of the "
            f"{len(content.comparison)} transformations (Wilcoxon signed-rank, Holm-corrected, p < 0.05)."
        )


def _short_factors(content: Content) -> Iterator[str]:
    for level in content.levels:
        rows = content.factors[content.factors["level"] == level].dropna(subset=["present"])
        if rows.empty:
            continue
        rows = rows.sort_values("present", ascending=False)
        best, worst = rows.iloc[0], rows.iloc[-1]
        yield (
            f"Of the known factors, the {level} holds {FACTOR_LABELS.get(best['factor'], best['factor'])} best "
            f"({_score(best)} {cell(best, 'present')}) and {FACTOR_LABELS.get(worst['factor'], worst['factor'])} "
            f"worst ({_score(worst)} {cell(worst, 'present')}), read linearly."
        )


def _short_variance(content: Content) -> Iterator[str]:
    for _, row in content.variance.iterrows():
        yield (
            f"Samples from one h of the {row['level']} vary {cell(row, 'ratio')} times as much as samples from "
            "different h do between them: what varies is what h leaves open."
        )


def _pictures(content: Content) -> list[Block]:
    if not content.panels:
        return [
            blocks.missing(
                "There are no pictures in this report.",
                "They are sampled by an RCDM, a diffusion model that was trained to generate an image from this "
                "encoder's h, and none was used here. The embedded encoders come with one; for another encoder, train "
                "one on its representations and give it to the probe.",
            )
        ]
    return [
        blocks.text(
            "An RCDM generates images from h alone. What all samples from one h have in common is what h holds; what "
            "varies among them is what h leaves open. Samples in one column start from equal noise wherever two "
            "representations are compared, so that a difference between them comes from h."
        ),
        *(blocks.figure(_file(panel.name), _sentence(panel.title), panel.caption, "") for panel in content.panels),
    ]


def _transformations(content: Content) -> list[Block]:
    printed = printed_tables(content)
    out = [
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
        *(blocks.table(printed[f"transformations-{level}"]) for level in content.levels),
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
            "Each known factor of a scene is measured twice. It is present where a cross-validated linear readout finds "
            "it in h. It is rendered where a separate network, the judge, which never saw the encoder, reads it off the "
            "samples that the RCDM draws from h."
        ),
        blocks.figure(
            "factors",
            "Known factors: present in h, and rendered in the samples.",
            "Filled: R² of a ridge regression from h on held-out images (accuracy for the class; R² of cosine and sine "
            "together for hues and directions). Open: the same agreement between the scene and the judge's reading of "
            "the samples. Lines are 95% bootstrap intervals over images.",
            "A factor that h has dropped is at the left in both. One that is present and not rendered was missed by the "
            "generator, not dropped by the encoder: a bar between the two dots is the generator's share.",
        ),
        blocks.table(printed_tables(content)["factors"]),
    ]
    if content.factors["rendered"].isna().all():
        out.append(
            blocks.missing(
                "Rendered factors were not measured.",
                "That needs an RCDM for this encoder and the judge of the embedded scenes.",
            )
        )
    return out


def _variance(content: Content) -> list[Block]:
    if content.variance.empty:
        return [
            blocks.missing(
                "Variance among samples was not measured.",
                "That needs an RCDM for this encoder, which generates several samples from each h.",
            )
        ]
    return [
        blocks.table(printed_tables(content)["variance"]),
        *(blocks.figure(_file(map_.name), _sentence(map_.title), map_.caption, "") for map_ in content.maps),
    ]


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
        name=f"transformations-{level}",
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


def _data(content: Content) -> Iterator[tuple[str, pd.DataFrame]]:
    """The tables as numbers, by file name; those without rows are left out."""
    for name in ("displacement", "readability", "factors", "variance", "comparison"):
        data = getattr(content, name)
        if len(data):
            yield name, data
    yield "verdicts", pd.DataFrame([vars(verdict) for verdict in content.verdicts])


# Words


def _marked(content: Content, condition: str) -> str:
    return f"{style.TRAINED} {content.labels[condition]}" if condition in content.trained else content.labels[condition]


def _label(content: Content, row: pd.Series) -> str:
    return content.labels[row["condition"]].lower()


def _dose(condition: str) -> str:
    return f"{TRANSFORMATIONS[condition].reference:g}"


def _score(row: pd.Series) -> str:
    return "accuracy" if row["factor"] == "class" else "R²"


def _p(value: float) -> str:
    text = p_value(value)
    return text if text.startswith("<") else f"= {text}"


def _sentence(title: str) -> str:
    return title if title.endswith((".", "?")) else f"{title}."


def _file(name: str) -> str:
    return name.replace("_", "-").replace("/", "-")


def _data_name(run: Mapping[str, Any]) -> str:
    card_ = run.get("data_card", {})
    return str(card_.get("name") or run["arguments"].get("data", "images"))
