"""Winograd's convolution is a convolution: of any weights, now and after they changed, with and without gradients."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rcdm_core import derived
from rcdm_core.encoders.embedded import WholeImageConvolution
from rcdm_core.rcdm.network import NetworkSettings, build_unet
from rcdm_core.winograd import TILE, WinogradConvolution, transforms

if TYPE_CHECKING:
    from collections.abc import Callable


def exact(convolution: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    bias = None if convolution.bias is None else convolution.bias.double()
    return F.conv2d(x.double(), convolution.weight.double(), bias, convolution.stride, convolution.padding)


def error(found: torch.Tensor, truth: torch.Tensor) -> float:
    return float(((found - truth).norm() / truth.norm()).detach())


def test_a_product_of_polynomials_is_known_from_its_values() -> None:
    inputs, kernel, outputs = map(torch.from_numpy, transforms())
    d, g = torch.randn(6, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    made = outputs @ ((kernel @ g) * (inputs @ d))
    assert torch.allclose(made, torch.stack([d[i : i + 3] @ g for i in range(TILE)]), atol=1e-12)


@pytest.mark.parametrize(
    "count, channels, shape, bias",
    [(1, (64, 64), (4, 4), True), (3, (96, 64), (8, 16), False), (70, (64, 96), (16, 16), True)],
)
def test_it_rounds_hardly_worse_than_a_plain_sum_of_as_many_products(
    count: int, channels: tuple[int, int], shape: tuple[int, int], bias: bool
) -> None:
    quick = WinogradConvolution(*channels, 3, padding=1, bias=bias)
    x = torch.randn(count, channels[0], *shape)
    with torch.inference_mode(), patch.object(nn.Conv2d, "forward", side_effect=AssertionError("it was not quick")):
        made = quick(x)
    assert made.shape == (count, channels[1], *shape)
    assert error(made, exact(quick, x)) < 2e-6


@torch.no_grad()
def test_it_follows_its_weights() -> None:
    quick, x = WinogradConvolution(64, 64, 3, padding=1), torch.randn(2, 64, 4, 4)
    quick(x)
    quick.weight.mul_(2)
    assert error(quick(x), exact(quick, x)) < 2e-6
    quick.load_state_dict(nn.Conv2d(64, 64, 3, padding=1).state_dict())
    assert error(quick(x), exact(quick, x)) < 2e-6
    quick.weight = nn.Parameter(torch.randn(64, 64, 3, 3))
    assert error(quick(x), exact(quick, x)) < 2e-6


@pytest.mark.parametrize("asked", [("x",), ("weight", "bias"), ("x", "weight", "bias")])
@pytest.mark.parametrize("count, channels, shape", [(2, (64, 96), (4, 8)), (70, (96, 64), (16, 16))])
def test_gradients_are_those_of_a_convolution(
    asked: tuple[str, ...], count: int, channels: tuple[int, int], shape: tuple[int, int]
) -> None:
    quick, x = WinogradConvolution(*channels, 3, padding=1), torch.randn(count, channels[0], *shape)
    towards = torch.randn(count, channels[1], *shape)  # a gradient of which every pixel counts
    of = {"x": x, "weight": quick.weight, "bias": quick.bias}
    for name, tensor in of.items():
        tensor.requires_grad_(name in asked)
    given = [of[name] for name in asked]
    wanted = torch.autograd.grad((exact(quick, x) * towards.double()).sum(), given)
    with patch.object(nn.Conv2d, "forward", side_effect=AssertionError("it was not quick")):
        found = torch.autograd.grad(quick(x), given, towards)
    for one, other in zip(found, wanted, strict=True):
        assert one.shape == other.shape
        assert error(one, other) < 3e-6


def moved_by_a_fused_optimiser(layer: nn.Conv2d, x: torch.Tensor) -> None:
    optimizer = torch.optim.AdamW(layer.requires_grad_().parameters(), lr=0.1, fused=True)
    layer(x).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()


def moved_as_averages_are(layer: nn.Conv2d, x: torch.Tensor) -> None:
    layer.weight.data.mul_(2)


def replaced_in_a_copy(layer: nn.Conv2d, x: torch.Tensor) -> None:
    layer.weight = nn.Parameter(copy.deepcopy(layer).weight.detach() + 1)


@pytest.mark.parametrize("kind", [WinogradConvolution, WholeImageConvolution])
@pytest.mark.parametrize("move", [moved_by_a_fused_optimiser, moved_as_averages_are, replaced_in_a_copy])
@pytest.mark.parametrize("frozen", [True, False])
def test_weights_are_followed_that_change_without_a_word(
    kind: type[nn.Conv2d], move: Callable[[nn.Conv2d, torch.Tensor], None], frozen: bool
) -> None:
    layer, x = kind(64, 64, 3, padding=1, bias=False), torch.randn(2, 64, 4, 4)
    for _ in range(3):
        move(layer, x)
        layer.requires_grad_(not frozen)
        with torch.no_grad():
            assert error(layer(x), exact(layer, x)) < 3e-6


def test_a_second_derivative_is_that_of_a_convolution() -> None:
    """Of a penalty on a gradient, of a loss that is linear in what is convolved, and of one that is not."""
    quick, x = WinogradConvolution(64, 64, 3, padding=1), torch.randn(2, 64, 4, 4, requires_grad=True)
    for power in (1, 2):
        both = []
        for made in (quick(x), exact(quick, x)):
            (slope,) = torch.autograd.grad(made.pow(power).sum(), x, create_graph=True)
            both.append(torch.autograd.grad(slope.square().sum(), [quick.weight, x], allow_unused=power == 1))
        for one, other in zip(*both, strict=True):
            assert (other is None or not other.any()) if one is None or not one.any() else error(one, other) < 1e-5
        assert both[0][0].any()


def test_what_a_convolution_can_it_can() -> None:
    quick, x = WinogradConvolution(64, 64, 3, padding=1, bias=False), torch.randn(2, 64, 8, 8)
    wanted = F.conv2d(x, quick.weight, padding=1)
    assert torch.allclose(nn.Sequential(quick, nn.ReLU(inplace=True))(x), wanted.relu(), atol=1e-5)
    assert torch.allclose(torch.func.vmap(quick)(x[:, None])[:, 0], wanted, atol=1e-5)
    assert torch.allclose(quick(x[0]), wanted[0], atol=1e-5)
    (slope,) = torch.autograd.grad(wanted.square().sum(), quick.weight)
    made = quick(x).square().sum()
    with torch.autocast("cpu", torch.bfloat16):
        made.backward()  # in the precision that it went forward in
    assert quick.weight.grad is not None
    assert error(quick.weight.grad, slope) < 1e-5


@pytest.mark.parametrize(
    "given", [{"stride": 2, "padding": 1}, {"padding": 0}, {"padding": 1, "groups": 2}, {"padding": 2, "dilation": 2}]
)
@torch.no_grad()
def test_other_convolutions_and_sizes_are_what_they_were(given: dict[str, int]) -> None:
    other = WinogradConvolution(64, 64, 3, **given)
    plain = nn.Conv2d(64, 64, 3, **given)
    plain.load_state_dict(other.state_dict())
    for x in (torch.randn(2, 64, 8, 8), torch.randn(2, 64, 6, 10)):
        assert torch.equal(other(x), plain(x))
    with torch.autocast("cpu", torch.bfloat16):
        assert other(x).dtype == torch.bfloat16


@torch.no_grad()
def test_large_weights_are_not_kept_a_second_time() -> None:
    """What is kept would take gigabytes of the published network, most of whose weights are in its widest layers."""
    wide = WinogradConvolution(768, 512, 3, padding=1)
    wide(torch.randn(1, 768, 4, 4))
    assert wide not in derived._kept


@torch.no_grad()
def test_a_denoiser_predicts_what_it_would_without() -> None:
    torch.manual_seed(0)
    shape = NetworkSettings(image_size=32, patch=2, channels=(64, 96), attention=(False, False))
    unet = build_unet(shape).eval()
    for weight in unet.parameters():
        weight.add_(0.02 * torch.randn_like(weight))  # zeros, with which layers begin, would hide what is wrong
    x, embedding = torch.randn(2, 12, 16, 16), torch.randn(2, shape.embedding)
    found = unet(x, torch.tensor(500), class_labels=embedding).sample
    with patch.object(WinogradConvolution, "_is_quicker", return_value=False):
        wanted = unet(x, torch.tensor(500), class_labels=embedding).sample
    assert 0 < error(found, wanted) < 1e-5
