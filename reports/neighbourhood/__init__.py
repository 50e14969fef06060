"""The report of neighbourhood sampling: pictures drawn without an image, beside the two other ways to draw them."""

from reports.neighbourhood.content import Content
from reports.neighbourhood.report import document, write

__all__ = ["Content", "document", "write"]
