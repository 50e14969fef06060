"""Cards: what is known of weights, in a file of JSON beside them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rcdm_core.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path


def card_at(path: Path) -> dict[str, Any]:
    """The card in a file; empty where there is no such file.

    Raises:
        UserError: It cannot be read, or holds something else.
    """
    if not path.is_file():
        return {}
    try:
        card = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"the card {path} is damaged ({error})", "put the one of the weights there, or none") from error
    if not isinstance(card, dict):
        raise UserError(f"{path} is no card", "put the one of the weights there, or none")
    return card
