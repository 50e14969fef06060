"""What a verdict is: a finding of the paper, tested on one encoder by a comparison stated beforehand; and its words.

The findings are those of Bordes, Balestriero and Vincent, "High Fidelity Visualization of What Your Self-Supervised
Representation Knows About", TMLR 2022 (arXiv 2112.09164). Each probe has its ``verdicts``: what is compared,
the test and the thresholds stand there before any encoder is measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from analyses.digits import ERROR_RATE, ROUNDING

if TYPE_CHECKING:
    from analyses.bootstrap import Estimate

Word = Literal["supported", "not supported", "inconclusive", "too few"]

LEAST = 20
"""Images, or pairs, below which the word is "too few": neither intervals nor tests keep there what they promise."""


@dataclass(frozen=True)
class Verdict:
    """A finding tested on one encoder.

    Args:
        finding: Number of the finding in the paper; 0 for a claim that is not the paper's.
        claim: What is claimed, in a sentence.
        encoder: Name of the encoder.
        word: How the claim fared.
        statistic: What ``value`` is.
        value: The statistic on the images at hand; ``low`` and ``high`` bound its 95% bootstrap interval.
        low: Lower bound.
        high: Upper bound.
        p_value: Two-sided p-value of the Wilcoxon signed-rank test.
        n: Number of images.
        rule: How the word follows from the numbers, as stated beforehand.
        sentence: The outcome in words, with what stands beside it.
        aspect: Which side of the finding, where it has several that can disagree.
        level: Level of the representation, where the finding is tested at each.
        bound: What the statistic is held against.
    """

    finding: int
    claim: str
    encoder: str
    word: Word
    statistic: str
    value: float
    low: float
    high: float
    p_value: float
    n: int
    rule: str
    sentence: str
    aspect: str = ""
    level: str = ""
    bound: float = 0.0

    @property
    def heading(self) -> str:
        """What is tested, in a few words."""
        finding = f"Finding {self.finding}" if self.finding else "Beyond the paper"
        return f"{finding}, {self.aspect}" if self.aspect else finding

    @classmethod
    def of(cls, estimate: Estimate, **about: Any) -> Verdict:
        """A verdict on an estimate: its value, interval and number of images; everything else by name."""
        return cls(value=estimate.value, low=estimate.low, high=estimate.high, n=estimate.n, **about)


def word_for(for_it: bool, against_it: bool) -> Word:
    """The word of a claim. Comparisons with NaN are false: no number is inconclusive."""
    return "supported" if for_it else "not supported" if against_it else "inconclusive"


def word_of_gain(gain: Estimate, p_value: float) -> Word:
    """The word of a gain: its whole interval lies on one side of 0, and its test agrees."""
    certain = p_value < ERROR_RATE
    return word_for(certain and gain.low > ROUNDING, certain and gain.high < -ROUNDING)


def word_of_all(*words: Word) -> Word:
    """The word of a claim that needs several to hold: supported where all are, not supported where one is not."""
    return word_for(all(word == "supported" for word in words), any(word == "not supported" for word in words))


def rule_of_gain(family: str) -> str:
    """How `word_of_gain` decides, in words, where Holm's correction is over a family."""
    return (
        "Supported where the whole 95% interval lies above 0 and the two-sided Wilcoxon signed-rank p, Holm-corrected "
        f"over the {family}, is below {ERROR_RATE}; not supported where it lies below 0 with p below {ERROR_RATE}; "
        "else inconclusive."
    )


def rule_of_gains(family: str) -> str:
    """How `word_of_all` decides about two gains by `word_of_gain`, in words, with Holm's correction over a family."""
    return (
        f"Each by its 95% interval and its two-sided Wilcoxon signed-rank p, Holm-corrected over the {family}. "
        f"Supported where both lie above 0 (whole interval, and p below {ERROR_RATE}), not supported where one of them "
        "lies below 0 (likewise), else inconclusive."
    )


def aside(is_ssl: bool | None) -> str:
    """What a claim ends with where the paper does not make it of such an encoder, or where that is not known (None)."""
    if is_ssl:
        return ""
    untold = ", and it was not told whether this is one" if is_ssl is None else ""
    return f" (shown for comparison: the paper claims it of self-supervised encoders{untold})"
