"""The tables of the report of the fidelity probe, as they are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probes.records import REAL
from reports.tables import Table, cell, number, p_value

if TYPE_CHECKING:
    from reports.fidelity.content import Content


def printed_tables(content: Content) -> dict[str, Table]:
    """The tables of the report, by name."""
    made = [_ranks_table(content), _sets_table(content)]
    if len(content.copies):
        made.append(_copies_table(content))
    if len(content.solvers):
        made.append(_solvers_table(content))
    return {table.name: table for table in made}


def _ranks_table(content: Content) -> Table:
    gallery = content.gallery
    return Table(
        name="ranks",
        caption=(
            f"Where an image comes among {gallery:,}, seen from its sample. One sample of each image, encoded again; "
            f"rank 1 is the nearest, chance is {(gallery + 1) / 2:,.0f}, with an MRR of {content.chance:.3f}. In "
            "brackets, 95% bootstrap intervals over images."
        ),
        columns=("encoder", "level", "MRR", "mean rank", "median rank", "images"),
        rows=tuple(
            (
                row["encoder"],
                row["level"],
                cell(row, "mrr"),
                cell(row, "mean_rank", 1),
                cell(row, "median_rank", 1),
                str(row["images"]),
            )
            for _, row in content.ranks.iterrows()
        ),
    )


def _sets_table(content: Content) -> Table:
    return Table(
        name="sets",
        caption=(
            f"Samples as sets, in the feature space {content.arguments['features']}. First the real images that "
            f"samples were drawn of, in the place of those. {content.distance}: squared Frechet distance from other "
            "real images; excess: by how much it exceeds that of the real images, paired with them. In brackets, 95% "
            f"bootstrap intervals over images; {content.real['images']:,} pictures in every set."
        ),
        columns=(
            "pictures", content.distance, "excess", *([content.score] if content.score else []), "precision", "recall",
        ),
        rows=tuple(
            (
                f"{row['encoder']} {row['level']}".strip(),
                cell(row, "frechet"),
                "–" if row["encoder"] == REAL else cell(row, "excess"),
                *([cell(row, "inception_score")] if content.score else []),
                cell(row, "precision"),
                cell(row, "recall"),
            )
            for _, row in content.sets.iterrows()
        ),
    )  # fmt: skip


def _copies_table(content: Content) -> Table:
    return Table(
        name="copies",
        caption=(
            "Samples beside training images. Mean difference from the nearest one, per pixel; its ratio to that of "
            "real images; share of pictures that are nearer to a training image than to one of as many others; "
            "closest: share that is nearer to a training image than every real image is; surplus: by how much that "
            "exceeds the share that is as near to one of the others. 95% bootstrap intervals over images."
        ),
        columns=("pictures", "difference", "ratio", "nearer to training", "closest", "surplus"),
        rows=tuple(
            (
                f"{row['encoder']} {row['level']}".strip(),
                cell(row, "distance", 3),
                "–" if row["encoder"] == REAL else cell(row, "ratio"),
                cell(row, "share"),
                *("–" if row["encoder"] == REAL else cell(row, name) for name in ("closest", "surplus")),
            )
            for _, row in content.copies.iterrows()
        ),
    )


def _solvers_table(content: Content) -> Table:
    return Table(
        name="solvers",
        caption=(
            f"Solvers and steps on {content.swept}. First the setting used in this report; gain is what another one "
            "adds to its MRR, image by image from equal noise. In brackets, 95% bootstrap intervals over images. p: "
            f"two-sided Wilcoxon signed-rank, Holm-corrected. {content.distance} of equally many real images: "
            f"{content.floor}."
        ),
        columns=("setting", "MRR", "gain", "p (Holm)", "effect", "mean rank", content.distance, "ms"),
        rows=tuple(
            (
                f"{row['solver']} {row['steps']}",
                cell(row, "mrr"),
                "–" if place == 0 else cell(row, "gain"),
                p_value(row["p_holm"]),
                number(row["effect"]),
                number(row["mean_rank"], 1),
                cell(row, "frechet", 1),
                number(1000 * row["seconds"], 1),
            )
            for place, (_, row) in enumerate(content.solvers.iterrows())
        ),
    )
