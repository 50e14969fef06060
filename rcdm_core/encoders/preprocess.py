"""Preprocessing as modules: an encoder carries its own, and gradients pass through it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from contextlib import suppress
from copy import copy
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torch.overrides import TorchFunctionMode

from rcdm_core.fingerprint import shows_an_address
from rcdm_core.images import Side, square

LARGEST = 2048
"""The largest side in pixels of an image that is taken."""

PROBED = (256, 258)
"""Sides in pixels of the images that show what a preprocessing resizes to."""


class HalvingCrop(nn.Module):
    """The square crop of the published RCDMs: halve, resize, crop the centre.

    The image is halved with a box filter while its short side is at least twice the target, then resized with a bicubic
    filter until the short side is the target, then cropped; as Pillow does it, but for the rounding to 8 bits.

    Args:
        size: Side of the square in pixels.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def extra_repr(self) -> str:
        return f"size={self.size}"

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """``[N, 3, H, W]`` in [0, 1] to ``[N, 3, size, size]`` in [0, 1]."""
        while min(images.shape[-2:]) >= 2 * self.size:
            images = _halved(_halved(images.mT).mT)
        scale = self.size / min(images.shape[-2:])
        if scale != 1:
            height, width = (round(side * scale) for side in images.shape[-2:])
            images = F.interpolate(images, size=(height, width), mode="bicubic", antialias=True)
        top, left = ((side - self.size) // 2 for side in images.shape[-2:])
        return images[..., top : top + self.size, left : left + self.size].clamp(0, 1)


def _halved(images: torch.Tensor) -> torch.Tensor:
    """Half as many columns, by Pillow's box filter: means of pairs, but for the middle of an odd side."""
    first, weights = _box_windows(images.shape[-1])
    columns = torch.tensor(first, device=images.device)[:, None] + torch.arange(3, device=images.device)
    windows = images[..., columns.clamp(max=images.shape[-1] - 1)]  # [..., W // 2, 3]
    return (windows * images.new_tensor(weights)).sum(-1)


@lru_cache(maxsize=64)
def _box_windows(side: int) -> tuple[list[int], list[list[float]]]:
    """First pixel and three weights of each window of the box filter from ``side`` to ``side // 2`` pixels.

    The arithmetic is that of Pillow's Resample.c: where the middle of an odd side falls on a border between two
    windows, its rounding decides which of them has the pixel, or that none has.
    """
    scale = side / (side // 2)
    first, weights = [], []
    for i in range(side // 2):
        centre = (i + 0.5) * scale
        low, high = int(centre - 0.5 * scale + 0.5), min(int(centre + 0.5 * scale + 0.5), side)
        inside = [-0.5 < (x - centre + 0.5) * (1 / scale) <= 0.5 for x in range(low, high)]
        first.append(low)
        weights.append([w / sum(inside) for w in inside] + [0.0] * (3 - len(inside)))
    return first, weights


class ResizeNormalize(nn.Module):
    """Resize to a square and normalise: ``(resize(x) - mean) / std``.

    Args:
        size: Side of the square in pixels. Images that have it already are not resampled.
        mean: Mean of each RGB channel.
        std: Standard deviation of each RGB channel.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, size: int, mean: tuple[float, float, float], std: tuple[float, float, float]) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

    def extra_repr(self) -> str:
        return f"size={self.size}, mean={self.mean.flatten().tolist()}, std={self.std.flatten().tolist()}"

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """``[N, 3, H, W]`` in [0, 1] to ``[N, 3, size, size]``, normalised."""
        if images.shape[-2:] != (self.size, self.size):
            images = F.interpolate(images, size=(self.size, self.size), mode="bilinear", antialias=True)
        return (images - self.mean) / self.std


class Steps(nn.Module):
    """Torchvision's transforms in a row, on tensors: what they make of a picture of 8 bits, but for its rounding.

    Steps that make a tensor of a picture are left out. What those before them overshoot is clamped, as the 8 bits do,
    and the colours that they fill with are numbers up to 255. So are the values behind a step that gives integers,
    until another makes numbers in [0, 1] of them. Everything else, and transforms of tensors alone, is run as given.

    Args:
        transform: A transform, or a `Compose` of several, which may be such ones again; each takes batches of tensors.
    """

    def __init__(self, transform: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        steps = _in_a_row(transform)
        made = next((place for place, step in enumerate(steps) if _kind(step) in _TO_TENSOR), 0)
        steps = [*map(_smooth_as_pictures_are, steps[:made]), *steps[made:]]
        self.steps = [step for step in steps if _kind(step) not in _TO_TENSOR]
        self.run = _on_tensors(steps)
        self.networks = nn.ModuleList(step for step in self.steps if isinstance(step, nn.Module))  # go where this goes

    def __repr__(self) -> str:
        return f"Steps({', '.join(map(_description, self.steps))})"

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """``[N, 3, H, W]`` in [0, 1] to what the transform makes of them."""
        for step in self.run:
            images = step(images)
        return images


_TO_UNIT = ("ToTensor", "MaybeToTensor", "to_tensor")  # make numbers in [0, 1] of a picture
_TO_255 = ("timm's ToTensor",)  # makes floats up to 255
_TO_INTEGERS = ("PILToTensor", "MaybePILToTensor", "ToImage", "pil_to_tensor", "to_image")
_TO_TENSOR = (*_TO_UNIT, *_TO_255, *_TO_INTEGERS)
_PLACING = (
    *("Resize", "ResizeKeepRatio", "CenterCrop", "CenterCropOrPad", "Pad", "TrimBorder"),
    *("Identity", "RGB", "ToPureTensor"),
)
"""Steps that are the same whatever the values range over, but for a colour that they fill with."""


def _kind(step: Any) -> str:
    name = getattr(step, "__name__", type(step).__name__)
    return "timm's ToTensor" if name == "ToTensor" and type(step).__module__.startswith("timm.") else name


def _on_tensors(steps: Iterable[Any]) -> list[Callable[[torch.Tensor], torch.Tensor]]:
    """What does to ``[N, 3, H, W]`` in [0, 1] what the steps do to a picture of 8 bits.

    Beside every step it is known what the transform has there, a picture, integers or floats, and what stands for
    white in the values that we have instead.
    """
    run: list[Callable[[torch.Tensor], torch.Tensor]] = []
    steps, white = list(steps), 1
    there = "picture" if any(_kind(step) in _TO_TENSOR for step in steps) else "floats"

    def leave_8_bits(up_to: int) -> None:
        nonlocal white
        run.extend([partial(torch.clamp, min=0, max=white)] if run else [])
        run.extend([partial(torch.mul, other=255)] if up_to > white else [])
        run.extend([partial(torch.div, other=255)] if up_to < white else [])
        white = up_to

    for step in steps:
        kind = _kind(step)
        if kind in _TO_TENSOR:
            if there == "picture" and kind in _TO_INTEGERS:
                there = "integers"
            elif there == "picture":
                leave_8_bits(1 if kind in _TO_UNIT else 255)
                there = "floats"
        elif there == "integers" and (dtype := _float_of(step)):
            leave_8_bits(1 if kind == "ConvertImageDtype" or step.scale else 255)
            there = "floats"
            run.append(partial(torch.Tensor.to, dtype=dtype))
        elif there == "floats" or (kind in _PLACING and not _fills(step)):
            run.append(step)
        else:
            if white == 1 and (there == "integers" or _fills(step)):
                leave_8_bits(255)
            run.append(_in_colour(step))
            there = "floats" if there == "integers" and not _keeps_integers(step) else there
    if there == "integers":
        leave_8_bits(255)
    return run


def _smooth_as_pictures_are(step: Any) -> Any:
    """A step on pictures, which are smoothed when they are resized whatever ``antialias`` says."""
    if getattr(step, "antialias", True) is True:
        return step
    step = copy(step)
    step.antialias = True
    return step


def _float_of(step: Any) -> torch.dtype | None:
    """To which kind of floats a step converts, if it is one that does."""
    dtype = getattr(step, "dtype", None) if _kind(step) in ("ToDtype", "ConvertImageDtype") else None
    if isinstance(dtype, dict):
        dtype = next((value for value in dtype.values() if value is not None), None)
    return dtype if dtype is not None and dtype.is_floating_point else None


def _fills(step: Any) -> bool:
    """Whether a step fills with a colour that is not black."""
    fill = getattr(step, "fill", 0)
    colours = fill.values() if isinstance(fill, dict) else (fill,)
    return any(any(colour) if isinstance(colour, (list, tuple)) else colour for colour in colours)


def _in_colour(step: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    """A step that fills with a colour, as one that does so with tensors: many fill those with one number alone."""
    if not isinstance(getattr(step, "fill", None), (list, tuple)) or hasattr(step, "_fill"):  # v2 can do it
        return step
    colour, black = torch.tensor(step.fill)[:, None, None], copy(step)
    black.fill = 0
    return lambda images: black(images - colour.to(images.device)) + colour.to(images.device)


def _keeps_integers(step: Callable[[torch.Tensor], torch.Tensor]) -> bool:
    try:
        return not step(torch.zeros(1, 3, 16, 16, dtype=torch.uint8)).is_floating_point()
    except Exception:  # whatever the step does: it is asked again with the values it will have
        return False


class Resizing(TorchFunctionMode):
    """While it is entered, it notes the first resizing, and refuses a huge one.

    Attributes:
        found: The larger side before and after the first one.
        by: What `rcdm_core.images.Side` calls its filter; empty where that has no name for it.
        is_square: Whether what it gave is one.
    """

    found: tuple[int, int] | None = None
    by, is_square = "", False

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is not F.interpolate:
            return function(*args, **(kwargs or {}))
        asked = inspect.signature(F.interpolate).bind(*args, **(kwargs or {})).arguments
        size = asked.get("size") or 0
        if max(size if isinstance(size, (list, tuple)) else [size]) > LARGEST:
            raise ValueError(f"it resizes to {size} pixels; {LARGEST} are the most")
        out = function(*args, **(kwargs or {}))
        if self.found is None:
            self.found = max(asked["input"].shape[-2:]), max(out.shape[-2:])
            smooth = "" if asked.get("antialias") else ", aliased"
            self.by = _NAMES.get(asked.get("mode", "nearest") + smooth, "")
            self.is_square = out.shape[-2] == out.shape[-1]
        return out


_NAMES = {
    **{name: name for name in ("bicubic", "bilinear", "bilinear, aliased")},
    "nearest, aliased": "nearest",
    "nearest-exact, aliased": "nearest",
}


def decoded_size(preprocess: nn.Module) -> int | None:
    """Side in pixels that a square image has to have, so that the preprocessing enlarges nothing that was made small.

    Returns:
        What the first resizing gives, as a `rcdm_core.images.Side` that knows its filter where nothing comes before it;
        and a margin that is cropped before it. What a crop gives that comes first, as a `Side` if it is the centre.
        None where it depends on the image.
    """
    seen, made, by = [], [], ""
    for side in PROBED:
        with torch.no_grad(), Resizing() as resizing:
            made.append(max(preprocess(torch.full((1, 3, side, side), 0.5)).shape[-2:]))
        if resizing.found:
            seen.append((side, *resizing.found))
            by = resizing.by
    if not seen:
        return _cropped(preprocess, made[0]) if made[0] == made[1] else None
    if len({after for _, _, after in seen}) > 1:
        return None  # a part of whatever it is given
    side, before, after = seen[0]
    if side == before:
        return _in_its_way(preprocess, after, by, min(made[0], after)) if by else after
    if len(seen) == 2 and before == seen[1][1]:
        return _cropped(preprocess, before, max(before, after))
    return after + side - before


def _in_its_way(preprocess: nn.Module, after: int, by: str, crop: int) -> int:
    """The side of what resizes first, with how it resizes what is oblong."""
    with suppress(Exception), torch.no_grad(), Resizing() as resizing:  # it may take squares alone
        preprocess(torch.full((1, 3, PROBED[0], PROBED[1] * 2), 0.5))
        if resizing.is_square:
            return Side(after, f"{by}, squashed", crop)
        if resizing.found and resizing.found[1] == after:
            ways = (Side(after, f"{by}, bordered", crop, colour) for colour in _colours(preprocess))
            return next((way for way in ways if _sees_all_of(preprocess, way)), after)
    return Side(after, by, crop)


def _cropped(preprocess: nn.Module, crop: int, otherwise: int = 0) -> int:
    """The side of what crops pictures that nothing has resized: that of the centre if it crops this, else another."""
    way = Side(crop, "cropped", crop)
    return way if _sees_all_of(preprocess, way) else otherwise or crop


def _sees_all_of(preprocess: nn.Module, way: Side) -> bool:
    """Whether it does the same to oblong pictures and to what comes of them in this way."""
    rng = np.random.Generator(np.random.Philox(0))
    with suppress(Exception), torch.no_grad():  # it may take squares alone
        for height, width in ((way + 31, way + 90), (way // 2 + 101, way // 3 + 60)):
            picture = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
            whole = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 255
            if not alike(preprocess(square(picture, way)[None]), preprocess(whole)):
                return False
        return True
    return False


def alike(one: torch.Tensor, other: torch.Tensor, by: float = 0.05) -> bool:
    """Whether two preprocessings made the same of a picture, but for rounding to 8 bits and a filter like another.

    Args:
        one: What one made of it.
        other: What the other made.
        by: How far apart they may be in the mean, in standard deviations.
    """
    return one.shape == other.shape and bool((one - other).abs().mean() <= by * other.float().std())


def picture_of(image: torch.Tensor) -> Image.Image:
    """An image ``[3, H, W]`` in [0, 1] as a picture of 8 bits."""
    return Image.fromarray((255 * image).round().byte().permute(1, 2, 0).numpy())


def smooth(height: int, width: int) -> torch.Tensor:
    """A picture without fine detail, ``[3, height, width]``, which looks the same at every size."""
    y, x = torch.linspace(-1, 1, height)[:, None], torch.linspace(-1, 1, width)
    waves = torch.stack([torch.sin(2 * x + 3 * y), torch.cos(4 * x) * y, torch.sin(3 * x) + torch.cos(5 * y) / 2])
    return (0.5 + waves / 4).clamp(0, 1)


Way = Callable[[Image.Image], torch.Tensor]
"""What somebody's preprocessing makes of a picture: ``[N, 3, H, W]``."""


def bends_oblong(preprocess: nn.Module, size: int, theirs: Way | None = None) -> bool:
    """Whether a preprocessing that changes the size of pictures makes something else of oblong ones than it is let.

    It is given the square of ``size`` that is made of them (`rcdm_core.images.square`), not the whole of them.

    Args:
        preprocess: As it is run here.
        size: Side in pixels of what it is given.
        theirs: What it is of pictures in the library that it comes from.
    """
    shapes = ((size + size // 2, 2 * size + 1), (2 * size + 1, size + size // 2))
    return any(_departs(preprocess, size, picture_of(smooth(*shape)), theirs, 0.05) for shape in shapes)


def shrinks_otherwise(preprocess: nn.Module, size: int, theirs: Way | None = None) -> bool:
    """Whether it makes something else of a square picture of twice the size, full of detail, than of it made small."""
    rng = np.random.Generator(np.random.Philox(0))
    picture = Image.fromarray(rng.integers(0, 256, (2 * size, 2 * size, 3), dtype=np.uint8))
    return _departs(preprocess, size, picture, theirs, 0.02)


def _departs(preprocess: nn.Module, size: int, picture: Image.Image, theirs: Way | None, by: float) -> bool:
    if isinstance(preprocess, ResizeNormalize):
        return False  # our own, which is for squares
    whole, wanted = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 255, None
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        with suppress(Exception):  # it may take no pictures
            wanted = theirs(picture) if theirs else None
        with suppress(Exception):  # it may take squares alone
            wanted = wanted if isinstance(wanted, torch.Tensor) and wanted.ndim == 4 else preprocess(whole.clone())
            if wanted.shape[-2:] != whole.shape[-2:]:
                return not alike(preprocess(square(picture, size)[None]), wanted, by)
    return False


def _colours(preprocess: nn.Module) -> list[tuple[int, ...]]:
    """Colours that its steps fill with, in numbers up to 255; black if none says one."""
    steps = getattr(preprocess, "steps", ())
    fills = [step.fill for step in steps if isinstance(getattr(step, "fill", None), (int, list, tuple))]
    return [tuple(int(part) for part in np.broadcast_to(fill, 3)) for fill in fills] or [(0, 0, 0)]


def is_composed(transform: object) -> bool:
    """Whether it is one of torchvision's two ways to put transforms in a row."""
    return type(transform).__name__ == "Compose" and hasattr(transform, "transforms")


def _in_a_row(transform: Any) -> list[Callable[[torch.Tensor], torch.Tensor]]:
    if not is_composed(transform):
        return [transform]
    return [step for part in transform.transforms for step in _in_a_row(part)]


def _description(value: Any) -> str:
    """What tells a step, or a setting of one, from another: its settings, or its code where it shows none."""
    match value:
        case partial():
            return f"partial({', '.join(map(_description, (value.func, value.args, value.keywords)))})"
        case list() | tuple():
            return f"[{', '.join(map(_description, value))}]"
        case dict():
            return f"{{{', '.join(f'{key}: {_description(value[key])}' for key in sorted(value, key=str))}}}"
    try:
        if inspect.isfunction(value):
            return inspect.getsource(value)
        if inspect.ismethod(value) or inspect.isbuiltin(value):
            return f"{value.__name__} of {_description(value.__self__)}"
        if shows_an_address(repr(value)):
            return inspect.getsource(type(value)) + _description(vars(value))
    except (OSError, TypeError):  # nowhere written down
        pass
    return repr(value)
