"""Findings 1 and 2 as verdicts: the backbone is not invariant to its training augmentations, the projector is closer.

Both rest on one number an image and level: the relative displacement of ``h``, each transformation at its reference
dose, averaged over the augmentations that the encoder was trained with. 0 is unmoved, 1 as far as another image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyses.bootstrap import RESAMPLES, interval
from analyses.by_image import by_image
from analyses.findings import ERROR_RATE, Verdict, aside, p_text, word_for, word_of_gain
from analyses.invariance.references import reference_displacements, reference_strengths
from analyses.invariance.tables import PAIR
from analyses.paired import compare, signed_rank
from analyses.statistics import auc, evaluate, median
from analyses.wording import listed, words
from rcdm_core.encoders.catalogue import SSL_AUGMENTATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

NEGLIGIBLE = 0.1
"""Relative displacement that counts as none: a tenth of the way to another image."""

_BACKBONE, _PROJECTOR = PAIR


def invariance_verdicts(
    records: pd.DataFrame,
    *,
    training_augmentations: Sequence[str],
    is_ssl: bool | None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Verdict, ...]:
    """Findings 1 and 2 for the encoder of the records.

    Args:
        records: Records of the invariance probe, of one encoder.
        training_augmentations: Transformations that the encoder was trained with; where empty, those that SSL encoders
            usually are. Those that were not measured are left out, and the verdict names the ones that were.
        is_ssl: Whether the encoder is self-supervised, None if not known: the paper's claim is about those.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resamples.

    Returns:
        The verdicts that the records allow: 1 needs the backbone, 2 backbone and projector, both some augmentation.
    """
    strengths = reference_strengths(records)
    measured = [name for name in training_augmentations or SSL_AUGMENTATIONS if name in strengths]
    moved = reference_displacements(records, {name: strengths[name] for name in measured})
    if moved.empty:
        return ()
    # An image counts at a level once every augmentation was measured on it there.
    means = {level: by_image(rows, "condition").mean(axis=1) for level, rows in moved.groupby("level")}
    encoder = str(records["encoder"].iloc[0])
    whose = "it was trained with" if training_augmentations else "self-supervised encoders are usually trained with"
    verdicts = []
    if _BACKBONE in means:
        claim = f"The backbone is not invariant to the augmentations {whose}{aside(is_ssl)}."
        readable = _readability(records, measured)
        verdicts.append(_backbone_moves(means[_BACKBONE], encoder, claim, measured, readable, resamples, seed))
    if set(PAIR) <= set(means):
        claim = f"The projector is closer to invariant to the augmentations {whose} than the backbone{aside(is_ssl)}."
        verdicts.append(_projector_moves_less(means[_BACKBONE], means[_PROJECTOR], encoder, claim, resamples, seed))
    return tuple(verdicts)


def _backbone_moves(
    displacement: pd.Series,
    encoder: str,
    claim: str,
    augmentations: Sequence[str],
    readable: str,
    resamples: int,
    seed: int,
) -> Verdict:
    moved = interval(displacement.to_numpy(), median, resamples=resamples, seed=seed)
    word = word_for(moved.low > NEGLIGIBLE, moved.high < NEGLIGIBLE)
    stands = {
        "supported": f"more than the {NEGLIGIBLE} that counts as negligible",
        "not supported": f"less than the {NEGLIGIBLE} that counts as negligible",
        "inconclusive": f"which cannot be told from the {NEGLIGIBLE} that counts as negligible",
    }
    return Verdict.of(
        moved,
        finding=1,
        claim=claim,
        encoder=encoder,
        word=word,
        statistic="median over images of the backbone's relative displacement, mean over augmentations",
        p_value=signed_rank(displacement.to_numpy() - NEGLIGIBLE),
        rule=(
            f"Supported where the whole 95% interval of the median lies above {NEGLIGIBLE} (a tenth of the way to "
            "another image), not supported where it lies below, else inconclusive. The p-value (Wilcoxon signed-rank "
            "against that bound) stands beside and does not decide."
        ),
        sentence=(
            f"Under {listed([*map(words, augmentations)])}, the backbone of {encoder} moves {moved} of the way to "
            f"another image (median of {moved.n} images), {stands[word]}.{readable}"
        ),
    )


def _projector_moves_less(
    backbone: pd.Series, projector: pd.Series, encoder: str, claim: str, resamples: int, seed: int
) -> Verdict:
    images = backbone.index.intersection(projector.index)
    result = compare((backbone - projector).loc[images], resamples=resamples, seed=seed)
    left = interval(projector.loc[images].to_numpy(), median, resamples=resamples, seed=seed)
    gain = result.difference
    word = word_of_gain(gain, result.p_value)
    outcome = {
        "supported": "moves less than the backbone",
        "not supported": "moves more than the backbone",
        "inconclusive": "moves neither clearly less nor clearly more than the backbone",
    }
    remains = word_for(left.low > NEGLIGIBLE, left.high < NEGLIGIBLE)
    rest = {
        "supported": "so it is not invariant in itself",
        "not supported": "which is negligible",
        "inconclusive": "close to what counts as negligible",
    }
    return Verdict.of(
        gain,
        finding=2,
        claim=claim,
        encoder=encoder,
        word=word,
        statistic="median over images of backbone minus projector, relative displacement, mean over augmentations",
        p_value=result.p_value,
        rule=(
            "Supported where the whole 95% interval of the median paired difference lies above 0 and the two-sided "
            f"Wilcoxon signed-rank p is below {ERROR_RATE}, not supported where it lies below 0 with p below "
            f"{ERROR_RATE}, else inconclusive."
        ),
        sentence=(
            f"The projector of {encoder} {outcome[word]}: backbone minus projector is {gain} of the way to another "
            f"image (median paired difference of {gain.n} images, {p_text(result.p_value)}, rank-biserial "
            f"{result.effect:.2f}). The projector itself moves {left}, {rest[remains]}."
        ),
    )


def _readability(records: pd.DataFrame, augmentations: Sequence[str]) -> str:
    """The range over augmentations of the backbone's AUC, in a sentence; nothing where none was measured."""
    scores = records[(records["measure"] == "applied_score") & (records["level"] == _BACKBONE)]
    told = {name: by_image(rows, "strength") for name, rows in scores.groupby("condition") if name in augmentations}
    areas = {name: evaluate(auc, pair.to_numpy()) for name, pair in told.items() if pair.shape[1] == 2 and len(pair)}
    if not areas:
        return ""
    least, most = min(areas, key=areas.__getitem__), max(areas, key=areas.__getitem__)
    if least == most:
        return (
            f" A linear readout of the backbone tells whether {words(least)} was applied, with an AUC of "
            f"{areas[least]:.2f}; 0.5 is chance."
        )
    return (
        " A linear readout of the backbone tells whether they were applied, with an AUC of "
        f"{areas[least]:.2f} ({words(least)}) to {areas[most]:.2f} ({words(most)}); 0.5 is chance."
    )
