"""The tables recover what was planted in the records, from the records alone and in any order of rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from planted_content import content
from planted_records import DOSES, REFERENCE, planted_records
from planted_records import found as found_in
from sklearn.metrics import r2_score, roc_auc_score

from analyses.bootstrap import LEVEL
from analyses.findings import word_of_gain
from analyses.tables import by_image
from probes.invariance import ENOUGH, PLAIN, PROBE, Scale, difference, in_short, references

TABLES = tuple(PROBE.tables)


def tabulated(name: str, records: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    return PROBE.tables[name](found_in(records, seed=seed))


@pytest.fixture(scope="module")
def records() -> pd.DataFrame:
    return planted_records({"backbone": 0.4, "projector": 0.05})


@pytest.fixture(scope="module")
def whole(records: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Every table of these records."""
    return {name: tabulated(name, records) for name in TABLES}


def select(records: pd.DataFrame, **wanted: object) -> np.ndarray:
    return records.loc[np.logical_and.reduce([records[name] == value for name, value in wanted.items()]), "value"]


def row(table: pd.DataFrame, **wanted: object) -> pd.Series:
    chosen = table[np.logical_and.reduce([table[name] == value for name, value in wanted.items()])]
    assert len(chosen) == 1
    return chosen.iloc[0]


def test_displacement(records):
    table = tabulated("displacement", records)
    assert len(table) == 2 * sum(map(len, DOSES.values()))
    found = row(table, level="backbone", condition="crop", strength=0.8)
    raw = {"level": "backbone", "condition": "crop", "strength": 0.8}
    rank = select(records, measure="rank", **raw)
    for name, expected in {
        "relative_displacement": np.median(select(records, measure="relative_displacement", **raw)),
        "cosine": np.median(select(records, measure="cosine", **raw)),
        "rank": np.median(rank),
        "mrr": np.mean(1 / rank),
        "images": 80,
    }.items():
        assert found[name] == pytest.approx(expected)
    for _, dose in table.iterrows():
        for name in ("relative_displacement", "cosine", "rank", "mrr"):
            assert dose[f"{name}_low"] <= dose[name] <= dose[f"{name}_high"]
    # 0.4 was planted at the reference dose of 0.5.
    assert found["relative_displacement_low"] < 0.4 * 0.8 / 0.5 < found["relative_displacement_high"]


def test_readability(records):
    found = row(tabulated("readability", records), level="projector", condition="blur")
    untouched, transformed = (
        select(records, measure="applied_score", level="projector", condition="blur", strength=s) for s in (0, 2.0)
    )
    expected = roc_auc_score([0] * 80 + [1] * 80, [*untouched, *transformed])
    assert found["auc"] == pytest.approx(expected)
    assert found["auc_low"] < found["auc"] < found["auc_high"]
    assert found["chance"] == 0.5
    assert 0.05 < found["chance_high"] - 0.5 == pytest.approx(0.5 - found["chance_low"])
    doses = records[(records["measure"] == "strength_predicted") & (records["level"] == "projector")]
    doses = doses[doses["condition"] == "blur"]
    assert found["r2"] == pytest.approx(r2_score(doses["strength"], doses["value"]))


def test_the_strength_of_a_single_dose_has_no_r2(records):
    table = tabulated("readability", records)
    single = table["condition"] == "horizontal_flip"
    assert table.loc[single, ["r2", "r2_low", "r2_high"]].isna().all(axis=None)
    assert table.loc[~single, "r2"].notna().all()
    assert table["auc"].notna().all()


