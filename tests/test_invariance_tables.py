"""The tables recover what was planted in the records, from the records alone and in any order of rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from planted_records import DOSES, REFERENCE, planted_records
from planted_records import found as found_in
from sklearn.metrics import r2_score, roc_auc_score

from analyses.bootstrap import LEVEL
from analyses.tables import by_image
from probes.invariance import PROBE, references

TABLES = tuple(PROBE.tables)


def tabulated(name: str, records: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    return PROBE.tables[name](found_in(records, seed=seed))


@pytest.fixture(scope="module")
def records() -> pd.DataFrame:
    return planted_records({"backbone": 0.4, "projector": 0.05})


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
        assert label["rendered_low"] == label["rendered_high"] == 0.5  # one sample in two, for every image
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
    alone = tabulated("comparison", records[records["condition"] == "blur"])
    assert alone["condition"].tolist() == ["blur"]
    assert alone["p_holm"].tolist() == alone["p_value"].tolist()


@pytest.mark.parametrize("table", TABLES)
def test_numbers_do_not_depend_on_the_order_of_rows(records, table):
    keys = [name for name in ("level", "condition", "factor", "strength") if name in tabulated(table, records)]
    shuffled = records.sample(frac=1, random_state=1)
    one, other = (tabulated(table, rows).sort_values(keys, ignore_index=True) for rows in (records, shuffled))
    pd.testing.assert_frame_equal(one, other, check_exact=False, rtol=1e-12)


@pytest.mark.parametrize("table", TABLES)
def test_rows_come_in_the_order_of_the_records_with_ascending_strengths(records, table):
    found = tabulated(table, records)
    if "level" in found:
        assert found["level"].drop_duplicates().tolist() == ["backbone", "projector"]
    if "condition" in found:
        assert found["condition"].drop_duplicates().tolist() == list(DOSES)
    if "strength" in found and "level" in found:
        assert found.groupby(["level", "condition"])["strength"].is_monotonic_increasing.all()


@pytest.mark.parametrize("table", TABLES)
def test_tables_are_the_same_from_the_file_of_records(records, table, tmp_path):
    records.to_parquet(tmp_path / "records.parquet")
    again = pd.read_parquet(tmp_path / "records.parquet")
    pd.testing.assert_frame_equal(tabulated(table, records), tabulated(table, again))


@pytest.mark.parametrize("table", TABLES)
def test_records_without_the_measure_give_an_empty_table_with_its_columns(records, table):
    full, empty = tabulated(table, records), tabulated(table, records[:0])
    assert len(empty) == 0
    assert list(empty.columns) == list(full.columns)


@pytest.mark.parametrize("table", TABLES)
def test_intervals_follow_the_seed(records, table):
    low = [name for name in tabulated(table, records) if name.endswith("_low")]
    first, again, *others = (tabulated(table, records, seed=seed)[low] for seed in (1, 1, 2, 3, 4, 5))
    pd.testing.assert_frame_equal(first, again)
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
    assert references(records) == REFERENCE
    second = records[(records["measure"] == "applied_score") & (records["strength"] == 0.5)].assign(strength=0.7)
    with pytest.raises(ValueError, match="more than one reference strength"):
        references(pd.concat([records, second]))


def test_more_images_narrow_the_interval():
    widths = []
    for images in (40, 640):
        found = tabulated("displacement", planted_records({"backbone": 0.4}, images=images))
        crop = row(found, condition="crop", strength=0.5)
        widths.append(crop["relative_displacement_high"] - crop["relative_displacement_low"])
    assert widths[1] == pytest.approx(widths[0] / 4, rel=0.5)  # like one over the root of 16
    assert LEVEL == 0.95
