"""Options: how a command states them, and those that several share, so that they read the same everywhere.

What a command is told are dataclasses whose fields carry default, words and bounds once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from rcdm_core.bounds import LARGEST_SEED

if TYPE_CHECKING:
    from rcdm_probe.opening import Asked

# As in rcdm_core.data, which is too heavy to import for a help text.
DATA_SETS = (
    *("mnist", "fashionmnist", "kmnist", "cifar10", "cifar100", "stl10", "svhn", "usps", "food101", "flowers102"),
    *("dtd", "pets", "aircraft", "gtsrb", "eurosat", "imagenette"),
)
_DATA = (
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


def option(default: Any, help: str, names: str = "", **about: Any) -> Any:
    """A field that is an option of a command.

    Args:
        default: ``...`` where it must be given.
        help: What it means.
        names: Spaces between, if it is not called as the field is; a short one alone stands beside that.
        **about: What typer is told besides: bounds, what stands for the value in the help.
    """
    return field(default=MISSING if default is ... else default, metadata={"help": help, "names": names, **about})


def argument(default: Any, help: str, **about: Any) -> Any:
    """A field that stands on the command line without a name; as `option`."""
    return field(default=MISSING if default is ... else default, metadata={"help": help, **about})


def _use(threads: int | None) -> None:
    """Let PyTorch have so many threads, from now on; as many workers share out what can be (`rcdm_core.sharing`)."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


ENCODER = partial(option, help="Encoder to look into; `rcdm-probe encoders` lists them.", names="-e", metavar="NAME")
ENCODERS = partial(ENCODER, None, help="Encoder to look into, may be repeated; by default all embedded ones.")
TO_DRAW = partial(ENCODER, ..., help="Encoder to draw from; may be repeated, for several on one network.")
DATA = partial(option, help=f"{_DATA}.", names="-d", metavar="DATA")
LEVEL = partial(option, help="Level of the encoder to draw from.", names="-l", metavar="NAME")
_LEVEL = (
    "Level to look at, a layer of the network such as layer3, or patches: the mean of its patch tokens, or last map"
)
LEVEL_SEEN = partial(LEVEL, help=f"{_LEVEL}.")
LEVELS = partial(LEVEL, None, help=f"{_LEVEL}; may be repeated. By default all levels that the encoder has of itself.")
_WEIGHTS = (
    "a file, random or random:SEED. FILE:self-supervised or FILE:supervised tells how they were trained, and "
    "own:self-supervised tells it of the encoder's own"
)
WEIGHTS = partial(option, None, help=f"Weights to use instead of the encoder's own: {_WEIGHTS}.", metavar="FILE")
WEIGHTS_OF = partial(
    option,
    None,
    help=f"Weights instead of an encoder's own: {_WEIGHTS}. May be repeated; a single encoder's need no name.",
    metavar="ENCODER=FILE",
)
_RCDM = "Folder of the RCDM that draws, may be repeated for RCDMs of several encoders or levels;"
_DRAWS = "by default the encoder's embedded or published one"
RCDM = partial(option, None, help=f"{_RCDM} {_DRAWS}.", metavar="FOLDER")
RCDM_OR_NONE = partial(RCDM, help=f"{_RCDM} or none for all that needs no pictures; {_DRAWS}, where there is one.")
FEATURES = partial(
    option,
    None,
    help="Where sets of pictures are compared: judge (on scenes), inception (FID and IS; needs torch-fidelity and "
    "its weights), or an encoder by name. By default the judge on scenes, else Inception where its weights are at "
    "hand, else the encoder (of several, the first).",
    names="-f",
    metavar="NAME",
)
STEPS = partial(option, min=1, max=1000, help="Solver steps for each picture.", metavar="K")
SOLVED = "How the diffusion is solved: sde-dpmsolver++, dpmsolver++, unipc, ddim or ddpm."
SOLVER = partial(option, help=SOLVED, metavar="NAME")
SEED = partial(option, 0, min=0, max=LARGEST_SEED, help="Seed of every random draw.", metavar="S")
OUT = partial(
    option, None, help="Folder of the report; by default in runs/, by date.", names="-o", parser=place, metavar="FOLDER"
)
BATCH_SIZE = partial(option, min=1, help="Images that go through a network at once.")
DEVICE = partial(option, "auto", help="auto (a GPU where there is one), cpu, cuda, cuda:1 or mps.", metavar="NAME")
THREADS = partial(
    option,
    None,
    callback=_use,
    min=1,
    max=1024,
    help="Threads that compute; by default OMP_NUM_THREADS, or one for each core. Numbers do not depend on it.",
    metavar="N",
)
"""Set as they are read: no command looks at them."""