def test_factors(records):
    table = tabulated("factors", records)
    assert table["factor"].drop_duplicates().tolist() == ["class", "x", "hue"]
    for level in ("backbone", "projector"):
        label, x, hue = (row(table, level=level, factor=factor) for factor in ("class", "x", "hue"))
        assert (label["present"], label["rendered"], label["chance"]) == (0.75, 0.5, 0.25)
        assert label["rendered_low"] < 0.5 < label["rendered_high"]  # one sample in two, for every image
        assert label["shuffled"] == pytest.approx(19 / 79 / 2)  # 20 images of each class, one sample in two shows one
        assert (label["judged"], label["mean_h"]) == (0.75, 0)
        assert x["shuffled"] == pytest.approx(-1, abs=0.25)  # pure noise shows as much of another image
        assert (x["judged"], hue["judged"]) == (1, 1)
        assert np.isnan(x["mean_h"])
        read = select(records, measure="present", level=level, condition="x")
        assert x["present"] == pytest.approx(r2_score(select(records, measure="true", condition="x"), read))
        assert x["present_low"] < x["present"] < x["present_high"]
        assert x["rendered_high"] < 0  # unrelated readings are worse than always guessing the mean
        assert (x["chance"], hue["chance"]) == (0, 0)
        assert hue["present"] == pytest.approx(1)
        assert hue["rendered"] == pytest.approx(-3, abs=0.1)  # opposite points of the circle: 1 - 2^2 / 1


def test_factors_may_be_rendered_of_some_images_only(records):
    few = records[(records["measure"] != "rendered") | (records["image"].isin(records["image"].unique()[:30]))]
    table = tabulated("factors", few)
    assert set(zip(table["images"], table["rendered_images"], strict=True)) == {(80, 30)}


def test_factors_without_a_decoder_are_present_only(records):
    table = tabulated("factors", records[records["measure"] != "rendered"])
    assert table["rendered"].isna().all()
    pd.testing.assert_series_equal(table["present"], tabulated("factors", records)["present"])


def test_variance(records):
    found = row(tabulated("variance", records), level="backbone")
    within, between = (select(records, measure=f"{name}_variance", level="backbone") for name in ("within", "between"))
    assert found["within"] == pytest.approx(within.mean())
    assert found["between"] == pytest.approx(between.mean())
    assert found["between_low"] < 0.04 < found["between_high"]
    assert found["ratio"] == pytest.approx(within.mean() / between.mean())
    assert found["images"] == 80


def test_the_interval_of_the_ratio_is_that_of_both_variances_together(records):
    """The variance between is the less certain one here: taken as known, the interval would be far narrower."""
    found = row(tabulated("variance", records), level="backbone")
    alone = (found["within_high"] - found["within_low"]) / found["between"]
    assert found["ratio_high"] - found["ratio_low"] > 1.3 * alone


def test_variance_without_its_counterpart_has_no_ratio_and_two_of_an_image_are_refused(records):
    between = records["measure"] == "between_variance"
    alone = tabulated("variance", records[~between])
    assert alone[["between", "ratio"]].isna().all(axis=None)
    assert alone["within"].notna().all()
    with pytest.raises(ValueError, match="duplicate"):
        tabulated("variance", pd.concat([records, records[between]]))


def test_comparison(records):
    table = tabulated("comparison", records)
    assert dict(zip(table["condition"], table["strength"], strict=True)) == REFERENCE
    assert (table["difference_low"] > 0).all()
    assert (table["p_holm"] >= table["p_value"]).all()
    assert (table["p_holm"] < 1e-9).all()
    assert table["effect"].tolist() == [1, 1, 1]
    crop = {"measure": "relative_displacement", "condition": "crop", "strength": 0.5}
    backbone, projector = (select(records, level=level, **crop).to_numpy() for level in ("backbone", "projector"))
    assert row(table, condition="crop")["difference"] == pytest.approx(np.median(backbone - projector))


def test_comparison_turns_around_with_its_levels_and_its_family_is_what_was_measured(records):
    turned = records.replace({"level": {"backbone": "projector", "projector": "backbone"}})
    there, back = tabulated("comparison", records), tabulated("comparison", turned)
    np.testing.assert_allclose(there["difference"], -back["difference"])
    np.testing.assert_allclose(there["difference_low"], -back["difference_high"])
    np.testing.assert_allclose(there["effect"], -back["effect"])
    alone = tabulated("comparison", records[records["condition"].eq("blur") | records["measure"].eq("unit_error")])
    assert alone["condition"].tolist() == ["blur"]
    assert alone["p_holm"].tolist() == alone["p_value"].tolist()


