"""Transformations keep images images, do nothing at dose 0, and do at their dose what their name says."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from probes import transformations
from probes.invariance import PROBE
from probes.transformations import ERASED, TRANSFORMATIONS, Transformation, register
from rcdm_core.data.scenes import Scenes
from rcdm_core.fingerprint import code_fingerprint
from rcdm_probe import invariance
from rcdm_probe.conduct import prepare

every = pytest.mark.parametrize("entry", TRANSFORMATIONS.values(), ids=TRANSFORMATIONS.keys())
RANDOM = ("color_jitter", "crop", "noise", "erasing")


@pytest.fixture(scope="module")
def scenes() -> torch.Tensor:
    return Scenes("test").images(range(16))


def pictures(count: int, height: int, width: int) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


def test_there_are_the_thirteen_of_the_design() -> None:
    assert list(TRANSFORMATIONS) == [
        "vertical_shift", "zoom_out", "grayscale", "color_jitter", "horizontal_flip", "rotation", "crop", "blur",
        "brightness", "contrast", "hue", "noise", "erasing",
    ]  # fmt: skip


@every
def test_doses_ascend_and_hold_the_reference(entry: Transformation) -> None:
    assert list(entry.doses) == sorted(set(entry.doses))
    assert entry.doses[0] > 0
    assert entry.reference in entry.doses


@every
def test_dose_zero_is_the_identity_and_is_reached_without_a_jump(entry: Transformation, scenes: torch.Tensor) -> None:
    torch.testing.assert_close(entry.apply(scenes, 0.0, 3), scenes, atol=1e-5, rtol=0)
    torch.testing.assert_close(entry.apply(scenes, 1e-6, 3), scenes, atol=1e-3, rtol=0)


@every
@given(
    height=st.integers(2, 40),
    width=st.integers(2, 40),
    seed=st.integers(0, 2**31),
    which=st.floats(0, 1, exclude_max=True),
)
@settings(max_examples=15, deadline=None)
def test_images_of_any_size_stay_images(
    entry: Transformation, height: int, width: int, seed: int, which: float
) -> None:
    images = pictures(3, height, width)
    before = images.clone()
    result = entry.apply(images, entry.doses[int(which * len(entry.doses))], seed)
    assert result.shape == images.shape
    assert result.dtype == images.dtype
    assert torch.equal(images, before), "the input is left alone"
    assert result.min() >= 0
    assert result.max() <= 1


@every
def test_more_is_more(entry: Transformation, scenes: torch.Tensor) -> None:
    change = [(entry.apply(scenes, dose) - scenes).abs().mean().item() for dose in (0.0, *entry.doses)]
    assert change == sorted(change)
    assert change[-1] > 0.01


@every
def test_randomness_belongs_to_the_image_and_the_seed(entry: Transformation) -> None:
    images = pictures(1, 32, 32).expand(6, -1, -1, -1)
    result = entry.apply(images, entry.reference, seed=5)
    assert torch.equal(result, entry.apply(images, entry.reference, seed=5))
    part = entry.apply(images[:2], entry.reference, seed=5, numbers=(4, 1))
    torch.testing.assert_close(part, result[[4, 1]])
    alike = torch.allclose(result[0], result[1], atol=1e-6)
    other = torch.allclose(result, entry.apply(images, entry.reference, seed=6), atol=1e-6)
    assert (alike, other) == ((False, False) if entry.name in RANDOM else (True, True))


def test_vertical_shift_moves_down_whole_rows() -> None:
    images = pictures(2, 32, 32)
    moved = TRANSFORMATIONS["vertical_shift"].apply(images, 1 / 8)
    torch.testing.assert_close(moved[:, :, 4:], images[:, :, :-4], atol=1e-4, rtol=0)
    torch.testing.assert_close(moved[:, :, :4], images[:, :, :1].expand(-1, -1, 4, -1), atol=1e-4, rtol=0)


def test_zoom_out_shrinks_about_the_centre() -> None:
    images = torch.zeros(1, 3, 33, 33)
    images[:, :, 8:25, 8:25] = 1  # 17 pixels
    shrunk = TRANSFORMATIONS["zoom_out"].apply(images, 0.5)[0, 0]
    assert shrunk.sum().sqrt().item() == pytest.approx(17 / 2, abs=0.5)
    torch.testing.assert_close(shrunk, shrunk.flip(0, 1), atol=1e-4, rtol=0)


def test_rotation_of_a_right_angle_is_the_transpose_flipped() -> None:
    images = pictures(1, 16, 16)
    torch.testing.assert_close(
        TRANSFORMATIONS["rotation"].apply(images, 90.0), torch.rot90(images, -1, (2, 3)), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("dose", TRANSFORMATIONS["crop"].doses)
def test_crop_keeps_its_area_and_stays_inside(dose: float) -> None:
    line = torch.linspace(0, 1, 64)
    images = torch.stack([line.expand(64, 64), line[:, None].expand(64, 64), torch.zeros(64, 64)]).expand(
        20, -1, -1, -1
    )
    cropped = TRANSFORMATIONS["crop"].apply(images, dose)
    width, height = ((cropped[:, i].amax((1, 2)) - cropped[:, i].amin((1, 2))) for i in (0, 1))
    torch.testing.assert_close(width * height, torch.full((20,), 1 - dose), atol=1e-3, rtol=0)
    assert cropped[:, 0, 0, 0].std() > 0.05 * dose


def test_grayscale_has_no_colour_and_flip_undoes_itself(scenes: torch.Tensor) -> None:
    grey = TRANSFORMATIONS["grayscale"].apply(scenes, 1.0)
    assert (grey.amax(1) - grey.amin(1)).max() < 1e-6
    flip = TRANSFORMATIONS["horizontal_flip"]
    assert torch.equal(flip.apply(scenes, 1.0), scenes.flip(-1))


def test_hue_turns_red_into_cyan_and_comes_round(scenes: torch.Tensor) -> None:
    hue = TRANSFORMATIONS["hue"]
    red = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1)
    assert hue.apply(red, 0.5).flatten().tolist() == pytest.approx([0, 1, 1], abs=1e-4)
    torch.testing.assert_close(hue.apply(scenes, 1.0), scenes, atol=1e-4, rtol=0)


def test_blur_is_relative_to_the_size() -> None:
    edge = torch.zeros(1, 3, 128, 128)
    edge[..., 64:] = 1
    small = torch.nn.functional.avg_pool2d(edge, 4)
    blur = TRANSFORMATIONS["blur"]
    large = torch.nn.functional.avg_pool2d(blur.apply(edge, 1.5), 4)
    torch.testing.assert_close(large, blur.apply(small, 1.5), atol=0.05, rtol=0)


def test_noise_has_its_sigma() -> None:
    grey = torch.full((4, 3, 32, 32), 0.5)
    assert (TRANSFORMATIONS["noise"].apply(grey, 0.1) - grey).std().item() == pytest.approx(0.1, rel=0.03)


def test_erasing_covers_its_area() -> None:
    erased = TRANSFORMATIONS["erasing"].apply(torch.zeros(50, 3, 64, 48), 0.2)
    assert set(erased.unique().tolist()) == {0.0, ERASED}
    assert (erased > 0).float().mean().item() == pytest.approx(0.2, rel=0.05)


def test_brightness_and_contrast() -> None:
    images = 0.3 + 0.2 * pictures(2, 8, 8)
    torch.testing.assert_close(TRANSFORMATIONS["brightness"].apply(images, 0.2), images + 0.2)
    flat = TRANSFORMATIONS["contrast"].apply(images, 0.9)
    torch.testing.assert_close(flat.std((1, 2, 3)), 0.1 * images.std((1, 2, 3)), rtol=0.3, atol=0)


def test_colour_jitter_comes_in_many_orders_and_stays_near(scenes: torch.Tensor) -> None:
    image = scenes[:1].expand(100, -1, -1, -1)
    jittered = TRANSFORMATIONS["color_jitter"].apply(image, 0.5)
    assert len(jittered.flatten(1).mul(1e4).round().unique(dim=0)) == 100
    assert (jittered - image).abs().mean() < 0.3


OWN = """
from functools import partial

