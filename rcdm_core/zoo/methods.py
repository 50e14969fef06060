"""The five ways an encoder of the zoo is taught: each a module whose forward pass is the method's loss.

Losses and heads are lightly's; the networks and the views are the same for all methods. Losses are computed in float32
whatever the precision of the networks, because they take differences of covariances and logarithms.

*Views* are Kornia modules on the whole batch, drawn anew for every image. The recipe is that of SimCLR (Chen et al.
2020, appendix A) for 32 x 32 images, with the hue turned all the way round: scenes are told apart by their two hues
alone, and an encoder that may use them learns little else. A crop of 0.4 to 1 of the area is 20 to 32 pixels wide, so
that in views of 24 x 24 pixels garments look as large as at use, where the whole scene is seen (Touvron et al. 2019).
Every view has noise below half a grey level, as rounding to 8 bits makes. No pixel moves by as much as under the least
budget of an attack, so that no method is trained against any.
"""

from __future__ import annotations

import copy
import warnings
from abc import abstractmethod
from collections.abc import Iterable, Sequence

import kornia.augmentation as K
import torch
import torch.nn.functional as F
from lightly.loss import BarlowTwinsLoss, KoLeoLoss, NTXentLoss, VICRegLoss
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
from rcdm_core.encoders.embedded import PROJECTOR_DIMENSIONS, WIDTH, trunk
from rcdm_core.training import Learner

NOISE = 0.4 / 255  # largest change of a pixel, of its range
HIDDEN = 512
TEACHER_TEMPERATURE, STUDENT_TEMPERATURE = 0.03, 0.2  # of DINO
SPREAD = 0.1  # weight of its KoLeo term


class SlightNoise(nn.Module):
    """Uniform noise of at most `NOISE` in every pixel and colour."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images of any shape."""
        return images + NOISE * (2 * torch.rand_like(images) - 1)


class Pairs(nn.Module):
    """Two random views of images ``[N, 3, H, W]`` in [0, 1], ``[2 N, 3, side, side]``: one of each, then the other."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.view = nn.Sequential(
            K.RandomResizedCrop((side, side), scale=(0.4, 1.0)),
            K.RandomHorizontalFlip(p=0.5),
            K.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.5, p=0.8),
            K.RandomGrayscale(p=0.3),
            K.RandomGaussianBlur((3, 3), sigma=(0.1, 1.5), p=0.5),
            SlightNoise(),
        )

    @torch.no_grad()
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """In float32, whatever the precision of the networks: colours are not rounded."""
        with torch.autocast(images.device.type, enabled=False):
            return torch.cat([self.view(images), self.view(images)]).clamp(0, 1)


class Method(Learner):
    """What the five have in common: a batch is of two views of each image and its label; an encoder is kept."""

    @property
    @abstractmethod
    def encoder(self) -> nn.ModuleDict:
        """The networks that are kept, under the names that they have in `rcdm_core.encoders.Encoder`."""

    def begin_with(self, state: dict[str, torch.Tensor]) -> None:
        """Begin with an encoder's weights; what is not kept of a method starts afresh."""
        self.encoder.load_state_dict(state)

    @torch.no_grad()
    def settle(self, batches: Iterable[torch.Tensor]) -> None:
        """Give the encoder's batch norms the statistics of whole scenes, as it sees them at use; batches weigh alike.

        Args:
            batches: Preprocessed scenes ``[N, 3, 32, 32]`` each.
        """
        network = nn.Sequential(*self.encoder.values())
        for norm in network.modules():
            if isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d)):
                norm.reset_running_stats()
                norm.momentum = None  # a mean over all batches
        network.train()
        for images in batches:
            network(images)
        network.eval()


class Supervised(Method):
    """Cross-entropy of a linear classifier on the trunk."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.classifier = trunk(), nn.Linear(WIDTH, len(CLASSES))

    def forward(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Loss of views ``[2 N, 3, S, S]`` and labels ``[2 N]``."""
        views, labels = batch
        return F.cross_entropy(self.classifier(self.trunk(views)).float(), labels, label_smoothing=0.05)

    @property
    def encoder(self) -> nn.ModuleDict:
        """The trunk alone."""
        return nn.ModuleDict({"trunk": self.trunk})


