"""Networks that users hand over, sound ones and others: each function is one, as ``python:hostile_encoders:NAME``."""

from __future__ import annotations

import os
import random
import sys
import warnings
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torchvision import transforms as v1
from torchvision.transforms import v2

SIZE = 32  # pixels
HIDDEN = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
"""Of no network's modules: ``eval()`` does not reach it."""


class Net(nn.Module):
    """Sixteen features of small images, with something done to them."""

    image_size: Any = SIZE

    def __init__(self, after: Any = None, before: Any = None, **attributes: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.maps = nn.Conv2d(3, 16, 5, stride=2)
        self.before, self.after = before or (lambda x: x), after or (lambda h: h)
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x: torch.Tensor) -> Any:
        return self.after(self.maps(self.before(x)).relu().mean((2, 3)))


# Those that give an image another representation in each pass


class Counter(Net):
    calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return super().forward(x) * (1 + 0.1 * self.calls)


class Remembering(Net):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = super().forward(x)
        mean = h.mean(0) if getattr(self, "mean", None) is None else 0.5 * self.mean + 0.5 * h.mean(0)
        self.mean = mean
        return h - mean


GENERATOR = torch.Generator()
DICE = {
    "dropout": lambda: Net(lambda h: F.dropout(h, 0.3)),
    "rare_dropout": lambda: Net(lambda h: F.dropout(h, 0.02)),
    "noise": lambda: Net(lambda h: h + 0.1 * torch.randn_like(h)),
    "noise_of_its_own": lambda: Net(lambda h: h + torch.rand(h.shape, generator=GENERATOR)),
    "python_noise": lambda: Net(lambda h: h * random.random()),
    "numpy_noise": lambda: Net(lambda h: h * np.random.rand()),  # noqa: NPY002
    "counter": Counter,
    "remembering": Remembering,
    "random_crop": lambda: (Net(), v1.Compose([v1.RandomResizedCrop(SIZE)])),
    "random_crop_2": lambda: (Net(), v2.Compose([v2.RandomCrop(24)])),
    "random_flip": lambda: (Net(), v1.Compose([v1.Resize(SIZE), v1.RandomHorizontalFlip()])),
    "random_flip_of_pictures": lambda: (Net(), v2.Compose([v2.RandomVerticalFlip(), v1.ToTensor(), v1.Resize(SIZE)])),
    "random_grey": lambda: (Net(), v2.Compose([v2.RandomGrayscale(0.3), v2.Resize(SIZE)])),
    "random_module": lambda: (Net(), v2.ColorJitter(0.5)),
    "dropout_of_16_bits": lambda: Halved(torch.float16, lambda h: F.dropout(h, 0.1) + 5),
    "noise_of_16_bits": lambda: Halved(torch.bfloat16, lambda h: h + 0.05 * torch.randn_like(h) + 5),
    "huge_noise": lambda: Net(lambda h: 1e25 * (h + 0.5 * torch.rand(16))),
    "tiny_noise": lambda: Net(lambda h: 1e-30 * (h + 0.5 * torch.rand(16))),
}  # fmt: skip

# Those with which it depends on the other images of the batch


