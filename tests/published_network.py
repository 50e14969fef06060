"""The published network once more, written from its description and independent of the package.

Checkpoints of any shape with random weights, and what the published code computes with them, straight from the
published names: guided diffusion's U-Net with ``resblock_updown`` or without, heads split before query, key and value
or after.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

State = dict[str, torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A shape that the published code can have."""

    base: int = 32
    multipliers: tuple[int, ...] = (1, 2)
    blocks: int = 1
    attention: tuple[bool, ...] = (False, True)
    heads: int = 2
    residual: bool = True
    heads_first: bool = True
    dimension: int = 7
    image_size: int = 16

    @property
    def options(self) -> dict[str, Any]:
        """As the published code names them."""
        sides = [self.image_size >> level for level, attends in enumerate(self.attention) if attends]
        return {
            "image_size": self.image_size,
            "num_channels": self.base,
            "channel_mult": ",".join(map(str, self.multipliers)),
            "num_res_blocks": self.blocks,
            "attention_resolutions": ",".join(map(str, sides)),
            "num_heads": self.heads,
            "resblock_updown": self.residual,
            "use_new_attention_order": not self.heads_first,
            "ssl_dim": self.dimension,
        }


def random_checkpoint(shape: Shape, *, seed: int = 0, device: str = "cpu") -> State:
    """A state dict with the published names and random weights; without values on the device ``meta``."""
    draw = torch.Generator().manual_seed(seed)
    state: State = {}

    def tensor(*size: int) -> torch.Tensor:
        if device == "meta":
            return torch.empty(size, device="meta")
        return torch.randn(size, generator=draw) / max(1, math.prod(size[1:])) ** 0.5

    def layer(name: str, *size: int) -> None:
        state[f"{name}.weight"], state[f"{name}.bias"] = tensor(*size), tensor(size[0])

    def residual(name: str, before: int, after: int) -> None:
        layer(f"{name}.in_layers.0", before)
        layer(f"{name}.in_layers.2", after, before, 3, 3)
        layer(f"{name}.emb_layers.1", 2 * after, 4 * shape.base)
        layer(f"{name}.out_layers.0", after)
        layer(f"{name}.out_layers.3", after, after, 3, 3)
        if before != after:
            layer(f"{name}.skip_connection", after, before, 1, 1)

    def attention(name: str, channels: int) -> None:
        layer(f"{name}.norm", channels)
        layer(f"{name}.qkv", 3 * channels, channels, 1)
        layer(f"{name}.proj_out", channels, channels, 1)

    layer("time_embed.0", 4 * shape.base, shape.base)
    layer("time_embed.2", 4 * shape.base, 4 * shape.base)
    layer("ssl_emb", 4 * shape.base, shape.dimension)
    channels = shape.base * shape.multipliers[0]
    layer("input_blocks.0.0", channels, 3, 3, 3)
    skips, k, last = [channels], 1, len(shape.multipliers) - 1
    for level, multiplier in enumerate(shape.multipliers):
        for _ in range(shape.blocks):
            residual(f"input_blocks.{k}.0", channels, shape.base * multiplier)
            channels = shape.base * multiplier
            if shape.attention[level]:
                attention(f"input_blocks.{k}.1", channels)
            skips.append(channels)
            k += 1
        if level < last:
            if shape.residual:
                residual(f"input_blocks.{k}.0", channels, channels)
            else:
                layer(f"input_blocks.{k}.0.op", channels, channels, 3, 3)
            skips.append(channels)
            k += 1
    residual("middle_block.0", channels, channels)
    attention("middle_block.1", channels)
    residual("middle_block.2", channels, channels)
    k = 0
    for level in reversed(range(last + 1)):
        for block in range(shape.blocks + 1):
            residual(f"output_blocks.{k}.0", channels + skips.pop(), shape.base * shape.multipliers[level])
            channels = shape.base * shape.multipliers[level]
            if shape.attention[level]:
                attention(f"output_blocks.{k}.1", channels)
            if level and block == shape.blocks:
                name = f"output_blocks.{k}.{2 if shape.attention[level] else 1}"
                if shape.residual:
                    residual(name, channels, channels)
                else:
                    layer(f"{name}.conv", channels, channels, 3, 3)
            k += 1
    layer("out.0", channels)
    layer("out.2", 6, channels, 3, 3)
    return state


