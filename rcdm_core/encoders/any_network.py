"""Encoders from elsewhere: networks of which nobody wrote down the dimensions, found by what they do."""

from __future__ import annotations

import ast
import inspect
import os
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import is_dataclass
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

from rcdm_core.encoders.encoder import Encoder, catching, pooled
from rcdm_core.encoders.preprocess import Way, bends_oblong, shrinks_otherwise
from rcdm_core.encoders.soundness import LOOKED_AT, examined, fixed_images, others_code, sketched
from rcdm_core.errors import UserError
from rcdm_core.fingerprint import forget_fingerprints, shows_an_address, without_addresses
from rcdm_core.precision import device_of, differ, rounding_of
from rcdm_core.state_dicts import load_into
from rcdm_core.weight_files import load_state

if TYPE_CHECKING:
    from rcdm_core.weights import Fresh

# Their networks are told by their words for themselves.
_LIBRARIES = {"open_clip", "rcdm_core", "timm", "torch", "torchvision", "transformers"}


def assembled(
    name: str, trunk: nn.Module, preprocess: nn.Module, image_size: int, is_ssl: bool | None, about: str = ""
) -> Encoder:
    """An encoder of parts that come from elsewhere, of which nobody tells the dimensions."""
    with others_code(f"{name} cannot be used for evaluation"):
        encoder = Encoder(name, preprocess, trunk, None, {}, image_size=image_size, is_ssl=is_ssl)
    encoder.about = about
    return encoder


def measured(
    encoder: Encoder,
    card: Mapping[str, Any],
    sources: Iterable[Path] = (),
    remove_scores: bool = True,
    theirs: Way | None = None,
) -> Encoder:
    """An encoder that is known by what it does with a few fixed images, and by what its card says of it.

    A last layer that makes scores of classes is left out if ``remove_scores``; either way the card says so. So it does
    of pictures of which ``theirs``, the preprocessing as the library has it, makes something else.

    Raises:
        UserError: As `admitted`.
    """
    encoder = admitted(encoder, sources, remove_scores)
    encoder.card = {**card, **encoder.card}
    size = encoder.image_size
    if bends_oblong(encoder.preprocess, size, theirs):
        told = "its centre square alone is looked at, of which its own preprocessing would make something else"
        encoder.card["oblong pictures"] = told
        print(f"{encoder.name}: of an oblong picture {told}; make pictures square first", file=sys.stderr)
    if shrinks_otherwise(encoder.preprocess, size, theirs):
        told = f"they are resized to {size} pixels before its own first step, which makes something else of them"
        encoder.card["larger pictures"] = told
        print(f"{encoder.name}: larger pictures: {told}; resize them first", file=sys.stderr)
    return encoder


def admitted(encoder: Encoder, sources: Iterable[Path] = (), remove_scores: bool = False) -> Encoder:
    """An encoder that comes from elsewhere, if it is one that can be measured: looked at once, and changed.

    It is frozen and in evaluation mode then, and its fingerprint knows weights and what else decides the numbers: the
    code of the network, comments aside (every file that defines one of its modules, and ``sources``, further ones);
    plain attributes of its modules and of what holds settings in them; and, for all that lies elsewhere, such as in the
    environment or buffers that no file holds, what comes out of it.

    Args:
        encoder: On any device. One that was looked at, as those that `rcdm_core.encoders.load_encoder` gives, may have
            been trained or changed since: it is frozen and in evaluation mode again, and its fingerprint taken anew.
        sources: Further files of code.
        remove_scores: Whether a last layer that makes scores of classes is left out; else that is told.

    Raises:
        UserError: It fails, or what comes out is not ``[N, D]`` at a level ``backbone``, or not of its dimensions, or
            is another one in each pass or batch (`rcdm_core.encoders.soundness`), or nothing tells one step of the
            preprocessing from another; or the network has a backbone of its own that gives something else.
    """
    if encoder.examined_as is not None:
        return _once_more(encoder)
    name, trunk = encoder.name, encoder.trunk
    if shows_an_address(repr(encoder.preprocess)):
        raise UserError(
            f"a step of the preprocessing of {name} shows neither its code nor its settings",
            "write it as a function in a file, or as a class with a __repr__",
        )
    _refuse_hidden(encoder, name)
    code = _code(chain(sources, _defining(encoder)))
    about = f"{encoder.about}{code}{without_addresses(repr(trunk))}{_settings(trunk)}"
    with others_code(f"{name} cannot be used for evaluation"):
        encoder.eval().requires_grad_(False)
    with ExitStack() as looking:
        caught: dict[str, tuple[torch.Tensor, str]] = {}
        with suppress(RuntimeError):  # scripts take no hooks
            caught = looking.enter_context(catching(trunk, [""]))
        levels = examined(encoder)
        if _tell_scores(encoder, levels, remove=remove_scores):
            levels = examined(encoder)
        _refuse_projection(encoder)
    if (pooling := caught[""][1] if caught else "as it is") != "as it is":
        encoder.card.setdefault("pooling", {"backbone": pooling})  # not by the network itself
    dimensions = {level: h.shape[1] for level, h in levels.items()}
    if encoder.dimensions and encoder.dimensions != dimensions:
        made = f"it was made with dimensions={encoder.dimensions}"
        raise UserError(f"encoder {name} gives levels {dimensions}", made)
    encoder.dimensions = dimensions
    encoder.about = f"{about}{sketched(levels, rounding_of(encoder))}"
    forget_fingerprints(encoder)
    encoder.examined_as = described(encoder)
    return encoder