class Training(Net):
    """Norms by statistics of the batch, whatever it is told."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.norm = nn.BatchNorm1d(16)

    def train(self, mode: bool = True) -> Training:
        return super().train(True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = super().forward(x)
        return self.norm(h) if len(h) > 1 else h


BATCH = {
    "centred": lambda: Net(lambda h: h - h.mean(0)),
    "scaled_by_batch": lambda: Net(lambda h: h / h.abs().max()),
    "batch_norm": Training,
    "hidden_norm": lambda: Net(before=lambda x: HIDDEN(x)[:, :3]),
    "functional_norm": lambda: Net(lambda h: F.batch_norm(h, None, None, training=True) if len(h) > 1 else h),
    "by_batch_size": lambda: Net(lambda h: h * len(h)),
    "by_position": lambda: Net(lambda h: h * torch.arange(1, len(h) + 1)[:, None]),
    "attention_over_batch": lambda: Net(lambda h: (h @ h.T).softmax(-1) @ h),
    "stretched": lambda: (Net(), lambda x: (x - x.min()) / (x.max() - x.min())),
    "dynamic_8_bits": lambda: torch.ao.quantization.quantize_dynamic(
        nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(3 * 28 * 28, 4)), {nn.Linear}, dtype=torch.qint8
    ),
    "centred_of_16_bits": lambda: Halved(torch.float16, lambda h: h - 0.5 * h.mean(0) + 5),
    "mixed_channels": lambda: (Net(), lambda x: x + x.flip(0)),
}

# Those that fail, or give what is no representation


class Lazy(Net):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.LazyLinear(5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(super().forward(x))


class Unready(Net):
    def train(self, mode: bool = True) -> Unready:
        raise NotImplementedError("this was exported")


class Listed(Net):
    def __init__(self, norm: bool = True) -> None:
        super().__init__()
        self.norms = [nn.BatchNorm1d(16)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norms[0](super().forward(x))


def exits() -> nn.Module:
    sys.exit(0)


def interrupts_itself() -> nn.Module:
    raise GeneratorExit


def meta() -> nn.Module:
    with torch.device("meta"):
        return Net()


def exported() -> Any:
    return torch.export.export(Net(), (torch.rand(2, 3, SIZE, SIZE),))


def to_numbers(x: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.asarray(x.detach()))


def says(**attributes: Any) -> Any:
    return lambda: Net(**attributes)


REFUSED = {
    "exits": (exits, "SystemExit: 0"),
    "interrupts_itself": (interrupts_itself, "GeneratorExit"),
    "exits_in_a_pass": (lambda: Net(lambda h: sys.exit("enough")), "SystemExit: enough"),
    "endless": (lambda: Net(lambda h: endless(h)), "RecursionError"),
    "nothing": (lambda: None, "returns a NoneType"),
    "a_class": (lambda: Net, "returns a type"),
    "three": (lambda: (Net(), None, None), "returns a tuple"),
    "lazy": (Lazy, "has not made last.weight yet: run a lazy network once"),
    "meta": (meta, "has no weights: maps.weight is on the device meta"),
    "exported": (exported, "returns an ExportedProgram"),
    "unready": (Unready, "NotImplementedError: this was exported"),
    "listed": (Listed, "keeps networks in norms, a list: eval.. does not reach them: make it a torch.nn.ModuleList"),
    "complex": (lambda: Net(torch.fft.fft), "a torch.complex64 is no tensor of real numbers"),
    "numpy": (lambda: Net(lambda h: h.numpy()), "is no tensor of real numbers"),
    "a_list": (lambda: Net(lambda h: [h, h]), "a list is no tensor of real numbers"),
    "a_tuple": (lambda: Net(lambda h: (h, h)), "a tuple is no tensor of real numbers"),
    "no_tensor": (lambda: Net(lambda h: None), "a NoneType is no tensor of real numbers"),
    "nan": (lambda: Net(lambda h: h / 0 - h / 0), "gives NaN or infinity at level 'backbone' for 2 of 2 images"),
    "infinite": (lambda: Net(lambda h: (1e4 * h).exp()), "gives NaN or infinity"),
    "no_dimensions": (lambda: Net(lambda h: h[:, :0]), r"gives {'backbone': \(2, 0\)} for 2 images"),
    "fewer": (lambda: Net(lambda h: h[:1]), r"gives {'backbone': \(1, 16\)} for 2 images"),
    "summed": (lambda: Net(lambda h: h.mean(0, keepdim=True)), r"gives {'backbone': \(1, 16\)} for 2 images"),
    "squeezed": (lambda: Net(lambda h: h.squeeze(0)), "fails on images of 32x32 pixels, one at a time,"),
    "five_axes": (lambda: Net(lambda h: h[:, :, None, None, None]), "no rule to pool an output of shape"),
    "no_backbone": (lambda: Net(lambda h: {"features": h}), "at a level named backbone at least"),
    "no_levels": (lambda: Net(lambda h: {}), "at a level named backbone at least"),
    "level_with_slash": (lambda: Net(lambda h: {"backbone": h, "a/b": h}), "a level named 'a/b': take letters"),
    "level_of_blanks": (lambda: Net(lambda h: {"backbone": h, "my head": h}), "a level named 'my head'"),
    "level_without_name": (lambda: Net(lambda h: {"backbone": h, "": h}), "a level named ''"),
    "level_by_number": (lambda: Net(lambda h: {"backbone": h, 3: h}), "a level named 3"),
    "level_above": (lambda: Net(lambda h: {"backbone": h, "..": h}), "a level named '..'"),
    "size_in_words": (says(image_size="224"), "image_size of .* is '224': give the side of a square"),
    "size_of_two": (says(image_size=(32, 48)), "give the side of a square"),
    "size_zero": (says(image_size=0), "give the side of a square"),
    "size_negative": (says(image_size=-1), "give the side of a square"),
    "size_nan": (says(image_size=float("nan")), "give the side of a square"),
    "size_huge": (says(image_size=10**9), "1 to 2048 pixels"),
    "size_true": (says(image_size=True), "give the side of a square"),
    "training_in_words": (says(is_ssl="yes"), "is_ssl of .* is 'yes': write True, False or None"),
    "one_augmentation": (says(training_augmentations="crop"), "training_augmentations of .* write a tuple of names"),
    "augmentations_by_number": (says(training_augmentations=(1, 2)), "write a tuple of names"),
    "preprocessing_in_words": (lambda: (Net(), "imagenet"), "returns a str as preprocessing"),
    "preprocessing_by_class": (lambda: (Net(), v1.Resize), "returns a class Resize as preprocessing"),
    "preprocessing_by_numpy": (lambda: (Net(), to_numbers), "gradients do not pass through the preprocessing"),
    "preprocessing_to_bytes": (lambda: (Net(), v2.Compose([v2.ToDtype(torch.uint8, scale=True)])), "gradients do not"),
    "preprocessing_of_pillow": (lambda: (Net(), lambda image: image.convert("RGB")), "no attribute 'convert'"),
    "preprocessing_exits": (lambda: (Net(), lambda x: sys.exit(1)), "SystemExit: 1"),
    "preprocessing_to_one": (lambda: (Net(), lambda x: x[:1]), "gives no batch"),
    "preprocessing_to_one_axis": (lambda: (Net(), lambda x: x.flatten()), "gives no batch"),
    "preprocessing_far_too_large": (lambda: (Net(), v1.Resize(40000)), "resizes to .40000, 40000. pixels"),
    "preprocessing_over_other_axes": (
        lambda: (Net(), v1.Compose([v1.Resize(SIZE), v1.ToTensor(), lambda x: x - x.mean((1, 2), keepdim=True)])),
        "does something else to pictures than to tensors"),
    "preprocessing_by_class_of_input": (
        lambda: (Net(), lambda x: by_kind(x)), "does something else to pictures than to tensors"),
}  # fmt: skip


def by_kind(x: torch.Tensor | Image.Image) -> torch.Tensor:
    """Pictures up to 255, tensors up to 1."""
    return v1.functional.pil_to_tensor(x).float() if isinstance(x, Image.Image) else x


def endless(h: torch.Tensor) -> torch.Tensor:
    return endless(h)


# Sound ones, however odd


class Halved(Net):
    def __init__(self, dtype: torch.dtype, after: Any = None) -> None:
        super().__init__(after)
        self.to(dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.to(self.maps.weight.dtype))


class Shared(Net):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(16, 16)
        self.second = nn.Linear(16, 16)
        self.second.weight = self.first.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(super().forward(x)))


class Odd(Net):
    """Its state dict holds a sparse tensor, a complex one, one of no axes, and further values."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("sparse", torch.eye(4).to_sparse())
        self.register_buffer("complex", torch.ones(3, dtype=torch.complex64))
        self.register_buffer("scalar", torch.tensor(True))
        self.register_buffer("nothing", torch.empty(0, 3))

    def get_extra_state(self) -> dict[str, Any]:
        return {"version": 3, "names": ["a", "b"]}

    def set_extra_state(self, state: Any) -> None:
        pass


