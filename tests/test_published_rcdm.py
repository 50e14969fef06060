"""Published RCDM checkpoints: parity with the published code, strict conversion of any shape, the files it makes.

The golden file holds a small network with random weights, and what facebookresearch/RCDM computes with it in float32 on
a CPU: the network's output, samples from given noises, losses. `published_network` adds networks of other shapes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDPMScheduler, UNet2DModel
from hypothesis import given, settings
from hypothesis import strategies as st
from published_network import Shape, published_output, random_checkpoint
from safetensors import safe_open
from safetensors.torch import save_file
from typer.testing import Result

from rcdm_core.errors import UserError
from rcdm_core.rcdm import RCDM, load_rcdm
from rcdm_core.rcdm.conversion import convert
from rcdm_core.rcdm.diffusion import ReverseProcess
from rcdm_core.rcdm.network import set_attention_heads
from rcdm_core.rcdm.objective import hybrid_terms
from rcdm_core.rcdm.published import PUBLISHED_RCDMS, condition_of, load_published
from rcdm_core.rcdm.rcdm import JoinedRCDM

Command = Callable[..., Result]
GOLDEN = Path(__file__).parent / "golden" / "official_rcdm_tiny.safetensors"
CONDITION = "imagenet/vicreg/backbone"


@pytest.fixture(scope="module")
def golden() -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], dict[str, Any]]:
    """Weights by their published names, what the published code computed, and its options."""
    with safe_open(GOLDEN, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
        options = json.loads(file.metadata()["config"])
    weights = {key.removeprefix("weights."): t for key, t in tensors.items() if key.startswith("weights.")}
    return weights, {key: t for key, t in tensors.items() if not key.startswith("weights.")}, options


@pytest.fixture(scope="module")
def rcdm(golden) -> RCDM:
    weights, _, options = golden
    denoiser, schedule = convert(weights, options, condition=CONDITION)
    return RCDM(denoiser, schedule=schedule)


def off(found: torch.Tensor, wanted: torch.Tensor, what: str) -> float:
    """Relative error in the Euclidean norm, printed."""
    error = ((found - wanted).norm() / wanted.norm()).item()
    print(f"{what}: relative error {error:.1e}")
    return error


def test_network_is_the_published_one(golden, rcdm):
    _, values, _ = golden
    with torch.inference_mode():
        embedding = rcdm.denoiser.embed([(CONDITION, values["io.feat"])])
        out = rcdm.denoiser(values["io.x"], values["io.t"], embedding)
    assert off(out, values["io.out"], "network output") < 1e-5


@pytest.mark.parametrize("solver, key", [("ddpm", "sample.ancestral"), ("ddim", "sample.ddim")])
def test_samples_are_the_published_ones(golden, rcdm, solver, key):
    _, values, _ = golden
    images = rcdm.sample(
        values["io.feat"],
        CONDITION,
        noise=values["sample.noise"],
        step_noise=values["sample.step_noise"],
        steps=10,
        solver=solver,
        dtype=torch.float32,
    )
    assert off(images * 2 - 1, values[key], key) < 1e-4


def test_loss_is_the_published_one(golden, rcdm):
    _, values, _ = golden
    process = ReverseProcess(rcdm.schedule, 10)
    with torch.inference_mode():
        squared, bound = hybrid_terms(
            rcdm.denoiser,
            (values["io.x"].clamp(-1, 1) + 1) / 2,
            rcdm.denoiser.embed([(CONDITION, values["io.feat"])]),
            process,
            values["loss.t"],
            values["loss.eps"],
        )
    assert off(squared, values["loss.mse"], "squared error") < 1e-4
    assert off(bound, values["loss.vb"], "variational bound") < 1e-4
    assert off(squared + bound, values["loss.loss"], "loss") < 1e-4


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    """Any shape of the architecture, small."""
    levels = draw(st.integers(1, 3))
    return Shape(
        multipliers=tuple(draw(st.lists(st.integers(1, 3), min_size=levels, max_size=levels))),
        blocks=draw(st.integers(1, 2)),
        attention=tuple(draw(st.lists(st.booleans(), min_size=levels, max_size=levels))),
        heads=draw(st.sampled_from([1, 2, 4])),
        residual=draw(st.booleans()),
        heads_first=draw(st.booleans()),
        dimension=draw(st.integers(1, 20)),
    )


@settings(max_examples=12, deadline=None)
@given(shape=shapes(), seed=st.integers(0, 1000))
def test_a_network_of_any_shape_computes_what_it_did(shape, seed):
    state = random_checkpoint(shape, seed=seed)
    draw = torch.Generator().manual_seed(seed)
    x, t = torch.randn(2, 3, 16, 16, generator=draw), torch.tensor([3, 900])
    h = torch.randn(2, shape.dimension, generator=draw)
    denoiser, _ = convert(state, shape.options, condition=CONDITION)
    with torch.inference_mode():
        found = denoiser(x, t, denoiser.embed([(CONDITION, h)]))
        wanted = published_output(state, shape, x, t, h)
    assert (found - wanted).norm() / wanted.norm() < 2e-5


@settings(max_examples=12, deadline=None)
@given(shape=shapes(), choice=st.integers(0, 10_000))
def test_every_tensor_is_used_and_none_is_left(shape, choice):
    state = random_checkpoint(shape, device="meta")
    parameters = sum(p.numel() for p in convert(state, shape.options, condition=CONDITION)[0].parameters())
    assert parameters == sum(t.numel() for t in state.values()) + added_frequencies(shape)

    name = sorted(state)[choice % len(state)]
    with pytest.raises(UserError):
        convert({key: t for key, t in state.items() if key != name}, shape.options, condition=CONDITION)
    with pytest.raises(UserError, match="label_emb.weight"):
        convert({**state, "label_emb.weight": torch.zeros(1)}, shape.options, condition=CONDITION)


def added_frequencies(shape: Shape) -> int:
    """Weights, all zero, of the sinusoids that diffusers adds where the first channels are more than the base."""
    return 4 * shape.base * shape.base * (shape.multipliers[0] - 1)


def test_a_missing_tensor_is_named(golden):
    weights, _, options = golden
    for name in ("input_blocks.4.1.norm.bias", "middle_block.2.out_layers.3.weight", "time_embed.0.weight"):
        with pytest.raises(UserError, match=name):
            convert({key: t for key, t in weights.items() if key != name}, options, condition=CONDITION)


IMAGENET = Shape(
    base=256,
    multipliers=(1, 1, 2, 3, 4),
    blocks=2,
    attention=(False, False, True, True, True),
    heads=4,
    dimension=2048,
    image_size=128,
)


def test_the_published_models_have_the_shape_that_is_assumed_of_them():
    """494 tensors and 422.6 M parameters; no option is needed."""
    state = random_checkpoint(IMAGENET, device="meta")
    assert len(state) == 494
    assert round(sum(t.numel() for t in state.values()) / 1e6, 1) == 422.6
    denoiser, schedule = convert(state, {}, condition=CONDITION)
    assert denoiser.settings.image_size == 128
    assert denoiser.settings.attention_heads == 4
    assert schedule.config["beta_end"] == 0.02
    with torch.device("meta"):
        embedding = denoiser.embed([(CONDITION, torch.empty(1, 2048))])
        out = denoiser(torch.empty(1, 3, 128, 128), torch.empty(1), embedding)
    assert out.shape == (1, 6, 128, 128)


def test_published_rcdms_are_found_by_encoder_and_level(tmp_path: Path, monkeypatch, capsys):
    """From files with an eighth of the channels, which need to be told what published ones show by these."""
    told = {"image_size": 128, "num_heads": 4}
    monkeypatch.setattr("rcdm_core.rcdm.published.convert", lambda state, _, condition: convert(state, told, condition))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for part, dimension in {"trunk": 2048, "head": 8192}.items():
        weights = random_checkpoint(replace(IMAGENET, base=32, dimension=dimension))
        torch.save(weights, folder / f"rcdm_ema_vicreg_{part}.pt")

    backbone = load_published("imagenet/vicreg", ["layer3", "backbone"])
    assert backbone.conditions == {"imagenet/vicreg/backbone": 2048}
    assert "CC BY-NC" in capsys.readouterr().err
    both = load_published("imagenet/vicreg")
    assert both.conditions == {"imagenet/vicreg/backbone": 2048, "imagenet/vicreg/projector": 8192}


@pytest.mark.parametrize(
    "options, message",
    [
        ({}, "do not show image_size and num_heads"),
        ({"num_heads": 4}, "do not show image_size,"),
        ({"num_haeds": 4}, "did you mean num_heads"),
        ({"num_heads": "four"}, "num_heads is 'four': give a whole number"),
        ({"image_size": 63, "num_heads": 4}, "63 pixels cannot be halved"),
        ({"image_size": 64, "num_heads": 0}, "num_heads is 0: give a whole number"),
        ({"image_size": 64, "num_heads": 4, "num_head_channels": 7}, "cannot be split by num_head_channels 7"),
        ({"image_size": 64, "num_heads": 3}, "64 channels cannot be split by num_heads 3"),
        ({"channel_mult": "1,2,4"}, "channel_mult is 1,2,4 by the options, 1,2 by the tensors"),
        ({"channel_mult": "one"}, "channel_mult is 'one'"),
        (
            {"image_size": 64, "attention_resolutions": "16"},
            "attention_resolutions is 16 by the options, 32 by the tensors",
        ),
        ({"num_res_blocks": 3}, "num_res_blocks is 3 by the options, 2 by the tensors"),
        ({"num_channels": 64}, "num_channels is 64 by the options, 32 by the tensors"),
        ({"resblock_updown": False}, "resblock_updown is False by the options, True by the tensors"),
        ({"ssl_dim": 2048}, "ssl_dim is 2048 by the options, 48 by the tensors"),
        ({"class_cond": True}, "class_cond is True: RCDMs as published have False"),
        ({"noise_schedule": "sigmoid"}, "linear or cosine"),
    ],
)
def test_options_that_cannot_be_are_told(golden, options, message):
    weights, _, _ = golden
    with pytest.raises(UserError, match=message):
        convert(weights, options, condition=CONDITION)


def test_the_command_writes_what_diffusers_and_rcdm_probe_load(golden, rcdm, command: Command, tmp_path: Path):
    weights, values, options = golden
    torch.save(weights, tmp_path / "rcdm_ema_dino_head.pt")
    (tmp_path / "config.json").write_text(json.dumps(options))
    result = command("convert", "rcdm_ema_dino_head.pt", "--config", "config.json", "--out", "made/here")
    assert result.exit_code == 0, result.output
    assert "64 x 64 pixels from imagenet/dino/projector (48 dimensions)" in result.output

    made = load_rcdm(tmp_path / "made" / "here")
    assert made.conditions == {"imagenet/dino/projector": 48}
    assert made.card["training"]["options"] == options
    drawing = {"noise": values["sample.noise"], "steps": 3, "solver": "ddim"}
    again = made.sample(values["io.feat"], "imagenet/dino/projector", **drawing)
    assert torch.equal(again, rcdm.sample(values["io.feat"], CONDITION, **drawing))

    unet = UNet2DModel.from_pretrained(tmp_path / "made" / "here" / "unet")
    set_attention_heads(unet, options["num_heads"])
    with torch.inference_mode():
        embedding = made.denoiser.embed([("imagenet/dino/projector", values["io.feat"])])
        out = unet(values["io.x"], values["io.t"], class_labels=embedding).sample
    assert off(out, values["io.out"], "U-Net in diffusers") < 1e-5
    schedule = DDPMScheduler.from_pretrained(tmp_path / "made" / "here" / "scheduler")
    assert torch.equal(schedule.betas, made.schedule.betas)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("convert nowhere.pt --out made", "there is no file nowhere.pt"),
        ("convert text.pt --out made", "text.pt is a text that begins with 'no checkpoint'"),
        ("convert other.safetensors --out made", "there is no tensor time_embed.0.weight"),
        ("convert tiny.safetensors --out made", "do not show image_size and num_heads"),
        ("convert tiny.safetensors --config nowhere.json --out made", "nowhere.json is no JSON object (No such file"),
        ("convert tiny.safetensors --config text.pt --out made", "text.pt is no JSON object"),
        ("convert tiny.safetensors --config list.json --out made", "list.json is no JSON object"),
        ("convert tiny.safetensors --config wrong.json --out made", "unknown option of the published code 'heads'"),
        ("convert tiny.safetensors --config right.json --out text.pt", "text.pt is there already"),
        ("convert tiny.safetensors --config right.json --out .", ". is there already"),
    ],
)
def test_what_cannot_be_converted_is_told_in_one_line(command: Command, tmp_path: Path, arguments: str, message: str):
    shape = Shape()
    save_file(random_checkpoint(shape), tmp_path / "tiny.safetensors")
    save_file({"fc.weight": torch.zeros(2, 2)}, tmp_path / "other.safetensors")
    (tmp_path / "text.pt").write_text("no checkpoint")
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "wrong.json").write_text('{"heads": 4}')
    (tmp_path / "right.json").write_text(json.dumps(shape.options))
    result = command(*arguments.split())
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.strip().splitlines()
    assert message in line
    assert not (tmp_path / "made").exists()


def test_published_files_are_known_by_encoder_and_level():
    files = [url for levels in PUBLISHED_RCDMS.values() for url in levels.values()]
    assert len(set(files)) == 9
    assert condition_of(Path("x/rcdm_ema_vicreg_trunk.pt")) == "imagenet/vicreg/backbone"
    assert condition_of(Path("x/rcdm_ema_simclr_head.pt")) == "imagenet/simclr/projector"
    assert condition_of(Path("x/rcdm_ema_supervised.pt")) == "imagenet/supervised/backbone"
    assert condition_of(Path("x/mine.pt")) == "mine/backbone"
    with pytest.raises(UserError, match="did you mean imagenet/vicreg"):
        load_published("imagenet/vikreg")
    with pytest.raises(UserError, match="choose backbone"):
        load_published("imagenet/supervised", ["projector"])


def test_joined_rcdms_draw_what_each_draws_alone():
    shapes = {"a/backbone": Shape(dimension=5), "a/projector": Shape(dimension=9, blocks=2)}
    members = []
    for condition, shape in shapes.items():
        denoiser, schedule = convert(random_checkpoint(shape), shape.options, condition=condition)
        members.append(RCDM(denoiser, schedule=schedule))
    joined = JoinedRCDM(members)
    assert joined.conditions == {"a/backbone": 5, "a/projector": 9}
    assert joined.image_size == 16
    assert joined.fingerprint not in [member.fingerprint for member in members]
    for member, (condition, shape) in zip(members, shapes.items(), strict=True):
        h = torch.randn(2, shape.dimension)
        assert torch.equal(joined.sample(h, condition, steps=2), member.sample(h, condition, steps=2))
    with pytest.raises(UserError, match="a/backbone"):
        joined.sample(torch.randn(2, 5), "a/backbon")
