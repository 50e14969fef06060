"""``rcdm-probe bench``: how fast the RCDM draws and trains, and whether the fast solver costs anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table

from rcdm_probe.commands import options
from rcdm_probe.commands.options import option
from rcdm_probe.commands.running import new_console

if TYPE_CHECKING:
    from rcdm_probe.benchmark import Benchmark, RankCost

_TRAINED = 80  # images in a batch, as the embedded RCDM was trained


@dataclass(frozen=True, kw_only=True)
class Bench(options.Asking):
    """What is measured, and how much of it."""

    encoder: str = options.ENCODER("vicreg")
    level: str = options.LEVEL("backbone")
    rcdm: list[str] | None = options.RCDM()
    images: int = option(256, "Scenes sampled, one picture each.", "-n", min=2)
    gallery: int = option(10_000, "Scenes among which ranks are taken.", min=2, max=10_000)
    batch_size: int = options.BATCH_SIZE(128)
    training_steps: int = option(12, "Steps of training that are measured.", min=1, metavar="K")
    ranked: int = option(
        2048, "Representations ranked in a gallery of 50,000; 0 leaves that out.", min=0, max=50_000, metavar="R"
    )
    seed: int = options.SEED()


@options.command
def run(what: Bench) -> None:
    """Compare the default solver with the published setting, 100-step ancestral sampling, on the same network.

    Also prints representations a second, how near the network comes to the peak of the machine's matrix products, and
    how much of the speed of a bare loop (forward pass, backward pass, optimiser step) its training keeps; and what
    ranks in a gallery of 50,000 representations of 2,048 dimensions cost beside the bare matrix product.

    About five minutes on two processor cores. Let nothing else run meanwhile.

    [bold]Example[/]: rcdm-probe bench
    """
    from rcdm_core.data.registry import open_scenes
    from rcdm_core.errors import UserError
    from rcdm_probe.benchmark import rank_cost, run_benchmark, training_rates
    from rcdm_probe.opening import open_asked
    from rcdm_probe.progress import progress_bars

    if what.images > what.gallery:
        problem = f"{what.images} images do not fit a gallery of {what.gallery}"
        raise UserError(problem, "lower --images or raise --gallery")
    opened, level = open_asked(what.asked(), decoder="must"), what.level
    (network,), (decoder,), place = opened.encoders, opened.decoders.values(), opened.asked.device
    if decoder.calls is not None:
        raise UserError(f"this RCDM was distilled to {decoder.calls} steps", "give the one that it was made of")
    scenes, few = (open_scenes("test", decoder.image_size, most, what.seed) for most in (what.gallery, 2 * _TRAINED))
    with progress_bars():
        ranks = rank_cost(what.ranked, seed=what.seed, device=place) if what.ranked else None
        pixels = scenes.images(range(len(scenes)))
        found = run_benchmark(
            network, decoder, level, pixels, count=what.images, seed=what.seed, batch_size=what.batch_size
        )
        shape = decoder.denoiser.settings
        rates = training_rates(
            network, level, few, shape, batch_size=_TRAINED, steps=what.training_steps, seed=what.seed
        )
    told = f"{what.encoder}/{level}, {what.images} samples, ranks among {what.gallery:,} scenes, on {place}"
    _show(found, rates, ranks, told)


def _show(found: Benchmark, rates: tuple[float, float], ranks: RankCost | None, title: str) -> None:
    from analyses.bootstrap import interval
    from analyses.statistics import mean, share

    table = Table("solver", "steps", "samples a second", "MRR [95%]", title=title)
    for sampling in (found.default, found.published):
        mrr = interval(sampling.reciprocal_ranks, share)
        table.add_row(sampling.solver, str(sampling.steps), f"{sampling.rate:.1f}", str(mrr))
    gain = found.default.rate / found.published.rate
    difference = interval(found.default.reciprocal_ranks - found.published.reciprocal_ranks, mean)
    of_peak, (training, bare) = found.denoiser_flops / found.peak_flops, rates
    lines = [
        f"default over published: {gain:.1f} times as fast, "
        f"MRR {difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]",
        f"denoiser: {found.denoiser_flops / 1e9:,.0f} GFLOP/s, {of_peak:.0%} of {found.peak_flops / 1e9:,.0f} GFLOP/s "
        "of the matrix product in the same precision",
        f"encoder: {found.encoding_rate:,.0f} representations a second",
        f"training: {training:.1f} images a second in batches of {_TRAINED}, "
        f"{training / bare:.0%} of the {bare:.1f} of a bare loop",
    ]
    if ranks is not None:
        lines.append(
            f"ranks of {ranks.queries:,} among {ranks.gallery:,}: {ranks.seconds:.1f} s, "
            f"{ranks.seconds / ranks.bare:.2f} times the {ranks.bare:.1f} s of the bare matrix product, "
            f"{ranks.memory / 2**20:,.0f} MiB of memory"
        )
    console = new_console()
    console.print(table, *lines, sep="\n")
