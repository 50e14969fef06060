"""One's own encoder: a function, in a module that Python can import from the current folder, that returns a network.

``python:package.module:function`` calls ``function()``, which returns a network, or a network and its preprocessing:

- The network takes a batch and gives ``[N, D]``, or a map ``[N, C, H, W]`` or tokens ``[N, T, C]`` that are pooled by
  the rules of `rcdm_core.encoders.encoder`: the level ``backbone``. To give more levels, such as a projector's output,
  it returns a dictionary ``{"backbone": ..., "projector": ...}``; one of a projector's output alone is refused.
- The preprocessing takes ``[N, 3, H, W]`` in [0, 1]: a module, a function, or torchvision's transforms. Gradients have
  to pass through it. Without one, images are resized to a square, and stay in [0, 1].
- Attributes of the network say what cannot be seen: ``image_size`` (pixels; else what the preprocessing resizes to, or
  224), ``is_ssl`` (whether it was trained without labels; else not told) and ``training_augmentations`` (names of
  the probes' transformations it was trained with).

Weights, the code of the module, of what it imports from the current folder and of all files that define parts of the
network, comments aside, plain attributes of the network and of its settings, and what it gives of a few fixed images
belong to the fingerprint: representations are computed anew when one of them changes. What is not the same in each
pass, and in each batch, is refused.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from inspect import Parameter, signature
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from rcdm_core.encoders.any_network import assembled, fill_network, measured, ready
from rcdm_core.encoders.others_modules import imported_from, modules_as_they_are
from rcdm_core.encoders.preprocess import (
    LARGEST,
    PROBED,
    ResizeNormalize,
    Resizing,
    Steps,
    alike,
    decoded_size,
    is_composed,
    picture_of,
)
from rcdm_core.encoders.soundness import examined, fixed_images, others_code, random_state
from rcdm_core.errors import UserError, unknown_name
from rcdm_core.weights import Fresh, seeded

if TYPE_CHECKING:
    from rcdm_core.encoders.encoder import Encoder

IMAGE_SIZE = 224  # pixels, where nothing else is known
_USUAL = ("analyses", "probes", "reports")  # packages of ours that users may have as well
_ANY_NUMBER = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


def load_custom(name: str, *, weights: Path | Fresh | None = None) -> Encoder:
    """An encoder ``python:package.module:function``.

    Args:
        name: The name.
        weights: A file under the network's own names, instead of what the function has loaded. Fresh weights are the
            function's own affair: it is called with their seed.

    Raises:
        UserError: No such module or function, or it fails, or returns no network that the rules above allow.
    """
    module_name, _, function_name = name.removeprefix("python:").partition(":")
    if not module_name or not function_name:
        raise UserError(f"{name!r} names no function", "write python:package.module:function")
    here = Path.cwd()
    with modules_as_they_are([here], here), modules_from(here, module_name) as shadowed:
        module = _imported(module_name)
        functions = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        if function_name not in functions:
            raise unknown_name(f"function of {module_name}", function_name, functions)
        function = getattr(module, function_name)
        with suppress(TypeError, ValueError):  # some tell no signature
            asked = (p for p in signature(function).parameters.values() if p.kind not in _ANY_NUMBER)
            if needed := [parameter.name for parameter in asked if parameter.default is Parameter.empty]:
                raise UserError(f"{name} needs {', '.join(needed)}", "it has to take no arguments, or have defaults")
        with seeded(weights), others_code(f"{name} fails"):
            returned = function()
        network, transform = returned if isinstance(returned, tuple) and len(returned) == 2 else (returned, None)
        if not isinstance(network, nn.Module):
            kind = type(returned).__name__
            raise UserError(
                f"{name} returns {'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind}",
                "it has to return a torch.nn.Module, or one and its preprocessing",
            )
        image_size, is_ssl, augmentations = _told(network, name)
        network = ready(network, name)
        given = weights if isinstance(weights, Path) else None
        card = {
            "network": f"{type(network).__name__}, made by {function_name} of {module_name}",
            "weights": fill_network(network, given, name, "the function's"),
            "pooling": {"backbone": "the network's own"},
        }
        preprocess, image_size = _preprocessing(transform, image_size, name)
        code = imported_from(Path(module.__file__), here) if module.__file__ else set()
        encoder = assembled(name, network, preprocess, image_size, is_ssl)
        theirs = None if transform is None else lambda picture: transform(picture)[None]
        encoder = measured(encoder, card, code, remove_scores=False, theirs=theirs)
    encoder.training_augmentations = augmentations
    if shadowed:  # what is imported at every pass finds ours now
        examined(encoder)
    return encoder


@contextmanager
def modules_from(folder: Path, wanted: str) -> Iterator[list[str]]:
    """Within the block Python looks for modules in the user's folder first.

    So it does for the one that is wanted, whatever is imported under its name, and for our packages that have the names
    of usual folders. Gives the first names of modules that mean others within the block than outside.
    """
    shadowed = [name for name in {wanted.partition(".")[0], *_USUAL} if _is_another(folder, name)]
    ours = _loaded(shadowed)
    sys.path.insert(0, str(folder))
    for name in ours:
        del sys.modules[name]
    try:
        yield shadowed
    finally:
        with suppress(ValueError):  # the user's code may have taken it away
            sys.path.remove(str(folder))
        for name in _loaded(shadowed):
            del sys.modules[name]
        sys.modules.update(ours)


def _is_another(folder: Path, name: str) -> bool:
    """Whether a module is imported, and the folder has one of the same name."""
    places = [place for place in (folder / f"{name}.py", folder / name / "__init__.py") if place.is_file()]
    imported = getattr(sys.modules.get(name), "__file__", None) or ""
    return name in sys.modules and any(place.resolve() != Path(imported).resolve() for place in places)


def _loaded(names: Sequence[str]) -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] in names}


def _imported(name: str) -> ModuleType:
    try:
        with others_code(f"importing {name} fails"):
            return import_module(name)
    except UserError as told:
        error = told.__cause__
        if not isinstance(error, ModuleNotFoundError):
            raise
        if error.name and not f"{name}.".startswith(f"{error.name}."):
            raise UserError(f"{name} imports {error.name}, which is not installed", "install it") from error
        top = name.partition(".")[0]
        remedy = f"the current folder is {Path.cwd()}"
        if name.endswith(".py"):
            remedy = f"write the module, not its file: python:{Path(name).stem}:function"
        if top in sys.modules and (Path.cwd() / top).is_dir():
            remedy = f"{top} is another package; put an __init__.py into {Path.cwd() / top}"
        raise UserError(f"there is no Python module {name!r}", remedy) from error


def _told(network: nn.Module, name: str) -> tuple[int | None, bool | None, tuple[str, ...]]:
    """The network's ``image_size``, ``is_ssl`` and ``training_augmentations``; a `UserError` if one cannot be meant."""
    size, is_ssl = getattr(network, "image_size", None), getattr(network, "is_ssl", None)
    augmentations = getattr(network, "training_augmentations", ())
    if isinstance(size, (list, tuple)) and len(size) == 2 and size[0] == size[1]:
        size = size[0]
    if size is not None and (type(size) is not int or not 1 <= size <= LARGEST):
        raise UserError(f"image_size of {name} is {size!r}", f"give the side of a square, 1 to {LARGEST} pixels")
    if is_ssl is not None and type(is_ssl) is not bool:
        raise UserError(f"is_ssl of {name} is {is_ssl!r}", "write True, False or None")
    if not isinstance(augmentations, (list, tuple, set)) or not all(isinstance(word, str) for word in augmentations):
        raise UserError(
            f"training_augmentations of {name} is {augmentations!r}", 'write a tuple of names: ("crop", "blur")'
        )
    return size, is_ssl, tuple(augmentations)


