"""Hooks of mkdocs: what the site has besides the pages of this folder, each made from its one source.

README.md and what stands beside it are pages, and links between them lead where they lead in the repository. The pages
of the commands are made from their options, those of the functions from their signatures.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File
from typer import Context
from typer.main import get_command

from probes.probe import options
from rcdm_probe.cli import app
from rcdm_probe.known_probes import load_probe, places

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).parent.parent
BESIDE = ("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "NOTICE", "examples/*", "tests/calibrated.py")
"""What pages of this folder link to, outside of it."""

_FUNCTIONS = "functions.md"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Name the commands in the navigation."""
    assert config.nav is not None
    config.nav.append({"Commands": [_place(name) for name, _ in _commands()]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in this folder."""
    files.append(File.generated(config, "index.md", abs_src_path=str(ROOT / "README.md")))
    for path in (path for pattern in BESIDE for path in sorted(ROOT.glob(pattern)) if path.is_file()):
        files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    for name, command in _commands():
        files.append(File.generated(config, _place(name), content="\n\n".join(_page(name, command))))
    files.append(File.generated(config, _FUNCTIONS, content="\n\n".join(_functions())))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let links lead where they do in the repository, where this folder is one beside others."""
    if page.file.src_uri == "index.md":
        return markdown.replace("](docs/", "](")
    above = "../" * page.file.src_uri.count("/")
    here = markdown.replace(f"]({above}docs/", f"]({above}").replace(f"](../{above}", f"]({above}")
    return here.replace(f"]({above}README.md", f"]({above}index.md")


def _place(command: str) -> str:
    return f"commands/{command.replace(' ', '-')}.md"


def _commands() -> Iterator[tuple[str, Any]]:
    """All commands, with all their options; those within a group by its name and theirs."""
    group: Any = get_command(app)
    context = Context(group)
    for name in group.list_commands(context):
        command = group.whole(name, group.get_command(context, name))
        if hasattr(command, "commands"):
            yield from ((f"{name} {within}", command.commands[within]) for within in command.commands)
        else:
            yield name, command


def _page(name: str, command: Any) -> Iterator[str]:
    """The paragraphs of a command's page."""
    yield f"# rcdm-probe {name}"
    for paragraph in inspect.cleandoc(command.help).split("\n\n"):
        head, _, example = paragraph.partition("[bold]Example[/]: ")
        if example or paragraph.startswith("rcdm-probe "):
            yield f"```sh\n{' '.join((example or paragraph).split())}\n```"
        else:
            yield _marked(head)
    if name in places():
        yield (
            f"More: [how to read its figures](../figures.md#rcdm-probe-{name}), [its rule](../probes.md), "
            f"[the same from Python](../{_FUNCTIONS}#{name})."
        )
    yield "## Options"
    yield _table(("option", "value", "default", "what it does"), map(_cells, command.params))


def _cells(parameter: Any) -> tuple[str, str, str, str]:
    """A row about an option, or argument."""
    given = () if parameter.param_type_name == "argument" else (*parameter.opts, *parameter.secondary_opts)
    value = "" if getattr(parameter, "is_bool_flag", False) else parameter.metavar or "N"
    least, most = getattr(parameter, "min", None), getattr(parameter, "max", None)
    bounds = "" if least is None else f", {least} or more" if most is None else f", {least} to {most}"
    default, required = parameter.default, "*required*" if parameter.required else ""
    if getattr(parameter, "is_bool_flag", False):
        default = (parameter.opts if default else parameter.secondary_opts or [None])[0]
    elif isinstance(default, (list, tuple)):
        default = ", ".join(map(str, default))
    names = " ".join(f"`{name}`" for name in given)
    return names, f"`{value}`{bounds}" if value else "", required or _code(default), _marked(parameter.help or "")


def _functions() -> Iterator[str]:
    """The paragraphs of the page of functions."""
    yield "# Probes, from Python"
    yield (
        "Each is a function of `rcdm_probe` and gives a [`Result`](python.md#rcdm_probe.conduct.Result). All take who "
        "is looked into and on what, as [`Asked`](python.md#rcdm_probe.conduct.Asked) tells; `workdir`, a folder in "
        "which finished parts are kept, so that an interrupted call goes on from them; `progress`, which is told of "
        "every long loop; and settings of their own, by name. Other packages' probes are there under their names, too."
    )
    for name, place in places().items():
        settings, needs = load_probe(name).settings, load_probe(name).needs
        yield f"## {name}"
        yield f'`rcdm_probe.{name}(encoder, data="scenes", ...)`: {place.line}'
        several = "a list of encoders; without one, all embedded ones" if needs.encoders == "several" else "one"
        yield f"Encoders: {several}. An RCDM: {_DECODER[needs.decoder]}. [The command](commands/{name}.md)."
        default = settings()
        rows = ((f"`{key}`", _code(getattr(default, key)), _marked(o.help)) for key, o in options(settings).items())
        yield _table(("setting", "default", "what it does"), rows)


_DECODER = {"no": "none is asked for", "may": "for the pictures, and what rests on them", "must": "needed"}


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, ("---",) * len(heads), *rows))


def _code(value: Any) -> str:
    """A value as code; nothing of what is not there."""
    if isinstance(value, tuple):
        return ", ".join(map(_code, value))
    return "" if value is None or value == "" else f"`{value}`"


def _marked(text: str) -> str:
    """Text of a help as Markdown."""
    marked = re.sub(r"\[cyan\](.*?)\[/\]", r"`\1`", re.sub(r"\[bold\](.*?)\[/\]", r"**\1**", text))
    return re.sub(r"<(\w+)>", r"&lt;\1&gt;", marked.replace("\\[", "["))