def _once_more(encoder: Encoder) -> Encoder:
    with others_code(f"{encoder.name} cannot be used for evaluation"):
        encoder.train()  # in which networks of timm let go of what they keep of their weights
        encoder.eval().requires_grad_(False)
    forget_fingerprints(encoder)
    if (now := described(encoder)) != encoder.examined_as:
        encoder.about, encoder.examined_as = encoder.about + now, now
    return encoder


def described(encoder: Encoder) -> str:
    """The layers of a network with their settings: what it is, but for its weights and its code."""
    return without_addresses(f"{encoder.trunk!r}{encoder.projector!r}{_settings(encoder)}")


def _refuse_hidden(network: nn.Module, name: str) -> None:
    """Raise a `UserError` if networks lie in a list where neither eval() nor a device reaches them."""
    known = set(network.modules())
    for module in known:
        for attribute, value in vars(module).items():
            values = value.values() if isinstance(value, dict) else value
            if attribute in _REGISTERED or not isinstance(value, (list, tuple, set, dict)):
                continue
            if any(isinstance(item, nn.Module) and item not in known and item.state_dict() for item in values):
                raise UserError(
                    f"{name} keeps networks in {attribute}, a {type(value).__name__}: eval() does not reach them",
                    "make it a torch.nn.ModuleList or ModuleDict",
                )


def _settings(network: nn.Module) -> str:
    """Plain attributes of modules that libraries did not define, and constant buffers that no state dict holds."""
    lines = []
    for name, module in network.named_modules():
        if not _is_of_library(module):
            told = {key: value for key, value in vars(module).items() if key not in _REGISTERED}
            plain = {key: value for key, value in told.items() if _is_plain(value)}
            plain |= {key: _plain_of(value) for key, value in told.items() if _holds_settings(value, module)}
            lines += [f"{name}.{key}={plain[key]!r}" for key in sorted(plain)]
    kept = network.state_dict()
    for name, buffer in network.named_buffers():
        if name not in kept and not buffer.is_floating_point():  # floats may differ in their last bit by the machine
            lines.append(f"{name}={buffer.flatten().tolist()}")
    return "\n".join(lines)


_REGISTERED = frozenset(vars(nn.Module()))
"""What every module has: its parameters, buffers, modules and hooks."""


def _is_plain(value: Any) -> bool:
    """Whether a setting reads the same in every process and on every machine, as a path does not."""
    match value:
        case list() | tuple():
            return all(map(_is_plain, value))
        case dict():
            return all(map(_is_plain, chain(value, value.values())))
        case str():
            return os.sep not in value
        case _:
            return value is None or type(value) in (bool, int, float, complex, torch.dtype, torch.Size)


