"""Files of weights from anywhere: what one is, and how much it holds, is known before it is loaded; no code is run.

The first bytes tell the kind, whatever the ending says: safetensors, or what ``torch.save`` writes, as an archive or as
the row of pickles of old. An archive's directory tells how large its parts are, and a pickle is read through, without
being followed, for what it asks for. Large files are mapped, not read.
"""

from __future__ import annotations

import _codecs
import argparse
import io
import pickletools
import re
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import torch
from safetensors.torch import load_file

from rcdm_core.errors import UserError, reason_of
from rcdm_core.paths import open_regular

MAPPED = 1 << 40  # bytes of a file, at most: it is mapped
READ = 4 << 30  # of one in the old layout of torch.save, which is read whole
INSTRUCTIONS = 1_000_000  # of a pickle: a training checkpoint of 1,000 tensors has some 100,000
PROTOCOL = 2  # of the pickles that are read; torch.save writes it unless it is told otherwise
CHUNK = 1 << 20  # bytes read at once

AS_STATE = "save the weights alone where they were made: torch.save(network.state_dict(), FILE), best as safetensors"
_GIVE = "give a file of weights (safetensors, or from torch.save)"
_FETCH = "fetch or save it again (safetensors, or torch.save)"
_UNPACK = "unpack it, and give the file of weights in it"
_CONVERT = "convert it first to a state dict under PyTorch's names (safetensors, or torch.save)"
_LFS = "fetch the file itself: `git lfs pull` in the repository that it comes from"

_BEGINNINGS: tuple[tuple[int, bytes | tuple[bytes, ...], str, str], ...] = (
    (0, b"version https://git-lfs", "is a pointer of Git LFS, not the file itself", _LFS),
    (0, b"\x89HDF\r\n\x1a\n", "is an HDF5 file, as Keras and MATLAB write them", _CONVERT),
    (0, b"\x93NUMPY", "is an array of NumPy", _CONVERT),
    (0, b"GGUF", "is a GGUF file, whose weights are quantised", _CONVERT),
    (4, b"TFL3", "is a network of TensorFlow Lite", _CONVERT),
    (257, b"ustar", "is a tar archive", _UNPACK),
    (0, b"\x1f\x8b", "is packed with gzip", _UNPACK),
    (0, b"BZh", "is packed with bzip2", _UNPACK),
    (0, b"\xfd7zXZ", "is packed with xz", _UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "is packed with Zstandard", _UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "is a 7z archive", _UNPACK),
    (0, b"Rar!", "is a RAR archive", _UNPACK),
    (0, b"PK\x05\x06", "is an empty zip archive", _FETCH),
    (0, b"%PDF", "is a PDF", _GIVE),
    (0, (b"\x89PNG", b"\xff\xd8\xff"), "is a picture", _GIVE),
)
"""Offset and bytes that tell what is no file of weights, what it is, and what to do."""

_ENDINGS = {
    ".onnx": "an ONNX network",
    ".pb": "a graph of TensorFlow",
    ".h5": "a file of Keras",
    ".index": "part of a checkpoint of TensorFlow",
    ".meta": "part of a checkpoint of TensorFlow",
    ".msgpack": "a checkpoint of Flax",
    ".mlmodel": "a network of Core ML",
    ".pdparams": "a checkpoint of PaddlePaddle",
}
"""Other programs' files, told by their ending where their bytes say nothing."""

_PARTS: tuple[tuple[str | tuple[str, ...], str, str], ...] = (
    (
        "constants.pkl",
        "is a TorchScript program",
        "save the weights in it alone: torch.save(torch.jit.load(FILE).state_dict(), NEW)",
    ),
    ("data.pkl", "", ""),
    (
        ("archive_format", "serialized_exported_program.json"),
        "is a program of torch.export",
        "save the weights in it alone: torch.save(dict(torch.export.load(FILE).state_dict), NEW)",
    ),
    ("model.weights.h5", "is a network of Keras", _CONVERT),
    (".npy", "holds arrays of NumPy (.npz)", _CONVERT),
)
"""How a part of a zip archive ends, what the archive then is, and what to do; the first that is there counts."""

