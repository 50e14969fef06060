"""The report over all findings and encoders: what the paper claims beside what was measured, agreement or not.

It is put together from finished runs of single probes, as their folders tell them (`reports.finished`): verdicts and
numbers from their tables, figures and tables with their captions from their documents, those of several encoders
side by side.
"""

from rcdm_probe.reproduction_report.content import Content
from rcdm_probe.reproduction_report.report import document, in_short, titles, write

__all__ = ["Content", "document", "in_short", "titles", "write"]
