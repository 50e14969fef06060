"""Settings of the published RCDM code, by the names that its command line gave them, read from a JSON object.

Three kinds: those that shape a network or its schedule; those of which one value alone makes an RCDM as published; and
those that change nothing in what a trained network computes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rcdm_core.errors import UserError, unknown_name
from rcdm_core.json_files import json_object
from rcdm_core.rcdm.presets import MULTIPLIERS

if TYPE_CHECKING:
    from pathlib import Path


def _number(value: Any) -> int:
    if isinstance(value, bool) or int(value) != float(value) or int(value) < 1:
        raise ValueError
    return int(value)


def _timesteps(value: Any) -> int:
    if not 20 <= (steps := _number(value)) <= 10_000:  # a linear schedule of fewer has more noise than there is
        raise ValueError
    return steps


def _number_or_none(value: Any) -> int:
    return -1 if str(value) == "-1" else _number(value)


def _flag(value: Any) -> bool:
    return {"true": True, "false": False}[str(value).lower()]


def _numbers(value: Any) -> tuple[float, ...]:
    parts = value.split(",") if isinstance(value, str) else value if isinstance(value, Sequence) else [value]
    numbers = tuple(float(part) for part in parts if part != "")
    if not all(0 < number < 1e6 for number in numbers):
        raise ValueError
    return numbers


def _noise(value: Any) -> str:
    if value not in ("linear", "cosine"):
        raise ValueError
    return value


WHOLE, TRUTH, LIST = "a whole number, as 4", "true or false", 'numbers with commas between, as "1,2,4"'

SHAPING: Mapping[str, tuple[Callable[[Any], Any], str]] = {
    "image_size": (_number, WHOLE),
    "num_channels": (_number, WHOLE),
    "channel_mult": (_numbers, LIST),
    "num_res_blocks": (_number, WHOLE),
    "attention_resolutions": (_numbers, LIST),
    "num_heads": (_number, WHOLE),
    "num_head_channels": (_number_or_none, f"{WHOLE}, or -1"),
    "resblock_updown": (_flag, TRUTH),
    "use_new_attention_order": (_flag, TRUTH),
    "ssl_dim": (_number, WHOLE),
    "diffusion_steps": (_timesteps, "a whole number from 20 to 10000"),
    "noise_schedule": (_noise, "linear or cosine"),
}
"""Options that shape a network or its schedule: how each is read, and what it looks like."""

REQUIRED: Mapping[str, Any] = {
    "num_heads_upsample": -1,
    "class_cond": False,
    "use_scale_shift_norm": True,
    "learn_sigma": True,
    "predict_xstart": False,
    "rescale_timesteps": False,
}
"""Options of which one value alone makes an RCDM as published."""

IDLE = ("dropout", "use_checkpoint", "use_fp16", "timestep_respacing", "use_kl", "rescale_learned_sigmas")
"""Options that change nothing in what a trained network computes."""


def load_options(path: Path) -> dict[str, Any]:
    """The JSON object in a file; `read_options` makes sense of it.

    Raises:
        UserError: No such file, or none with a JSON object in it.
    """
    return json_object(path, what="JSON object", remedy='write one, as {"image_size": 64, "num_heads": 4}')


def read_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that shape a network, those that are given alone: numbers, truths and tuples of numbers.

    Raises:
        UserError: An option that the published code does not have (says the nearest), or a value that it cannot have.
    """
    read = {}
    for name, value in options.items():
        if name in REQUIRED:
            if str(value).lower() != str(REQUIRED[name]).lower():
                raise UserError(f"{name} is {str(value)[:80]}", f"RCDMs as published have {REQUIRED[name]}")
        elif name in SHAPING:
            parse, looks = SHAPING[name]
            try:
                read[name] = parse(value)
            except (ValueError, TypeError, KeyError, OverflowError) as error:
                raise UserError(f"{name} is {repr(value)[:80]}", f"give {looks}") from error
        elif name not in IDLE:
            raise unknown_name("option of the published code", name, (*SHAPING, *REQUIRED, *IDLE))
    if read.get("channel_mult") == ():  # the published code then goes by the size
        read["channel_mult"] = tuple(map(float, MULTIPLIERS.get(read.get("image_size", 128), ())))
    return read
