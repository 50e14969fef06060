"""Occlusion: what a planted encoder looks at is found, and what a cover does by itself is told from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from left_behind import tables_left_out
from probing import measured, planted
from torch import nn
from typer.testing import Result

from analyses.records import COLUMNS, records
from probes.occlusion import COVERS, PROBE, Occlusion, agreement, area, concentration, touched_by
from rcdm_core.data.imageset import ImageSet
from rcdm_core.data.registry import load_data
from rcdm_core.encoders.encoder import PATCHES, Encoder, with_layers
from rcdm_core.errors import UserError


class Corner(nn.Module):
    """Sees the upper left quarter at the level ``projector``, the whole image at ``backbone``."""

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        half = images.shape[-1] // 2
        whole = nn.functional.adaptive_avg_pool2d(images, 8)
        return {"backbone": whole.flatten(1), "projector": images[..., :half, :half].mean((2, 3))}


def encoder(trunk: nn.Module) -> Encoder:
    levels = trunk(torch.rand(2, 3, 32, 32))
    dimensions = {level: h.shape[1] for level, h in levels.items()}
    return Encoder("planted", preprocess=nn.Identity(), trunk=trunk, projector=None, dimensions=dimensions, is_ssl=True)


@pytest.fixture(scope="module")
def scenes() -> ImageSet:
    return load_data("scenes", image_size=32, limit=120, seed=0)


SMALL = Occlusion(images=24, places=4, gallery=60, pictures=3, batch_size=10)


@pytest.mark.parametrize("size, places", [(32, 8), (33, 8), (224, 7), (5, 5), (31, 2)])
def test_places_cover_an_image_once(size: int, places: int) -> None:
    areas = torch.stack([area(size, place, places) for place in range(places**2)])
    assert (areas.sum(0) == 1).all()
    assert areas.sum((1, 2)).min() > 0


@pytest.mark.parametrize("cover", COVERS)
def test_a_cover_depends_on_its_own_image_alone(cover: str) -> None:
    images = torch.rand(3, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    hidden = COVERS[cover](images)
    assert hidden.shape == images.shape
    assert hidden.min() >= 0
    assert hidden.max() <= 1
    torch.testing.assert_close(COVERS[cover](images[1:2]), hidden[1:2])


def test_what_an_encoder_sees_is_lit_and_nothing_else(scenes: ImageSet) -> None:
    found = measured(PROBE, encoder(Corner()), scenes, SMALL)
    assert {name: str(kind) for name, kind in found.records.dtypes.items()} == COLUMNS
    assert not found.records.duplicated([name for name in COLUMNS if name != "value"]).any()
    for where in found.maps:
        seen = where.values[where.labels.index("projector")]
        assert (seen[:2, :2] > 0).all()
        assert seen[2:].abs().max() == seen[:, 2:].abs().max() == 0
    (verdict,) = found.verdicts
    assert (verdict.word, verdict.finding, verdict.heading) == ("supported", 0, "Beyond the paper, fewer places")
    table = found.tables["places"].set_index(["level", "cover"])
    assert table.loc[("projector", "grey"), "concentration"] == pytest.approx(1)  # a quarter of the places is all
    by_hand = found.records.query("level == 'projector' and condition == 'grey'").groupby("image")["value"].max()
    assert table.loc[("projector", "grey"), "largest"] == pytest.approx(by_hand.median())


def test_a_level_that_is_blind_to_colour_is_not_moved_by_the_mean_colour(scenes: ImageSet) -> None:
    class Texture(nn.Module):
        def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"backbone": images.mean((2, 3))}

    found = measured(PROBE, encoder(Texture()), scenes, SMALL)
    moved = found.tables["places"].set_index("cover")["average"]
    assert moved["grey"] > moved["mean colour"] > 0
    assert not found.verdicts  # one level alone is compared with nothing


def test_the_same_in_parts_and_after_a_stop(scenes: ImageSet, tmp_path: Path) -> None:
    at_once = measured(PROBE, encoder(Corner()), scenes, Occlusion(images=24, places=4, gallery=60, pictures=3))
    parts = measured(PROBE, encoder(Corner()), scenes, SMALL, workdir=tmp_path)
    kept = sorted(tmp_path.iterdir())
    assert len(kept) == 3  # blocks of at most ten images
    kept[1].unlink()
    again = measured(PROBE, encoder(Corner()), scenes, SMALL, workdir=tmp_path)
    pd.testing.assert_frame_equal(parts.records, again.records, check_exact=True)
    pd.testing.assert_frame_equal(parts.records, at_once.records, rtol=1e-5)


def test_numbers_of_single_images() -> None:
    values = np.array([[0, 0, 0, 1.0], [1, 1, 1, 1], [0, 0, 0, 0]])
    assert concentration(values).tolist() == [1.0, 0.25, 0.25]
    assert concentration(np.ones((1, 9))).tolist() == [0.25]  # as a report says, though four do not divide the places
    assert agreement(values, values).tolist() == [1.0, 0.0, 0.0]
    assert agreement(np.array([[1.0, 2, 3]]), np.array([[9.0, 4, 1]])).tolist() == [-1.0]


class Mosaic(nn.Module):
    """Its token at each place is the mean colour of eight by eight pixels, or that of the whole image."""

    def __init__(self, reach: int) -> None:
        super().__init__()
        self.places = nn.Sequential(nn.AvgPool2d(reach), nn.Upsample(size=4))

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"backbone": self.places(images).mean((2, 3))}


@pytest.mark.parametrize("reach, share", [(8, 0), (32, 15 / 16)])
def test_tokens_move_where_the_cover_is_or_everywhere(scenes: ImageSet, reach: int, share: float) -> None:
    found = measured(PROBE, with_layers(encoder(Mosaic(reach)), [PATCHES]), scenes, SMALL)
    table = found.tables["spread"].set_index("cover")
    assert table["elsewhere"].min() >= 0
    assert table["outside"].tolist() == pytest.approx([share] * 3, abs=1e-6)
    assert table["even"].tolist() == pytest.approx([15 / 16] * 3)
    (around,) = (where.values for where in found.maps if where.name == "spread")
    assert around.shape == (3, 4, 4)
    assert (around[:, 2, 2] > 0).all()
    torch.testing.assert_close(around[:, 0, 0], (share > 0) * around[:, 2, 2])
    covered, elsewhere = (table[name] for name in ("covered", "elsewhere"))
    assert elsewhere.tolist() == pytest.approx((covered * (share > 0)).tolist(), abs=1e-6)
    assert found.names["tokens"]


def test_places_that_the_preprocessing_cuts_away_cover_no_token() -> None:
    cropping = with_layers(encoder(Mosaic(8)), [PATCHES])
    cropping.preprocess = nn.Sequential(nn.ZeroPad2d(-8), nn.Upsample(scale_factor=2))
    areas = torch.stack([area(32, place, 4) for place in range(16)])
    touched = touched_by(cropping, areas)
    assert touched.sum((1, 2)).tolist() == [0, 0, 0, 0, 0, 4, 4, 0, 0, 4, 4, 0, 0, 0, 0, 0]
    assert touched[5, :2, :2].all()


@pytest.mark.parametrize(
    "shares, word",
    [
        ({"grey": 0.2, "mean colour": 0.2, "blur": 0.2}, "supported"),
        ({"grey": 0.2, "mean colour": 0.2, "blur": 0.0}, "inconclusive"),  # a cover alone decides nothing
        ({"grey": -0.2, "mean colour": -0.2, "blur": -0.2}, "not supported"),
    ],
)
def test_planted_shares_get_their_words(shares: dict[str, float], word: str) -> None:
    rng = np.random.default_rng(0)
    lines = []
    for level, more in (("backbone", 0.0), ("projector", 1.0)):
        for cover, gain in shares.items():
            share = np.clip(0.5 + more * gain + rng.normal(0, 0.05, 60), 0.3, 0.95)
            values = np.stack([share, *[(1 - share) / 3] * 3])
            lines += [
                records("occluded", of, np.arange(60), encoder="p", level=level, condition=cover, strength=place)
                for place, of in enumerate(values)
            ]
    (verdict,) = planted(PROBE, pd.concat(lines, ignore_index=True)).verdicts
    assert verdict.word == word


@pytest.mark.parametrize(
    "wrong, says", [({"images": 3}, "at least 20"), ({"places": 1}, "at least 2"), ({"images": 119}, "at most 100")]
)
def test_what_makes_no_sense_is_refused(scenes: ImageSet, wrong: dict[str, int], says: str) -> None:
    with pytest.raises(UserError, match=says):
        measured(PROBE, encoder(Corner()), scenes, Occlusion(**wrong))
    with pytest.raises(UserError, match="at most 32"):
        measured(PROBE, encoder(Corner()), scenes, Occlusion(images=20, places=40))


def test_the_command_leaves_a_whole_run(command: Callable[..., Result], tmp_path: Path) -> None:
    arguments = ("--encoder", "vicreg", "--images", 20, "--gallery", 40, "--places", 2, "--out", tmp_path / "run")
    result = command("occlusion", *arguments)
    assert result.exit_code == 0, result.output
    assert "Beyond the paper, fewer places" in result.output
    folder = tmp_path / "run"
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    facts = json.loads((folder / "run.json").read_text())
    assert (facts["probe"], facts["arguments"]["places"]) == ("occlusion", 2)
    assert "rcdm" not in facts["arguments"]  # nothing is drawn
    names = {path.name for path in (folder / "figures").iterdir()}
    assert {"lit.png", "where-grey.svg", "where-mean-colour.png", "where-blur.png"} <= names
    assert not tables_left_out(folder)
