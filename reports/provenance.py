"""What a run is known by: the content of ``run.json`` as lines of names and values, and the two cards of the first page.

Only paths that the user gave are printed; any other absolute path is cut to its last part, for a report travels further
than the machine that made it.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reports.blocks import Block

from reports import blocks


def plain(value: Any, given: frozenset[str] = frozenset()) -> str:
    """A value of ``run.json`` as a person writes it; ``given`` are the strings that the user passed."""
    if value is None or value == "" or value == [] or value == {}:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{words(key)} {plain(item, given)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(item, given) for item in value)
    text = str(value)
    is_machine_path = PurePath(text).is_absolute() and text not in given
    return PurePath(text).name if is_machine_path else text


def words(key: str) -> str:
    """A key as words."""
    return str(key).replace("_", " ")


def card(title: str, content: Mapping[str, Any], run: Mapping[str, Any]) -> dict[str, Any]:
    """A card of the first page: a title, and lines in the order in which they come."""
    given = _given(run)
    return {"title": title, "rows": [[words(key), plain(value, given)] for key, value in content.items()]}


def provenance(run: Mapping[str, Any]) -> list[Block]:
    """Everything needed to make the report again, as blocks: the run, its arguments, versions, hashes, machine."""
    given = _given(run)
    out = [blocks.pairs(dict(_run_lines(run)))]
    for title, key in (
        ("Arguments", "arguments"),
        ("Hashes (SHA-256)", "hashes"),
        ("Versions", "versions"),
        ("Machine", "machine"),
    ):
        content = run.get(key)
        if content:
            out += [blocks.heading(title), blocks.pairs({words(k): plain(v, given) for k, v in content.items()})]
    return out


def _run_lines(run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if run.get("command"):
        yield "command", str(run["command"])
    if run.get("seed") is not None:
        yield "seed", str(run["seed"])
    if run.get("git_commit"):
        yield "git commit", str(run["git_commit"])
    for key in ("started", "finished"):
        if run.get(key):
            yield key, str(run[key])
    if run.get("seconds") is not None:
        yield "time", f"{run['seconds']:.0f} s"
    if run.get("peak_memory_gb") is not None:
        yield "peak memory", f"{run['peak_memory_gb']:.2f} GB"


def _given(run: Mapping[str, Any]) -> frozenset[str]:
    """The strings among the user's arguments."""
    return frozenset(str(value) for value in run.get("arguments", {}).values())