def _preprocessing(transform: Any, declared: int | None, name: str) -> tuple[nn.Module, int]:
    """The preprocessing as a module that works on batches, without fault, and the side of the images that it wants."""
    if transform is None:
        size = declared or IMAGE_SIZE
        return ResizeNormalize(size, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), size
    if not callable(transform) or isinstance(transform, type):
        kind = f"class {transform.__name__}" if isinstance(transform, type) else type(transform).__name__
        raise UserError(f"{name} returns a {kind} as preprocessing", "it has to be callable with a batch of images")
    is_whole = isinstance(transform, nn.Module) and not is_composed(transform)
    preprocess = ready(transform, name).eval() if is_whole else Steps(transform)
    side = PROBED[0]
    with others_code(f"the preprocessing of {name}, given a batch [2, 3, {side}, {side}], fails"), Resizing():
        images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0)).requires_grad_()
        out = preprocess(images.clone())  # some write into what they are given
    if not isinstance(out, torch.Tensor) or out.ndim != 4 or len(out) != 2:
        raise UserError(f"the preprocessing of {name} gives no batch", "it has to take and give [N, 3, H, W]")
    if not out.requires_grad:
        raise UserError(
            f"gradients do not pass through the preprocessing of {name}",
            "use tensors throughout, without NumPy or Pillow",
        )
    with others_code(f"the preprocessing of {name} fails on images of other sizes"):
        wanted = decoded_size(preprocess)
    size = max(filter(None, (wanted, declared)), default=side)
    if size > LARGEST:
        raise UserError(f"the preprocessing of {name} wants images of {size} pixels", f"{LARGEST} are the most")
    _compare_pictures(transform, preprocess, size, name)
    return preprocess, size


def _compare_pictures(transform: Any, preprocess: nn.Module, size: int, name: str) -> None:
    """Raise a `UserError` if what takes pictures as well does something else to them than to tensors in [0, 1]."""
    is_same, before = True, random_state()
    with suppress(Exception), torch.random.fork_rng(devices=[]), torch.no_grad():  # most take no pictures
        for image in fixed_images(size):
            ours, theirs = preprocess(image[None].clone())[0], transform(picture_of(image))
            if ours.shape == theirs.shape and random_state() == before:  # what is random is refused later
                is_same &= alike(ours, theirs)
    if not is_same:
        raise UserError(
            f"the preprocessing of {name} does something else to pictures than to tensors",
            "write it for batches of tensors in [0, 1], and leave conversions out",
        )