@pytest.mark.parametrize("table", TABLES)
def test_numbers_do_not_depend_on_the_order_of_rows(records, whole, table):
    known = ("weights", "level", "condition", "factor", "strength", "of", "bound")
    keys = [name for name in known if name in whole[table]]
    shuffled = tabulated(table, records.sample(frac=1, random_state=1))
    one, other = (found.sort_values(keys, ignore_index=True) for found in (whole[table], shuffled))
    pd.testing.assert_frame_equal(one, other, check_exact=False, rtol=1e-12)


@pytest.mark.parametrize("table", TABLES)
def test_rows_come_in_the_order_of_the_records_with_ascending_strengths(whole, table):
    found = whole[table]
    if "level" in found:
        assert found["level"].drop_duplicates().tolist() == ["backbone", "projector"]
    if "condition" in found:
        assert found["condition"].drop_duplicates().tolist() == list(DOSES)
    if "strength" in found and "level" in found:
        assert found.groupby(["level", "condition"])["strength"].is_monotonic_increasing.all()


@pytest.mark.parametrize("table", TABLES)
def test_tables_are_the_same_from_the_file_of_records(records, whole, table, tmp_path):
    records.to_parquet(tmp_path / "records.parquet")
    again = pd.read_parquet(tmp_path / "records.parquet")
    pd.testing.assert_frame_equal(whole[table], tabulated(table, again))


@pytest.mark.parametrize("table", TABLES)
def test_records_without_the_measure_give_an_empty_table_with_its_columns(records, whole, table):
    empty = tabulated(table, records[:0])
    assert len(empty) == 0
    assert list(empty.columns) == list(whole[table].columns)


@pytest.mark.parametrize("table", [name for name in TABLES if name != "bounds"])  # it has no interval
def test_intervals_follow_the_seed(records, whole, table):
    low = [name for name in whole[table] if name.endswith("_low")]
    first, again = whole[table][low], tabulated(table, records)[low]
    pd.testing.assert_frame_equal(first, again)
    others = (tabulated(table, records, seed=seed)[low] for seed in range(1, 5))
    assert not all(first.equals(other) for other in others)  # of a median, the bounds of two seeds may be the same


def test_an_image_that_lacks_a_number_leaves_the_pair(records):
    lost = (records["measure"] == "relative_displacement") & (records["level"] == "projector")
    lost &= (records["condition"] == "crop") & (records["image"] == records["image"].max())
    dropped = row(tabulated("comparison", records[~lost]), condition="crop")
    assert dropped["images"] == 79
    blanked = records.assign(value=records["value"].mask(lost))
    pd.testing.assert_series_equal(row(tabulated("comparison", blanked), condition="crop"), dropped)


def test_by_image_refuses_two_rows_for_one_place(records):
    with pytest.raises(ValueError, match="duplicate"):
        by_image(records[records["measure"] == "cosine"], "level", "condition")


def test_reference_strengths_are_read_off_the_records_and_must_be_one(records):
    assert references(found_in(records)) == REFERENCE
    second = records[(records["measure"] == "applied_score") & (records["strength"] == 0.5)].assign(strength=0.7)
    with pytest.raises(ValueError, match="more than one reference strength"):
        references(found_in(pd.concat([records, second])))


def test_more_images_narrow_the_interval():
    widths = []
    for images in (40, 640):
        found = tabulated("displacement", planted_records({"backbone": 0.4}, images=images))
        crop = row(found, condition="crop", strength=0.5)
        widths.append(crop["relative_displacement_high"] - crop["relative_displacement_low"])
    assert widths[1] == pytest.approx(widths[0] / 4, rel=0.5)  # like one over the root of 16
    assert LEVEL == 0.95


