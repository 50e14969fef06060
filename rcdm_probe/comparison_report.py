"""The report of a comparison of finished runs: what differs by how much, and whether the verdicts are the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from analyses.bootstrap import RESAMPLES
from analyses.digits import ERROR_RATE
from analyses.findings import LEAST
from analyses.statistics import mean_reciprocal, median
from rcdm_probe.handing_on import Savable
from rcdm_probe.known_probes import load_probe
from reports import blocks, notebook, phrases
from reports.figures.by_encoder import Axis, draw_by_encoder
from reports.names import data_name, file_name, listed, words
from reports.provenance import head, provenance
from reports.tables import Table, cell, p_value
from reports.writing import write_report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import pandas as pd
    from matplotlib.figure import Figure

    from reports.blocks import Block
    from reports.finished import FinishedRun

OUTCOMES = ("higher", "lower", "not clear", "equal", "too few")
MOST = 40
"""Rows of a figure: of more, those with the smallest p."""

LONGEST = 8
"""Intervals this many times as long as the middle one do not stretch the axis of a figure."""

LIMITS = (
    "A difference says that numbers differ, not which run is better.",
    "Each run is one training and one draw: another seed of either may differ by more than two runs here do. Compare "
    "runs of several seeds to see by how much.",
    "Compared are numbers that belong to an image, or can be taken apart into what images add to them; the reports of "
    "the runs hold more.",
    phrases.OF_INTERVALS,
)
METHOD = (
    "Nothing was measured again: records of finished runs were joined by image, its file below the folder of the data, "
    "or its index in the set; those of interpolate by pair of images. An image counts where every run has it, a number "
    "where A and the run have it.",
    "An image's value is the mean over doses and samples that both runs have; dose by dose, the same is in "
    "tables/doses.csv, corrected over its own rows.",
    f"Intervals are 95% bootstrap over images, {RESAMPLES:,} resamples, of the paired differences: their median where "
    "runs are summed up by medians, else their mean. Where a number of invariance, adversarial, corruptions or "
    "occlusion is counted in a unit that was measured (the distance to another image), they hold its error.",
    "A number of all images at once (AUC, R2, CKA, effective rank, Frechet distance) is taken apart into what each "
    "image adds to it, by its derivative or the jackknife: their mean is the number, and a difference is paired like "
    "any other. Intervals of the numbers themselves stand in the reports of the runs.",
    "p is of the two-sided Wilcoxon signed-rank test, and of such a number of Student's t test of what images add to "
    "the difference; Holm-corrected over all rows of the differences. Higher or "
    f"lower: the whole interval lies on that side of 0 and p is below {ERROR_RATE}; equal: no image differs; too few: "
    f"below {LEAST} images.",
)


@dataclass(frozen=True, repr=False)
class ComparisonResult(Savable):
    """What a comparison of finished runs found; it can be saved, and shows itself in a notebook.

    Attributes:
        probe: Name of the probe.
        runs: The finished runs by name, the baseline first.
        records: What was joined: one number a row, of a ``run``, a ``file`` (or index of an image), a measure, level,
            condition and dose.
        tables: ``differences``: one row a (``measure``, ``level``, ``condition``, ``run``), over doses and samples:
            ``baseline``, ``value``, the paired ``difference``, its ``p_value``, ``p_holm`` over the table, the
            rank-biserial ``effect`` where single images have values, ``images`` and how many of them ``changed``,
            ``outcome``. ``doses``: the same dose by dose. ``verdicts``: one row a
            claim, the word of each run.
        told: What has to be known of what was compared, in sentences.
        run: The content of ``run.json``.
    """

    probe: str
    runs: Mapping[str, FinishedRun]
    records: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]
    told: tuple[str, ...]
    run: dict[str, Any]

    def _left(self) -> tuple[pd.DataFrame, dict[str, Any], Callable[[Path], Path]]:
        return self.records, self.run, partial(write, content=self)

    def __repr__(self) -> str:
        return f"<{titles(self)[0]}: {len(self.tables['differences'])} differences>"

    def _repr_html_(self) -> str:
        title, subtitle = titles(self)
        _, first = next(figures(self))
        return notebook.summary(title, subtitle, sentences=in_short(self), figure=first, saved=self.saved)


def write(folder: Path, content: ComparisonResult) -> Path:
    """Write the report into a run folder (see `reports.writing`); gives the path of the PDF."""
    printed = [*_difference_tables(content), _verdict_table(content), _runs_table(content)]
    return write_report(
        folder,
        content.tables,
        {table.name: table for table in printed if table.rows},
        figures=figures(content),
        document=document(content),
    )


def titles(content: ComparisonResult) -> tuple[str, str]:
    """What the report is about, and on what."""
    runs = listed([f"{name} ({'+'.join(run.encoders)})" for name, run in content.runs.items()])
    return f"{content.probe.capitalize()}, run beside run", f"{runs}, {paired(content)}, on {data_name(content.run)}"


def in_short(content: ComparisonResult) -> Iterator[str]:
    """The outcome in sentences."""
    table, verdicts = content.tables["differences"], content.tables["verdicts"]
    alike = len({run.run["hashes"].get("data") for run in content.runs.values()}) == 1
    which = "on the same images" if alike else "on images of the same names (whether their pixels agree is not known)"
    yield f"The baseline is A: every difference is a run minus A, {which}."
    for run in list(content.runs)[1:]:
        own = table[table["run"] == run]
        counts = own["outcome"].value_counts()
        told = [f"{counts[word]} {word}" for word in OUTCOMES if word in counts]
        yield f"{run} beside A, in {len(own)} numbers: {', '.join(told)} (p Holm-corrected over all of them)."
    if len(verdicts):
        differ = verdicts[verdicts["differ"]]
        changed = [" ".join(filter(None, row)) for row in zip(differ["claim"], differ["level"], strict=True)]
        has = "have" if len(changed) > 1 else "has"
        which = f": {'; '.join(changed)}" if changed else ""
        yield f"Of {len(verdicts)} verdicts, {len(changed) or 'none'} {has} another word{which}."


def document(content: ComparisonResult) -> dict[str, Any]:
    """The report as plain data, for the PDF and for the page."""
    title, subtitle = titles(content)
    made = head(content.run, title=title, subtitle=subtitle, keywords=["compare", content.probe])
    runs = {name: " ".join((*run.encoders, *["(baseline)"] * (name == "A"))) for name, run in content.runs.items()}
    shown, tables = list(_figure_blocks(content)), list(_difference_tables(content))
    by_measure = [block for pair in zip([None, *shown[1:]], map(blocks.table, tables), strict=True) for block in pair]
    verdicts = _verdict_table(content)
    return {
        **made,
        "cards": [*made["cards"], blocks.card("The runs", runs)],
        "verdicts": [],
        "no-verdict": " ".join(in_short(content)),
        "figure": shown[0],
        "sections": [
            *([blocks.section("Verdicts of the runs", [blocks.table(verdicts)])] if verdicts.rows else []),
            blocks.section("Differences", [block for block in by_measure if block]),
            blocks.section("What this report cannot tell", [blocks.points([*content.told, *LIMITS])]),
            blocks.section("How it was compared", [blocks.table(_runs_table(content)), blocks.points(METHOD)]),
            blocks.section("Provenance", provenance(content.run), new_page=True),
        ],
    }


def paired(content: ComparisonResult) -> str:
    """How runs are paired: ``image by image``."""
    unit = load_probe(content.probe).counted.removesuffix("s")
    return f"{unit} by {unit}"


def label(content: ComparisonResult, measure: str) -> str:
    """A measure, and how it is summed up."""
    about = load_probe(content.probe).compared_by(measure)
    name = about.called or words(measure)
    if about.shares:
        return name
    if about.statistic is mean_reciprocal:
        return f"mean reciprocal {name}"
    return f"{name}, {'median' if about.statistic is median else 'mean'}"


def figures(content: ComparisonResult) -> Iterator[tuple[str, Figure]]:
    """A forest of differences for each measure, with its file name."""
    for measure, rows in content.tables["differences"].groupby("measure", sort=False):
        shown = rows.assign(
            row=_row_labels(rows), encoder=[f"{run} − A" for run in rows["run"]], level=rows["level"].replace("", "all")
        )
        chosen = shown.sort_values("p_value", kind="stable")["row"].drop_duplicates()[:MOST]
        labels = {name: name for name in shown["row"] if name in set(chosen)}
        yield (
            file_name(str(measure)),
            draw_by_encoder(
                shown,
                Axis(f"difference: {label(content, str(measure))}", longest=LONGEST),
                row="row",
                labels=labels,
                series={"difference": "difference"},
                levels=[level or "all" for level in content.tables["differences"]["level"]],
            ),
        )


def _row_labels(rows: pd.DataFrame) -> list[str]:
    both = zip(rows["encoder"], rows["condition"], strict=True)
    without = "untouched" if rows["condition"].any() else ""
    return [", ".join(filter(None, (encoder, words(condition)))) or without for encoder, condition in both]


def _figure_blocks(content: ComparisonResult) -> Iterator[Block]:
    runs = listed([f"{name}: {'+'.join(run.encoders)}" for name, run in content.runs.items()])
    for measure, rows in content.tables["differences"].groupby("measure", sort=False):
        count = len(set(_row_labels(rows)))
        yield blocks.figure(
            file_name(str(measure)),
            f"By how much the runs differ: {label(content, str(measure))}.",
            f"A plot for each run beside the baseline A ({runs}). Dots: the difference, run minus A, "
            f"{paired(content)}, over the doses that both have; lines: its 95% bootstrap interval; a colour and shape "
            "for each level; a line that ends at the frame goes on beyond it."
            + (f" Of {count} rows, the {MOST} with the smallest p." if count > MOST else ""),
            "Dashed is no difference. Right of it the number is higher in the run than in A, left of it lower; where a "
            "line crosses it, they do not tell. Which differences outlast the correction for all rows, the table "
            "says.",
        )


def _difference_tables(content: ComparisonResult) -> Iterator[Table]:
    """The rows of each measure, as read."""
    probe = load_probe(content.probe)
    for measure, rows in content.tables["differences"].groupby("measure", sort=False):
        columns = {
            "condition": _row_labels(rows),
            "level": rows["level"],
            "run": rows["run"],
            "A": [cell(row, "baseline") for _, row in rows.iterrows()],
            "run's": [cell(row, "value") for _, row in rows.iterrows()],
            "run − A": [difference(row) for _, row in rows.iterrows()],
            "p (Holm)": rows["p_holm"].map(p_value),
            "n": rows["images"].map(str),
            "run is": rows["outcome"],
        }
        kept = {
            name: list(cells) for name, cells in columns.items() if name not in ("condition", "level") or any(cells)
        }
        what, shares = label(content, str(measure)), probe.compared_by(str(measure)).shares
        yield Table(
            name=file_name(f"differences-{measure}"),
            caption=f"{what[0].upper()}{what[1:]}, run beside run. 95% bootstrap intervals over n {probe.counted}: "
            f"{'' if shares else 'of the baseline A, of the run, and '}of their paired difference"
            f"{'' if shares else ', of each its mean over the doses that both have'}; "
            f"p by {'Student' if shares else 'Wilcoxon'}, Holm-corrected "
            f"over all {len(content.tables['differences'])} rows of all measures.",
            columns=tuple(kept),
            rows=tuple(zip(*kept.values(), strict=True)),
        )


def difference(row: pd.Series) -> str:
    """A difference with its interval, as read."""
    return cell(row, "difference")


def _verdict_table(content: ComparisonResult) -> Table:
    table = content.tables["verdicts"]
    several = [name for name in ("level", "encoder") if table[name].any()]
    shown = table[["claim", *several, *content.runs]].assign(changed=table["differ"].map({True: "yes", False: "no"}))
    return Table(
        name="words",
        caption="The verdict of each run, side by side. Each is by the rule of its run, over all images of that run. "
        "Two words can differ although the numbers hardly do: the differences tell.",
        columns=tuple(shown),
        rows=tuple(tuple(map(str, row)) for row in shown.itertuples(index=False)),
    )


def _runs_table(content: ComparisonResult) -> Table:
    rows = []
    for name, run in content.runs.items():
        asked = run.run["arguments"]
        told = (run.folder.name, "+".join(run.encoders), asked.get("weights") or "own", asked["data"], asked["seed"])
        rows.append((name, *map(str, told), str(len(run.tables["images"])), str(run.run["finished"])[:10]))
    return Table(
        name="runs",
        caption="The runs. Each folder holds the report of its probe, with all its figures, tables and records.",
        columns=("run", "folder", "encoders", "weights", "data", "seed", "images", "finished"),
        rows=tuple(rows),
    )