_KNOWN = re.compile(
    r"collections\.OrderedDict|torch\.\w+Storage|torch\._utils\._rebuild_\w+|torch\.(Size|device)"
    r"|argparse\.Namespace|_codecs\.encode|numpy\.(dtype|core\.multiarray\.scalar)"
)
"""What a pickle of tensors and settings asks for."""


def load_state(path: str | Path) -> dict[Any, Any]:
    """The content of a file of weights, on the CPU, without running code from it.

    Args:
        path: safetensors, or what ``torch.save`` wrote; its content tells which.

    Returns:
        Tensors by name; what ``torch.save`` wrote may hold further dictionaries and plain values, under any keys.

    Raises:
        UserError: No such file or no regular one; it is something else (says what), damaged, larger unpacked than
            packed, holds no dictionary, or would run code (says which).
    """
    path = Path(path)
    try:
        with open_regular(path, largest=MAPPED) as file:
            state = _content(path, file)
    except FileNotFoundError as error:
        words = "behind a file stands :self-supervised or :supervised, or nothing" if ":" in path.name else _GIVE
        raise UserError(f"there is no file {path}", words) from error
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path} ({reason_of(error)})", _GIVE) from error
    if not isinstance(state, dict):
        raise UserError(f"{path} holds a {type(state).__name__}, not weights by name", AS_STATE)
    return state


def _content(path: Path, file: IO[bytes]) -> Any:
    """What is in a file that is open already."""
    head = file.read(512)
    if not head:
        raise UserError(f"{path} is empty", _FETCH)
    for offset, begins, is_what, remedy in _BEGINNINGS:
        if head[offset:].startswith(begins):
            raise UserError(f"{path} {is_what}", remedy)
    is_archive, protocol, asked = head.startswith(b"PK\x03\x04"), 0, set[str]()
    if not is_archive and head[:1] != b"\x80" and head[8:9] != b"{":
        raise _something_else(path, head)
    try:
        if head[8:9] == b"{":
            return load_file(path)
        protocol, asked = _of_archive(path, file) if is_archive else _of_pickles(path, file)
        with warnings.catch_warnings(), torch.serialization.safe_globals(_harmless()):
            warnings.simplefilter("ignore")  # of protocols: what cannot be read is told below
            is_mapped = is_archive and path.suffix != ".safetensors"  # PyTorch goes by the ending of a path
            file.seek(0)
            return torch.load(path if is_mapped else file, map_location="cpu", weights_only=True, mmap=is_mapped)
    except UserError:
        raise
    except Exception as error:  # rubbish fails in as many ways as there are instructions of a pickle
        refused = re.search(r"GLOBAL (\S+)", str(error))
        if refused or protocol > PROTOCOL:
            raise _with_code(path, [*(refused.groups() if refused else ()), *sorted(asked)]) from error
        if isinstance(error, MemoryError) or "enough memory" in str(error):
            raise UserError(f"{path} asks for more memory than there is", "use a machine with more") from error
        raise UserError(f"{path} is damaged or holds no weights", _FETCH) from error


def _of_archive(path: Path, file: IO[bytes]) -> tuple[int, set[str]]:
    """Protocol of the pickle in an archive of ``torch.save``, and what it asks for; the archive is what it says, whole.

    ``torch.save`` packs nothing: an archive that is larger unpacked was made to fill the memory. The checksums, which
    PyTorch does not look at, were left out by whoever asked it to (they are 0).
    """
    with zipfile.ZipFile(file) as archive:
        parts = archive.infolist()
        is_what, remedy = next(
            ((what, remedy) for ending, what, remedy in _PARTS if any(p.filename.endswith(ending) for p in parts)),
            ("is a zip archive of other files", _UNPACK),
        )
        if is_what:
            raise UserError(f"{path} {is_what}", remedy)
        unpacked, size = sum(part.file_size for part in parts), path.stat().st_size
        if unpacked > size:
            raise UserError(
                f"{path} has {size:,} bytes that unpack to {unpacked:,}, and is not opened",
                "torch.save packs nothing: unpack it, and save what is in it again",
            )
        for part in parts:
            if not part.CRC:
                del part.CRC  # nothing is compared then
            with archive.open(part) as content:
                while content.read(CHUNK):
                    pass
        pickle = next(part for part in parts if part.filename.endswith("data.pkl"))
        return _asked_for(io.BytesIO(archive.read(pickle)), path, pickles=1)


