"""Which weights are asked for, and published files of them, fetched once into PyTorch's own cache.

A download is written under a temporary name and takes its own when it is complete and its hash is right; what is there
is hashed whenever it is used, for it may have been put there by hand. PyTorch itself is imported by what needs it, so
that asking where a file is costs nothing. `rcdm_core.weight_files` reads them.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from rcdm_core.bounds import LARGEST_SEED, check_whole
from rcdm_core.errors import UserError
from rcdm_core.kept import atomic_path
from rcdm_core.paths import user_path
from rcdm_core.progress import track

CHUNK = 1 << 20  # bytes read at once
TIMEOUT = 20  # seconds without an answer

OWN = "own"
"""Word for the weights that an encoder was published with."""

TRAININGS = {"self-supervised": True, "supervised": False}
"""Words that tell how weights were trained, and whether that is self-supervised."""

CC_BY_NC = "CC BY-NC 4.0, not for commercial use (https://creativecommons.org/licenses/by-nc/4.0/)"
APACHE = "Apache License 2.0 (https://www.apache.org/licenses/LICENSE-2.0)"
BSD = "BSD 3-Clause License (https://github.com/pytorch/vision/blob/main/LICENSE)"


@dataclass(frozen=True)
class Fresh:
    """Random weights instead of trained ones: an untrained control, and a network without a download."""

    seed: int

    def __str__(self) -> str:
        return f"random, seed {self.seed}"


def is_fresh(told: object) -> bool:
    """Whether what an encoder's card tells of its weights is that they are `Fresh`."""
    return re.fullmatch(r"random, seed [0-9]+", str(told)) is not None


def parse_weights(weights: str | Path | None) -> Path | Fresh | None:
    """What an option ``--weights`` asks for: a file, ``random`` or ``random:SEED``; None for ``own`` and for None.

    Raises:
        UserError: The seed is no number that can be one, or no file can have this path.
    """
    if weights is None or str(weights) == OWN:
        return None
    word, colon, seed = str(weights).partition(":")
    if word != "random":
        return user_path(weights, "the file of weights")
    if colon and not re.fullmatch(r"[0-9]{1,20}", seed):
        raise UserError(f"the seed of {str(weights)[:80]!r} is no number", "write random:SEED, such as random:1")
    number = int(seed or 0)
    check_whole("seed of random weights", number, 0, LARGEST_SEED)
    return Fresh(number)


def split_training(weights: str | Path | None) -> tuple[str | Path | None, bool | None]:
    """Weights as they are asked for, and whether they are said to be self-supervised.

    ``my.pt:self-supervised`` is the file and True, ``own:supervised`` the encoder's own weights and False. Where
    nothing is said, the second is None.
    """
    what, colon, training = str(weights or "").rpartition(":")
    return (what, TRAININGS[training]) if colon and training in TRAININGS else (weights, None)


@contextmanager
def seeded(weights: Path | Fresh | None) -> Iterator[None]:
    """Networks built in the block start from the seed of fresh weights; the random state outside is not touched."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(weights.seed if isinstance(weights, Fresh) else 0)
        yield


def checkpoint_folder() -> Path:
    """Where PyTorch keeps downloaded weights: ``checkpoints`` in `torch.hub.get_dir`, without importing PyTorch."""
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "torch")
    return user_path(home, "PyTorch's cache") / "hub" / "checkpoints"


def weight_file(url: str, name: str | None = None) -> Path:
    """Where the file of a URL is kept; it need not be there."""
    return checkpoint_folder() / (name or Path(urlsplit(url).path).name)


def fetch(url: str, *, licence: str, sha256: str | None = None, name: str | None = None) -> Path:
    """A file from the network, or from the cache where it is there already.

    The licence is shown on the standard error the first time a file is used.

    Args:
        url: Where it is published.
        licence: Under which licence, in words.
        sha256: Its SHA-256 in hexadecimal digits, or the first of them; None where none was published.
        name: Name in the cache, where the last part of the URL would say nothing.

    Raises:
        UserError: It is not here and cannot be fetched (says which file to put where), arrives damaged, or is another.
    """
    from http.client import HTTPException  # a tenth of a second of every start, and needed once

    path = weight_file(url, name)
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as temporary:
                _download(url, temporary, f"downloading {path.name} (MB)")
                _require(sha256, temporary, f"what came from {url}", "try again later")
        except (OSError, HTTPException) as error:
            raise UserError(
                f"{path.name} is not in {path.parent} and could not be fetched ({getattr(error, 'reason', error)})",
                f"fetch {url} elsewhere and put it there under that name",
            ) from error
    else:
        _require(sha256, path, str(path), "remove it and it is fetched; give weights of your own by --weights FILE")
    show_licence(path, licence, marker=path.with_name(f".{path.name}.licence"))
    return path


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _require(sha256: str | None, path: Path, what: str, remedy: str) -> None:
    """Raise a `UserError` unless the SHA-256 of a file begins so; None stands for any."""
    if sha256 and (begins := sha256_of(path)[: len(sha256)]) != sha256:
        raise UserError(f"{what} is not what was published: its SHA-256 begins with {begins}, not {sha256}", remedy)


def _download(url: str, path: Path, description: str) -> None:
    from urllib.request import urlopen

    with urlopen(url, timeout=TIMEOUT) as answer, path.open("wb") as file:
        size = int(answer.headers.get("Content-Length") or 0)
        chunks = iter(lambda: answer.read(CHUNK), b"")
        for chunk in track(chunks, description, math.ceil(size / CHUNK) or None):
            file.write(chunk)
        if size and file.tell() != size:
            raise OSError(f"the connection ended after {file.tell()} of {size} bytes")


def show_licence(path: Path, licence: str, *, marker: Path) -> None:
    """Tell the licence of a file of weights on the standard error, the first time: until there is the marker."""
    if marker.is_file():
        return
    print(f"The weights in {path.name} are published under {licence}", file=sys.stderr)
    with suppress(OSError):  # a cache that others look after: the licence is shown again
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(licence + "\n")