class Joint(Method):
    """Two views through one trunk and head, and a loss on the pair: SimCLR, VICReg and Barlow Twins.

    Args:
        head: lightly's projection head.
        loss: Takes the two embeddings ``[N, D]``.
    """

    def __init__(self, head: ProjectionHead, loss: nn.Module) -> None:
        super().__init__()
        self.trunk, self.head, self.loss = trunk(), head, loss

    def forward(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Loss of views ``[2 N, 3, S, S]``: one of each image, then the other; the labels are not looked at."""
        views, _ = batch
        embeddings = self.head(self.trunk(views))
        with torch.autocast(views.device.type, enabled=False):
            return self.loss(*embeddings.float().chunk(2))

    @property
    def encoder(self) -> nn.ModuleDict:
        """Trunk and projector."""
        return nn.ModuleDict({"trunk": self.trunk, "projector": self.head.layers})


class DINO(Method):
    """Self-distillation: a student predicts the sharpened, balanced output of its own average (Caron et al. 2021).

    Both see the same two views, each the other's: without multi-crop, which would show this method alone more of every
    image. The teacher is the encoder that is kept, as in the published checkpoints.

    Sinkhorn-Knopp stands in place of the centre, as in DINOv2 (Oquab et al. 2024, section 4), and gives every prototype
    its share of a batch: a centred teacher of this size comes to use one in ten. The KoLeo term is theirs, too, and
    keeps what a batch is projected to apart.

    A few thousand steps ask for more than the papers' temperatures, made for a hundred times as many: of projections
    that are alike at first, a teacher at 0.05 tells next to nothing (entropy 6.6 of 6.9). A sharper teacher and a
    student that has to spread its projections to follow it, at 0.2, learn from the beginning.

    Args:
        prototypes: Outputs of the head's last layer.
        momentum: Of the teacher, throughout. In the paper it rises to 1; here the learning rate's cool-down already
            settles the student, and a teacher that stops following it is left hundreds of steps behind.
    """

    def __init__(self, prototypes: int = 1024, momentum: float = 0.9) -> None:
        super().__init__()
        self.momentum = momentum
        self.trunk, self.head = trunk(), _dino_head(prototypes)
        self.teacher_trunk, self.teacher_head = copy.deepcopy(self.trunk), _dino_head(prototypes)
        self.teacher_head.load_state_dict(self.head.state_dict())
        deactivate_requires_grad(self.teacher_trunk)
        deactivate_requires_grad(self.teacher_head)
        self.spread = KoLeoLoss()

    def forward(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Loss of views ``[2 N, 3, S, S]``: one of each image, then the other; the labels are not looked at."""
        views, _ = batch
        projected = self.head.layers(self.trunk(views))
        student = self.head.last_layer(F.normalize(projected, dim=-1)).chunk(2)
        with torch.no_grad():
            teacher = self.teacher_head(self.teacher_trunk(views)).chunk(2)
        with torch.autocast(views.device.type, enabled=False):
            spread = sum(self.spread(view.float()) for view in projected.chunk(2))
            return balanced_distillation(teacher, student) + SPREAD * spread

    def after_step(self) -> None:
        """Move the teacher towards the student."""
        update_momentum(self.trunk, self.teacher_trunk, self.momentum)
        update_momentum(self.head, self.teacher_head, self.momentum)

    @property
    def encoder(self) -> nn.ModuleDict:
        """Trunk and projector of the teacher."""
        return nn.ModuleDict({"trunk": self.teacher_trunk, "projector": self.teacher_head.layers})

    def begin_with(self, state: dict[str, torch.Tensor]) -> None:
        """Begin with an encoder's weights, student and teacher alike; the prototypes start afresh."""
        super().begin_with(state)
        self.trunk.load_state_dict(self.teacher_trunk.state_dict())
        self.head.layers.load_state_dict(self.teacher_head.layers.state_dict())


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


def build_method(name: str) -> Method:
    """The untrained method of an encoder's name."""
    match name:
        case "supervised":
            return Supervised()
        case "simclr":
            return Joint(SimCLRProjectionHead(WIDTH, HIDDEN, PROJECTOR_DIMENSIONS[name]), NTXentLoss(temperature=0.2))
        case "vicreg":
            return Joint(VICRegProjectionHead(WIDTH, HIDDEN, PROJECTOR_DIMENSIONS[name]), VICRegLoss())
        case "barlow":
            loss = BarlowTwinsLoss(lambda_param=2e-3)  # of batches so small, 5e-3 weighs what chance alone correlates
            return Joint(BarlowTwinsProjectionHead(WIDTH, HIDDEN, PROJECTOR_DIMENSIONS[name]), loss)
        case "dino":
            return DINO()
        case _:
            raise ValueError(f"no method {name!r}")


def _dino_head(prototypes: int) -> DINOProjectionHead:
    with warnings.catch_warnings(action="ignore", category=FutureWarning):  # lightly's, of PyTorch's older weight norm
        return DINOProjectionHead(WIDTH, HIDDEN, PROJECTOR_DIMENSIONS["dino"], prototypes, batch_norm=True)
