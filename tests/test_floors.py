"""The code stands in floors: each imports only those below it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

FLOORS = ("rcdm_core", "analyses", "reports", "probes", "rcdm_probe")
"""From the ground up."""


def imported(file: Path) -> Iterator[str]:
    """Modules that a file names in its imports, wherever they stand in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module)


@pytest.mark.parametrize("floor", FLOORS)
def test_a_floor_imports_only_those_below(floor: str) -> None:
    files = sorted((Path(__file__).parent.parent / floor).rglob("*.py"))
    assert files
    above = FLOORS[FLOORS.index(floor) + 1 :]
    upward = [(file, name) for file in files for name in imported(file) if name.partition(".")[0] in above]
    assert not upward
