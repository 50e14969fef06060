"""The five ways an encoder of the zoo is taught: each a module whose forward pass is the method's loss.

Losses and heads are lightly's; the networks and the views are the same for all methods. Losses are computed in float32
whatever the precision of the networks, because they take differences of covariances and logarithms.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from lightly.loss import BarlowTwinsLoss, NTXentLoss, VICRegLoss
from lightly.loss.swav_loss import sinkhorn
from lightly.models.modules.heads import (
    BarlowTwinsProjectionHead,
    DINOProjectionHead,
    ProjectionHead,
    SimCLRProjectionHead,
    VICRegProjectionHead,
)
from lightly.models.utils import deactivate_requires_grad, update_momentum
from torch import nn

from rcdm_core.data.scenes import CLASSES
from rcdm_core.encoders.embedded import PROJECTOR_DIMENSIONS, WIDTH, preprocessing, trunk
from rcdm_core.training import Learner
from rcdm_core.zoo.augmentations import ssl_views, supervised_views

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HIDDEN = 512
TEACHER_TEMPERATURE, STUDENT_TEMPERATURE = 0.05, 0.1  # of DINO


class Supervised(Learner):
    """Cross-entropy of a linear classifier on the trunk."""

    def __init__(self) -> None:
        super().__init__()
        self.views, self.preprocess = supervised_views(), preprocessing()
        self.trunk, self.classifier = trunk(), nn.Linear(WIDTH, len(CLASSES))

    def forward(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Loss of images ``[N, 3, 32, 32]`` and labels ``[N]``."""
        images, labels = batch
        logits = self.classifier(self.trunk(self.preprocess(_views(self.views, images))))
        return F.cross_entropy(logits.float(), labels, label_smoothing=0.05)

    def encoder_state(self) -> dict[str, torch.Tensor]:
        """Weights under the names of `rcdm_core.encoders.Encoder`."""
        return _prefixed("trunk", self.trunk)

    def load_encoder_state(self, state: dict[str, torch.Tensor]) -> None:
        """Begin with an encoder's weights; the classifier starts afresh."""
        self.trunk.load_state_dict(_stripped("trunk", state))


