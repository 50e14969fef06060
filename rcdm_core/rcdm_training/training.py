"""From encoders and images to an RCDM in its folder: representations once, then the loop, with looks along the way.

What the folder holds while training goes on, and what is written at the end:

    training/checkpoint.pt, training/losses.csv    state and log of the loop (`rcdm_core.training`)
    training/looks.parquet, fidelity.csv           what each look found, one row a step and level: kept, and to be read
    training/begun.json                            through what heads began on a U-Net that was there
    unet/, scheduler/, heads.safetensors, basis.safetensors, rcdm.json
                                                   the RCDM (`rcdm_core.rcdm.files`), when it is done
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from diffusers import DDPMScheduler

from rcdm_core import kept
from rcdm_core.kept import atomic_path, keeping
from rcdm_core.precision import device_of
from rcdm_core.rcdm.diffusion import schedule_for
from rcdm_core.rcdm.files import STATE, save_rcdm
from rcdm_core.rcdm.heads import Basis, fitted_basis
from rcdm_core.rcdm.network import Denoiser, begin_heads
from rcdm_core.rcdm.objective import Distillation, RCDMLearner
from rcdm_core.rcdm.rcdm import RCDM
from rcdm_core.rcdm_training.beginning import begin_on
from rcdm_core.rcdm_training.evaluation import Observation, held_out_loss, observe
from rcdm_core.rcdm_training.material import Material, gather
from rcdm_core.training import LOSSES, Callbacks, TrainingSettings, join_processes, portions, train

if TYPE_CHECKING:
    from accelerate import Accelerator

    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders.encoder import Encoder
    from rcdm_core.rcdm_training.settings import RCDMTraining
    from rcdm_core.rcdm_training.store import Condition

FIDELITY, LOOKS, BEGUN = "fidelity.csv", "looks.parquet", "begun.json"
_NO_NUMBERS = ("accumulate", "checkpoint_every")


def numbers(loop: TrainingSettings) -> dict[str, Any]:
    """The settings of a loop that change more than rounding and the time that is lost."""
    return {name: value for name, value in asdict(loop).items() if name not in _NO_NUMBERS}


def train_rcdm(
    asked: Mapping[Encoder, Sequence[str]],
    images: ImageSet,
    settings: RCDMTraining,
    *,
    folder: Path,
    known: Sequence[Encoder] = (),
    card: Mapping[str, Any] | None = None,
    report: Callable[[Observation, pd.DataFrame], None] = lambda seen, fidelity: None,
) -> None:
    """Train an RCDM, or go on where its training was interrupted, and write it into its folder.

    In several processes each takes its share of the work, and only the main one writes and reports.

    Args:
        asked: Frozen encoders, on the kind of device that computes, with the levels to train for; all share the
            denoiser, each with a head of its own.
        images: What to train on, at the largest of the encoders' sizes and the network's.
        settings: How.
        folder: Where everything goes; a checkpoint in it goes before ``settings.start``.
        known: Encoders that ``settings.start`` draws from, through which heads may begin on its U-Net.
        card: Entries of the RCDM's card besides those made here.
        report: Given every look at held-out images, and the table of all so far, before the table is written.

    Raises:
        UserError: Too few images, an encoder that gives nothing usable, a batch that cannot be shared out.
        KeyboardInterrupt: It was stopped; the same call goes on.
    """
    processes = join_processes(device_of(next(iter(asked))).type)
    loop, network, start, state = settings.loop, settings.network, settings.start, folder / STATE
    portions(loop, processes)  # a mistake is told at once
    material = gather(asked, images, network.image_size, settings.looked_at, loop.seed, processes)
    torch.manual_seed(loop.seed)
    denoiser = Denoiser(network, material.dimensions)
    teacher = start if settings.calls else None
    if teacher is None:
        schedule = schedule_for(network)
        learner = RCDMLearner(denoiser, schedule)
    else:  # whose first step is from pure noise, however it was spaced
        schedule = DDPMScheduler.from_config(teacher.schedule.config, timestep_spacing="trailing")
        learner = Distillation(denoiser, teacher.denoiser.to(material.device), schedule, calls=settings.calls)
    told_of_teacher = {} if teacher is None else {"calls": settings.calls, **_adapted(teacher, denoiser)}

    def begin() -> None:
        material.refuse_collapse()
        if teacher is not None:
            theirs = teacher.denoiser.state_dict()
            denoiser.load_state_dict({key: theirs[key] for key in denoiser.state_dict()})
            return
        if start is None:
            rows = material.beginning
            given = {one.name: one.representations(rows) for one in material.conditions}
            begin_heads(denoiser, material.thumbnails(rows), given)
            return
        denoiser.unet.load_state_dict(start.denoiser.unet.state_dict())
        begun = begin_on(learner, start, material, known, loop.precision)
        if processes.is_main_process:
            with keeping("how heads began", state):
                kept.save_json({name: vars(how) for name, how in begun.items()}, state / BEGUN)

    draw_held_out, count = material.held_out_batches(loop.batch_size)

    def look(done: int) -> None:
        looks = read_looks(state / LOOKS)
        if done not in set(looks["step"]):
            apart = copy.deepcopy(denoiser)  # it is frozen, which the one in training must not be
            seen = observe(RCDM(apart, schedule, told_of_teacher), material, done)
            losses = {
                "loss": pd.read_csv(state / LOSSES)["loss"].tail(settings.every).mean(),
                "held-out loss": held_out_loss(learner, draw_held_out, count, loop.precision),
            }
            rows = ({"step": done, **losses, **row} for row in seen.fidelity)
            looks = pd.DataFrame([*looks.to_dict("records"), *rows])
            report(seen, looks)
            with keeping("the table of looks", state):
                kept.save_table(looks, state / LOOKS)
        with keeping("the table of looks", folder), atomic_path(folder / FIDELITY) as temporary:
            looks.to_csv(temporary, index=False)

    of = (*material.identity, network.to_dict(), numbers(loop), dict(settings.shares))
    train(
        learner,
        material.batches(loop.batch_size, settings.shares),
        loop,
        folder=state,
        of=repr((*of, settings.calls) if teacher else of),
        device=processes.device.type,
        callbacks=Callbacks(begin, look, settings.every),
    )
    if processes.is_main_process:
        training = {
            **told_of_data(material),
            "settings": asdict(loop),
            "shares": dict(settings.shares),
            "objective": "multistep consistency" if teacher else schedule.config["prediction_type"],
            **told_of_work([state], processes),
            "began_with": None if start is None else start.fingerprint,
            "heads_began": kept.load_json(state / BEGUN) or {},
        }
        looks = read_looks(state / LOOKS)
        last = looks[looks["step"] == looks["step"].max()].drop(columns=["step"]).to_dict("records")
        rows = zip(material.conditions, last, strict=True)
        told = {
            **told_of_encoders(asked),
            **told_of_teacher,
            "training": training,
            **(told_before(start) if start else {}),
            "scores": {one.name: {k: v for k, v in row.items() if k != "level"} for one, row in rows},
        }
        best = material.labels[max(last, key=lambda row: row["MRR"])["level"]]
        basis, trained = basis_of(denoiser, material, best), material.trained_images(start)
        save_rcdm(denoiser, schedule, folder, {**told, **(card or {})}, basis, trained)
    processes.wait_for_everyone()


def _adapted(teacher: RCDM, denoiser: Denoiser) -> dict[str, Any]:
    """What is told of heads that were adapted to the teacher's denoiser: so they are still."""
    found = {name: told for name, told in teacher.card.get("adapted", {}).items() if name in denoiser.conditions}
    return {"adapted": found} if found else {}


