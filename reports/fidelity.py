"""The report of the fidelity probe: how far a decoder is to be trusted, level by level and solver by solver.

`write` turns summary tables and pictures into a run folder's ``figures/``, ``tables/`` and ``report.pdf``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from analyses.bootstrap import LEVEL, RESAMPLES
from analyses.fidelity import REAL
from reports import blocks, protocol
from reports.figures.fidelity import draw_copies, draw_levels, draw_solvers
from reports.figures.grid import draw_panel
from reports.provenance import plain, provenance
from reports.tables import Table, cell, number, p_value
from reports.writing import data_name, file_name, head, listed, panel_figures, write_report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from matplotlib.figure import Figure

    from analyses.bootstrap import Estimate
    from probes.panels import Panel
    from reports.blocks import Block

NUMBERS = ("ranks", "sets", "copies", "solvers")  # of `Content`


@dataclass(frozen=True)
class Content:
    """Everything that the report tells, as the floors below give it.

    Args:
        ranks: `analyses.fidelity.ranks_table`.
        sets: `analyses.fidelity.sets_table`.
        copies: `analyses.fidelity.copies_table`; no rows where no training images were at hand.
        solvers: `analyses.fidelity.solvers_table`; no rows where solvers were not compared.
        floor: `analyses.fidelity.solvers_floor`.
        distances: The records ``nearest_training``.
        panels: Grids of images.
        run: The content of ``run.json``.
    """

    ranks: pd.DataFrame
    sets: pd.DataFrame
    copies: pd.DataFrame
    solvers: pd.DataFrame
    floor: Estimate
    distances: pd.DataFrame
    panels: Sequence[Panel]
    run: Mapping[str, Any]

    @cached_property
    def printed(self) -> dict[str, Table]:
        """The tables of the report, by name."""
        return printed_tables(self)

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The arguments of the run."""
        return self.run["arguments"]

    @property
    def distance(self) -> str:
        """What a squared Frechet distance is called in the feature space of the run."""
        return self.run["features_card"]["distance"]

    @property
    def score(self) -> str:
        """What an Inception score is called there; empty where there is none."""
        return self.run["features_card"]["score"]

    @property
    def samples(self) -> pd.DataFrame:
        """The rows of `sets` that are of samples."""
        return self.sets[self.sets["encoder"] != REAL]

    @property
    def real(self) -> pd.Series:
        """The row of `sets` that is of real images."""
        return self.sets[self.sets["encoder"] == REAL].iloc[0]

    @property
    def swept(self) -> str:
        """Encoder and level on which solvers were compared."""
        return self.arguments["swept_level"]

    @property
    def gallery(self) -> int:
        """Among how many images ranks are taken."""
        return self.run["study_card"]["gallery"]


def write(folder: Path, content: Content) -> Path:
    """Write the report into a run folder (see `reports.writing`); gives the path of the PDF."""
    return write_report(
        folder,
        figures=figures(content),
        data={name: getattr(content, name) for name in NUMBERS},
        verdicts=(),
        printed=content.printed.values(),
        document=document(content),
    )


def figures(content: Content) -> Iterator[tuple[str, Figure]]:
    """The figures of the report with their file names, drawn one by one."""
    yield (
        "levels",
        draw_levels(
            content.ranks.merge(content.samples, on=["encoder", "level"]),
            titles={
                "mrr": "MRR", "frechet": content.distance, "precision": "precision", "recall": "recall",
            },
            floor=content.real,
            chance={"mrr": _chance(content.gallery)},
        ),
    )  # fmt: skip
    if len(content.solvers):
        chosen = (content.arguments["solver"], content.arguments["steps"])
        yield "solvers", draw_solvers(content.solvers, chosen=chosen, floor=content.floor, distance=content.distance)
    if len(content.copies):
        yield "copies", draw_copies(content.distances, content.copies, real=REAL)
    for panel in content.panels:
        yield file_name(panel.name), draw_panel(panel)


def printed_tables(content: Content) -> dict[str, Table]:
    """The tables of the report, by name."""
    made = [_ranks_table(content), _sets_table(content)]
    if len(content.copies):
        made.append(_copies_table(content))
    if len(content.solvers):
        made.append(_solvers_table(content))
    return {table.name: table for table in made}


