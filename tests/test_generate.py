"""Neighbourhood sampling: what lies between neighbours, how sets are compared, and the command that draws them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from left_behind import tables_left_out
from probing import measured, planted
from torch import nn
from typer.testing import Result

from analyses.records import COLUMNS, REAL
from probes.generate import PROBE, SOURCES, Generate, between, gaussian, mean_distance
from rcdm_core.data.imageset import ImageSet
from rcdm_core.data.registry import load_data
from rcdm_core.encoders.encoder import Encoder
from rcdm_core.errors import UserError
from rcdm_core.features import FeatureSpace
from rcdm_core.fidelity import frechet_distance
from rcdm_probe.known_probes import load_probe


class Pixels(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return nn.functional.adaptive_avg_pool2d(images, 8).flatten(1)


class Ring(nn.Module):
    """Representations on a circle: between neighbours is on it, a Gaussian with its mean and covariance is not."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        turn = 2e3 * images.double().mean((1, 2, 3))
        return torch.stack([turn.cos(), turn.sin()], 1).float()


class Known:
    """Draws from ``h`` by a rule that the test knows."""

    image_size, card, fingerprint = 32, {}, "known"

    def __init__(self, network: Encoder, draw: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self.conditions = {f"{network.name}/backbone": network.dimensions["backbone"]}
        self.draw = draw

    def sample(self, h: torch.Tensor, condition: str, **_: object) -> torch.Tensor:
        assert condition in self.conditions
        return self.draw(h).clamp(0, 1)


def encoder(name: str, trunk: nn.Module) -> Encoder:
    size = trunk(torch.rand(2, 3, 32, 32)).shape[1]
    return Encoder(
        name, preprocess=nn.Identity(), trunk=trunk, projector=None, dimensions={"backbone": size}, is_ssl=True
    )


def space(look: Callable[[torch.Tensor], torch.Tensor]) -> FeatureSpace:
    return FeatureSpace("test", "FD-test", "", "test", lambda images: (look(images), None))


@pytest.fixture(scope="module")
def scenes() -> ImageSet:
    return load_data("scenes", image_size=32, limit=400, seed=0)


SPACE = {"name": "test", "distance": "FD-test", "score": ""}
SMALL = Generate(count=80, gallery=200, pictures=24)


def test_between_lies_on_the_way_to_a_near_neighbour() -> None:
    gallery = torch.randn(60, 5, generator=torch.Generator().manual_seed(0))
    middle, partners = between(gallery, 3, seed=1, images=range(20))
    for row in range(20):
        order = (gallery - gallery[row]).norm(dim=1).argsort()
        assert partners[row] in order[1:4]
        ends = gallery[row], gallery[partners[row]]
        way = sum((middle[row] - end).norm().item() for end in ends)
        assert way == pytest.approx((ends[0] - ends[1]).norm().item(), rel=1e-4)
    again, _ = between(gallery, 3, seed=1, images=range(5))
    assert torch.equal(again, middle[:5])
    assert not torch.equal(between(gallery, 3, seed=2, images=range(5))[0], again)


def test_the_gaussian_has_mean_and_covariance_of_the_gallery() -> None:
    generator = torch.Generator().manual_seed(0)
    gallery = torch.randn(300, 4, generator=generator) @ torch.randn(4, 4, generator=generator) + 3
    drawn = gaussian(gallery, seed=0, images=range(20_000))
    torch.testing.assert_close(drawn.mean(0), gallery.mean(0), atol=0.1, rtol=0)
    torch.testing.assert_close(drawn.T.cov(), gallery.T.cov(), atol=0.3, rtol=0.05)


def test_the_unit_of_distances_is_as_sure_as_it_says(scenes: ImageSet) -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = [mean_distance(torch.randn(80, 3, generator=generator).exp()) for _ in range(300)]
    units, errors = np.array(drawn).T
    assert errors.mean() == pytest.approx(units.std() / units.mean(), rel=0.12)
    look = space(lambda images: images.mean((2, 3)))
    network = encoder("pixels", Pixels())
    rcdm = Known(network, lambda h: nn.functional.interpolate(h.unflatten(1, (3, 8, 8)), size=(32, 32)))
    found = measured(PROBE, network, scenes, replace(SMALL, count=20, gallery=40), rcdm=rcdm, space=look)
    (error,) = found.measured("unit_error")["value"]
    row = found.tables["kinds"].set_index("kind").loc[REAL]
    for name in ("diversity", "nearest"):
        assert row[f"{name}_high"] - row[f"{name}_low"] >= 2 * 1.9 * error * row[name]


def test_a_decoder_that_gives_back_the_pixels_is_as_near_as_images_are(scenes: ImageSet) -> None:
    network = encoder("pixels", Pixels())
    rcdm = Known(network, lambda h: nn.functional.interpolate(h.unflatten(1, (3, 8, 8)), size=(32, 32)))
    look = space(lambda images: nn.functional.adaptive_avg_pool2d(images, 2).flatten(1))
    found = measured(PROBE, network, scenes, SMALL, rcdm=rcdm, space=look)
    records = found.records
    assert {name: str(kind) for name, kind in records.dtypes.items()} == COLUMNS
    assert not records.duplicated([name for name in COLUMNS if name != "value"]).any()
    kinds = found.tables["kinds"].set_index("kind")
    assert list(kinds.index) == [REAL, *SOURCES]
    assert kinds.loc["images", "frechet"] == pytest.approx(kinds.loc[REAL, "frechet"], rel=1e-3)
    assert kinds.loc["images", "diversity"] == pytest.approx(1.0, abs=0.15)
    assert kinds.loc["images", "nearest"] == pytest.approx(0, abs=1e-3)  # each is an image of the gallery
    assert kinds.loc["between", "nearest"] > 0
    others = scenes.images(np.random.default_rng(0).permutation(400)[:80])
    mine = scenes.images(np.random.default_rng(0).permutation(400)[80:160])
    by_hand = frechet_distance(look.of(mine)[0], look.of(others)[0]) ** 2
    assert kinds.loc[REAL, "frechet"] == pytest.approx(by_hand, rel=1e-4)
    assert [panel.name for panel in found.panels] == ["kinds_backbone", "neighbours_backbone"]
    assert found.panels[0].images.shape[:2] == (8, 12)


def distances(*, gauss: float, spread: float = 0.3, images: int = 80) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    means = {"images": 1.0, "between": 1.2, "gaussian": gauss}
    tables = [
        pd.DataFrame(
            {
                "encoder": "planted", "level": level, "image": np.arange(images), "measure": measure,
                "condition": kind, "strength": np.nan, "sample": -1, "value": rng.normal(mean, spread, images),
            }
        )
        for level, kind, mean in (("", REAL, 0.5), *(("backbone", kind, mean) for kind, mean in means.items()))
        for measure in ("frechet", "diversity", "nearest")
    ]  # fmt: skip
    return pd.concat(tables, ignore_index=True)


@pytest.mark.parametrize(
    "gauss, spread, word", [(3.0, 0.3, "supported"), (0.4, 0.3, "not supported"), (1.2, 3.0, "inconclusive")]
)
def test_planted_distances_get_their_words(gauss: float, spread: float, word: str) -> None:
    records = distances(gauss=gauss, spread=spread)
    found = planted(PROBE, records, features_card=SPACE)
    (verdict,) = found.verdicts
    assert verdict.word == word
    assert verdict.aspect == "neighbourhood"
    assert verdict.level == "backbone"
    table = found.tables["comparison"].set_index(["first", "second"])
    wide = records[records["measure"] == "frechet"].pivot(index="image", columns="condition", values="value")
    assert verdict.value == table.loc[("gaussian", "between"), "frechet"]
    assert verdict.value == pytest.approx((wide["gaussian"] - wide["between"]).mean())


def test_a_ring_is_kept_between_neighbours_and_lost_by_a_gaussian(scenes: ImageSet) -> None:
    """The decoder paints one grey, brighter farther from the middle; images count as the grey of the ring."""
    network = encoder("ring", Ring())
    rcdm = Known(network, lambda h: (h.norm(dim=1) / 2)[:, None, None, None].expand(-1, 3, 32, 32))

    def grey(images: torch.Tensor) -> torch.Tensor:
        painted = images.std((1, 2, 3)) < 1e-6
        return torch.where(painted, images[:, 0, 0, 0], 0.5 + 0.01 * images.mean((1, 2, 3)))[:, None]

    apart = space(grey)
    settings = Generate(count=80, gallery=300)
    found = measured(PROBE, network, scenes, settings, rcdm=rcdm, space=apart, run={"features_card": SPACE})
    found.run["encoder_card"]["self_supervised"] = False
    (verdict,) = found.verdicts
    assert verdict.word == "supported"
    assert "for comparison" in verdict.claim


def test_images_are_read_part_by_part(scenes: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probes.context._AT_ONCE", 50)
    network, look = encoder("pixels", Pixels()), space(lambda images: images.mean((2, 3)))
    rcdm = Known(network, lambda h: nn.functional.interpolate(h.unflatten(1, (3, 8, 8)), size=(32, 32)))
    images = Watched(scenes)
    measured(PROBE, network, images, replace(SMALL, batch_size=50), rcdm=rcdm, space=look)
    assert max(images.read) == 50


class Watched:
    """A set of images that knows how many of them were read at once."""

    def __init__(self, images: ImageSet) -> None:
        self.of, self.read = images, []

    def __len__(self) -> int:
        return len(self.of)

    def __getattr__(self, name: str) -> object:
        return getattr(self.of, name)

    def images(self, indices: np.ndarray) -> torch.Tensor:
        self.read.append(len(indices))
        return self.of.images(indices)


def test_a_constant_encoder_and_too_few_images_are_refused(scenes: ImageSet) -> None:
    class Constant(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.ones(len(images), 4)

    network, look = encoder("constant", Constant()), space(lambda images: images.mean((2, 3)))
    rcdm = Known(network, lambda h: torch.zeros(len(h), 3, 32, 32))
    with pytest.raises(UserError, match="collapsed"):
        measured(PROBE, network, scenes, SMALL, rcdm=rcdm, space=look)
    many = Generate(count=300)
    with pytest.raises(UserError, match="twice as many"):
        measured(PROBE, network, scenes, many, rcdm=rcdm, space=look)


@pytest.mark.parametrize(
    "wrong, says",
    [
        ({"count": 3}, "at least 20"),
        ({"gallery": 10}, "gallery"),
        ({"neighbours": 0}, "neighbours"),
        ({"pictures": 0}, "pictures"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict, says: str) -> None:
    with pytest.raises(UserError, match=says):
        Generate(**wrong)


def test_the_command_leaves_a_whole_run(command: Callable[..., Result], tmp_path: Path) -> None:
    arguments = (
        "generate", "--encoder", "vicreg", "--level", "backbone", "--count", 20, "--gallery", 40, "--steps", 1,
        "--out", tmp_path / "run",
    )  # fmt: skip
    result = command(*arguments)
    assert result.exit_code == 0, result.output
    assert "Finding 4, neighbourhood" in result.output
    folder = tmp_path / "run"
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    facts = json.loads((folder / "run.json").read_text())
    assert facts["arguments"]["features"] == "judge"
    records = pd.read_parquet(folder / "records.parquet")
    made = planted(PROBE, records, features_card=facts["features_card"])
    for name, table in made.tables.items():
        kept = pd.read_csv(folder / "tables" / f"{name}.csv", keep_default_na=False)
        pd.testing.assert_frame_equal(kept, table, check_dtype=False, rtol=1e-9)
    assert not tables_left_out(folder)


def test_mistakes_get_one_line(command: Callable[..., Result]) -> None:
    result = command("generate", "--encoder", "vicreg", "--rcdm", "none")
    assert result.exit_code == 2
    assert "there is nothing to draw with" in result.stderr


def test_it_is_found_by_its_one_name() -> None:
    assert load_probe("generate") is PROBE
    assert (PROBE.name, PROBE.settings.__name__) == ("generate", "Generate")
