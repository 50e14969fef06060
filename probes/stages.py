"""Stages: parts of a measurement that outlive an interruption.

A stage is a function without arguments that gives a table or a tensor. Its result is kept in a file named after the
stage and a key, the digest of everything it depends on, and is read instead of computed when it is asked for again;
a file that is damaged by then is computed again (`rcdm_core.kept`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from rcdm_core import kept
from rcdm_core.kept import keeping
from rcdm_core.sharing import processes, taken

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd
    import torch

T = TypeVar("T")

GOES_ON = "make room there, and the same command goes on"


@dataclass(frozen=True)
class Stages:
    """Kept results under one key.

    Args:
        folder: Where files are kept; None keeps nothing.
        key: Digest of what the results depend on.
    """

    folder: Path | None
    key: str = ""

    def under(self, *parts: Any) -> Stages:
        """Stages that depend on these parts as well; their ``repr`` tells them apart."""
        return Stages(self.folder, hashlib.sha256(repr((self.key, parts)).encode()).hexdigest())

    def table(self, name: str, compute: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """The table of a stage, kept as parquet."""
        return self._kept(f"{name}-{self.key[:16]}.parquet", compute, kept.load_table, kept.save_table)

    def tensor(self, name: str, compute: Callable[[], torch.Tensor]) -> torch.Tensor:
        """The tensor of a stage, kept as safetensors."""
        return self._kept(f"{name}-{self.key[:16]}.safetensors", compute, _read_tensor, _write_tensor)

    def _kept(
        self, name: str, compute: Callable[[], T], read: Callable[[Path], T], write: Callable[[T, Path], Any]
    ) -> T:
        if self.folder is None:
            return compute()
        path = self.folder / name
        if not kept.is_sound(path):
            with taken(path):
                if processes() < 2 or not kept.is_sound(path):  # another process has made it meanwhile
                    value = compute()
                    with keeping("what was measured", self.folder, remedy=GOES_ON):
                        write(value, path)
        return read(path)


def _read_tensor(path: Path) -> torch.Tensor:
    return kept.load_tensors(path)["value"]


def _write_tensor(value: torch.Tensor, path: Path) -> None:
    kept.save_tensors({"value": value}, path)
