"""Published layouts: files as they were published, with random weights, against networks put together here by hand."""

from __future__ import annotations

import hashlib
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from rcdm_core.encoders import PUBLISHED, load_encoder
from rcdm_core.encoders.catalogue import PUBLISHED_FILES
from rcdm_core.errors import UserError

Tensors = dict[str, torch.Tensor]
IMAGES = torch.rand(2, 3, 240, 300, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def trunk() -> torch.nn.Module:
    """timm's ResNet-50, which has the names of torchvision's and other code; statistics as if it had been trained."""
    torch.manual_seed(0)
    network = timm.create_model("resnet50.tv_in1k", num_classes=1000)
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.1)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    return network.eval().requires_grad_(False)


def linear(inputs: int, outputs: int, bias: bool = True) -> Tensors:
    """Random weights; overlapping rows of one line of numbers, so that 8192 x 8192 of them need no large file."""
    line = torch.randn(inputs + outputs) / inputs**0.5
    weight = line.as_strided((outputs, inputs), (1, 1))
    return {"weight": weight} | ({"bias": torch.randn(outputs)} if bias else {})


def norm(size: int) -> Tensors:
    return {
        "weight": torch.rand(size) + 0.5,
        "bias": torch.randn(size),
        "running_mean": torch.randn(size),
        "running_var": torch.rand(size) + 0.5,
        "num_batches_tracked": torch.tensor(7),
    }


def named(prefix: str, tensors: Tensors) -> Tensors:
    return {f"{prefix}.{key}": tensor for key, tensor in tensors.items()}


def normalised(h: torch.Tensor, layer: Tensors) -> torch.Tensor:
    scale = layer["weight"] / (layer["running_var"] + 1e-5).sqrt()
    return (h - layer["running_mean"]) * scale + layer["bias"]