def _of_pickles(path: Path, file: IO[bytes]) -> tuple[int, set[str]]:
    """The same of the pickles of the old layout: of its mark, its version, its machine, the content and the keys."""
    size = path.stat().st_size
    if size > READ:
        raise UserError(
            f"{path} has {size:,} bytes in the old layout of torch.save, of which at most {READ:,} are read",
            "save it as safetensors, or with a torch.save of today",
        )
    file.seek(0)
    return _asked_for(file, path, pickles=5)


def _asked_for(file: IO[bytes], path: Path, *, pickles: int) -> tuple[int, set[str]]:
    """Protocol of pickles, one after the other, and the Python objects that they ask for; nothing is made of them.

    Raises:
        UserError: There are too many instructions for a file of weights.
    """
    protocol, asked, count = 0, set[str](), 0
    strings: list[str] = ["", ""]  # the last two
    memo: dict[Any, str] = {}
    argument: Any
    for _ in range(pickles):
        try:
            for opcode, argument, _ in pickletools.genops(file):
                count += 1
                if count > INSTRUCTIONS:
                    raise UserError(f"{path} holds more than {INSTRUCTIONS:,} values beside its tensors", AS_STATE)
                match opcode.name:
                    case "PROTO":
                        protocol = max(protocol, argument)
                    case "GLOBAL" | "INST":
                        asked.add(argument.replace(" ", "."))
                    case "STACK_GLOBAL":  # module and name were put on the stack before
                        asked.add(".".join(strings[-2:]))
                    case "MEMOIZE":
                        memo[len(memo)] = strings[-1]
                    case "PUT" | "BINPUT" | "LONG_BINPUT":
                        memo[argument] = strings[-1]
                    case "GET" | "BINGET" | "LONG_BINGET":
                        strings = [strings[-1], memo.get(argument, "")]
                    case name if "UNICODE" in name:
                        strings = [strings[-1], argument]
        except ValueError:  # the row ends early, or in rubbish: who loads it will say so
            break
    return protocol, asked


def _with_code(path: Path, asked: Iterable[str]) -> UserError:
    """The error for a pickle that would make more than tensors."""
    named = dict.fromkeys(name.removeprefix("builtins.").removeprefix("__builtin__.") for name in asked)
    names = [name for name in named if not _KNOWN.fullmatch(name)]
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    if any(name.startswith("torch.nn.parameter.Uninitialized") for name in names):
        return UserError(
            f"{path} holds layers that have no weights yet (lazy ones)",
            "give the network a first batch where it was made, then save its state dict",
        )
    if any(name.startswith("torch.distributed") for name in names):
        return UserError(
            f"{path} holds one process's share of the weights ({shown})",
            "gather them where they were trained, and save one state dict of plain tensors",
        )
    if names:
        return UserError(f"{path} carries code ({shown}), which is never run", AS_STATE)
    return UserError(f"{path} is a pickle of a protocol that can only be read by running what it says", AS_STATE)


def _something_else(path: Path, head: bytes) -> UserError:
    """The error for a file that is neither safetensors nor from ``torch.save``."""
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return UserError(f"{path} is a web page: what was fetched is a message, not the file", "fetch it again")
    if path.suffix.lower() in _ENDINGS:
        return UserError(f"{path} seems to be {_ENDINGS[path.suffix.lower()]}", _CONVERT)
    text = head.decode("utf-8", errors="replace").lstrip("\ufeff")
    if all(sign.isprintable() or sign in "\t\r\n" for sign in text.rstrip("\ufffd")):
        begins = " ".join(text.split())[:40]
        return UserError(f"{path} is a text that begins with {begins!r}", "give the file of weights itself")
    return UserError(f"{path} is damaged or holds no weights", _FETCH)


def _harmless() -> list[Any]:
    """What published files hold besides tensors, and cannot do harm: settings and NumPy's scalars."""
    import numpy as np

    scalar = np.float64(0).__reduce__()[0]
    kinds = {type(np.dtype(kind)) for kind in (np.float32, np.float64, np.int32, np.int64, np.bool_)}
    return [
        argparse.Namespace,
        _codecs.encode,
        np.dtype,
        *kinds,
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
    ]
