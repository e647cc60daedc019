"""The ways of searching an index."""

from typing import Literal

Mode = Literal["dense", "bm25", "hybrid"]
MODES: tuple[Mode, ...] = ("hybrid", "dense", "bm25")
FUSIONS = "searchkit.rank.fusion"
"""Where the ways of making one ranking of several are."""
