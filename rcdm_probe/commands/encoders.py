"""``rcdm-probe encoders``: which encoders there are, whether their weights are here, and what levels one has."""

from __future__ import annotations

from dataclasses import dataclass

from rich.markup import escape
from rich.table import Table

from rcdm_core.encoders.catalogue import ENCODERS, FAMILIES
from rcdm_core.errors import UserError
from rcdm_probe.commands import options
from rcdm_probe.commands.options import option
from rcdm_probe.commands.running import new_console

_DEPTH = 2  # parts of a layer's name: layer3.0 and blocks.5 are shown, blocks.5.mlp is not


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is listed."""

    encoder: str | None = options.argument(None, "Show the levels and layers of this one.", metavar="NAME")
    weights: str | None = options.WEIGHTS()
    every: bool = option(False, "Of the one that is named, show layers within layers, too.", "--all")


@options.command
def run(asked: Asked) -> None:
    """List the encoders, or show the levels of one.

    Any layer of a network can be a level: `--level layer3` of every command. The level `patches` keeps its places.
    With --weights, it is seen whether a file is one of this network, and how much of it was used.

    [bold]Examples[/]

    rcdm-probe encoders

    rcdm-probe encoders timm/resnet18

    rcdm-probe encoders timm/resnet18 --weights my_ssl.pt:self-supervised
    """
    encoder, weights, every = asked.encoder, asked.weights, asked.every
    if encoder is None:
        for name, given in (("--all", every), ("--weights", weights)):
            if given:
                raise UserError(f"{name} is of one encoder, and none was named", f"name it: encoders NAME {name}")
    console = new_console()
    if encoder is None:
        console.print(_known())
        console.print("\nand any other:\n")
        console.print(_families())
        return
    with new_console(stderr=True).status("loading"):
        from rcdm_core.encoders import load_encoder
        from rcdm_core.encoders.encoder import PATCHES, find_grid, survey
        from rcdm_core.images import is_resized_by_encoder

        # Layers do not depend on the weights, which need not be fetched for this where there is a choice.
        any_will_do = None if encoder.startswith(("python:", "torchhub/")) else "random"
        loaded = load_encoder(encoder, weights=weights or any_will_do)
        layers = survey(loaded)
        if (place := find_grid(loaded)) is not None:
            layers[PATCHES] = place[1], f"{place[2]} of {place[0]}"
    table = _table("level", "dimension", "pooling")
    pooling = loaded.card.get("pooling", {})
    for level, dimension in loaded.dimensions.items():
        table.add_row(f"[bold]{level}[/]", str(dimension), pooling.get(level, ""))
    for name, (dimension, rule) in layers.items():
        if every or name.count(".") < _DEPTH:
            table.add_row(escape(name), str(dimension), rule)
    size = loaded.image_size
    seen = f", of which it sees the middle {size.crop}" if is_resized_by_encoder(size) and 0 < size.crop < size else ""
    console.print(f"[bold]{escape(encoder)}[/]: images of {size} pixels a side{seen}")
    if weights is not None:
        told = {None: "not told", True: "yes", False: "no"}[loaded.is_ssl]
        console.print(f"weights: {escape(str(loaded.card.get('weights', '')))}; self-supervised: {told}")
    console.print()
    console.print(table)
    within = sum(name.count(".") >= _DEPTH for name in layers)
    if within and not every:
        console.print(f"\nand {within} layers within these (--all lists them)")


def _known() -> Table:
    table = _table("encoder", "method", "levels (dimensions)", "weights", "here")
    for name, entry in ENCODERS.items():
        levels = ", ".join(f"{level} ({size})" for level, size in entry.dimensions.items())
        table.add_row(name, entry.method, levels, entry.weights, "[green]yes[/]" if entry.here() else "[red]no[/]")
    return table


def _families() -> Table:
    table = _table("encoder", "what", "for example")
    for family in FAMILIES.values():
        table.add_row(*map(escape, (family.pattern, family.words, family.example)))
    return table


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", expand=False)
    for heading in headings:
        table.add_column(heading, no_wrap=heading in ("encoder", "here", "level"))
    return table
