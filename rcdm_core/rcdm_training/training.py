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
from rcdm_core.kept import atomic_path, keeping
from rcdm_core.rcdm.diffusion import schedule_for
from rcdm_core.rcdm.files import STATE, save_rcdm
from rcdm_core.rcdm.heads import thumbnails
from rcdm_core.rcdm.learner import RCDMLearner
from rcdm_core.rcdm.network import Denoiser
from rcdm_core.rcdm.rcdm import RCDM
from rcdm_core.rcdm_training.batches import batches
from rcdm_core.rcdm_training.evaluation import Observation, choose_held_out, held_out_loss, observe, spread
from rcdm_core.rcdm_training.heads import MOMENTS, begin_heads
from rcdm_core.rcdm_training.split import hold_out
from rcdm_core.rcdm_training.store import fill_store, store_folder
from rcdm_core.representations import refuse_collapse
from rcdm_core.training import LOSSES, Watch, join_processes, portions, train

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from rcdm_core.data.imageset import ImageSet
    from rcdm_core.encoders.encoder import Encoder
    from rcdm_core.rcdm_training.settings import RCDMTraining
    from rcdm_core.rcdm_training.store import Store
    from rcdm_core.training import TrainingSettings

FIDELITY, LOOKS = "fidelity.csv", "looks.parquet"
NO_NUMBERS = ("accumulate", "checkpoint_every")  # settings that change nothing but rounding and the time lost

_AT_ONCE = 512  # images that are read to be made into thumbnails


def train_rcdm(
    encoder: Encoder,
    levels: Sequence[str],
    images: ImageSet,
    settings: RCDMTraining,
    *,
    folder: Path,
    start: RCDM | None = None,
    device: str = "cpu",
    card: Mapping[str, Any] | None = None,
    report: Callable[[Observation, pd.DataFrame], None] = lambda seen, fidelity: None,
) -> None:
    """Train an RCDM, or go on where its training was interrupted, and write it into its folder.

    In several processes each takes its share of the work, and only the main one writes and reports.

    Args:
        encoder: A frozen encoder.
        levels: Its levels to train for; they share the denoiser, each with a head of its own.
        images: What to train on, at the larger of the encoder's size and the network's.
        settings: How.
        folder: Where everything goes.
        start: An RCDM whose U-Net to begin with, of the shape of ``settings.network``; heads begin afresh. A checkpoint
            in ``folder`` goes first.
        device: ``"cpu"`` or ``"cuda"``.
        card: Entries of the RCDM's card besides those made here.
        report: Given every look at held-out images, and the table of all so far, before the table is written.

    Raises:
        UserError: Too few images, an encoder that gives nothing usable, a batch that cannot be shared out.
        KeyboardInterrupt: It was stopped; the same call goes on.
    """
    processes = join_processes(device)
    loop, network, state = settings.loop, settings.network, folder / STATE
    portions(loop, processes=processes.num_processes, rank=processes.process_index)  # a mistake is told at once
    split = hold_out(len(images), seed=loop.seed)
    encoder = encoder.to(processes.device)
    store = fill_store(
        store_folder(encoder, levels, images, image_size=network.image_size),
        encoder,
        levels,
        images,
        image_size=network.image_size,
        workers=processes.num_processes,
        worker=processes.process_index,
    )
    processes.wait_for_everyone()

    conditions = {f"{encoder.name}/{level}": level for level in levels}
    torch.manual_seed(loop.seed)
    denoiser = Denoiser(network, {name: encoder.dimensions[level] for name, level in conditions.items()})
    schedule = schedule_for(network)

    def begin() -> None:
        refuse_collapse(encoder, {level: store.in_parts(level) for level in levels})
        if start is not None:
            denoiser.unet.load_state_dict(start.denoiser.unet.state_dict())
        _begin_heads(denoiser, store, spread(split.training, MOMENTS), conditions)

    learner = RCDMLearner(denoiser, schedule)
    common: dict[str, Any] = {"image_size": network.image_size, "device": processes.device}
    draw = batches(store, split.training, conditions, batch_size=loop.batch_size, seed=loop.seed, **common)
    held_out = choose_held_out(split, settings.looked_at)
    size = min(loop.batch_size, len(held_out.rows))
    draw_held_out = batches(store, held_out.rows, conditions, batch_size=size, seed=loop.seed + 1, **common)

    def look(done: int) -> None:
        known = _looks(state / LOOKS)
        if done in set(known["step"]):
            _write_table(known, folder / FIDELITY)
            return
        rcdm = RCDM(copy.deepcopy(denoiser), schedule=schedule)  # frozen, which the one in training must not be
        seen = observe(rcdm, encoder, store, held_out, conditions, step=done, seed=loop.seed)
        losses = {
            "loss": pd.read_csv(state / LOSSES)["loss"].tail(settings.every).mean(),
            "held-out loss": held_out_loss(
                learner, draw_held_out, batches=len(held_out.rows) // size, batch_size=size, precision=loop.precision
            ),
        }
        rows = [{"step": done, **losses, **row} for row in seen.fidelity]
        table = pd.DataFrame([*known.to_dict("records"), *rows])
        report(seen, table)
        with keeping("the table of looks", state):
            kept.save_table(table, state / LOOKS)
        _write_table(table, folder / FIDELITY)

    train(
        learner,
        draw,
        loop,
        folder=state,
        description="training",
        of=repr((encoder.network_fingerprint, tuple(levels), images.fingerprint, network.to_dict(), _numbers(loop))),
        begin=begin,
        device=device,
        watch=Watch(look, settings.every),
    )
    if processes.is_main_process:
        training = {
            "data": images.name,
            "data_fingerprint": images.fingerprint,
            "image_size": images.image_size,
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
        told = {
            "name": f"{encoder.name}: {', '.join(levels)}",
            "encoders": {encoder.name: encoder.network_fingerprint},
            "levels": list(levels),
            "preprocessing": repr(encoder.preprocess),
            "training": training,
            "scores": _last_scores(_looks(state / LOOKS), encoder.name),
        }
        save_rcdm(denoiser, schedule, folder, card={**told, **(card or {})})
    processes.wait_for_everyone()


def _begin_heads(denoiser: Denoiser, store: Store, rows: np.ndarray, conditions: Mapping[str, str]) -> None:
    """Fit the heads to some images, of which no more than thumbnails are in memory at once."""
    small = [thumbnails(store.images(rows[i : i + _AT_ONCE])) for i in range(0, len(rows), _AT_ONCE)]
    representations = {name: store.representations(level, rows) for name, level in conditions.items()}
    begin_heads(denoiser, torch.cat(small), representations)


def _last_scores(table: pd.DataFrame, encoder: str) -> dict[str, dict[str, float]]:
    last = table[table["step"] == table["step"].max()].drop(columns=["step"])
    return {f"{encoder}/{row.pop('level')}": row for row in last.to_dict("records")}


def _looks(path: Path) -> pd.DataFrame:
    """What looks have found so far; those in a file that is damaged are lost, and the last of them is taken again."""
    return kept.load_table(path) if kept.is_sound(path) else pd.DataFrame({"step": []})


def _numbers(loop: TrainingSettings) -> dict[str, Any]:
    return {name: value for name, value in asdict(loop).items() if name not in NO_NUMBERS}


def _write_table(table: pd.DataFrame, path: Path) -> None:
    with keeping("the table of looks", path.parent), atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)
