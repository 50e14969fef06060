"""The report of the interpolation probe: figures, tables and a PDF that says whether paths lead from image to image.

`write` turns summary tables, strips and verdicts into a run folder. What a run could not measure (no known factors, a
single pair, a level that the RCDM does not know) is named in the report, with the way to get it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from analyses.bootstrap import LEVEL, RESAMPLES
from analyses.interpolation import ORDER, ORDERED, PLACED, WRONG_END
from analyses.paths import DIFFERENT
from probes.interpolation.paths import CROSS_FADE
from reports import blocks, decoder, protocol, style
from reports.figures.grid import draw_panel
from reports.figures.interpolation import draw_approach, draw_orders, draw_trajectories
from reports.invariance import FACTOR_LABELS
from reports.provenance import provenance
from reports.tables import Table, cell, number, p_value
from reports.writing import data_name, file_name, head, listed, panel_figures, verdict_box, write_report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from matplotlib.figure import Figure

    from analyses.findings import Verdict
    from probes.panels import Panel
    from reports.blocks import Block

NUMBERS = ("orders", "factors", "trajectories", "classes", "distances", "approach", "comparison")  # of `Content`

_SHORT = {
    **FACTOR_LABELS,
    "class": "class",
    "hue": "garment hue",
    "background_hue": "background hue",
    "brightness": "brightness",
    "direction": "gradient direction",
    "x": "x",
    "y": "y",
}  # where there is little room

_NO_FACTORS = (
    "That needs images of which position, colour, pose and so on are known. A folder of images has no such record; the "
    "embedded fashion scenes do: run the probe on the same encoder with --data scenes."
)


@dataclass(frozen=True)
class Content:
    """Everything that the report tells, as the floors below give it.

    Args:
        orders: `analyses.interpolation.order_table`; like the next three, no rows where no factors are known.
        factors: `analyses.interpolation.factor_table`.
        trajectories: `analyses.interpolation.trajectory_table`.
        classes: `analyses.interpolation.class_table`.
        distances: `analyses.interpolation.distance_table`.
        approach: `analyses.interpolation.approach_table`.
        comparison: `analyses.interpolation.comparison_table`.
        panels: Strips.
        verdicts: From `analyses.interpolation.interpolation_verdicts`; none from a single pair.
        run: The content of ``run.json``.
    """

    orders: pd.DataFrame
    factors: pd.DataFrame
    trajectories: pd.DataFrame
    classes: pd.DataFrame
    distances: pd.DataFrame
    approach: pd.DataFrame
    comparison: pd.DataFrame
    panels: Sequence[Panel]
    verdicts: Sequence[Verdict]
    run: Mapping[str, Any]

    @cached_property
    def printed(self) -> dict[str, Table]:
        """The tables of the report, by name."""
        return printed_tables(self)

    @property
    def levels(self) -> tuple[str, ...]:
        """Levels that were drawn from, backbone and projector first."""
        return style.ordered_levels(self.distances["level"])

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths, that of the verdicts first, and last their control."""
        return tuple(dict.fromkeys(self.distances["path"]))

    @property
    def given(self) -> tuple[str, ...]:
        """The two images that were given; none where pairs were drawn."""
        return tuple(self.run["arguments"].get("given", ()))


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
    for panel in content.panels:
        yield file_name(panel.name), draw_panel(panel)
    if len(content.orders):
        yield (
            "orders",
            draw_orders(
                content.factors,
                content.orders,
                path=content.paths[0],
                control=CROSS_FADE,
                bound=ORDERED,
                labels=FACTOR_LABELS,
            ),
        )
        yield "trajectories", draw_trajectories(content.trajectories, paths=content.paths, labels=_SHORT)
    yield "approach", draw_approach(content.approach, paths=content.paths)


def printed_tables(content: Content) -> dict[str, Table]:
    """The tables of the report, by name."""
    made = []
    if len(content.orders):
        made += [_factor_table(content, level) for level in content.levels]
    if len(content.classes):
        made.append(_class_table(content))
    made.append(_distance_table(content))
    if len(content.verdicts):
        made.append(_comparison_table(content))
    return {table.name: table for table in made}


