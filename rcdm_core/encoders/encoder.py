"""An encoder: a frozen network that gives representations at named levels, straight from images in [0, 1].

Any layer of the trunk can be a level: it is caught by a hook while the network runs, and pooled to ``[N, D]``. A map
``[N, C, H, W]`` gives its mean over H and W; so does one whose channels are its last axis, which shows in the kind of
the layer, in which two of its sides are equal, in what the network says, or (where all sides are equal) in what the
layer is made of. Tokens ``[N, T, C]`` of a transformer give the class token, the first, if the network has one, else
the mean of the patches, registers and other extra tokens left out. ``[N, D]`` stays as it is. Pooling happens inside
the hook, before an in-place activation behind the layer can change the tensor. A layer that runs several times in one
pass counts with its last output.

The level `PATCHES` is the mean over a grid of places: of the patch tokens of a transformer, without its class token and
other extra ones, or of the last map of a convolutional network. The grid itself is kept for who asks for it
(`Encoder.grid`), for it tells where in an image something happens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from difflib import get_close_matches
from functools import cached_property, partial
from math import isqrt, prod
from typing import Any

import torch
from torch import nn

from rcdm_core.errors import UserError
from rcdm_core.fingerprint import fingerprint
from rcdm_core.precision import device_of

PATCHES = "patches"
"""The level that is the mean over the grid of places."""

_CLASS_TOKENS = ("cls_token", "class_token", "class_embedding")  # what timm and DINO, torchvision, and CLIP call it
_REGISTERS = (
    "num_register_tokens",
    "n_storage_tokens",
)  # how many DINOv2 and DINOv3 have, which tell no other number


class Encoder(nn.Module):
    """A frozen trunk, its projector where there is one, and the preprocessing that belongs to them.

    Everything is differentiable in the images, so that an attack can go through it. Parameters are frozen.

    Args:
        name: Name in the registry.
        preprocess: Images ``[N, 3, H, W]`` in [0, 1] to the trunk's own input; resizing and normalisation.
        trunk: Preprocessed images to features, pooled by the rules of `rcdm_core.encoders.encoder` to ``[N, D]``: the
            level ``backbone``. A trunk may also give several levels itself, as a mapping by name.
        projector: Pooled features to embeddings ``[N, D']``: the level ``projector``; None where there is none.
        dimensions: ``D`` of each level.
        image_size: Side in pixels at which it wants its images: what the preprocessing resizes to, before it crops.
        is_ssl: Whether it was trained without labels; None where nobody told.
        training_augmentations: Names of the probes' transformations it was trained with, at some strength.
        card: How it was trained and what it scores; shown in reports.

    Attributes:
        about: What it computes with besides weights and preprocessing, such as the code of the trunk.
        layers: Layers of the trunk that are levels as well, shallow to deep; see `with_layers`.
        grid_layer: The one whose places are the grid behind the level `PATCHES`; empty where that was not asked for.
        is_stateless: Whether a pass leaves nothing behind in trunk and projector, so that several can run at once.
        examined_as: What its network was when it was found to be one that can be measured; None where that was not
            asked, see `rcdm_core.encoders.any_network.admitted`.
    """

    about: str = ""
    layers: tuple[str, ...] = ()
    grid_layer: str = ""
    is_stateless: bool = False

    def __init__(
        self,
        name: str,
        preprocess: nn.Module,
        trunk: nn.Module,
        projector: nn.Module | None,
        dimensions: Mapping[str, int],
        *,
        is_ssl: bool | None = None,
        image_size: int = 32,
        training_augmentations: Sequence[str] = (),
        card: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.preprocess, self.trunk, self.projector = preprocess, trunk, projector
        self.dimensions = dict(dimensions)
        self.is_ssl, self.image_size = is_ssl, image_size
        self.training_augmentations = tuple(training_augmentations)
        self.card = dict(card or {})
        self.examined_as: str | None = None
        self.eval().requires_grad_(False)

    @property
    def is_reentrant(self) -> bool:
        """Whether several threads may ask it at once: what catches a layer would catch that of another pass."""
        return self.is_stateless and not self.layers

    @property
    def levels(self) -> tuple[str, ...]:
        """Names of the levels, shallow to deep."""
        return tuple(self.dimensions)

    @cached_property
    def network_fingerprint(self) -> str:
        """SHA-256 of weights, preprocessing and code: the same whichever layers are looked at."""
        return fingerprint(self, repr(self.preprocess) + self.about)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of `network_fingerprint` and the layers: equal fingerprints give equal representations."""
        if not self.layers:
            return self.network_fingerprint
        return fingerprint(self, repr(self.preprocess) + self.about + repr(self.layers))

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Representations of every level from one pass.

        Args:
            images: ``[N, 3, H, W]`` in [0, 1].

        Returns:
            ``{level: [N, D] float32}``.

        Raises:
            UserError: What is given are no such images, which would have representations without a word.
        """
        _check_images(images)
        return self.with_grid(images)[0]

    def grid(self, images: torch.Tensor) -> torch.Tensor:
        """What stands at each place of the grid, of which the level `PATCHES` is the mean.

        Args:
            images: ``[N, 3, H, W]`` in [0, 1].

        Returns:
            ``[N, D, rows, columns]`` float32: rows from the top, columns from the left of what the preprocessing leaves
            of an image.

        Raises:
            UserError: The level was not asked for when the encoder was loaded.
        """
        if not self.grid_layer:
            raise UserError(f"{self.name} was loaded without its grid", f"load it with levels=[{PATCHES!r}]")
        return self.with_grid(images)[1]

    def with_grid(self, images: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """What `forward` and `grid` give, from one pass; without a grid, one of no places: ``[N, 0, 0, 0]``."""
        place = (self.grid_layer,) if self.grid_layer else ()
        layers = [name for name in self.layers if name != PATCHES or not place]
        with catching(self.trunk, layers) as caught, catching(self.trunk, place, gridded) as grids:
            features = self.trunk(self.preprocess(images.clone()))  # some networks write into what they are given
        grid = grids[self.grid_layer][0].float() if place else images.new_empty(len(images), 0, 0, 0)
        caught |= {PATCHES: (grid.mean((2, 3)), "")} if place else {}
        levels = {name: caught[name][0].float() for name in self.layers}
        own = features if isinstance(features, Mapping) else {"backbone": features}
        levels |= {level: pooled(h, self.trunk).float() for level, h in own.items()}
        if self.projector is not None:
            levels["projector"] = self.projector(levels["backbone"]).float()
        return levels, grid


_FAR = -1, 2  # beyond [0, 1] by more than any perturbation; those of 8 bits are


def _check_images(images: torch.Tensor) -> None:
    """Raise a `UserError` unless these are images ``[N, 3, H, W]``, of values near [0, 1] (on a processor)."""
    if not isinstance(images, torch.Tensor) or images.ndim != 4 or images.shape[1] != 3:
        given = f"shape {list(images.shape)}" if isinstance(images, torch.Tensor) else type(images).__name__
        raise UserError(f"images of {given}", "give a tensor [N, 3, H, W]")
    if not images.is_floating_point():
        raise UserError(f"images of {images.dtype}", "give floating numbers in [0, 1]: divide by 255")
    if images.device.type == "cpu" and images.numel():  # elsewhere to look would be to wait
        low, high = (end.item() for end in images.detach().aminmax())
        if not low <= high:
            raise UserError("images that hold NaN", "give finite numbers in [0, 1]")
        if not (_FAR[0] <= low and high <= _FAR[1]):
            raise UserError(f"images of values from {low:g} to {high:g}", "give numbers in [0, 1]: divide by 255")


def with_layers(encoder: Encoder, names: Sequence[str]) -> Encoder:
    """The encoder with layers of its trunk as further levels; weights are shared.

    Args:
        encoder: Any encoder.
        names: Names of layers, as in ``trunk.named_modules()``, or `PATCHES`, unless a layer of that name has no grid.

    Raises:
        UserError: No such layer (says the nearest), or one whose output is no tensor that can be pooled to a row for
            each image; or no layer gives a grid of places.
    """
    known = [name for name, _ in encoder.trunk.named_modules() if name]
    listed = f"`rcdm-probe encoders {encoder.name}` lists"
    for name in names:
        if name not in (*known, PATCHES):
            near = ", ".join(get_close_matches(name, [*encoder.levels, PATCHES, *known]))
            remedy = f"one of {', '.join(encoder.levels)}, {PATCHES}, or a layer by name: {listed} them"
            raise UserError(f"unknown level of {encoder.name} {name!r}", f"did you mean {near}?" if near else remedy)
    ordered = [name for name in dict.fromkeys([*known, PATCHES]) if name in names]
    found = survey(encoder, [name for name in ordered if name in known])
    place = find_grid(encoder) if PATCHES in names else None
    if place is not None:
        found[PATCHES] = place[1:]
    elif PATCHES in names and PATCHES not in known:
        raise UserError(
            f"{encoder.name} gives no grid of places: no layer gives a map, or tokens that fill rows and columns",
            f"take another level: {listed} them",
        )
    for name in ordered:
        if name not in found:
            raise UserError(
                f"layer {name!r} of {encoder.name} cannot be a level: it does not run by itself, "
                "or gives no features of each image",
                f"{listed} the layers that can",
            )
    wider = copy(encoder)
    wider.__dict__.pop("fingerprint", None)  # not that of these layers
    wider.layers = tuple(ordered)
    wider.grid_layer = place[0] if place is not None else ""
    wider.dimensions = {name: dimension for name, (dimension, _) in found.items()} | encoder.dimensions
    pooling = {name: rule for name, (_, rule) in found.items()}
    wider.card = encoder.card | {"pooling": encoder.card.get("pooling", {}) | pooling}
    return wider


@torch.no_grad()
def survey(encoder: Encoder, names: Sequence[str] | None = None) -> dict[str, tuple[int, str]]:
    """Dimension and pooling of layers of the trunk, shallow to deep, from one pass of two black images.

    Args:
        encoder: Any encoder.
        names: Layers to look at; None takes all that do something, and whose name no level has that the encoder gives
            itself. Those that cannot be a level are left out.
    """
    if names is None:
        own = {"", *encoder.dimensions} - {*encoder.layers}
        inner = [(name, layer) for name, layer in encoder.trunk.named_modules() if name not in own]
        names = [name for name, layer in inner if not isinstance(layer, nn.Identity)]
    with catching(encoder.trunk, names) as caught:
        encoder(torch.zeros(2, 3, encoder.image_size, encoder.image_size, device=device_of(encoder.trunk)))
    of_images = [name for name in names if name in caught and len(caught[name][0]) == 2]  # not of windows of them
    return {name: (caught[name][0].shape[1], caught[name][1]) for name in of_images}


@torch.no_grad()
def find_grid(encoder: Encoder) -> tuple[str, int, str] | None:
    """The layer of the trunk that gives the grid of places, its dimension, and in words how it is pooled.

    It is the layer `PATCHES` where there is one; else the last whose output has places, none within a layer that pools
    them or is otherwise one step among others.

    Returns:
        None where nothing, or the layer `PATCHES`, gives no grid; or where more tokens than there are places follow,
        of which nothing tells where they stand.
    """
    shapes: list[tuple[int, torch.Size]] = []  # of what has places, how many; and of each output

    def look(output: Any, *of: Any) -> tuple[torch.Tensor, str] | None:
        if not isinstance(output, torch.Tensor):
            return None
        found = gridded(output, *of)
        if found is None or len(output) != 2:
            shapes.append((0, output.shape))
            return output.new_empty(0), ""
        shapes.append((prod(found[0].shape[2:]), output.shape))
        return found[0].mean((2, 3)), found[1]  # small: a map of every layer is much

    names = [name for name, _ in encoder.trunk.named_modules() if name]
    with catching(encoder.trunk, names, look) as caught:
        encoder(torch.zeros(2, 3, encoder.image_size, encoder.image_size, device=device_of(encoder.trunk)))

    def depth(name: str) -> int:
        parts = name.split(".")
        return sum(".".join(parts[:count]) in caught for count in range(1, len(parts)))

    with_places = [name for name, (_, rule) in caught.items() if rule]
    least = min(map(depth, with_places), default=0)
    last = PATCHES if PATCHES in names else next((n for n in reversed(with_places) if depth(n) == least), "")
    if last not in with_places or (last != PATCHES and _are_lost(shapes)):
        return None
    return last, caught[last][0].shape[1], caught[last][1]


def _are_lost(outputs: Sequence[tuple[int, torch.Size]]) -> bool:
    """Whether behind the last grid come tokens that are more than its places, and as wide: it is that of an embedding.

    Args:
        outputs: How many places each has, 0 for none, and its shape, in their order.
    """
    places, shape = next(((count, shape) for count, shape in reversed(outputs) if count), (0, torch.Size()))
    later = [one for count, one in outputs[outputs.index((places, shape)) :] if not count] if places else []
    return any(len(one) == 3 and one[1] > places and one[2] in shape[1:] for one in later)


def pooled(output: torch.Tensor, network: nn.Module, layer: nn.Module | None = None) -> torch.Tensor:
    """The output of a network, or of one of its layers, as representations ``[N, D]``.

    Args:
        output: ``[N, D]``, ``[N, T, C]``, ``[N, C, H, W]`` or ``[N, H, W, C]``.
        network: Knows its tokens and the order of its axes.
        layer: The layer that gave the output; None for the network itself.

    Raises:
        ValueError: ``output`` has another shape, or holds no real numbers.
    """
    if not isinstance(output, torch.Tensor) or output.is_complex():
        raise ValueError(f"a {getattr(output, 'dtype', type(output).__name__)} is no tensor of real numbers")
    found = _pooled(output, network, layer)
    if found is None:
        raise ValueError(f"no rule to pool an output of shape {tuple(output.shape)}")
    return found[0]


def _pooled(output: Any, network: nn.Module, layer: nn.Module | None) -> tuple[torch.Tensor, str] | None:
    """The output of a layer as ``[N, D]``, and in words how it becomes that; None where no rule fits."""
    match output.ndim if isinstance(output, torch.Tensor) and not output.is_complex() else 0:
        case 2:
            return output, "as it is"
        case 3 if _has_class_token(output, network):
            return output[:, 0], "class token"
        case 3:
            return output[:, _extra_tokens(output, network) :].mean(1), "mean of patches"
        case 4:
            return output.mean((1, 2) if _channels_last(output, network, layer) else (2, 3)), "mean over positions"
        case _:
            return None


def gridded(output: Any, network: nn.Module, layer: nn.Module | None) -> tuple[torch.Tensor, str] | None:
    """The output of a layer as a grid of places ``[N, D, H, W]``, and in words what its mean is; None where it is none.

    Tokens stand row by row behind the class token and other extra ones, in a square unless the network tells its sides.
    """
    match output.ndim if isinstance(output, torch.Tensor) and not output.is_complex() else 0:
        case 3:
            registers = next(filter(None, (_found(network, name) for name in _REGISTERS)), 0)
            extra = _extra_tokens(output, network) or (1 + registers if _has_class_token(output, network) else 0)
            tokens, told = output[:, extra:].mT, _found(network, "patch_embed")
            sides = getattr(told, "grid_size", None) or ()
            sides = sides if len(sides) == 2 and prod(sides) == tokens.shape[2] else (isqrt(tokens.shape[2]),) * 2
            if prod(sides) != tokens.shape[2]:
                return None
            grid, places = tokens.unflatten(2, sides), "patch tokens"
        case 4:
            grid, places = output.movedim(3, 1) if _channels_last(output, network, layer) else output, "positions"
        case _:
            return None
    rows, columns = grid.shape[2:]
    return (grid, f"mean of {rows} × {columns} {places}") if rows * columns > 1 else None


@contextmanager
def catching(
    network: nn.Module, names: Iterable[str], look: Callable[..., tuple[torch.Tensor, str] | None] | None = None
) -> Iterator[dict[str, tuple[torch.Tensor, str]]]:
    """While the block runs, the layers that run leave their pooled output and how it was pooled, by name.

    Layers that give something else than one tensor that can be pooled leave nothing. ``look``: what is taken of an
    output, in place of its pooling.
    """
    caught: dict[str, tuple[torch.Tensor, str]] = {}

    def catch(name: str, layer: nn.Module, _: Any, output: object) -> None:
        if found := (look or _pooled)(output, network, layer):
            caught[name] = found[0].clone(), found[1]

    with ExitStack() as hooks:
        for name in names:
            hooks.enter_context(network.get_submodule(name).register_forward_hook(partial(catch, name)))
        yield caught


def _has_class_token(tokens: torch.Tensor, network: nn.Module) -> bool:
    """A class token stands before the patches, once they have been embedded."""
    has = any(isinstance(_found(network, name), torch.Tensor) for name in _CLASS_TOKENS)
    return has and tokens.shape[1] != _patches(network)


def _extra_tokens(tokens: torch.Tensor, network: nn.Module) -> int:
    """How many tokens the network says stand before the patches, once they have been embedded."""
    return (_found(network, "num_prefix_tokens") or 0) if tokens.shape[1] != _patches(network) else 0


def _channels_last(output: torch.Tensor, network: nn.Module, layer: nn.Module | None) -> bool:
    if isinstance(layer, (nn.Linear, nn.LayerNorm)):
        return "2d" not in type(layer).__name__  # LayerNorm2d, timm's and torchvision's, takes maps [N, C, H, W]
    if isinstance(layer, (nn.Conv2d, nn.BatchNorm2d)):
        return False
    _, first, second, third = output.shape
    if (first == second) != (second == third):
        return first == second
    if "NHWC" in (getattr(network, "output_fmt", ""), getattr(layer, "output_fmt", "")):
        return True
    return first == second == third and _ends_channels_last(layer or network)


def _ends_channels_last(layer: nn.Module) -> bool:
    """Whether what a layer does last takes channels as the last axis: all that it has are linear layers and norms."""
    while isinstance(layer, nn.Sequential) and len(layer):
        layer = layer[-1]
    kinds = [*layer.modules()]
    has_maps = any(isinstance(kind, (nn.Conv2d, nn.BatchNorm2d)) for kind in kinds)
    return not has_maps and any(isinstance(kind, (nn.Linear, nn.LayerNorm)) for kind in kinds)


def _patches(network: nn.Module) -> int | None:
    """How many there are, by what timm and DINO, and what transformers calls their embedding."""
    embeddings = (_found(network, name) for name in ("patch_embed", "patch_embeddings"))
    return next((count for count in (getattr(one, "num_patches", None) for one in embeddings) if count), None)


def _found(network: nn.Module, attribute: str) -> Any:
    """An attribute of the network, or of the one that it wraps."""
    values = (getattr(module, attribute, None) for module in network.modules())
    return next((value for value in values if value is not None), None)
