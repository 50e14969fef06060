"""Where downloads and representations are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

from rcdm_core.errors import UserError

OTHER_CACHE = "the environment variable RCDM_PROBE_CACHE names another folder"
"""What to do if the cache cannot be written."""


def cache_folder() -> Path:
    """The folder that the environment names as ``RCDM_PROBE_CACHE``, else ``~/.cache/rcdm-probe``; may not exist.

    Raises:
        UserError: It is in the home of a user whom nobody knows.
    """
    named = os.environ.get("RCDM_PROBE_CACHE") or "~/.cache/rcdm-probe"
    try:
        return Path(named).expanduser()
    except RuntimeError as error:
        raise UserError(f"there is no home for the cache {named}", OTHER_CACHE) from error
