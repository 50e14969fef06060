"""The report of the manipulation probe: what is taken out of a representation, put in and turned, and what it does."""

from reports.manipulation.content import Content
from reports.manipulation.report import document, write

__all__ = ["Content", "document", "write"]
