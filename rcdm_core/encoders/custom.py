"""One's own encoder: a function, in a module that Python can import from the current folder, that returns a network.

``python:package.module:function`` calls ``function()``, which returns a network, or a network and its preprocessing:

- The network takes a batch and gives ``[N, D]``, or a map ``[N, C, H, W]`` or tokens ``[N, T, C]`` that are pooled by
  the rules of `rcdm_core.encoders.layers`: the level ``backbone``. To give more levels, such as a projector's output,
  it returns a dictionary ``{"backbone": ..., "projector": ...}``.
- The preprocessing takes ``[N, 3, H, W]`` in [0, 1]: a module, a function, or torchvision's transforms. Gradients have
  to pass through it. Without one, images are resized to a square, and stay in [0, 1].
- Attributes of the network say what cannot be seen: ``image_size`` (pixels; else what the preprocessing makes of 256,
  or 224), ``is_ssl`` (whether it was trained without labels; else not told) and ``training_augmentations`` (names of
  the probes' transformations it was trained with).

The code of the module and of all files that define parts of the network, comments aside, belongs to the fingerprint:
representations are computed anew when it changes.
"""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from rcdm_core.encoders.foreign import load_file_into, measured
from rcdm_core.encoders.preprocess import ResizeNormalize, Steps, is_composed
from rcdm_core.errors import UserError, first_line, unknown_name
from rcdm_core.progress import silent
from rcdm_core.weights import Fresh, seeded

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from rcdm_core.encoders.encoder import Encoder
    from rcdm_core.progress import Progress

IMAGE_SIZE = 224  # pixels, where nothing else is known
_PROBED = 256  # pixels of the image that shows what a preprocessing resizes to


def load_custom(name: str, *, weights: Path | Fresh | None = None, progress: Progress = silent) -> Encoder:
    """An encoder ``python:package.module:function``.

    Args:
        name: The name.
        weights: A file under the network's own names, instead of what the function has loaded. Fresh weights are the
            function's own affair: it is called with their seed.
        progress: Not used.

    Raises:
        UserError: No such module or function, or it fails, or returns no network that the rules above allow.
    """
    module_name, _, function_name = name.removeprefix("python:").partition(":")
    if not module_name or not function_name:
        raise UserError(f"{name!r} names no function", "write python:package.module:function")
    module = _import(module_name)
    functions = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
    if function_name not in functions:
        raise unknown_name(f"function of {module_name}", function_name, functions)
    with seeded(weights):
        returned = _called(getattr(module, function_name), name)
    network, transform = returned if isinstance(returned, tuple) and len(returned) == 2 else (returned, None)
    if not isinstance(network, nn.Module):
        raise UserError(
            f"{name} returns a {type(returned).__name__}",
            "it has to return a torch.nn.Module, or one and its preprocessing",
        )
    told = load_file_into(network, weights, name=name) if isinstance(weights, Path) else "the function's"
    preprocess, image_size = _preprocessing(network, transform, name)
    return measured(
        name,
        preprocess=preprocess,
        trunk=network.cpu(),
        image_size=image_size,
        is_ssl=getattr(network, "is_ssl", None),
        training_augmentations=tuple(getattr(network, "training_augmentations", ())),
        sources=[Path(module.__file__)] if module.__file__ else [],
        card={
            "network": f"{type(network).__name__}, made by {function_name} of {module_name}",
            "weights": told,
            "pooling": {"backbone": "the network's own"},
        },
    )


def _import(name: str) -> ModuleType:
    """A module, from the current folder first."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name and not f"{name}.".startswith(f"{error.name}."):
            raise UserError(f"{name} imports {error.name}, which is not installed", "install it") from error
        raise UserError(f"there is no Python module {name!r}", f"the current folder is {here}") from error
    except Exception as error:  # whatever the user's code does
        raise _failure(f"importing {name}", error) from error
    finally:
        sys.path.remove(here)


def _called(function: Callable[[], Any], name: str) -> Any:
    try:
        return function()
    except UserError:
        raise
    except Exception as error:  # whatever the user's code does
        raise _failure(name, error) from error


def _preprocessing(network: nn.Module, transform: Any, name: str) -> tuple[nn.Module, int]:
    """The preprocessing as a module, and the side it resizes to."""
    declared = getattr(network, "image_size", None)
    if transform is None:
        size = int(declared or IMAGE_SIZE)
        return ResizeNormalize(size, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), size
    if not callable(transform):
        raise UserError(f"{name} returns a {type(transform).__name__} as preprocessing", "it has to be callable")
    is_whole = isinstance(transform, nn.Module) and not is_composed(transform)
    preprocess = transform if is_whole else Steps(transform)
    images = torch.rand(2, 3, _PROBED, _PROBED, requires_grad=True)
    try:
        out = preprocess(images)
    except Exception as error:  # whatever the user's code does
        raise _failure(f"the preprocessing of {name}, given a batch [2, 3, {_PROBED}, {_PROBED}],", error) from error
    if not isinstance(out, torch.Tensor) or out.ndim != 4 or len(out) != 2:
        raise UserError(f"the preprocessing of {name} gives no batch", "it has to take and give [N, 3, H, W]")
    if not out.requires_grad:
        raise UserError(
            f"gradients do not pass through the preprocessing of {name}",
            "use tensors throughout, without NumPy or Pillow",
        )
    return preprocess, int(declared or out.shape[-1])


def _failure(what: str, error: Exception) -> UserError:
    """What the user's code raised, and where."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    problem = f"{what} fails with {type(error).__name__}: {first_line(error)}"
    return UserError(problem, f"{Path(place.filename).name}, line {place.lineno}")
