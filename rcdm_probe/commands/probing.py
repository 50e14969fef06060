"""The command of a probe: its options are the fields of its settings, and what its needs say besides."""

from __future__ import annotations

import inspect
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from rcdm_probe.commands import options
from rcdm_probe.commands.running import carry_out, command_line, conclude, new_console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from probes.probe import Option, Probe

_COMMON = ("steps", "solver", "seed", "batch_size")  # settings that most probes have, behind their own
_EVERY_RUN = """Leaves report.pdf, report.html, figures, tables (CSV, LaTeX), records and run.json in the run folder.

Stop it at any time: the same command goes on from what was done. For many processes start it with torchrun."""


def command_of(probe: Probe) -> Callable[..., None]:
    """The function that typer makes a command of: its parameters are the options, its docstring the help."""
    from probes.probe import options as options_of

    sizes = {name: about for name, about in options_of(probe.settings).items() if about.shown}

    def run(context: typer.Context, threads: int | None, out: Path | None, **given: Any) -> None:
        _refuse_unheeded(context, sizes, given)
        _run(probe, sizes, {name: given.pop(name) for name in sizes}, given, out)

    hints, defaults = get_type_hints(probe.settings), probe.settings()
    own = sorted(sizes, key=lambda name: (not sizes[name].argument, name in _COMMON))
    every = [
        inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
        *_before(probe),
        *(_option(name, sizes[name], hints[name], getattr(defaults, name)) for name in own),
        *_after(probe),
    ]
    return options.with_options(run, every, help_of(probe.about))


def help_of(docstring: str) -> str:
    """The help of a probe's command, from what its module says of itself: paragraphs as lines, examples last."""
    paragraphs = [" ".join(paragraph.split()) for paragraph in docstring.strip().split("\n\n")]
    last = next((i for i, text in enumerate(paragraphs) if text.startswith("[bold]Examples")), len(paragraphs))
    return "\n\n".join([*paragraphs[:last], _EVERY_RUN, *paragraphs[last:]])


def _before(probe: Probe) -> Iterator[inspect.Parameter]:
    """Who is looked into, and on what."""
    one, level = probe.needs.encoders == "one", probe.needs.level
    if one:
        yield options.parameter("encoder", str, options.ENCODER(...))
    else:
        yield options.parameter("encoder", list[str] | None, options.ENCODERS())
    yield options.parameter("data", str, options.DATA("scenes"))
    if level:
        yield options.parameter("level", str, options.LEVEL_SEEN(level))
    else:
        yield options.parameter("level", list[str] | None, options.LEVELS())
    if one:
        yield options.parameter("weights", str | None, options.WEIGHTS())
    else:
        yield options.parameter("weights", list[str] | None, options.WEIGHTS_OF())


def _after(probe: Probe) -> Iterator[inspect.Parameter]:
    """How it is computed, and where the result goes."""
    if probe.needs.features:
        yield options.parameter("features", str | None, options.FEATURES())
    where = f"Run folder; by default runs/<date>-{probe.name}-<encoder>."
    yield options.parameter("out", Path | None, options.OUT(help=where))
    if probe.needs.decoder != "no":
        kind = options.RCDM if probe.needs.decoder == "must" else options.RCDM_OR_NONE
        yield options.parameter("rcdm", list[str] | None, kind())
    yield options.parameter("device", str, options.DEVICE())
    yield options.parameter("threads", int | None, options.THREADS())


def _option(name: str, about: Option, hint: Any, default: Any) -> inspect.Parameter:
    """A setting on the command line: names are repeated, numbers of a grid have commas between."""
    kind: Any = hint
    if _is_grid(hint):
        kind, default = list[str], [",".join(f"{value:g}" for value in default)]
    elif _is_several(hint):
        kind, default = list[str] | None, None
    told: dict[str, Any] = {"help": about.help, "metavar": about.metavar or None}
    if about.argument:
        return options.parameter(name, kind, options.argument(default, show_default=False, **told))
    if kind in (int, float):
        told |= {"min": about.least, "max": about.most}
    names = f"--{(about.flag or name).replace('_', '-')} " + f"-{about.short}" * bool(about.short)
    return options.parameter(name, kind, options.option(default, names=names, **told))


def _is_several(hint: Any) -> bool:
    """Whether a setting holds several values; a grid of numbers, or names."""
    return any(get_origin(one) is tuple for one in (hint, *get_args(hint)))


def _is_grid(hint: Any) -> bool:
    return get_origin(hint) is tuple and get_args(hint)[0] in (int, float)


def _refuse_unheeded(context: typer.Context, sizes: Mapping[str, Option], given: Mapping[str, Any]) -> None:
    """Refuse options that would change nothing beside what was given."""
    if given.get("rcdm") == ["none"]:
        options.refuse(context, *(name for name, about in sizes.items() if about.draws), because="with --rcdm none")
    for name, about in sizes.items():
        if about.unless and given[about.unless]:
            beside = "images are" if sizes[about.unless].argument else f"{about.unless.replace('_', ' ')} is"
            options.refuse(context, name, because=f"where {beside} given")


def _run(
    probe: Probe, known: Mapping[str, Option], sizes: Mapping[str, Any], given: Mapping[str, Any], out: Path | None
) -> None:
    """Run a probe in a run folder, and say what was found."""
    console = new_console()
    with new_console(stderr=True).status("loading"):
        from rcdm_probe.conduct import conduct, prepare

    unnamed = {name: value for name, value in sizes.items() if known[name].argument}
    heeded = {name: value for name, value in sizes.items() if not (known[name].unless and sizes[known[name].unless])}
    named = {known[name].flag or name: value for name, value in heeded.items() if name not in unnamed}
    asked = options.meaning(given, others=[sizes["reference"]] if probe.needs.reference else [])
    asked["command"] = command_line(probe.name, **given, **named, positional=_listed(unnamed.values()))
    begin = partial(prepare, probe, **asked, **_settings(probe, known, sizes))
    result, report = carry_out(begin, conduct, out, console)
    for table in result.summaries:
        shown = Table(title=table.caption, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for heading, cells in zip(table.columns, zip(*table.rows, strict=True), strict=True):
            is_broken = any("\n" in cell for cell in cells)  # as it is to be
            shown.add_column(heading, no_wrap=is_broken, overflow="fold")
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)
    if gist := probe.gist(result):
        console.print(f"\n{escape(gist)}")
    conclude(console, result, report)


def _listed(values: Iterable[Any]) -> list[Any]:
    """Values one by one, those that are lists or not given among them."""
    return [
        one for value in values for one in (value if isinstance(value, (list, tuple)) else [value]) if one is not None
    ]


def _settings(probe: Probe, known: Mapping[str, Option], sizes: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that were given, as their fields want them."""
    hints, settings = get_type_hints(probe.settings), {}
    for name, value in sizes.items():
        if value is None or value == []:
            continue
        if _is_grid(hints[name]):
            kind = get_args(hints[name])[0]
            settings[name] = tuple(map(kind, options.numbers(f"--{name.replace('_', '-')}", value)))
        elif isinstance(value, list):  # of names, each once; of images, two can be the same by mistake
            settings[name] = tuple(value if known[name].argument else dict.fromkeys(value))
        else:
            settings[name] = value
    return settings
