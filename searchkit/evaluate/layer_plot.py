"""Layers drawn: bars for a terminal, a line chart as SVG, and a sentence for each line."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from searchkit.evaluate.layers import LayerRow
from searchkit.evaluate.numbers import ALPHA, amount, counted, fixed, p_value
from searchkit.evaluate.reports._html_scale import Scale, even_ticks

_BAR = 9  # characters of the longest bar
_EIGHTHS = " ▏▎▍▌▋▊▉█"
# Wong 2011, Points of view: color blindness, Nature Methods 8: hues that all readers tell apart.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
_DASHES = ("none", "7 3", "2 3", "9 3 2 3")  # lines are told apart without colour, too
_WIDTH, _HEIGHT = 640, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 16, 76, 66
_HEADROOM = 0.06  # of the range, above the highest line
_LEGEND = ("the line is a mean; its band, the 95 % interval of the difference from the last layer;",
           "dot: the best layer, hollow where its lead over the last may be chance")  # fmt: skip

Design = tuple[str, str]  # pooling, attention
Designs = Mapping[Design, Sequence[LayerRow]]


def grouped(rows: Sequence[LayerRow]) -> dict[str, dict[Design, list[LayerRow]]]:
    """Rows by set and design, in the order in which `layers.explain` gives them."""
    found: dict[str, dict[Design, list[LayerRow]]] = {}
    for row in rows:
        found.setdefault(row.set, {}).setdefault((row.pooling, row.attention), []).append(row)
    return found


def best_of(rows: Sequence[LayerRow]) -> LayerRow:
    """The layer with the highest mean; among equals, the lowest one."""
    return max(rows, key=lambda row: (row.mean, -row.layer))


def lines(designs: Designs, *, ascii_only: bool = False) -> Iterator[list[str]]:
    """A line for each layer of one set: its number, and a value and a bar for each design.

    A star is behind the best value of a design. What a design did not read is empty. `ascii_only`
    is for terminals that show nothing else.
    """
    draw = _ascii_bar if ascii_only else bar
    highest = max(row.mean for rows in designs.values() for row in rows)
    best = [best_of(rows) for rows in designs.values()]
    by_layer = [{row.layer: row for row in rows} for rows in designs.values()]
    for layer in sorted({layer for rows in by_layer for layer in rows}):
        cells = [str(layer)]
        for rows, highest_here in zip(by_layer, best, strict=True):
            row = rows.get(layer)
            mark = "*" if row is highest_here else " "
            share = row.mean / highest if row and highest > 0 else 0.0
            cells.append(f"{fixed(row.mean)}{mark} {draw(share)}".rstrip() if row else "")
        yield cells


def bar(share: float) -> str:
    """A bar of that share of the longest, in eighths of a character; none for what is below 0."""
    eighths = round(max(0.0, share) * _BAR * 8)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).strip()


def _ascii_bar(share: float) -> str:
    return "#" * round(max(0.0, share) * _BAR)


def sentence(rows: Sequence[LayerRow]) -> str:
    """What the layers of one design say, in words."""
    best, last = best_of(rows), rows[-1]
    name = f"{best.pooling}-{best.attention} on {best.set}"
    if best.difference is None or best.low is None or best.high is None or best.p is None:
        return f"{name}: no layer is above the last, {last.layer}, with {fixed(last.mean)}."
    if best.difference <= 0:  # a tie
        return f"{name}: no layer is above the last, {last.layer}, with {fixed(last.mean)}."
    sure = "" if best.p < ALPHA else "which may be chance, "
    return (
        f"{name}: layer {best.layer} is best with {fixed(best.mean)}, "
        f"{amount(best.difference, best.measure)} above the last, {last.layer} "
        f"({fixed(best.low)} to {fixed(best.high)}), {sure}p {p_value(best.p)} corrected over "
        f"{counted(len(rows) - 1, 'layer')}."
    )


def svg(name: str, designs: Designs) -> str:
    """A line chart of one set, with 95 % intervals of the difference from the last layer."""
    rows = [row for of in designs.values() for row in of]
    first, last = min(row.layer for row in rows), max(row.layer for row in rows)
    x = _scale(first, last, _LEFT, _WIDTH - _RIGHT)
    ends = [end for of in designs.values() for row in of for end in _interval(row, of[-1])]
    low, high = min(0.0, *ends), max(0.0, *ends)
    y = _scale(low, high + _HEADROOM * (high - low), _HEIGHT - _BOTTOM, _TOP)
    title = f"{rows[0].measure} of each layer on {name}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
            'font-family="system-ui, sans-serif" font-size="12" fill="#222">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
            f'<text x="{_LEFT}" y="20" font-size="14" font-weight="600">{escape(title)}</text>',
            *_axes(range(first, last + 1), x, y),
            *(_band(of, number, x, y) for number, of in enumerate(designs.values()) if len(of) > 1),
            *(_line(of, number, x, y) for number, of in enumerate(designs.values())),
            *(_key(design, number) for number, design in enumerate(designs)),
            "</svg>\n",
        ]
    )


def _scale(low: float, high: float, start: float, end: float) -> Scale:
    """A scale of at least some width: a single layer and means of 0 have none."""
    return Scale(low, high if high > low else low + 1.0, start, end)


def _interval(row: LayerRow, last: LayerRow) -> tuple[float, float]:
    """Where the mean of a layer lies, given that of the last."""
    if row.low is None or row.high is None:
        return row.mean, row.mean
    return last.mean + row.low, last.mean + row.high


def _axes(layers: range, x: Scale, y: Scale) -> Iterator[str]:
    for tick in even_ticks(y.low, y.high, 7):
        yield (
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" '
            f'stroke="{"#888" if tick == 0 else "#e3e3e3"}"/>'
            f'<text x="{_LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
        )
    ticks = even_ticks(x.low, x.high, 12)  # some of which may be halves of a layer, or beyond
    for layer in sorted({layers[0], *(int(tick) for tick in ticks if tick in layers)}):
        yield (
            f'<text x="{x(layer):.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">'
            f"{layer}</text>"
        )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    yield f'<text x="{middle}" y="{_HEIGHT - _BOTTOM + 31}" text-anchor="middle">layer</text>'
    for number, words in enumerate(reversed(_LEGEND)):
        yield (
            f'<text x="{_LEFT}" y="{_HEIGHT - 7 - 13 * number}" font-size="10.5" fill="#555">'
            f"{escape(words)}</text>"
        )


def _band(rows: Sequence[LayerRow], number: int, x: Scale, y: Scale) -> str:
    ends = [(x(row.layer), *map(y, _interval(row, rows[-1]))) for row in rows]
    outline = [(at, low) for at, low, _ in ends] + [(at, high) for at, _, high in reversed(ends)]
    points = " ".join(f"{at:.1f},{end:.1f}" for at, end in outline)
    return f'<polygon points="{points}" fill="{_COLOURS[number % 4]}" fill-opacity="0.13"/>'


def _line(rows: Sequence[LayerRow], number: int, x: Scale, y: Scale) -> str:
    colour, best = _COLOURS[number % 4], best_of(rows)
    points = " ".join(f"{x(row.layer):.1f},{y(row.mean):.1f}" for row in rows)
    by_chance = best.p is not None and best.p >= ALPHA
    return (
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2" '
        f'stroke-linejoin="round" stroke-dasharray="{_DASHES[number % 4]}"/>'
        f'<circle cx="{x(best.layer):.1f}" cy="{y(best.mean):.1f}" r="4.5" stroke="{colour}" '
        f'stroke-width="2" fill="{"#fff" if by_chance else colour}"/>'
    )


def _key(design: Design, number: int) -> str:
    """One line of the key, two of them side by side."""
    left = _LEFT + number % 2 * (_WIDTH - _LEFT - _RIGHT) / 2
    top = 40 + number // 2 * 17
    return (
        f'<line x1="{left}" x2="{left + 30}" y1="{top}" y2="{top}" '
        f'stroke="{_COLOURS[number % 4]}" stroke-width="2" '
        f'stroke-dasharray="{_DASHES[number % 4]}"/>'
        f'<text x="{left + 37}" y="{top + 4}">{escape("-".join(design))}</text>'
    )
