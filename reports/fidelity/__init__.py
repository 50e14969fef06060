"""The report of the fidelity probe: how far a decoder is to be trusted, level by level and solver by solver."""

from reports.fidelity.content import Content
from reports.fidelity.in_short import trust
from reports.fidelity.report import document, write

__all__ = ["Content", "document", "trust", "write"]
