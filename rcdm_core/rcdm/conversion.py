"""From checkpoints of the published RCDM code (ADM, guided diffusion) to the denoiser used here.

Both are the same network under other names. The published one counts its blocks through all resolutions
(``input_blocks.0`` to ``output_blocks.14``), and keeps query, key and value of attention in one matrix, head by head.
Conversion uses every tensor and leaves none.

The shape of the network is read off the tensors. What tensors do not show, such as the number of attention heads, is
told by options with the names of the published code; options that the tensors contradict are an error. These are of
three kinds: those that shape a network or its schedule; those of which one value alone makes an RCDM as published; and
those that change nothing in what a trained network computes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from rcdm_core.errors import UserError, unknown_name
from rcdm_core.json_files import wrong
from rcdm_core.rcdm.diffusion import published_schedule
from rcdm_core.rcdm.network import GROUPS, MULTIPLIERS, NETWORKS, SHAPES, Denoiser, NetworkSettings

if TYPE_CHECKING:
    from diffusers import DDPMScheduler

_NOISE = {"linear": "linear", "cosine": "squaredcos_cap_v2"}  # published name to diffusers'
_PARTS = {  # of residual blocks, then of attention: name here to published name
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
    "group_norm": "norm",
    "to_q": "qkv",
    "to_k": "qkv",
    "to_v": "qkv",
    "to_out.0": "proj_out",
}
_QKV = ("to_q", "to_k", "to_v")
_HEAD = {"weight": "ssl_emb.weight", "bias": "ssl_emb.bias"}
_TIME = "time_embedding.linear_1.weight"
_NAMED = 4  # tensors that an error names


def _number(value: Any) -> int:
    if isinstance(value, bool) or int(value) != float(value) or int(value) < 1:
        raise ValueError
    return int(value)


def _timesteps(value: Any) -> int:
    if not 20 <= (steps := _number(value)) <= 10_000:  # a linear schedule of fewer has more noise than there is
        raise ValueError
    return steps


def _flag(value: Any) -> bool:
    return {"true": True, "false": False}[str(value).lower()]


def _numbers(value: Any) -> tuple[float, ...]:
    parts = value.split(",") if isinstance(value, str) else value if isinstance(value, Sequence) else [value]
    numbers = tuple(float(part) for part in parts if part != "")
    if not all(0 < number < 1e6 for number in numbers):
        raise ValueError
    return numbers


_WHOLE, _TRUTH, _LIST = "a whole number, as 4", "true or false", 'numbers with commas between, as "1,2,4"'

SHAPING: Mapping[str, tuple[Callable[[Any], Any], str]] = {
    "image_size": (_number, _WHOLE),
    "num_channels": (_number, _WHOLE),
    "channel_mult": (_numbers, _LIST),
    "num_res_blocks": (_number, _WHOLE),
    "attention_resolutions": (_numbers, _LIST),
    "num_heads": (_number, _WHOLE),
    "num_head_channels": (lambda value: -1 if str(value) == "-1" else _number(value), f"{_WHOLE}, or -1"),
    "resblock_updown": (_flag, _TRUTH),
    "use_new_attention_order": (_flag, _TRUTH),
    "ssl_dim": (_number, _WHOLE),
    "diffusion_steps": (_timesteps, "a whole number from 20 to 10000"),
    "noise_schedule": (_NOISE.__getitem__, "linear or cosine"),
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


def convert(
    state: Mapping[str, torch.Tensor], options: Mapping[str, Any], condition: str
) -> tuple[Denoiser, DDPMScheduler]:
    """The network of a published state dict, in float32, and the schedule it was trained on.

    Args:
        state: Tensors with the published names.
        options: Settings of the published code, as `read_options` knows them. What is not given is read off
            the tensors, or as in the published 128 x 128 models where the network has their shape.
        condition: Encoder and level that the network was trained on, as ``"imagenet/vicreg/backbone"``.

    Raises:
        UserError: A tensor is missing or left over (says which), or options are wrong or contradict the tensors.
    """
    given = read_options(options)
    shape = _observe(state)
    _compare(shape, given)
    settings = _settings(shape, given)
    with torch.device("meta"):  # the weights come from the state
        denoiser = Denoiser(settings, {condition: shape.dimension})
    own = denoiser.unet.state_dict()
    sources = dict(_published_names(own, settings))
    used = {*sources.values(), *_HEAD.values()}
    if missing := used - set(state):
        raise UserError(f"the checkpoint lacks {_some(missing)}", "is it complete?")
    if left := set(state) - used:
        raise UserError(f"no RCDM of this shape has {_some(left)}", "only plain checkpoints of RCDMs convert")
    by_head = not given.get("use_new_attention_order", False)
    tensors = {}
    for name, tensor in own.items():
        tensors[name] = _converted(name, state[sources[name]], settings, by_head)
        if tensors[name].shape != tensor.shape:
            wanted, found = list(tensor.shape), list(tensors[name].shape)
            raise UserError(f"{sources[name]} is of the shape {found}", f"by the other tensors it should be {wanted}")
    denoiser.unet.load_state_dict(tensors, assign=True)
    denoiser.unet.to(memory_format=torch.channels_last)
    denoiser.head(condition).load_state_dict({k: state[source].float() for k, source in _HEAD.items()}, assign=True)
    schedule = published_schedule(given.get("diffusion_steps", 1000), given.get("noise_schedule", "linear"))
    return denoiser, schedule


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """What the tensors show of a network; channels and attention by resolution, fine to coarse."""

    base: int
    channels: tuple[int, ...]
    blocks: int
    attention: tuple[bool, ...]
    residual_resampling: bool
    dimension: int


def _observe(state: Mapping[str, torch.Tensor]) -> _Shape:
    """The shape of the network whose tensors these are.

    A resolution ends, on the way up, with a block that holds one part more, which doubles the resolution.
    """

    def size(key: str, axis: int) -> int:
        if key not in state or state[key].ndim <= axis or not state[key].numel():
            raise UserError(f"there is no tensor {key}", "the file is no checkpoint of an RCDM, or not a complete one")
        return state[key].shape[axis]

    blocks_up = [int(key.split(".")[1]) for key in state if re.match(r"output_blocks\.\d{1,4}\.0\.", key)]
    found = [re.fullmatch(r"output_blocks\.(\d{1,4})\.[12]\.(conv|in_layers\.0)\.weight", key) for key in state]
    doubling = sorted((int(match[1]), match[2] != "conv") for match in found if match)
    blocks = doubling[0][0] if doubling else max(blocks_up, default=0)
    first = [1 + resolution * (blocks + 1) for resolution in range(len(doubling) + 1)]  # input block of each resolution
    return _Shape(
        base=size("time_embed.0.weight", 1),
        dimension=size(_HEAD["weight"], 1),
        channels=tuple(size(f"input_blocks.{k}.0.in_layers.2.weight", 0) for k in first),
        blocks=blocks,
        attention=tuple(f"input_blocks.{k}.1.qkv.weight" in state for k in first),
        residual_resampling=all(residual for _, residual in doubling),
    )


def _compare(shape: _Shape, given: Mapping[str, Any]) -> None:
    """Raise a `UserError` where options contradict the tensors."""
    size = given.get("image_size", 128)
    attended = [size / side for side in given.get("attention_resolutions", ())]
    multipliers = tuple(int(m * shape.base) / shape.base for m in given.get("channel_mult", ()))
    halving = shape.residual_resampling if len(shape.channels) > 1 else given.get("resblock_updown")
    found_and_said: dict[str, tuple[Any, Any]] = {
        "num_channels": (shape.base, given.get("num_channels")),
        "channel_mult": (tuple(c / shape.base for c in shape.channels), multipliers),
        "num_res_blocks": (shape.blocks, given.get("num_res_blocks")),
        "attention_resolutions": (shape.attention, tuple(2.0**k in attended for k in range(len(shape.channels)))),
        "resblock_updown": (halving, given.get("resblock_updown")),
        "ssl_dim": (shape.dimension, given.get("ssl_dim")),
    }
    sides = [size >> k for k, attends in enumerate(shape.attention) if attends]
    for name, (found, said) in found_and_said.items():
        if name in given and said != found:
            shown = sides if name == "attention_resolutions" else found
            raise UserError(
                f"{name} is {_written(given[name])} by the options, {_written(shown)} by the tensors",
                "the options belong to another checkpoint",
            )


def _settings(shape: _Shape, given: Mapping[str, Any]) -> NetworkSettings:
    """The shape of the denoiser, from what tensors show and options add."""
    if (shape.base, shape.channels) == (256, (256, 256, 512, 768, 1024)):  # the published 128 x 128 models
        given = {"image_size": 128, "num_heads": 4, **given}
    if unseen := {"image_size", "num_heads"} - set(given):
        raise UserError(
            f"the tensors do not show {' and '.join(sorted(unseen))}, and are not those of a published 128 x 128 model",
            "give the settings of the training as a JSON file with --config",
        )
    if given["image_size"] % 2 ** (len(shape.channels) - 1):
        raise UserError(
            f"images of {given['image_size']} pixels cannot be halved {len(shape.channels) - 1} times",
            "the options belong to another checkpoint",
        )
    width, heads = given.get("num_head_channels", -1), given["num_heads"]
    if any(c % GROUPS for c in shape.channels):
        raise UserError(f"channels are {_written(shape.channels)}", f"an RCDM has multiples of {GROUPS}")
    if shape.channels[0] % shape.base:
        raise UserError(
            f"channel_mult begins with {shape.channels[0] / shape.base:g}",
            "UNet2DModel, in whose layout RCDMs are kept, can begin with whole numbers only",
        )
    published, _ = NETWORKS["published"]
    settings = replace(
        published,
        image_size=given["image_size"],
        channels=shape.channels,
        blocks=shape.blocks,
        attention=shape.attention,
        attention_width=max(width, 1),
        attention_heads=heads if width == -1 else None,
        residual_resampling=shape.residual_resampling,
        embedding_width=4 * shape.base,
        whitening=False,
    )
    if fault := wrong(settings.to_dict(), SHAPES):
        raise UserError(fault, "the options belong to another checkpoint")
    name, divisor = ("num_heads", heads) if width == -1 else ("num_head_channels", width)
    for channels in settings.attending:
        if channels % divisor:
            problem = f"{channels} channels cannot be split by {name} {divisor}"
            raise UserError(problem, "the options belong to another checkpoint")
    return settings


def _published_names(own: Iterable[str], settings: NetworkSettings) -> Iterator[tuple[str, str]]:
    """Each name of the U-Net here with that of the published tensor that it is made from."""
    blocks = _blocks(settings)
    for name in own:
        module, _, parameter = name.rpartition(".")
        part = next((part for part in _PARTS if module.endswith(f".{part}")), None)
        published = blocks[module] if part is None else f"{blocks[module.removesuffix(f'.{part}')]}.{_PARTS[part]}"
        yield name, f"{published}.{parameter}"


def _blocks(settings: NetworkSettings) -> dict[str, str]:
    """Names of the blocks here and in the published code, whether or not they attend or are the last."""
    names = {
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "conv_in": "input_blocks.0.0",
        "mid_block.resnets.0": "middle_block.0",
        "mid_block.attentions.0": "middle_block.1",
        "mid_block.resnets.1": "middle_block.2",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
    }
    for i, attends in enumerate(settings.attention):
        first = 1 + i * (settings.blocks + 1)
        for j in range(settings.blocks):
            names[f"down_blocks.{i}.resnets.{j}"] = f"input_blocks.{first + j}.0"
            names[f"down_blocks.{i}.attentions.{j}"] = f"input_blocks.{first + j}.1"
        names[f"down_blocks.{i}.downsamplers.0"] = f"input_blocks.{first + settings.blocks}.0"
        names[f"down_blocks.{i}.downsamplers.0.conv"] = f"input_blocks.{first + settings.blocks}.0.op"
        up = len(settings.attention) - 1 - i
        first = up * (settings.blocks + 1)
        for j in range(settings.blocks + 1):
            names[f"up_blocks.{up}.resnets.{j}"] = f"output_blocks.{first + j}.0"
            names[f"up_blocks.{up}.attentions.{j}"] = f"output_blocks.{first + j}.1"
        doubling = f"output_blocks.{first + settings.blocks}.{2 if attends else 1}"
        names[f"up_blocks.{up}.upsamplers.0"] = doubling
        names[f"up_blocks.{up}.upsamplers.0.conv"] = f"{doubling}.conv"
    return names


def _converted(name: str, tensor: torch.Tensor, settings: NetworkSettings, by_head: bool) -> torch.Tensor:
    """What a tensor of the U-Net here is, made from the published one; of another shape if that does not fit."""
    tensor = tensor.float()
    if ".attentions." in name and name.endswith("weight") and tensor.ndim == 3:
        tensor = tensor.squeeze(-1)  # a convolution over one position is a matrix
    part = name.split(".")[-2]
    if part in _QKV:
        heads = settings.attention_heads or len(tensor) // (3 * settings.attention_width)
        groups = heads if by_head else 1
        if len(tensor) % (3 * groups) == 0:
            tensor = tensor.unflatten(0, (groups, 3, -1))[:, _QKV.index(part)].flatten(0, 1)
    if name == _TIME:
        tensor = _among_more_frequencies(tensor, settings.channels[0] // tensor.shape[1])
    return tensor


def _among_more_frequencies(weight: torch.Tensor, times: int) -> torch.Tensor:
    """First layer of the time embedding for ``times`` as many sinusoids, of which it reads every so manieth.

    The published code embeds time in as many sinusoids as ``num_channels``, diffusers in as many as the first channels.
    """
    halves = weight.unflatten(1, (2, -1))  # cosines, sines
    spread = halves.new_zeros(*halves.shape, times)
    spread[..., 0] = halves
    return spread.flatten(1)


def _some(names: Iterable[str]) -> str:
    """The first of many names, and how many more there are."""
    names = sorted(names)
    more = f" and {len(names) - _NAMED} tensors more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _written(value: Any) -> str:
    return ",".join(f"{v:g}" for v in value) if isinstance(value, (tuple, list)) else str(value)