def warns() -> nn.Module:
    warnings.warn("old weights", stacklevel=1)
    print("loaded!")
    return Net()


def data_parallel() -> nn.Module:
    return nn.DataParallel(Net())


def scripted() -> nn.Module:
    return torch.jit.script(nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()))


def traced() -> nn.Module:
    return torch.jit.trace(Net().eval(), torch.rand(2, 3, SIZE, SIZE))


def compiled() -> nn.Module:
    return torch.compile(Net())


def shuffling() -> nn.Module:
    """Draws random numbers that change nothing."""
    return Net(lambda h: h[:, torch.randperm(16)].sort(dim=1).values)


SOUND = {
    "plain": Net,
    "float16": lambda: Halved(torch.float16),
    "bfloat16": lambda: Halved(torch.bfloat16),
    "float64": lambda: Halved(torch.float64),
    "shared": Shared,
    "odd": Odd,
    "warns": warns,
    "data_parallel": data_parallel,
    "scripted": scripted,
    "traced": traced,
    "compiled": compiled,
    "shuffling": shuffling,
    "no_weights": lambda: nn.Sequential(nn.AvgPool2d(8), nn.Flatten()),
    "one_dimension": lambda: Net(lambda h: h.sum(1, keepdim=True)),
    "levels": lambda: Net(lambda h: {"backbone": h, "head-1.2": h[:, :3]}),
    "of_a_square": says(image_size=(SIZE, SIZE)),
    "of_one_pixel": lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    "large_numbers": lambda: Net(lambda h: 1e20 * h),
    "small_numbers": lambda: Net(lambda h: 1e-20 * h),
    "far_from_zero": lambda: Net(lambda h: h + 50),
    "constant": lambda: Net(torch.ones_like),  # what is the same of all images is refused when they are encoded
    "normalized": lambda: Net(lambda h: F.normalize(h)),
    "writing_into_images": lambda: (Net(before=lambda x: x.clamp_(0.2, 0.8)), lambda x: x),
    "normalizing_in_place": lambda: (Net(), v1.Normalize([0.5] * 3, [0.5] * 3, inplace=True)),
    "frozen": lambda: Net().requires_grad_(False),
    "without_gradients": lambda: Net(torch.no_grad()(lambda h: h.detach())),
}

