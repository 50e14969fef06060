"""Matplotlib, imported with the first figure: what only measures does not wait for it."""

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

import matplotlib as mpl
import seaborn as sns
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

__all__ = ["DEFAULTS", "Figure", "FigureCanvasAgg", "Line2D", "mpl", "sns"]

DEFAULTS = {name: value for name, value in mpl.rcParamsDefault.items() if not name.startswith("backend")}
"""What a matplotlibrc of the user's may have set otherwise; which windows open is left to them."""
