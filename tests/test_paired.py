"""Paired comparisons against scipy, hand-computed numbers, and their bounds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from analyses import paired
from analyses.paired import chance_auc, holm, rank_biserial, signed_rank, students_t
from analyses.statistics import auc, evaluate
from rcdm_core.readout import binary_scores

DIFFERENCES = arrays(np.float64, st.integers(1, 40), elements=st.integers(-20, 20).map(float))
P_VALUES = arrays(np.float64, st.integers(1, 12), elements=st.floats(0, 1))


def test_holm_by_hand():
    # Ascending 0.005 x 4, 0.01 x 3, 0.03 x 2, 0.04 x 1; the last is lifted to the one before it.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.6, 0.7]), [1, 1])


def test_students_t_is_scipys_and_says_nothing_where_nothing_differs():
    values = np.random.default_rng(0).normal(0.2, 1, 30)
    assert students_t(values) == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    assert (students_t(np.zeros(5)), students_t(np.ones(5))) == (1, 0)
    assert np.isnan(students_t(np.ones(1)))


def test_holm_leaves_out_what_was_not_tested():
    np.testing.assert_allclose(holm([0.01, np.nan, 0.04]), [0.02, np.nan, 0.04])
    assert holm([]).shape == (0,)


@given(P_VALUES, st.randoms(use_true_random=False))
def test_holm_is_between_raw_and_bonferroni_keeps_the_order(p_values, random):
    adjusted = holm(p_values)
    assert (adjusted >= p_values).all()
    assert (adjusted <= np.minimum(1, p_values * len(p_values)) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(p_values, kind="stable")]) >= 0).all()
    order = np.array(random.sample(range(len(p_values)), len(p_values)))
    np.testing.assert_allclose(holm(p_values[order]), adjusted[order])


def test_holm_bounds_the_family_error():
    rng = np.random.default_rng(0)
    any_rejected = [(holm(rng.uniform(size=13)) < 0.05).any() for _ in range(2000)]
    assert np.mean(any_rejected) == pytest.approx(0.05, abs=0.015)


def test_signed_rank_agrees_with_scipy_and_leaves_out_zeros():
    differences = np.random.default_rng(0).normal(0.3, 1, 60)
    expected = stats.wilcoxon(differences).pvalue
    assert signed_rank(differences) == pytest.approx(expected)
    assert signed_rank(np.concatenate([differences, np.zeros(30)])) == pytest.approx(expected)


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_signed_rank_of_few_is_exact_also_with_ties(count):
    rng = np.random.default_rng(count)
    for differences in (rng.normal(0.5, 1, count), rng.choice([-2.0, -1.0, 1.0, 1.0, 3.0], count)):
        assert signed_rank(differences) == pytest.approx(stats.wilcoxon(differences).pvalue)


def test_signed_rank_by_hand():
    # Five positive differences: 2 of the 32 sign patterns are as extreme.
    assert signed_rank(np.array([1.0, 2, 3, 4, 5])) == pytest.approx(2 / 32)


def test_nothing_moved_is_no_evidence_and_no_data_is_nothing():
    assert signed_rank(np.zeros(10)) == 1
    assert rank_biserial(np.zeros(10)) == 0
    assert np.isnan([signed_rank(np.zeros(0)), rank_biserial(np.zeros(0))]).all()


def test_rank_biserial_by_hand():
    # Ranks 1, 2, 3 with signs +, -, +: (1 - 2 + 3) / 6.
    assert rank_biserial(np.array([0.1, -0.2, 0.3])) == pytest.approx(1 / 3)


@given(DIFFERENCES)
@settings(deadline=None)
def test_rank_biserial_is_bounded_odd_and_free_of_scale(differences):
    effect = rank_biserial(differences)
    assert -1 <= effect <= 1
    assert rank_biserial(-differences) == pytest.approx(-effect)
    assert rank_biserial(differences * 3) == pytest.approx(effect)
    assert rank_biserial(np.abs(differences) + 1) == 1


@given(DIFFERENCES)
@settings(deadline=None)
def test_signed_rank_is_a_two_sided_p_value(differences):
    p = signed_rank(differences)
    assert 0 <= p <= 1
    assert signed_rank(-differences) == pytest.approx(p)


def test_a_test_of_differences_puts_p_and_effect_together():
    differences = np.random.default_rng(0).normal(0.5, 1, 200)
    result = paired.tested(differences)  # whose name pytest would take for that of a test
    assert result["p_value"] == signed_rank(differences)
    assert result["effect"] == rank_biserial(differences)


def test_the_chance_of_an_auc_is_that_of_swapped_signs():
    scores = np.random.default_rng(0).normal(size=(60, 2))
    swaps = np.random.default_rng(1).random((4000, 60)) < 0.5
    ones = np.ones((1, 60), int)
    swapped = [auc(np.where(swap[:, None], scores[:, ::-1], scores), ones)[0] for swap in swaps]
    assert chance_auc(scores, 5) == pytest.approx(1.96 * np.std(swapped) * 1.5, rel=0.05)


def test_a_reader_of_nothing_stays_within_chance():
    """Of readers fitted in five folds to nothing, the bootstrap leaves out .5 in one of six; hardly one leaves this."""
    outside = []
    for seed in range(60):
        h = torch.randn(80, 6, generator=torch.Generator().manual_seed(seed))
        read = binary_scores(h, torch.arange(80) >= 40, folds=5, seed=0, groups=torch.arange(40).repeat(2))
        scores = read.numpy().reshape(2, 40).T
        outside.append(abs(evaluate(auc, scores) - 0.5) > chance_auc(scores, 5))
    assert np.mean(outside) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 60)
