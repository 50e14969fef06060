"""The denoiser of an RCDM: the ADM U-Net of Dhariwal and Nichol (2021), conditioned on a representation.

``emb = time_embedding(t) + head(h)``, and ``emb`` scales and shifts the group norms of every residual block (Bordes et
al. 2022, section 3). One U-Net serves several conditions, each an encoder at a level with a linear head of its own, so
that a difference between two pictures comes from the representation and not from two trainings.

Images of small size are folded into patches (pixel unshuffle): fewer positions with more channels are nearer to what
processors multiply fast.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from diffusers import UNet2DModel
from diffusers.models.attention_processor import Attention, AttnProcessor, AttnProcessor2_0
from torch import nn

from rcdm_core.errors import UserError, unknown_name
from rcdm_core.json_files import TRUTH, Kind, or_none, several, whole, wrong
from rcdm_core.rcdm.heads import RepresentationHead, embedded_images
from rcdm_core.winograd import WinogradConvolution

GROUPS = 32  # of every group norm: channels are multiples of it
T = TypeVar("T")


def _of(kind: Kind, default: T) -> T:
    """A setting, and what it may be."""
    return field(default=default, metadata={"kind": kind})


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """Shape of a denoiser.

    Attributes:
        image_size: Side of the images in pixels.
        patch: Side of the patches that are folded into channels; 1 for none.
        channels: Of each resolution, fine to coarse, multiples of 32; each resolution halves the one before.
        blocks: Residual blocks at each resolution.
        attention: Whether each resolution has self-attention; the middle always has.
        attention_width: Channels of an attention head, where ``attention_heads`` does not say how many there are.
        attention_heads: Number of attention heads, the same at all resolutions; None for as many as the width gives.
        middle_norm: Whether attention in the middle normalises what it reads, as at the other resolutions.
        residual_resampling: Whether a residual block halves and doubles the resolution, instead of a convolution.
        learned_variances: Whether the network gives the variance of a step too, in three channels more.
        embedding_width: Width of ``emb``; None for four times the first channels.
        whitening: Whether heads whiten representations before the linear map.
    """

    image_size: int = _of(whole(1, 1024), 32)
    patch: int = _of(whole(1, 64), 2)
    channels: tuple[int, ...] = _of(several(whole(GROUPS, 8192), 8), (96, 192))
    blocks: int = _of(whole(1, 64), 1)
    attention: tuple[bool, ...] = _of(several(TRUTH, 8), (False, True))
    attention_width: int = _of(whole(1, 8192), 32)
    attention_heads: int | None = _of(or_none(whole(1, 1024)), None)
    middle_norm: bool = _of(TRUTH, False)
    residual_resampling: bool = _of(TRUTH, False)
    learned_variances: bool = _of(TRUTH, False)
    embedding_width: int | None = _of(or_none(whole(1, 1 << 16)), None)
    whitening: bool = _of(TRUTH, True)

    @property
    def attending(self) -> tuple[int, ...]:
        """Channels wherever there is attention, the middle last."""
        attending = (c for c, attends in zip(self.channels, self.attention, strict=True) if attends)
        return *attending, self.channels[-1]

    @property
    def multiple(self) -> int:
        """What the side of the images has to be a multiple of, to be folded and halved."""
        return self.patch * 2 ** (len(self.channels) - 1)

    @property
    def embedding(self) -> int:
        """Width of ``emb``."""
        return self.embedding_width or 4 * self.channels[0]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> NetworkSettings:
        """From plain JSON without a `shape_fault`; settings that are not named have their default."""
        settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in plain.items()}
        return cls(**settings)


SHAPES: Mapping[str, Kind] = {one.name: one.metadata["kind"] for one in fields(NetworkSettings)}
"""What the settings of a network may be."""


def shape_fault(plain: Any) -> str:
    """Why no denoiser has the shape that plain JSON says, in words; empty where one has."""
    if fault := wrong(plain, SHAPES):
        return fault
    shape = NetworkSettings.from_dict(plain)
    heads, width = shape.attention_heads, shape.attention_width
    if len(shape.attention) != len(shape.channels):
        return f"attention has {len(shape.attention)} resolutions, channels {len(shape.channels)}"
    if any(c % GROUPS for c in shape.channels):
        return f"channels are no multiples of {GROUPS}"
    if shape.image_size % shape.multiple:
        return f"image_size is {shape.image_size}, no multiple of {shape.multiple}"
    if any(c % (heads or width) for c in shape.attending):
        return f"{'attention_heads' if heads else 'attention_width'} does not divide the channels with attention"
    return ""


MULTIPLIERS = {64: (1, 2, 3, 4), 128: (1, 1, 2, 3, 4), 256: (1, 1, 2, 2, 4, 4)}
"""Channels of each resolution of the published network over the first, by image size (Dhariwal and Nichol 2021)."""

_ATTENDED = (32, 16, 8)  # sides at which the published network attends
_LARGER: Mapping[str, Any] = {"blocks": 2, "attention_width": 64, "middle_norm": True}

NETWORKS: Mapping[str, tuple[NetworkSettings, int]] = {
    "embedded": (NetworkSettings(), 0),
    "small": (NetworkSettings(channels=(128, 192, 256), attention=(False, True, True), **_LARGER), 32),
    "base": (NetworkSettings(channels=(128, 256, 384, 512), attention=(False, False, True, True), **_LARGER), 64),
    "published": (
        NetworkSettings(
            patch=1, blocks=2, attention_heads=4, middle_norm=True, residual_resampling=True, learned_variances=True
        ),
        0,
    ),
}
"""Name to shape, and at how many patches a side larger images are folded; 0 for a patch that is always the same.

