"""Encoders from elsewhere: networks of which nobody wrote down the dimensions, found by one pass of two images."""

from __future__ import annotations

import ast
import inspect
import re
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from rcdm_core.encoders.encoder import Encoder
from rcdm_core.errors import UserError, first_line
from rcdm_core.fingerprint import shows_an_address, without_addresses
from rcdm_core.state_dicts import load_into
from rcdm_core.weight_files import load_state
from rcdm_core.weights import Fresh

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

CLASSIFIERS = ("fc", "classifier", "head", "heads")
"""What torchvision and others call the last layers of a network."""

_SELF_SUPERVISED = {
    *("barlow", "barlowtwins", "byol", "dino", "dinov2", "dinov3", "fcmae", "ijepa", "mae", "moco", "mocov3", "simclr"),
    *("simsiam", "swav", "vicreg", "vicregl", "vjepa"),
}

_LIBRARIES = {"rcdm_core", "timm", "torch", "torchvision"}  # their networks are told by their words for themselves


def measured(
    name: str,
    *,
    preprocess: nn.Module,
    trunk: nn.Module,
    image_size: int,
    is_ssl: bool | None,
    training_augmentations: tuple[str, ...] = (),
    about: str = "",
    sources: Iterable[Path] = (),
    card: Mapping[str, Any],
) -> Encoder:
    """An encoder whose dimensions come from one pass of two black images; arguments as of `Encoder`.

    Its fingerprint knows the code of the network, comments aside: every file that defines one of its modules, and
    ``sources``, further ones.

    Raises:
        UserError: The pass fails, or what comes out is not ``[N, D]`` at a level ``backbone``, or nothing tells one
            step of the preprocessing from another.
    """
    if shows_an_address(repr(preprocess)):
        raise UserError(
            f"a step of the preprocessing of {name} shows neither its code nor its settings",
            "write it as a function in a file, or as a class with a __repr__",
        )
    code = _code(chain(sources, _defining(trunk), _defining(preprocess)))
    encoder = Encoder(
        name,
        preprocess=preprocess,
        trunk=trunk,
        projector=None,
        dimensions={},
        is_ssl=is_ssl,
        image_size=image_size,
        training_augmentations=training_augmentations,
        about=f"{about}{code}{without_addresses(repr(trunk))}",
        card=card,
    )
    try:
        with torch.no_grad():
            levels = encoder(torch.zeros(2, 3, image_size, image_size))
    except Exception as error:  # whatever the network's code does
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise UserError(
            f"encoder {name} fails on images of {image_size}x{image_size} pixels ({reason})",
            "it has to take [N, 3, H, W] in [0, 1] and give [N, D], or a dictionary of levels",
        ) from error
    shapes = {level: tuple(h.shape) for level, h in levels.items()}
    if "backbone" not in shapes or any(len(shape) != 2 or shape[0] != 2 for shape in shapes.values()):
        raise UserError(
            f"encoder {name} gives {shapes} for 2 images", "it has to give [N, D] at a level named backbone at least"
        )
    encoder.dimensions = {level: dimension for level, (_, dimension) in shapes.items()}
    return encoder


def _defining(network: nn.Module) -> Iterator[Path]:
    """The files that define the modules of a network, but for those of the libraries."""
    for kind in {base for module in network.modules() for base in type(module).__mro__}:
        if kind.__module__.partition(".")[0] not in _LIBRARIES:
            functions = filter(inspect.isfunction, vars(kind).values())
            yield from (Path(inspect.unwrap(function).__code__.co_filename) for function in functions)


def _code(paths: Iterable[Path]) -> str:
    """What files of code say to Python, wherever they lie."""
    said = set()
    for path in set(paths):
        try:
            said.add(ast.dump(ast.parse(path.read_bytes())))
        except (OSError, SyntaxError, ValueError):  # no file: code that was made while running
            continue
    return "".join(sorted(said))


def load_file_into(network: nn.Module, path: Path, *, name: str, without: tuple[str, ...] = ()) -> str:
    """Fill a network from a file under its own names, plain or inside a training checkpoint.

    Args:
        network: A network without its classifier.
        path: The file.
        name: Name of the encoder, for errors.
        without: Names of the classifier's layers, which the file may hold.

    Returns:
        The weights in words, for the card: the file, and which of those in it.

    Raises:
        UserError: The file cannot be read or does not fit.
    """
    layout = f"the state dict of {name}, with names like {next(iter(network.state_dict()), 'none')}"
    return load_into(network, load_state(path), path=path, layout=layout, without=without)


def without_classifier(network: nn.Module) -> nn.Module:
    """The network with its last linear layer, if it has one under a usual name, replaced by nothing."""
    for name in CLASSIFIERS:
        layer = getattr(network, name, None)
        if isinstance(layer, nn.Linear):
            setattr(network, name, nn.Identity())
        elif isinstance(layer, nn.Sequential) and len(layer) and isinstance(layer[-1], nn.Linear):
            layer[-1] = nn.Identity()
    return network


def known_training(weights: Path | Fresh | None, name: str) -> bool | None:
    """Whether weights are self-supervised, as far as it is known.

    Args:
        weights: A file, of which nothing is known; fresh weights, which were not trained; or None for the published
            ones, of which the name may tell.
        name: Name of the published weights. It tells of labels (``in1k``), or of self-supervised training that no
            fine-tuning (``ft``) followed (``dino``), or of neither.

    Returns:
        None where it is not known.
    """
    if weights is not None:
        return False if isinstance(weights, Fresh) else None
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    if words & _SELF_SUPERVISED and "ft" not in words:
        return True
    return False if any(re.fullmatch(r"ft|in\d+k", word) for word in words) else None
