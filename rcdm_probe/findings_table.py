"""The paper's findings over many encoders: every verdict of every probe in one table, beside what the paper claims.

A verdict agrees with the paper where the finding is about its encoder (self-supervised ones; where two are compared,
one beside another that is not) and is supported, disagrees where it is not supported, and is open where it is
inconclusive or there were too few images. A verdict of no finding is beyond the paper; one on a finding, of an encoder
that the paper says nothing about, is shown for comparison.
"""

from __future__ import annotations

import math
from dataclasses import fields
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from analyses.digits import ERROR_RATE
from analyses.findings import Verdict
from analyses.paired import holm

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

AGREEMENT = {"supported": "agrees", "not supported": "disagrees", "inconclusive": "open", "too few": "open"}
STANCES = tuple(dict.fromkeys(AGREEMENT.values()))
COMPARISON, BEYOND = "for comparison", "beyond the paper"


class Claim(NamedTuple):
    """A finding of the paper.

    Attributes:
        title: Its name.
        claim: What the paper says.
        tested: What the verdicts are about, where that is less.
    """

    title: str
    claim: str
    tested: str


CLAIMS = {
    1: Claim(
        "The backbone is not invariant",
        "Self-supervised backbones are not invariant to the augmentations they were trained with: samples from h(T(x)) "
        "show what T did to x.",
        "whether every single one of these augmentations moves the backbone by more than what counts as negligible. "
        "An untrained encoder stands beside each, and what other bounds would make of the word.",
    ),
    2: Claim(
        "The projector is closer to invariant",
        "Embeddings behind the projector are invariant to the training augmentations, and to many other symmetries of "
        "the data: what T did to x is gone from the samples.",
        "closer, whether the projector moves less than the backbone, on average over the training augmentations; and "
        "invariant, whether it moves by less than what counts as negligible under each of them. To what else it is "
        "invariant is for the figure to show.",
    ),
    3: Claim(
        "Robustness",
        "Self-supervised representations move less under small adversarial perturbations of the input than supervised "
        "ones: samples from an attacked h still show the original class.",
        "how far h moves, how often the decision holds and how often samples keep their class, each apart, beside the "
        "reference.",
    ),
    4: Claim(
        "Structure",
        "Self-supervised representations have a structure that can be explored: between two images, and along single "
        "dimensions, samples change as one would expect.",
        "paths between two images; and, over enough images, dimensions that are put into another image, and "
        "directions of known factors.",
    ),
}
"""Each finding (Bordes, Balestriero and Vincent 2022)."""

_COLUMNS = [field.name for field in fields(Verdict)]


def findings_table(verdicts: Iterable[pd.DataFrame], is_ssl: Mapping[str, bool | None]) -> pd.DataFrame:
    """Every verdict, with how it stands to the paper.

    Args:
        verdicts: Tables with a column for each field of `analyses.findings.Verdict`, and with ``reference``, the name
            of the encoder that it was compared with, where there is one.
        is_ssl: Of each encoder, whether it is self-supervised, None if not known: the paper's claims are about those,
            beside references that are not. It says nothing about encoders that are not in here.

    Returns:
        One row a verdict, by finding, those beyond the paper last, aspect, level and encoder as they come; ``paper`` is
        ``agrees``, ``disagrees``, ``open``, ``for comparison`` or ``beyond the paper``. ``p_value`` is as each probe
        gives it, corrected over its own family; ``p_table`` is that corrected once more, by Holm over all verdicts that
        have one.
    """
    tables = [table for table in verdicts if len(table)]
    every = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=_COLUMNS)
    every = every.reindex(columns=[*_COLUMNS, "reference"]).fillna({"aspect": "", "level": "", "reference": ""})
    is_claimed = every["encoder"].map(is_ssl).eq(True) & every["reference"].map({**is_ssl, "": False}).eq(False)
    paper = every["word"].map(AGREEMENT).where(is_claimed, COMPARISON).where(every["finding"].ne(0), BEYOND)
    told = every["word"].ne("too few")
    every = every.assign(paper=paper, p_table=holm(every["p_value"].astype(float).where(told)))
    last = every["finding"].astype(float).mask(every["finding"].eq(0), math.inf)
    return every.loc[last.sort_values(kind="stable").index].reset_index(drop=True)


def multiplicity(findings: pd.DataFrame) -> str:
    """How many words there are, how many of them false ones are to be expected, and how many outlast a correction."""
    words = findings[findings["word"].ne("too few")]
    claiming = words[words["word"].isin(("supported", "not supported"))]
    if words.empty:
        return ""
    tested = claiming[claiming["p_table"].notna()]
    kept = int((tested["p_table"] < ERROR_RATE).sum())
    return (
        f"There are {len(words)} words, of which {len(claiming)} claim something (supported, not supported). Where "
        f"there is nothing to find, a word claims something in at most {ERROR_RATE:.0%} of cases: were that so "
        f"everywhere, up to {ERROR_RATE * len(words):.1f} of {len(words)} words would be false. Corrected over the "
        f"whole table (Holm), {kept} of the {len(tested)} that claim something and have a p keep it below {ERROR_RATE}."
    )


def tally(findings: pd.DataFrame) -> pd.DataFrame:
    """How many verdicts of each finding and aspect agree with the paper.

    Returns:
        One row a (``finding``, ``aspect``, ``level``): counts ``agrees``, ``disagrees``, ``open``, of the encoders that
        the paper speaks of.
    """
    spoken = findings[findings["paper"].isin(STANCES)]
    counts = pd.crosstab([spoken["finding"], spoken["aspect"], spoken["level"]], spoken["paper"])
    return counts.reindex(columns=STANCES, fill_value=0).reset_index().rename_axis(None, axis=1)