@dataclass(frozen=True, kw_only=True)
class Asking:
    """What a command is told of where it computes; fields of `rcdm_probe.opening.Asked` are as a user gives them."""

    device: str = DEVICE()

    def given(self) -> dict[str, Any]:
        """Who is to be looked into, and on what."""
        from rcdm_probe.opening import Asked

        return {of.name: getattr(self, of.name) for of in fields(Asked) if hasattr(self, of.name)}

    def asked(self, command: str = "", unnamed: Sequence[str] = ()) -> Asked:
        """What a call from Python is given for that; see `meaning`."""
        from rcdm_probe.opening import Asked

        return Asked(**meaning(self.given(), unnamed), command=command)


def meaning(given: Mapping[str, Any], unnamed: Sequence[str] = (), others: Sequence[str] = ()) -> dict[str, Any]:
    """Fields of `rcdm_probe.opening.Asked`, from what a user gave for them.

    Args:
        given: Options by name; those that were left out are None or empty.
        unnamed: Encoders that take part where none is named, by default the embedded ones.
        others: As of `weights_of`.
    """
    from rcdm_core.encoders.catalogue import EMBEDDED
    from rcdm_core.errors import UserError

    meant = {name: value for name, value in given.items() if value not in (None, [])}
    encoder, weights = (meant.get(name, []) for name in ("encoder", "weights"))
    if weights:
        named: Sequence[str] = [encoder] if isinstance(encoder, str) else encoder or unnamed or list(EMBEDDED)
        meant["weights"] = weights_of([weights] if isinstance(weights, str) else weights, named, others=others)
    if isinstance(rcdm := meant.get("rcdm"), list):
        if len(rcdm) > 1 and "none" in rcdm:
            raise UserError("none, and another one besides", "leave none out, or all others")
        meant["rcdm"] = rcdm if len(rcdm) > 1 else rcdm[0]
    return meant


_LAST = ("seed", "device", "threads")


def command(function: Callable[..., None]) -> Callable[..., None]:
    """A function that takes dataclasses as typer makes a command of it: each of their fields is an option.

    Fields of a class come before those of its bases, what must be given first and what many commands have last. Where
    there is a device, there are threads.
    """
    groups: dict[str, Any] = {name: kind for name, kind in get_type_hints(function).items() if is_dataclass(kind)}
    own = [one for kind in groups.values() for one in _options_of(kind)]
    if any(one.name == "device" for one in own):
        own.append(parameter("threads", int | None, THREADS()))
    own.sort(key=lambda one: (one.default is not inspect.Parameter.empty, one.name in _LAST))

    def run(**given: Any) -> None:
        function(**{name: kind(**{of.name: given[of.name] for of in fields(kind)}) for name, kind in groups.items()})

    return with_options(run, own, inspect.getdoc(function) or "")


def _options_of(kind: Any) -> Iterator[inspect.Parameter]:
    hints, known = get_type_hints(kind), {one.name: one for one in fields(kind)}
    for name in dict.fromkeys(name for of in kind.__mro__ for name in inspect.get_annotations(of)):
        yield parameter(name, hints[name], known[name])


def parameter(name: str, kind: Any, known: Field[Any]) -> inspect.Parameter:
    """A field as a parameter of the function that typer makes a command of."""
    told = dict(known.metadata)
    if "names" in told:
        names = told.pop("names").split()
        own = [] if any(one.startswith("--") for one in names) else [f"--{name.replace('_', '-')}"]
        described = typer.Option(*own, *names, **told)
    else:
        described = typer.Argument(**told)
    default = inspect.Parameter.empty if known.default is MISSING else known.default
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, described]
    )


def with_options(run: Callable[..., None], parameters: Sequence[inspect.Parameter], words: str) -> Callable[..., None]:
    """The function, which takes anything, as one that has these parameters and this docstring."""
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    run.__doc__ = words
    return run


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


def numbers(option: str, texts: list[str]) -> tuple[float, ...]:
    """The numbers of a grid such as ``0.5,1,2``, or of the same option given several times."""
    from rcdm_core.errors import UserError

    text = ",".join(texts)
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UserError(f"{option} {text!r} is not a list of numbers", f"write it as {option} 0.5,1,2") from error
