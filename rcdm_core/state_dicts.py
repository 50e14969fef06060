"""From the content of a file of weights to a network: which set of weights is taken, and that every number is one.

A training checkpoint may hold several sets that fit a network: with and without averaging, of a student and a teacher.
Which is taken is told, or the file is refused; what is put into a network are plain, finite numbers of its own shapes.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from rcdm_core.errors import UserError

COUNTER = "num_batches_tracked"  # of batch norm: of no use to a trained network
DEEPEST = 5  # dictionaries within one another that are looked into
_WRAPPERS = re.compile(r"(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")  # of torch, anywhere in a name
_AVERAGED = re.compile(r"(^|[^a-z])(ema|swa|teacher|n_averaged)([^a-z]|$)")  # words for averages over a training
_COUNT = "n_averaged"  # what torch's AveragedModel has beside its module
_AS_STATE = "save the state dict of the network it belongs to, as plain tensors: safetensors, or torch.save"


@dataclass(frozen=True)
class _Set:
    """Weights of one network within a file.

    Attributes:
        place: Where they are, in words, as the end of "the weights ...".
        tensors: All that is there, by name, but for layers that the network lacks.
        aside: Names of other tensors in the same dictionary.
    """

    place: str
    tensors: dict[str, Any]
    aside: tuple[str, ...]


def load_into(
    network: nn.Module, state: Mapping[Any, Any], path: Path, layout: str, without: tuple[str, ...] = ()
) -> str:
    """Fill a network from a file under its own names, plain or anywhere inside a training checkpoint.

    Args:
        network: Takes the weights.
        state: What is in the file.
        path: The file.
        layout: What the file should look like, in words, for the error.
        without: Names of layers that the network lacks and the file may hold: its classifier's.

    Returns:
        The weights in words, for the card: the file, and which of those in it where there was a choice, or averages
        that do not fit, which is told on the standard error as well.

    Raises:
        UserError: No set of weights fits; or several do, and nothing tells which is meant.
    """
    own = network.state_dict()
    sets = list(_sets(state, own, without))
    fitting = [one for one in sets if _fits(one, own)]
    distinct = [one for i, one in enumerate(fitting) if not any(_same(one, other) for other in fitting[:i])]
    averaged = [one for one in distinct if _AVERAGED.search(one.place.lower())]
    if len(distinct) > 1 and len(averaged) != 1:
        raise UserError(
            f"{path} holds several sets of weights that fit: those {', those '.join(one.place for one in distinct)}",
            "save the one that is meant alone, as a state dict",
        )
    taken = next(iter(averaged or distinct), None) or _nearest(sets, state, own, path)
    fill(network, taken.tensors, path, layout)
    others = [one.place for one in distinct if one is not taken]
    unfit = "" if _AVERAGED.search(taken.place.lower()) else _unfit_averages(state, fitting)
    if not others and not taken.aside and not unfit and _COUNT not in taken.place:
        return path.name
    words = ", ".join([f"the weights {taken.place}", *(f"not those {place}" for place in others)])
    if taken.aside:
        words += f"; {len(taken.aside)} other tensors are left aside (first: {taken.aside[0]})"
    if unfit:
        words += f"; averages {unfit} do not fit and are not taken"
    holds = "more than one network" if others or taken.aside or unfit else "an average of networks"
    print(f"{path.name} holds {holds}: taken are {words}", file=sys.stderr)
    return f"{path.name}: {words}"


def fill(network: nn.Module, state: Mapping[Any, Any], path: Path | str, layout: str) -> None:
    """Put weights into a network; arguments and errors as of `prepared`."""
    network.load_state_dict(prepared(network, state, path, layout))


def fill_new(network: nn.Module, state: Mapping[Any, Any], path: Path | str, layout: str) -> None:
    """Give weights to a network of images on the device ``"meta"``, for which none had to be drawn first.

    They are taken as they are: `torch.nn.Module.to_empty`, to copy them into, imports sympy.
    """
    network.load_state_dict(prepared(network, state, path, layout), assign=True)
    network.to(memory_format=torch.channels_last)


def prepared(network: nn.Module, state: Mapping[Any, Any], path: Path | str, layout: str) -> dict[str, torch.Tensor]:
    """Weights as a network takes them, in its own precision: every tensor of both sides is used.

    Args:
        network: Takes the weights; counters of batch norm may be missing, or plain numbers.
        state: Tensors by the network's own names; what is no tensor and has none of its names is passed over.
        path: Where they come from, for the error.
        layout: What the file should look like, in words, for the error.

    Raises:
        UserError: Names or shapes differ (says the first of each kind and how many); or a tensor is none of plain,
            finite numbers, or holds whole numbers where the network has others.
    """
    held = network.state_dict()
    own = {name: value for name, value in held.items() if isinstance(value, torch.Tensor)}
    if any(is_lazy(value) for value in own.values()):
        raise UserError(
            "the network has layers that take their shape from the first batch (lazy ones), and none was given yet",
            "pass one batch through it where it is made",
        )
    given = {name: _counted(state[name], own[name]) for name in own if name in state}
    faults = [f"{name} {fault}" for name, value in given.items() if (fault := _fault(value, own[name]))]
    if faults:
        raise UserError(f"the weights in {path} cannot be used: {_first(faults)}", _AS_STATE)
    missing = [name for name in own if name not in given and not name.endswith(COUNTER)]
    unexpected = [name for name, value in state.items() if name not in held and isinstance(value, torch.Tensor)]
    reshaped = [
        f"{name} {tuple(value.shape)} instead of {tuple(own[name].shape)}"
        for name, value in given.items()
        if value.shape != own[name].shape
    ]
    kinds = {"missing": missing, "unexpected": unexpected, "of another shape": reshaped}
    found = [f"{len(names)} {kind} (first: {names[0]})" for kind, names in kinds.items() if names]
    if found:
        raise UserError(f"the weights in {path} do not fit: {', '.join(found)}", f"expected {layout}")
    ready = {name: value.to(own[name].dtype) for name, value in given.items()}
    if wild := [name for name, value in ready.items() if not (_is_finite(value) or _are_equal(value, own[name]))]:
        raise UserError(
            f"the weights in {path} are no numbers everywhere: NaN or infinity in {_first(wild)}",
            "their training diverged, or the file is damaged; take an earlier checkpoint",
        )
    counters = {name: torch.zeros(own[name].shape, dtype=own[name].dtype) for name in own if name not in ready}
    return {**held, **counters, **ready}


def require_tensors(state: Mapping[Any, Any], path: Path | str) -> None:
    """Raise a `UserError` unless a state dict is one: plain, finite tensors by name."""
    wanted = torch.zeros(1)
    for name, value in state.items():
        if not isinstance(name, str):
            raise UserError(f"{path} holds values under {name!r}, not weights by name", _AS_STATE)
        if fault := _fault(value, wanted):
            raise UserError(f"the weights in {path} cannot be used: {name} {fault}", _AS_STATE)
        if not _is_finite(value):
            raise UserError(f"the weights in {path} are no numbers everywhere: NaN or infinity in {name}", _AS_STATE)


def _sets(state: Mapping[Any, Any], own: Mapping[str, Any], without: tuple[str, ...]) -> Iterator[_Set]:
    """The sets of weights in a file that have some names of a network, wherever they are and whatever stands before."""
    names = [name for name in own if not name.endswith(COUNTER)]
    probes = {max(names, key=len), names[0], names[-1]} if names else set()
    unused = tuple(f"{layer}." for layer in without) or ("\0",)
    for keys, content in _dictionaries(state):
        tensors = _named(content)
        ends = [(name, probe) for probe in probes for name in tensors if f".{name}".endswith(f".{probe}")]
        prefixes = {name.removesuffix(probe) for name, probe in ends}
        whole = {prefix for prefix in prefixes if all(f"{prefix}{name}" in tensors for name in names)}
        for prefix in sorted(prefixes):
            inner = tuple(p for p in whole if p != prefix and p.startswith(prefix)) or ("\0",)
            within = {name for name in tensors if name.startswith(prefix) and not name.startswith(inner)}
            plain = {name.removeprefix(prefix): tensors[name] for name in tensors if name in within}
            count = f"{prefix.removesuffix('module.')}{_COUNT}" if prefix.endswith("module.") else ""
            yield _Set(
                place=f"{_place(keys, prefix)}{f', averaged ({_COUNT})' if count in tensors else ''}",
                tensors={name: v for name, v in plain.items() if name in own or not name.startswith(unused)},
                aside=tuple(n for n, v in tensors.items() if n not in {*within, count} and isinstance(v, torch.Tensor)),
            )


def _dictionaries(state: Mapping[Any, Any]) -> Iterator[tuple[tuple[str, ...], Mapping[Any, Any]]]:
    """The dictionaries in a checkpoint, each once, with the keys that lead to it."""
    seen: set[int] = set()
    level: dict[int, tuple[tuple[str, ...], Mapping[Any, Any]]] = {id(state): ((), state)}
    for _ in range(DEEPEST):
        yield from level.values()
        seen |= level.keys()
        level = {
            id(value): ((*keys, key), value)
            for keys, content in level.values()
            for key, value in content.items()
            if isinstance(key, str) and isinstance(value, dict) and id(value) not in seen
        }


def _named(content: Mapping[Any, Any]) -> dict[str, Any]:
    """What a dictionary holds by name, without the words that torch's wrappers put into names."""
    named = {name: value for name, value in content.items() if isinstance(name, str)}
    plain = {_WRAPPERS.sub("", name): value for name, value in named.items()}
    return plain if len(plain) == len(named) else named