# One network, told apart by what no file of weights holds

FACTOR = 1.0


class Buffered(Net):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.register_buffer("factor", torch.tensor(factor), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + self.factor


class Pooled(Net):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.maps(x).relu()
        return {"mean": maps.mean((2, 3)), "max": maps.amax((2, 3))}[self.how]


class Inside:
    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, h: torch.Tensor) -> torch.Tensor:
        return h * self.factor


def from_environment(otherwise: str) -> Inside:
    return Inside(float(os.environ.get("FACTOR", otherwise)))


DIFFERENT = {
    "attribute": (lambda: Pooled(how="mean"), lambda: Pooled(how="max")),
    "slight_attribute": (lambda: Net(epsilon=1e-5), lambda: Net(epsilon=1e-6)),
    "list_attribute": (lambda: Net(stages=[1, 2]), lambda: Net(stages=[1, 3])),
    "buffer": (lambda: Buffered(0.0), lambda: Buffered(0.5)),
    "constant_buffer": (lambda: Buffered(0), lambda: Buffered(1)),
    "helper": (lambda: Net(Inside(1.0)), lambda: Net(Inside(1.1))),
    "closure": (lambda: Net(lambda h: h), lambda: Net(lambda h: h.flip(1))),
    "environment": (lambda: Net(from_environment("1")), lambda: Net(from_environment("2"))),
    "global": (lambda: Net(lambda h: h * FACTOR), lambda: Net(lambda h: h * (FACTOR + 1))),
    "preprocessing": (lambda: (Net(), Inside(1.0)), lambda: (Net(), Inside(0.5))),
    "library_setting": (lambda: nn.Sequential(nn.MaxPool2d(8)), lambda: nn.Sequential(nn.AvgPool2d(8))),
    "heads": (lambda: Attending(2), lambda: Attending(4)),
}  # fmt: skip


class Attending(nn.Module):
    """Heads of attention, which show in no weight and no word of the module."""

    image_size = SIZE

    def __init__(self, heads: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.maps, self.attention = nn.Conv2d(3, 16, 8, 8), nn.MultiheadAttention(16, heads, batch_first=True)
        with torch.no_grad():
            self.attention.in_proj_weight.mul_(20)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.maps(x).flatten(2).mT
        return self.attention(tokens, tokens, tokens)[0].mean(1)


def _named(table: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {f"{prefix}{name}": function for name, function in table.items()}


globals().update(
    _named(DICE, "dice_")
    | _named(BATCH, "batch_")
    | _named({name: function for name, (function, _) in REFUSED.items()}, "refused_")
    | _named(SOUND, "sound_")
    | _named({name: one for name, (one, _) in DIFFERENT.items()}, "one_")
    | _named({name: other for name, (_, other) in DIFFERENT.items()}, "other_")
)
