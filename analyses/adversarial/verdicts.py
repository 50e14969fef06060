"""Finding 3 as verdicts: SSL representations are more robust to small adversarial perturbations than supervised ones.

One verdict for each encoder and aspect: how far ``h`` moves, whether the decision holds, and whether what is drawn from
``h`` still shows the class. They are kept apart, because they can disagree. What is compared, the test and the
thresholds stand here before any encoder is attacked.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from analyses.columns import estimate_of
from analyses.findings import Verdict, p_text, rule_of_gain, word_of_gain

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from analyses.findings import Word

VANISHING, ERRING = 0.05, 0.2
"""Share of images without a gradient, and median error of what gradients foretell, beyond which an attack is blind."""

FEWEST = 6
"""Images below which no order of signs reaches the error rate of the test."""

RULE = (
    f"{rule_of_gain('encoders')} Inconclusive as well where the attack is blind on the encoder that would be the more "
    f"robust: gradients vanish on more than {VANISHING:.0%} of the images, or foretell the change of the loss with a "
    f"median error above {ERRING}, or adversaries of another encoder do better, or random noise moves h as far."
)
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


def doubts(gradients: pd.DataFrame, transfers: pd.DataFrame) -> dict[str, str]:
    """Encoders that look more robust than they are, because an attack cannot see its way, each with the reason.

    Args:
        gradients: From `analyses.adversarial.gradient_table`.
        transfers: From `analyses.adversarial.transfer_table`.
    """
    found = {}
    for _, row in gradients.iterrows():
        theirs = transfers[(transfers["encoder"] == row["encoder"]) & (transfers["difference_high"] < 0)]
        reasons = []
        if row["without"] > VANISHING:
            reasons.append(f"the gradient of its loss vanishes on {row['without']:.0%} of the images")
        elif row["error"] > ERRING:
            reasons.append(f"its gradients foretell the change of its loss with a median error of {row['error']:.2f}")
        if len(theirs):
            best = theirs.loc[theirs["difference"].idxmin()]
            reasons.append(
                f"adversaries of {best['source']} leave it an accuracy of {best['transferred']:.2f}, its own "
                f"{best['own']:.2f}"
            )
        if row["beyond_noise_low"] <= 0:
            reasons.append("random noise moves its h as far as the attack")
        if reasons:
            found[row["encoder"]] = " and ".join(reasons)
    return found


def robustness_verdicts(
    comparison: pd.DataFrame,
    *,
    reference: str,
    attack: str,
    is_ssl: Mapping[str, bool | None],
    doubted: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Verdict, ...]:
    """The verdicts that a comparison allows.

    Args:
        comparison: From `analyses.adversarial.comparison_table`.
        reference: The encoder that the others are compared with.
        attack: The attack.
        is_ssl: Of each encoder, whether it is self-supervised, None if not known: the paper's claim is about those
            beside one that is not.
        doubted: From `doubts`.

    Returns:
        One verdict a row.
    """
    decided = "accuracy" in set(comparison["aspect"])
    return tuple(_verdict(row, reference, attack, is_ssl, doubted, decided=decided) for _, row in comparison.iterrows())


def _verdict(
    row: pd.Series,
    reference: str,
    attack: str,
    is_ssl: Mapping[str, bool | None],
    doubted: Mapping[str, str],
    *,
    decided: bool,
) -> Verdict:
    aspect, encoder = row["aspect"], row["encoder"]
    gain = estimate_of(row, "gain")
    seen = word_of_gain(gain, row["p_holm"])
    stronger = {"supported": encoder, "not supported": reference}.get(seen, "")  # what a blind attack flatters
    compared = f"{gain.n} {_compared(aspect, decided=decided)}"
    sentence = (
        f"Under {attack}, {encoder} {_OUTCOMES[aspect][seen]} {reference}: gain {gain.signed()} ({compared}, "
        f"Holm-corrected {p_text(row['p_holm'])}, rank-biserial {row['effect']:.2f})"
    )
    if stronger in doubted:
        sentence += f"; but the attack on {stronger} is blind: {doubted[stronger]}"
    elif gain.n < FEWEST:
        sentence = f"Too few images to compare {encoder} with {reference} under {attack}: {compared}"
    papers = is_ssl[encoder] and is_ssl[reference] is False
    comparison = (
        "" if papers else " (shown for comparison: the paper claims it of an SSL encoder beside a supervised one)"
    )
    return Verdict.of(
        gain,
        finding=3,
        claim=f"Under {attack}, {_CLAIMS[aspect]} for {encoder} than for {reference}{comparison}.",
        encoder=encoder,
        word="inconclusive" if stronger in doubted else seen,
        statistic=_STATISTICS[aspect],
        p_value=row["p_holm"],
        rule=RULE,
        sentence=f"{sentence}.",
        aspect=aspect,
    )


def _compared(aspect: str, *, decided: bool) -> str:
    """The images that a comparison rests on, in words; without labels there are no decisions to be right."""
    if not decided:
        return "images"
    return f"images that {'all encoders' if aspect == 'rendered' else 'both'} classify rightly"