class Joint(Learner):
    """Two views through one trunk and head, and a loss on the pair: SimCLR, VICReg and Barlow Twins.

    Args:
        head: lightly's projection head.
        loss: Takes the two embeddings ``[N, D]``.
    """

    def __init__(self, head: ProjectionHead, loss: nn.Module) -> None:
        super().__init__()
        self.views, self.preprocess = ssl_views(), preprocessing()
        self.trunk, self.head, self.loss = trunk(), head, loss

    def forward(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Loss of images ``[N, 3, 32, 32]``; the labels are not looked at."""
        images, _ = batch
        pair = torch.cat([_views(self.views, images), _views(self.views, images)])
        embeddings = self.head(self.trunk(self.preprocess(pair)))
        with torch.autocast(images.device.type, enabled=False):
            return self.loss(*embeddings.float().chunk(2))

    def encoder_state(self) -> dict[str, torch.Tensor]:
        """Weights under the names of `rcdm_core.encoders.Encoder`."""
        return _prefixed("trunk", self.trunk) | _prefixed("projector", self.head.layers)

    def load_encoder_state(self, state: dict[str, torch.Tensor]) -> None:
        """Begin with an encoder's weights."""
        self.trunk.load_state_dict(_stripped("trunk", state))
        self.head.layers.load_state_dict(_stripped("projector", state))


class DINO(Learner):
    """Self-distillation: a student predicts the sharpened, balanced output of its own average (Caron et al. 2021).

    The teacher sees two views, the student also small ones of parts (multi-crop, section 3.1). The teacher is the
    encoder that is kept, as in the published checkpoints.

    Sinkhorn-Knopp stands in place of the centre, as in DINOv2 (Oquab et al. 2024, section 4), and gives every prototype
    its share of a batch: a centred teacher of this size comes to use one in ten.

    Args:
        prototypes: Outputs of the head's last layer.
        momentum: Of the teacher, throughout. In the paper it rises to 1; here the learning rate's cool-down already
            settles the student, and a teacher that stops following it is left hundreds of steps behind.
        parts: Small views of an image.
    """

    def __init__(self, prototypes: int = 1024, momentum: float = 0.99, parts: int = 4) -> None:
        super().__init__()
        self.momentum, self.parts = momentum, parts
        self.views, self.part_views = ssl_views(), ssl_views(size=(16, 16), scale=(0.15, 0.4))
        self.preprocess, self.preprocess_part = preprocessing(), preprocessing(16)
        self.trunk = trunk()
        self.head = _dino_head(prototypes)
        self.teacher_trunk, self.teacher_head = copy.deepcopy(self.trunk), _dino_head(prototypes)
        self.teacher_head.load_state_dict(self.head.state_dict())
        deactivate_requires_grad(self.teacher_trunk)
        deactivate_requires_grad(self.teacher_head)

    def forward(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Loss of images ``[N, 3, 32, 32]``; the labels are not looked at."""
        images, _ = batch
        pair = self.preprocess(torch.cat([_views(self.views, images), _views(self.views, images)]))
        parts = self.preprocess_part(_views(self.part_views, images.repeat(self.parts, 1, 1, 1)))
        student = [*self.head(self.trunk(pair)).chunk(2), *self.head(self.trunk(parts)).chunk(self.parts)]
        with torch.no_grad():
            teacher = self.teacher_head(self.teacher_trunk(pair)).chunk(2)
        with torch.autocast(images.device.type, enabled=False):
            return balanced_distillation(teacher, student)

    def after_step(self) -> None:
        """Move the teacher towards the student."""
        update_momentum(self.trunk, self.teacher_trunk, self.momentum)
        update_momentum(self.head, self.teacher_head, self.momentum)

    @torch.no_grad()
    def settle(self, batches: Iterable[torch.Tensor]) -> None:
        """Give the teacher's batch norms the statistics of small views, all batches weighing the same.

        With those of whole views, as they are left by the training, most features of a scene are zero, and what they
        tell linearly of place, angle and class is less.

        Args:
            batches: Images ``[N, 3, 32, 32]`` each.
        """
        teacher = nn.Sequential(self.teacher_trunk, self.teacher_head.layers)
        norms = [module for module in teacher.modules() if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d))]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a mean over all batches
        teacher.train()
        for images in batches:
            teacher(self.preprocess_part(_views(self.part_views, images)))
        teacher.eval()

    def encoder_state(self) -> dict[str, torch.Tensor]:
        """Weights of the teacher under the names of `rcdm_core.encoders.Encoder`."""
        return _prefixed("trunk", self.teacher_trunk) | _prefixed("projector", self.teacher_head.layers)

    def load_encoder_state(self, state: dict[str, torch.Tensor]) -> None:
        """Begin with an encoder's weights, student and teacher alike; the prototypes start afresh."""
        for trunk_, head in ((self.trunk, self.head), (self.teacher_trunk, self.teacher_head)):
            trunk_.load_state_dict(_stripped("trunk", state))
            head.layers.load_state_dict(_stripped("projector", state))


def balanced_distillation(teacher: Sequence[torch.Tensor], student: Sequence[torch.Tensor]) -> torch.Tensor:
    """DINO's loss: cross-entropy of the student on a view under the teacher on another, averaged over such pairs.

    The teacher's outputs are balanced over the prototypes by three rounds of Sinkhorn-Knopp (Caron et al. 2020,
    appendix A) over all of its views.

    Args:
        teacher: Its outputs ``[N, K]``, one tensor a view.
        student: Its outputs ``[N, K]``, those for the teacher's views first.
    """
    targets = sinkhorn(torch.cat(list(teacher)).float(), epsilon=TEACHER_TEMPERATURE).chunk(len(teacher))
    predicted = [F.log_softmax(view.float() / STUDENT_TEMPERATURE, dim=1) for view in student]
    pairs = [(t, p) for i, t in enumerate(targets) for j, p in enumerate(predicted) if i != j]
    return torch.stack([-(t * p).sum(1).mean() for t, p in pairs]).mean()


def build_method(name: str) -> Supervised | Joint | DINO:
    """The untrained method of an encoder's name."""
    match name:
        case "supervised":
            return Supervised()
        case "simclr":
            return Joint(SimCLRProjectionHead(WIDTH, HIDDEN, PROJECTOR_DIMENSIONS[name]), NTXentLoss(temperature=0.2))
        case "vicreg":
            return Joint(VICRegProjectionHead(WIDTH, HIDDEN, PROJECTOR_DIMENSIONS[name]), VICRegLoss())
        case "barlow":
            return Joint(BarlowTwinsProjectionHead(WIDTH, HIDDEN, PROJECTOR_DIMENSIONS[name]), BarlowTwinsLoss())
        case "dino":
            return DINO()
        case _:
            raise ValueError(f"no method {name!r}")


def _dino_head(prototypes: int) -> DINOProjectionHead:
    return DINOProjectionHead(WIDTH, HIDDEN, PROJECTOR_DIMENSIONS["dino"], prototypes, batch_norm=True)


@torch.no_grad()
def _views(views: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Augmented images, in float32: colours are not rounded by the precision of the networks."""
    with torch.autocast(images.device.type, enabled=False):
        return views(images).clamp(0, 1)


def _prefixed(prefix: str, module: nn.Module) -> dict[str, torch.Tensor]:
    return {f"{prefix}.{key}": tensor for key, tensor in module.state_dict().items()}


def _stripped(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key.removeprefix(f"{prefix}."): value for key, value in state.items() if key.startswith(f"{prefix}.")}
