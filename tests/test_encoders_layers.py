"""Layers as levels: the right tensor, pooled by the rule, whatever the network does with it afterwards."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn
from torchvision.models import swin_transformer

from rcdm_core.encoders import Encoder, load_encoder
from rcdm_core.encoders.encoder import PATCHES, pooled, with_layers
from rcdm_core.errors import UserError

IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


class InPlace(nn.Module):
    """A layer whose output the next one overwrites, twice: a map, and features."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu, self.linear, self.flip = nn.Conv2d(3, 4, 3), nn.ReLU(True), nn.Linear(4, 5), nn.ReLU(True)
        self.pair, self.unused = nn.LSTM(5, 5), nn.Linear(2, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.pair(self.flip(self.linear(self.relu(self.conv(images)).mean((2, 3)))))[0]


def in_place() -> Encoder:
    torch.manual_seed(0)
    return Encoder(
        "tiny", preprocess=nn.Identity(), trunk=InPlace(), projector=None, dimensions={"backbone": 5}, is_ssl=False
    )


def test_a_layer_is_what_it_gave_and_not_what_became_of_it() -> None:
    encoder = with_layers(in_place(), ["linear", "conv"])
    assert encoder.levels == ("conv", "linear", "backbone")
    assert encoder.dimensions == {"conv": 4, "linear": 5, "backbone": 5}
    network = encoder.trunk
    conv = network.conv(IMAGES)
    levels = encoder(IMAGES)
    torch.testing.assert_close(levels["conv"], conv.mean((2, 3)))
    torch.testing.assert_close(levels["linear"], network.linear(conv.relu().mean((2, 3))))
    assert levels["linear"].min() < 0


def test_layers_leave_the_other_levels_as_they_were() -> None:
    plain, deep = load_encoder("vicreg"), load_encoder("vicreg", levels=["layer2", "projector", "layer1.0.conv1"])
    assert deep.levels == ("layer1.0.conv1", "layer2", "backbone", "projector")
    before, after = plain(IMAGES), deep(IMAGES)
    for level in plain.levels:
        torch.testing.assert_close(before[level], after[level], rtol=0, atol=0)
    assert {level: h.shape[1] for level, h in after.items()} == deep.dimensions
    assert not any(module._forward_hooks for module in deep.modules())


def test_convolutional_layers_are_averaged_over_positions() -> None:
    encoder = load_encoder("timm/test_resnet", weights="random", levels=["layer3"])
    features = encoder.trunk.forward_intermediates(encoder.preprocess(IMAGES), indices=[3], intermediates_only=True)
    torch.testing.assert_close(encoder(IMAGES)["layer3"], features[0].mean((2, 3)))
    assert encoder.card["pooling"]["layer3"] == "mean over positions"


@pytest.mark.parametrize("name, rule", [("test_vit", "class token"), ("test_vit4", "mean of patches")])
def test_tokens_give_the_class_token_or_the_mean_of_patches(name: str, rule: str) -> None:
    encoder = load_encoder(f"timm/{name}", weights="random", levels=["blocks.1"])
    network = encoder.trunk
    tokens, extra = network.forward_intermediates(
        encoder.preprocess(IMAGES), indices=[1], intermediates_only=True, return_prefix_tokens=True, output_fmt="NLC"
    )[0]
    expected = extra[:, 0] if rule == "class token" else tokens.mean(1)
    torch.testing.assert_close(encoder(IMAGES)["blocks.1"], expected)
    assert encoder.card["pooling"]["blocks.1"] == rule


def test_patches_without_their_class_token_yet_are_averaged() -> None:
    network = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=1, num_classes=0)
    patches = network.patch_embed(IMAGES)
    assert patches.ndim == 3
    torch.testing.assert_close(pooled(patches, network), patches.mean(1))
    torch.testing.assert_close(
        pooled(network.forward_features(IMAGES), network), network.forward_features(IMAGES)[:, 0]
    )


def test_a_network_that_wraps_a_transformer_has_its_class_token() -> None:
    network = timm.create_model("test_vit", num_classes=0)
    wrapper = nn.Sequential(network)
    tokens = network.forward_features(torch.zeros(2, 3, 160, 160))
    torch.testing.assert_close(pooled(tokens, wrapper), tokens[:, 0])


