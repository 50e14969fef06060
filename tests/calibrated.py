"""How often the rules of the probes say a false word, and how often intervals hold the truth: simulated.

Worlds in which the truth is known, drawn again and again; the rules are those of the probes, on numbers in place of
measurements. ``python tests/calibrated.py --runs 2000`` prints the tables of docs/calibration.md.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from scipy.stats import norm

from analyses.bootstrap import LEVEL, Estimate, interval
from analyses.findings import Word, word_for, word_of_gain
from analyses.paired import signed_rank
from analyses.statistics import auc, correlation, mean, mean_reciprocal, median, r2, ratio, share
from probes.interpolate import ORDERED, PLACED, word_of
from probes.manipulate import judged, squares
from rcdm_core.fidelity import frechet_contributions

Draw = Callable[[np.random.Generator, int], np.ndarray]
SIZES = (24, 48, 100, 500)
FACTORS = 8
SHARED = 5  # sets of resamples


# Intervals: a statistic, values of n images, the truth


def hits(rng: np.random.Generator, n: int, rate: float) -> np.ndarray:
    return rng.random(n) < rate


def ways(rng: np.random.Generator, n: int, share_of_way: float = 0.3, noise: float = 0.3) -> np.ndarray:
    """Progress and whole way of a factor that is uniform, and that an edit takes some of the way to a target."""
    way = rng.random(n) - rng.random(n)
    return np.stack([way * (share_of_way * way + noise * rng.normal(size=n)), way**2], 1)


def scores(rng: np.random.Generator, n: int, apart: float) -> np.ndarray:
    """Two scores of each image that have half of their variance in common."""
    return (rng.normal(size=(n, 1)) + rng.normal(size=(n, 2))) / 2**0.5 + [0, apart]


def readings(rng: np.random.Generator, n: int, explained: float) -> np.ndarray:
    true = rng.uniform(-1, 1, (n, 1, 1))
    return np.stack([true, true + rng.normal(0, ((1 - explained) / 3) ** 0.5, true.shape)], -1)


def orders(rng: np.random.Generator, n: int, mean_order: float) -> np.ndarray:
    """Correlations of a mean, most of which are near 1 and some near -1: skewed."""
    few = (0.9 - mean_order) / 1.6
    return np.where(rng.random(n) < few, -0.7, 0.9) + rng.uniform(-0.1, 0.1, n)


INTERVALS: dict[str, tuple[Any, Draw, float]] = {
    "mean, normal": (mean, lambda rng, n: rng.normal(size=n), 0.0),
    "mean, exponential": (mean, lambda rng, n: rng.exponential(size=n), 1.0),
    "mean, few large": (mean, lambda rng, n: 5.0 * hits(rng, n, 0.2) + 0.1 * rng.normal(size=n), 1.0),
    "share of hits, .5": (share, partial(hits, rate=0.5), 0.5),
    "share of hits, .9": (share, partial(hits, rate=0.9), 0.9),
    "share, of 4 each, .9": (share, lambda rng, n: rng.binomial(4, 0.9, n) / 4, 0.9),
    "correlation, skewed": (correlation, partial(orders, mean_order=0.5), 0.5),
    "correlation, near 1": (correlation, lambda rng, n: 1 - 0.5 * hits(rng, n, 0.1), 0.95),
    "median, normal": (median, lambda rng, n: rng.normal(size=n), 0.0),
    "median, exponential": (median, lambda rng, n: rng.exponential(size=n), float(np.log(2))),
    "mean reciprocal rank": (mean_reciprocal, lambda rng, n: 1.0 * rng.geometric(0.5, n), float(np.log(2))),
    "ratio, of one factor": (ratio, ways, 0.3),
    "ratio, of eight factors": (ratio, lambda rng, n: np.stack([ways(rng, n) for _ in range(FACTORS)], 1), 0.3),
    "ratio, exponentials": (ratio, lambda rng, n: rng.exponential(size=(n, 2)), 1.0),
    "AUC, .5": (auc, partial(scores, apart=0.0), 0.5),
    "AUC, .76": (auc, partial(scores, apart=1.0), float(norm.cdf(1 / 2**0.5))),
    "AUC, .98": (auc, partial(scores, apart=2.9), float(norm.cdf(2.9 / 2**0.5))),
    "R2, 0": (r2, partial(readings, explained=0.0), 0.0),
    "R2, .5": (r2, partial(readings, explained=0.5), 0.5),
}


def seeded(run: int, resamples: int) -> Callable[..., Estimate]:
    """Intervals of a run; resamples are shared by many runs, which takes a tenth of the time."""

    def interval_of(values: Any, statistic: Any, level: float = LEVEL) -> Estimate:
        return interval(values, statistic, level=level, resamples=resamples, seed=run % SHARED)

    return interval_of


def covered(of: str, n: int, runs: int, resamples: int, seed: int = 0) -> float:
    """How often the interval of a kind holds the truth."""
    statistic, draw, truth = INTERVALS[of]
    rng = np.random.default_rng([seed, n])
    found = (seeded(run, resamples)(draw(rng, n), statistic) for run in range(runs))
    return float(np.mean([one.low <= truth <= one.high for one in found]))


# Words: a rule on numbers of n images, drawn where the claim is neither true nor false


def gain_word(values: np.ndarray, interval_of: Callable[..., Estimate]) -> Word:
    return word_of_gain(interval_of(values, mean), signed_rank(values))


def transplants(noise: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]) -> Callable[..., Word]:
    """Manipulation: gains of common dimensions over both kinds of random ones, all three of one mean."""

    def word(rng: np.random.Generator, n: int, interval_of: Callable[..., Estimate]) -> Word:
        way = rng.random((n, FACTORS)) - rng.random((n, FACTORS))
        common, random, far = (way * (0.3 * way + noise(rng, way.shape)) for _ in range(3))
        gains = [common - random, common - far]
        estimates = [interval_of(np.stack([gain, way**2], -1), ratio) for gain in gains]
        return judged(estimates, [signed_rank((gain / (way**2).mean(0)).mean(1)) for gain in gains])[0]

    return word


def one_gain(draw: Draw) -> Callable[..., Word]:
    """The same where the gains over both controls are equal: the shape of the gain is given."""

    def word(rng: np.random.Generator, n: int, interval_of: Callable[..., Estimate]) -> Word:
        values = draw(rng, n)
        of = interval_of(np.stack([values, np.ones(n)], -1), ratio), signed_rank(values)
        return judged([of[0]] * 2, [of[1]] * 2)[0]

    return word


def turned(own: float, others: float, noise: float = 0.5, skewed: bool = False) -> Callable[..., Word]:
    """Directions: mean changes of the own factor and of the others, beside noise that an image has in common."""

    def word(rng: np.random.Generator, n: int, interval_of: Callable[..., Estimate]) -> Word:
        drawn = rng.exponential(size=(n, FACTORS**2)) - 1 if skewed else rng.normal(size=(n, FACTORS**2))
        drawn = noise * (drawn + 0.3 * rng.normal(size=(n, 1)))
        mine, theirs = own + drawn[:, :FACTORS], others + drawn[:, FACTORS:]
        criteria = squares(mine) - squares(theirs), mine.mean(1)
        gains = [interval_of(values, mean) for values in criteria]
        return judged(gains, [signed_rank(values) for values in criteria])[0]

    return word


def path(order: Draw, gain: Draw, place: Draw) -> Callable[..., Word]:
    """Interpolation: correlations, their gain over another image's, and places on the way from chance to always."""

    def word(rng: np.random.Generator, n: int, interval_of: Callable[..., Estimate]) -> Word:
        found: Any = SimpleNamespace(interval=interval_of)
        criteria = (order(rng, n), correlation, ORDERED), (gain(rng, n), mean, 0.0), (place(rng, n), ratio, PLACED)
        return word_of(found, *criteria)

    return word


