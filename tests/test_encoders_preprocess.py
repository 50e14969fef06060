"""Preprocessing: what Pillow and timm make of a picture, on tensors, with gradients."""

from __future__ import annotations

import copy
import pickle
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import transforms as timms
from timm.data.config import resolve_model_data_config
from timm.data.transforms_factory import create_transform
from torch import nn
from torchvision import models
from torchvision.transforms import (
    CenterCrop,
    Compose,
    ConvertImageDtype,
    InterpolationMode,
    Lambda,
    Normalize,
    Pad,
    PILToTensor,
    Resize,
    ToTensor,
    v2,
)
from torchvision.transforms.functional import pil_to_tensor, resize, to_tensor

from rcdm_core.encoders import load_encoder
from rcdm_core.encoders.preprocess import HalvingCrop, Steps, decoded_size
from rcdm_core.images import Side, read_picture, recipe, square

ROUNDING = 3 / 255  # Pillow rounds to 8 bits after each of its steps, and each direction of them


def picture(height: int, width: int, seed: int = 0) -> Image.Image:
    """A smooth picture with an edge, textured by noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / max(height, width)
    smooth = np.stack([x, y, (x + y) / 2], -1) * 200
    smooth[: height // 2, : width // 2] += 40
    return Image.fromarray((smooth + rng.integers(0, 16, smooth.shape)).clip(0, 255).astype(np.uint8))


def tensor(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None] / 255


def published(image: Image.Image, size: int) -> Image.Image:
    """The published crop, in Pillow's words."""
    while min(image.size) >= 2 * size:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    scale = size / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return image.crop((left, top, left + size, top + size))


@pytest.mark.parametrize(
    "height, width",
    [(32, 32), (20, 27), (50, 41), (64, 64), (64, 97), (65, 67), (69, 131), (133, 140), (135, 270), (300, 129)],
)
def test_the_published_crop_is_pillows_without_its_rounding(height: int, width: int) -> None:
    image = picture(height, width)
    ours = HalvingCrop(32)(tensor(image))
    assert ours.shape == (1, 3, 32, 32)
    for channel, mine in zip(image.split(), ours[0], strict=True):
        pillows = np.asarray(published(channel.convert("F"), 32)) / 255  # 32-bit floats
        np.testing.assert_allclose(mine, pillows.clip(0, 1), atol=1e-5)


@pytest.mark.parametrize("height, width", [(500, 375), (1001, 899)])
def test_the_crop_of_a_picture_is_pillows(height: int, width: int) -> None:
    image = picture(height, width)
    difference = (HalvingCrop(224)(tensor(image)) - tensor(published(image, 224))).abs()
    assert difference.max() <= ROUNDING


@pytest.mark.parametrize("size", [16, 45, 70, 100])
def test_gradients_pass_through_the_crop(size: int) -> None:
    images = (tensor(picture(size, size)) * 0.5 + 0.2).requires_grad_()
    HalvingCrop(20)(images).sum().backward()
    assert images.grad.abs().sum() > 0


def test_timms_transforms_on_tensors_are_timms_on_pictures() -> None:
    config = resolve_model_data_config(timm.create_model("test_vit", num_classes=0))
    transform = create_transform(**config, is_training=False)
    image = picture(190, 230)
    ours, timms = Steps(transform)(tensor(image)), transform(image)[None]
    assert ours.shape == (1, 3, 160, 160)
    assert (ours - timms).abs().max() <= ROUNDING / config["std"][0]


def test_steps_show_their_settings_and_never_an_address() -> None:
    def grey(images: torch.Tensor) -> torch.Tensor:
        return images.mean(1, keepdim=True).expand_as(images)

    class Halve:
        def __init__(self, factor: float) -> None:
            self.factor = factor

        def __call__(self, images: torch.Tensor) -> torch.Tensor:
            return images * self.factor

    def steps(factor: float, side: int, mean: float) -> str:
        return repr(Steps(Compose([ToTensor(), Resize(side), grey, Halve(factor), Normalize([mean] * 3, [0.5] * 3)])))

    assert steps(0.5, 8, 0.4) == steps(0.5, 8, 0.4)
    assert len({steps(*settings) for settings in ((0.5, 8, 0.4), (0.6, 8, 0.4), (0.5, 9, 0.4), (0.5, 8, 0.3))}) == 4
    assert "0x" not in steps(0.5, 8, 0.4)


def test_what_resizing_overshoots_is_clamped() -> None:
    edge = torch.zeros(1, 3, 64, 64)
    edge[..., 32:] = 1
    out = load_encoder("timm/test_vit", weights="random").preprocess(edge)
    assert out.min() == -1
    assert out.max() == 1


