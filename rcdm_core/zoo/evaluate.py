"""What the zoo reaches on the 10,000 test scenes, and the cards that say so.

- *Encoders*: linear readout of every factor from every level, five-fold cross-validated on the test scenes (accuracy
  for class, R2 for the others; circular factors through their cosine and sine). For class also the linear evaluation
  of self-supervised learning, a classifier fitted on the 60,000 training scenes, where the training garments are here.
- *Judge*: accuracy of class, R2 of every factor.
- *RCDM*: one sample for a scene and condition, re-encoded; rank of the conditioning representation among all
  (mean rank, median rank, MRR; Bordes et al. 2022, table 1), and what the judge reads off the samples.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from rcdm_core.data.garments import training_garments_are_here
from rcdm_core.data.scenes import CIRCULAR, CLASSES, LINEAR, Scenes
from rcdm_core.encoders.embedded import load_trained
from rcdm_core.errors import UserError
from rcdm_core.fidelity import fidelity_scores
from rcdm_core.linear_classifier import fit_classifier
from rcdm_core.progress import track
from rcdm_core.rcdm import DEFAULT_SOLVER, DEFAULT_STEPS, RCDM, load_rcdm
from rcdm_core.rcdm.rcdm import unknown_condition
from rcdm_core.readout import accuracy, class_predictions, r2, ridge_predictions
from rcdm_core.representations import encode
from rcdm_core.zoo.files import update_card
from rcdm_core.zoo.judge import read_judge, targets
from rcdm_core.zoo.recipes import DRAWN, PARTS, check_parts

if TYPE_CHECKING:
    from rcdm_core.encoders import Encoder

TRAINING_SCENES = 60_000  # one for each training garment
_AT_ONCE = 5_000  # scenes rendered at once
_PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2)  # less than for the few thousand images of a probe


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """On what the zoo is measured.

    Attributes:
        images: Test scenes, at most 10,000; the gallery of the ranks too.
        samples: The first so many of them are sampled, once for each condition: an unbiased estimate of the MRR of all.
        steps: Solver steps of the RCDM.
        solver: Solver of the RCDM.
        seed: Of the factors of the scenes and of the noise.
    """

    images: int = 10_000
    samples: int = 1_000
    steps: int = DEFAULT_STEPS
    solver: str = DEFAULT_SOLVER
    seed: int = 0


def evaluate_zoo(
    folder: Path,
    settings: Evaluation,
    *,
    parts: Sequence[str] = PARTS,
    garments: Path | None = None,
    device: str = "cpu",
) -> pd.DataFrame:
    """Score everything in a folder of trained weights and write a card beside each file.

    Args:
        folder: Holds ``NAME.safetensors`` of the encoders and the judge, and the RCDM in ``rcdm/``.
        settings: On what.
        parts: Of `rcdm_core.zoo.recipes.PARTS`: what is measured; the cards of the others stay as they are.
        garments: Folder of the Fashion-MNIST training files; None looks for them, and leaves out the linear evaluation
            where they are not.
        device: Where to compute.

    Returns:
        One row a score: ``network``, ``level``, ``score``, ``value``.

    Raises:
        UserError: An unknown part; weights are not there, or damaged; the RCDM was trained on other encoders.
    """
    check_parts(parts)
    images, samples, seed = settings.images, settings.samples, settings.seed
    how: dict[str, Any] = {"steps": settings.steps, "solver": settings.solver, "seed": seed}
    named = [*(parts if set(parts) < set(PARTS) else ()), f"--folder {shlex.quote(str(folder))}"]
    told = [f"--{name} {value}" for name, value in asdict(settings).items()]
    command = " ".join(["rcdm-probe zoo evaluate", *named, *told])
    names = [name for name in DRAWN if name in parts or "rcdm" in parts]  # the RCDM draws from all of them
    encoders = [load_trained(name, folder).to(device) for name in track(names, "loading", None)]
    judge = read_judge(folder).to(device) if "judge" in parts or "rcdm" in parts else None
    rcdm = load_rcdm(folder / "rcdm", device) if "rcdm" in parts else None
    if rcdm is not None:
        check_encoders(rcdm, encoders)
    scenes = Scenes("test", seed)
    pixels, factors = scenes[np.arange(images)], scenes.factors(np.arange(images))
    representations = {e.name: encode(e, pixels) for e in track(encoders, "encoding", len(encoders))}
    rows: list[dict[str, Any]] = []

    if judge is not None and "judge" in parts:
        scores = reading_scores(judge.read(pixels), factors)
        rows += _rows("judge", "", scores)
        update_card(folder, "judge", scores=scores, command=command)

    measured = [encoder for encoder in encoders if encoder.name in parts]
    training: dict[str, dict[str, torch.Tensor]] = {}
    if measured and (garments or training_garments_are_here()):
        shown = Scenes("train", seed, garments)
        training = encode_training(measured, shown)
        labels = torch.tensor(shown.factors(np.arange(TRAINING_SCENES))["class"].to_numpy())
    for encoder in track(measured, "linear readouts", len(measured)):
        by_level = {level: readout_scores(h, factors) for level, h in representations[encoder.name].items()}
        for level, seen in training.get(encoder.name, {}).items():
            classifier = fit_classifier(seen, labels, len(CLASSES), penalties=_PENALTIES)
            found = classifier.logits(representations[encoder.name][level]).argmax(1)
            by_level[level]["class, linear evaluation"] = accuracy(factors["class"].to_numpy(), found)
        for level, scores in by_level.items():
            rows += _rows(encoder.name, level, scores)
        update_card(folder, encoder.name, scores=by_level, command=command)

    if rcdm is not None and judge is not None:
        by_condition = {}
        for encoder in encoders:
            for level, h in representations[encoder.name].items():
                condition = f"{encoder.name}/{level}"
                drawn = rcdm.sample(h[:samples], condition, **how)
                scores = fidelity_scores(encode(encoder, drawn)[level], h)
                rendered = reading_scores(judge.read(drawn), factors.head(samples))
                scores |= {f"rendered {name}": score for name, score in rendered.items()}
                by_condition[condition] = scores | {"gallery": images}
                rows += _rows("rcdm", condition, scores)
        update_card(folder / "rcdm", "rcdm", scores=by_condition, sampling={"samples": samples, **how}, command=command)
    return pd.DataFrame(rows)


def readout_scores(h: torch.Tensor, factors: pd.DataFrame) -> dict[str, float]:
    """Cross-validated linear readout of every factor from ``h`` ``[N, D]``: accuracy of class, R2 of the rest."""
    labels, linear, circular = targets(factors)
    predicted = ridge_predictions(h, torch.cat([linear, circular.flatten(1)], 1))
    read = predicted[:, len(LINEAR) :].unflatten(1, (len(CIRCULAR), 2))
    return _scores((labels, linear, circular), (class_predictions(h, labels), predicted, read))


def check_encoders(rcdm: RCDM, encoders: Sequence[Encoder]) -> None:
    """Raise a `UserError` unless an RCDM was trained on these encoders, with these weights, at all of their levels."""
    known = rcdm.card.get("encoders", {})
    for encoder in encoders:
        if known.get(encoder.name, encoder.network_fingerprint) != encoder.network_fingerprint:
            raise UserError(
                f"the RCDM was trained on other weights of {encoder.name}",
                "put those in the folder, or train it on these: `rcdm-probe zoo train rcdm`",
            )
        for level in encoder.levels:
            if (condition := f"{encoder.name}/{level}") not in rcdm.conditions:
                raise unknown_condition(condition, rcdm.conditions)


def encode_training(encoders: Sequence[Encoder], training: Scenes) -> dict[str, dict[str, torch.Tensor]]:
    """Representations of the first pass over the training garments, ``[60000, D]`` by encoder and level.

    Each scene is rendered once for all encoders.
    """
    parts: dict[str, list[dict[str, torch.Tensor]]] = {encoder.name: [] for encoder in encoders}
    starts = range(0, TRAINING_SCENES, _AT_ONCE)
    for start in track(starts, "encoding training scenes", len(starts)):
        pixels = training[np.arange(start, min(start + _AT_ONCE, TRAINING_SCENES))]
        for encoder in encoders:
            parts[encoder.name].append(encode(encoder, pixels))
    return {e.name: {level: torch.cat([part[level] for part in parts[e.name]]) for level in e.levels} for e in encoders}


def reading_scores(read: pd.DataFrame, factors: pd.DataFrame) -> dict[str, float]:
    """Agreement of factors as read by the judge with the true ones: accuracy of class, R2 of the rest."""
    return _scores(targets(factors), targets(read))


def _scores(true: Sequence[torch.Tensor], read: Sequence[torch.Tensor]) -> dict[str, float]:
    """Labels ``[N]``, linear factors ``[N, 5]`` and circular ones ``[N, 3, 2]`` against what was read."""
    scores = {"class": accuracy(true[0], read[0])}
    scores |= {name: r2(true[1][:, i], read[1][:, i]) for i, name in enumerate(LINEAR)}
    return scores | {name: r2(true[2][:, i], read[2][:, i]) for i, name in enumerate(CIRCULAR)}


def _rows(network: str, level: str, scores: dict[str, float]) -> list[dict[str, Any]]:
    return [{"network": network, "level": level, "score": score, "value": v} for score, v in scores.items()]