def document(content: Content) -> dict[str, Any]:
    """The report as plain data, for ``templates/report.typ``."""
    run, encoder = content.run, content.run["arguments"]["encoder"]
    ends = listed(content.given) if content.given else "two images"
    on = f"distances in units of {data_name(run)}" if content.given else f"on pairs of {data_name(run)}"
    strips = list(panel_figures(content.panels))
    return {
        **head(
            run,
            title=f"What {encoder} draws between {ends}",
            subtitle=f"Interpolation of its representations, {on}",
            keywords=["interpolation", "representation", encoder],
        ),
        "verdicts": [verdict_box(verdict, counted="pairs") for verdict in content.verdicts],
        "no-verdict": "No verdict. One pair of images says nothing about others: leave the two images away, and random "
        "pairs of the data set are measured.",
        "figure": _orders_figure(content) if len(content.orders) else _approach_figure(),
        "sections": [
            blocks.section("In short", [blocks.points(_in_short(content))]),
            blocks.section("What is drawn along the paths", strips),
            blocks.section("Do factors follow the path?", _factors(content)),
            blocks.section("Do samples lie where they were drawn from?", _distances(content)),
            *([blocks.section("Against the controls", _controls(content))] if content.verdicts else []),
            blocks.section("What this report cannot tell", [blocks.points(_limits(content))]),
            blocks.section("How it was measured", _protocol(content)),
            blocks.section("Provenance", provenance(run), new_page=True),
        ],
    }


# Parts of the document


def _orders_figure(content: Content) -> Block:
    return blocks.figure(
        "orders",
        "How well each factor follows the path.",
        f"Mean over pairs of Spearman's correlation of the reading with the position along the {content.paths[0]} "
        "path, so signed that 1 is from A to B all the way. Filled: the path between representations; open: the "
        "representations of the cross-faded images; tick: the readings of the path against another image than B. "
        "Lines are 95% bootstrap intervals over pairs. Bottom row: the mean over the differing factors of each "
        f"pair, which the verdict asks to exceed {ORDERED}.",
        "0 is no relation with the position. A dot to the right of its tick says that the path leads to B, and not "
        "only away from A. A factor that the level has dropped stays near 0: nothing of it can be interpolated.",
    )


def _approach_figure() -> Block:
    return blocks.figure(
        "approach",
        "How far a sample lies from the point it was drawn from, and from both ends.",
        "Each sample is encoded again. Median over pairs of its distance to its own point of the path (green), to "
        "h(A) and to h(B), over the median distance of two different images; bands are 95% bootstrap intervals "
        "over pairs.",
        "Where green lies lowest all along, samples follow the path. At A and at B the own point is the end. The "
        "height of green is what decoder and encoder lose on the way to an image and back.",
    )


def _in_short(content: Content) -> Iterator[str]:
    path = content.paths[0]
    for level in content.levels:
        rows = _at(content.factors, level=level, path=path).sort_values("spearman")
        if len(rows):
            best, worst = rows.iloc[-1], rows.iloc[0]
            whole = _at(content.orders, level=level, path=path).iloc[0]
            yield (
                f"Along a {path} path of the {level}, readings follow the position with a mean Spearman correlation of "
                f"{cell(whole, 'spearman')}: best {_label(best['factor'])}, {cell(best, 'spearman')}, worst "
                f"{_label(worst['factor'])}, {cell(worst, 'spearman')}. Towards another image than B it is "
                f"{cell(whole, 'wrong_end')}."
            )
    changes = [f"{row['level']} {cell(row, 'once')}" for _, row in _at(content.classes, path=path).iterrows()]
    if changes:
        yield f"Share of pairs in which the class that is read goes from A's to B's in one step: {', '.join(changes)}."
    for _, row in _at(content.distances, path=path).iterrows():
        yield (
            f"Encoded again, the samples of the {row['level']} go from h(A) to h(B) with a Spearman correlation of "
            f"{cell(row, 'approach')}, at a median distance of {cell(row, 'own')} from their own points (1 is another "
            f"image). They are nearer to these than to both ends in {cell(row, 'own_point')} of cases; samples of "
            f"other positions of the path in {number(row['own_point_chance'])}."
        )


def _factors(content: Content) -> list[Block]:
    if content.orders.empty:
        return [blocks.missing("Factors were not measured.", _NO_FACTORS)]
    how_known = (
        " Those of the two given images are not known, and are what the judge reads off them: where they are no "
        "scenes, these readings mean nothing."
        if content.given and not all(name.startswith("scenes:") for name in content.given)
        else ""
    )
    printed = content.printed
    out = [
        blocks.text(
            "A separate network, the judge, which never saw the encoder, reads the factors of a scene off every "
            "sample. For each factor in which A and B differ, the reading is turned into the share of the way from A's "
            f"value to B's.{how_known}"
        ),
        blocks.figure(
            "trajectories",
            "How far each factor gets.",
            "Mean reading at each position, as a share of the way from A's value (0) to B's (1), over the pairs that "
            "differ in the factor; for the class, the share of pairs in which B's class is read. Bands are 95% "
            f"bootstrap intervals over pairs, of the {content.paths[0]} path.",
            "The grey line is a change at constant speed all the way. A flatter line starts or ends short of what A "
            "and B show: the level holds, or the decoder draws, only part of the factor. An S is a switch between the "
            "two.",
        ),
        *(blocks.table(printed[f"factors-{file_name(level)}"]) for level in content.levels),
    ]
    if "classes" in printed:
        out.append(blocks.table(printed["classes"]))
    return out


