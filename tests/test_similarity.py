"""Similarity: numbers as independent computations have them, with what every image adds to them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from planted_encoders import encoder, mean_colour, pixels
from probing import measured
from scipy.stats import spearmanr
from typer.testing import Result

from analyses.bootstrap import interval
from analyses.statistics import mean
from probes.similarity import PROBE, Similarity, cka, effective_rank, participation_ratio, products, rsa
from rcdm_core.data.registry import load_data
from rcdm_core.errors import UserError

COUNT = 30


@pytest.fixture
def seen() -> list[torch.Tensor]:
    """Three representations, one of them of the first, with two images alike in all."""
    first, other = torch.randn(COUNT, 6).double(), torch.randn(COUNT, 4).double()
    three = [first, first @ torch.randn(6, 9).double() + torch.randn(COUNT, 9), other]
    for h in three:
        h[3] = h[4]
    return three


def by_definition(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Debiased CKA, from the unbiased HSIC as Song et al. (2012) write it."""

    def hsic(k: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
        n, ones = len(k), torch.ones(len(k), dtype=k.dtype)
        k, m = (matrix * (1 - torch.eye(n)) for matrix in (k, m))
        middle = (ones @ k @ ones) * (ones @ m @ ones) / ((n - 1) * (n - 2))
        return (torch.trace(k @ m) + middle - 2 / (n - 2) * ones @ k @ m @ ones) / (n * (n - 3))

    k, m = a @ a.T, b @ b.T
    return hsic(k, m) / (hsic(k, k) * hsic(m, m)).sqrt()


def jackknifed(number: Callable[..., torch.Tensor], *of: torch.Tensor) -> torch.Tensor:
    """The jackknife's standard error of a number, leaving one image out after the other."""
    without = torch.stack([number(*(h[torch.arange(COUNT) != i] for h in of)) for i in range(COUNT)])
    return ((COUNT - 1) * without.var(0, correction=0)).sqrt()


def assert_is(shares: torch.Tensor, number: Callable[..., torch.Tensor], *of: torch.Tensor) -> None:
    """The mean of the shares is the number, and their standard error that of the jackknife."""
    assert shares.mean() == pytest.approx(number(*of).item(), rel=1e-9)
    assert (shares.std() / COUNT**0.5).item() == pytest.approx(jackknifed(number, *of).item(), rel=1e-9)


def test_cka_is_that_of_the_definition(seen: list[torch.Tensor]) -> None:
    assert_is(cka(products(seen[0]), products(seen[1])), by_definition, seen[0], seen[1])


def test_products_of_many_images_are_worked_on_in_blocks(
    seen: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    def numbers() -> list[torch.Tensor]:
        one, other = products(seen[0]), products(seen[1])
        return [cka(one, other), participation_ratio(one)]

    whole = numbers()
    monkeypatch.setattr("probes.similarity.HELD", COUNT - 1)
    monkeypatch.setattr("probes.similarity._ROWS", 7)
    for ours, theirs in zip(numbers(), whole, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_rsa_is_spearmans_correlation_of_distances_ties_and_all(seen: list[torch.Tensor]) -> None:
    def of(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.tensor(spearmanr(torch.pdist(a), torch.pdist(b)).statistic)

    rounded = [(h * 2).round() for h in seen]
    shares = rsa(torch.stack([torch.pdist(h) for h in rounded]))
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert_is(shares[i, j], of, rounded[i], rounded[j])
        assert torch.equal(shares[i, j], shares[j, i])


def test_the_participation_ratio_has_no_bias_of_few_images() -> None:
    """Of 40 images in 30 equal dimensions the plain ratio is 17."""
    ratios = torch.stack([participation_ratio(products(torch.randn(40, 30).double())).mean() for _ in range(200)])
    assert ratios.mean() == pytest.approx(30, abs=3 * (ratios.std() / 200**0.5).item())
    direction = torch.randn(COUNT, 1).double() @ torch.randn(1, 8).double()
    assert participation_ratio(products(direction)).mean() == pytest.approx(1, abs=0.2)


def test_the_effective_rank_is_rankme_and_its_shares_its_slopes() -> None:
    h = torch.randn(COUNT, 8).double() + 1

    def rankme(weights: torch.Tensor) -> torch.Tensor:
        values = torch.linalg.svdvals(weights[:, None].sqrt() * h)
        share = values / values.sum()
        return torch.exp(-(share * share.log()).sum())

    ones = torch.ones(COUNT, dtype=torch.float64)
    slopes = torch.autograd.functional.jacobian(rankme, ones)
    torch.testing.assert_close(effective_rank(h), rankme(ones) + COUNT * slopes)
    assert effective_rank(torch.eye(8).double()).mean() == pytest.approx(8)


def test_what_is_the_same_but_for_rotation_and_scale_is_alike(seen: list[torch.Tensor]) -> None:
    turned = 1e-6 * seen[0] @ torch.linalg.qr(torch.randn(6, 6).double()).Q + 1e3
    assert cka(products(seen[0]), products(turned)) == pytest.approx(torch.ones(COUNT).numpy(), abs=1e-5)
    alike = rsa(torch.stack([torch.pdist(seen[0]), torch.pdist(turned - 1e3)]))
    assert alike[0, 1] == pytest.approx(torch.ones(COUNT).numpy(), abs=1e-3)


def test_intervals_hold_the_number_of_all_images() -> None:
    """CKA and participation ratio of 60 images hold that of very many as often as they promise."""
    mixing, scale = torch.randn(6, 9).double(), torch.tensor([3, 2, 1, 1, 0.5, 0.2]).double()

    def draw(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        h = torch.randn(count, 6).double() * scale
        return products(h), products(h @ mixing + 2 * torch.randn(count, 9))

    many = draw(4000)
    true = [cka(*many).mean().item(), participation_ratio(many[0]).mean().item()]
    held = [0, 0]
    for _ in range(150):
        few = draw(60)
        for which, shares in enumerate((cka(*few), participation_ratio(few[0]))):
            found = interval(shares.numpy(), mean, resamples=500)
            held[which] += found.low <= true[which] <= found.high
    assert min(held) >= 150 * 0.95 - 3 * (150 * 0.95 * 0.05) ** 0.5


def test_planted_encoders_are_told_apart() -> None:
    scenes = load_data("scenes", image_size=32, limit=80, seed=0)
    twins = [
        encoder("pixels", pixels, mean_colour_of_pixels),
        encoder("doubled", lambda images: 2 * pixels(images).flip(1)),
        encoder("colour", mean_colour),
    ]
    settings = Similarity(images=60, ranked=40, levels=("backbone", "projector"))
    found = measured(PROBE, twins, scenes, settings)
    table = found.tables["pairs"].set_index(["first", "second"])
    assert table.loc[("pixels/backbone", "doubled/backbone"), ["cka", "rsa"]].to_numpy(float) == pytest.approx(1)
    assert table["cka"].idxmax() == ("pixels/backbone", "doubled/backbone")
    assert len(table) == 6
    filled = found.tables["filled"].set_index("representation")
    assert filled.loc["colour/backbone", "dimensions"] == 3
    assert filled.loc["colour/backbone", "effective_rank"] < filled.loc["pixels/backbone", "effective_rank"]


def mean_colour_of_pixels(h: torch.Tensor) -> torch.Tensor:
    return h.unflatten(1, (3, -1)).mean(2)


def test_more_images_than_there_are_is_one_line() -> None:
    scenes = load_data("scenes", image_size=32, limit=30, seed=0)
    with pytest.raises(UserError, match="30 images, not 60"):
        measured(PROBE, encoder("pixels", pixels), scenes, Similarity(images=60))


def test_the_command_compares_the_levels_of_one_encoder(command: Callable[..., Result], tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = command("similarity", "--encoder", "vicreg", "--images", 60, "--ranked", 30, "--out", out)
    assert result.exit_code == 0, result.output
    assert (out / "figures/similarity.png").is_file()
    report = json.loads((out / "report.json").read_text())
    assert "vicreg/backbone and vicreg/projector" in report["no-verdict"]
