"""Files of weights: fetched once into PyTorch's own cache, read without running code, put into a network whole.

A download is written under a temporary name and takes its own when it is complete and its hash is right. What is read
holds tensors and plain values only: a file that would need code to be run is refused. PyTorch itself is imported by
what needs it, so that asking where a file is costs nothing.
"""

from __future__ import annotations

import _codecs
import argparse
import hashlib
import math
import os
import pickle
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import urlopen

from rcdm_core.atomic import atomic_path
from rcdm_core.bounds import LARGEST_SEED, check_whole
from rcdm_core.errors import UserError
from rcdm_core.paths import user_path
from rcdm_core.progress import silent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import torch
    from torch import nn

    from rcdm_core.progress import Progress

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


def parse_weights(weights: str | Path | None) -> Path | Fresh | None:
    """What an option ``--weights`` asks for: a file, ``random`` or ``random:SEED``; None for ``own`` and for None."""
    if weights is None or str(weights) == OWN:
        return None
    word, _, seed = str(weights).partition(":")
    if word == "random" and (seed or "0").isdecimal():
        number = int((seed or "0")[:20])  # twenty digits are too many already
        check_whole("seed of random weights", number, 0, LARGEST_SEED)
        return Fresh(number)
    return user_path(weights, "the file of weights")


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


def fetch(
    url: str, *, licence: str, sha256: str | None = None, name: str | None = None, progress: Progress = silent
) -> Path:
    """A file from the network, or from the cache where it is there already.

    The licence is shown on the standard error the first time a file is used.

    Args:
        url: Where it is published.
        licence: Under which licence, in words.
        sha256: Its SHA-256 in hexadecimal digits, or the first of them; None where none was published.
        name: Name in the cache, where the last part of the URL would say nothing.
        progress: Shows the megabytes arriving.

    Raises:
        UserError: It is not here and cannot be fetched (says which file to put where), or arrives damaged.
    """
    path = weight_file(url, name)
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as temporary:
                _download(url, temporary, sha256=sha256, description=f"downloading {path.name}", progress=progress)
        except (OSError, HTTPException) as error:
            raise UserError(
                f"{path.name} is not in {path.parent} and could not be fetched ({getattr(error, 'reason', error)})",
                f"fetch {url} elsewhere and put it there under that name",
            ) from error
    show_licence(path, licence, marker=path.with_name(f".{path.name}.licence"))
    return path


def _download(url: str, path: Path, *, sha256: str | None, description: str, progress: Progress) -> None:
    digest = hashlib.sha256()
    with urlopen(url, timeout=TIMEOUT) as answer, path.open("wb") as file:
        size = int(answer.headers.get("Content-Length") or 0)
        chunks = iter(lambda: answer.read(CHUNK), b"")
        for chunk in progress(chunks, f"{description} (MB)", math.ceil(size / CHUNK) or None):
            file.write(chunk)
            digest.update(chunk)
        if size and file.tell() != size:
            raise OSError(f"the connection ended after {file.tell()} of {size} bytes")
    if sha256 and not digest.hexdigest().startswith(sha256):
        raise UserError(
            f"what came from {url} is not what was published",
            f"its SHA-256 begins with {digest.hexdigest()[: len(sha256)]}, not {sha256}; try again later",
        )


def show_licence(path: Path, licence: str, *, marker: Path) -> None:
    """Tell the licence of a file of weights on the standard error, the first time it is used.

    Args:
        path: The file.
        licence: In words.
        marker: File that says that it was told; it is made.
    """
    if marker.is_file():
        return
    print(f"The weights in {path.name} are published under {licence}", file=sys.stderr)
    with suppress(OSError):  # a cache that others look after: the licence is shown again
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(licence + "\n")


def load_state(path: str | Path) -> dict[str, Any]:
    """The content of a file of weights, on the CPU, without running code from it.

    Args:
        path: safetensors (by its ending), or what ``torch.save`` wrote.

    Returns:
        Tensors by name; what ``torch.save`` wrote may hold further dictionaries and plain values.

    Raises:
        UserError: No such file, or it is damaged, holds no dictionary, or would run code.
    """
    import torch
    from safetensors.torch import load_file

    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no file {path}", "give a file of weights (safetensors, or from torch.save)")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals(_harmless()):
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Unsupported global" not in str(error):
            raise _damaged(path) from error
        raise UserError(
            f"{path} holds more than weights ({_blocked(error)}) and is not opened, because that could run code",
            "save the state dict alone, best as safetensors",
        ) from error
    except PermissionError as error:
        raise UserError(f"cannot read {path} ({error.strerror})", "check its permissions") from error
    except Exception as error:  # rubbish fails in as many ways as there are instructions of a pickle
        raise _damaged(path) from error
    if not isinstance(state, dict):
        raise UserError(f"{path} holds a {type(state).__name__}, not weights by name", "save a state dict")
    return state


def unwrapped(state: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The weights in a training checkpoint: below a usual key, without the prefixes of wrappers around a network."""
    for key in ("state_dict_ema", "model_ema", "state_dict", "model"):
        if isinstance(state.get(key), dict):
            state = state[key]
            break
    return {name.removeprefix("module.").removeprefix("_orig_mod."): tensor for name, tensor in state.items()}


def fill(network: nn.Module, state: Mapping[str, torch.Tensor], *, path: Path | str, layout: str) -> None:
    """Put weights into a network: every tensor of both sides is used.

    Args:
        network: Takes the weights; counters of batch norm may be missing.
        state: Tensors by the network's own names.
        path: Where they come from, for the error.
        layout: What the file should look like, in words, for the error.

    Raises:
        UserError: Names or shapes differ; says the first of each kind and how many.
    """
    import torch

    own = network.state_dict()
    missing = [name for name in own if name not in state and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in state if name not in own]
    reshaped = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    kinds = {"missing": missing, "unexpected": unexpected, "of another shape": reshaped}
    found = [f"{len(names)} {kind} (first: {names[0]})" for kind, names in kinds.items() if names]
    if found:
        raise UserError(f"the weights in {path} do not fit: {', '.join(found)}", f"expected {layout}")
    network.load_state_dict({name: state[name] if name in state else torch.zeros_like(own[name]) for name in own})


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


def _blocked(error: pickle.UnpicklingError) -> str:
    """The Python object that a file asks for."""
    return str(error).split("GLOBAL ")[-1].split()[0]


def _damaged(path: Path) -> UserError:
    return UserError(f"{path} is damaged or holds no weights", "fetch or save it again (safetensors, or torch.save)")
