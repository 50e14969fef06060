"""The settings with which the zoo is trained.

The five encoders have one recipe: as many images, the same views with the same noise from the first step
(`rcdm_core.zoo.methods`), the same schedule; the loss of the method, with its head, is all that differs. The
supervised one sees both views of every image too, under its label.

The recipe has three phases. Views of 16 pixels take a third of the time of whole ones, and show in it more images than
teach as much (simclr, in equal time: 0.66 of the classes after 1,400 steps of 16 and 280 of 24 pixels, 0.65 after 1,000
of 24). Views as large as images are at use come last (Touvron et al. 2019), and bring what size and detail at use are
worth: three points of accuracy in simclr.

The weights that ship at present are older, and not of this recipe: their cards tell the settings of every leg. They had
noise of 0.02 in their last 350 to 950 steps alone, supervised crops and flips only, dino multi-crop. The shares of the
RCDM were shifted from leg to leg towards the backbones that were drawn worst: simclr and dino had up to 33 images of a
batch.
"""

from __future__ import annotations

from collections.abc import Sequence

from rcdm_core.encoders.catalogue import PROJECTOR_DIMENSIONS, UNTRAINED
from rcdm_core.errors import unknown_name
from rcdm_core.rcdm.network import NetworkSettings
from rcdm_core.training import TrainingSettings

PHASES = {  # side of the views in pixels -> how
    16: TrainingSettings(steps=8000, batch_size=128, learning_rate=3e-3, cooldown=0.0),
    24: TrainingSettings(steps=3000, batch_size=128, learning_rate=3e-3),
    32: TrainingSettings(steps=1000, batch_size=128, learning_rate=1e-3, warmup=50, cooldown=0.95),
}
"""How every encoder is trained: one after the other, each on scenes that follow those before."""

ENCODERS = ("supervised", *PROJECTOR_DIMENSIONS)
JUDGE = TrainingSettings(steps=19_800, batch_size=128, learning_rate=1.5e-3)
RCDM_NETWORK = NetworkSettings()
RCDM_SHARES = {  # images of a batch from each condition
    "supervised/backbone": 4,
    f"{UNTRAINED}/backbone": 4,
    **{f"{name}/backbone": 15 for name in PROJECTOR_DIMENSIONS},
    **{f"{name}/projector": 3 for name in PROJECTOR_DIMENSIONS},
}
RCDM = TrainingSettings(
    steps=10_920,
    batch_size=80,
    learning_rate=8e-4,
    weight_decay=0.01,
    warmup=200,
    ema_decay=0.999,
    checkpoint_every=200,
)

DRAWN = (*ENCODERS, UNTRAINED)
"""What the RCDM draws from."""

PARTS = (*DRAWN, "judge", "rcdm")


def check_parts(parts: Sequence[str]) -> None:
    """Raise a `UserError` at the first name that is not one of `PARTS`."""
    for part in parts:
        if part not in PARTS:
            raise unknown_name("part of the zoo", part, PARTS)
