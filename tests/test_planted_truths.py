"""Encoders whose answer is known get the verdicts they must get, from images to words: findings 1 to 3.

The probes of finding 4 and of fidelity need decoders whose answer is known too: their planted truths stand beside their
other tests (`test_interpolate`, `test_manipulate`, `test_generate`, `test_fidelity`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from planted_encoders import encoder, mean_colour, pixels, top_row
from torchvision.utils import save_image

from analyses.findings import Verdict
from rcdm_core.data.scenes import Scenes
from rcdm_core.encoders.encoder import Encoder
from rcdm_core.errors import UserError
from rcdm_probe import adversarial, invariance


def both_ways(images: torch.Tensor) -> torch.Tensor:
    """An image and its mirror image: what tells them apart is their difference."""
    return torch.cat([pixels(images), pixels(images.flip(-1))], 1)


def noise(values: torch.Tensor) -> torch.Tensor:
    """Something else for whatever is another in its second digit, without gradients."""
    digits = (values.detach().flatten(1).double() * 100).round().long()
    key = (digits * (1 + torch.arange(digits.shape[1]) ** 2 % 9973)).sum(1) % 100_003
    return (torch.sin(key[:, None] * torch.arange(1.0, 17.0)) * 43_758.5).frac()


def verdicts(planted: Encoder) -> tuple[Verdict, ...]:
    trained = planted.training_augmentations
    return invariance(planted, rcdm="none", images=40, gallery=80, transformations=trained).verdicts


@pytest.mark.parametrize(
    "features, trained, word",
    [
        (mean_colour, ("horizontal_flip",), "not supported"),  # a mirror image has the same colours
        (mean_colour, ("hue",), "supported"),
        (top_row, ("vertical_shift",), "not supported"),
        (top_row, ("vertical_shift", "hue"), "inconclusive"),  # one of the two moves it
        (pixels, ("crop", "horizontal_flip"), "supported"),
        (noise, ("blur",), "supported"),  # it gives something else of every image
    ],
)
def test_finding_1_is_the_displacement_that_was_planted(features, trained, word):
    (found,) = verdicts(encoder("planted", features, trained=trained))
    assert (found.finding, found.word) == (1, word)


@pytest.mark.parametrize(
    "backbone, projector, trained, closer, invariant",
    [
        (pixels, lambda h: h.unflatten(1, (3, 64)).mean(2), ("horizontal_flip",), "supported", "supported"),  # colours
        (mean_colour, lambda h: h @ torch.eye(3), ("hue",), "inconclusive", "not supported"),  # the same
        (noise, noise, ("blur",), "inconclusive", "not supported"),
        (both_ways, lambda h: h[:, :192] - h[:, 192:], ("horizontal_flip",), "not supported", "not supported"),
    ],
)  # fmt: skip
def test_finding_2_is_the_difference_that_was_planted(backbone, projector, trained, closer, invariant):
    torch.manual_seed(0)
    found = verdicts(encoder("planted", backbone, projector, trained))
    told = [(verdict.finding, verdict.aspect, verdict.word) for verdict in found[1:]]
    assert told == [(2, "closer", closer), (2, "invariant", invariant)]


def test_a_constant_encoder_has_no_verdict():
    with pytest.raises(UserError, match="same representation|collapsed|gradients do not pass"):
        verdicts(encoder("constant", lambda images: torch.ones(len(images), 8), trained=("blur",)))


def fragile(images: torch.Tensor) -> torch.Tensor:
    """Colours, and a pattern that no scene shows, so strongly that one 255th of it is another image."""
    board = (torch.arange(32)[:, None] + torch.arange(32)) % 2 * 2.0 - 1
    return torch.cat([images.mean((2, 3)), 100 * (images * board).mean((1, 2, 3))[:, None]], 1)


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes as files: without labels nothing but displacement is judged, on every image."""
    folder = tmp_path_factory.mktemp("scenes")
    for number, image in enumerate(Scenes("test").images(np.arange(120))):
        save_image(image, folder / f"{number}.png")
    return folder


def blind(images: torch.Tensor) -> torch.Tensor:
    """Noise, through which an attack has a gradient, which is 0."""
    return noise(images) + 0 * images.mean()


@pytest.mark.parametrize(
    "reference, other, word",
    [
        (fragile, mean_colour, "supported"),
        (mean_colour, fragile, "not supported"),
        (pixels, pixels, "inconclusive"),
        (pixels, blind, "not supported"),  # it gives something else of every image
        (blind, blind, "inconclusive"),
    ],
)
def test_finding_3_is_the_fragility_that_was_planted(unlabelled, reference, other, word):
    settings = {"attacks": ("Displacement",), "eps": (1.0, 2.0), "images": 40, "training": 60, "attack_steps": 6}
    compared = [encoder("first", reference, is_ssl=False), encoder("second", other)]
    found = adversarial(compared, unlabelled, reference="first", rcdm="none", **settings).verdicts
    assert [(verdict.aspect, verdict.word) for verdict in found] == [("displacement", word)]


def test_a_constant_encoder_is_not_attacked(unlabelled):
    settings = {"attacks": ("Displacement",), "images": 60, "training": 60}
    compared = [encoder("first", pixels, is_ssl=False), encoder("constant", lambda images: torch.ones(len(images), 8))]
    with pytest.raises(UserError, match="same representation|collapsed|gradients do not pass"):
        adversarial(compared, unlabelled, reference="first", rcdm="none", **settings)
