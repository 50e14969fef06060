"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from rcdm_core.bounds import LARGEST_SEED

# As in rcdm_core.data, which is too heavy to import for a help text.
DATA_SETS = (
    *("mnist", "fashionmnist", "kmnist", "cifar10", "cifar100", "stl10", "svhn", "usps", "food101", "flowers102"),
    *("dtd", "pets", "aircraft", "gtsrb", "eurosat", "imagenette"),
)
DATA = (
    "scenes (embedded), scenes-train (whose garments are downloaded), a folder of images, or a data set of "
    f"torchvision: {', '.join(DATA_SETS)}; most have a training split as well, such as cifar10-train"
)


def place(text: str | Path) -> Path:
    """Where to write, as an option names it; ``~`` and ``~user`` are homes where the shell has left them.

    Raises:
        UserError: It names nothing, or what cannot be.
    """
    from rcdm_core.errors import UserError
    from rcdm_core.paths import user_path

    if not str(text).strip():
        raise UserError("an empty name is no place to write", "name one, or leave the option out")
    return user_path(text, "the place to write")


EncoderName = Annotated[
    str, typer.Option("--encoder", "-e", help="Encoder to look into; `rcdm-probe encoders` lists them.", metavar="NAME")
]
EncoderNames = Annotated[
    list[str] | None,
    typer.Option(
        "--encoder", "-e", help="Encoder to look into, may be repeated; by default all embedded ones.", metavar="NAME"
    ),
]
EncodersToDraw = Annotated[
    list[str],
    typer.Option(
        "--encoder", "-e", help="Encoder to draw from; may be repeated, for several on one network.", metavar="NAME"
    ),
]
Data = Annotated[str, typer.Option("--data", "-d", help=f"{DATA}.", metavar="DATA")]
Level = Annotated[str, typer.Option("--level", "-l", help="Level of the encoder to draw from.", metavar="NAME")]
_LEVEL = (
    "Level to look at, a layer of the network such as layer3, or patches: the mean of its patch tokens, or last map"
)
LevelLookedAt = Annotated[
    str,
    typer.Option("--level", "-l", help=f"{_LEVEL}.", metavar="NAME"),
]
Levels = Annotated[
    list[str] | None,
    typer.Option(
        "--level",
        "-l",
        help=f"{_LEVEL}; may be repeated. By default all levels that the encoder has of itself.",
        metavar="NAME",
    ),
]
_WEIGHTS = (
    "a file, random or random:SEED. FILE:self-supervised or FILE:supervised tells how they were trained, and "
    "own:self-supervised tells it of the encoder's own"
)
Weights = Annotated[
    str | None,
    typer.Option("--weights", help=f"Weights to use instead of the encoder's own: {_WEIGHTS}.", metavar="FILE"),
]
WeightsOf = Annotated[
    list[str] | None,
    typer.Option(
        "--weights",
        help=f"Weights instead of an encoder's own: {_WEIGHTS}. May be repeated; a single encoder's need no name.",
        metavar="ENCODER=FILE",
    ),
]
_RCDM = "Folder of the RCDM that draws, may be repeated for RCDMs of several encoders or levels;"
_DRAWS = "by default the encoder's embedded or published one"
RcdmFolders = Annotated[list[str] | None, typer.Option("--rcdm", help=f"{_RCDM} {_DRAWS}.", metavar="FOLDER")]
RcdmFoldersOrNone = Annotated[
    list[str] | None,
    typer.Option(
        "--rcdm",
        help=f"{_RCDM} or none for all that needs no pictures; {_DRAWS}, where there is one.",
        metavar="FOLDER",
    ),
]
Features = Annotated[
    str | None,
    typer.Option(
        "--features",
        "-f",
        help="Where sets of pictures are compared: judge (on scenes), inception (FID and IS; needs torch-fidelity and "
        "its weights), or an encoder by name. By default the judge on scenes, else Inception where its weights are at "
        "hand, else the encoder (of several, the first).",
        metavar="NAME",
    ),
]
Steps = Annotated[int, typer.Option("--steps", min=1, max=1000, help="Solver steps for each picture.", metavar="K")]
SOLVED = "How the diffusion is solved: sde-dpmsolver++, dpmsolver++, unipc, ddim or ddpm."
Solver = Annotated[str, typer.Option("--solver", help=SOLVED, metavar="NAME")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=LARGEST_SEED, help="Seed of every random draw.", metavar="S")]
RcdmOut = Annotated[Path, typer.Option("--out", "-o", parser=place, help="Folder of the new RCDM.", metavar="FOLDER")]
AtMost = Annotated[
    int | None, typer.Option("--images", "-n", help="Take at most so many images, at random.", min=1, metavar="N")
]
OptimiserSteps = Annotated[int, typer.Option("--steps", help="Optimiser steps.", min=1, metavar="K")]
BatchOfAll = Annotated[int, typer.Option("--batch-size", help="Images a step, over all processes.", min=1, metavar="B")]
Accumulate = Annotated[
    int,
    typer.Option("--accumulate", help="Parts in which a process takes its share of a batch, to save memory.", min=1),
]
Precision = Annotated[
    str, typer.Option("--precision", help="bf16, no (float32), or auto: the faster one.", metavar="NAME")
]
Every = Annotated[int, typer.Option("--every", help="Steps between looks at held-out images.", min=1)]
LookedAt = Annotated[
    int, typer.Option("--looked-at", help="Held-out images sampled at each look, for each level.", min=2)
]
RunFolder = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        parser=place,
        help="Folder of the report; by default in runs/, by date.",
        metavar="FOLDER",
    ),
]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, help="Images that go through a network at once.")]
Device = Annotated[
    str, typer.Option("--device", help="auto (a GPU where there is one), cpu, cuda, cuda:1 or mps.", metavar="NAME")
]


