"""Where no RCDM draws from an encoder: what a report lacks for it, and how one comes by it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from reports import blocks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from reports.blocks import Block


def no_decoder(run: Mapping[str, Any], lacking: str) -> list[Block]:
    """A section's blocks for a run without an RCDM.

    Args:
        run: The content of ``run.json``.
        lacking: What the report would hold besides, as the end of a sentence.
    """
    arguments, levels = run["arguments"], list(run["encoder_card"].get("levels", ()))
    encoder, weights = arguments["encoder"], arguments.get("weights")
    again = ["rcdm-probe", run["probe"], "--encoder", encoder, *(["--weights", weights] if weights else [])]
    again += [word for level in levels for word in ("--level", level)]
    return [
        blocks.missing(
            "There are no pictures in this report.",
            f"They are sampled by an RCDM, a diffusion model that was trained to generate an image from this encoder's "
            f"h, and none was used here. With one there would also be {lacking}; what needs the encoder alone is all "
            "here. The embedded and the published encoders come with one; for another encoder, train one on your "
            "images, and run the probe again with it:",
        ),
        blocks.pairs(
            {
                "train": training_command(encoder, levels, weights),
                "or, in minutes": training_command(encoder, levels, weights, verb="adapt"),
                "then": shlex.join([*again, "--data", str(arguments["data"]), "--rcdm", "DIR"]),
            }
        ),
    ]


def undrawn(levels: Iterable[str], drawn: Collection[str], run: Mapping[str, Any]) -> list[Block]:
    """What to do for the levels that the RCDM of a run was not trained on; nothing where all were drawn from.

    Args:
        levels: Those to be drawn from.
        drawn: Those that were.
        run: The content of ``run.json``.
    """
    left = [level for level in levels if level not in drawn]
    if not left:
        return []
    arguments = run["arguments"]
    command = training_command(arguments["encoder"], left, arguments.get("weights"))
    return [
        blocks.missing(
            f"No pictures were drawn from {', '.join(left)}.",
            f"The RCDM that was used does not know {'this level' if len(left) == 1 else 'these levels'}; all other "
            f"numbers are here. To train one that does: {command}.",
        )
    ]


def fidelity_card(scores: Mapping[str, Any], adapted: Mapping[str, Any]) -> list[Block]:
    """A card of the first page for the heads that draw, with their fidelity; none where nothing is known of them.

    Args:
        scores: Of each condition that was trained with its denoiser: ``MRR``, ``gallery`` and ``steps``, as far as
            they are known.
        adapted: Of each that was not, what was found after each stage of its adaptation.
    """
    rows = {condition: _told(seen) for condition, seen in scores.items() if "MRR" in seen}
    rows |= {condition: f"adapted head, {_adapted(stages)}" for condition, stages in adapted.items()}
    return [blocks.card("The decoder", rows)] if rows else []


def adapted_limits(adapted: Mapping[str, Any]) -> list[str]:
    """What a report cannot tell where adapted heads draw, in sentences; as of `fidelity_card`."""
    return [
        f"The pictures of {condition} are drawn through a head that was adapted to a denoiser trained without it "
        f"({_adapted(stages)}). What they show is in h; what they do not show may be what this denoiser cannot draw, "
        "and not what h has lost."
        for condition, stages in adapted.items()
    ]


def _told(seen: Mapping[str, Any]) -> str:
    among = f" among {seen['gallery']:,.0f} images" if "gallery" in seen else ""
    steps = f", trained for {seen['steps']:,} steps" if "steps" in seen else ""
    return f"MRR {seen['MRR']:.3f}{among}{steps}"


def _adapted(stages: Mapping[str, Any]) -> str:
    """What was found after the last stage of an adaptation, beside the floor of another image's h."""
    last = [found for name, found in stages.items() if not name.startswith("floor")][-1]
    floor = next((found["MRR"] for name, found in stages.items() if "shuffled" in name), None)
    return _told(last) + ("" if floor is None else f", {floor:.3f} from the h of other images")


def training_command(
    encoder: str, levels: Sequence[str] = (), weights: str | None = None, *, verb: str = "train"
) -> str:
    """The command that trains an RCDM on levels of an encoder, or adapts one.

    Args:
        encoder: Its name.
        levels: Levels to draw from; none for all that it has of itself.
        weights: File of weights, where it is not the encoder's own.
        verb: ``train`` or ``adapt``.
    """
    words = ["rcdm-probe", verb, "--encoder", encoder]
    words += ["--weights", weights] if weights else []
    words += [word for level in levels for word in ("--level", level)]
    return shlex.join([*words, "--data", "FOLDER", "--out", "DIR"])
