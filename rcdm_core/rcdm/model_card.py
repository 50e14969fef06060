"""The README of an RCDM's folder, which a hub shows as its page: made from its card, and says nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

MADE = "<!-- made by rcdm-probe from rcdm.json -->"
"""A README with this line may be made anew; one without it is somebody's own."""

_HEAD = """---
library_name: rcdm-probe
tags: [rcdm, representation-conditional-diffusion, interpretability]
---
"""
_SCORES = ("MRR", "mean rank", "gallery")
_TRAINING = ("data", "images", "held_out", "objective", "seconds", "device")


def model_card(card: Mapping[str, Any], name: str) -> str:
    """The README, in Markdown.

    Args:
        card: Of the RCDM, with its ``conditions`` and the shape of its ``network``.
        name: A folder or a name on the hub, from which it is loaded.
    """
    return _HEAD + "\n".join(_lines(card, name)) + "\n"


def _lines(card: Mapping[str, Any], name: str) -> Iterator[str]:
    conditions, scores, size = card["conditions"], card.get("scores", {}), card["network"]["image_size"]
    one, dimension = next(iter(conditions.items()))
    yield f"{MADE}\n\n# RCDM of {', '.join(dict.fromkeys(key.rpartition('/')[0] for key in conditions))}\n"
    yield (
        f"Draws images of {size} pixels from what frozen encoders give of an image: a Representation Conditional "
        "Diffusion Model (Bordes, Balestriero, Vincent 2022, [arXiv 2112.09164](https://arxiv.org/abs/2112.09164)). "
        "What samples from one representation have in common, it holds; what varies, it left open, or the decoder "
        "did not draw it.\n"
    )
    if "calls" in card:
        yield f"It was distilled to {card['calls']} steps of DDIM, and draws in these alone.\n"
    yield "```python\nfrom rcdm_probe import RCDM\n"
    yield f'rcdm = RCDM.from_pretrained("{name}")'
    yield f'images = rcdm.sample(h, "{one}", seed=0)  # h: [N, {dimension}], images: [N, 3, {size}, {size}] in [0, 1]'
    yield "```\n"
    known = [key for key in _SCORES if any(key in row for row in scores.values())]
    yield f"| {' | '.join(['drawn from', 'dimensions', *known])} |\n{'|---' * (2 + len(known))}|"
    for key, dimension in conditions.items():
        row = [key, str(dimension), *(_plain(scores.get(key, {}).get(score)) for score in known)]
        yield f"| {' | '.join(row)} |"
    training = card.get("training", {})
    if told := [f"- {key.replace('_', ' ')}: {_plain(training[key])}" for key in _TRAINING if key in training]:
        yield "\n## Training\n\n" + "\n".join(told)
    if weights := [f"- {encoder}: `{sha}`" for encoder, sha in card.get("encoders", {}).items()]:
        yield "\n## Weights of the encoders (SHA-256)\n\nFor others it is refused.\n\n" + "\n".join(weights)
    yield "\nThe whole card: `rcdm.json`."


def _plain(value: Any) -> str:
    return "–" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