def _use(threads: int | None) -> int | None:
    """Let PyTorch have so many threads, from now on; as many workers share out what can be (`rcdm_core.sharing`)."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    return threads


Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        callback=_use,
        min=1,
        max=1024,
        help="Threads that compute; by default OMP_NUM_THREADS, or one for each core. Numbers do not depend on it.",
        metavar="N",
    ),
]
"""Set as it is read: a command that has it need not look at it."""


def refuse(context: typer.Context, *names: str, because: str) -> None:
    """Complain about options that were given and would not be heeded.

    Args:
        context: Of the command.
        names: Of its parameters.
        because: Why they would not, as the end of a sentence.

    Raises:
        UserError: One of them was given.
    """
    from rcdm_core.errors import UserError

    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise UserError(f"--{name.replace('_', '-')} changes nothing {because}", "leave it out")


def weights_of(texts: list[str] | None, encoders: Sequence[str], *, others: Sequence[str] = ()) -> dict[str, str]:
    """Files of weights by encoder, from words such as ``timm/resnet18=random``.

    Args:
        texts: What was given.
        encoders: The encoders; where there is one only, its weights need no name.
        others: Encoders that are there without having been named, and whose weights do.

    Raises:
        UserError: It is not said whose weights they are.
    """
    from rcdm_core.encoders.catalogue import ENCODERS
    from rcdm_core.errors import UserError

    given: dict[str, str] = {}
    for text in texts or []:
        name, _, path = text.partition("=")
        if path and name in ENCODERS and name not in (*encoders, *others):
            raise UserError(f"--weights {text}, where {name} does not take part", f"name one of {', '.join(encoders)}")
        if len(encoders) == 1 and name not in (*encoders, *others):
            name, path = encoders[0], text
        if not path:
            raise UserError(f"--weights {text} does not say whose they are", f"write --weights ENCODER={text}")
        if name in given:
            raise UserError(f"weights of {name} are given twice, {given[name]} and {path}", "leave one out")
        given[name] = path
    return given


def shares_of(texts: list[str] | None) -> dict[str, int]:
    """Shares of the batch by condition, from words such as ``vicreg/backbone=4``."""
    from rcdm_core.errors import UserError

    shares = {}
    for text in texts or []:
        name, _, share = text.rpartition("=")
        if not name or not share.isdecimal() or not 0 < int(share) < 1000:
            raise UserError(f"--share {text!r} is no share", "write ENCODER/LEVEL=N, as vicreg/backbone=4")
        shares[name] = int(share)
    return shares


def one_or_several(values: list[str] | None) -> str | list[str] | None:
    """What a repeatable option means where one thing or several may stand: None if it was not given."""
    if values and len(values) > 1 and "none" in values:
        from rcdm_core.errors import UserError

        raise UserError("none, and another one besides", "leave none out, or all others")
    return values[0] if values and len(values) == 1 else values or None


def numbers(option: str, texts: list[str]) -> tuple[float, ...]:
    """The numbers of a grid such as ``0.5,1,2``, or of the same option given several times."""
    from rcdm_core.errors import UserError

    text = ",".join(texts)
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UserError(f"{option} {text!r} is not a list of numbers", f"write it as {option} 0.5,1,2") from error
