"""How heads begin on a denoiser that exists: by giving of images what it has learned to read of them.

A *guide* gives an embedding of each image that the denoiser knows: the head of an encoder that it was trained for and
that is at hand, or the basis that the RCDM keeps (`rcdm_core.rcdm.heads`). A new head begins with the ridge regression
from its own representations to a guide's embeddings of the same images: of several guides, with the one after which the
loss on held-out images is least. Principal components of the new images would be no beginning: they are other axes
than those that the denoiser began with.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from rcdm_core.encoders import load_encoder
from rcdm_core.encoders.catalogue import ENCODERS
from rcdm_core.precision import device_of
from rcdm_core.rcdm.heads import embedded_images
from rcdm_core.rcdm_training.evaluation import held_out_loss
from rcdm_core.representations import represent, representation_cache

if TYPE_CHECKING:
    from rcdm_core.encoders.encoder import Encoder
    from rcdm_core.rcdm.objective import RCDMLearner
    from rcdm_core.rcdm.rcdm import RCDM
    from rcdm_core.rcdm_training.material import Material
    from rcdm_core.rcdm_training.store import Condition

BASIS, COMPONENTS = "the basis it keeps", "principal components of the images"
"""What heads begin through where no encoder is a guide; the last is for an RCDM of before, which kept no basis."""


@dataclass(frozen=True)
class Beginning:
    """How a head began.

    Attributes:
        through: Name of the guide; the head's own condition where the RCDM has a head for the same encoder.
        losses: Loss on held-out images after a beginning through each guide; empty where there was no choice.
    """

    through: str
    losses: Mapping[str, float]


def encoders_at_hand(rcdm: RCDM, given: Iterable[Encoder] = ()) -> list[Encoder]:
    """Encoders that an RCDM draws from and whose weights are on this machine: of ``given``, and those with a name."""
    known = rcdm.card.get("encoders", {})
    of_conditions = dict.fromkeys(condition.rpartition("/")[0] for condition in rcdm.conditions)
    found = {encoder.name: encoder for encoder in given}
    for name in of_conditions:
        if name not in found and name in ENCODERS and ENCODERS[name].here():
            found[name] = load_encoder(name)
    return [
        encoder
        for name, encoder in found.items()
        if name in of_conditions and known.get(name, encoder.network_fingerprint) == encoder.network_fingerprint
    ]


def begin_on(
    learner: RCDMLearner, rcdm: RCDM, material: Material, known: Sequence[Encoder], precision: str
) -> dict[str, Beginning]:
    """Begin the heads of all conditions of a learner whose U-Net is that of an RCDM.

    Args:
        learner: Its heads are set, and it goes where batches go.
        rcdm: Whose U-Net it has.
        material: Representations and images.
        known: Encoders that the RCDM draws from, as of `encoders_at_hand`.
        precision: Of the losses by which a guide is chosen.

    Returns:
        How each condition began, by its name.
    """
    learner.to(material.device)  # where losses are taken, by which a guide is chosen
    own = {(encoder.name, encoder.network_fingerprint) for encoder in known}
    guides: dict[str, torch.Tensor] = {}
    begun = {}
    for one in material.conditions:
        if one.name in rcdm.conditions and (one.encoder.name, one.encoder.network_fingerprint) in own:
            weights = rcdm.denoiser.head(one.name).state_dict()
            head = learner.denoiser.head(one.name)
            (head if "whitening" in weights else head.linear).load_state_dict(weights)
            begun[one.name] = Beginning(one.name, {})
        else:
            guides = guides or _guides(rcdm, material, known)
            begun[one.name] = _begin_through(learner, one, guides, material, precision)
    return begun


@torch.no_grad()
def _guides(rcdm: RCDM, material: Material, known: Sequence[Encoder]) -> dict[str, torch.Tensor]:
    """Embeddings ``[N, E]`` of the images from which heads begin, by each guide, on the CPU."""
    rows, found = material.beginning, {}
    for encoder in known:
        for level, h in represent(encoder, material.data, rows, cache=representation_cache()).items():
            if (condition := f"{encoder.name}/{level}") in rcdm.conditions:
                device = device_of(rcdm.denoiser.head(condition))  # not that of its U-Net, which a learner may share
                found[condition] = rcdm.denoiser.embed([(condition, h.to(device))]).cpu()
    if found:
        return found
    small = material.thumbnails(rows)
    if rcdm.basis is not None:
        return {BASIS: rcdm.basis(small)}
    return {COMPONENTS: embedded_images(small, rcdm.denoiser.settings.embedding)}


def _begin_through(
    learner: RCDMLearner, one: Condition, guides: Mapping[str, torch.Tensor], material: Material, precision: str
) -> Beginning:
    """Begin a head through the best of several guides."""
    rows = material.beginning
    h, head = one.representations(rows), learner.denoiser.head(one.name)
    fitted = copy.deepcopy(head).to_empty(device="cpu")  # where there is float64, which not every GPU has
    fitted.fit(h)
    losses, states = {}, {}
    draw, count = material.judged(one)
    for name, embeddings in guides.items():
        fitted.guess(h, embeddings)
        states[name] = {key: tensor.clone() for key, tensor in fitted.state_dict().items()}
        head.load_state_dict(states[name])
        losses[name] = held_out_loss(learner, draw, count, precision) if len(guides) > 1 else 0.0
    best = min(losses, key=losses.__getitem__)
    head.load_state_dict(states[best])
    return Beginning(best, losses if len(guides) > 1 else {})
