"""Finding 3 as verdicts: SSL representations are more robust to small adversarial perturbations than supervised ones.

One verdict for each encoder and aspect: how far ``h`` moves, whether the decision holds, and whether what is drawn from
``h`` still shows the class. They are kept apart, because they can disagree. What is compared, the test and the
thresholds stand here before any encoder is attacked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyses.columns import estimate_of
from analyses.findings import Verdict, p_text, rule_of_gain, word_of_gain

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from analyses.findings import Word

RULE = rule_of_gain("encoders")
"""How a word follows from the numbers, for every aspect."""

_CLAIMS = {
    "displacement": "h moves less",
    "accuracy": "the decision holds more often",
    "rendered": "what is drawn from h keeps its class more often",
}
_STATISTICS = {
    "displacement": "relative displacement, mean over budgets, reference minus encoder: median over images",
    "accuracy": "share of budgets at which the decision holds, encoder minus reference: mean over images",
    "rendered": "share of budgets at which the rendered class is lost, reference minus encoder: mean over images",
}
_OUTCOMES: Mapping[str, Mapping[Word, str]] = {
    "displacement": {
        "supported": "moves less than",
        "not supported": "moves more than",
        "inconclusive": "moves neither clearly less nor clearly more than",
    },
    "accuracy": {
        "supported": "keeps its decision more often than",
        "not supported": "loses its decision more often than",
        "inconclusive": "keeps its decision neither clearly more nor clearly less often than",
    },
    "rendered": {
        "supported": "keeps the rendered class more often than",
        "not supported": "loses the rendered class more often than",
        "inconclusive": "keeps the rendered class neither clearly more nor clearly less often than",
    },
}


def robustness_verdicts(
    comparison: pd.DataFrame, *, reference: str, attack: str, is_ssl: Mapping[str, bool | None]
) -> tuple[Verdict, ...]:
    """The verdicts that a comparison allows.

    Args:
        comparison: From `analyses.adversarial.comparison_table`.
        reference: The encoder that the others are compared with.
        attack: The attack.
        is_ssl: Of each encoder, whether it is self-supervised, None if not known: the paper's claim is about those
            beside one that is not.

    Returns:
        One verdict a row.
    """
    decided = "accuracy" in set(comparison["aspect"])
    return tuple(_verdict(row, reference, attack, is_ssl, decided=decided) for _, row in comparison.iterrows())


def _verdict(
    row: pd.Series, reference: str, attack: str, is_ssl: Mapping[str, bool | None], *, decided: bool
) -> Verdict:
    aspect, encoder = row["aspect"], row["encoder"]
    gain = estimate_of(row, "gain")
    word = word_of_gain(gain, row["p_holm"])
    papers = is_ssl[encoder] and is_ssl[reference] is False
    comparison = (
        "" if papers else " (shown for comparison: the paper claims it of an SSL encoder beside a supervised one)"
    )
    return Verdict.of(
        gain,
        finding=3,
        claim=f"Under {attack}, {_CLAIMS[aspect]} for {encoder} than for {reference}{comparison}.",
        encoder=encoder,
        word=word,
        statistic=_STATISTICS[aspect],
        p_value=row["p_holm"],
        rule=RULE,
        sentence=(
            f"Under {attack}, {encoder} {_OUTCOMES[aspect][word]} {reference}: gain {gain.signed()} "
            f"({gain.n} {_compared(aspect, decided=decided)}, Holm-corrected {p_text(row['p_holm'])}, "
            f"rank-biserial {row['effect']:.2f})."
        ),
        aspect=aspect,
    )


def _compared(aspect: str, *, decided: bool) -> str:
    """The images that a comparison rests on, in words; without labels there are no decisions to be right."""
    if not decided:
        return "images"
    return f"images that {'all encoders' if aspect == 'rendered' else 'both'} classify rightly"