def _place(keys: tuple[str, ...], prefix: str) -> str:
    under = [f"under {' > '.join(map(repr, keys))}"] if keys else []
    return " ".join(under + ([f"named {prefix}*"] if prefix else [])) or "at the top"


def _fits(one: _Set, own: Mapping[str, Any]) -> bool:
    """Whether a set has all names of a network and no others, and no tensor of another shape."""
    lacking = [name for name in own if name not in one.tensors and not name.endswith(COUNTER)]
    strange = [name for name, value in one.tensors.items() if name not in own and isinstance(value, torch.Tensor)]
    shapes = [(value, own[name]) for name, value in one.tensors.items() if name in own and not _fault(value, own[name])]
    return not lacking and not strange and all(value.shape == wanted.shape for value, wanted in shapes)


def _same(one: _Set, other: _Set) -> bool:
    """Whether two sets hold the same numbers."""
    return one.tensors.keys() == other.tensors.keys() and all(
        value is other.tensors[name] or _are_equal(value, other.tensors[name]) for name, value in one.tensors.items()
    )


def _unfit_averages(state: Mapping[Any, Any], fitting: list[_Set]) -> str:
    """Where a file has averages, by their name, of which nothing is in weights that fit: in words; empty if nowhere."""
    fit = {id(value) for one in fitting for value in one.tensors.values()}
    for keys, content in _dictionaries(state):
        for name, value in content.items():
            if isinstance(name, str) and (word := _AVERAGED.search(name.lower())):
                tensors = {id(tensor) for tensor in _tensors_in(content if name.endswith(_COUNT) else value)}
                if tensors and tensors.isdisjoint(fit):
                    is_one = isinstance(value, torch.Tensor)
                    return _place(keys, name[: word.end(2)]) if is_one else _place((*keys, name), "")
    return ""


