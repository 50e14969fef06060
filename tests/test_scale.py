"""One, in units of a scale, is as far as another image: any other, and whatever the dimension of the encoder."""

from __future__ import annotations

import pytest
import torch

from probes.scale import MOVED, PLAIN, WHITENED, Scale


def gaussian(count: int, size: int, seed: int) -> torch.Tensor:
    """Representations ``[count, size]``, of which some directions vary more than others."""
    drawn = torch.randn(count, size, generator=torch.Generator().manual_seed(seed))
    return drawn * torch.arange(1, size + 1) ** -0.5


def fresh(scale: Scale, size: int, seed: int) -> dict[str, float]:
    """Median displacement from one fresh image to another, by measure."""
    one, other = gaussian(16_000, size, seed).chunk(2)
    return {name: moved.median().item() for name, moved in scale.displacements(one, other).items()}


@pytest.mark.parametrize("size", [16, 256])
@pytest.mark.parametrize("others", [1000, 3000])
def test_two_fresh_images_are_one_apart(others: int, size: int) -> None:
    scale = Scale.of(gaussian(others, size, 0), seed=0)
    found = fresh(scale, size, 1)
    assert found[WHITENED] == pytest.approx(1, abs=0.015)
    for name, error in zip(MOVED, scale.errors, strict=True):
        assert found[name] == pytest.approx(1, abs=3 * error + 0.005)


@pytest.mark.parametrize("others", [20, 40, 100])  # one axis in a half, where whitening does nothing, two and five
def test_of_few_others_the_unit_is_as_far_off_as_its_error_says(others: int) -> None:
    scales = [Scale.of(gaussian(others, 64, seed), seed) for seed in range(100)]
    off = torch.tensor([fresh(scale, 64, 1000 + seed)[WHITENED] - 1 for seed, scale in enumerate(scales)])
    told = torch.tensor([scale.errors[1] for scale in scales])
    assert off.mean().abs() < 3 * told.mean() / len(scales) ** 0.5
    assert off.std() == pytest.approx(told.mean().item(), rel=0.25)


def test_the_order_of_the_others_does_not_part_them() -> None:
    """Sorted by class, a data set's first half is unlike its second."""
    h = gaussian(1000, 16, 0) + 10 * (torch.arange(1000) >= 500)[:, None]
    one, other = (gaussian(1000, 16, every) + 10 * (torch.arange(1000) // every % 2)[:, None] for every in (1, 2))
    assert Scale.of(h, seed=0).displacements(one, other)[WHITENED].median().item() == pytest.approx(1, abs=0.05)


def test_the_plain_unit_is_of_all_others() -> None:
    h = gaussian(60, 4, 0)
    assert Scale.of(h, seed=0).units[0] == pytest.approx(torch.pdist(h.double()).median().item())
    assert Scale.of(h, seed=0).displacement(h[:1], h[1:2]) == Scale.of(h, seed=1).displacements(h[:1], h[1:2])[PLAIN]
