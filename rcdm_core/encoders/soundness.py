"""What an encoder does with a few fixed images: by that it is known again, and seen to be one that can be measured."""

from __future__ import annotations

import math
import random
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rcdm_core.errors import UserError, told
from rcdm_core.precision import device_of, differ, rounding_of
from rcdm_core.representations import refuse_nan

if TYPE_CHECKING:
    from rcdm_core.encoders.encoder import Encoder

PASSES = 32
"""Times that a preprocessing is run which draws random numbers, before it is believed that they change nothing."""

LOOKED_AT = [1, 0]
"""The fixed images that are looked at: no more than two, for each costs half a second where a network is large."""

ALONE = slice(1, 2)
"""That of these which is looked at alone as well: without the other it has another range, mean and place."""

BESIDE = slice(2, 3)
"""The fixed image that it is looked at beside, where a network computes in half precision."""

_EQUAL = torch.finfo(torch.float32).eps  # rounding of what is computed twice in the same order, and then some


def fixed_images(size: int) -> torch.Tensor:
    """Stripes, bright noisy blocks, a dark slope: ``[3, 3, size, size]`` in [0, 1], on every machine the same bits.

    That is why they are drawn in integers, of 8 bits as those of pictures.
    """
    y, x = np.mgrid[:size, :size] * 256 // size
    stripes = [abs((a * x + b * y) % 128 - 64) * 3 + 30 for a, b in ((3, 1), (0, 5), (-4, 2))]
    slope = [x // 4, y // 4, (510 - x - y) // 8]
    blocks = [230 - 110 * (x * 3 // 256 % 2), 230 - 80 * (y * 5 // 256 % 2), 250 - 90 * ((x + y) * 2 // 256 % 2)]
    noise = np.random.Generator(np.random.Philox(0)).integers(-120, 121, (3, size, size))
    noisy = np.clip(blocks + noise * (x > y), 0, 255)
    return torch.from_numpy(np.stack([stripes, noisy, slope]).astype(np.uint8)) / 255


@contextmanager
def others_code(what: str, remedy: str = "") -> Iterator[None]:
    """Code that is not ours runs within the block: what it prints goes to the standard error.

    Raises:
        UserError: It raises something, or ends Python: begins with ``what``, and says where if there is no remedy.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except (UserError, KeyboardInterrupt):
        raise
    except BaseException as error:  # whatever the code does, sys.exit as well
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(frame.filename).name}, line {frame.lineno}"
        raise UserError(f"{what} ({told(error)})", remedy or place) from error


def examined(encoder: Encoder) -> dict[str, torch.Tensor]:
    """What an encoder gives of two fixed images at every level, ``[2, D]``, if it is one that can be measured.

    It is if an image has one representation: the same in another pass, and beside another image or alone. Two passes
    of three images in all tell that all is well; one that draws random numbers, or rounds coarsely, makes some more.

    Raises:
        UserError: It is none, or fails, or gives something else than ``[N, D]``, or NaN.
    """
    images = fixed_images(encoder.image_size)[LOOKED_AT].to(device_of(encoder))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        before = random_state()
        together, alone = _passed(encoder, images), _passed(encoder, images[ALONE])
        changed = _changed(encoder, alone, _alone(together), together) or _blurred(encoder, images, together)
        dice = _rolled(encoder, images, together) if changed or random_state() != before else ""
    if dice:
        raise UserError(
            f"{encoder.name} gives the same image another representation in each pass ({dice})",
            "it has dropout, a random step or a memory that eval() does not reach; it cannot be measured with it",
        )
    if changed:
        raise UserError(
            f"what {encoder.name} gives of an image depends on the other images of its batch ({changed})",
            "it has statistics of the batch that eval() does not reach; it cannot be measured with them",
        )
    return together


def _rolled(encoder: Encoder, images: torch.Tensor, known: Mapping[str, torch.Tensor]) -> str:
    """What differs in further passes of the same images, in words; empty where nothing does."""
    with others_code(f"the preprocessing of {encoder.name} fails"):
        first = encoder.preprocess(images.clone())
        if any(not torch.equal(encoder.preprocess(images.clone()), first) for _ in range(PASSES)):
            return "its preprocessing"
    passes = (_passed(encoder, images) for _ in range(3))
    return next(filter(None, (_changed(encoder, levels, known, known, _EQUAL) for levels in passes)), "")


def _alone(levels: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {level: h[ALONE] for level, h in levels.items()}


def _blurred(encoder: Encoder, images: torch.Tensor, known: Mapping[str, torch.Tensor]) -> str:
    """What differs of one image beside another one, where the rounding of half precision would hide it.

    A batch of the same shape is computed in the same order, so that nothing is rounded otherwise.
    """
    if rounding_of(encoder) <= _EQUAL:
        return ""
    other = fixed_images(encoder.image_size)[BESIDE].to(images)
    return _changed(encoder, _alone(_passed(encoder, torch.cat([other, images[ALONE]]))), _alone(known), known, _EQUAL)


def _passed(encoder: Encoder, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Representations of images, each level checked to be ``[N, D]`` of numbers."""
    count, size = len(images), encoder.image_size
    beside = "" if count > 1 else ", one at a time,"
    with others_code(
        f"encoder {encoder.name} fails on images of {size}x{size} pixels{beside}",
        "it has to take [N, 3, H, W] in [0, 1] and give [N, D], or a dictionary of levels",
    ):
        levels = encoder(images)
    odd = [level for level in levels if not isinstance(level, str) or not re.fullmatch(r"\w[\w.-]*", level)]
    if odd:
        raise UserError(f"{encoder.name} gives a level named {odd[0]!r}", "take letters, digits, _, - and . for it")
    shapes = {level: tuple(h.shape) for level, h in levels.items()}
    if "backbone" not in shapes or any(len(s) != 2 or s[0] != count or not s[1] for s in shapes.values()):
        raise UserError(
            f"encoder {encoder.name} gives {shapes} for {count} images",
            "it has to give [N, D] at a level named backbone at least",
        )
    refuse_nan(encoder, levels)
    return {level: h.cpu() for level, h in levels.items()}


def _changed(
    encoder: Encoder,
    one: Mapping[str, torch.Tensor],
    other: Mapping[str, torch.Tensor],
    among: Mapping[str, torch.Tensor],
    rounding: float | None = None,
) -> str:
    """The first level that differs between two passes, in words; empty where none does."""
    rounding = rounding_of(encoder) if rounding is None else rounding
    for level, h in among.items():
        if level not in one or differ(one[level], other[level], h, rounding):
            return f"level {level!r}"
    return ""


def random_state() -> tuple[Any, ...]:
    """Of all that draw random numbers: who draws one changes it."""
    numpy: Any = np.random.get_state()  # noqa: NPY002 - what others draw from
    return torch.get_rng_state().numpy().tobytes(), random.getstate(), numpy[1].tobytes(), numpy[2]


def sketched(levels: Mapping[str, torch.Tensor], rounding: float) -> str:
    """What an encoder does with the fixed images, ``[N, D]``, in a few numbers that are the same on every machine.

    Each is taken of a whole level, and rounded to steps some thousand times as large as what another machine, another
    number of threads or another order of sums changes in it. That it lies so near the edge of a step that these turn
    it over happens to less than one encoder in a thousand; what moves representations by a hundredth of their typical
    distance turns over one of the numbers, as a rule. They are a part of its fingerprint.
    """
    sketch = []
    for level, h in sorted(levels.items()):
        centre = h.double().mean(0)
        around = h.double() - centre
        length, spread = (rows.norm(dim=1).mean().clamp_min(1e-30) for rows in (h.double(), around))
        signs = np.random.Generator(np.random.Philox(1)).integers(0, 2, (h.shape[1], 8)) * 2.0 - 1
        seen = torch.cat([around / spread, centre[None] / length]) @ torch.from_numpy(signs)
        noise = 8 * rounding * float(length / spread)
        step = 2.0 ** math.ceil(math.log2(max(0.25, 2000 * noise)))
        numbers = [16 * length.log2(), 16 * spread.log2(), *seen.flatten()]
        sketch.append(f"{level} {step:g} {[round(float(number) / step) for number in numbers]}")
    return "; ".join(sketch)


def refuse_without_gradients(encoder: Encoder, level: str = "backbone") -> None:
    """Raise a `UserError` unless gradients pass from a level to the images; that they vanish is another matter."""
    images = fixed_images(encoder.image_size)[:2].to(device_of(encoder)).requires_grad_()
    try:
        with torch.enable_grad():
            h = encoder(images)[level]
            reason = "" if h.requires_grad else "it computes without them (no_grad, detach or NumPy)"
            if not reason:
                (gradients,) = torch.autograd.grad(h.sum(), images, allow_unused=True)
                if gradients is None:
                    reason = "what it gives does not depend on the images"
                elif not gradients.isfinite().all():
                    reason = "they are NaN or infinite"
    except RuntimeError as error:  # a part that cannot be gone through backwards
        reason = told(error)
    if reason:
        raise UserError(
            f"gradients do not pass through {encoder.name} at level {level!r}: {reason}",
            "an attack needs them; let the network and its preprocessing compute on tensors throughout",
        )
