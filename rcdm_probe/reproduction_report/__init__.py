"""The report over all findings and encoders: what the paper claims beside what was measured, agreement or not.

It is put together from finished runs of single probes, as their folders tell them (`Part`): verdicts and numbers from
their tables, figures and tables with their captions from their documents. Only what needs several encoders side by side
is drawn anew.
"""

from rcdm_probe.reproduction_report.content import Content
from rcdm_probe.reproduction_report.part import Part
from rcdm_probe.reproduction_report.report import document, write

__all__ = ["Content", "Part", "document", "write"]