def backbone(trunk: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """The trunk's features of images preprocessed by hand: the centre at a short side of 224, in [-1, 1]."""
    resized = F.interpolate(images, size=(224, 280), mode="bicubic", antialias=True)[..., 28:252].clamp(0, 1)
    return trunk.forward_features(resized * 2 - 1).mean((2, 3))


def without_classifier(trunk: torch.nn.Module) -> Tensors:
    return {key: tensor for key, tensor in trunk.state_dict().items() if not key.startswith("fc.")}


def check(name: str, path: Path, expected: dict[str, torch.Tensor]) -> None:
    encoder = load_encoder(name, weights=path)
    levels = encoder(IMAGES)
    assert encoder.image_size == 224
    assert {level: h.shape[1] for level, h in levels.items()} == PUBLISHED[name].dimensions == encoder.dimensions
    for level, h in expected.items():
        torch.testing.assert_close(levels[level], h, rtol=1e-4, atol=1e-4)
    assert not any(parameter.requires_grad or parameter.is_meta for parameter in encoder.parameters())


def test_torchvisions_layout(
    tmp_path: Path, trunk: torch.nn.Module, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "torchvisions-own.pth"
    torch.save(trunk.state_dict(), path)
    check("imagenet/supervised", path, {"backbone": backbone(trunk, IMAGES)})
    assert not capsys.readouterr().err
    mine = load_encoder("imagenet/supervised", weights=path)
    assert (mine.is_ssl, mine.training_augmentations) == (None, ())
    assert not {"method", "licence"} & {*mine.card}
    digits = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    file = replace(PUBLISHED_FILES["supervised"], sha256=digits)
    monkeypatch.setattr("rcdm_core.encoders.published.PUBLISHED_FILES", {"supervised": file})
    published = load_encoder("imagenet/supervised", weights=path)
    assert (published.is_ssl, published.card["method"]) == (False, "cross-entropy on labels")
    assert "torchvisions-own.pth are published under BSD" in capsys.readouterr().err
    load_encoder("imagenet/supervised", weights=path)
    assert not capsys.readouterr().err  # at the first use only


def vissl(trunk: torch.nn.Module, heads: Tensors) -> dict[str, Any]:
    model = {"trunk": named("_feature_blocks", without_classifier(trunk)), "heads": heads}
    return {
        "phase_idx": 999,
        "iteration_num": np.int64(312_000),
        "loss": np.float64(1.5),
        "classy_state_dict": {
            "base_model": {"model": model, "meta": {"config": {}}},
            "optimizer": {"lr": np.float32(1)},
        },
    }


def test_vissls_layout_of_simclr(tmp_path: Path, trunk: torch.nn.Module) -> None:
    first, second = linear(2048, 2048), linear(2048, 128)
    torch.save(vissl(trunk, named("0.clf.0", first) | named("1.clf.0", second)), tmp_path / "phase999.torch")
    h = backbone(trunk, IMAGES)
    z = F.linear(F.linear(h, **first).relu(), **second)
    check("imagenet/simclr", tmp_path / "phase999.torch", {"backbone": h, "projector": z})
    given = load_encoder("imagenet/simclr", weights=tmp_path / "phase999.torch")
    assert given.is_ssl  # no hash of it was published
    assert all(given.card[key].endswith(", if the file is the published one") for key in ("method", "licence"))


def test_vissls_layout_of_barlow_twins(tmp_path: Path, trunk: torch.nn.Module) -> None:
    layers = [linear(2048, 8192, bias=False), norm(8192), linear(8192, 8192, bias=False), norm(8192)]
    last = linear(8192, 8192, bias=False)
    names = ("0.clf.0", "0.clf.1", "1.clf.0", "1.clf.1", "2.clf.0")
    heads = {
        key: t for name, layer in zip(names, [*layers, last], strict=True) for key, t in named(name, layer).items()
    }
    torch.save(vissl(trunk, heads), tmp_path / "barlow.torch")
    h = z = backbone(trunk, IMAGES)
    for weights, statistics in (layers[:2], layers[2:]):
        z = normalised(F.linear(z, **weights), statistics).relu()
    check("imagenet/barlow", tmp_path / "barlow.torch", {"backbone": h, "projector": F.linear(z, **last)})


def test_vicregs_layout(tmp_path: Path, trunk: torch.nn.Module) -> None:
    layers = [linear(2048, 8192), norm(8192), linear(8192, 8192), norm(8192)]
    last = linear(8192, 8192, bias=False)
    model = named("module.backbone", without_classifier(trunk))
    for place, layer in zip((0, 1, 3, 4, 6), [*layers, last], strict=True):
        model |= named(f"module.projector.{place}", layer)
    torch.save({"epoch": 1000, "model": model, "optimizer": {"state": {}}}, tmp_path / "fullckpt.pth")
    h = z = backbone(trunk, IMAGES)
    for weights, statistics in (layers[:2], layers[2:]):
        z = normalised(F.linear(z, **weights), statistics).relu()
    check("imagenet/vicreg", tmp_path / "fullckpt.pth", {"backbone": h, "projector": F.linear(z, **last)})


@pytest.mark.parametrize("wrapper", ["", "module."])
def test_dinos_layout(tmp_path: Path, trunk: torch.nn.Module, wrapper: str) -> None:
    first, statistics, second = linear(2048, 4096), norm(4096), linear(4096, 256)
    teacher = named("backbone", without_classifier(trunk))
    for place, layer in ((0, first), (1, statistics), (3, second)):
        teacher |= named(f"head.mlp.{place}", layer)
    teacher |= {"head.last_layer.weight_g": torch.ones(50, 1), "head.last_layer.weight_v": torch.randn(50, 256)}
    teacher = {f"{wrapper}{key}": tensor for key, tensor in teacher.items()}
    file = {"student": {}, "teacher": teacher, "epoch": 800, "args": Namespace(arch="resnet50", lr=0.3)}
    torch.save(file, tmp_path / "full.pth")
    h = backbone(trunk, IMAGES)
    z = F.linear(F.gelu(normalised(F.linear(h, **first), statistics)), **second)
    check("imagenet/dino", tmp_path / "full.pth", {"backbone": h, "projector": z})


def test_an_encoders_own_names_in_safetensors(tmp_path: Path) -> None:
    encoder = load_encoder("imagenet/simclr", weights="random:3")
    save_file(encoder.state_dict(), tmp_path / "simclr.safetensors")
    again = load_encoder("imagenet/simclr", weights=tmp_path / "simclr.safetensors")
    assert again.fingerprint == encoder.fingerprint
    assert again.is_ssl is None  # a file like any other
    assert encoder.is_ssl is False  # untrained
    assert not {"method", "licence"} & {*encoder.card, *again.card}
    assert load_encoder("imagenet/simclr", weights="random:4").fingerprint != encoder.fingerprint


@pytest.fixture
def state(trunk: torch.nn.Module) -> Tensors:
    return dict(trunk.state_dict())


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda s: s.pop("layer1.0.bn1.bias"), r"1 missing \(first: trunk.layer1.0.bn1.bias\)"),
        (lambda s: s.update({"extra.weight": torch.ones(1)}), r"1 unexpected \(first: trunk.extra.weight\)"),
        (
            lambda s: s.update({"conv1.weight": torch.ones(64, 3, 3, 3)}),
            r"1 of another shape .*\(64, 3, 3, 3\) instead",
        ),
    ],
)
def test_every_tensor_has_to_fit(tmp_path: Path, state: Tensors, change: Any, message: str) -> None:
    change(state)
    torch.save(state, tmp_path / "changed.pth")
    with pytest.raises(UserError, match=f"{message}.*: expected torchvision's state dict of a ResNet-50"):
        load_encoder("imagenet/supervised", weights=tmp_path / "changed.pth")


@pytest.mark.parametrize(
    "name, layout",
    [
        ("imagenet/simclr", "a VISSL checkpoint"),
        ("imagenet/vicreg", "VICReg's full checkpoint"),
        ("imagenet/dino", "DINO's full checkpoint"),
    ],
)
def test_a_file_of_another_layout_is_told_what_is_expected(
    tmp_path: Path, state: Tensors, name: str, layout: str
) -> None:
    torch.save(state, tmp_path / "torchvision.pth")
    with pytest.raises(UserError, match=f"the file begins with conv1.weight.*: expected {layout}"):
        load_encoder(name, weights=tmp_path / "torchvision.pth")


def test_gradients_reach_the_images() -> None:
    images = IMAGES[:1].clone().requires_grad_()
    load_encoder("imagenet/supervised", weights="random")(images)["backbone"].sum().backward()
    assert images.grad.abs().sum() > 0
