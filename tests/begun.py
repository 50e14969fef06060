"""A command that is stopped as soon as it begins to measure: its ``run.json`` says what it would have measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

STUDIES = {
    "invariance": "rcdm_probe.conduct",
    "adversarial": "rcdm_probe.conduct",
    "interpolate": "rcdm_probe.conduct",
    "manipulate": "rcdm_probe.conduct",
    "generate": "rcdm_probe.conduct",
    "fidelity": "rcdm_probe.conduct",
    "reproduce": "rcdm_probe.reproduction",
}
"""Command to the module of its study."""


def facts_of(command: Callable[..., Result], name: str, *arguments: object, out: Path) -> dict[str, Any]:
    """What a command writes into ``run.json`` before it measures.

    Args:
        command: The command line.
        name: A key of `STUDIES`.
        *arguments: Of the command.
        out: Its run folder.
    """

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_module(STUDIES[name]), "conduct", stop)
        result = command(name, *arguments, "--out", out)
    assert result.exit_code == 130, result.output
    return json.loads((out / "run.json").read_text())
