"""A curve of numbers in characters, for a terminal."""

from collections.abc import Sequence
from itertools import pairwise

_BLOCKS = " ▁▂▃▄▅▆▇█"
_ASCII = " .:-=+*#%@"


def lines(
    values: Sequence[float], *, width: int = 64, height: int = 8, ascii_only: bool = False
) -> list[str]:
    """Draw values in order, each column the mean of its share, with the range on the left.

    Args:
        values: at least one, finite.
        width: of the drawing, in columns, without its labels.
        height: in lines.
        ascii_only: for terminals and files that hold nothing else.
    """
    blocks = _ASCII if ascii_only else _BLOCKS
    columns = min(width, len(values))
    edges = [round(place * len(values) / columns) for place in range(columns + 1)]
    means = [sum(values[start:stop]) / (stop - start) for start, stop in pairwise(edges)]
    low, high = min(means), max(means)
    if low == high:
        return [f"{low:8.3f} {blocks[1] * columns}"]
    steps = len(blocks) - 1
    span = high - low
    # The lowest column keeps a sliver, so that every column is seen.
    filled = [max(1, round((mean - low) / span * height * steps)) for mean in means]
    drawn = []
    for line in range(height - 1, -1, -1):
        label = f"{high:8.3f}" if line == height - 1 else f"{low:8.3f}" if line == 0 else " " * 8
        cells = (blocks[min(max(fill - line * steps, 0), steps)] for fill in filled)
        drawn.append(f"{label} {''.join(cells)}".rstrip())
    return drawn
