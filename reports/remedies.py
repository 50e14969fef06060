"""What a user is told to do where no RCDM draws from an encoder."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def training_command(encoder: str, levels: Sequence[str] = (), weights: str | None = None) -> str:
    """The command that trains an RCDM on levels of an encoder.

    Args:
        encoder: Its name.
        levels: Levels to draw from; none for all that it has of itself.
        weights: File of weights, where it is not the encoder's own.
    """
    words = ["rcdm-probe", "train", "--encoder", encoder]
    words += ["--weights", weights] if weights else []
    words += [word for level in levels for word in ("--level", level)]
    return shlex.join([*words, "--data", "FOLDER", "--out", "DIR"])
