"""What programs read: ``report.json`` and ``run.json`` are as their schemas say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from reports import blocks

SCHEMAS = Path(__file__).parent.parent / "docs" / "schemas"
jsonschema = pytest.importorskip("jsonschema")


def validator(name: str) -> Any:
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_a_run_and_its_report_are_as_their_schemas_say(command: Callable[..., Result], tmp_path: Path) -> None:
    few = ("--level", "backbone", "--images", 20, "--gallery", 20, "--transformation", "blur")
    result = command("invariance", "-e", "vicreg", "--rcdm", "none", *few, "--out", "out")
    assert result.exit_code == 0, result.output
    for name in ("run", "report"):
        told = json.loads((tmp_path / "out" / f"{name}.json").read_text())
        validator(name).validate(told)
        for key in validator(name).schema["required"]:
            assert not validator(name).is_valid({k: v for k, v in told.items() if k != key}), key
        assert not validator(name).is_valid({**told, "format": 2})


def test_a_full_report_is_as_its_schema_says(invariance_report: tuple[Any, Path]) -> None:
    told = json.loads((invariance_report[1] / "report.json").read_text())
    validator("report").validate(told)
    kinds = {block["kind"] for section in told["sections"] for block in section["blocks"]}
    assert {"figure", "table", "list", "pairs", "cards"} <= kinds


def test_every_kind_of_block_is_in_the_schema_and_no_other() -> None:
    known = validator("report").schema["$defs"]["block"]["properties"]["kind"]["enum"]
    made = [
        blocks.text("a"), blocks.points(["a"]), blocks.pairs({"a": "b"}), blocks.cards([blocks.card("a", {"b": "c"})]),
        blocks.figure("a", "b", "c", "d"), blocks.figures({"a": "b"}, "c", "d", "e"), blocks.missing("a", "b"),
    ]  # fmt: skip
    assert {block["kind"] for block in made} | {"table"} == set(known)
    told = {"format": 1, "title": "a", "subtitle": "", "made-by": "", "keywords": [], "started": None, "cards": []}
    told |= {"verdicts": [], "figure": None, "sections": [{"title": "a", "blocks": made}]}
    validator("report").validate(told)
    for block in made:
        for key in block.keys() - {"kind"}:
            less = {"title": "a", "blocks": [{k: v for k, v in block.items() if k != key}]}
            assert not validator("report").is_valid({**told, "sections": [less]}), (block["kind"], key)
