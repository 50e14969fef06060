"""What things are called in sentences, tables, titles and file names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

FACTOR_LABELS = {
    "class": "class of the garment",
    "hue": "hue of the garment",
    "background_hue": "hue of the background",
    "brightness": "brightness of the background",
    "direction": "direction of the gradient",
    "x": "x (left to right)",
    "y": "y (top to bottom)",
    "scale": "scale",
    "angle": "angle",
}
"""The known factors of a scene as they are printed, in order."""

SHORT_LABELS = {**{name: name for name in FACTOR_LABELS}, "background_hue": "backgr. hue"}
"""The same where there is little room."""


def factor_label(name: str) -> str:
    """A factor as printed; one that is no scene's by its own name."""
    return FACTOR_LABELS.get(name, name)


def short_label(name: str) -> str:
    """A factor where there is little room; one that is no scene's by its own name."""
    return SHORT_LABELS.get(name, name)


def in_factor_order(rows: pd.DataFrame, *others: str) -> pd.DataFrame:
    """Rows by their column ``factor`` in the order in which factors are printed, others behind them."""
    places = {name: place for place, name in enumerate((*FACTOR_LABELS, *others))}
    return rows.sort_values("factor", key=lambda factors: factors.map(places), kind="stable")


def listed(names: Sequence[str]) -> str:
    """Names as in a sentence: ``a, b and c``."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def words(name: str) -> str:
    """The name of a transformation, a factor, a key, as words."""
    return name.replace("_", " ")


def file_name(name: str) -> str:
    """A name as a file's, without ending: letters that every system allows."""
    return re.sub(r"[^\w.+-]|_", "-", name)


def told_apart(names: Sequence[str]) -> list[str]:
    """Names of files, of which those that came before are numbered: names of two encoders can give the same."""
    return [f"{name}-{n}" if (n := 1 + names[:place].count(name)) > 1 else name for place, name in enumerate(names)]


def is_of(name: str, family: str) -> bool:
    """Whether a name is of a family: it alone, or followed by ``_`` or ``-`` and a level or a number."""
    return name == family or name.startswith((f"{family}_", f"{family}-"))


def sentence(title: str) -> str:
    """A title with a full stop."""
    return title if title.endswith((".", "?")) else f"{title}."


def data_name(run: Mapping[str, Any]) -> str:
    """What the images of a run are called."""
    card = run.get("data_card", {})
    return str(card.get("name") or run["arguments"].get("data", "images"))
