"""How many digits a number is told with: as many as show what a word rests on, by one rule in sentences and tables."""

from __future__ import annotations

from itertools import count

ERROR_RATE = 0.05
"""Two-sided error rate of a finding's test."""

ROUNDING = 1e-6
"""A gain below it is what float32 leaves of none: two encoders that are one differ by as much, and always that way."""


def decisive(low: float, high: float, *bounds: float, digits: int = 2) -> int:
    """Digits that show on which side of 0, and of other bounds, a whole interval lies: ``digits``, or more.

    An end nearer than `ROUNDING` to a bound is at it, and an interval that reaches to both sides is on none.
    """
    for bound in (0.0, *bounds):
        if low - bound > ROUNDING or bound - high > ROUNDING:
            end = low if low > bound else high
            digits = next(n for n in count(digits) if (round(float(end), n) - bound) * (end - bound) > 0)
    return digits


def fixed(value: float, digits: int = 2, sign: str = "-") -> str:
    """A number with so many digits, without a sign where they are all 0; with the ``sign`` ``+``, that of others."""
    text = f"{value:{sign}.{digits}f}"
    return text if float(text) else text.lstrip("+-")


def p_number(p: float) -> str:
    """A p-value to two digits that count, from .1 on behind the point; to more where these are on the error rate.

    ``< 0.0001`` below that.
    """
    if p < 1e-4:
        return "< 0.0001"
    if p >= 0.1:
        return f"{p:.2f}"
    return next(text for n in count(2) if float(text := f"{p:.{n}g}") != ERROR_RATE or p == ERROR_RATE)


def p_text(p: float) -> str:
    """A p-value in a sentence: ``p = 0.012`` or ``p < 0.0001``."""
    text = p_number(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"