def test_the_error_of_the_unit_is_in_the_interval_of_a_displacement_and_those_of_both_in_a_difference():
    sure, unsure = (planted_records({"backbone": 0.4, "projector": 0.3}, unit_error=error) for error in (0, 0.2))
    moved = {"relative_displacement": (0.4,), "whitened_displacement": (0.4,), "difference": (0.4, 0.3)}
    for name, values in moved.items():
        table = "comparison" if name == "difference" else "displacement"
        about = {"condition": "crop", "strength": 0.5, **({} if name == "difference" else {"level": "backbone"})}
        one, other = (row(tabulated(table, records), **about) for records in (sure, unsure))
        assert one[name] == other[name]
        more = 1.96 * 0.2 * np.hypot(*values, *([0] if len(values) == 1 else []))
        for end in ("low", "high"):
            expected = np.hypot(one[f"{name}_{end}"] - one[name], more)
            assert abs(other[f"{name}_{end}"] - other[name]) == pytest.approx(expected, rel=0.1)


def test_every_augmentation_has_its_word_and_the_interval_and_the_test_are_needed(records):
    table = tabulated("augmentations", records)
    assert set(table["weights"]) == {"trained"}
    words = table.groupby("level")["word"].unique()
    assert (list(words["backbone"]), list(words["projector"])) == (["supported"], ["not supported"])
    assert (table["at_most"] < table["relative_displacement_high"]).all()
    unsure = tabulated("augmentations", planted_records({"backbone": 0.4}, unit_error=0.5))
    assert set(unsure["word"]) == {"inconclusive"}
    assert (unsure["p_holm"] < 1e-9).all()
    few = tabulated("augmentations", planted_records({"backbone": 0.4}, images=19))
    assert set(few["word"]) == {"too few"}


def test_bounds_tell_how_the_word_depends_on_what_counts_as_none(records):
    table = tabulated("bounds", records)
    words = table[(table["level"] == "backbone")].set_index("bound")["word"]
    assert words[[0.05, 0.1, 0.2, 0.3]].eq("supported").all()
    assert words[0.5] == "not supported"
    assert set(table["of"]) == {"both"}
    untold = PROBE.tables["bounds"](found_in(records, augmentations=()))
    assert set(untold["of"]) == {"usual"}
    at_once = table[(table["level"] == "projector") & (table["bound"] == 0.1)].iloc[0]
    assert (at_once["beyond"], at_once["below"], at_once["count"], at_once["word"]) == (0, 3, 3, "not supported")


def test_the_untrained_encoder_is_asked_for_the_usual_augmentations_and_has_a_family_of_its_own(records):
    moved = records["measure"].str.endswith("_displacement")
    moved &= records["strength"] == records["condition"].map(REFERENCE)
    rows = records[moved | (records["measure"] == "unit_error")]
    untrained = rows.assign(
        measure="untrained_" + rows["measure"],
        value=rows["value"] * 0.1,
    )
    table = tabulated("augmentations", pd.concat([records, untrained]))
    assert len(table) == 12
    backbone = table[table["level"] == "backbone"].groupby("weights")["word"].unique()
    assert (list(backbone["trained"]), list(backbone["untrained"])) == (["supported"], ["not supported"])
    pd.testing.assert_frame_equal(table[table["weights"] == "trained"], tabulated("augmentations", records))


@pytest.mark.parametrize("images", [30, 100])
def test_two_alike_encoders_are_hardly_ever_told_apart(images):
    """Of effective dimension 6, moved alike: each has a unit of its own, from as few other images as are taken."""
    generator, trials, false = torch.Generator().manual_seed(0), 300, 0
    about = {"measure": "unit_error", "condition": PLAIN, "strength": np.nan, "image": -1}
    for _ in range(trials):
        moved, rows = {}, []
        for level in ("backbone", "projector"):
            others, h, shift = (torch.randn(count, 6, generator=generator) for count in (ENOUGH, images, images))
            scale = Scale.of(others, seed=0)
            moved[level] = scale.displacements(h + 0.5 * shift, h)[PLAIN].numpy()
            rows.append({**about, "level": level, "value": scale.errors[0]})
        test = difference(found_in(pd.DataFrame(rows)), pd.DataFrame(moved), PLAIN)
        false += word_of_gain(test["difference"], test["p_value"]) != "inconclusive"
    assert false / trials <= 0.05 + 2 * (0.05 * 0.95 / trials) ** 0.5


