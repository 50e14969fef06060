"""Encoders of transformers and OpenCLIP, with random weights that are built here; skipped where these are absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from probes.untrained import untrained_of
from rcdm_core.encoders import load_encoder
from rcdm_core.encoders.preprocess import alike, picture_of, smooth
from rcdm_core.errors import UserError
from rcdm_core.images import square

PIXELS = np.random.default_rng(0).integers(0, 256, (1, 40, 50, 3), np.uint8)
IMAGES = torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float() / 255


@pytest.mark.parametrize("kind", ["Dinov2", "CLIPVision", "SiglipVision"])
def test_a_network_of_transformers_gives_what_it_gives_its_own_library(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transformers = pytest.importorskip("transformers")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 28, "patch_size": 14}
    model = getattr(transformers, f"{kind}Model")(getattr(transformers, f"{kind}Config")(**shape)).eval()
    processor = transformers.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 28, "width": 28})
    model.save_pretrained("own")
    processor.save_pretrained("own")
    levels = ["patches"] if kind == "SiglipVision" else ["patches", "class_token"]
    encoder = load_encoder("hf:./own", levels=levels)
    assert encoder.image_size == 32
    with torch.no_grad():
        found = model(**processor(Image.fromarray(PIXELS[0]), return_tensors="pt"))
        ours = encoder(IMAGES)
    wanted = {"backbone": found.pooler_output, "patches": found.last_hidden_state[:, -4:].mean(1)}
    wanted |= {"class_token": found.last_hidden_state[:, 0]} if "class_token" in levels else {}
    for level, h in wanted.items():  # as near as pictures of 8 bits, which are rounded after they were resized
        assert torch.cosine_similarity(ours[level], h).min() > 0.999, level
    assert encoder.grid(IMAGES)[:, :, 0, 1].equal(
        encoder.trunk.network(pixel_values=encoder.preprocess(IMAGES)).last_hidden_state[:, -3]
    )
    again = load_encoder("hf:./own", weights="own/model.safetensors")
    torch.testing.assert_close(again(IMAGES)["backbone"], ours["backbone"])
    with pytest.raises(UserError, match="not on this machine"):
        load_encoder("hf:nobody/nothing")


@pytest.mark.parametrize(
    ("kind", "settings", "refused"),
    [
        ("ConvNext", {"size": {"shortest_edge": 48}, "crop_pct": 0.875}, ""),
        ("ConvNext", {"size": {"shortest_edge": 384}}, ""),
        ("MobileViT", {"size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}}, ""),
        ("PoolFormer", {"size": {"shortest_edge": 48}, "crop_size": {"height": 48, "width": 48}}, ""),
        ("EfficientNet", {"size": {"height": 48, "width": 48}}, "something else to a picture than its settings say"),
        ("Levit", {"size": {"shortest_edge": 48}}, "something else to a picture than its settings say"),
        ("GLPN", {}, "does not say to which size"),
    ],
)
def test_an_image_processor_is_done_as_it_does_or_refused(
    kind: str, settings: dict[str, object], refused: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transformers = pytest.importorskip("transformers")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    shape = transformers.ConvNextConfig(hidden_sizes=[8] * 4, depths=[1] * 4)
    transformers.ConvNextModel(shape).save_pretrained("own")
    processor = getattr(transformers, f"{kind}ImageProcessor")(**settings)
    processor.save_pretrained("own")
    if refused:
        with pytest.raises(UserError, match=refused):
            load_encoder("hf:./own")
        return
    encoder = load_encoder("hf:./own")
    for shape in ((500, 630), (630, 500)):  # whose centres lie on whole pixels
        picture = picture_of(smooth(*shape))
        ours = encoder.preprocess(square(picture, encoder.image_size)[None])
        theirs = processor(picture, return_tensors="pt")["pixel_values"]
        assert alike(ours, theirs)


@pytest.fixture
def vit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Small networks of transformers with their processor, saved in a folder by name."""
    transformers = pytest.importorskip("transformers")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    shape = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64, "image_size": 32, "patch_size": 8}

    def save(folder: str, kind: str = "ViTModel", **more: Any) -> Any:
        config = kind.removesuffix("Model").removesuffix("ForImageClassification") + "Config"
        torch.manual_seed(0)
        shaped = getattr(transformers, config)(**{"num_hidden_layers": 1, **shape, **more})
        network = getattr(transformers, kind)(shaped).eval()
        network.save_pretrained(folder)
        transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
        return network

    return save


def test_detection_tokens_are_no_patches(vit: Any) -> None:
    network = vit("own", "YolosModel", num_detection_tokens=5, image_size=[32, 32])
    encoder = load_encoder("hf:./own", levels=["patches"])
    tokens = network(pixel_values=encoder.preprocess(IMAGES)).last_hidden_state
    torch.testing.assert_close(encoder(IMAGES)["patches"], tokens[:, 1:17].mean(1))


