"""How far the decoder is to be trusted, in a paragraph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyses.wording import listed
from probes.records import REAL
from reports.tables import cell, number

if TYPE_CHECKING:
    import pandas as pd

    from reports.fidelity.content import Content


def trust(content: Content) -> str:
    """How far the decoder is to be trusted, in a paragraph."""
    ranked = content.ranks.sort_values("mrr", ascending=False)
    best, worst = ranked.iloc[0], ranked.iloc[-1]
    gallery = content.gallery
    said = [
        f"How far to trust the decoder. One sample from {_name(best)} finds the image that it was drawn of at a "
        f"median rank of {number(best['median_rank'], 0)} among {gallery:,} (MRR {cell(best, 'mrr')}; chance is a "
        f"rank of {(gallery + 1) // 2:,})."
    ]
    if len(ranked) > 1:
        said.append(
            f"From {_name(worst)} it does so least, at {number(worst['median_rank'], 0)} (MRR {cell(worst, 'mrr')})."
        )
    near, far = (content.samples.loc[content.samples["frechet"].agg(place)] for place in ("idxmin", "idxmax"))
    off = int((content.samples["excess_low"] > 0).sum())
    said.append(
        f"As sets, samples lie at {_range(content.distance, near['frechet'], far['frechet'])}, equally many real "
        f"images at {cell(content.real, 'frechet')}: samples of {off} of {len(content.samples)} levels can be told "
        "from real images by it."
    )
    if len(content.copies):
        said.append(_recall(content.copies[content.copies["encoder"] != REAL]))
    said.append(
        "What all samples of one h share came from h; what they lack may be the decoder's fault, and the more so the "
        "larger the rank."
    )
    return " ".join(said)


def _recall(copies: pd.DataFrame) -> str:
    """Whether samples are copies of training images, in a sentence."""
    recalled = copies[copies["surplus_low"] > 0]
    if recalled.empty:
        return (
            "Nothing points to copies of training images: the share of samples that lie closer to one of them than "
            "every real image does, less the share that lie as close to one of as many images that were not trained "
            "on, has an interval above 0 at no level."
        )
    worst = recalled.loc[recalled["surplus"].idxmax()]
    return (
        f"Samples of {listed([_name(row) for _, row in recalled.iterrows()])} look like copies of training images: "
        "closer to one of them than every real image, and not to images that were not trained on, lie up to "
        f"{cell(worst, 'surplus')} of them."
    )


def _name(row: pd.Series) -> str:
    return f"{row['encoder']}/{row['level']}"


def _range(name: str, low: float, high: float) -> str:
    ends = [number(value) for value in (low, high)]
    return f"{name} {ends[0]}" if ends[0] == ends[1] else f"{name} {ends[0]} to {ends[1]}"