def test_channels_last_maps_keep_their_channels() -> None:
    network = timm.create_model("swin_tiny_patch4_window7_224", img_size=32, window_size=2, embed_dim=8, num_classes=0)
    map_ = network.forward_features(IMAGES)
    torch.testing.assert_close(pooled(map_, network), map_.mean((1, 2)))
    assert pooled(map_, network).shape == (2, network.num_features)


def test_gradients_reach_the_images_from_every_level() -> None:
    encoder = load_encoder("timm/test_vit", weights="random", levels=["blocks.0"])
    for level in encoder.levels:
        images = IMAGES.clone().requires_grad_()
        encoder(images)[level].square().sum().backward()
        assert images.grad.abs().sum() > 0


def test_fingerprints_tell_layers_apart_and_the_network_fingerprint_does_not() -> None:
    variants = [load_encoder("dino", levels=levels) for levels in ([], ["layer1"], ["layer2"], ["layer1", "layer2"])]
    assert len({encoder.fingerprint for encoder in variants}) == 4
    assert {encoder.network_fingerprint for encoder in variants} == {variants[0].fingerprint}
    assert load_encoder("dino", levels=["layer2", "layer1"]).fingerprint == variants[3].fingerprint


@pytest.mark.parametrize(
    "level, message",
    [
        ("layer5", "unknown level of vicreg 'layer5': did you mean layer4"),
        ("projektor", "did you mean projector"),
        ("xyz", "one of backbone, projector, patches, or a layer by name: `rcdm-probe encoders vicreg` lists them"),
    ],
)
def test_unknown_layers_get_the_nearest_names(level: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_encoder("vicreg", levels=[level])


@pytest.mark.parametrize("layer", ["unused", "pair"])
def test_layers_that_give_no_tensor_cannot_be_levels(layer: str) -> None:
    with pytest.raises(UserError, match=f"layer '{layer}' of tiny cannot be a level"):
        with_layers(in_place(), [layer])


class Windows(nn.Module):
    """Channels last, and layers that look at windows of the images."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.wide, self.act = nn.Conv2d(3, 4, 4, 4), nn.LayerNorm(4), nn.Linear(4, 6), nn.GELU()
        self.attention, self.back = nn.Linear(6, 6), nn.Conv2d(6, 6, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.act(self.wide(self.norm(self.conv(images).permute(0, 2, 3, 1))))
        self.attention(x.unflatten(1, (2, 4)).flatten(0, 1))
        return self.back(x.permute(0, 3, 1, 2)).mean((2, 3))


def test_channels_are_where_the_layer_has_them() -> None:
    encoder = in_place()
    encoder.trunk = network = Windows()
    encoder = with_layers(encoder, ["conv", "norm", "wide", "act", "back"])
    assert encoder.dimensions == {"conv": 4, "norm": 4, "wide": 6, "act": 6, "back": 6, "backbone": 5}
    wide = network.wide(network.norm(network.conv(IMAGES).permute(0, 2, 3, 1)))
    torch.testing.assert_close(encoder(IMAGES)["wide"], wide.mean((1, 2)))
    torch.testing.assert_close(encoder(IMAGES)["act"], network.act(wide).mean((1, 2)))


def test_channels_are_told_where_all_sides_are_equal() -> None:
    """torchvision's Swin has its channels last; at this size its first stage has as many as rows and columns."""
    torch.manual_seed(0)
    shape = {"patch_size": [4, 4], "depths": [1, 1], "num_heads": [2, 4], "window_size": [4, 4], "embed_dim": 16}
    swin = swin_transformer.SwinTransformer(**shape).eval()
    maps = {name: swin.features[: place + 1](torch.rand(2, 3, 64, 64)) for place, name in enumerate(("0", "1"))}
    for name, map_ in maps.items():
        assert map_.shape == (2, 16, 16, 16)
        torch.testing.assert_close(pooled(map_, swin, swin.features[int(name)]), map_.mean((1, 2)))
    resnet, map_ = timm.create_model("test_resnet"), torch.rand(2, 8, 8, 8)
    for layer in (resnet.layer1, nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), nn.MaxPool2d(2)):
        torch.testing.assert_close(pooled(map_, resnet, layer), map_.mean((2, 3)))


def test_a_layer_that_sees_windows_of_images_cannot_be_a_level() -> None:
    encoder = in_place()
    encoder.trunk = Windows()
    with pytest.raises(UserError, match="layer 'attention' of tiny cannot be a level: .* no features of each image"):
        with_layers(encoder, ["attention"])