That of the shipped RCDM, 7 M parameters; 24 M; 92 M; and that of Bordes et al. (2022), 423 M at 128 x 128: ADM with
learned variances, whose channels go by the size of the images."""


def network_settings(name: str, image_size: int) -> NetworkSettings:
    """The shape of a denoiser.

    Args:
        name: A key of `NETWORKS`.
        image_size: Side of the images in pixels.

    Raises:
        UserError: No such network (says the nearest names), or none for images of this size (says which there are).
    """
    if name not in NETWORKS:
        raise unknown_name("network", name, NETWORKS)
    shape, side = NETWORKS[name]
    if name == "published":
        if image_size not in MULTIPLIERS:
            raise UserError(
                f"the published network has no form for images of {image_size} pixels",
                f"choose one of {', '.join(map(str, MULTIPLIERS))}",
            )
        channels = tuple(256 * m for m in MULTIPLIERS[image_size])
        attention = tuple(image_size >> level in _ATTENDED for level in range(len(channels)))
        return replace(shape, image_size=image_size, channels=channels, attention=attention)
    settings = replace(shape, image_size=image_size, patch=max(1, image_size // side) if side else shape.patch)
    divisor = settings.multiple
    if image_size % divisor or image_size < divisor:
        nearest = max(1, round(image_size / divisor)) * divisor
        raise UserError(
            f"the network {name} cannot halve images of {image_size} pixels often enough",
            f"use {nearest} pixels, or another multiple of {divisor}",
        )
    return settings


def build_unet(settings: NetworkSettings) -> UNet2DModel:
    """The U-Net on folded images, with fresh weights."""
    folded = 3 * settings.patch**2
    residual = settings.residual_resampling
    down, up = ("ResnetDownsampleBlock2D", "ResnetUpsampleBlock2D") if residual else ("DownBlock2D", "UpBlock2D")
    heads = settings.attention_heads
    unet = UNet2DModel(
        sample_size=settings.image_size // settings.patch,
        in_channels=folded,
        out_channels=folded * (2 if settings.learned_variances else 1),
        layers_per_block=settings.blocks,
        block_out_channels=settings.channels,
        down_block_types=tuple("AttnDownBlock2D" if a else down for a in settings.attention),
        up_block_types=tuple("AttnUpBlock2D" if a else up for a in reversed(settings.attention)),
        downsample_type="resnet" if residual else "conv",
        upsample_type="resnet" if residual else "conv",
        attention_head_dim=settings.attention_width if heads is None else math.gcd(*settings.attending) // heads,
        attn_norm_num_groups=GROUPS if settings.middle_norm else None,
        norm_num_groups=GROUPS,
        time_embedding_dim=settings.embedding_width,
        class_embed_type="identity",
        resnet_time_scale_shift="scale_shift",
    )
    if heads is not None:
        set_attention_heads(unet, heads)
    for module in unet.modules():
        if isinstance(module, Attention):
            module.set_processor(_AttentionProcessor())
        elif isinstance(module, nn.GroupNorm):
            module.__class__ = _GroupNorm
        elif type(module) is nn.Conv2d:
            module.__class__ = WinogradConvolution
    return unet


class _GroupNorm(nn.GroupNorm):
    """As PyTorch's; a processor is given channels first, where it takes a tenth of the time in bfloat16."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if input.device.type != "cpu" or input.ndim != 4:
            return super().forward(input)
        return super().forward(input.contiguous()).contiguous(memory_format=torch.channels_last)