def document(content: Content) -> dict[str, Any]:
    """The report as plain data, for ``templates/report.typ``."""
    encoders = tuple(dict.fromkeys(content.ranks["encoder"]))
    made = head(
        content.run,
        title=f"How far to trust what is drawn from {listed(encoders)}",
        subtitle=f"Fidelity of the decoder, on {data_name(content.run)}",
        keywords=["fidelity", *encoders],
    )
    return {
        **made,
        "verdicts": [],
        "no-verdict": trust(content),
        "figure": _levels_figure(content),
        "cards": [*made["cards"], _decoder_card(content)],
        "sections": [
            blocks.section("Samples from every level", _levels(content)),
            blocks.section("Solver and steps", _solvers(content)),
            blocks.section("Recalling, or generating?", _copies(content)),
            blocks.section("What this report cannot tell", [blocks.points(_limits(content))]),
            blocks.section("How it was measured", [blocks.points(_protocol(content))]),
            blocks.section("Provenance", _provenance(content), new_page=True),
        ],
    }


def trust(content: Content) -> str:
    """How far the decoder is to be trusted, in a paragraph."""
    ranked = content.ranks.sort_values("mrr", ascending=False)
    best, worst = ranked.iloc[0], ranked.iloc[-1]
    gallery = content.gallery
    said = [
        f"How far to trust the decoder. One sample from {_name(best)} finds the image that it was drawn of at a "
        f"median rank of {number(best['median_rank'], 0)} among {gallery:,} (MRR {cell(best, 'mrr')}; chance is a "
        f"rank of {(gallery + 1) // 2:,})."
    ]
    if len(ranked) > 1:
        said.append(
            f"From {_name(worst)} it does so least, at {number(worst['median_rank'], 0)} (MRR {cell(worst, 'mrr')})."
        )
    near, far = (content.samples.loc[content.samples["frechet"].agg(place)] for place in ("idxmin", "idxmax"))
    off = int((content.samples["excess_low"] > 0).sum())
    said.append(
        f"As sets, samples lie at {_range(content.distance, near['frechet'], far['frechet'])}, equally many real "
        f"images at {cell(content.real, 'frechet')}: samples of {off} of {len(content.samples)} levels can be told "
        "from real images by it."
    )
    if len(content.copies):
        said.append(_recall(content.copies[content.copies["encoder"] != REAL]))
    said.append(
        "What all samples of one h share came from h; what they lack may be the decoder's fault, and the more so the "
        "larger the rank."
    )
    return " ".join(said)


def _recall(copies: pd.DataFrame) -> str:
    """Whether samples are copies of training images, in a sentence."""
    recalled = copies[copies["surplus_low"] > 0]
    if recalled.empty:
        return (
            "Nothing points to copies of training images: from no level do more samples lie closer to one of them "
            "than every real image does, than to one of as many images that were not trained on."
        )
    worst = recalled.loc[recalled["surplus"].idxmax()]
    return (
        f"Samples of {listed([_name(row) for _, row in recalled.iterrows()])} look like copies of training images: "
        "closer to one of them than every real image, and not to images that were not trained on, lie up to "
        f"{cell(worst, 'surplus')} of them."
    )


# Parts of the document


def _levels_figure(content: Content) -> Block:
    return blocks.figure(
        "levels",
        "How near samples come to real images, level by level.",
        f"MRR of the image that a sample was drawn of among {content.gallery:,} images, seen from the sample's "
        f"representation; {content.distance} between samples and other real images; precision, the share of samples "
        "that look like these; recall, the share of these that look like samples. Bars are 95% bootstrap intervals "
        "over images; the dashed line and its band are real images in the place of samples.",
        f"Right is better, but for {content.distance}. A perfect decoder of an h that keeps everything has an MRR of "
        "1; a perfect decoder of any h reaches the dashed lines.",
    )


def _decoder_card(content: Content) -> Block:
    arguments, card = content.arguments, content.run["features_card"]
    return blocks.card(
        "The measurement",
        {
            "decoder": str(arguments["rcdm"]),
            "samples": f"one of each of {content.real['images']:,} images",
            "solver": f"{arguments['solver']}, {arguments['steps']} steps",
            "gallery of ranks": f"{content.gallery:,} images",
            "feature space": f"{card['name']}, {card['dimension']} dimensions",
        },
    )


