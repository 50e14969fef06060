"""Verdicts follow from the numbers by the stated rules, whichever way the numbers fall."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_records import REFERENCE, planted_records
from planted_records import found as found_in

from analyses.findings import Verdict
from probes.invariance import NEGLIGIBLE
from reports.verdicts import verdict_box

if TYPE_CHECKING:
    import pandas as pd


ASPECTS = {"": 1, "closer": 2, "invariant": "equivalent"}


def verdicts(records: pd.DataFrame, **about) -> dict[int | str, Verdict]:
    """Finding 1, and both aspects of finding 2: closer, and equivalent to no displacement at all."""
    return {ASPECTS[verdict.aspect]: verdict for verdict in found_in(records, **about).verdicts}


@pytest.mark.parametrize(
    "backbone, projector, first, second, third",
    [
        (0.40, 0.05, "supported", "supported", "supported"),  # as the paper has it
        (0.05, 0.40, "not supported", "not supported", "not supported"),  # the reverse
        (0.03, 0.02, "not supported", "supported", "supported"),  # both hardly move, the projector less
        (0.60, 0.30, "supported", "supported", "not supported"),  # closer, and far from invariant
        (0.60, 0.90, "supported", "not supported", "not supported"),
    ],
)
def test_planted_truths_get_their_word(backbone, projector, first, second, third):
    found = verdicts(planted_records({"backbone": backbone, "projector": projector}))
    assert (found[1].word, found[2].word, found["equivalent"].word) == (first, second, third)
    assert found[1].value == pytest.approx(backbone, rel=0.15)
    assert found[2].value == pytest.approx(backbone - projector, rel=0.15)
    assert found["equivalent"].value == pytest.approx(projector, rel=0.15)


def of_one(records: pd.DataFrame, level: str, condition: str, factor: float) -> pd.DataFrame:
    """Records in which one augmentation moves a level ``factor`` times as far."""
    chosen = records["measure"].str.endswith("_displacement") & (records["level"] == level)
    chosen &= records["condition"] == condition
    return records.assign(value=records["value"].mask(chosen, records["value"] * factor))


def test_one_augmentation_that_does_not_move_the_backbone_makes_it_inconclusive_and_is_named():
    found = verdicts(of_one(planted_records({"backbone": 0.4}), "backbone", "blur", 0.1))[1]
    assert found.word == "inconclusive"
    assert found.value == pytest.approx(0.04, rel=0.15)
    assert "more than 0.1 under crop (0.4" in found.sentence
    assert "less than 0.1 under blur (0.04)" in found.sentence


@pytest.mark.parametrize("end, side", [("low", 1.004), ("high", 0.996)])
def test_on_which_side_of_what_is_negligible_a_displacement_lies_is_told_everywhere(end, side):
    records = planted_records({"backbone": 0.4})
    found = found_in(records, augmentations=("blur",))
    moved = found.tables["augmentations"].query("condition == 'blur' and weights == 'trained'")
    scale = side * NEGLIGIBLE / moved[f"relative_displacement_{end}"].item()
    found = found_in(of_one(records, "backbone", "blur", scale), augmentations=("blur",))
    (verdict,) = found.verdicts
    assert verdict.word == ("supported" if end == "low" else "not supported")
    box = verdict_box(verdict)
    told = f"{box['value']} {box['interval']}"
    assert np.sign(float(re.findall(r"[\d.]+", told)[1 if end == "low" else 2]) - NEGLIGIBLE) == np.sign(side - 1)
    assert told in verdict.sentence
    assert any(told in row for row in found.printed["augmentations-backbone"].rows)


def with_moved(records: pd.DataFrame, **moved: np.ndarray) -> pd.DataFrame:
    """Records in which the backbone moves just so under these augmentations at their reference doses."""
    values = records["value"].to_numpy(copy=True)
    for name, chosen in moved.items():
        at = (records["level"] == "backbone") & (records["condition"] == name)
        at &= records["measure"].str.endswith("_displacement") & (records["strength"] == REFERENCE[name])
        values[at] = np.tile(chosen, 2)
    return records.assign(value=values)


def test_a_claim_about_every_augmentation_is_as_sure_as_the_least_sure_of_them():
    """The least moved one has the smallest p where it moves all images alike, and another only most of them."""
    records, rng = planted_records({"backbone": 0.4}, images=40), np.random.default_rng(0)
    alike, most = (
        0.12 + 0.001 * rng.normal(size=40),
        np.where(np.arange(40) < 31, 0.17 + 0.02 * rng.normal(size=40), 0.01),
    )
    found = found_in(with_moved(records, crop=alike, blur=most), augmentations=("crop", "blur"))
    p_values = found.tables["augmentations"].set_index("condition")["p_holm"]
    (verdict,) = found.verdicts
    assert verdict.word == "supported"
    assert p_values["crop"] < 1e-6 < p_values["blur"] == verdict.p_value
    assert verdict.value == pytest.approx(np.median(alike))
    assert f"The least is {verdict.value:.2f}" in verdict.sentence
    assert f"under crop (least sure is blur, Holm-corrected p = {verdict.p_value:.2g})" in verdict.sentence


def test_against_a_claim_about_every_augmentation_stands_the_most_moved_and_the_least_sure():
    records, rng = planted_records({"backbone": 0.4}, images=40), np.random.default_rng(0)
    still, most = (
        0.001 * np.abs(rng.normal(size=40)),
        np.where(np.arange(40) < 33, 0.05 + 0.02 * rng.normal(size=40), 0.17),
    )
    found = found_in(with_moved(records, crop=still, blur=most), augmentations=("crop", "blur"))
    p_values = found.tables["augmentations"].set_index("condition")["p_holm"]
    (verdict,) = found.verdicts
    assert verdict.word == "not supported"
    assert p_values["crop"] < p_values["blur"] == verdict.p_value
    assert verdict.value == pytest.approx(np.median(most))
    assert f"The most is {verdict.value:.2f}" in verdict.sentence
    assert "under blur (Holm-corrected p " in verdict.sentence


def test_an_undecided_claim_has_the_p_of_what_keeps_it_from_being_decided():
    records, rng = planted_records({"backbone": 0.4}, images=40), np.random.default_rng(0)
    alike, some = 0.12 + 0.001 * rng.normal(size=40), np.where(np.arange(40) < 23, 0.17, 0.01)
    found = found_in(with_moved(records, crop=alike, blur=some), augmentations=("crop", "blur"))
    p_values = found.tables["augmentations"].set_index("condition")["p_holm"]
    (verdict,) = found.verdicts
    assert verdict.word == "inconclusive"
    assert p_values["crop"] < 1e-6 < 0.05 < p_values["blur"] == verdict.p_value
    assert f"The least is {verdict.value:.2f}" in verdict.sentence
    assert f"under crop (least sure is blur, Holm-corrected p = {verdict.p_value:.2g})" in verdict.sentence


def test_one_augmentation_that_moves_the_projector_is_enough_against_its_invariance():
    records = planted_records({"backbone": 0.4, "projector": 0.05})
    assert verdicts(of_one(records, "projector", "crop", 5))["equivalent"].word == "not supported"
    close = verdicts(of_one(records, "projector", "crop", 1.95))["equivalent"]
    assert close.word == "inconclusive"
    assert "crop moves it most" in close.sentence


def test_an_unsure_unit_takes_the_word_from_what_is_close():
    sure, unsure = (
        verdicts(planted_records({"backbone": 0.2, "projector": 0.08}, spread=0.05, unit_error=error))
        for error in (0, 0.6)
    )
    assert [verdict.word for verdict in sure.values()] == ["supported"] * 3
    assert [verdict.word for verdict in unsure.values()] == ["inconclusive"] * 3


def test_where_plain_and_whitened_part_the_report_says_so():
    records = planted_records({"backbone": 0.05, "projector": 0.02}, whitened=6.0)
    told = found_in(records).names["parted"]
    assert "finding 1 (not supported, whitened supported)" in told
    assert "the backbone under crop (not supported, whitened supported)" in told
    assert "closer" not in told
    assert found_in(planted_records({"backbone": 0.4, "projector": 0.02})).names["parted"] == ""


def test_what_cannot_be_told_is_inconclusive():
    records = planted_records({"backbone": 0.1, "projector": 0.1}, images=60, spread=0.6)
    found = verdicts(records)
    assert found[1].low < NEGLIGIBLE < found[1].high
    assert found[2].low < 0 < found[2].high
    assert {found[1].word, found[2].word} == {"inconclusive"}


def test_few_images_have_no_word():
    found = verdicts(planted_records({"backbone": 5.0, "projector": 0.0}, images=19))
    assert {verdict.word for verdict in found.values()} == {"too few"}
    assert found[1].n == 19
    assert "at least 20" in found[1].sentence


def test_from_twenty_images_on_there_is_a_word():
    found = verdicts(planted_records({"backbone": 0.5, "projector": 0.1}, images=20))
    assert (found[1].word, found[2].word) == ("supported", "supported")


@given(st.floats(0.01, 1), st.floats(0.01, 1), st.integers(0, 50))
@settings(deadline=None, max_examples=12)
def test_words_follow_the_rules_for_any_movement(backbone, projector, seed):
    records = planted_records({"backbone": backbone, "projector": projector}, images=20, seed=seed)
    found = verdicts(records)
    one, two = found[1], found[2]
    assert one.low > NEGLIGIBLE or one.word != "supported"
    assert one.high < NEGLIGIBLE or one.word != "not supported"
    assert (two.word == "supported") == (two.low > 0 and two.p_value < 0.05)
    assert (two.word == "not supported") == (two.high < 0 and two.p_value < 0.05)
    assert one.low <= one.value <= one.high
    assert two.low <= two.value <= two.high


def test_the_statistics_are_of_the_training_augmentations_at_their_reference_dose():
    records = planted_records({"backbone": 0.4, "projector": 0.1})
    wide = records[records["measure"] == "relative_displacement"].pivot(
        index="image", columns=["level", "condition", "strength"], values="value"
    )
    chosen = {
        level: np.stack([wide[level, name, REFERENCE[name]] for name in ("crop", "blur")])
        for level in ("backbone", "projector")
    }
    found = verdicts(records, augmentations=("crop", "blur"))
    assert found[1].value == pytest.approx(np.median(chosen["backbone"], axis=1).min())
    assert found[2].value == pytest.approx(np.median((chosen["backbone"] - chosen["projector"]).mean(0)))
    assert found["equivalent"].value == pytest.approx(np.median(chosen["projector"], axis=1).max())
    assert "crop and blur" in found[2].sentence
    assert "flip" not in found[1].sentence


def test_an_encoder_without_projector_gets_the_first_verdict_alone():
    assert list(verdicts(planted_records({"backbone": 0.4}))) == [1]
    assert list(verdicts(planted_records({"projector": 0.4}))) == []


def test_augmentations_that_were_not_measured_are_left_out():
    records = planted_records({"backbone": 0.4, "projector": 0.1})
    assert "over crop and blur." in verdicts(records, augmentations=("crop", "solarize", "blur"))[2].sentence
    assert verdicts(records, augmentations=("solarize",)) == {}


def test_the_claim_says_whose_augmentations_and_whether_the_paper_claims_it():
    records = planted_records({"backbone": 0.4, "projector": 0.1})
    own, usual, other = (
        verdicts(records)[1], verdicts(records, augmentations=())[1], verdicts(records, is_ssl=False)[1]
    )  # fmt: skip
    assert "it was trained with" in own.claim
    assert "usually trained with" in usual.claim
    assert "for comparison" in other.claim
    assert "for comparison" not in own.claim
    assert "not told whether" not in other.claim
    assert "not told whether" in verdicts(records, is_ssl=None)[1].claim
    assert own.value == usual.value == other.value


def test_verdicts_depend_on_the_seed_only_and_not_on_the_order_of_rows():
    records = planted_records({"backbone": 0.4, "projector": 0.1})
    shuffled = records.sample(frac=1, random_state=0)
    for one, other in zip(verdicts(records).values(), verdicts(shuffled).values(), strict=True):
        for field in dataclasses.fields(Verdict):
            a, b = getattr(one, field.name), getattr(other, field.name)
            assert a == (pytest.approx(b, rel=1e-9, nan_ok=True) if isinstance(a, float) else b)
    assert len({verdicts(records, seed=seed)[1].low for seed in range(5)}) > 1


def test_sentences_say_the_numbers_and_what_stands_beside_them():
    found = verdicts(planted_records({"backbone": 0.4, "projector": 0.05}))
    assert f"{found[1].value:.2f} [{found[1].low:.2f}, {found[1].high:.2f}]" in found[1].sentence
    assert "AUC of" in found[1].sentence
    assert f"{found[2].value:.2f} [{found[2].low:.2f}, {found[2].high:.2f}]" in found[2].sentence
    assert "chance alone gives 0." in found[1].sentence
    assert "is invariant within 0.1." in found["equivalent"].sentence
    still = verdicts(planted_records({"backbone": 0.8, "projector": 0.3}))["equivalent"]
    assert "is not invariant." in still.sentence


def test_of_a_single_augmentation_there_is_no_range():
    records = planted_records({"backbone": 0.4, "projector": 0.05})
    sentence = verdicts(records, augmentations=("crop",))[1].sentence
    assert "tells whether crop was applied, with an AUC of" in sentence
    assert sentence.count("crop") == 3  # what moved it, the least of it, and what is read


def test_without_readability_scores_for_one_level_the_sentence_leaves_them_out():
    records = planted_records({"backbone": 0.4, "projector": 0.05})
    unread = records[~((records["measure"] == "applied_score") & (records["level"] == "backbone"))]
    assert "AUC" not in verdicts(unread)[1].sentence