def test_norms_of_maps_keep_the_channels_of_maps() -> None:
    network = timm.create_model("test_convnext", num_classes=0)
    norm = network.stem[1]
    map_ = torch.rand(2, 24, 5, 7)
    assert "2d" in type(norm).__name__
    torch.testing.assert_close(pooled(map_, network, norm), map_.mean((2, 3)))
    map_ = torch.rand(2, 8, 8, 4)  # as many channels as rows
    torch.testing.assert_close(pooled(map_, network, nn.Conv2d(3, 8, 4)), map_.mean((2, 3)))


@pytest.mark.parametrize("name", ["test_vit", "test_vit4", "test_resnet", "test_mambaout"])
def test_the_grid_of_a_network_is_what_it_gives_before_it_pools(name: str) -> None:
    encoder, plain = (load_encoder(f"timm/{name}", weights="random", levels=levels) for levels in ([PATCHES], []))
    features = encoder.trunk.forward_features(encoder.preprocess(IMAGES))
    grid, levels = encoder.grid(IMAGES), encoder(IMAGES)
    if features.ndim == 3:
        columns = grid.shape[3]
        tokens = features[:, features.shape[1] - grid[0, 0].numel() :]
        torch.testing.assert_close(grid[:, :, 1, 2], tokens[:, columns + 2])  # row by row
        assert tokens.shape[1] == columns**2
    else:
        torch.testing.assert_close(grid, features if features.shape == grid.shape else features.movedim(3, 1))
    torch.testing.assert_close(levels[PATCHES], grid.mean((2, 3)))
    assert encoder.levels == (PATCHES, "backbone")
    assert levels["backbone"].equal(plain(IMAGES)["backbone"])
    assert encoder.network_fingerprint == plain.fingerprint != encoder.fingerprint


class Listing(nn.Module):
    """A transformer as the code of DINOv3 has it: blocks that give lists, extra tokens by another name."""

    def __init__(self, tells: bool) -> None:
        super().__init__()
        self.patch_embed, self.norm = nn.Conv2d(3, 8, 8, 8), nn.LayerNorm(8)
        self.cls_token = nn.Parameter(torch.randn(1, 1, 8))
        if tells:
            self.n_storage_tokens = 4

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        extra = self.cls_token.expand(len(images), 5, -1)
        return self.norm(torch.cat([extra, self.patch_embed(images).flatten(2).mT.cumsum(1)], 1))[:, 0]


def test_a_grid_is_not_that_of_the_patches_before_any_block() -> None:
    encoder = in_place()
    encoder.trunk = Listing(tells=True)
    encoder = with_layers(encoder, [PATCHES])
    assert encoder.grid_layer == "norm"
    assert encoder.grid(IMAGES).shape == (2, 8, 4, 4)
    encoder = in_place()
    encoder.trunk = Listing(tells=False)
    with pytest.raises(UserError, match="tiny gives no grid of places"):
        with_layers(encoder, [PATCHES])


class Mosaic(nn.Module):
    """At each place of a grid the mean colour of four by four pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.places, self.head = nn.AvgPool2d(4), nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 5))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.places(images))


def test_rows_and_columns_are_those_of_the_image_whatever_its_size() -> None:
    encoder = in_place()
    encoder.trunk = Mosaic()
    encoder = with_layers(encoder, [PATCHES, "places"])
    assert (encoder.grid_layer, encoder.levels) == ("places", ("places", PATCHES, "backbone"))  # not what pools it
    images = torch.rand(2, 3, 20, 36)
    torch.testing.assert_close(encoder.grid(images)[:, :, 1, 7], images[:, :, 4:8, 28:32].mean((2, 3)))
    assert encoder.grid(images).shape == (2, 3, 5, 9)

    encoder = in_place()
    encoder.trunk = timm.create_model("test_vit", num_classes=0, dynamic_img_size=True).eval()
    encoder = with_layers(encoder, [PATCHES])
    assert encoder.grid(torch.rand(2, 3, 96, 96)).shape == (2, 64, 6, 6)


def test_an_encoder_without_a_grid_says_so() -> None:
    encoder = in_place()
    encoder.trunk = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 5))
    with pytest.raises(UserError, match="tiny gives no grid of places: .*take another level"):
        with_layers(encoder, [PATCHES])
    with pytest.raises(UserError, match="was loaded without its grid: load it with levels"):
        encoder.grid(IMAGES)
