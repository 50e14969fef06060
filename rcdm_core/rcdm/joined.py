"""Several RCDMs in the place of one: each condition is drawn by the one that was trained on it."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING, Any

from torch import nn

from rcdm_core.errors import UserError
from rcdm_core.rcdm.rcdm import RCDM, unknown_condition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch


class JoinedRCDM(RCDM):
    """RCDMs of one image size, with different conditions.

    Equal noise under two conditions is equal still; but what draws from it are two networks of two trainings.

    Args:
        members: At least one.

    Raises:
        UserError: They draw images of different sizes, or two of them were trained on the same condition.
    """

    def __init__(self, members: Sequence[RCDM]) -> None:
        _check(members)
        of_condition = {condition: member for member in members for condition in member.conditions}
        first, cards = members[0], [member.card for member in members]
        card = {
            "encoders": {name: weights for card in cards for name, weights in card.get("encoders", {}).items()},
            "members": cards,
        }
        super().__init__(first.denoiser, schedule=first.schedule, card=card)
        self.members, self._of_condition = nn.ModuleList(members), of_condition

    @property
    def conditions(self) -> dict[str, int]:
        """Dimension of each condition of all members."""
        return {condition: member.conditions[condition] for condition, member in self._of_condition.items()}

    @property
    def cards(self) -> tuple[Mapping[str, Any], ...]:
        """The cards of all members."""
        return tuple(card for member in dict.fromkeys(self._of_condition.values()) for card in member.cards)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the members' fingerprints."""
        members = dict.fromkeys(self._of_condition.values())
        return hashlib.sha256("".join(member.fingerprint for member in members).encode()).hexdigest()

    def sample(self, h: torch.Tensor, condition: str, **settings: Any) -> torch.Tensor:
        """As `RCDM.sample`, by the member that was trained on the condition."""
        if condition not in self._of_condition:
            raise unknown_condition(condition, self._of_condition)
        return self._of_condition[condition].sample(h, condition, **settings)


def _check(members: Sequence[RCDM]) -> None:
    sizes = sorted({member.image_size for member in members})
    if len(sizes) > 1:
        raise UserError(
            f"the RCDMs draw images of {' and '.join(map(str, sizes))} pixels, which cannot stand side by side",
            "give RCDMs of one image size",
        )
    conditions = [condition for member in members for condition in member.conditions]
    for condition in conditions:
        if conditions.count(condition) > 1:
            raise UserError(f"two of the RCDMs draw from {condition}", "give one of them")
