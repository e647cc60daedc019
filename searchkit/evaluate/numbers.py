"""How reports write numbers: three decimals, p-values without the zero that all have."""

ALPHA = 0.05
"""Corrected p-values below it are called a difference."""

ALPHA_TEXT = ".05"
"""How sentences write it."""

SMALLEST = 0.001
"""P-values below it are not told apart."""


def fixed(value: float) -> str:
    """0.710; what rounds to zero has no sign."""
    return f"{value:z.3f}"


def signed(value: float) -> str:
    """+0.050."""
    return f"{value:+z.3f}"


def difference(value: float, low: float, high: float) -> str:
    """+0.031 [+0.008, +0.054]."""
    return f"{signed(value)} {interval(low, high)}"


def interval(low: float, high: float) -> str:
    """[+0.008, +0.054]."""
    return f"[{signed(low)}, {signed(high)}]"


def p_value(p: float) -> str:
    """.004, <.001 or 1.000."""
    return "<.001" if p < SMALLEST else f"{p:.3f}".removeprefix("0")


def amount(value: float, measure: str) -> str:
    """How large a difference is, in a sentence: 0.031 nDCG@10."""
    size = fixed(abs(value))
    return f"{'less than 0.001' if value and size == '0.000' else size} {measure}"


def counted(number: int, what: str) -> str:
    """1 query, 2,000 queries."""
    plural = f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{number:,} {what if number == 1 else plural}"
