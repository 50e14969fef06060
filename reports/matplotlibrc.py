"""Matplotlib's settings are read when it is imported: whatever the user's are, it is imported, or why not is told."""

import os
import sys
from contextlib import suppress

from rcdm_core.errors import UserError, first_line

if not os.environ.get("SOURCE_DATE_EPOCH", "0").isdecimal():
    del os.environ["SOURCE_DATE_EPOCH"]  # Matplotlib takes it for a time when it writes a figure

if "matplotlib" not in sys.modules:
    # The kernel of a notebook names its backend to every command that a cell starts. Where that is not installed,
    # Matplotlib would not import; our figures need none, and the user's own keep it where it is.
    named = os.environ.pop("MPLBACKEND", None)
    try:
        from matplotlib import rcParams
    except ValueError as error:  # bytes that are no text
        raise UserError(f"Matplotlib cannot be used ({first_line(error)})", "mend the file matplotlibrc") from error
    finally:
        if named is not None:
            os.environ["MPLBACKEND"] = named
    if named:
        with suppress(ValueError):
            rcParams["backend"] = named
