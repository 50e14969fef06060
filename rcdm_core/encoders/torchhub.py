"""Entry points of torch.hub repositories: code and weights that somebody publishes on GitHub.

A repository is run only if it is trusted: PyTorch asks before the first use of one, and remembers the answer. The
repository may also be a folder with a ``hubconf.py``. What an entry point returns says nothing of its preprocessing:
ImageNet's usual one is taken, and the card says so; for another, write a function and name it ``python:...``.
"""

from __future__ import annotations

from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from timm.data.constants import IMAGENET_DEFAULT_MEAN as MEAN
from timm.data.constants import IMAGENET_DEFAULT_STD as STD
from timm.data.transforms_factory import create_transform
from torch import nn

from rcdm_core.encoders.any_network import (
    CLASSIFIERS,
    fill_network,
    known_training,
    measured,
    ready,
    without_classifier,
)
from rcdm_core.encoders.preprocess import Steps
from rcdm_core.errors import UserError, first_line
from rcdm_core.paths import user_path
from rcdm_core.weights import Fresh, seeded

if TYPE_CHECKING:
    from rcdm_core.encoders.encoder import Encoder

IMAGE_SIZE = 224  # pixels
DECODED = 256  # pixels of the short side before it is cropped


def load_torchhub(name: str, *, weights: Path | Fresh | None = None) -> Encoder:
    """An encoder ``torchhub/REPO:NAME``.

    Args:
        name: REPO is ``owner/repository``, ``owner/repository:branch`` or a folder; NAME is an entry point.
        weights: A file under the network's own names, or fresh weights; None takes the pretrained ones.

    Raises:
        UserError: The repository cannot be fetched, is not trusted or has no such entry point, or weights do not fit.
    """
    repository, _, entry = name.removeprefix("torchhub/").rpartition(":")
    folder = user_path(repository, "the repository")
    local = bool(repository) and folder.is_dir()
    if not local and repository.partition(":")[0].count("/") != 1:
        raise UserError(
            f"{name!r} names no repository", "write torchhub/OWNER/REPOSITORY:BRANCH:NAME, or torchhub/./FOLDER:NAME"
        )
    address, source = (str(folder.resolve()), "local") if local else (repository, "github")
    options: dict[str, Any] = {"source": source, "trust_repo": "check", "verbose": False}
    try:
        with seeded(weights):
            try:
                network = torch.hub.load(address, entry, pretrained=weights is None, **options)
            except TypeError as error:  # an entry point that knows no ``pretrained``
                if isinstance(weights, Fresh) or "pretrained" not in str(error):
                    raise
                network = torch.hub.load(address, entry, **options)
    except (Exception, SystemExit) as error:  # the repository's own code has run
        raise UserError(
            f"torch.hub gives no {entry!r} of {repository} ({type(error).__name__}: {first_line(error)})",
            _remedy(error),
        ) from error
    if not isinstance(network, nn.Module):
        raise UserError(
            f"{name} gives a {type(network).__name__}, not a network", "wrap it in a function and use python:..."
        )
    network = without_classifier(ready(network, name))
    told = fill_network(network, weights, of=name, own="the repository's", without=CLASSIFIERS)
    crop = {"interpolation": "bicubic", "crop_pct": IMAGE_SIZE / DECODED, "mean": MEAN, "std": STD}
    preprocess = Steps(create_transform(IMAGE_SIZE, **crop, is_training=False))
    sources = [folder / "hubconf.py"] if local else _hubconfs(repository)
    encoder = measured(name, network, preprocess, DECODED, sources=sources)
    encoder.is_ssl = known_training(weights, name)
    encoder.card = {
        "network": f"{entry} of {repository}",
        "weights": told,
        "preprocessing": "ImageNet's usual one, assumed",
        "pooling": {"backbone": "the network's own"},
        **encoder.card,
    }
    return encoder


def _hubconfs(repository: str) -> list[Path]:
    """The entry points of ``owner/repository``, with ``:branch`` or of all branches that are here."""
    address, _, branch = repository.partition(":")
    folder = f"{address}_{branch or '*'}".replace("/", "_")
    return list(Path(torch.hub.get_dir()).glob(f"{folder}/hubconf.py"))


def _remedy(error: BaseException) -> str:
    match error:
        case EOFError():
            return "it is not trusted yet: answer y to the question in a terminal"
        case OSError() | HTTPException():
            return "connect to the network once, or put a copy of the repository in a folder: torchhub/./FOLDER:NAME"
        case _:
            return "the repository's hubconf.py says which entry points there are and what they need"
