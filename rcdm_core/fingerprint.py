"""Fingerprints: equal ones mean that two networks compute the same."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")  # as Python writes it; another one in every process


def without_addresses(description: str) -> str:
    """What Python says of an object, but for where objects lie in memory."""
    return _ADDRESS.sub("", description)


def shows_an_address(description: str) -> bool:
    """Whether what Python says of an object tells where one lies in memory, and so is not the same twice."""
    return _ADDRESS.search(description) is not None


def fingerprint(module: nn.Module, about: str = "") -> str:
    """SHA-256 of a module's parameters and buffers with their names.

    Args:
        module: On any device.
        about: What the module computes with besides, such as its preprocessing.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256(about.encode())
    for key, tensor in sorted(module.state_dict().items()):
        digest.update(key.encode())
        for part in _plain(tensor):
            digest.update(part)
    return digest.hexdigest()


def code_fingerprint(entry: Any) -> str:
    """SHA-256 of what an object shows of itself, and of the code of the functions among its attributes.

    That is the file in which a function is written, or where there is none, as of a cell of a notebook, its own lines.
    """
    digest = hashlib.sha256(without_addresses(repr(entry)).encode())
    for value in vars(entry).values():
        if callable(value):
            digest.update(_code_of(getattr(value, "func", value)))
    return digest.hexdigest()


def _code_of(function: Any) -> bytes:
    whose = function if inspect.isfunction(function) or inspect.isclass(function) else type(function)
    try:
        return Path(inspect.getfile(whose)).read_bytes()
    except (OSError, TypeError):
        pass
    try:
        return inspect.getsource(whose).encode()
    except (OSError, TypeError):
        code = getattr(whose, "__code__", None)
        return without_addresses(repr((code and code.co_code, code and code.co_consts))).encode()


def forget_fingerprints(network: nn.Module) -> None:
    """Have the fingerprints that a network keeps taken anew: it was in other hands, where it may have been trained."""
    for module in network.modules():
        for name in ("fingerprint", "network_fingerprint"):
            module.__dict__.pop(name, None)


def _plain(value: Any) -> Iterator[bytes | memoryview]:
    """The bytes of a value of a state dict: of a tensor of any kind, or of several, or what Python says of it."""
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _plain(item)
    elif not isinstance(value, torch.Tensor):
        yield without_addresses(repr(value)).encode()
    else:
        dense = value.detach().cpu()
        dense = dense.to_dense() if dense.layout != torch.strided else dense
        dense = dense.dequantize() if dense.is_quantized else dense
        yield dense.contiguous().view(-1).view(torch.uint8).numpy().data