def told_of_data(material: Material) -> dict[str, Any]:
    """What a card says of the images of a training."""
    return {
        "data": material.data.name,
        "data_fingerprint": material.data.fingerprint,
        "image_size": int(material.data.image_size),
        "images": len(material.split.training),
        "held_out": len(material.split.held_out),
    }


def told_of_work(loops: Iterable[Path], processes: Accelerator) -> dict[str, Any]:
    """What a card says of the machines of a training, whose loops have these folders."""
    return {
        "seconds": round(sum(pd.read_csv(folder / LOSSES)["seconds"].sum() for folder in loops)),
        "processes": processes.num_processes,
        "device": str(processes.device),
        "torch": torch.__version__,
    }


def told_before(rcdm: RCDM) -> dict[str, Any]:
    """What a card says of the trainings before: those of the RCDM that was begun with."""
    told = ("training", "trained_images")
    before = [{name: card[name] for name in told if name in card} for card in rcdm.cards if "training" in card]
    return {"before": before} if before else {}


def told_of_encoders(asked: Mapping[Encoder, Sequence[str]]) -> dict[str, Any]:
    """What a card says of the encoders of a training."""
    return {
        "name": "; ".join(f"{encoder.name}: {', '.join(levels)}" for encoder, levels in asked.items()),
        "encoders": {encoder.name: encoder.network_fingerprint for encoder in asked},
        "levels": list(dict.fromkeys(level for levels in asked.values() for level in levels)),
        "preprocessing": "; ".join(dict.fromkeys(repr(encoder.preprocess) for encoder in asked)),
    }


@torch.no_grad()
def basis_of(denoiser: Denoiser, material: Material, one: Condition) -> Basis:
    """The basis that an RCDM keeps: what the head of a condition gives of the images from which heads begin."""
    rows = material.beginning
    device = device_of(denoiser)
    embeddings = denoiser.embed([(one.name, one.representations(rows).to(device))])
    return fitted_basis(material.thumbnails(rows).to(device), embeddings)


def read_looks(path: Path, by: str = "step") -> pd.DataFrame:
    """What looks have found so far; those in a file that is damaged are lost, and the last of them is taken again."""
    return kept.load_table(path) if kept.is_sound(path) else pd.DataFrame({by: []})
