"""The paper's findings over many encoders: every verdict of every probe in one table, beside what the paper claims.

A verdict agrees with the paper where the finding is about its encoder (self-supervised ones; where two are compared,
one beside another that is not) and is supported, disagrees where it is not supported, and is open where it is
inconclusive or there were too few images. A verdict of no finding is beyond the paper; one on a finding, of an encoder
that the paper says nothing about, is shown for comparison.
"""

from __future__ import annotations

import math
from dataclasses import fields
from typing import TYPE_CHECKING

import pandas as pd

from analyses.findings import ERROR_RATE, Verdict
from analyses.paired import holm

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

AGREEMENT = {"supported": "agrees", "not supported": "disagrees", "inconclusive": "open", "too few": "open"}
STANCES = tuple(dict.fromkeys(AGREEMENT.values()))
COMPARISON, BEYOND = "for comparison", "beyond the paper"

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