def test_records_of_a_run_from_before_there_was_whitening_still_give_their_words(records):
    old = records[~records["measure"].isin(["whitened_displacement", "unit_error"])]
    table = tabulated("augmentations", old)
    assert table["word"].tolist() == tabulated("augmentations", records)["word"].tolist()
    assert set(table["whitened_word"]) == {"too few"}
    assert found_in(old).names["parted"] == ""


def test_claims_say_on_which_augmentations_they_are_where_one_was_not_asked_for() -> None:
    told = content(images=30, pictures=3)
    few = replace(told, records=told.records[told.records["condition"] != "blur"])
    asked = "it was trained with and that were asked for (crop, horizontal flip, color jitter and grayscale)"
    assert [asked in verdict.claim for verdict in few.verdicts] == [True] * 3
    assert not any("asked for" in verdict.claim for verdict in told.verdicts)
    assert few.names["labels"] == {}


def test_an_encoder_that_nobody_trained_is_not_called_trained() -> None:
    told = content(images=30, pictures=3)
    card = {**told.run["encoder_card"], "weights": "random, seed 0"}
    fresh = replace(told, run={**told.run, "encoder_card": card})
    rows = fresh.printed["augmentations-backbone"].rows
    assert "trained" not in {cell for row in rows for cell in row}
    assert "The weights of this encoder are random" in fresh.names["untrained_limit"]


def told_in_short(found) -> str:
    return " ".join(text for block in in_short(found) for text in block["items"])


def moved_as(records: pd.DataFrame, factor: float) -> pd.DataFrame:
    """Records in which the projector moves ``factor`` times as far as the backbone does, image by image."""
    moved = records["measure"].str.endswith("_displacement")
    backbone = records[moved & (records["level"] == "backbone")]
    copied = backbone.assign(level="projector", value=backbone["value"] * factor)
    return pd.concat([records[~(moved & (records["level"] == "projector"))], copied])


def test_rounding_that_is_the_same_for_all_images_is_no_difference_of_levels(records):
    found = found_in(moved_as(records, 1 + 2e-8))
    table = found.tables["comparison"]
    assert (table["p_value"] == 1).all()
    assert (table["effect"] == 0).all()
    assert "under 0 of 3 transformations and more under 0 " in told_in_short(found)
    assert {verdict.aspect: verdict.p_value for verdict in found.verdicts}["closer"] == 1


def test_in_short_counts_no_transformation_where_the_errors_of_the_units_could_make_the_difference(records):
    sure, unsure = (
        found_in(moved_as(planted_records({"backbone": 0.4, "projector": 0.4}, unit_error=error), 0.9))
        for error in (0.0, 0.2)
    )
    assert (unsure.tables["comparison"]["p_holm"] < 1e-9).all()
    assert "under 3 of 3 transformations and more under 0 " in told_in_short(sure)
    assert "under 0 of 3 transformations and more under 0 " in told_in_short(unsure)
    turned = found_in(moved_as(records, 1.1))
    assert "under 0 of 3 transformations and more under 3 " in told_in_short(turned)


def test_over_a_variance_between_that_may_be_nothing_there_is_no_ratio(records):
    nothing = (records["measure"] == "between_variance") & (records["level"] == "projector")
    aside = np.random.default_rng(0).normal(0, 0.001, nothing.sum())
    for shift in (aside.std() / 20, -aside.std() / 20):  # a ratio of either sign, and of any size
        values = records["value"].to_numpy(copy=True)
        values[nothing] = aside - aside.mean() + shift
        found = found_in(records.assign(value=values))
        table = tabulated("variance", records.assign(value=values))
        projector = row(table, level="projector")
        assert projector["between_low"] < 0 < projector["between_high"]
        assert projector[["ratio", "ratio_low", "ratio_high"]].isna().all()
        assert np.isfinite(projector["within"])
        pd.testing.assert_series_equal(
            row(table, level="backbone"), row(tabulated("variance", records), level="backbone")
        )
        assert [cells[3] for cells in found.printed["variance"].rows if "projector" in cells[0]] == ["–"]
        told = told_in_short(found)
        assert "differ no more than samples from one h do, for the projector:" in told
        assert "for the backbone." in told
    told = told_in_short(found_in(records))
    assert "differ no more" not in told
    assert "for the backbone; " in told
