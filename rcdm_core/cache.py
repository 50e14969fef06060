"""Where downloads and representations are kept between runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rcdm_core.paths import user_path

if TYPE_CHECKING:
    from pathlib import Path

OTHER_CACHE = "the environment variable RCDM_PROBE_CACHE names another folder"
"""What to do if the cache cannot be written."""


def cache_folder() -> Path:
    """The folder that the environment names as ``RCDM_PROBE_CACHE``, else ``~/.cache/rcdm-probe``; may not exist."""
    named = os.environ.get("RCDM_PROBE_CACHE") or "~/.cache/rcdm-probe"
    return user_path(named, "the cache (RCDM_PROBE_CACHE)")
