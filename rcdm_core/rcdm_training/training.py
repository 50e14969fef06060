"""From an encoder and images to an RCDM in its folder: representations once, then the loop, with looks along the way.

What the folder holds while training goes on, and what is written at the end:

    training/checkpoint.pt, training/losses.csv    state and log of the loop (`rcdm_core.training`)
    training/looks.parquet, fidelity.csv           what each look found, one row a step and level: kept, and to be read
    unet/, scheduler/, heads.safetensors, rcdm.json    the RCDM (`rcdm_core.rcdm.files`), when it is done
"""

from __future__ import annotations

import copy
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from rcdm_core import kept
from rcdm_core.images import is_resized_by_encoder
from rcdm_core.kept import atomic_path, keeping
from rcdm_core.precision import device_of
from rcdm_core.rcdm.diffusion import schedule_for
from rcdm_core.rcdm.files import STATE, save_rcdm
from rcdm_core.rcdm.heads import MOMENTS, thumbnails
from rcdm_core.rcdm.network import Denoiser, begin_heads
from rcdm_core.rcdm.objective import RCDMLearner
from rcdm_core.rcdm.rcdm import RCDM
from rcdm_core.rcdm_training.evaluation import Observation, choose_held_out, held_out_loss, observe, spread
from rcdm_core.rcdm_training.store import batches, fill_store, store_folder
from rcdm_core.representations import refuse_collapse
from rcdm_core.training import LOSSES, Callbacks, join_processes, portions, train
from rcdm_core.training_images import hold_out

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders.encoder import Encoder
    from rcdm_core.rcdm_training.settings import RCDMTraining
    from rcdm_core.training import TrainingSettings

FIDELITY, LOOKS = "fidelity.csv", "looks.parquet"
_NO_NUMBERS = ("accumulate", "checkpoint_every")
_AT_ONCE = 512  # images that are read to be made into thumbnails


def numbers(loop: TrainingSettings) -> dict[str, Any]:
    """The settings of a loop that change more than rounding and the time that is lost."""
    return {name: value for name, value in asdict(loop).items() if name not in _NO_NUMBERS}


def train_rcdm(
    encoder: Encoder,
    levels: Sequence[str],
    images: ImageSet,
    settings: RCDMTraining,
    *,
    folder: Path,
    card: Mapping[str, Any] | None = None,
    report: Callable[[Observation, pd.DataFrame], None] = lambda seen, fidelity: None,
) -> None:
    """Train an RCDM, or go on where its training was interrupted, and write it into its folder.

    In several processes each takes its share of the work, and only the main one writes and reports.

    Args:
        encoder: A frozen encoder, on the kind of device that computes.
        levels: Its levels to train for; they share the denoiser, each with a head of its own.
        images: What to train on, at the larger of the encoder's size and the network's.
        settings: How.
        folder: Where everything goes; a checkpoint in it goes before ``settings.start``.
        card: Entries of the RCDM's card besides those made here.
        report: Given every look at held-out images, and the table of all so far, before the table is written.

    Raises:
        UserError: Too few images, an encoder that gives nothing usable, a batch that cannot be shared out.
        KeyboardInterrupt: It was stopped; the same call goes on.
    """
    device = device_of(encoder).type
    processes = join_processes(device)
    loop, network, start, state = settings.loop, settings.network, settings.start, folder / STATE
    portions(loop, processes=processes.num_processes, rank=processes.process_index)  # a mistake is told at once
    split = hold_out(len(images), seed=loop.seed)
    encoder, size = encoder.to(processes.device), network.image_size
    cached = store_folder(encoder, levels, images, image_size=size)
    store = fill_store(cached, encoder, levels, images, image_size=size, processes=processes)
    processes.wait_for_everyone()

    conditions = {f"{encoder.name}/{level}": level for level in levels}
    torch.manual_seed(loop.seed)
    denoiser = Denoiser(network, {name: encoder.dimensions[level] for name, level in conditions.items()})
    schedule = schedule_for(network)

    def begin() -> None:
        refuse_collapse(encoder, {level: store.in_parts(level) for level in levels})
        if start is not None:
            denoiser.unet.load_state_dict(start.denoiser.unet.state_dict())
        rows = spread(split.training, MOMENTS)  # of which no more than thumbnails are in memory at once
        small = [thumbnails(store.images(rows[i : i + _AT_ONCE])) for i in range(0, len(rows), _AT_ONCE)]
        representations = {name: store.representations(level, rows) for name, level in conditions.items()}
        begin_heads(denoiser, torch.cat(small), representations)

    learner = RCDMLearner(denoiser, schedule)
    held_out = choose_held_out(split, settings.looked_at)
    few = min(loop.batch_size, len(held_out.rows))
    draw, draw_held_out = (
        batches(store, rows, conditions, batch_size=count, seed=seed, device=processes.device)
        for rows, count, seed in ((split.training, loop.batch_size, loop.seed), (held_out.rows, few, loop.seed + 1))
    )

    def look(done: int) -> None:
        known = _looks(state / LOOKS)
        if done not in set(known["step"]):
            rcdm = RCDM(copy.deepcopy(denoiser), schedule=schedule)  # frozen, which the one in training must not be
            seen = observe(rcdm, encoder, levels, store, held_out, step=done, seed=loop.seed)
            losses = {
                "loss": pd.read_csv(state / LOSSES)["loss"].tail(settings.every).mean(),
                "held-out loss": held_out_loss(learner, draw_held_out, len(held_out.rows) // few, loop.precision),
            }
            known = pd.DataFrame(
                [*known.to_dict("records"), *({"step": done, **losses, **row} for row in seen.fidelity)]
            )
            report(seen, known)
            with keeping("the table of looks", state):
                kept.save_table(known, state / LOOKS)
        with keeping("the table of looks", folder), atomic_path(folder / FIDELITY) as temporary:
            known.to_csv(temporary, index=False)

    train(
        learner,
        draw,
        loop,
        folder=state,
        of=repr((encoder.network_fingerprint, tuple(levels), images.fingerprint, network.to_dict(), numbers(loop))),
        device=device,
        callbacks=Callbacks(begin, look, settings.every),
    )
    if processes.is_main_process:
        training = {
            "data": images.name,
            "data_fingerprint": images.fingerprint,
            "image_size": int(images.image_size),
            **({"resized": vars(images.image_size)} if is_resized_by_encoder(images.image_size) else {}),
            "images": len(split.training),
            "held_out": len(split.held_out),
            "settings": asdict(loop),
            "objective": schedule.config["prediction_type"],
            "seconds": round(pd.read_csv(state / LOSSES)["seconds"].sum()),
            "processes": processes.num_processes,
            "device": str(processes.device),
            "torch": torch.__version__,
            "began_with": None if start is None else start.fingerprint,
        }
        looks = _looks(state / LOOKS)
        last = looks[looks["step"] == looks["step"].max()].drop(columns=["step"])
        told = {
            "name": f"{encoder.name}: {', '.join(levels)}",
            "encoders": {encoder.name: encoder.network_fingerprint},
            "levels": list(levels),
            "preprocessing": repr(encoder.preprocess),
            "training": training,
            "scores": {f"{encoder.name}/{row.pop('level')}": row for row in last.to_dict("records")},
        }
        save_rcdm(denoiser, schedule, folder, card={**told, **(card or {})})
    processes.wait_for_everyone()


def _looks(path: Path) -> pd.DataFrame:
    """What looks have found so far; those in a file that is damaged are lost, and the last of them is taken again."""
    return kept.load_table(path) if kept.is_sound(path) else pd.DataFrame({"step": []})
