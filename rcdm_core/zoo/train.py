"""Training everything that ships: five encoders, the judge, the shared RCDM; each resumes from its own checkpoint."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from rcdm_core.errors import UserError
from rcdm_core.training import join_processes
from rcdm_core.zoo import recipes
from rcdm_core.zoo.parts import PARTS, check_parts
from rcdm_core.zoo.train_encoder import train_encoder
from rcdm_core.zoo.train_judge import train_judge
from rcdm_core.zoo.train_rcdm import train_rcdm
from rcdm_core.zoo.workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

TRAINERS: Mapping[str, Callable[[Workshop], None]] = {
    **{name: partial(train_encoder, name) for name in recipes.ENCODERS},
    "judge": train_judge,
    "rcdm": train_rcdm,
}


def train_zoo(
    folder: Path,
    *,
    parts: Sequence[str] = PARTS,
    start: Path | None = None,
    garments: Path | None = None,
    seed: int = 0,
    device: str = "cpu",
) -> None:
    """Train the named parts of the zoo, in the order of `PARTS`; what is finished is not trained again.

    Args:
        folder: Where checkpoints and weights go.
        parts: Of `PARTS`. The RCDM needs the five encoders in ``folder``.
        start: Folder of the weights to begin with; fresh ones by default.
        garments: Folder of the Fashion-MNIST training files; by default they are looked for, then downloaded.
        seed: Of weights, scenes and views; a folder holds one zoo, of one seed.
        device: ``"cpu"``, ``"cuda"`` or ``"mps"``.

    Raises:
        UserError: An unknown part, one GPU by its number, no weights to start from, or no training garments.
    """
    check_parts(parts)
    join_processes(device)  # a mistake is told at once
    for part in parts:
        weights = "rcdm/rcdm.json" if part == "rcdm" else f"{part}.safetensors"
        if start is not None and not (start / weights).is_file():
            raise UserError(f"no weights of {part} in {start}", "name a folder that has them, or start afresh")
    workshop = Workshop(folder=folder, start=start, garments=garments, seed=seed, device=device)
    for part in PARTS:
        if part in parts:
            TRAINERS[part](workshop)