def _levels(content: Content) -> list[Block]:
    printed = content.printed
    out = [*_panels(content, "samples"), blocks.table(printed["ranks"]), blocks.table(printed["sets"])]
    if not content.score:
        out.append(
            blocks.missing(
                "There is no Inception score.",
                f"It needs classes, and the feature space {content.arguments['features']} has none; --features judge "
                "(on scenes) or --features inception have.",
            )
        )
    return out


def _solvers(content: Content) -> list[Block]:
    if content.solvers.empty:
        return [blocks.missing("Solvers were not compared.", "--swept-images says on how many images to compare them.")]
    return [
        blocks.text(_evidence(content)),
        blocks.figure(
            "solvers",
            "What more steps buy, and what they cost.",
            f"Samples from {content.swept} of the same {content.floor.n} images from equal noise, by solver and "
            f"number of steps: MRR, {content.distance}, and time of a picture on the machine of this run, drawn "
            f"{min(content.floor.n, content.arguments['batch_size'])} at once. Bars are 95% bootstrap intervals over "
            "images; dashed, equally many real images.",
            "Where a curve is flat, further steps are wasted. Intervals are of each point alone; points are compared "
            "in the table, image by image.",
        ),
        blocks.table(content.printed["solvers"]),
        *_panels(content, "drawn_by_solvers"),
    ]


def _evidence(content: Content) -> str:
    """What the comparison says of the setting that was used."""
    chosen, others = content.solvers.iloc[0], content.solvers.iloc[1:]
    better, worse = others[others["gain_low"] > 0], others[others["gain_high"] < 0]
    said = (
        f"The setting used in this report, {chosen['solver']} with {chosen['steps']} steps, has an MRR of "
        f"{cell(chosen, 'mrr')} on these images. Of {len(others)} others, {len(better)} do better and {len(worse)} "
        "worse (the interval of the paired difference leaves out 0)"
    )
    if better.empty:
        return f"{said}: none of those that were tried is worth its time."
    best = better.loc[better["gain"].idxmax()]
    dearer = best["seconds"] / chosen["seconds"]
    return (
        f"{said}; the best, {best['solver']} with {best['steps']} steps, gains {cell(best, 'gain')} for "
        f"{number(dearer, 1)} times the time."
    )


def _copies(content: Content) -> list[Block]:
    if content.copies.empty:
        return [
            blocks.missing(
                "Samples were not held beside training images.",
                content.run["training_card"].get("missing", "") or "--compared says among how many to look.",
            )
        ]
    card = content.run["training_card"]
    return [
        blocks.text(
            f"Every picture is compared with {card['compared']:,} of the {card['total']:,} images that the decoder "
            f"was trained on ({card['name']}), and with as many that it never saw. A decoder that recalls draws "
            "pictures that are nearer to the former."
        ),
        blocks.figure(
            "copies",
            "Are samples copies of training images?",
            "Left: root mean square difference of pixels (0 to 1) from the nearest training image, as the share of "
            "pictures at or below each difference, one line a level; dashed, real images that were not trained on. "
            "Right: how often a picture's nearest image is one that was trained on rather than one that was not, of "
            "equally many; 95% bootstrap intervals over images.",
            "Copies would lie at the left edge of the left plot, and right of one half in the right one. A curve left "
            "of the dashed one is no sign of copies by itself: soft pictures are near to everything.",
        ),
        blocks.table(content.printed["copies"]),
        *_panels(content, "nearest_training"),
    ]