@pytest.mark.parametrize(
    ("kind", "more", "rule"),
    [
        ("ViTModel", {}, "the network's own"),
        ("ViTForImageClassification", {}, "class token"),
        ("ViTMSNModel", {}, "class token"),
        ("SegformerModel", {"depths": [1] * 4, "hidden_sizes": [8] * 4}, "mean over positions"),
    ],
)
def test_what_is_pooled_here_is_not_called_the_networks_own(
    kind: str, more: dict[str, Any], rule: str, vit: Any
) -> None:
    if kind == "SegformerModel":
        more = more | {"num_attention_heads": [1] * 4, "num_encoder_blocks": 4}
    vit("own", kind, **more)
    assert load_encoder("hf:./own").card["pooling"] == {"backbone": rule}


def test_the_untrained_floor_of_a_classifier_pools_as_it_does(vit: Any) -> None:
    for kind, token in {"ViTForImageClassification": True, "ViTModel": False}.items():
        vit(kind, kind)
        encoder = load_encoder(f"hf:./{kind}")
        floor = untrained_of(encoder, ["backbone"])
        for one in (encoder, floor):
            tokens = one.trunk.network(pixel_values=one.preprocess(IMAGES)).last_hidden_state[:, 0]
            assert torch.allclose(one(IMAGES)["backbone"], tokens) == token


def test_a_file_for_a_network_of_transformers_is_looked_at_as_any_other(vit: Any) -> None:
    state = vit("own").state_dict()
    files = {
        "whole numbers": ({key: (100 * value).to(torch.int8) for key, value in state.items()}, "holds whole numbers"),
        "two": ({**state, **{f"vit.{key}": -value for key, value in state.items()}}, "holds several sets of weights"),
        "deep": (vit("deep", num_hidden_layers=2).state_dict(), "has beside those of the network .* layers.1"),
        "large": (vit("large", image_size=64).state_dict(), "in another shape .* embeddings.position_embeddings"),
    }
    for name, (content, message) in files.items():
        torch.save(content, f"{name}.pt")
        with pytest.raises(UserError, match=message):
            load_encoder("hf:./own", weights=f"{name}.pt")
    classifier = vit("classifier", "ViTForImageClassification")
    torch.save(classifier.state_dict(), "classifier.pt")
    encoder = load_encoder("hf:./own", weights="classifier.pt")
    assert encoder.card["weights"].startswith(
        "classifier.pt, of which 2 tensors are left aside (first: classifier.bias"
    )
    tokens = classifier.vit(pixel_values=encoder.preprocess(IMAGES)).last_hidden_state
    torch.testing.assert_close(encoder(IMAGES)["backbone"], tokens[:, 0])


def test_what_an_image_processor_makes_of_oblong_pictures_alone_is_told(vit: Any) -> None:
    transformers = pytest.importorskip("transformers")
    vit("own")
    transformers.DPTImageProcessor(size={"height": 32, "width": 32}, keep_aspect_ratio=True).save_pretrained("own")
    assert "oblong pictures" in load_encoder("hf:./own").card


def test_a_tower_of_open_clip_pads_what_it_is_told_to_pad(monkeypatch: pytest.MonkeyPatch) -> None:
    open_clip, create = pytest.importorskip("open_clip"), pytest.importorskip("open_clip").create_model

    def padding(*arguments: Any, **options: Any) -> Any:
        network = create(*arguments, **options)
        network.visual.preprocess_cfg = {**network.visual.preprocess_cfg, "resize_mode": "longest"}
        return network

    monkeypatch.setattr(open_clip, "create_model", padding)
    encoder = load_encoder("open_clip:RN50-quickgelu", weights="random")
    settings = open_clip.transform.PreprocessCfg(**padding("RN50-quickgelu").visual.preprocess_cfg)
    picture = picture_of(smooth(400, 600))
    theirs = open_clip.transform.image_transform_v2(settings, is_train=False)(picture)[None]
    assert alike(encoder.preprocess(square(picture, encoder.image_size)[None]), theirs)


def test_a_tower_of_open_clip_is_its_visual_part() -> None:
    open_clip = pytest.importorskip("open_clip")
    encoder = load_encoder("open_clip:RN50-quickgelu", weights="random:3")
    torch.manual_seed(0)
    x = encoder.preprocess(IMAGES)
    assert x.shape[-2:] == (224, 224)
    assert encoder.dimensions == {"backbone": 1024}
    assert encoder(IMAGES)["backbone"].equal(encoder.trunk(x))
    with pytest.raises(UserError, match="did you mean"):
        load_encoder("open_clip:ViT-B-33/openai")
    with pytest.raises(UserError, match="unknown weights of ViT-B-32"):
        load_encoder(f"open_clip:{open_clip.list_models()[0] and 'ViT-B-32'}/nobody")


@pytest.mark.parametrize("name", ["hf:a/b", "open_clip:a/b"])
def test_without_the_package_it_is_told_how_to_get_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    monkeypatch.setitem(__import__("sys").modules, "open_clip", None)
    with pytest.raises(UserError, match=r"pip install 'rcdm-probe\[(hf|clip)\]'"):
        load_encoder(name)
