"""The label-free attack: push a representation as far from where it was as the budget allows.

Projected gradient ascent on ``|f(x + d) - f(x)|^2`` over ``|d|_inf <= eps``, in the manner of `torchattacks.PGD` (Madry
et al. 2018), which does the same to the cross-entropy of a classifier. The gradient is zero at ``d = 0``, so that the
random start is not a refinement here but what makes it move at all.
"""

from __future__ import annotations

import torch
from torch import nn
from torchattacks.attack import Attack


class Displacement(Attack):
    """Maximises the displacement of a representation within an L-inf ball; needs no labels.

    Args:
        model: Images ``[N, 3, H, W]`` in [0, 1] to representations ``[N, D]``.
        eps: Largest change of a pixel.
        alpha: Step size.
        steps: Number of steps.
    """

    def __init__(self, model: nn.Module, eps: float = 8 / 255, alpha: float = 2 / 255, steps: int = 10) -> None:
        super().__init__("Displacement", model)
        self.eps, self.alpha, self.steps = eps, alpha, steps
        self.supported_mode = ["default"]

    def forward(self, images: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Adversarial images ``[N, 3, H, W]`` in [0, 1]; labels are taken, as every attack does, and not looked at."""
        images = images.clone().detach().to(self.device)
        with torch.no_grad():
            origin = self.get_logits(images)
        adversarial = (images + torch.empty_like(images).uniform_(-self.eps, self.eps)).clamp(0, 1)
        for _ in range(self.steps):
            adversarial.requires_grad_()
            cost = (self.get_logits(adversarial) - origin).square().sum()
            (gradient,) = torch.autograd.grad(cost, adversarial)
            adversarial = adversarial.detach() + self.alpha * gradient.sign()
            delta = (adversarial - images).clamp(-self.eps, self.eps)
            adversarial = (images + delta).clamp(0, 1).detach()
        return adversarial
