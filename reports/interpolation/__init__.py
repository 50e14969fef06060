"""The report of the interpolation probe: figures, tables and a PDF that says whether paths lead from image to image.

What a run could not measure (no known factors, a single pair, a level that the RCDM does not know) is named in the
report, with the way to get it.
"""

from reports.interpolation.content import Content
from reports.interpolation.report import document, write

__all__ = ["Content", "document", "write"]
