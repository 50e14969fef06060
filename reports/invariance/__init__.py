"""The report of the invariance probe: figures, tables and a PDF that says what an encoder keeps and what it drops.

What a run could not measure (no projector, no RCDM, no known factors) is named in the report, with the way to get it.
"""

from reports.invariance.content import Content
from reports.invariance.report import document, write

__all__ = ["Content", "document", "write"]
