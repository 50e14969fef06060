"""The probe measures what was planted: encoders whose invariances are known by construction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch
from planted_encoders import encoder, mean_colour, pixels, top_row
from probing import measured, opened
from sklearn.metrics import roc_auc_score
from torch import nn

from analyses.records import COLUMNS
from probes import page
from probes.invariance import PROBE, Invariance, token_maps, variance_of
from probes.invariance import opened as looked_at
from probes.rendering import starting_noise
from probes.stages import Stages
from probes.transformations import TRANSFORMATIONS
from rcdm_core.data.registry import load_data
from rcdm_core.distances import retrieval_ranks
from rcdm_core.encoders.encoder import PATCHES, with_layers
from rcdm_core.errors import UserError
from rcdm_core.rcdm import RCDM
from rcdm_core.rcdm.diffusion import build_schedule
from rcdm_core.rcdm.network import Denoiser, NetworkSettings
from rcdm_core.readout import r2
from rcdm_probe import invariance
from rcdm_probe.conduct import Result

if TYPE_CHECKING:
    from pathlib import Path

    from rcdm_core.data.imageset import ImageSet


def mirrored(images: torch.Tensor) -> torch.Tensor:
    return pixels(images + images.flip(-1))


@pytest.fixture(scope="module")
def scenes() -> ImageSet:
    return load_data("scenes", image_size=32, limit=300, seed=0)


SMALL = Invariance(images=80, gallery=160, rendered=60, varied=4, samples=3, pictures=2, compared=1, steps=2)


@pytest.fixture(scope="module")
def found(scenes: ImageSet) -> Result:
    """Backbone: coarse pixels, symmetric in the mirror. Projector: their mean colour alone."""
    planted = encoder("planted", mirrored, lambda h: h.unflatten(1, (3, 8, 8)).mean((2, 3)))
    return measured(PROBE, planted, scenes, SMALL)


def values(
    records: pd.DataFrame, measure: str, level: str, condition: str, strength: float | None = None
) -> np.ndarray:
    rows = records.query("measure == @measure and level == @level and condition == @condition")
    return rows.loc[rows["strength"] == strength if strength is not None else rows.index, "value"].to_numpy()


def readable(records: pd.DataFrame, level: str, condition: str) -> float:
    reference = TRANSFORMATIONS[condition].reference
    untouched, applied = (values(records, "applied_score", level, condition, s) for s in (0.0, reference))
    return roc_auc_score(np.repeat([0, 1], len(untouched)), np.concatenate([untouched, applied]))


def test_records_are_tidy(found: Result) -> None:
    records = found.records
    assert {name: str(kind) for name, kind in records.dtypes.items()} == COLUMNS
    assert not records.duplicated([name for name in COLUMNS if name != "value"]).any()
    assert records["value"].notna().all()
    counts = records.groupby("measure").size()
    doses = sum(len(entry.doses) for entry in TRANSFORMATIONS.values())
    assert counts["relative_displacement"] == counts["cosine"] == counts["rank"] == SMALL.images * 2 * doses
    assert counts["applied_score"] == SMALL.images * 2 * 2 * 13
    assert counts["strength_predicted"] == SMALL.images * 2 * (doses + 13)
    assert counts["true"] == SMALL.images * 12
    assert counts["present"] == SMALL.images * 2 * 12


def test_an_exact_invariance_is_found_and_nothing_of_it_can_be_read(found: Result) -> None:
    for level in ("backbone", "projector"):
        assert values(found.records, "relative_displacement", level, "horizontal_flip").max() < 1e-5
        assert values(found.records, "cosine", level, "horizontal_flip").min() > 1 - 1e-6
        assert (values(found.records, "rank", level, "horizontal_flip") == 1).all()
        assert readable(found.records, level, "horizontal_flip") == pytest.approx(0.5, abs=0.02)


def test_invariance_to_shifts_is_found_whatever_else_moves(scenes: ImageSet) -> None:
    settings = Invariance(images=100, gallery=200, transformations=("vertical_shift", "horizontal_flip"))
    records = measured(PROBE, encoder("top", top_row), scenes, settings).records
    assert values(records, "relative_displacement", "backbone", "vertical_shift").max() < 1e-4
    assert readable(records, "backbone", "vertical_shift") == pytest.approx(0.5, abs=0.03)
    doses = records.query("measure == 'strength_predicted' and condition == 'vertical_shift'")
    assert abs(r2(torch.tensor(doses["strength"].to_numpy()), torch.tensor(doses["value"].to_numpy()))) < 0.02
    assert np.mean(values(records, "relative_displacement", "backbone", "horizontal_flip")) > 0.05


def test_mean_colour_sees_the_hue_and_hardly_the_blur(found: Result) -> None:
    hue = values(found.records, "relative_displacement", "projector", "hue", 0.25)
    assert np.median(hue) > 0.3
    assert np.median(values(found.records, "relative_displacement", "projector", "blur", 0.75)) < 0.02
    assert readable(found.records, "projector", "brightness") > readable(found.records, "projector", "blur")


def test_the_dose_is_read_where_it_is_written(scenes: ImageSet) -> None:
    """Roughness, the mean absolute difference of neighbours, grows with noise; mean colour does not."""

    def roughness(images: torch.Tensor) -> torch.Tensor:
        return torch.cat([mean_colour(images), images.diff(dim=-1).abs().mean((1, 2, 3))[:, None]], 1)

    settings = Invariance(images=120, gallery=120, transformations=("noise",))
    records = measured(PROBE, encoder("rough", roughness, lambda h: h[:, :3]), scenes, settings).records
    scores = {}
    for level in ("backbone", "projector"):
        rows = records.query("measure == 'strength_predicted' and level == @level")
        scores[level] = r2(torch.tensor(rows["strength"].to_numpy()), torch.tensor(rows["value"].to_numpy()))
    assert scores["backbone"] > 0.9
    assert scores["projector"] < 0.1
    assert readable(records, "backbone", "noise") > 0.95


def test_displacement_of_pixels_grows_with_the_dose(found: Result) -> None:
    for name in ("vertical_shift", "blur", "noise", "erasing", "grayscale"):
        medians = [
            np.median(values(found.records, "relative_displacement", "backbone", name, dose))
            for dose in TRANSFORMATIONS[name].doses
        ]
        assert medians == sorted(medians)


def test_pixels_as_representation_give_the_displacement_computed_by_hand(scenes: ImageSet) -> None:
    settings = Invariance(images=60, gallery=200, transformations=("brightness",), levels=("backbone",))
    records = measured(PROBE, encoder("pixels", pixels), scenes, settings).records
    rows = records.query("measure == 'relative_displacement' and strength == 0.2").set_index("image")["value"]
    assert rows.index.is_unique
    places = {number: place for place, number in enumerate(scenes.numbers)}  # records name images by their data set
    images = scenes.images([places[number] for number in rows.index])
    h, moved = pixels(images), pixels((images + 0.2).clamp(max=1))
    gallery = pixels(scenes.images(np.random.default_rng(0).permutation(len(scenes))[:200]))
    torch.testing.assert_close(gallery[:60].sort(0).values, h.sort(0).values)  # the others give the unit
    expected = (moved - h).norm(dim=1) / torch.pdist(gallery[60:]).median()
    np.testing.assert_allclose(rows.to_numpy(), expected.numpy(), rtol=1e-3)
    ranks = records.query("measure == 'rank' and strength == 0.2")["value"].to_numpy()
    assert (ranks <= 200).all()
    assert (ranks >= retrieval_ranks(moved, h, torch.arange(60)).numpy()).all()


def test_maps_show_where_transformations_move_tokens(scenes: ImageSet) -> None:
    planted = encoder("mosaic", nn.Sequential(nn.AvgPool2d(8), nn.Flatten()))
    planted = with_layers(planted, [PATCHES])
    names = ("horizontal_flip", "brightness", "erasing", "blur", "hue", "noise")
    settings = Invariance(images=40, gallery=40, transformations=names, levels=(PATCHES,))
    run = opened(PROBE, planted, scenes, settings)
    maps = list(token_maps(run, looked_at(run, settings)))
    assert [one.labels for one in maps] == [("brightness", "erasing", "blur", "hue"), ("noise",)]  # that keep places
    images = scenes.images(np.random.default_rng(0).permutation(300)[:40])
    tokens = planted.grid(images)
    apart = [torch.pdist(tokens[:, :, row, column]) for row, column in np.ndindex(4, 4)]
    now = planted.grid(TRANSFORMATIONS["brightness"].apply(images, 0.2))
    by_hand = (now - tokens).square().sum(1).sqrt().mean(0) / torch.cat(apart).median()
    torch.testing.assert_close(maps[0].values[0], by_hand)


def test_factors_present(found: Result) -> None:
    """Mean colour holds the background's brightness, not the garment's place."""

    def score(level: str, name: str) -> float:
        true = found.records.query("measure == 'true' and condition == @name")["value"].to_numpy()
        return r2(torch.tensor(true), torch.tensor(values(found.records, "present", level, name)))

    assert score("projector", "brightness") > 0.5
    assert score("projector", "x") < 0.1
    assert score("projector", "background_hue.cos") > 0.3
    assert score("backbone", "direction.sin") > 0.2
    assert set(values(found.records, "present", "backbone", "class")) <= set(range(10))


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(scenes: ImageSet) -> None:
    planted = encoder("pixels", pixels)
    settings = {"images": 20, "gallery": 30, "transformations": ("noise", "crop")}
    first, again, other = (
        measured(PROBE, planted, scenes, Invariance(seed=seed, **settings)).records for seed in (0, 0, 1)
    )
    pd.testing.assert_frame_equal(first, again)
    assert set(first["image"]) != set(other["image"])


def test_noise_that_ignores_the_image_is_as_far_as_another_image(scenes: ImageSet) -> None:
    generator = torch.Generator().manual_seed(0)
    random = encoder("random", lambda images: torch.randn(len(images), 50, generator=generator))
    settings = Invariance(images=100, gallery=200, transformations=("blur",))
    records = measured(PROBE, random, scenes, settings).records
    assert np.median(values(records, "relative_displacement", "backbone", "blur")) == pytest.approx(1, abs=0.1)
    assert np.mean(values(records, "rank", "backbone", "blur")) == pytest.approx(100, abs=20)
    assert readable(records, "backbone", "blur") == pytest.approx(0.5, abs=0.12)


def test_a_constant_encoder_is_named_as_collapsed(scenes: ImageSet) -> None:
    with pytest.raises(UserError, match="constant.*same representation|collapsed"):
        measured(PROBE, encoder("constant", lambda images: torch.ones(len(images), 8)), scenes, SMALL)


def test_nan_that_only_transformed_images_bring_is_an_error(scenes: ImageSet) -> None:
    def fragile(images: torch.Tensor) -> torch.Tensor:
        colourless = (images.amax(1) - images.amin(1)).amax((1, 2)) < 1e-6
        return torch.where(colourless[:, None], torch.nan, mean_colour(images))

    with pytest.raises(UserError, match="NaN"):
        measured(PROBE, encoder("fragile", fragile), scenes, Invariance(images=40, transformations=("grayscale",)))


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"level": "backbon"}, "did you mean backbone"),
        ({"solver": "dpm"}, "unknown solver"),
    ],
)
def test_wrong_names_are_refused_at_once(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        invariance(encoder("pixels", pixels), rcdm="none", **wrong)


def test_unknown_augmentations_of_training_are_refused(scenes: ImageSet) -> None:
    with pytest.raises(UserError, match="training augmentation .*grayscal.*did you mean grayscale"):
        measured(PROBE, encoder("colour", mean_colour, trained=("grayscal",)), scenes, SMALL)


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(UserError, match="rotation"):
        Invariance(transformations=("rotatoin",))
    with pytest.raises(UserError, match="at least"):
        Invariance(images=3)
    for wrong in ((), ("blur", "crop", "blur")):
        with pytest.raises(UserError, match="at least one, and each once"):
            Invariance(transformations=wrong)
    with pytest.raises(UserError, match="compared: -1"):
        Invariance(compared=-1)


def decoder(conditions: dict[str, int], image_size: int = 32) -> RCDM:
    """The real network with random weights: what it draws is nothing, but it draws it from ``h``."""
    torch.manual_seed(0)
    shape = NetworkSettings(image_size=image_size, patch=4, channels=(32, 32), attention=(False, False))
    return RCDM(Denoiser(shape, conditions), schedule=build_schedule())


def test_decoder_and_encoder_must_match() -> None:
    planted = encoder("colour", mean_colour)
    with pytest.raises(UserError, match="3 dimensions.* 5"):
        invariance(planted, rcdm=decoder({"colour/backbone": 5}))
    with pytest.raises(UserError, match="colour/backbone"):
        invariance(planted, rcdm=decoder({"vicreg/backbone": 3}))


def test_levels_that_the_decoder_does_not_know_are_measured_without_it(scenes: ImageSet) -> None:
    planted = encoder("planted", mirrored, lambda h: h[:, :5])
    settings = replace(SMALL, images=20, gallery=20, transformations=("horizontal_flip",))
    result = measured(PROBE, planted, scenes, settings, rcdm=decoder({"planted/projector": 5}, image_size=16))
    assert set(result.records.query("measure == 'within_variance'")["level"]) == {"projector"}
    assert set(result.records.query("measure == 'cosine'")["level"]) == {"backbone", "projector"}
    panels = {panel.name: panel.images for panel in result.panels}
    assert "samples_backbone" not in panels
    assert {images.shape[-1] for name, images in panels.items() if name != "doses"} == {16}


def test_pictures_with_a_decoder(scenes: ImageSet) -> None:
    planted = encoder("planted", mirrored, lambda h: h[:, :5])
    rcdm = decoder({"planted/backbone": 192, "planted/projector": 5})
    few = ("horizontal_flip", "hue", "blur")
    settings = replace(SMALL, images=20, gallery=20, transformations=few)
    result = measured(PROBE, planted, scenes, settings, rcdm=rcdm)
    shapes = {panel.name: tuple(panel.images.shape[:2]) for panel in result.panels}
    assert shapes == {
        "doses": (3, 6),
        "samples_backbone": (2, 4),
        "samples_projector": (2, 4),
        "samples": (2, 7),
        "transformed_1": (3, 4),
        "training_augmentations": (3, 7),  # untouched, and the two of these transformations that are among them
    }
    assert lead(result, "training-augmentations").endswith("usually trained with.")
    assert all(0 <= panel.images.min() <= panel.images.max() <= 1 for panel in result.panels)
    assert [map_.values.shape for map_ in result.maps] == [(2, 32, 32)] * 2
    assert result.records.query("measure == 'within_variance'").groupby("level").size().tolist() == [4, 4]

    # The flip is invisible to this encoder: from equal noise the decoder draws the very same picture.
    compared = next(panel for panel in result.panels if panel.name == "transformed_1")
    flip = compared.columns.index("horizontal flip")
    torch.testing.assert_close(compared.images[1, flip], compared.images[1, 0], atol=0.02, rtol=0)
    assert (compared.images[0, flip] - compared.images[0, 0]).abs().max() > 0.1


def lead(result: Result, figure: str) -> str:
    """What the report calls a figure."""
    shown = [block for section in page.document(result)["sections"] for block in section["blocks"]]
    return next(block["lead"] for block in shown if block.get("path") == f"figures/{figure}.svg")


@pytest.mark.parametrize(
    "transformations, trained, shown",
    [
        (("blur", "crop"), ("crop", "hue"), {"training_augmentations": ("untouched", "crop")}),
        (("rotation",), (), {}),  # not one of those that are usual
    ],
)
def test_only_what_was_asked_for_is_shown(
    scenes: ImageSet, transformations: tuple[str, ...], trained: tuple[str, ...], shown: dict[str, tuple[str, ...]]
) -> None:
    planted, rcdm = encoder("colour", mean_colour, trained=trained), decoder({"colour/backbone": 3})
    settings = Invariance(
        images=20, gallery=20, varied=2, samples=2, pictures=1, compared=0, steps=1, transformations=transformations
    )
    result = measured(PROBE, planted, scenes, settings, rcdm=rcdm)
    panels = {panel.name: panel.rows for panel in result.panels}
    assert {name: rows for name, rows in panels.items() if name != "doses" and not name.startswith("samples")} == shown
    if shown:
        assert lead(result, "training-augmentations") == "What is left of the training augmentations."


def test_an_interrupted_measurement_goes_on_where_it_was(scenes: ImageSet, tmp_path: Path) -> None:
    planted, rcdm = encoder("colour", mean_colour), decoder({"colour/backbone": 3})
    settings = Invariance(
        images=20, gallery=30, varied=4, samples=3, pictures=2, compared=1, steps=2, transformations=("blur", "crop")
    )
    whole = measured(PROBE, planted, scenes, settings, rcdm=rcdm)

    class Stop(Exception):
        pass

    def interrupt(items, description, total=None):  # type: ignore[no-untyped-def]
        for number, item in enumerate(items):
            if description.startswith("sampling") and number == 0 and list(tmp_path.glob("samples-*")):
                raise Stop
            yield item

    with pytest.raises(Stop):
        measured(PROBE, planted, scenes, settings, rcdm=rcdm, workdir=tmp_path, progress=interrupt)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(kept) == 4  # two transformations, the factors, one batch of samples
    resumed = measured(PROBE, planted, scenes, settings, rcdm=rcdm, workdir=tmp_path)
    assert all(path.stat().st_mtime_ns == written for path, written in kept.items())
    pd.testing.assert_frame_equal(resumed.records, whole.records)
    for ours, theirs in zip(resumed.panels, whole.panels, strict=True):
        assert torch.equal(ours.images, theirs.images)


def test_no_loop_is_shown_within_itself(scenes: ImageSet) -> None:
    planted, rcdm = encoder("colour", mean_colour), decoder({"colour/backbone": 3})
    settings = Invariance(images=20, gallery=30, varied=2, samples=2, pictures=1, steps=1, transformations=("blur",))
    under_way, seen = list[str](), set[str]()

    def watched(items, description, total=None):  # type: ignore[no-untyped-def]
        assert description not in under_way
        under_way.append(description)
        yield from items
        under_way.remove(description)
        seen.add(description)

    measured(PROBE, planted, scenes, settings, rcdm=rcdm, progress=watched)
    assert "sampling from colour/backbone" in seen


def test_stages_keep_nothing_stale_and_nothing_half_written(tmp_path: Path) -> None:
    def broken() -> torch.Tensor:
        raise KeyboardInterrupt

    stages = Stages(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        stages.under("a").tensor("x", broken)
    assert not list(tmp_path.iterdir())
    assert stages.under("a").tensor("x", lambda: torch.ones(2)).sum() == 2
    assert stages.under("b").tensor("x", lambda: torch.zeros(2)).sum() == 0
    assert stages.under("a").tensor("x", broken).sum() == 2
    assert stages.under("a").under("b").key != stages.under("a", "b").key != stages.under("ab").key


def test_variance_splits_into_what_was_planted() -> None:
    generator = torch.Generator().manual_seed(0)
    image = 0.3 * torch.randn(400, 1, 3, 4, 4, generator=generator)
    draw = 0.1 * torch.randn(400, 5, 3, 4, 4, generator=generator)
    within, between = variance_of(image + draw)
    assert within.mean().item() == pytest.approx(0.01, rel=0.05)
    assert between.mean().item() == pytest.approx(0.09, rel=0.05)
    assert variance_of(draw)[1].mean().item() == pytest.approx(0, abs=3e-4)
    expected = (image + draw).mean(1).var(0).mean(0) - within.mean(0) / draw.shape[1]
    torch.testing.assert_close(between.mean(0), expected, rtol=1e-4, atol=1e-6)  # of the set, as what its images add


def test_starting_noise_belongs_to_image_and_sample() -> None:
    noise = starting_noise(16, [(3, 0), (3, 1), (4, 0)], seed=0)
    assert torch.equal(starting_noise(16, [(4, 0), (3, 0)], seed=0), noise[[2, 0]])
    assert len(noise.flatten(1).unique(dim=0)) == 3
    assert noise.std().item() == pytest.approx(1, abs=0.05)
