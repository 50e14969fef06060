"""From what was found to the report: the document as plain data, with its figures."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from reports import blocks, decoder
from reports.names import file_name, is_of
from reports.provenance import head, provenance, several_encoders
from reports.style import ordered_levels
from reports.verdicts import verdict_box, verdict_cell
from reports.writing import write_report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from analyses.findings import Verdict
    from probes.probe import Found, Show
    from reports.blocks import Block
    from reports.panels import Map, Panel
    from reports.words import Words

MEASURED = "How it was measured"  # the section of the method; what a page has under this title stands behind it


def document(found: Found) -> dict[str, Any]:
    """The report as plain data, for PDF and page."""
    words, about, run, adapted = found.probe.wording, found.names, found.run, found.that_drew("adapted")
    made = head(
        run,
        title=words.title.format_map(about),
        subtitle=words.subtitle.format_map(about),
        keywords=[found.probe.name, *found.encoders],
    )
    shown = {title: list(_blocks(found, shows)) for title, shows in found.probe.page.items()}
    front, measured = shown.pop("", []), shown.pop(MEASURED, [])
    several = found.probe.needs.encoders == "several"
    shown_of_each = ("method", "self_supervised", "training_augmentations", "levels")
    source = several_encoders(run, shown_of_each) if several else provenance(run)
    in_grid = "grid" in words.columns
    boxes = () if in_grid else found.verdicts
    return {
        **made,
        "cards": [*made["cards"], *decoder.fidelity_card(found.that_drew("scores"), adapted), *_cards(words, about)],
        **({"verdict-grid": _grid(found, words, about)} if in_grid and found.verdicts else {}),
        "verdicts": [verdict_box(one, counted=found.probe.counted, rows=_rows_in(found, one)) for one in boxes],
        "no-verdict": found.probe.gist(found)
        or (words.text("no verdict", about) if "no verdict" in words.sections else "No verdict."),
        "figure": front[0] if front else None,
        "sections": [
            *(blocks.section(title, content) for title, content in shown.items() if content),
            blocks.section(
                "What this report cannot tell",
                [blocks.points([*decoder.adapted_limits(adapted), *words.points("limits", about)])],
            ),
            blocks.section(MEASURED, [blocks.points(words.points("method", about)), *measured]),
            blocks.section("Provenance", source, new_page=True),
        ],
    }


def _cards(words: Words, about: Mapping[str, Any]) -> Iterator[Block]:
    """Further cards of the first page: sections of points such as ``- solver: ddim``."""
    for section in words.sections:
        kind, _, title = section.partition(" ")
        if kind == "card":
            rows = (point.partition(": ") for point in words.points(section, about))
            yield blocks.card(title, {name: value for name, _, value in rows})


def _grid(found: Found, words: Words, about: Mapping[str, Any]) -> dict[str, Any]:
    """Verdicts on several aspects at a glance, level by level; where encoders are compared, one by one."""
    several = found.probe.needs.encoders == "several"
    told = {(verdict.encoder if several else verdict.level, verdict.aspect): verdict for verdict in found.verdicts}
    known = {verdict.aspect for verdict in found.verdicts}
    columns = [column for column in words.columns["grid"] if several or column.name in known]
    return {
        "claim": words.text("grid", about),
        "columns": [column.heading for column in columns],
        "rows": [
            {"name": one, "cells": [_cell(found, told.get((one, column.name))) for column in columns]}
            for one in ordered_levels(one for one, _ in told)
        ],
        "rule": " ".join(dict.fromkeys(verdict.rule for verdict in found.verdicts)),
    }


def _cell(found: Found, verdict: Verdict | None) -> dict[str, str] | str:
    return verdict_cell(verdict, rows=_rows_in(found, verdict) if verdict else "")


def _rows_in(found: Found, verdict: Verdict) -> str:
    """The printed table that a verdict's number stands in: of one a level, that of its level; empty for none."""
    for family in filter(None, found.probe.rows_in.get(verdict.aspect, "").split(" or ")):
        held = [name for name in found.printed if is_of(name, family)]
        if held:
            return next((name for name in held if name == f"{family}-{file_name(verdict.level)}"), held[0])
    return ""