def test_partials_and_transforms_within_transforms_show_their_settings() -> None:
    def steps(size: int, factor: float) -> str:
        scaled = partial(partial(torch.mul, other=factor))
        return repr(Steps(v2.Compose([v2.Compose([ToTensor(), partial(resize, size=size)]), lambda x: x * 2, scaled])))

    assert steps(8, 0.5) == steps(8, 0.5)
    assert len({steps(8, 0.5), steps(9, 0.5), steps(8, 0.6)}) == 3
    assert "0x" not in steps(8, 0.5)
    assert "lambda x: x * 2" in steps(8, 0.5)
    assert Steps(v2.Compose([v2.Compose([ToTensor()])])).steps == []


def test_modules_among_the_steps_go_where_the_encoder_goes_and_belong_to_it() -> None:
    class Shift(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("by", torch.ones(3, 1, 1))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            assert not self.training
            return images + self.by

    steps = Steps(Compose([Resize(8), Shift()])).eval().to(torch.float64)
    assert steps(torch.rand(1, 3, 9, 9, dtype=torch.float64)).dtype == torch.float64
    assert [tensor.dtype for tensor in steps.state_dict().values()] == [torch.float64]


def configurations() -> list[dict[str, Any]]:
    """The transforms of timm's pretrained networks, each once, but for those of large images."""
    asked = ("input_size", "crop_pct", "crop_mode", "interpolation", "mean", "std")
    known = {tuple(getattr(timm.get_pretrained_cfg(name), key) for key in asked) for name in timm.list_pretrained()}
    return [dict(zip(asked, values, strict=True)) for values in sorted(known) if max(values[0]) <= 240]


def test_timms_own_transforms_of_images_that_need_no_resizing_are_reproduced_for_all_its_networks() -> None:
    found, rng = configurations(), np.random.default_rng(0)
    assert len(found) > 50
    for config in found:
        transform = create_transform(**config, is_training=False)
        ours = Steps(transform)
        size = decoded_size(ours)
        assert size == int(max(config["input_size"]) / config["crop_pct"]), config
        image = Image.fromarray(rng.integers(0, 256, (size, size, 3), dtype=np.uint8))
        torch.testing.assert_close(ours(tensor(image))[0], transform(image), rtol=0, atol=1e-5, msg=str(config))


def halves(x: torch.Tensor) -> torch.Tensor:
    return x.float() / 255


FLOAT = v2.ToDtype(torch.float32, scale=True)
UNSCALED = v2.ToDtype(torch.float32, scale=False)
OF_255 = Normalize([123.7, 116.3, 103.5], [58.4, 57.1, 57.4])
OF_1 = Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
TRANSFORMS: dict[str, list[Any]] = {
    "usual": [Resize(64), CenterCrop(56), ToTensor(), OF_1],
    "usual of v2": [v2.Resize(64), v2.CenterCrop(56), v2.ToImage(), FLOAT, OF_1],
    "converted first": [v2.ToImage(), v2.Resize(64, antialias=True), FLOAT, OF_1],
    "in bytes": [PILToTensor(), Resize(64), ConvertImageDtype(torch.float32), OF_1],
    "timm's in bytes": [timms.MaybePILToTensor(), ConvertImageDtype(torch.float32), OF_1],
    "as functions": [to_tensor, OF_1],
    "as functions, in bytes": [pil_to_tensor, ConvertImageDtype(torch.float32), OF_1],
    "unscaled": [v2.ToImage(), UNSCALED, OF_255],
    "unscaled, of v1": [PILToTensor(), Lambda(lambda x: x.float()), OF_255],
    "timm's unscaled": [timms.ToTensor(), OF_255],
    "scaled by hand": [PILToTensor(), Lambda(lambda x: x / 255), OF_1],
    "scaled by a function": [PILToTensor(), CenterCrop(56), halves, OF_1],
    "blue first": [PILToTensor(), Lambda(lambda x: x.flip(-3).float()), Normalize([104.0, 117.0, 123.0], [1.0] * 3)],
    "scaled up": [ToTensor(), Lambda(lambda x: 255 * x), OF_255],
    "normalized twice": [ToTensor(), Normalize([0.5] * 3, [0.5] * 3), Normalize([0.0] * 3, [0.5] * 3)],
    "negative": [ToTensor(), Lambda(lambda x: 2 * x - 1)],
    "bytes to the end": [PILToTensor()],
    "bytes changed and converted": [PILToTensor(), Lambda(lambda x: x // 2), ConvertImageDtype(torch.float32)],
    "padded": [Pad(4, fill=200), ToTensor(), OF_1],
    "padded in colour": [Pad(4, fill=(10, 20, 250)), CenterCrop(70), ToTensor()],
    "padded in bytes": [v2.ToImage(), v2.Pad(4, fill=99), FLOAT, OF_1],
    "padded behind": [ToTensor(), Pad(4, fill=0.5)],
    "timm's border": [timms.ResizeKeepRatio(64, longest=1.0), timms.CenterCropOrPad(80, fill=[9, 90, 200]), ToTensor()],
    "to half": [ToTensor(), ConvertImageDtype(torch.float16)],
    "within others": [Compose([Resize(64), Compose([CenterCrop(56)])]), Compose([ToTensor(), OF_1])],
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_of_pictures_give_the_same_of_tensors(name: str) -> None:
    transform, image = Compose(TRANSFORMS[name]), picture(64, 64)
    ours, theirs = Steps(transform)(tensor(image))[0].float(), transform(image).float()
    step = theirs.std() / 255 if name == "bytes changed and converted" else 0  # x // 2 rounds what is no integer here
    torch.testing.assert_close(ours, theirs, rtol=0, atol=float(1e-5 * theirs.abs().max() + step))


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_of_pictures_that_are_resized_give_nearly_the_same_of_tensors(name: str) -> None:
    steps = [Resize(48, InterpolationMode.BICUBIC), *TRANSFORMS[name]]
    transform, image = Compose(steps), picture(64, 64)
    ours, theirs = Steps(transform)(tensor(image))[0].float(), transform(image).float()
    assert (ours - theirs).abs().max() <= 2 * ROUNDING * theirs.std() / tensor(image).std()


def test_transforms_of_tensors_are_run_as_given() -> None:
    edge = torch.zeros(1, 3, 64, 64)
    edge[..., 32:] = 1
    transform = Compose([Resize(24, InterpolationMode.BICUBIC), Normalize([0.5] * 3, [0.5] * 3)])
    torch.testing.assert_close(Steps(transform)(edge), transform(edge), rtol=0, atol=0)
    assert Steps(transform)(edge).max() > 1


@pytest.mark.parametrize("name", ["ResNet18_Weights", "ViT_B_16_Weights", "Swin_V2_T_Weights", "Inception_V3_Weights"])
def test_torchvisions_own_transforms_are_reproduced(name: str) -> None:
    transform = getattr(models, name).DEFAULT.transforms()
    size = decoded_size(Steps(transform))
    image = picture(size, size)
    torch.testing.assert_close(Steps(transform)(tensor(image))[0], transform(image), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("steps", "size"),
    [
        ([Resize(256), CenterCrop(224)], 256),
        ([v2.Resize((300, 200))], 300),
        ([Resize(224), Resize(512)], 224),
        ([CenterCrop(200), Resize(64)], 200),
        ([CenterCrop(300), Resize(64)], 300),
        ([timms.TrimBorder(8), Resize(64)], 80),
        ([CenterCrop(48)], 48),
        ([lambda x: 2 * x], None),
        ([lambda x: nn.functional.interpolate(x, scale_factor=0.5)], None),
        ([HalvingCrop(224)], 224),
    ],
)
def test_images_are_wanted_as_large_as_the_first_resizing_makes_them(steps: list[Any], size: int | None) -> None:
    assert decoded_size(Steps(Compose(steps))) == size


SIZES = [(480, 480), (375, 500), (500, 333), (281, 500), (150, 200), (256, 256), (1100, 1100), (1201, 1600)]


def fine(height: int, width: int, seed: int) -> Image.Image:
    """Waves of a few pixels and noise: what every filter, every crop and every decoder makes something else of."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [127 + 100 * np.sin((x * np.cos(a) + y * np.sin(a)) / (1.6 + 0.4 * seed)) for a in rng.uniform(0, 3, 3)]
    noisy = 0.6 * np.stack(waves, -1) + 0.4 * rng.integers(0, 255, (height, width, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


@cache
def own_ways() -> dict[str, tuple[Compose, Steps, int | None]]:
    """Transforms as people have them, which first resize the short side and then crop the centre."""
    known = {f"torchvision's {name}": getattr(models, name).DEFAULT.transforms() for name in WEIGHTS}
    for config in configurations()[::4]:
        known[f"timm's {config}"] = create_transform(**config, is_training=False)
    for mode, share in product(("center", "squash", "border"), (0.875, 0.95, 1.0)):
        how: dict[str, Any] = {"crop_mode": mode, "crop_pct": share, "interpolation": "bicubic"}
        known[f"timm's {how}"] = create_transform(224, **how, is_training=False)
    for side in (97, 224, 256):
        known[f"no resizing, {side}"] = Compose([CenterCrop(side), ToTensor(), OF_1])
    known["cropped, resized"] = Compose([v2.CenterCrop(300), Resize(224), ToTensor(), OF_1])
    known["cropped, enlarged"] = Compose([CenterCrop(160), Resize(224), ToTensor(), OF_1])
    known["cropped and filled"] = Compose([timms.CenterCropOrPad(300, fill=0), ToTensor(), OF_1])
    for filter_, side in (
        *((InterpolationMode.NEAREST, 256), (InterpolationMode.BILINEAR, 249)),
        *((InterpolationMode.BILINEAR, (224, 224)), (InterpolationMode.BICUBIC, (240, 240))),
    ):
        known[f"{filter_.value}, {side}"] = Compose([Resize(side, filter_), CenterCrop(224), ToTensor(), OF_1])
    return {name: (transform, steps := Steps(transform), decoded_size(steps)) for name, transform in known.items()}


WEIGHTS = ("ResNet18_Weights", "ViT_B_16_Weights", "Swin_V2_T_Weights", "EfficientNet_B0_Weights")


@pytest.mark.parametrize("height, width", SIZES)
def test_files_give_what_the_encoders_own_transform_gives_of_them_whole(
    height: int, width: int, tmp_path: Path
) -> None:
    """Of squares to the bit; of others to two of 255 steps: Pillow rounds weights of pixels, and between two passes."""
    fine(height, width, 1).save(path := tmp_path / "a.jpg", quality=92)
    (whole := Image.open(path)).load()
    for name, (transform, ours, side) in own_ways().items():
        assert isinstance(side, Side)
        found, wanted = ours(read_picture(path, side).pixels[None])[0], transform(whole)
        if height != width and side.by.startswith("nearest"):  # which of two pixels is nearest, rounding decides
            assert (found != wanted).float().mean() < 0.02
            continue
        is_exact = height == width and not name.startswith("cropped, ")  # tensors are resized to more than 8 bits
        step = 0 if is_exact else 2.01 / 255 / 0.22
        torch.testing.assert_close(found, wanted, rtol=0, atol=step + 1e-5, msg=f"{name}: {side} {vars(side)}")


@pytest.mark.parametrize("smooth, by", [(True, "bilinear"), (False, "bilinear, aliased")])
def test_files_give_what_transforms_of_tensors_give_of_them_whole(smooth: bool, by: str, tmp_path: Path) -> None:
    transform = Compose([v2.Resize(256, antialias=smooth), CenterCrop(224), Normalize([0.5] * 3, [0.5] * 3)])
    side = decoded_size(Steps(transform))
    assert isinstance(side, Side)
    assert side.by == by
    for height, width in SIZES:
        fine(height, width, 0).save(path := tmp_path / "a.png")
        found = transform(read_picture(path, side).pixels)
        torch.testing.assert_close(found, transform(to_tensor(Image.open(path))), rtol=0, atol=2 * 2.01 / 255)


@pytest.mark.parametrize("height, width", [*SIZES, (900, 447), (100, 130)])
def test_files_give_the_published_crop_of_them_whole(height: int, width: int, tmp_path: Path) -> None:
    fine(height, width, 1).save(path := tmp_path / "a.png")
    found = read_picture(path, Side(224, "halving")).pixels
    torch.testing.assert_close(found, tensor(published(Image.open(path), 224))[0], rtol=0, atol=1.01 / 255)


def test_sides_know_their_way_when_they_are_copied() -> None:
    side = Side(256, "bilinear", 224)
    for same in (copy.deepcopy(side), pickle.loads(pickle.dumps(side)), max([224, side, 256])):
        assert (same, vars(same)) == (256, {"by": "bilinear", "crop": 224})
    assert recipe(side) != recipe(256) == recipe(Side(256))


def test_pictures_decoded_at_the_wanted_size_give_what_timm_gives_of_them_whole() -> None:
    encoder = load_encoder("timm/test_vit", weights="random")
    transform = create_transform(**resolve_model_data_config(encoder.trunk), is_training=False)
    pictures = [picture(400, 400, seed) for seed in range(3)]
    ours = encoder.preprocess(torch.stack([square(image, encoder.image_size) for image in pictures]))
    torch.testing.assert_close(ours, torch.stack([transform(image) for image in pictures]), rtol=0, atol=1e-5)
