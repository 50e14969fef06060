"""The probes that there are: found in the package ``probes``, and announced by other packages.

A module of ``probes`` that assigns ``PROBE`` is a probe, and so is what a package announces under the entry point group
``rcdm_probe.probes`` (``occlusion = "package.module"``, or ``"package.module:PROBE"``). Names and first lines are read
from the files, without running them, so that a list of probes is quick.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import probes
from rcdm_core.errors import UserError, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from probes.probe import Probe

GROUP = "rcdm_probe.probes"
_IS_PROBE = re.compile(r"^PROBE = ", re.MULTILINE)
_FIRST = re.compile(r'"""(.*?)(?:\n\n|""")', re.DOTALL)  # paragraph of a docstring; parsing the file takes much longer


@dataclass(frozen=True)
class Place:
    """Where a probe is.

    Attributes:
        module: Name of the module.
        attribute: What it is called there.
        line: What it asks, in a line.
        ours: Whether it is one of this package.
    """

    module: str
    attribute: str
    line: str
    ours: bool


@cache
def places() -> Mapping[str, Place]:
    """Every probe by name; those of other packages behind ours."""
    ours = {place.module.removeprefix("probes."): place for place in sorted(_ours(), key=lambda place: place.module)}
    others = {point.name: _place(point) for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}
    return ours | {name: place for name, place in others.items() if name not in ours}


def _ours() -> Iterator[Place]:
    for folder in map(Path, probes.__path__):
        for path in (*folder.glob("*.py"), *folder.glob("*/__init__.py")):
            if _IS_PROBE.search(text := path.read_text(encoding="utf-8")):
                name, said = path.parent.name if path.name == "__init__.py" else path.stem, _FIRST.match(text)
                yield Place(f"probes.{name}", "PROBE", " ".join(said[1].split()) if said else "", ours=True)


def _place(point: Any) -> Place:
    line = f"A probe of the package {point.module.partition('.')[0]}."
    return Place(point.module, point.attr or "PROBE", line, ours=False)


def load_probe(name: str) -> Probe:
    """A probe by name.

    Raises:
        UserError: It is another package's, and cannot be imported, or is no probe.
    """
    from probes.probe import Probe

    place = places()[name]
    if place.ours:
        return getattr(import_module(place.module), place.attribute)
    try:
        probe = getattr(import_module(place.module), place.attribute)
    except Exception as error:  # whatever another package does
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise UserError(
            f"the probe {name} cannot be imported from {place.module} ({reason})", "ask its authors"
        ) from error
    if not isinstance(probe, Probe):
        raise UserError(f"{place.module}:{place.attribute} is no probe", "it has to be a probes.probe.Probe")
    return probe
