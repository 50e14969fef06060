"""Preprocessing: what Pillow and timm make of a picture, on tensors, with gradients."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data.config import resolve_model_data_config
from timm.data.transforms_factory import create_transform
from torch import nn
from torchvision.transforms import Compose, Normalize, Resize, ToTensor, v2
from torchvision.transforms.functional import resize

from rcdm_core.encoders import load_encoder
from rcdm_core.encoders.preprocess import HalvingCrop, Steps

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
