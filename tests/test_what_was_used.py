"""What a report says it rests on, where there are fewer images than were asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import rcdm_probe
from rcdm_core.data.scenes import Scenes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 images."""
    folder = tmp_path_factory.mktemp("images")
    for number, pixels in enumerate(Scenes()[range(60)]):
        Image.fromarray((pixels * 255).byte().permute(1, 2, 0).numpy()).save(folder / f"{number:02}.png")
    return folder


def test_captions_tell_how_many_others_gave_the_unit(folder: Path) -> None:
    found = rcdm_probe.occlusion("vicreg", folder, levels=("backbone",), images=24, places=2)
    assert found.names["gallery"] == "36"
    corrupted = rcdm_probe.corruptions("vicreg", folder, images=24, corruptions=("contrast",))
    assert corrupted.names["gallery"] == "36"


def test_captions_tell_of_how_many_images_distances_were_ranked(folder: Path) -> None:
    found = rcdm_probe.similarity("vicreg", folder, images=24)
    assert found.names["ranked"] == "24"


def test_captions_tell_on_how_many_images_the_untrained_was_attacked(folder: Path) -> None:
    found = rcdm_probe.adversarial(
        "vicreg", folder, images=20, attacks=("Displacement",), attack_steps=1, restarts=1, checked=4, rcdm="none",
        training=20, eps=(1.0,),
    )  # fmt: skip
    assert found.names["floor"] == 20


def test_the_error_of_the_unit_is_in_intervals_of_occlusion(folder: Path) -> None:
    found = rcdm_probe.occlusion("vicreg", folder, levels=("backbone",), images=24, places=2)
    error = found.measured("unit_error")["value"].item()
    assert 0.01 < error < 0.1
    row = found.tables["places"].iloc[0]
    assert row["average_high"] - row["average"] >= 1.96 * error * row["average"]
