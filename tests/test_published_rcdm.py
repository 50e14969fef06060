"""Published RCDM checkpoints: parity with the published code, strict conversion of any shape, the files it makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from rcdm_core.rcdm import RCDM
from rcdm_core.rcdm.conversion import convert
from rcdm_core.rcdm.diffusion import hybrid_terms
from rcdm_core.rcdm.reverse import ReverseProcess

GOLDEN = Path(__file__).parent / "golden" / "official_rcdm_tiny.safetensors"
CONDITION = "imagenet/vicreg/backbone"


@pytest.fixture(scope="module")
def golden() -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], dict[str, Any]]:
    """What the published code computed (see the README of the file's origin): weights, values and options."""
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
