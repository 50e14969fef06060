"""What few steps are worth: solvers, and RCDMs that were distilled, beside the default and the published setting.

    python docs/few_steps.py [SOLVER:STEPS | FOLDER ...] [--rcdm FOLDER] [--encoder vicreg] [--images 400]

prints a row for each way of drawing, all of the same images. *MRR*, of the image that a sample was drawn of among
10,000 scenes, over all samples of an image; *difference*, that of the way less the default's, paired by image, with its
95% interval. *Within*, variance of the samples of one h over that of 100 ancestral steps. *Held*, share of factors
whose true value lies between the lowest and the highest of K samples, read by the judge: (K - 1) / (K + 1) where they
vary as they should, less where too little. *Factors*, mean R2 of the factors read off samples.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from analyses.bootstrap import interval
from analyses.statistics import mean
from rcdm_core.data.scenes import LINEAR, Scenes
from rcdm_core.distances import retrieval_ranks
from rcdm_core.encoders import load_encoder
from rcdm_core.rcdm import SOLVERS, load_rcdm
from rcdm_core.representations import encode
from rcdm_core.zoo.evaluate import reading_scores
from rcdm_core.zoo.judge import load_judge

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SAMPLES, GALLERY = 4, 10_000
FACTORS = (*LINEAR, "direction")  # those that encoders of the zoo hold; hues they do not


def rows(ways: Sequence[str], rcdm: str | None, encoder: str, images: int) -> Iterator[str]:
    """The table, line by line."""
    network, judge, scenes = load_encoder(encoder), load_judge(), Scenes("test", seed=0)
    gallery = encode(network, scenes[np.arange(GALLERY)])["backbone"]
    h, factors = gallery[:images], scenes.factors(np.arange(images))
    whole, condition = load_rcdm(rcdm), f"{encoder}/backbone"
    drawers: dict[str, tuple[Any, dict[str, Any]]] = {
        "100 ancestral steps": (whole, {"solver": "ddpm", "steps": 100}),
        "the default": (whole, {}),
    }
    for way in ways:
        solver, _, steps = way.rpartition(":")
        if solver in SOLVERS:
            drawers[f"{steps} steps of {solver}"] = whole, {"solver": solver, "steps": int(steps)}
        else:
            quick = load_rcdm(way)
            if quick.calls is None:
                raise SystemExit(f"{way} was not distilled: rcdm-probe distill does it")
            drawers[f"distilled, {quick.calls} steps"] = quick, {}
    found: dict[str, tuple[np.ndarray, float]] = {}
    yield f"{encoder}, {images} images\n\n| drawn in | MRR | difference | within | held | factors | samples a second |"
    yield "|---|---|---|---|---|---|---|"
    for name, (drawer, how) in drawers.items():
        begun = time.perf_counter()
        drawn = torch.stack([drawer.sample(h, condition, seed=seed, **how) for seed in range(SAMPLES)])
        rate = images * SAMPLES / (time.perf_counter() - begun)
        ranks = [retrieval_ranks(encode(network, one)["backbone"], gallery, torch.arange(images)) for one in drawn]
        reciprocal = torch.stack(ranks).double().reciprocal().mean(0).numpy()
        found[name] = reciprocal, float(drawn.var(0).mean())
        read = [judge.read(one) for one in drawn]
        low, high = (edge([one[list(LINEAR)].to_numpy() for one in read], 0) for edge in (np.min, np.max))
        true = factors[list(LINEAR)].to_numpy()
        scores = [reading_scores(one, factors) for one in read]
        told = np.mean([score[factor] for score in scores for factor in FACTORS])
        default = found.get("the default")
        apart = "" if default is None else interval(reciprocal - default[0], mean).signed()
        within = found[name][1] / found["100 ancestral steps"][1]
        held = ((low <= true) & (true <= high)).mean()
        yield f"| {name} | {reciprocal.mean():.3f} | {apart} | {within:.2f} | {held:.2f} | {told:.3f} | {rate:.1f} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ways", nargs="*", help="solver and steps, as dpmsolver++:12, or folder of a distilled RCDM")
    parser.add_argument("--rcdm", help="the one that draws; by default the embedded one")
    parser.add_argument("--encoder", default="vicreg", help="one that it draws from")
    parser.add_argument("--images", type=int, default=400, help="scenes that are drawn from")
    for line in rows(**vars(parser.parse_args())):
        print(line, flush=True)
