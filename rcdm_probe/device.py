"""Which device computes."""

from __future__ import annotations

import os

from rcdm_core.errors import UserError, unknown_name

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose_device(name: str) -> str:
    """The torch device for a name.

    Args:
        name: ``"auto"`` (the best one there is), ``"cpu"``, ``"cuda"`` (also ``"cuda:1"``) or ``"mps"``.

    Returns:
        A name that torch understands.

    Raises:
        UserError: No such device, or not on this machine.
    """
    import torch

    kind, _, number = name.partition(":")
    if kind not in DEVICES or (number and (kind != "cuda" or not number.isdecimal())):
        raise unknown_name("device", name, DEVICES)
    gpus, metal = torch.cuda.device_count(), torch.backends.mps.is_available()
    if gpus and not number and (own := os.environ.get("LOCAL_RANK", "")).isdecimal():
        torch.cuda.set_device(int(own) % gpus)  # one of several processes on this machine
    if kind == "auto":
        return "cuda" if gpus else "mps" if metal else "cpu"
    if kind == "cuda" and not gpus:
        raise UserError("there is no CUDA GPU on this machine", "use --device auto or --device cpu")
    if kind == "cuda" and number and int(number[:20]) >= gpus:
        raise UserError(f"there is no CUDA GPU number {number} on this machine", f"numbers go from 0 to {gpus - 1}")
    if kind == "mps" and not metal:
        raise UserError("there is no Apple GPU (mps) on this machine", "use --device auto or --device cpu")
    return name