def _distances(content: Content) -> list[Block]:
    undrawn = [level for level in content.run["encoder_card"]["levels"] if level not in content.levels]
    return [
        *([_approach_figure()] if len(content.orders) else []),  # else on the first page
        blocks.table(content.printed["distances"]),
        *([decoder.undrawn(undrawn, content.run)] if undrawn else []),
    ]


def _controls(content: Content) -> list[Block]:
    return [
        blocks.text(
            "Two controls bound what a path proves. The cross-fade encodes mixtures of the two images: if it did as "
            "well, the order would be in the pixels and the path through h would add nothing. The wrong end scores the "
            "same readings against the second image of another pair: any path away from an extreme A moves towards "
            "most other images."
        ),
        blocks.table(content.printed["comparison"]),
    ]


def _limits(content: Content) -> Iterator[str]:
    yield (
        "A smooth path of pictures does not show that the points between two representations are like representations "
        "of real images: the decoder draws something from every h. Distances say how far off the samples are."
    )
    yield (
        "Order is not amount. A factor that creeps a tenth of the way follows its path perfectly; the trajectories say "
        "how far it gets."
    )
    yield protocol.OF_SAMPLES
    if len(content.orders):
        yield (
            "The judge reads scenes. Off a picture between two garments it reads some class all the same, and a factor "
            "that is hard to read (an angle of a bag) has noisy readings that lower its correlation."
        )
        yield protocol.OF_SCENES
    yield protocol.OF_INTERVALS


def _protocol(content: Content) -> list[Block]:
    arguments = content.run["arguments"]
    pairs = (
        "Pairs. The two given images; the data set gives the unit of distance only."
        if content.given
        else "Pairs. Random pairs of the data set, no image in two of them, so that pairs are independent."
    )
    return [
        blocks.points(
            [
                pairs,
                f"Paths. {arguments['points']} equally spaced points from h(A) to h(B), both ends among them. Linear: "
                "the straight line. Spherical: the direction turns along the great circle about the origin (slerp), "
                "the norm goes linearly; equal directions give the straight line, opposite ones are joined through "
                "the coordinate axis most nearly at a right angle. Cross-fade, the control: the representations of "
                "linear mixtures of the two images.",
                f"Samples. One of each point, {arguments['steps']} steps of {arguments['solver']}, without guidance; "
                "all points of all paths and levels of a pair start from equal noise, that of its first image.",
                f"Differing factors. A and B differ in a factor from {DIFFERENT:.0%} of the largest possible "
                "difference on; of a circular factor that is half a turn, and the way goes along the shorter arc, "
                "readings being unwrapped around its middle.",
                "Spearman. The correlation of the ranks of the readings along a path with the position, 0 where the "
                "reading is constant; the mean over the differing factors (without the class) is one number a pair.",
                "Own point. Whether a sample, encoded again, is nearer to the point it was drawn from than to both "
                "ends. As the middle of a line is nearer to anything than its ends are, the same points are put to the "
                "samples of all other positions of the same path: what these reach is chance, and what counts is the "
                "share of the way from chance to always.",
                "Order in h. Spearman's correlation, with the position, of the samples' projection on the line from "
                "h(A) to h(B).",
                "Relative distance. Euclidean, divided by the median distance between the representations of two "
                "different images of the data set at that level.",
                f"Uncertainty. {LEVEL:.0%} percentile bootstrap over pairs, {RESAMPLES:,} resamples. Comparisons are "
                "paired over pairs of images: Wilcoxon signed-rank, two-sided, Holm-corrected over the table; effects "
                "as matched-pairs rank-biserial correlation.",
                f"Verdicts. Stated beforehand: on the {content.paths[0]} path, a mean Spearman correlation above "
                f"{ORDERED} and above that of the wrong end, and own points nearest by more than {PLACED:.0%} of the "
                "way from chance to always, all by the whole interval. Finding 4 is that of Bordes, Balestriero and "
                "Vincent, High Fidelity Visualization of What Your Self-Supervised Representation Knows About, TMLR "
                "2022 (arXiv 2112.09164).",
            ]
        )
    ]


# Tables