def by(images, dose, draws, step=1):
    return images * {factor}

function = {function}
"""


def own(folder: Path, factor: str = "2", function: str = "by", doses: tuple[float, ...] = (0.5,)) -> Transformation:
    """A transformation whose function stands in a file of the user."""
    (path := folder / "own.py").write_text(OWN.format(factor=factor, function=function))
    made = ModuleType("own")
    exec(compile(path.read_text(), str(path), "exec"), vars(made))
    return Transformation("own", "own", "dose", doses, doses[0], made.function)


def test_what_is_registered_is_known_by_its_code_and_numbers_of_another_are_not_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transformations, "_ENTRIES", entries := {**transformations._ENTRIES})
    monkeypatch.setattr("probes.invariance.TRANSFORMATIONS", entries)

    sizes = {"rcdm": "none", "images": 20, "gallery": 20, "level": "backbone", "transformations": ("own",)}

    def known(entry: Transformation) -> str:
        entries.pop("own", None)
        monkeypatch.setattr(transformations, "REGISTERED", registered := {})
        monkeypatch.setattr("probes.invariance.REGISTERED", registered)
        register(entry)
        return prepare(PROBE, "vicreg", **sizes).facts["hashes"]["transformation own"]

    def moved(entry: Transformation) -> tuple[str, float]:
        known(entry)
        found = invariance("vicreg", **sizes, workdir=tmp_path / "parts")
        return found.run["hashes"]["transformation own"], found.records.query("strength > 0")["value"].sum()

    first = moved(own(tmp_path))
    assert moved(own(tmp_path)) == first
    others = [known(own(tmp_path, factor="3")), known(own(tmp_path, function="partial(by, step=2)"))]
    others.append(known(own(tmp_path, doses=(0.25,))))
    assert len({first[0], *others}) == 4
    assert moved(own(tmp_path, factor=".5"))[1] != first[1]


def test_functions_of_no_file_are_known_by_their_lines(tmp_path: Path) -> None:
    made = [
        Transformation("own", "own", "dose", (1.0,), 1.0, eval(f"lambda x, dose, draws: x * {n}")) for n in (2, 2, 3)
    ]
    first, again, other = map(code_fingerprint, made)
    assert first == again != other
