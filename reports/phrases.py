"""Sentences that several reports have in common: the paper, the intervals, what no number shows, what factors need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyses.bootstrap import LEVEL, RESAMPLES
from reports.names import sentence

if TYPE_CHECKING:
    from collections.abc import Mapping

PAPER = (
    "Bordes, Balestriero and Vincent, High Fidelity Visualization of What Your Self-Supervised Representation Knows "
    "About, TMLR 2022 (arXiv 2112.09164)"
)

NO_FACTORS = (
    "That needs images of which position, colour, pose and so on are known. A folder of images has no such record; the "
    "embedded fashion scenes do: run the probe on the same encoder with --data scenes."
)
"""Why factors were not measured, and how they are."""

OF_SAMPLES = (
    "The generator may miss what h has. A detail that is absent from the samples can be the decoder's "
    "fault; where factors are known, present beside rendered bounds how often that is so. A detail that is "
    "in all samples cannot be explained so: it came from h, or is common to all images."
)
OF_READOUTS = (
    "A linear readout finds what is linearly there. What h holds in a form that is not linear is not counted as "
    "present."
)
OF_SCENES = (
    "The embedded fashion scenes are not ImageNet: small pictures of garments with few factors, and small "
    "encoders trained on them, all with a little noise (of 0.02 in half of the views), which published ones do without "
    "and which is not counted among their augmentations. What holds there is a hypothesis about large encoders, and no "
    "more."
)
OF_INTERVALS = (
    "Intervals are over images of one data set, for one training of the encoder. Another training, or "
    "other data, may differ by more."
)


def of_scenes(run: Mapping[str, Any]) -> list[str]:
    """`OF_SCENES`, where the images of a run are scenes: the only ones with known factors."""
    return [OF_SCENES] if run.get("data_card", {}).get("known_factors") else []


def of_images(run: Mapping[str, Any]) -> list[str]:
    """What had to be told of the images of a run: how they were sorted, what was passed over, a range not used."""
    return [f"Of the images: {sentence(remark)}" for remark in run.get("data_card", {}).get("remarks", ())]


def of_memory(run: Mapping[str, Any]) -> list[str]:
    """What it means that a decoder was trained on images of the set that was measured, where one was."""
    card = run.get("data_card", {})
    if "trained_on" not in card:
        return []
    if not card["trained_on"]:
        return [
            f"A decoder was trained on {card['whole'] - card['held_out']:,} of the {card['whole']:,} images. None of "
            f"those was measured: numbers are of the other {card['held_out']:,} alone."
        ]
    return [
        f"Samples may be memory. A decoder was trained on {card['trained_on']:,} of the {card['images']:,} images that "
        f"were measured, because too few were held out of its training ({card['held_out']:,}) to be measured alone. "
        "Numbers that rest on samples are safe only on images that it has not seen: give others with --data."
    ]


def uncertainty(over: str = "images") -> str:
    """How intervals are made; what they are ``over`` is drawn again in each resample."""
    how = "studentised for means, ratios and R2, Wilson's for shares of hits and AUC, quantiles for other numbers"
    return f"Uncertainty. {LEVEL:.0%} bootstrap over {over}, {RESAMPLES:,} resamples: {how}"