class _AttentionProcessor(AttnProcessor2_0):
    """Fused; of few places on a processor by plain products, whose gradients in bfloat16 take a sixth of the time."""

    plain, few = AttnProcessor(), 64

    def __call__(
        self, attn: Attention, hidden_states: torch.Tensor, *, temb: torch.Tensor | None = None, **others: Any
    ) -> torch.Tensor:
        """Images ``[N, C, H, W]`` with what attention adds to them; arguments are those of diffusers."""
        if hidden_states.device.type == "cpu" and hidden_states.shape[2:].numel() <= self.few:
            return self.plain(attn, hidden_states, temb=temb, **others)
        return super().__call__(attn, hidden_states, temb=temb, **others)


def set_attention_heads(unet: UNet2DModel, heads: int) -> None:
    """Give every attention of a U-Net the same number of heads; diffusers' configuration knows one width for all."""
    for module in unet.modules():
        if isinstance(module, Attention):
            module.heads = module.sliceable_head_dim = heads
            module.scale = (module.inner_dim // heads) ** -0.5


class Denoiser(nn.Module):
    """U-Net and heads.

    Args:
        settings: Shape of the U-Net.
        conditions: Dimension of each condition, as ``{"vicreg/backbone": 384}``.
        unet: A U-Net of this shape that is there already, which is shared; None for a fresh one.
    """

    def __init__(
        self, settings: NetworkSettings, conditions: Mapping[str, int], *, unet: UNet2DModel | None = None
    ) -> None:
        super().__init__()
        self.settings, self.conditions = settings, dict(conditions)
        self.unet = unet or build_unet(settings).to(memory_format=torch.channels_last)
        head = RepresentationHead if settings.whitening else nn.Linear
        self.heads = nn.ModuleDict({condition_key(name): head(d, settings.embedding) for name, d in conditions.items()})

    def head(self, condition: str) -> RepresentationHead:
        """The head of a condition; a plain ``nn.Linear`` where the settings say that heads do not whiten."""
        return self.heads[condition_key(condition)]  # type: ignore[return-value]

    def embed(self, groups: Sequence[tuple[str, torch.Tensor]]) -> torch.Tensor:
        """Embeddings ``[N, E]`` of groups of representations, one after the other.

        Args:
            groups: Conditions with their representations ``[n, D]``; the ``n`` add up to ``N``.

        Raises:
            UserError: A representation has another dimension than its head; says both.
        """
        for name, h in groups:
            if h.shape[1] != self.conditions[name]:
                raise UserError(
                    f"representations of {name} have {h.shape[1]} dimensions, this RCDM was trained on "
                    f"{self.conditions[name]}",
                    "use the RCDM that was trained for this encoder and level",
                )
        return torch.cat([self.head(name)(h) for name, h in groups])

    def forward(self, images: torch.Tensor, t: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        """Prediction for noisy images.

        Args:
            images: ``[N, 3, S, S]``, in the scale of [-1, 1].
            t: Timesteps, scalar or ``[N]``.
            embedding: ``[N, E]``, from `embed`.

        Returns:
            ``[N, 3, S, S]``, what the objective asks for; with learned variances ``[N, 6, S, S]``, their
            fractions last.
        """
        folded = F.pixel_unshuffle(images, self.settings.patch).contiguous(memory_format=torch.channels_last)
        predicted = self.unet(folded, t, class_labels=embedding).sample
        return F.pixel_shuffle(predicted, self.settings.patch)


def begin_heads(denoiser: Denoiser, images: torch.Tensor, representations: Mapping[str, torch.Tensor]) -> None:
    """Whiten representations and guess the heads of some conditions.

    Args:
        denoiser: Its heads of the conditions named are set, others stay.
        images: ``[N, 3, S, S]`` in [0, 1], on the denoiser's device.
        representations: Those of the images for each condition, ``[N, D]``.
    """
    targets = embedded_images(images, denoiser.settings.embedding)
    for condition, h in representations.items():
        denoiser.head(condition).begin(h, targets)


@torch.no_grad()
def hand_over_heads(
    denoiser: Denoiser, former: Mapping[str, torch.Tensor], representations: Mapping[str, torch.Tensor]
) -> None:
    """Let heads read an encoder that was trained further, as nearly as they read it before.

    Args:
        denoiser: Its heads of the conditions named are set, others stay.
        former: Representations that the heads were trained on, ``[N, D]`` for each condition.
        representations: Those of the same images now.
    """
    for condition, h in representations.items():
        head = denoiser.head(condition)
        head.begin(h, head(former[condition].to(head.mean.device)))


def condition_key(condition: str) -> str:
    """What the head of a condition is called among the modules."""
    return condition.replace("/", "__").replace(".", "_")