def _holds_settings(value: Any, of: nn.Module) -> bool:
    """Whether an attribute is made to hold settings: by its kind, or one that the code of the network has for them."""
    is_own = type(value).__module__ == type(of).__module__ and not isinstance(value, (nn.Module, torch.Tensor))
    is_made_for_them = isinstance(value, (SimpleNamespace, Namespace)) or is_dataclass(value) or is_own
    return is_made_for_them and not isinstance(value, type) and hasattr(value, "__dict__")


def _plain_of(value: Any) -> dict[str, Any]:
    """Settings by name, those of its kind and its own."""
    attributes = {**vars(type(value)), **vars(value)}
    return {key: attributes[key] for key in sorted(attributes) if key[:2] != "__" and _is_plain(attributes[key])}


CLASSES = (
    *(2, 3, 4, 5, 6, 7, 8, 9, 10, 37, 43, 47, 100, 101, 102, 120, 196, 200, 257, 365, 397, 555, 1000, 1001, 1010, 5089),
    *(8142, 10000, 10450, 11221, 11821, 18291, 21841, 21842, 21843),
)
"""How many classes the data sets have on which networks are published, or tuned."""


def _tell_scores(encoder: Encoder, levels: Mapping[str, torch.Tensor], *, remove: bool) -> bool:
    """Whether the last layer was left out of the trunk because it makes scores of classes of ``backbone``.

    It does if it gives as many numbers as a known data set has classes; it is left out if then comes out what it was
    given, pooled. Else it is told on the standard error; either way in the card.
    """
    classes = levels["backbone"].shape[1]
    if classes not in CLASSES:
        return False
    name, layer, given = _last_layer(encoder)
    is_hidden = any(isinstance(module, torch.jit.ScriptModule) for module in encoder.trunk.modules())
    widths = (getattr(layer, "out_features", 0), getattr(layer, "out_channels", 0), classes if is_hidden else 0)
    if classes not in widths:
        return False
    told = f"backbone looks like the scores of {classes:,} classes that its last layer {name} gives".replace("  ", " ")
    if remove and name and layer is not None:
        encoder.trunk.set_submodule(name, nn.Identity())
        with suppress(Exception), torch.no_grad():  # a shape that was written down
            features = encoder(_two_images(encoder))["backbone"]
            if not differ(features, pooled(given, encoder.trunk), features, rounding_of(encoder)):
                encoder.card["classifier"] = left_out(encoder.name, {name: classes})
                return True
        encoder.trunk.set_submodule(name, layer)
    encoder.card["classifier"] = told
    print(f"{encoder.name}: {told}, not features; write a function that returns those (python:...)", file=sys.stderr)
    return False


_TRUNKS = ("backbone", "encoder", "trunk", "features")
_PROJECTORS = ("projector", "projection_head", "projection", "head")
"""What people call the two parts of a network that is trained without labels."""


def _refuse_projection(encoder: Encoder) -> None:
    """Raise a `UserError` if what the network gives, the level ``backbone``, is not what is called so in it.

    It is not if a layer of that name gives something else, or a projector beside a trunk gives just this.
    """
    layers = dict(encoder.trunk.named_modules())

    def is_projector(name: str) -> bool:
        parent, dot, last = name.rpartition(".")
        beside = any(f"{parent}{dot}{trunk}" in layers for trunk in _TRUNKS)
        is_own = isinstance(layers[parent], nn.ModuleDict) or not _is_of_library(layers[parent])
        return last in _PROJECTORS and beside and is_own and next(layers[name].parameters(), None) is not None

    asked = [name for name in layers if name == "backbone" or is_projector(name)]
    if not asked or encoder.projector is not None:
        return
    with torch.no_grad(), catching(encoder.trunk, asked) as caught:
        features = encoder.trunk(encoder.preprocess(_two_images(encoder)))
    if isinstance(features, Mapping):
        return  # which tells its levels by name
    whole = F.normalize(pooled(features, encoder.trunk).float())
    for name, (h, _) in caught.items():
        is_another = differ(F.normalize(h.float()), whole, whole, rounding_of(encoder))
        if is_another == (name == "backbone"):
            wrong = "not what its layer backbone gives" if is_another else f"which its projector {name} gives"
            raise UserError(
                f"the level backbone of {encoder.name} would be what the network gives, {wrong}",
                'let the network give both by name: return {"backbone": ..., "projector": ...}; or the features alone',
            )