def _tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """The tensors in dictionaries and rows, however deep."""
    queue, seen = [value], set[int]()
    while queue:
        value = queue.pop()
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (dict, list, tuple)) and id(value) not in seen:
            seen.add(id(value))
            queue += value.values() if isinstance(value, dict) else value


def _nearest(sets: list[_Set], state: Mapping[Any, Any], own: Mapping[str, Any], path: Path) -> _Set:
    """Of weights that do not fit, those that are nearest to it.

    Raises:
        UserError: There are no tensors by name.
    """

    def nearness(one: _Set) -> tuple[int, int]:
        known = sum(name in own for name in one.tensors)
        return known, 0 if known else sum(isinstance(value, torch.Tensor) for value in one.tensors.values())

    whole = [_Set(_place(keys, ""), _named(content), ()) for keys, content in _dictionaries(state)]
    nearest = max(sets + whole, key=nearness)
    if not any(nearness(nearest)):
        holds = ", ".join(repr(key)[:40] for key in list(state)[:4]) or "nothing"
        raise UserError(f"{path} holds no tensors by name; what it holds is called {holds}", _AS_STATE)
    return nearest


def _counted(value: Any, wanted: torch.Tensor) -> Any:
    """A counter that was saved as a plain number, as a tensor; all else as it is."""
    counts = type(value) is int and abs(value) < 1 << 63 and wanted.ndim == 0 and not wanted.is_floating_point()
    return torch.tensor(value) if counts else value


def _fault(value: Any, wanted: Any) -> str:
    """Why a value cannot be the weights that are wanted, whatever its shape; empty where it can."""
    if not isinstance(value, torch.Tensor) or not isinstance(wanted, torch.Tensor):
        return f"is no tensor ({type(value).__name__})"
    if value.is_quantized and not wanted.is_quantized:
        return "is quantised"
    if value.is_nested or value.layout != torch.strided:
        return "is a sparse or nested tensor"
    if value.is_meta:
        return "has a shape but no numbers (it was on the device meta)"
    if value.is_complex() and not wanted.is_complex():
        return "holds complex numbers"
    if value.is_floating_point() and value.itemsize == 1:
        return f"holds numbers of 8 bits ({value.dtype}), which are nothing without their scale"
    if wanted.is_floating_point() and not value.is_floating_point():
        return f"holds whole numbers ({value.dtype}), which are nothing without their scale"
    is_whole = not (wanted.is_floating_point() or wanted.is_complex())
    if value.is_floating_point() and is_whole and bool((value != value.round()).any()):
        return f"holds fractions where the network has whole numbers ({wanted.dtype})"
    return ""


def _is_finite(value: torch.Tensor) -> bool:
    if value.nbytes > value.untyped_storage().nbytes():  # it repeats what it holds, maybe without end
        value = value[tuple(slice(1 if stride == 0 else None) for stride in value.stride())]
    return value.is_quantized or bool(value.isfinite().all())


def _are_equal(value: Any, other: Any) -> bool:
    plain = not (_fault(value, other) or _fault(other, value) or other.is_meta)
    return plain and value.dtype == other.dtype and torch.equal(value, other)


def _first(names: list[str]) -> str:
    return names[0] + (f", and {len(names) - 1} more like it" if len(names) > 1 else "")
