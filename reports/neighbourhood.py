"""The report of neighbourhood sampling: pictures drawn without an image, beside the two other ways to draw them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from analyses.bootstrap import LEVEL, RESAMPLES
from probes.neighbourhood.measurement import REAL
from reports import blocks, decoder, protocol, style
from reports.figures.grid import draw_panel
from reports.figures.neighbourhood import draw_kinds
from reports.provenance import provenance
from reports.tables import Table, cell
from reports.writing import data_name, file_name, head, panel_figures, verdict_box, write_report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from matplotlib.figure import Figure

    from analyses.findings import Verdict
    from probes.panels import Panel

NUMBERS = ("kinds", "comparison")
"""The tables of a run, as files of numbers."""

KINDS = {
    REAL: "real images",
    "images": "from h of real images",
    "between": "from between neighbours",
    "gaussian": "from a Gaussian",
}


@dataclass(frozen=True)
class Content:
    """Everything that the report tells, as the floors below give it.

    Args:
        kinds: `analyses.neighbourhood.kind_table`.
        comparison: `analyses.neighbourhood.comparison_table`.
        panels: Grids of images.
        verdicts: From `analyses.neighbourhood.neighbourhood_verdicts`.
        distance: What a squared Frechet distance is called in the feature space, such as ``FD-judge``.
        run: The content of ``run.json``.
    """

    kinds: pd.DataFrame
    comparison: pd.DataFrame
    panels: Sequence[Panel]
    verdicts: Sequence[Verdict]
    distance: str
    run: Mapping[str, Any]

    @property
    def drawn(self) -> tuple[str, ...]:
        """Levels that were drawn from, backbone and projector first."""
        return style.ordered_levels(level for level in self.kinds["level"] if level)

    @cached_property
    def printed(self) -> dict[str, Table]:
        """The tables of the report, by name."""
        made = (_kind_table(self), _comparison_table(self))
        return {table.name: table for table in made}


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
    yield "kinds", draw_kinds(content.kinds, real=REAL, labels=KINDS, distance=content.distance)
    for panel in content.panels:
        yield file_name(panel.name), draw_panel(panel)


def document(content: Content) -> dict[str, Any]:
    """The report as plain data, for ``templates/report.typ``."""
    run = content.run
    encoder = run["arguments"]["encoder"]
    undrawn = [level for level in run["encoder_card"].get("levels", ()) if level not in content.drawn]
    return {
        **head(
            run,
            title=f"Drawn by {encoder} without an image to start from",
            subtitle=f"Sampling between neighbouring representations, compared on {data_name(run)}",
            keywords=["neighbourhood", "generation", "representation", encoder],
        ),
        "verdicts": [verdict_box(verdict, counted="pictures") for verdict in content.verdicts],
        "no-verdict": "No verdict.",
        "figure": blocks.figure(
            "kinds",
            "How near to real images each kind of pictures comes, how varied it is, and how near to known images.",
            f"Left: {content.distance}, the squared Frechet distance from other real images; lower is nearer. Middle: "
            "mean distance of two pictures, over that of two real images. Right: median distance to the nearest image "
            "of the gallery, in the same unit. Dashed: real images themselves. Lines are 95% bootstrap intervals over "
            "pictures.",
            "Drawn from between neighbours as near and as varied as drawn from real images, and no nearer to known "
            "images, is generation.",
        ),
        "sections": [
            blocks.section("What was drawn", list(panel_figures(content.panels))),
            blocks.section("In numbers", [blocks.table(table) for table in content.printed.values()]),
            *([blocks.section("What was not drawn", [decoder.undrawn(undrawn, run)])] if undrawn else []),
            blocks.section("What this report cannot tell", protocol.limits(_limits(content))),
            blocks.section("How it was measured", [blocks.points(_protocol(content))]),
            blocks.section("Provenance", provenance(run), new_page=True),
        ],
    }


def _limits(content: Content) -> list[str]:
    return [
        f"{content.distance} falls with the number of pictures even between equal sets: compare it within this report, "
        "where all sets are of one size."
        + ("" if content.distance == "FID" else " It is a number of the feature space it is named after, and not FID."),
        "The other real images are taken as known: intervals cover the choice of the pictures and of the real images "
        "they are paired with, not the training of encoder and decoder.",
        "A decoder that is better at some representations than at others moves all three kinds.",
        protocol.OF_SCENES,
    ]


def _protocol(content: Content) -> list[str]:
    arguments = content.run["arguments"]
    return [
        f"Sources. For each of {arguments['count']} images of a gallery: its own h; a convex combination of it, with a "
        f"weight uniform in [0, 1), and one of its {arguments['neighbours']} nearest neighbours; and a draw of the "
        "Gaussian with mean and covariance of the gallery. The three are drawn from equal noise, without guidance.",
        f"Real images. {arguments['count']} other images, from which nothing is drawn, are what all sets are compared "
        "with; the images of the gallery themselves are the set that no picture can be better than.",
        f"Feature space: {arguments['features']}. Frechet distance of the Gaussians that fit two sets (Heusel et al. "
        "2017), squared; each picture contributes its influence on it (infinitesimal jackknife), and contributions are "
        "resampled.",
        f"Uncertainty. {LEVEL:.0%} percentile bootstrap over pictures, {RESAMPLES:,} resamples; differences are taken "
        "picture by picture.",
        "Finding 4 is that of Bordes, Balestriero and Vincent, High Fidelity Visualization of What Your "
        "Self-Supervised Representation Knows About, TMLR 2022 (arXiv 2112.09164).",
    ]


def _kind_table(content: Content) -> Table:
    return Table(
        name="kinds",
        caption=(
            f"Every kind beside real images. {content.distance} from other real images; diversity, the mean distance "
            "of two pictures over that of two real images; median distance to the nearest image of the gallery, in the "
            "same unit. In brackets, 95% bootstrap intervals over pictures."
        ),
        columns=("level", "pictures", content.distance, "diversity", "nearest image", "number"),
        rows=tuple(
            (
                row["level"] or "–",
                KINDS[row["kind"]],
                *(cell(row, name) for name in ("frechet", "diversity", "nearest")),
                str(row["images"]),
            )
            for _, row in content.kinds.iterrows()
        ),
    )


def _comparison_table(content: Content) -> Table:
    return Table(
        name="comparison",
        caption=(
            "Kind against kind. First minus second, picture by picture from equal noise, with 95% bootstrap intervals; "
            f"above 0 in {content.distance}, the second is nearer to real images."
        ),
        columns=("level", "first", "second", content.distance, "diversity"),
        rows=tuple(
            (
                row["level"],
                KINDS[row["first"]],
                KINDS[row["second"]],
                cell(row, "frechet"),
                cell(row, "diversity"),
            )
            for _, row in content.comparison.iterrows()
        ),
    )
