"""A finished run of one probe, as its folder tells it: what the report of the reproduction is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reports.names import file_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pandas as pd

    from reports.blocks import Block


@dataclass(frozen=True)
class Part:
    """A finished run of one probe, as its folder tells it.

    Attributes:
        probe: Name of the probe.
        encoders: Encoders that it measured.
        folder: The run folder.
        run: The content of its ``run.json``.
        document: Its report as plain data: the content of ``report.json``.
        tables: Its tables as numbers, by file name.
    """

    probe: str
    encoders: tuple[str, ...]
    folder: Path
    run: Mapping[str, Any]
    document: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame]

    @property
    def prefix(self) -> str:
        """What its figures and tables are called by, among those of other parts."""
        return file_name("-".join([self.probe, *(self.encoders if len(self.encoders) == 1 else ())]))

    def blocks(self) -> Iterator[Block]:
        """Everything that its report shows."""
        if self.document.get("figure"):
            yield self.document["figure"]
        for section in self.document["sections"]:
            yield from section["blocks"]