def _is_of_library(module: nn.Module) -> bool:
    return type(module).__module__.partition(".")[0] in _LIBRARIES


def _two_images(encoder: Encoder) -> torch.Tensor:
    return fixed_images(encoder.image_size)[LOOKED_AT].to(device_of(encoder))


def left_out(encoder: str, layers: Mapping[str, int]) -> str:
    """What a card says of last layers that were left out, by name with their widths.

    It is told on the standard error as well, for one may make features.
    """
    widths = {name: f"{n:,} classes" if n in CLASSES else f"{n:,} numbers" for name, n in layers.items()}
    told = f"{', '.join(f'{name}, over {width}' for name, width in widths.items())}, left out"
    print(f"{encoder}: its last layer {told}; if that makes features, write a function (python:...)", file=sys.stderr)
    return told


def _last_layer(encoder: Encoder) -> tuple[str, nn.Module | None, torch.Tensor]:
    """The last layer with weights that runs in a pass of two fixed images, by name, and what it was given."""
    called: list[tuple[str, nn.Module, torch.Tensor]] = []

    def note(name: str, layer: nn.Module, given: tuple[Any, ...], _: Any) -> None:
        called.append((name, layer, *given[:1]))

    with ExitStack() as hooks, torch.no_grad():
        for name, layer in encoder.trunk.named_modules():
            is_scripted = isinstance(layer, torch.jit.ScriptModule)  # which takes no hooks
            if not is_scripted and next(layer.parameters(recurse=False), None) is not None:
                hooks.enter_context(layer.register_forward_hook(partial(note, name)))
        encoder(_two_images(encoder))
    return called[-1] if called else ("", None, torch.empty(0))


def _defining(network: nn.Module) -> Iterator[Path]:
    """The files that define the modules of a network, but for those of the libraries."""
    for kind in {base for module in network.modules() for base in type(module).__mro__}:
        if kind.__module__.partition(".")[0] not in _LIBRARIES:
            functions = filter(inspect.isfunction, vars(kind).values())
            yield from (Path(inspect.unwrap(function).__code__.co_filename) for function in functions)


def _code(paths: Iterable[Path]) -> str:
    """What files of code say to Python, wherever they lie; one that is not there was made while running."""
    said = set()
    for path in paths:
        with suppress(OSError, SyntaxError, ValueError):
            said.add(_said_by(path.read_bytes()))
    return "".join(sorted(said))


@lru_cache(maxsize=16)  # files of one encoder, which is opened again for every study
def _said_by(code: bytes) -> str:
    return ast.dump(ast.parse(code))


def ready(network: nn.Module, name: str) -> nn.Module:
    """A network as others hand it over: without the wrappers of compilation and parallel training, on the CPU.

    Raises:
        UserError: Some of its weights do not exist yet.
    """
    while type(network).__name__ in ("OptimizedModule", "DataParallel", "DistributedDataParallel"):
        inner: Any = getattr(network, "_orig_mod", None) or network.module
        network = inner
    for key, tensor in chain(network.named_parameters(), network.named_buffers()):
        if isinstance(tensor, (nn.UninitializedParameter, nn.UninitializedBuffer)):
            raise UserError(f"{name} has not made {key} yet", "run a lazy network once before it is returned")
        if tensor.is_meta:
            raise UserError(f"{name} has no weights: {key} is on the device meta", "fill it before it is returned")
    return network.cpu()


def fill_network(
    network: nn.Module, weights: Path | Fresh | None, of: str, own: str, without: tuple[str, ...] = ()
) -> str:
    """Fill a network from a file under its own names, plain or inside a training checkpoint, where one is given.

    Args:
        network: A network without its classifier.
        weights: The file; nothing is done where it is none.
        of: Name of the encoder, for errors.
        own: What its own weights are called.
        without: Names of the classifier's layers, which the file may hold.

    Returns:
        The weights in words, for the card: the file, and which of those in it.

    Raises:
        UserError: The file cannot be read or does not fit.
    """
    if not isinstance(weights, Path):
        return own if weights is None else str(weights)
    layout = f"the state dict of {of}, with names like {next(iter(network.state_dict()), 'none')}"
    return load_into(network, load_state(weights), weights, layout, without)
