"""Readings: the factors of both ends, and those that the judge reads off what is drawn between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probes.records import PARTNER, join, records

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    import torch

    from probes.interpolation.pairs import Pairs
    from rcdm_core.zoo.judge import Judge


def ends(pairs: Pairs, encoder: str) -> pd.DataFrame:
    """Records ``partner``, and ``from`` and ``to`` where factors are known."""
    names = pairs.numbers[:, 0]
    tables = [records(PARTNER, pairs.numbers[:, 1], names, encoder=encoder)]
    for measure, factors in zip(("from", "to"), pairs.factors or (), strict=False):
        tables += [
            records(measure, factors[name].to_numpy(), names, encoder=encoder, condition=name) for name in factors
        ]
    return join(tables)


def readings(
    pairs: Pairs, encoder: str, level: str, samples: Mapping[str, torch.Tensor], t: torch.Tensor, judge: Judge
) -> pd.DataFrame:
    """Records ``reading`` of the samples of each path, ``[P, K, 3, S, S]``, at the positions ``t [K]``."""
    tables = []
    for path, drawn in samples.items():
        for column, position in enumerate(t.tolist()):
            read = judge.read(drawn[:, column])
            tables += [
                records(
                    "reading", read[factor].to_numpy(), pairs.numbers[:, 0], encoder=encoder, level=level,
                    condition=f"{path}: {factor}", strength=position, sample=0,
                )
                for factor in read
            ]  # fmt: skip
    return join(tables)
