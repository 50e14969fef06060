"""Records of an invariance probe with a planted truth, row by row as the probe writes them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyses.records import join, records
from probes.invariance import PROBE, Invariance
from rcdm_probe.conduct import Result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DOSES = {"crop": (0.2, 0.5, 0.8), "blur": (1.0, 2.0), "horizontal_flip": (1.0,)}
REFERENCE = {"crop": 0.5, "blur": 2.0, "horizontal_flip": 1.0}
AUGMENTATIONS = tuple(DOSES)


def found(
    records: pd.DataFrame, *, augmentations: Sequence[str] = AUGMENTATIONS, is_ssl: bool | None = True, seed: int = 0
) -> Result:
    """What the probe makes of planted records of an encoder that was trained with these augmentations."""
    settings = Invariance(seed=seed)
    run = {
        "arguments": {"encoder": "planted", "data": "planted", **asdict(settings)},
        "encoder_card": {
            "self_supervised": "not told" if is_ssl is None else is_ssl, "levels": {},
            "training_augmentations": list(augmentations),
        },
        "drawn_levels": [],
    }  # fmt: skip
    none = pd.DataFrame()
    return Result(probe=PROBE, settings=settings, records=records, images=none, panels=(), maps=(), run=run)


def planted_records(
    movement: Mapping[str, float],
    *,
    images: int = 80,
    spread: float = 0.3,
    seed: int = 0,
    unit_error: float = 0.0,
    whitened: float = 1.0,
) -> pd.DataFrame:
    """Records in which a level moves by ``movement[level]`` at the reference doses, in proportion to the dose.

    Each image has its own sensitivity, shared by the levels (log-normal of the given spread); whitened displacements
    are ``whitened`` times the plain ones. What can be read of
    factors: ``x`` to an R2 of about 0.5 at any level, hue exactly, the class for three images in four; samples render
    ``x`` as pure noise, hue turned by half a turn, and the class rightly in one of two samples.
    """
    rng, aside = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    index = np.arange(images) * 3 + 5  # indices in a data set need not start at 0 or be dense
    sensitivity = np.exp(rng.normal(0, spread, images))
    rows: list[pd.DataFrame] = []

    def write(measure, values, *, image=index, **about):
        values = np.broadcast_to(values, len(image))
        rows.append(records(measure, values, image, encoder="planted", **about))

    x, turn, classes = rng.uniform(-1, 1, images), rng.uniform(0, 2 * np.pi, images), np.arange(images) % 4
    for condition, values in {"class": classes, "x": x, "hue.cos": np.cos(turn), "hue.sin": np.sin(turn)}.items():
        write("true", values, condition=condition)
        write("judged", values if condition != "class" else np.where(classes == 2, 1, classes), condition=condition)

    for level, size in movement.items():
        for prefix in ("", "whitened_"):
            about = {"level": level, "condition": f"{prefix or 'relative_'}displacement", "image": [-1]}
            write("unit_error", [unit_error], **about)
        for condition, doses in DOSES.items():
            untouched = size * aside.normal(0, 0.1, images)
            write("strength_predicted", untouched, level=level, condition=condition, strength=0.0)
            for dose in doses:
                moved = size * dose / REFERENCE[condition] * sensitivity * np.exp(rng.normal(0, 0.1, images))
                at = {"level": level, "condition": condition, "strength": dose}
                write("relative_displacement", moved, **at)
                write("whitened_displacement", moved * whitened, **at)
                write("cosine", 1 - moved / 2, **at)
                write("rank", 1 + np.floor(moved * 10), **at)
                write("strength_predicted", dose + size * rng.normal(0, 0.1, images), **at)
            write("applied_score", rng.normal(0, 1, images), level=level, condition=condition, strength=0.0)
            scores = rng.normal(10 * size, 1, images)
            write("applied_score", scores, level=level, condition=condition, strength=REFERENCE[condition])

        present = {
            "class": np.where(classes == 0, 1, classes),
            "x": x + rng.normal(0, np.sqrt(1 / 6), images),  # half of the variance of x, which is 1/3
            "hue.cos": np.cos(turn),
            "hue.sin": np.sin(turn),
        }
        for condition, values in present.items():
            write("present", values, level=level, condition=condition)
        for sample in range(2):
            write("rendered", classes if sample else 9, level=level, condition="class", sample=sample)
            write("rendered", rng.uniform(-1, 1, images), level=level, condition="x", sample=sample)
            write("rendered", -np.cos(turn), level=level, condition="hue.cos", sample=sample)
            write("rendered", -np.sin(turn), level=level, condition="hue.sin", sample=sample)
            write("of_mean_h", 9, level=level, condition="class", sample=sample)
        write("mean_h_variance", [0.05], level=level, image=[-1])
        write("within_variance", rng.uniform(0.01, 0.03, images), level=level)
        write("between_variance", aside.uniform(0.0, 0.08, images), level=level)
    return join(rows)
