"""What a run is known by: the content of ``run.json`` as names and values, and what the first page begins with.

Only paths that the user gave are printed; any other absolute path is cut to its last part, for a report travels further
than the machine that made it.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from reports import blocks
from reports.names import listed, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reports.blocks import Block


_CARDS = {"The encoder": "encoder_card", "The data": "data_card"}
_FRONT = {
    "encoder_card": {
        "name": "name",
        "method": "method",
        "network": "network",
        "weights": "weights",
        "licence": "licence",
        "pooling": "pooling",
        "levels": "levels and dimensions",
        "self_supervised": "self-supervised",
        "training_augmentations": "trained with",
        "training data": "trained on",
        "training images": "images in training",
    },
    "data_card": {
        "name": "name",
        "images": "images",
        "attacked": "of them attacked",
        "training the classifiers": "of them training the classifiers",
        "image_size": "side, pixels",
        "resized": "resized",
        "classes": "classes",
        "known_factors": "known factors",
        "skipped": "files that could not be read",
        "passed_over": "passed over",
    },
}  # card -> key -> what it is called


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


def front_cards(run: Mapping[str, Any]) -> list[Block]:
    """The encoder and the data on the first page: the lines that a reader needs, those of `_FRONT` that are known."""
    given = _given(run)
    out = []
    for title, key in _CARDS.items():
        lines = dict(flat(run.get(key, {})))
        shown = {words(label): plain(lines[path], given) for path, label in _FRONT[key].items() if path in lines}
        out.append(blocks.card(title, shown))
    return out


def head(run: Mapping[str, Any], *, title: str, subtitle: str, keywords: Iterable[str]) -> dict[str, Any]:
    """How a document begins: title, what made it and when, and the cards of the first page.

    Args:
        run: The content of ``run.json``.
        title: What the report is about.
        subtitle: What was measured, and on what.
        keywords: Of the PDF, beside the probe and its encoders.
    """
    return {
        "title": title,
        "subtitle": subtitle,
        "made-by": f"rcdm-probe {run.get('versions', {}).get('rcdm-probe', '')}".strip(),
        "keywords": ["rcdm-probe", *keywords],
        "started": run.get("started"),
        "cards": [card for card in front_cards(run) if card["rows"]],
    }


def provenance(run: Mapping[str, Any]) -> list[Block]:
    """Everything needed to make the report again: the run, hashes, arguments, versions, machine, and the full cards."""
    given = _given(run)
    parts = {"Arguments": "arguments", "Versions": "versions", "Machine": "machine", **_CARDS}
    lines = {
        title: {words(path): plain(value, given) for path, value in flat(run.get(key, {}))}
        for title, key in parts.items()
    }
    return [
        blocks.pairs({**dict(_run_lines(run)), **_hash_lines(run.get("hashes", {}))}),
        blocks.cards([blocks.card(title, rows) for title, rows in lines.items() if rows]),
    ]


def several_encoders(run: Mapping[str, Any], shown: Sequence[str]) -> list[Block]:
    """The same of a run on several encoders, with a card of each.

    Args:
        run: The content of ``run.json``.
        shown: What is told of an encoder: keys of its card.
    """
    encoders = [
        blocks.card(name, {words(key): plain(card[key]) for key in shown if key in card})
        for name, card in run.get("encoder_cards", {}).items()
    ]
    return [*provenance(run), blocks.cards(encoders)]


def flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Lines of a nested card, keys joined by blanks; a mapping of plain values is one line, as is one of a list."""
    for key, value in content.items():
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            yield from ((f"{prefix}{key} {number}", item) for number, item in enumerate(value, 1))
        elif isinstance(value, dict) and any(isinstance(item, (dict, list)) for item in value.values()):
            yield from flat(value, f"{prefix}{key} ")
        else:
            yield f"{prefix}{key}", value


def _run_lines(run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in ("command", "seed", "git_commit", "started", "finished"):
        if run.get(key) not in (None, ""):
            yield words(key), str(run[key])
    if run.get("resumed"):
        yield "resumed", ", ".join(run["resumed"])
    if run.get("seconds") is not None:
        yield "time", f"{run['seconds']:.0f} s" + (" since it was last resumed" if run.get("resumed") else "")
    if run.get("peak_memory_gb") is not None:
        yield "peak memory", f"{run['peak_memory_gb']:.2f} GB"


def _hash_lines(hashes: Mapping[str, str]) -> dict[str, str]:
    """What was measured and what measured it by its hash, each once: an RCDM that encoders share is one."""
    whose: dict[str, list[str]] = {}
    for name, value in hashes.items():
        if value:
            whose.setdefault(value, []).append(words(name))
    return {f"SHA-256 of {listed(names)}": value for value, names in whose.items()}


def _given(run: Mapping[str, Any]) -> frozenset[str]:
    """The strings among the user's arguments."""
    return frozenset(str(value) for value in run.get("arguments", {}).values())
