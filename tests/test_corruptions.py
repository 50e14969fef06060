"""Corruptions: each does what it says at every size, and planted encoders get the words that they deserve."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from planted_encoders import encoder, mean_colour, pixels
from probing import measured
from typer.testing import Result

from probes.corruptions import CORRUPTIONS, PROBE, Corruptions
from probes.image_draws import ImageDraws
from probes.probe import Found
from rcdm_core.data.imageset import ImageSet
from rcdm_core.data.registry import load_data
from rcdm_core.distances import Whitening
from rcdm_core.errors import UserError

SIZES = (32, 64)


@pytest.fixture(scope="module")
def scenes() -> ImageSet:
    return load_data("scenes", image_size=32, limit=160, seed=0)


def corrupted(name: str, size: int, dose: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Eight scenes in a size, and what becomes of them."""
    images = load_data("scenes", image_size=32, limit=8, seed=1).images(np.arange(8))
    images = torch.nn.functional.interpolate(images, size=size, mode="bilinear")
    return images, CORRUPTIONS[name].apply(images, dose, 5)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_more_severe_is_further_away(name: str) -> None:
    for size in SIZES:
        far = []
        for dose in CORRUPTIONS[name].doses:
            images, moved = corrupted(name, size, dose)
            assert moved.shape == images.shape
            assert moved.isfinite().all()
            far.append((moved - images).abs().mean().item())
        assert far == sorted(far)
        assert far[0] > 0


@pytest.mark.parametrize("name", ["defocus_blur", "motion_blur", "zoom_blur", "elastic", "fog", "snow"])
def test_lengths_are_fractions_of_the_image(name: str) -> None:
    """A scene of twice the size is moved about as far."""
    far = []
    for size in SIZES:
        images, moved = corrupted(name, size, CORRUPTIONS[name].doses[4])
        far.append((moved - images).abs().mean().item())
    assert far[1] == pytest.approx(far[0], rel=0.35)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_an_image_is_corrupted_alike_in_any_company(name: str) -> None:
    images, entry = torch.rand(3, 3, 32, 32), CORRUPTIONS[name]
    together = entry.apply(images, entry.reference, 5, numbers=[4, 9, 2])
    alone = entry.apply(images[1:2], entry.reference, 5, numbers=[9])
    torch.testing.assert_close(together[1:2], alone, atol=1e-5, rtol=0)


def test_photons_are_counted_as_poisson_says() -> None:
    images = torch.full((40, 3, 32, 32), 0.4)
    counted = CORRUPTIONS["shot_noise"].function(images, 25.0, ImageDraws(0, "shot_noise", tuple(range(40)))) * 25
    torch.testing.assert_close(counted, counted.round(), atol=1e-4, rtol=0)
    assert counted.mean().item() == pytest.approx(10, abs=0.05)
    assert counted.var().item() == pytest.approx(10, abs=0.25)


def test_white_representations_vary_alike_and_dead_dimensions_stay_dead() -> None:
    h = torch.randn(2000, 5).double() @ torch.diag(torch.tensor([1000, 10, 1, 0.1, 0]).double()) + 7
    variances = Whitening.of(h)(h - h.mean(0)).var(0)
    assert variances[:4] == pytest.approx(torch.ones(4).numpy(), rel=1e-6)
    assert variances[4] == 0
    line = torch.randn(60, 1) @ torch.randn(1, 8) + 3  # beside it all that varies is its rounding
    assert Whitening.of(line).axes.shape == (8, 1)
    with pytest.raises(UserError, match="one and the same"):
        Whitening.of(torch.ones(5, 3))


@pytest.mark.parametrize("images, size", [(200, 30), (40, 100)])  # more images than dimensions, and fewer
def test_whitening_is_the_inverse_root_of_the_covariance_on_a_tenth_of_the_axes(images: int, size: int) -> None:
    h, moved = torch.randn(images, size) * torch.linspace(0.1, 3, size), torch.randn(7, size)
    variances, axes = torch.linalg.eigh(torch.cov(h.double().T))
    root = axes * variances.clamp(min=variances[-images // 10]).rsqrt() @ axes.T
    torch.testing.assert_close(Whitening.of(h)(moved), moved.double() @ root, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(Whitening.of(1e-6 * h)(1e-6 * moved), moved.double() @ root, rtol=1e-4, atol=1e-6)


SMALL = Corruptions(corruptions=("gaussian_noise", "pixelate"), images=60, gallery=100, levels=("backbone",))


def word(found: Found, name: str, aspect: str) -> str:
    (verdict,) = (v for v in found.verdicts if (v.encoder, v.aspect) == (name, aspect))
    return verdict.word


def test_planted_encoders_get_their_words(scenes: ImageSet) -> None:
    """The mean colour hardly moves under noise and pixels; one large dimension hides what the others do."""

    def dominated(images: torch.Tensor) -> torch.Tensor:
        return torch.cat([1000 * images.mean((1, 2, 3))[:, None], pixels(images)], 1)

    encoders = [
        encoder("supervised", pixels),
        encoder("colour", mean_colour),
        encoder("twin", lambda images: 1e-4 * pixels(images)),
        encoder("dominated", dominated),
    ]
    found = measured(PROBE, encoders, scenes, SMALL)
    assert word(found, "colour", "displacement") == word(found, "colour", "whitened") == "supported"
    assert word(found, "twin", "displacement") == word(found, "twin", "whitened") == "inconclusive"
    assert word(found, "twin", "accuracy") == "too few"  # images that a linear reader of coarse pixels gets right
    overall = found.tables["overall"].set_index("encoder")
    plain, white = (overall[f"{unit}_displacement"] for unit in ("relative", "whitened"))
    assert plain["dominated"] < 0.4 * plain["supervised"]
    assert white["dominated"] > 0.8 * white["supervised"]
    columns = ["relative_displacement", "whitened_displacement", "correct", "untouched"]
    twin, own = (overall.loc[name, columns].to_numpy(float) for name in ("twin", "supervised"))
    assert twin == pytest.approx(own, rel=1e-3)


@pytest.mark.parametrize("labels", [None, np.zeros(1000, np.int64)])
def test_without_labels_of_two_classes_nothing_is_decided(scenes: ImageSet, labels: np.ndarray | None) -> None:
    class Unlabelled:
        def __init__(self) -> None:
            self.labels = labels

        def __getattr__(self, name: str) -> object:
            return getattr(scenes, name)

        def __len__(self) -> int:
            return len(scenes)

    found = measured(PROBE, [encoder("supervised", pixels), encoder("colour", mean_colour)], Unlabelled(), SMALL)  # type: ignore[arg-type]
    assert {verdict.aspect for verdict in found.verdicts} == {"displacement", "whitened"}


@pytest.mark.parametrize(
    "settings", [{"corruptions": ("frost",)}, {"corruptions": ()}, {"corruptions": ("fog", "fog")}]
)
def test_a_mistake_is_one_line(settings: dict) -> None:
    with pytest.raises(UserError):
        Corruptions(**settings)


def test_the_command_compares_with_the_reference(command: Callable[..., Result], tmp_path: Path) -> None:
    out = tmp_path / "out"
    sizes = ("--corruption", "fog", "--corruption", "jpeg", "--images", 24, "--gallery", 100)
    result = command("corruptions", "--encoder", "vicreg", *sizes, "--out", out)
    assert result.exit_code == 0, result.output
    assert "Beyond the paper, displacement" in result.output
    assert (out / "figures/corrupted.png").is_file()
    report = json.loads((out / "report.json").read_text())
    assert [row["name"] for row in report["verdict-grid"]["rows"]] == ["vicreg"]
