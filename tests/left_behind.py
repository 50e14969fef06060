"""What a report leaves in a run folder."""

from __future__ import annotations

import json
from pathlib import Path


def tables_left_out(folder: Path) -> list[str]:
    """Tables of the report in a run folder that do not lie beside it both as LaTeX and as CSV."""
    document = json.loads((folder / "report.json").read_text())
    shown = [b["name"] for section in document["sections"] for b in section["blocks"] if b["kind"] == "table"]
    files = [folder / "tables" / f"{name}.{ending}" for name in shown for ending in ("tex", "csv")]
    assert files
    return [file.name for file in files if not file.is_file()]
