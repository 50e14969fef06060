"""Files that are kept: whole or not there, whatever happens, sealed with a checksum, believed only while it matches.

A file is written aside, then renamed. One that is to be read back ends with its *seal*: 32 bytes of BLAKE2b over the
names of its folder and of itself, which hold the key of what it keeps, and over all bytes before. So a turned bit, a
file that was cut off and one that was put in another's place are noticed alike; whoever reads then does without the
file, as if it were not there, and makes it again. In safetensors the seal is the last tensor, so that the file is one
for every reader, and may be mapped; a table and what ``torch.save`` writes have it behind their end. JSON, which people
read, has it as an entry. PyTorch and pandas are imported by what needs them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from rcdm_core.errors import UserError, first_line
from rcdm_core.paths import user_path

if TYPE_CHECKING:
    import pandas as pd
    import torch

SEAL = 32
"""Length in bytes."""

LARGEST_JSON = 2**26
"""Bytes; a larger file is none of ours."""

UNFINISHED = re.compile(r"\.\d+-[0-9a-f]{8}-.")
"""How the name begins under which a file is written; what is left under such a name was never finished."""

OTHER_CACHE = "the environment variable RCDM_PROBE_CACHE names another folder"
"""What to do if the cache cannot be written."""

_MASK = os.umask(0)
os.umask(_MASK)
_MODE = 0o666 & ~_MASK  # of a new file; safetensors writes for its owner alone
_LAST = "~seal"  # of type bool, the type that safetensors puts last; its bytes are no truth values
_ENTRY = "checksum"
_BLOCK = 2**20


class NotKept(UserError):
    """Something cannot be written: going on with something else would lose that too."""


def cache_folder() -> Path:
    """The folder that the environment names as ``RCDM_PROBE_CACHE``, else ``~/.cache/rcdm-probe``; may not exist."""
    named = os.environ.get("RCDM_PROBE_CACHE", "").strip() or "~/.cache/rcdm-probe"
    return user_path(named, "the cache (RCDM_PROBE_CACHE)")


@contextmanager
def keeping(what: str, folder: Path, *, remedy: str = "make room there, or name another folder") -> Iterator[None]:
    """Make a folder to write into; that it cannot be made, or written into within the block, is a `NotKept`.

    Args:
        what: What is kept there, in words.
        folder: Where.
        remedy: What to do if it cannot be.
    """
    from safetensors import SafetensorError

    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except (OSError, SafetensorError, RuntimeError) as error:  # the last is how torch.save tells of a full disk
        reason = first_line(error) or type(error).__name__
        raise NotKept(f"{what} cannot be kept in {folder}", f"{reason}; {remedy}") from error


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``, of the same suffix, that takes its place when the block ends well.

    A block that fails leaves ``path`` as it was and nothing else behind; any number of processes and threads may write
    the same file. Content reaches the disk before the name does: a power failure leaves no empty file under it.
    """
    temporary = path.with_name(f".{os.getpid()}-{secrets.token_hex(4)}-{path.name}")
    try:
        yield temporary
        _flush(temporary)
        with suppress(OSError):  # not every file system has modes
            temporary.chmod(_MODE)
        temporary.replace(path)
        if os.name == "posix":  # elsewhere folders cannot be opened
            _flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove, in a folder where nobody else writes and all below it, what killed processes left half written."""
    for path in folder.rglob(".*"):
        if UNFINISHED.match(path.name):
            path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    number = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def sealed(path: Path, *, name: str = "", room: int = 0) -> Iterator[Path]:
    """As `atomic_path`; what the block wrote is sealed before it takes its place.

    Args:
        path: The file.
        name: What the seal says that it is; by default the names of its folder and of itself.
        room: Bytes at the end of what the block writes that the seal takes the place of.
    """
    with atomic_path(path) as temporary:
        yield temporary
        with temporary.open("r+b") as file:
            end = os.fstat(file.fileno()).st_size - room
            seal = _seal(file, name or _name(path), end)
            file.seek(end)
            file.write(seal)


def is_sound(path: Path, *, name: str = "") -> bool:
    """Whether a file is there as it was kept; of one that is there otherwise it is told.

    Reads the whole file, about half a gigabyte a second or more.
    """
    if not os.path.lexists(path):
        return False
    try:
        if path.is_file():
            with path.open("rb") as file:
                end = os.fstat(file.fileno()).st_size - SEAL
                if end >= 0 and _seal(file, name or _name(path), end) == file.read(SEAL):
                    return True
    except OSError:
        pass  # a file that cannot be read is no better than none
    tell_damaged(path)
    return False


def tell_damaged(path: Path, consequence: str = "what it held is made again") -> None:
    """Say on the standard error that a file is not what was kept."""
    print(f"rcdm-probe: {path} is damaged; {consequence}", file=sys.stderr)


def save_tensors(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Keep tensors as safetensors."""
    import torch
    from safetensors.torch import save_file

    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    with sealed(path, room=SEAL) as temporary:
        save_file({**whole, _LAST: torch.zeros(SEAL, dtype=torch.bool)}, temporary)


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file that `is_sound`, mapped: pages are read when they are used."""
    from safetensors.torch import load_file

    tensors = load_file(path)
    tensors.pop(_LAST)
    return tensors


def save_table(table: pd.DataFrame, path: Path) -> None:
    """Keep a table as parquet."""
    with sealed(path) as temporary:
        temporary.write_bytes(table.to_parquet())  # by itself it knows no path that is not UTF-8


def load_table(path: Path) -> pd.DataFrame:
    """The table of a file that `is_sound`."""
    import pandas as pd

    return pd.read_parquet(BytesIO(path.read_bytes()[:-SEAL]))


def save_json(content: Mapping[str, Any], path: Path) -> None:
    """Keep an object of JSON types, as text for people."""
    whole = {**content, _ENTRY: _checksum(content)}
    text = json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
    with atomic_path(path) as temporary:  # half a surrogate, which UTF-8 has not, becomes the escape that JSON has
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))


def load_json(path: Path) -> dict[str, Any] | None:
    """What `save_json` kept; None where there is nothing, or nothing that is as it was kept."""
    try:
        if not path.is_file() or path.stat().st_size > LARGEST_JSON:
            return None
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or content.pop(_ENTRY, None) != _checksum(content):
        return None
    return content


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _seal(file: BinaryIO, name: str, end: int) -> bytes:
    """The seal of the first bytes of a file, which is left behind them."""
    digest = hashlib.blake2b(os.fsencode(name) + b"\0", digest_size=SEAL)
    file.seek(0)
    while (left := end - file.tell()) > 0 and (block := file.read(min(left, _BLOCK))):
        digest.update(block)
    return digest.digest()


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=SEAL).hexdigest()
