"""Stages: parts of a measurement that outlive an interruption.

A stage is a function without arguments that gives a table or a tensor. Its result is kept in a file named after the
stage and a key, the digest of everything it depends on, and is read instead of computed when it is asked for again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd
from safetensors.torch import load_file, save_file

from rcdm_core.atomic import atomic_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch

T = TypeVar("T")


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
        return self._kept(f"{name}-{self.key[:16]}.parquet", compute, _read_table, _write_table)

    def tensor(self, name: str, compute: Callable[[], torch.Tensor]) -> torch.Tensor:
        """The tensor of a stage, kept as safetensors."""
        return self._kept(f"{name}-{self.key[:16]}.safetensors", compute, _read_tensor, _write_tensor)

    def _kept(
        self, name: str, compute: Callable[[], T], read: Callable[[Path], T], write: Callable[[T, Path], Any]
    ) -> T:
        if self.folder is None:
            return compute()
        path = self.folder / name
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as unfinished:
                write(compute(), unfinished)
        return read(path)


def _read_table(path: Path) -> pd.DataFrame:
    return pd.read_parquet(BytesIO(path.read_bytes()))


def _write_table(table: pd.DataFrame, path: Path) -> None:
    path.write_bytes(table.to_parquet())  # by itself it knows no path that is not UTF-8


def _read_tensor(path: Path) -> torch.Tensor:
    return load_file(path)["value"]


def _write_tensor(value: torch.Tensor, path: Path) -> None:
    save_file({"value": value.contiguous()}, path)
