"""New encoders on a denoiser that exists, in stages: each says what it bought.

1. *Closed form*: heads begin by what the denoiser reads already (`rcdm_core.rcdm_training.beginning`).
2. *Heads*: they alone are trained, the denoiser frozen. Of each, the weights with the least loss on held-out images are
   taken, those of the closed form among them; when no head has become better for some looks, the stage ends.
3. *Whole*, on request: denoiser and heads together.

What the folder holds besides what a training leaves (`rcdm_core.rcdm_training.training`):

    training/closed-form.safetensors, training/best.safetensors    heads after the first and the second stage
    training/heads/, training/whole/                               state and log of the two loops
    training/stages.parquet, stages.csv                            what was found after each stage

Without a third stage the denoiser is as it was, and so are the heads it had: they stay in the result, but for those
that were trained on other weights of an encoder that is put on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from rcdm_core import kept
from rcdm_core.errors import UserError
from rcdm_core.kept import atomic_path, keeping
from rcdm_core.precision import device_of
from rcdm_core.rcdm.files import STATE, save_rcdm
from rcdm_core.rcdm.heads import folded
from rcdm_core.rcdm.network import Denoiser, condition_key
from rcdm_core.rcdm.objective import RCDMLearner
from rcdm_core.rcdm.rcdm import RCDM
from rcdm_core.rcdm_training.beginning import begin_on
from rcdm_core.rcdm_training.evaluation import draw_repeatedly, held_out_loss, scores, share_within
from rcdm_core.rcdm_training.material import Given, Material, gather, spread
from rcdm_core.rcdm_training.training import (
    BEGUN,
    LOOKS,
    basis_of,
    numbers,
    read_looks,
    told_before,
    told_of_data,
    told_of_encoders,
    told_of_work,
)
from rcdm_core.training import Callbacks, TrainingSettings, join_processes, portions, train

if TYPE_CHECKING:
    from accelerate import Accelerator

    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders.encoder import Encoder
    from rcdm_core.rcdm_training.settings import Adaptation
    from rcdm_core.rcdm_training.store import Condition

STAGES_TABLE, _STAGES, _CLOSED, _BEST = "stages.csv", "stages.parquet", "closed-form.safetensors", "best.safetensors"
CLOSED_FORM, HEADS, WHOLE = "closed form", "heads", "whole"
SHUFFLED, MEAN = "floor: shuffled h", "floor: mean h"
SPREAD = 16  # held-out images whose samples vary


@dataclass(frozen=True, eq=False)
class Stage:
    """What was found after a stage.

    Attributes:
        name: Of the stage, or of a floor.
        table: That of all stages so far, one row a stage and level: ``stage``, ``level``, ``held-out loss``, ``MRR``,
            ``mean rank``, ``variance within`` (share of the samples' variance that lies within one h; 1 where h says
            nothing) and the others of `rcdm_core.rcdm_training.evaluation.scores`.
        originals: Held-out images ``[R, 3, S, S]``.
        samples: ``[R, K, 3, S, S]`` for each level.
    """

    name: str
    table: pd.DataFrame
    originals: torch.Tensor
    samples: Mapping[str, torch.Tensor]


def adapt_rcdm(
    asked: Mapping[Encoder, Sequence[str]],
    images: ImageSet,
    settings: Adaptation,
    *,
    folder: Path,
    known: Sequence[Encoder] = (),
    card: Mapping[str, Any] | None = None,
    report: Callable[[Stage], None] = lambda stage: None,
) -> None:
    """Put encoders on the denoiser of an RCDM, or go on where that was interrupted, and write what came of it.

    In several processes each takes its share of the work, and only the main one writes and reports.

    Args:
        asked: Frozen encoders, on the kind of device that computes, with their levels.
        images: At the largest of the encoders' sizes and the RCDM's.
        settings: How.
        folder: Where everything goes.
        known: Encoders that the RCDM draws from, through which heads may begin.
        card: Entries of the RCDM's card besides those made here.
        report: Given what was found after each stage, and by the floors.

    Raises:
        UserError: Too few images, an encoder that gives nothing usable, a batch that cannot be shared out, or nothing
            through which heads could begin.
        KeyboardInterrupt: It was stopped; the same call goes on.
    """
    old, state, seed = settings.rcdm, folder / STATE, settings.heads.seed
    if not known and old.basis is None:
        raise UserError(
            f"nothing tells what this RCDM reads: it keeps no basis, and of its encoders "
            f"({', '.join(old.conditions)}) none is at hand",
            "put the weights of one on this machine: `rcdm-probe encoders` says where",
        )
    processes = join_processes(device_of(next(iter(asked))).type)
    loops = [loop for loop in (settings.heads, settings.whole) if loop]
    for loop in loops:  # a mistake is told at once
        portions(loop, processes)
    material = gather(asked, images, old.image_size, settings.looked_at, seed, processes)
    torch.manual_seed(seed)
    shape = replace(old.denoiser.settings, whitening=True)
    denoiser = Denoiser(shape, material.dimensions, unet=old.denoiser.unet)
    learner = RCDMLearner(denoiser, old.schedule)
    key = (*material.identity, old.fingerprint)  # before anything of it is trained
    measure = _Measuring(learner, material, settings, folder, report, processes)

    if processes.is_main_process and not kept.is_sound(state / _CLOSED):
        material.refuse_collapse()
        begun = begin_on(learner, old, material, known, settings.heads.precision)
        with keeping("the heads of the closed form", state):
            kept.save_json({name: vars(how) for name, how in begun.items()}, state / BEGUN)
            kept.save_tensors(dict(denoiser.heads.state_dict()), state / _CLOSED)
    processes.wait_for_everyone()
    _load_heads(denoiser, state / _CLOSED)
    learner.to(processes.device)
    measure(CLOSED_FORM)

    def train_part(part: torch.nn.Module, stage: str, so_far: Sequence[TrainingSettings], callbacks: Callbacks) -> None:
        """Train a part of the learner, of which the rest stays frozen, in the last of the loops up to a stage."""
        loop = so_far[-1]
        part.requires_grad_(True)
        try:
            train(
                learner,
                material.batches(loop.batch_size),
                loop,
                folder=state / stage,
                of=repr((*key, *map(numbers, so_far))),
                device=processes.device.type,
                callbacks=callbacks,
            )
        finally:
            part.requires_grad_(False)

    look = _look_for_the_best(measure, state)
    if processes.is_main_process:
        look(0)
    train_part(denoiser.heads, HEADS, loops[:1], Callbacks(look=look, every=settings.every))
    processes.wait_for_everyone()
    _load_heads(denoiser, state / _BEST)
    learner.to(processes.device)
    measure(HEADS)
    if settings.whole is not None:
        train_part(denoiser, WHOLE, loops, Callbacks())
        measure(WHOLE)
    measure(SHUFFLED, of_another)
    means = {one.name: one.representations(material.beginning).mean(0) for one in material.conditions}
    measure(MEAN, of_the_mean(means))
    if processes.is_main_process:
        _save(measure, card or {})
    processes.wait_for_everyone()


def of_another(one: Condition, h: torch.Tensor) -> torch.Tensor:
    """To each image the representation ``[N, D]`` of another one, at random: neighbours in a folder are of a class."""
    order = torch.randperm(len(h), generator=torch.Generator().manual_seed(0))
    return h[order.roll(1)][order.argsort()]


def of_the_mean(means: Mapping[str, torch.Tensor]) -> Given:
    """To each image the mean representation ``[D]`` of its condition, on the device of its own."""
    return lambda one, h: means[one.name].to(h.device).expand_as(h)


@dataclass(frozen=True, eq=False)
class _Measuring:
    """Measures after a stage, once, in the main process; the others wait."""

    learner: RCDMLearner
    material: Material
    settings: Adaptation
    folder: Path
    report: Callable[[Stage], None]
    processes: Accelerator

    def __call__(self, name: str, given: Given = lambda one, h: h) -> None:
        if self.processes.is_main_process:
            self._measure(name, given)
        self.processes.wait_for_everyone()

    def _measure(self, name: str, given: Given) -> None:
        path = self.folder / STATE / _STAGES
        table = read_looks(path, "stage")
        if name not in set(table["stage"]):
            material = self.material
            rcdm = RCDM(self.learner.denoiser, self.learner.schedule)
            varied = spread(material.held_out.rows, SPREAD)
            rows, samples = [], {}
            for label, one in material.labels.items():
                loss = self.loss(one, given)
                drawn = draw_repeatedly(rcdm, material, one, given(one, one.representations(varied)))
                found = scores(rcdm, material, one, given(one, one.representations(material.held_out.rows)))
                found = {"held-out loss": loss, **found, "variance within": share_within(drawn)}
                rows.append({"stage": name, "level": label, **found})
                samples[label] = drawn[::2]
            table = pd.DataFrame([*table.to_dict("records"), *rows])
            self.report(Stage(name, table, material.images(varied)[::2], samples))
            with keeping("the table of stages", path.parent):
                kept.save_table(table, path)
        with keeping("the table of stages", self.folder), atomic_path(self.folder / STAGES_TABLE) as temporary:
            table.to_csv(temporary, index=False)

    def loss(self, one: Condition, given: Given = lambda one, h: h) -> float:
        """On held-out images, at a condition."""
        draw, count = self.material.judged(one, given)
        return held_out_loss(self.learner, draw, count, self.settings.heads.precision)


def _look_for_the_best(measure: _Measuring, state: Path) -> Callable[[int], bool]:
    """What keeps the weights of each head at its least loss on held-out images, and tells when none has bettered."""
    denoiser, settings, path = measure.learner.denoiser, measure.settings, state / HEADS / LOOKS

    def look(done: int) -> bool:
        looks = read_looks(path)
        if done not in set(looks["step"]):
            best = kept.load_tensors(state / _BEST) if len(looks) else dict(denoiser.heads.state_dict())
            rows = []
            for label, one in measure.material.labels.items():
                loss = measure.loss(one)
                before = looks[looks["level"] == label]["held-out loss"] if len(looks) else pd.Series(dtype=float)
                if not before.le(loss).any():
                    head = denoiser.head(one.name).state_dict()
                    best |= {f"{condition_key(one.name)}.{name}": tensor for name, tensor in head.items()}
                rows.append({"step": done, "level": label, "held-out loss": loss})
            looks = pd.DataFrame([*looks.to_dict("records"), *rows])
            with keeping("the best heads", path.parent):
                kept.save_tensors({name: tensor.cpu().clone() for name, tensor in best.items()}, state / _BEST)
                kept.save_table(looks, path)
        looks = looks[looks["step"] <= done]
        best_steps = looks.loc[looks.groupby("level")["held-out loss"].idxmin(), "step"]
        return bool(done - best_steps.max() >= settings.patience * settings.every)

    return look


def _load_heads(denoiser: Denoiser, path: Path) -> None:
    if not kept.is_sound(path):
        raise UserError(f"{path} is damaged", "remove the folder, and adapt again")
    denoiser.heads.load_state_dict(kept.load_tensors(path))


def _save(measured: _Measuring, card: Mapping[str, Any]) -> None:
    """Write the RCDM: with the heads that the denoiser had, unless it was trained, or they were on other weights."""
    settings, material, state = measured.settings, measured.material, measured.folder / STATE
    denoiser, old = measured.learner.denoiser.cpu(), settings.rcdm
    stays = settings.whole is None
    before = old.card if stays else {}
    shape = old.denoiser.settings if stays else denoiser.settings
    told = told_of_encoders(material.asked)
    others = _of_other_weights(old, told["encoders"])
    kept_heads = {name: d for name, d in old.conditions.items() if stays and name not in others}
    both = Denoiser(shape, {**kept_heads, **denoiser.conditions}, unet=denoiser.unet)
    for condition in both.conditions:
        if condition in denoiser.conditions:
            head = denoiser.head(condition)
            both.heads[condition_key(condition)] = head if shape.whitening else folded(head)
        else:
            both.heads[condition_key(condition)] = old.denoiser.head(condition)
    table = kept.load_table(state / _STAGES)
    labels = {label: one.name for label, one in material.labels.items()}
    found = {
        name: {row.pop("stage"): row for row in table[table["level"] == label].drop(columns="level").to_dict("records")}
        for label, name in labels.items()
    }
    last = HEADS if stays else WHOLE
    told_then = {
        entry: {name: one for name, one in before.get(entry, {}).items() if name not in others}
        for entry in ("scores", "adapted")
    }
    made = {
        **told,
        "name": "; ".join([*([before["name"]] if "name" in before else []), told["name"]]),
        "encoders": {**before.get("encoders", {}), **told["encoders"]},
        "training": {
            **told_of_data(material),
            "settings": asdict(settings.heads),
            "whole": settings.whole and asdict(settings.whole),
            "objective": old.schedule.config["prediction_type"],
            **told_of_work(filter(Path.is_dir, (state / HEADS, state / WHOLE)), measured.processes),
            "began_with": old.fingerprint,
            "heads_began": kept.load_json(state / BEGUN) or {},
        },
        "scores": {**told_then["scores"], **{name: stages[last] for name, stages in found.items()}},
        "adapted": {**told_then["adapted"], **found},
        **told_before(old),
    }
    best = max(labels, key=lambda label: found[labels[label]][last]["MRR"])
    basis = (stays and old.basis) or basis_of(denoiser, material, material.labels[best])
    save_rcdm(both, old.schedule, measured.folder, {**made, **card}, basis, material.trained_images(old))


def _of_other_weights(rcdm: RCDM, encoders: Mapping[str, str]) -> set[str]:
    """Conditions of an RCDM whose encoder is among these, by name, but not with the fingerprint that its card tells."""
    known, of = rcdm.card.get("encoders", {}), {name: name.rpartition("/")[0] for name in rcdm.conditions}
    return {name for name, encoder in of.items() if encoder in encoders and known.get(encoder) != encoders[encoder]}
