"""The report of the adversarial probe: figures, tables and a PDF that says how encoders stand the same attacks.

What a run could not measure (no labels, no RCDM, no judge) is named in the report, with the way to get it.
"""

from reports.adversarial.content import Content
from reports.adversarial.report import document, write

__all__ = ["Content", "document", "write"]