def write(found: Found, folder: Path) -> Path:
    """Write the report with its figures and tables into a run folder; gives the path of the PDF."""
    path = write_report(
        folder,
        {**found.tables, "images": found.images},
        found.printed,
        figures=_figures(found),
        document=document(found),
        verdicts=found.verdicts,
    )
    for panel in found.panels:  # so that a report of several runs can draw it at another size
        panel.save(path.parent / "figures" / f"{file_name(panel.name)}.npz")
    return path


def undrawn(found: Found) -> list[Block]:
    """What to do for the levels that were not drawn from; nothing where all were, or none was (`no_decoder`)."""
    drawn = found.run["drawn_levels"]
    return decoder.undrawn(found.settings.levels, drawn, found.run) if drawn else []


def no_decoder(found: Found) -> list[Block]:
    """What there would be with a decoder, which the words say, and how to get one; nothing where there is one."""
    if found.run["drawn_levels"]:
        return []
    return decoder.no_decoder(found.run, found.probe.wording.text("no decoder", found.names))


def _figures(found: Found) -> Iterator[tuple[str, Figure]]:
    """The figures of the report with their file names, drawn one by one."""
    yield from ((name, draw()) for name, draw in _drawn_by(found).items())


def _drawn_by(found: Found) -> dict[str, Callable[[], Figure]]:
    """What draws each figure, by file name."""
    shows = [show for shows in found.probe.page.values() for show in shows if not callable(show)]
    drawn = {file_name(show.name): partial(show.draw, found) for show in shows if show.draw and show.is_due(found)}
    return {**drawn, **{file_name(one.name): one.figure for one in (*found.panels, *found.maps)}}


def first_figure(found: Found) -> Figure | None:
    """The figure of the first page; None where there is none."""
    front = next(_blocks(found, found.probe.page.get("", ())), None)
    draw = front and _drawn_by(found).get(blocks.figure_name(front))
    return draw() if draw else None


def _blocks(found: Found, shows: Sequence[Show | Callable[[Found], Iterable[Block]]]) -> Iterator[Block]:
    """What is shown, with its captions; a caption that came before is not repeated."""
    words, about, said = found.probe.wording, found.names, set()
    for show in shows:
        if callable(show):
            yield from show(found)
        elif not show.is_due(found):
            continue
        elif show.kind == "table":
            yield from (blocks.table(table) for name, table in found.printed.items() if is_of(name, show.name))
        elif show.kind == "text":
            yield blocks.text(words.text(f"text {show.name}", about))
        elif show.kind == "missing":
            lack = words.caption(f"missing {show.name}", about)
            yield blocks.missing(lack.lead, lack.text)
        elif show.kind == "figure":
            caption = words.caption(f"figure {show.name}", about)
            yield blocks.figure(file_name(show.name), caption.lead, caption.text, caption.how)
        else:
            shown: Sequence[Panel | Map] = found.panels if show.kind == "panel" else found.maps
            family = [one.name for one in shown if is_of(one.name, show.name)]
            for name in [name for name in family if name == show.name] if show.alone else family:
                where = _place(name[len(show.name) + 1 :], found.settings.levels or ())
                caption = words.caption(f"{show.kind} {show.name}", about | where)
                text = "To be read as the figure before." if caption.text in said else caption.text
                said.add(caption.text)
                yield blocks.figure(file_name(name), caption.lead, text, caption.how)


def _place(rest: str, levels: Iterable[str]) -> dict[str, str]:
    """Level and number of a picture, from what its name has behind that of the family: either, or ``level_number``."""
    level = max((level for level in levels if f"{rest}_".startswith(f"{level}_")), key=len, default="")
    return {"level": level or rest, "number": rest[len(level) :].strip("_")}