def published_output(state: State, shape: Shape, x: torch.Tensor, t: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """What the published code gives for noisy images ``x`` at timesteps ``t`` and representations ``h``."""

    def weights(name: str) -> tuple[torch.Tensor, torch.Tensor]:
        return state[f"{name}.weight"], state[f"{name}.bias"]

    def norm(y: torch.Tensor, name: str) -> torch.Tensor:
        return F.group_norm(y, 32, *weights(name))

    def residual(y: torch.Tensor, name: str, resample: Any) -> torch.Tensor:
        z = F.conv2d(resample(F.silu(norm(y, f"{name}.in_layers.0"))), *weights(f"{name}.in_layers.2"), padding=1)
        scale, shift = F.linear(F.silu(emb), *weights(f"{name}.emb_layers.1"))[..., None, None].chunk(2, 1)
        z = F.silu(norm(z, f"{name}.out_layers.0") * (1 + scale) + shift)
        z = F.conv2d(z, *weights(f"{name}.out_layers.3"), padding=1)
        y = resample(y)
        skipped = f"{name}.skip_connection"
        return z + (F.conv2d(y, *weights(skipped)) if f"{skipped}.weight" in state else y)

    def attention(y: torch.Tensor, name: str) -> torch.Tensor:
        n, channels, side, _ = y.shape
        width = channels // shape.heads
        qkv = F.conv1d(norm(y.flatten(2), f"{name}.norm"), *weights(f"{name}.qkv"))
        if shape.heads_first:
            q, k, v = qkv.reshape(n * shape.heads, 3 * width, -1).split(width, 1)
        else:
            q, k, v = (part.reshape(n * shape.heads, width, -1) for part in qkv.chunk(3, 1))
        seen = torch.einsum("bct,bcs->bts", q, k).div(width**0.5).softmax(-1)
        read = torch.einsum("bts,bcs->bct", seen, v).reshape(n, channels, -1)
        return y + F.conv1d(read, *weights(f"{name}.proj_out")).view(n, channels, side, side)

    def block(y: torch.Tensor, name: str, *, halves: bool = False) -> torch.Tensor:
        for n in range(3):
            part = f"{name}.{n}"
            if f"{part}.in_layers.0.weight" in state:
                doubles = name.startswith("output") and n > 0
                down = (lambda z: F.avg_pool2d(z, 2)) if halves else lambda z: z
                y = residual(y, part, (lambda z: F.interpolate(z, scale_factor=2.0)) if doubles else down)
            elif f"{part}.qkv.weight" in state:
                y = attention(y, part)
            elif f"{part}.op.weight" in state:
                y = F.conv2d(y, *weights(f"{part}.op"), stride=2, padding=1)
            elif f"{part}.conv.weight" in state:
                y = F.conv2d(F.interpolate(y, scale_factor=2.0), *weights(f"{part}.conv"), padding=1)
            elif f"{part}.weight" in state:
                y = F.conv2d(y, *weights(part), padding=1)
        return y

    half = shape.base // 2
    angles = t[:, None].float() * torch.exp(-math.log(10_000) * torch.arange(half) / half)
    emb = F.linear(torch.cat([angles.cos(), angles.sin()], 1), *weights("time_embed.0"))
    emb = F.linear(F.silu(emb), *weights("time_embed.2")) + F.linear(h, *weights("ssl_emb"))
    y, skips = x, []
    for k in range(len(shape.multipliers) * (shape.blocks + 1)):
        y = block(y, f"input_blocks.{k}", halves=k > 0 and k % (shape.blocks + 1) == 0)
        skips.append(y)
    y = block(y, "middle_block")
    for k in range(len(shape.multipliers) * (shape.blocks + 1)):
        y = block(torch.cat([y, skips.pop()], 1), f"output_blocks.{k}")
    return F.conv2d(F.silu(norm(y, "out.0")), *weights("out.2"), padding=1)