def placed_at(rng: np.random.Generator, n: int, at: float) -> np.ndarray:
    """Beyond chance and the most that is possible, of five samples a pair."""
    chance = rng.uniform(0.2, 0.5, n)
    return np.stack([rng.binomial(5, chance + at * (1 - chance)) / 5 - chance, 1 - chance], 1)


def sets(rng: np.random.Generator, n: int, interval_of: Callable[..., Estimate]) -> Word:
    """Generation: Frechet distances of two sets of pictures of one distribution, which are no real images'."""
    real, *drawn = (torch.from_numpy(rng.normal(shift, 1, (n, 6))) for shift in (0.0, 0.3, 0.3))
    first, second = (frechet_contributions(of, real).numpy() for of in drawn)
    gain = interval_of(first - second, mean)
    return word_for(gain.low > 0, gain.high < 0)


def copies(rng: np.random.Generator, n: int, interval_of: Callable[..., Estimate]) -> Word:
    """Fidelity: pictures closer to a training image than any real one, and as many closer to one of the others."""
    surplus = 1.0 * hits(rng, n, 0.15) - hits(rng, n, 0.15)
    return gain_word(surplus, interval_of)


def exponential(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.exponential(size=n) - 1


def few_large(rng: np.random.Generator, n: int) -> np.ndarray:
    return 5.0 * hits(rng, n, 0.2) - 1 + 0.1 * rng.normal(size=n)


HIGH = partial(orders, mean_order=0.8)
UP: Draw = lambda rng, n: 0.5 + 0.3 * rng.normal(size=n)  # noqa: E731
NULLS: dict[str, Callable[..., Word]] = {
    "manipulate, equal shares, normal": transplants(lambda rng, shape: 0.3 * rng.normal(size=shape)),
    "manipulate, equal shares, skewed": transplants(lambda rng, shape: 0.3 * (rng.exponential(size=shape) - 1)),
    "manipulate, gain exponential - 1": one_gain(exponential),
    "manipulate, gain of few large": one_gain(few_large),
    "directions, own 0, others 0": turned(0.0, 0.0),
    "directions, own 0, others 0, skewed": turned(0.0, 0.0, skewed=True),
    "directions, own .3, others .3": turned(0.3, 0.3),
    "directions, own .3, others .3, skewed": turned(0.3, 0.3, skewed=True),
    "interpolate, correlation at .5, skewed": path(partial(orders, mean_order=0.5), UP, partial(placed_at, at=0.8)),
    "interpolate, gain 0, exponential - 1": path(HIGH, exponential, partial(placed_at, at=0.8)),
    "interpolate, places at .5": path(HIGH, UP, partial(placed_at, at=0.5)),
    "interpolate, all three at their bounds": path(
        partial(orders, mean_order=0.5), few_large, partial(placed_at, at=0.5)
    ),
    "generate, two sets of one kind": sets,
    "fidelity, as many copies of either": copies,
    "a gain alone, exponential - 1": lambda rng, n, of: gain_word(exponential(rng, n), of),
    "a gain alone, few large": lambda rng, n, of: gain_word(few_large(rng, n), of),
}
"""Where nothing is to be claimed: any word but inconclusive is false."""

TRUTHS: dict[str, tuple[Callable[..., Word], Word]] = {
    "directions, own .1, others 0": (turned(0.1, 0.0), "supported"),
    "directions, own .1, others 0, little noise": (turned(0.1, 0.0, noise=0.2), "supported"),
    "directions, own .3, others .1": (turned(0.3, 0.1), "supported"),
    "directions, own .3, others .5": (turned(0.3, 0.5), "not supported"),
    "directions, own -.3, others 0": (turned(-0.3, 0.0), "not supported"),
}
"""Where something is: the word that is right."""


def words_of(rule: Callable[..., Word], n: int, runs: int, resamples: int, seed: int = 0) -> dict[str, float]:
    """How often each word is said."""
    rng = np.random.default_rng([seed, n])
    said = Counter(rule(rng, n, seeded(run, resamples)) for run in range(runs))
    return {word: said[word] / runs for word in ("supported", "not supported", "inconclusive")}


def false_words(of: str, n: int, runs: int, resamples: int) -> float:
    """How often a word is said where none is due."""
    return 1 - words_of(NULLS[of], n, runs, resamples)["inconclusive"]


def main(runs: int, resamples: int) -> Iterator[str]:
    """The tables, in Markdown."""

    def table(title: str, sizes: tuple[int, ...], rows: Any, cell: Callable[[Any, int], str]) -> Iterator[str]:
        yield f"\n| {title} | {' | '.join(map(str, sizes))} |"
        yield "|---" * (1 + len(sizes)) + "|"
        for row in rows:
            yield f"| {row} | {' | '.join(cell(row, n) for n in sizes)} |"

    def per_cent(value: float) -> str:
        return f"{100 * value:.1f}"

    def right_and_wrong(of: str, n: int) -> str:
        rule, right = TRUTHS[of]
        said = words_of(rule, n, runs, resamples)
        wrong = "not supported" if right == "supported" else "supported"
        return f"{per_cent(said[right])} / {per_cent(said[wrong])}"

    yield from table(
        "False words, % (n images)", SIZES, NULLS, lambda of, n: per_cent(false_words(of, n, runs, resamples))
    )
    yield from table("Right / opposite word, %", SIZES, TRUTHS, right_and_wrong)
    yield from table(
        "Coverage of 95% intervals, %", SIZES, INTERVALS, lambda of, n: per_cent(covered(of, n, runs, resamples))
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000, help="worlds for each number")
    parser.add_argument("--resamples", type=int, default=2000, help="of each bootstrap")
    for line in main(**vars(parser.parse_args())):
        print(line, flush=True)
