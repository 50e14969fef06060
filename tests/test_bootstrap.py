"""The bootstrap: its statistics equal those of the resamples they stand for, and its intervals cover the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from sklearn.metrics import r2_score, roc_auc_score

from analyses.bootstrap import draws, interval
from analyses.statistics import (
    auc,
    auc_shares,
    correlation,
    evaluate,
    mean,
    mean_rank,
    mean_reciprocal,
    mean_size,
    median,
    r2,
    r2_shares,
    ratio,
    ratio_shares,
    share,
)  # fmt: skip

NUMBERS = st.floats(-100, 100).map(lambda x: round(x, 1))  # rounded: ties happen


def resamples(values: np.ndarray, counts: np.ndarray) -> list[np.ndarray]:
    """The resamples that rows of counts describe, drawn out."""
    return [np.repeat(values, row, axis=0) for row in counts]


def test_draws_describe_resamples_with_replacement():
    counts = draws(50, 400, 7)
    assert counts.shape == (400, 50)
    assert (counts.sum(1) == 50).all()
    assert (counts == draws(50, 400, 7)).all()
    assert (counts != draws(50, 400, 8)).any()
    # A count is binomial (50, 1/50): mean 1, and never drawn with probability (1 - 1/50)^50 = 0.364.
    assert (counts == 0).mean() == pytest.approx(0.364, abs=0.01)
    with pytest.raises(ValueError, match="read-only"):
        counts[0, 0] = 3


@given(arrays(np.float64, st.integers(1, 30), elements=NUMBERS), st.integers(0, 3))
@settings(deadline=None, max_examples=60)
def test_mean_and_median_equal_those_of_the_drawn_out_resamples(values, seed):
    counts = draws(len(values), 20, seed)
    drawn = resamples(values, counts)
    np.testing.assert_allclose(mean(values, counts), [np.mean(sample) for sample in drawn], atol=1e-9)
    np.testing.assert_allclose(median(values, counts), [np.median(sample) for sample in drawn], atol=1e-12)


def test_the_median_of_resamples_of_one_image_each_is_its_value():
    values = np.random.default_rng(0).normal(size=300)
    np.testing.assert_array_equal(median(values, 300 * np.eye(300, dtype=np.int32)), values)


@given(arrays(np.float64, st.tuples(st.integers(2, 25), st.just(2)), elements=NUMBERS), st.integers(0, 3))
@settings(deadline=None, max_examples=60)
def test_auc_equals_that_of_the_drawn_out_resamples(values, seed):
    counts = draws(len(values), 10, seed)
    expected = [
        roc_auc_score(np.repeat([0, 1], len(sample)), np.concatenate([sample[:, 0], sample[:, 1]]))
        for sample in resamples(values, counts)
    ]
    np.testing.assert_allclose(auc(values, counts), expected, atol=1e-12)


@given(st.integers(0, 10_000), st.floats(-1000, 1000))
@settings(deadline=None, max_examples=40)
def test_r2_equals_that_of_the_drawn_out_resamples_wherever_the_origin_lies(seed, origin):
    rng = np.random.default_rng(seed)
    true = rng.normal(origin, 1, (15, 3, 1))
    values = np.stack([true, true + rng.normal(0, 0.5, true.shape)], axis=-1)
    counts = draws(15, 10, seed)
    expected = [r2_score(*sample.reshape(-1, 2).T) for sample in resamples(values, counts)]
    np.testing.assert_allclose(r2(values, counts), expected, atol=1e-6)


def test_r2_is_joint_over_cosine_and_sine():
    rng = np.random.default_rng(0)
    turn, off = rng.uniform(0, 2 * np.pi, 300), rng.normal(0, 0.3, 300)
    true, read = (np.stack([np.cos(a), np.sin(a)], -1)[:, None] for a in (turn, turn + off))
    values = np.stack([true, read], axis=-1)
    expected = r2_score(true[:, 0], read[:, 0], multioutput="variance_weighted")
    assert evaluate(r2, values) == pytest.approx(expected)
    # Where zero lies on the circle does not matter.
    shifted = [np.stack([np.cos(a), np.sin(a)], -1)[:, None] for a in (turn + 1, turn + 1 + off)]
    assert evaluate(r2, np.stack(shifted, axis=-1)) == pytest.approx(expected)


def test_r2_of_a_constant_guess_is_zero_and_of_a_constant_truth_undefined():
    true = np.arange(6.0).reshape(6, 1, 1)
    assert evaluate(r2, np.stack([true, np.full_like(true, 2.5)], axis=-1)) == pytest.approx(0)
    constant = np.full((6, 2, 1, 2), 1e4)
    constant[..., 1] += np.arange(6.0).reshape(6, 1, 1)
    assert np.isnan(evaluate(r2, constant))


SHARES = {
    "auc": (auc, auc_shares, lambda rng: rng.normal([0, 1], 1, (200, 2)) + rng.normal(size=(200, 1))),
    "ratio": (ratio, ratio_shares, lambda rng: rng.gamma([2, 5], 1, (200, 2))),
    "r2": (r2, r2_shares, lambda rng: np.cumsum(rng.normal(size=(200, 3, 2, 2)), axis=-1)),
}


@pytest.mark.parametrize("of", list(SHARES))
def test_shares_of_images_have_the_number_as_mean_and_its_variance(of):
    statistic, shares, make = SHARES[of]
    values = make(np.random.default_rng(0))
    found = shares(values)
    assert found.mean() == pytest.approx(evaluate(statistic, values))
    drawn = statistic(values, draws(200, 2000, 0))
    assert found.std(ddof=1) / 200**0.5 == pytest.approx(drawn.std(), rel=0.07)
    of_each = found @ draws(200, 2000, 0).T / 200
    assert np.corrcoef(of_each, drawn)[0, 1] > 0.99  # so that differences of two are paired as they are


def test_shares_of_what_is_not_known_are_not_known():
    assert np.isnan(r2_shares(np.full((5, 1, 1, 2), 3.0))).all()
    assert np.isnan(ratio_shares(np.zeros((5, 2)))).all()


def test_ratio_and_mean_reciprocal():
    assert evaluate(ratio, np.array([[1.0, 2.0], [3.0, 6.0]])) == pytest.approx(0.5)
    assert np.isnan(evaluate(ratio, np.array([[1.0, 0.0], [3.0, 0.0]])))
    assert evaluate(mean_reciprocal, np.array([1.0, 2.0, 4.0])) == pytest.approx(7 / 12)


def test_quantiles_of_resamples_agree_with_scipy():
    values = np.random.default_rng(0).gamma(2.0, size=200)
    ours = interval(values, median, resamples=5000)
    theirs = stats.bootstrap((values,), np.median, n_resamples=5000, method="percentile", rng=1).confidence_interval
    width = theirs.high - theirs.low
    assert ours.value == pytest.approx(np.median(values))
    assert ours.low == pytest.approx(theirs.low, abs=0.05 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.05 * width)


def test_the_interval_of_a_mean_is_students_where_values_are_normal():
    values = stats.norm.ppf((np.arange(60) + 0.5) / 60) * 3 + 5
    ours = interval(values, mean, resamples=20_000)
    theirs = stats.ttest_1samp(values, 0).confidence_interval()
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.1 * (theirs.high - theirs.low))


@pytest.mark.parametrize("hits, n", [(0, 11), (0, 12), (9, 9), (12, 12), (11, 12), (50, 100)])
def test_the_interval_of_a_share_is_wilsons(hits, n):
    ours = interval(np.arange(n) < hits, share)
    theirs = stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert 0 <= ours.low <= ours.high <= 1
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_images_that_are_all_alike_leave_a_share_open_and_a_mean_closed():
    alike = np.full(20, 0.75)
    open_, closed = interval(alike, share), interval(alike, mean)
    assert open_.low < 0.75 < open_.high < 1
    assert closed.low == closed.high == 0.75


@pytest.mark.parametrize(("statistic", "least"), [(mean_rank, 1), (mean_size, 0)])
def test_an_interval_does_not_go_where_the_mean_cannot_be(statistic, least):
    values = least + np.append(np.linspace(0, 3, 29), 900.0)
    plain, bounded = interval(values, mean), interval(values, statistic)
    assert plain.low < least == bounded.low
    assert (bounded.value, bounded.high) == (plain.value, plain.high)


@pytest.mark.parametrize("statistic", [mean, mean_reciprocal, share, correlation, ratio, r2])
def test_a_few_images_unlike_all_others_blow_no_interval_up(statistic):
    """A resample often has hardly any of them: what rounding leaves of its deviation is nothing to divide by."""
    rng = np.random.default_rng(0)
    for others in (*range(1, 12), *[3] * 40):
        ranks = np.ones(n := rng.integers(24, 60))
        ranks[:others] = rng.integers(2, 30, others)
        values = ranks if statistic is mean_reciprocal else 1 / ranks
        if statistic is ratio:
            values = np.stack([values, np.ones(n)], 1)
        if statistic is r2:
            values = np.stack([true := rng.normal(size=(n, 1, 1)), true + 1 - values[:, None, None]], axis=-1)
        found = interval(values, statistic, resamples=400)  # one in twenty has none of three images
        assert found.value - 1 < found.low <= found.value <= found.high < found.value + 1
        assert found.high <= 1 or statistic in (mean, ratio)


SKEWED = {
    "exponential": (mean, lambda rng, n: rng.exponential(size=n), 1.0),
    "few large": (mean, lambda rng, n: np.where(rng.random(n) < 0.2, 5.0, 0) + 0.1 * rng.normal(size=n), 1.0),
    "reciprocal ranks": (mean_reciprocal, lambda rng, n: 1.0 * rng.geometric(0.5, size=n), np.log(2)),
    "hits": (share, lambda rng, n: rng.random(n) < 0.95, 0.95),
    "shares": (share, lambda rng, n: rng.binomial(4, 0.9, size=n) / 4, 0.9),
    "median": (median, lambda rng, n: rng.exponential(size=n), np.log(2)),
}


@pytest.mark.parametrize("of", SKEWED)
def test_intervals_of_two_dozen_images_hold_the_truth_as_often_as_they_say(of):
    statistic, draw, truth = SKEWED[of]
    rng, runs = np.random.default_rng(0), 400
    found = [interval(draw(rng, 24), statistic, resamples=400) for _ in range(runs)]
    covered = np.mean([one.low <= truth <= one.high for one in found])
    assert 0.95 - 3 * np.sqrt(0.95 * 0.05 / runs) <= covered  # three standard errors; quantiles of means hold 0.88


def test_auc_interval_covers_the_truth_with_pairs_that_are_correlated():
    rng = np.random.default_rng(1)
    truth = stats.norm.cdf(1 / np.sqrt(2))  # scores N(0, 1) and N(1, 1)
    covered = 0
    for _ in range(200):
        shared = rng.normal(size=(100, 1)) * np.sqrt(0.5)
        scores = shared + rng.normal(size=(100, 2)) * np.sqrt(0.5) + [0, 1]
        found = interval(scores, auc, resamples=300)
        covered += found.low <= truth <= found.high
    assert 0.89 <= covered / 200 <= 0.99


@pytest.mark.parametrize("apart", [2.9, 3.5])  # AUCs of .98 and .993, of which few images tell the variance
def test_auc_interval_covers_the_truth_near_one(apart):
    rng, runs = np.random.default_rng(2), 500
    truth = stats.norm.cdf(apart / np.sqrt(2))
    found = [interval(rng.normal([0, apart], 1, (48, 2)), auc) for _ in range(runs)]
    covered = np.mean([one.low <= truth <= one.high for one in found])
    assert covered >= 0.95 - np.sqrt(0.95 * 0.05 / runs)  # of uncapped counts 0.92, 0.94


def test_r2_interval_covers_the_truth():
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(200):
        true = rng.uniform(-1, 1, (150, 1, 1))
        read = true + rng.normal(0, np.sqrt(1 / 6), true.shape)  # half of the variance of true values, which is 1 / 3
        found = interval(np.stack([true, read], axis=-1), r2, resamples=300)
        covered += found.low <= 0.5 <= found.high
    assert 0.89 <= covered / 200 <= 0.99


def test_images_not_readings_are_the_unit_of_resampling():
    rng = np.random.default_rng(0)
    true = rng.normal(size=(60, 1, 1))
    values = np.stack([true, true + rng.normal(size=true.shape)], axis=-1)
    once, repeated = interval(values, r2), interval(np.repeat(values, 8, axis=1), r2)
    assert (repeated.value, repeated.low, repeated.high) == pytest.approx((once.value, once.low, once.high))


def test_interval_is_the_same_however_the_work_is_cut(monkeypatch):
    values = np.random.default_rng(0).normal(size=80)
    whole = interval(values, median, resamples=500, seed=3)
    monkeypatch.setattr("analyses.bootstrap._BLOCK", 80 * 7)
    assert interval(values, median, resamples=500, seed=3) == whole


def test_too_few_images_have_no_interval():
    none, one = interval(np.zeros(0), mean), interval(np.array([2.0]), mean)
    assert none.n == 0
    assert np.isnan(none.value)
    assert (one.value, one.n) == (2.0, 1)
    assert np.isnan([one.low, one.high]).all()


@given(arrays(np.float64, st.integers(2, 40), elements=NUMBERS), st.integers(0, 3))
@settings(deadline=None, max_examples=40)
def test_interval_lies_within_the_values_and_a_higher_level_is_wider(values, seed):
    narrow = interval(values, median, resamples=200, level=0.5, seed=seed)
    wide = interval(values, median, resamples=200, level=0.95, seed=seed)
    assert values.min() <= wide.low <= narrow.low <= narrow.high <= wide.high <= values.max()
