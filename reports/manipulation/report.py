"""The report of the manipulation probe as a whole: its first page and the order of its sections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyses.manipulation import DIRECTIONS, LEAST_IMAGES, MANIPULATION
from reports import blocks
from reports.first_page import head, verdict_cell
from reports.manipulation.figures import figures
from reports.manipulation.in_short import in_short
from reports.manipulation.protocol import limits, measured
from reports.manipulation.sections import directions, edits, transplant_figure
from reports.names import data_name
from reports.provenance import provenance
from reports.writing import write_report

if TYPE_CHECKING:
    from pathlib import Path

    from reports.manipulation.content import Content

NUMBERS = ("levels", "edits", "removal", "transplant", "directions", "responses")
"""The tables of a run, as files of numbers."""


def write(folder: Path, content: Content) -> Path:
    """Write the report into a run folder (see `reports.writing`); gives the path of the PDF."""
    return write_report(
        folder, content, NUMBERS, figures=figures(content), document=document(content), verdicts=content.verdicts
    )


def document(content: Content) -> dict[str, Any]:
    """The report as plain data, for ``templates/report.typ``."""
    run = content.run
    encoder = run["arguments"]["encoder"]
    what = f"on {run['arguments']['given'][0]}, beside" if content.given else "on"
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
        "figure": transplant_figure(content),
        "sections": [
            blocks.section("In short", [blocks.points(in_short(content))]),
            blocks.section("Common dimensions, taken out and put in", edits(content)),
            blocks.section("Directions of factors", directions(content)),
            blocks.section("What this report cannot tell", [blocks.points(limits(content))]),
            blocks.section("How it was measured", [blocks.points(measured(content))]),
            blocks.section("Provenance", provenance(run), new_page=True),
        ],
    }
    return {**made, "verdict-grid": _verdict_grid(content)} if content.verdicts else made


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
            {"name": level, "cells": [verdict_cell(by_place.get((level, aspect))) for aspect in aspects]}
            for level in content.drawn
        ],
        "rule": " ".join(rules),
    }
