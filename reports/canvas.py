"""What draws, imported with the first figure: what only measures does not wait for it."""

import reports.matplotlibrc  # noqa: F401

# isort: split
import matplotlib as mpl
import seaborn as sns
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

__all__ = ["DEFAULTS", "Figure", "FigureCanvasAgg", "Line2D", "mpl", "sns"]

DEFAULTS = {name: value for name, value in mpl.rcParamsDefault.items() if not name.startswith("backend")}
"""What a matplotlibrc of the user's may have set otherwise; which windows open is left to them."""
