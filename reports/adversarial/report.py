"""The report of the adversarial probe as a whole: its first page and the order of its sections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyses.adversarial import ASPECTS, RULE
from analyses.wording import listed
from reports import blocks
from reports.adversarial.figures import figures
from reports.adversarial.in_short import in_short
from reports.adversarial.protocol import limits, measured
from reports.adversarial.sections import checks, gains_figure, pictures, robustness, smallest
from reports.first_page import head, verdict_cell
from reports.names import data_name
from reports.provenance import several_encoders
from reports.writing import write_report

if TYPE_CHECKING:
    from pathlib import Path

    from reports.adversarial.content import Content
    from reports.blocks import Block

NUMBERS = ("robustness", "budgets", "rendered", "effort", "transfers", "gradients", "controls", "comparison")
"""The tables of a run, as files of numbers."""


def write(folder: Path, content: Content) -> Path:
    """Write the report into a run folder (see `reports.writing`); gives the path of the PDF."""
    return write_report(
        folder, content, NUMBERS, figures=figures(content), document=document(content), verdicts=content.verdicts
    )


def document(content: Content) -> dict[str, Any]:
    """The report as plain data, for ``templates/report.typ``."""
    run = content.run
    begins = head(
        run,
        title=f"How {listed(content.encoders)} stand attacks",
        subtitle=f"Adversarial robustness of their level {run['arguments']['level']}, on {data_name(run)}",
        keywords=["adversarial", "robustness", *content.encoders],
    )
    return {
        **begins,
        "cards": [*begins["cards"], _attack_card(content)],
        "verdicts": [],
        "verdict-grid": _verdict_grid(content),
        "figure": gains_figure(content) if len(content.comparison) else None,
        "sections": [
            blocks.section("In short", [blocks.points(in_short(content))]),
            blocks.section("Accuracy and displacement against the budget", robustness(content)),
            blocks.section("The smallest budget that flips a decision", smallest(content)),
            blocks.section("What is drawn from an attacked h", pictures(content)),
            blocks.section("Can the attacker be trusted?", checks(content)),
            blocks.section("What this report cannot tell", [blocks.points(limits(content))]),
            blocks.section("How it was measured", [blocks.points(measured(content))]),
            blocks.section(
                "Provenance",
                several_encoders(run, ("method", "self_supervised", "training_augmentations", "levels")),
                new_page=True,
            ),
        ],
    }


def _verdict_grid(content: Content) -> dict[str, Any]:
    by_place = {(verdict.encoder, verdict.aspect): verdict for verdict in content.verdicts}
    rows = [
        {"name": name, "cells": [verdict_cell(by_place.get((name, aspect))) for aspect in ASPECTS]}
        for name in content.encoders
        if name != content.reference
    ]
    return {
        "claim": (
            "Finding 3. Under small adversarial perturbations of the input, self-supervised representations are more "
            f"robust than supervised ones. Here: each encoder beside {content.reference}, under "
            f"{content.attacks[0].name}."
        ),
        "columns": ["h moves less", "the decision holds more often", "the rendered class holds more often"],
        "rows": rows,
        "rule": f"Paired gain over {content.reference}, mean over budgets. {RULE}",
    }


def _attack_card(content: Content) -> Block:
    arguments = content.run["arguments"]
    rows = {"level": arguments["level"], "reference": content.reference}
    for entry in content.attacks:
        budgets = arguments["eps"] if entry.norm == "Linf" else arguments["eps_l2"]
        rows[entry.name] = f"{entry.about}; {', '.join(f'{budget:g}' for budget in budgets)} {entry.unit}"
    rows |= {"steps": f"{arguments['attack_steps']}", "restarts": f"{arguments['restarts']}"}
    return blocks.card("The attacks", rows)
