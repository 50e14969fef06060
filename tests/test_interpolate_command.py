"""``rcdm-probe interpolate`` from arguments to what it leaves behind, drawn by a tiny RCDM of random weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from left_behind import tables_left_out
from PIL import Image
from typer.testing import Result

from analyses import interpolation as analysis
from rcdm_core.data.given import open_given
from rcdm_core.data.scenes import Scenes
from rcdm_core.encoders import load_encoder
from rcdm_core.errors import UserError
from rcdm_core.rcdm import save_rcdm
from rcdm_core.rcdm.diffusion import build_schedule
from rcdm_core.rcdm.network import Denoiser, NetworkSettings

Command = Callable[..., Result]

TABLES = {
    "orders": analysis.order_table,
    "factors": analysis.factor_table,
    "trajectories": analysis.trajectory_table,
    "classes": analysis.class_table,
    "distances": analysis.distance_table,
    "approach": analysis.approach_table,
    "comparison": analysis.comparison_table,
}
BRIEF = ("--points", 4, "--steps", 1)
SMALL = (*BRIEF, "--pairs", 10, "--pictures", 1)


@pytest.fixture(scope="module")
def rcdm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an RCDM of an embedded encoder's backbone."""
    torch.manual_seed(0)
    encoder = load_encoder("vicreg")
    shape = NetworkSettings(image_size=32, patch=4, channels=(32, 32), attention=(False, False))
    denoiser = Denoiser(shape, {"vicreg/backbone": encoder.dimensions["backbone"]})
    folder = tmp_path_factory.mktemp("tiny")
    save_rcdm(denoiser, build_schedule(), folder, card={})
    return folder


def saved(path: Path, width: int, height: int, seed: int) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((width, height)).save(path)
    return path


def test_many_pairs_leave_a_whole_run(command: Command, rcdm: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = command("interpolate", "-e", "vicreg", "--rcdm", rcdm, *SMALL, "--out", out)
    assert result.exit_code == 0, result.output
    assert "Finding 4, interpolation" in result.output
    assert (out / "report.pdf").read_bytes().startswith(b"%PDF")
    facts = json.loads((out / "run.json").read_text())
    assert facts["finished"]
    assert facts["probe"] == "interpolation"
    assert all(len(facts["hashes"][name]) == 64 for name in ("encoder", "rcdm", "judge", "data"))
    names = {path.stem for path in (out / "tables").glob("*.csv")}
    assert names >= {"orders", "factors", "trajectories", "distances", "approach", "comparison", "verdicts"}
    document = json.loads((out / "report.json").read_text())
    assert any("does not know this level" in str(section) for section in document["sections"])  # the projector
    figures = [block["path"] for section in document["sections"] for block in section["blocks"] if "path" in block]
    assert all((out / path).is_file() for path in figures)
    assert not tables_left_out(out)

    records = pd.read_parquet(out / "records.parquet")
    for name, table in TABLES.items():
        again = table(records)
        if len(again):
            pd.testing.assert_frame_equal(pd.read_csv(out / "tables" / f"{name}.csv"), again, check_dtype=False)
    (verdict,) = analysis.interpolation_verdicts(records, is_ssl=True)
    kept = pd.read_csv(out / "tables" / "verdicts.csv").iloc[0]
    assert (kept["word"], kept["aspect"], kept["level"]) == (verdict.word, "interpolation", "backbone")


def test_two_files_of_different_sizes_make_a_strip(command: Command, rcdm: Path, tmp_path: Path) -> None:
    first, second = saved(tmp_path / "a.png", 40, 70, 0), saved(tmp_path / "b #1.jpg", 90, 32, 1)
    out = tmp_path / "run"
    result = command(
        "interpolate", first, second, "-e", "vicreg", "-l", "backbone", "--rcdm", rcdm, "--path", "spherical", *BRIEF,
        "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert (out / "figures" / "strip-1.png").is_file()
    facts = json.loads((out / "run.json").read_text())
    assert facts["arguments"]["given"] == [str(first), str(second)]
    assert facts["command"].startswith(f"rcdm-probe interpolate {first} '{second}' --encoder vicreg")
    records = pd.read_parquet(out / "records.parquet")
    assert set(records["image"]) == {-1}  # of the user, and no image of the data set
    assert set(records[records["measure"] == "offset"]["condition"]) == {"spherical", "cross-fade"}
    document = json.loads((out / "report.json").read_text())
    assert document["verdicts"] == []
    assert "judge reads off them" in str(document)


@pytest.mark.parametrize(
    "arguments, says",
    [
        (("here.png", "gone.png"), "cannot read gone.png as an image"),
        (("here.png",), "1 images were given"),
        (("here.png", "scenes:99999"), "there is no scene '99999'"),
        (("--rcdm", "none"), "there is nothing to draw with"),
        (("--path", "straight"), "unknown path 'straight'"),
        (("--points", 3), "too little between its ends"),
    ],
)
def test_mistakes_get_one_line(command: Command, arguments: tuple[object, ...], says: str, tmp_path: Path) -> None:
    saved(tmp_path / "here.png", 40, 40, 0)
    result = command("interpolate", *arguments, "-e", "vicreg")
    assert result.exit_code == 2
    assert says in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_given_scenes_have_factors_and_files_have_none(tmp_path: Path) -> None:
    scenes = open_given(["scenes:3", "scenes:8"], image_size=32)
    torch.testing.assert_close(scenes.images, Scenes().images([3, 8]))
    assert scenes.factors is not None
    assert scenes.factors["hue"].tolist() == Scenes().factors([3, 8])["hue"].tolist()
    mixed = open_given(["scenes:3", saved(tmp_path / "a.png", 9, 50, 0)], image_size=16)
    assert mixed.images.shape == (2, 3, 16, 16)
    assert mixed.factors is None
    assert mixed.fingerprint != scenes.fingerprint
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(UserError, match="broken.png"):
        open_given([tmp_path / "broken.png", "scenes:0"], image_size=32)
