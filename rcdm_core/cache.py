"""Where downloads and representations are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

OTHER_CACHE = "the environment variable RCDM_PROBE_CACHE names another folder"
"""What to do if the cache cannot be written."""


def cache_folder() -> Path:
    """The folder that the environment names as ``RCDM_PROBE_CACHE``, else ``~/.cache/rcdm-probe``; may not exist."""
    return Path(os.environ.get("RCDM_PROBE_CACHE") or "~/.cache/rcdm-probe").expanduser()