def _limits(content: Content) -> list[str]:
    out = [
        "A rank is of encoder and decoder together. Where h holds little of what tells one image from the next, no "
        "decoder can rank it high: a low MRR is then a finding about h. On scenes, present beside rendered in the "
        "invariance report tells the two apart.",
        "The encoder that ranks is the one that was drawn from. Samples that please it can displease the eye; the "
        "numbers of the feature space are there for that.",
        f"{content.distance} depends on the number of images, the more the fewer there are, and is comparable only at "
        f"equal numbers: here {content.real['images']:,}. The value of equally many real images stands beside it for "
        "that reason.",
        f"Numbers are of the feature space {content.arguments['features']}, and of what it looks at. In another, sets "
        "may be nearer or farther."
        + (
            ""
            if content.distance == "FID"
            else f" {content.distance} is not FID, and no published FID compares with it."
        ),
        "Precision and recall hold the manifolds fixed, and a ball around an outlier takes in much; of noise without "
        "any variety, precision can be 1. It is to be read with recall.",
        protocol.OF_INTERVALS,
    ]
    if len(content.copies):
        out.append(
            "Copies of images that are not among those compared go unseen, and so do copies of a part. The intervals "
            "are over pictures, for one choice of the images that they are compared with; pictures that are alike "
            "share their nearest."
        )
    return [*out, protocol.OF_SCENES] if data_name(content.run).startswith("scenes") else out


def _protocol(content: Content) -> list[str]:
    arguments = content.arguments
    return [
        "Samples. One of each image, without guidance; starting noise belongs to the image, so that levels and "
        "solvers are compared from equal noise.",
        "Ranks. A sample is encoded again; the rank of h that it was drawn from is its place among the gallery, by "
        "distance from the sample's h; ties share the middle rank. MRR is the mean of 1 / rank.",
        f"Frechet distance. {content.distance} is the squared distance between Gaussians fitted to the features of "
        "samples and of as many other real images, none of which was drawn of. Its interval rests on the influence of "
        "each image on it (infinitesimal jackknife): resampling the images themselves would count some of them twice, "
        "which raises the distance.",
        f"Precision and recall. Balls around each image up to its neighbour number {arguments['neighbours']} in the "
        "feature space (Kynkäänniemi et al. 2019).",
        *(
            [f"Inception score. {content.score} is the exponential of the mean divergence of the class probabilities "
            "of a "
             "picture from those of all (Salimans et al. 2016)."] if content.score else []
        ),
        "Real images. The images that were drawn of, in the place of their samples: the floor.",
        f"Uncertainty. {LEVEL:.0%} percentile bootstrap over images, {RESAMPLES:,} resamples. Solvers are compared "
        "image by image: Wilcoxon signed-rank on reciprocal ranks, two-sided, Holm-corrected over all of them; "
        "effects as matched-pairs rank-biserial correlation.",
        "The ranks are those of Bordes, Balestriero and Vincent, High Fidelity Visualization of What Your "
        "Self-Supervised Representation Knows About, TMLR 2022 (arXiv 2112.09164), table 1.",
    ]  # fmt: skip


def _provenance(content: Content) -> list[Block]:
    shown = ("method", "self_supervised", "levels")
    encoders = [
        blocks.card(name, {key.replace("_", " "): plain(card[key]) for key in shown if key in card})
        for name, card in content.run.get("encoder_cards", {}).items()
    ]
    return [*provenance(content.run), blocks.cards(encoders)]


def _panels(content: Content, name: str) -> Iterator[Block]:
    return panel_figures(panel for panel in content.panels if panel.name == name)


# Tables


def _ranks_table(content: Content) -> Table:
    gallery = content.gallery
    return Table(
        name="ranks",
        caption=(
            f"Where an image comes among {gallery:,}, seen from its sample. One sample of each image, encoded again; "
            f"rank 1 is the nearest, chance is {(gallery + 1) / 2:,.0f}, with an MRR of {_chance(gallery):.3f}. In "
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
            f"Samples as sets, in the feature space {content.arguments['features']}. First the real images that were "
            f"drawn of, in the place of samples. {content.distance}: squared Frechet distance from other real images; "
            "excess: by how much it exceeds that of the real images, paired with them. In brackets, 95% bootstrap "
            f"intervals over images; {content.real['images']:,} pictures in every set."
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


# Words


def _chance(gallery: int) -> float:
    """MRR of a random order."""
    return sum(1 / rank for rank in range(1, gallery + 1)) / gallery


def _name(row: pd.Series) -> str:
    return f"{row['encoder']}/{row['level']}"


def _range(name: str, low: float, high: float) -> str:
    ends = [number(value) for value in (low, high)]
    return f"{name} {ends[0]}" if ends[0] == ends[1] else f"{name} {ends[0]} to {ends[1]}"