def _factor_table(content: Content, level: str) -> Table:
    by_path = {path: _at(content.factors, level=level, path=path).set_index("factor") for path in content.paths}
    whole = _at(content.orders, level=level).set_index("path")
    first = by_path[content.paths[0]]
    lines = []
    for factor in (name for name in FACTOR_LABELS if name in first.index):
        orders = [cell(by_path[path].loc[factor], "spearman") for path in content.paths]
        numbers = [number(first.loc[factor, name]) for name in ("wrong_end", "at_first", "at_second")]
        lines.append((_SHORT[factor], *orders, *numbers, str(first.loc[factor, "pairs"])))
    wrong, pairs = (number(whole.loc[content.paths[0], "wrong_end"]), str(whole.loc[content.paths[0], "pairs"]))
    lines.append(("all", *(cell(whole.loc[path], "spearman") for path in content.paths), wrong, "–", "–", pairs))
    return Table(
        name=f"factors-{file_name(level)}",
        caption=(
            f"Factors along the paths of the {level}. Mean Spearman correlation of the reading with the position, "
            f"along each path towards B, and along the {content.paths[0]} one towards another image (wrong end); mean "
            "way from A's value to B's that the samples of h(A) and h(B) show (0 and 1 are ideal); pairs that differ "
            "in the factor. In brackets, 95% bootstrap intervals over pairs."
        ),
        columns=("factor", *content.paths, "wrong end", "way at A", "way at B", "pairs"),
        rows=tuple(lines),
    )


def _class_table(content: Content) -> Table:
    return Table(
        name="classes",
        caption=(
            "The class along the paths. Share of pairs of two classes in which the judge reads A's class, then from "
            "some point on B's, and never another (once); and in which it reads A's at A and B's at B, whatever lies "
            "between: no path can reach more than that. 95% bootstrap intervals over pairs."
        ),
        columns=("level", "path", "once from A's to B's", "right at both ends", "pairs"),
        rows=tuple(
            (row["level"], row["path"], cell(row, "once"), cell(row, "ends"), str(row["pairs"]))
            for _, row in content.classes.iterrows()
        ),
    )


def _distance_table(content: Content) -> Table:
    points = content.run["arguments"]["points"]
    return Table(
        name="distances",
        caption=(
            "Samples and the points they were drawn from. Own point: share of samples nearer to their own point than "
            "to both ends; by chance: what samples of other positions reach; beyond chance: share of the way from "
            f"there to always, which the verdict asks to exceed {PLACED}. Rank: mean place of the own point among the "
            f"{points} of the path, and by chance. Order in h: Spearman's correlation of the way from h(A) to h(B) "
            "with the position. Distance: median relative distance to the own point. Offset: of the path from the "
            "straight line. In brackets, 95% bootstrap intervals over pairs."
        ),
        columns=(
            "level",
            "path",
            "own point",
            "by chance",
            "beyond chance",
            "rank",
            "order in h",
            "distance",
            "offset",
        ),
        rows=tuple(
            (
                row["level"],
                row["path"],
                number(row["own_point"]),
                number(row["own_point_chance"]),
                cell(row, "beyond_chance"),
                f"{number(row['rank'], 1)} ({number(row['rank_chance'], 1)})",
                cell(row, "approach"),
                number(row["own"]),
                number(row["offset"]),
            )
            for _, row in content.distances.iterrows()
        ),
    )


def _comparison_table(content: Content) -> Table:
    what = {ORDER: "Spearman"}
    return Table(
        name="comparison",
        caption=(
            f"The {content.paths[0]} path beside the others and beside the controls, pair by pair. Median paired "
            "difference with its 95% bootstrap interval; above 0 the path does better. Spearman: mean over differing "
            "factors; own point: share of samples nearest to their own point, less that by chance. p: two-sided "
            f"Wilcoxon signed-rank, Holm-corrected over the {len(content.comparison)} rows. Effect: matched-pairs "
            "rank-biserial correlation."
        ),
        columns=("level", "measure", "beside", "difference", "p (Holm)", "effect", "pairs"),
        rows=tuple(
            (
                row["level"],
                what.get(row["measure"], row["measure"]),
                row["versus"] if row["versus"] == WRONG_END else f"{row['versus']} path",
                cell(row, "difference"),
                p_value(row["p_holm"]),
                number(row["effect"]),
                str(row["pairs"]),
            )
            for _, row in content.comparison.iterrows()
        ),
    )


# Words


def _at(table: pd.DataFrame, **keys: str) -> pd.DataFrame:
    """The rows of a table with these values."""
    for name, value in keys.items():
        table = table[table[name] == value]
    return table


def _label(factor: str) -> str:
    return FACTOR_LABELS.get(factor, factor)
