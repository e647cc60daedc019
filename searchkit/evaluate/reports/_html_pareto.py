"""The trade-off of a family: how good systems are against how fast they encode."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from searchkit.evaluate.analysis import Analysis
from searchkit.evaluate.numbers import counted
from searchkit.evaluate.reports._html_elements import (
    Markup,
    breakable,
    element,
    fixed,
    join,
    shorten,
    table,
    text_width,
)
from searchkit.evaluate.reports._html_families import Family, means_over_sets
from searchkit.evaluate.reports._html_scale import Scale, even_ticks, log_ticks, padded
from searchkit.evaluate.results import Results

_FONT = 13  # pixels
_LARGEST = 15.0  # radius in pixels of the circle with the most bytes
_SMALLEST = 3.5  # below it, filled and hollow look the same
_UNSIZED = 6.0  # radius where no system says its bytes


@dataclass(frozen=True, slots=True)
class _Shape:
    name: str
    width: float
    height: float
    longest: int
    """Letters of a name that are drawn."""


_WIDE = _Shape("wide", 860, 420, 38)
_NARROW = _Shape("narrow", 340, 400, 26)  # the style sheet shows the one that fits


@dataclass(frozen=True, slots=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: "_Box") -> float:
        """The shared area, in square pixels."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, width) * max(0.0, height)


def front(quality: Mapping[str, float], speed: Mapping[str, float]) -> list[str]:
    """The systems of `speed` that no other beats or equals in both and beats in one; fastest first.

    Args:
        quality: by system, higher is better.
        speed: tokens/s by system, of those that have one.
    """

    def beaten(name: str) -> bool:
        return any(
            quality[other] >= quality[name]
            and speed[other] >= speed[name]
            and (quality[other], speed[other]) != (quality[name], speed[name])
            for other in speed
        )

    kept = [name for name in speed if not beaten(name)]
    return sorted(kept, key=lambda name: -speed[name])


def trade_off(results: Results, analysis: Analysis, family: Family) -> Markup | None:
    """Quality against speed, drawn and as a table; None where fewer than two systems have both."""
    quality = means_over_sets(family, analysis)
    speed = {
        name: rate
        for name in quality
        if (rate := results.systems[name].tokens_per_s) is not None and rate > 0
    }
    if len(speed) < 2:
        return None
    sizes = {
        name: size
        for name in speed
        if (size := results.systems[name].bytes_per_text) is not None and size > 0
    }
    best = front(quality, speed)
    drawing = _Drawing(quality, speed, sizes, best, _axis_title(family))
    still = [name for name in quality if name not in speed]
    caption: list[str] = [
        "Higher and further right is better. Filled: the front, which no other system beats in "
        "both; below its line, systems are beaten."
    ]
    if sizes:
        caption.append(
            " The area of a marker is proportional to the bytes kept for each text, at most "
            f"{max(sizes.values()):,}."
        )
    if still:
        caption.append(" Dashed: systems that encoded nothing here, at any speed.")
    return element(
        "figure",
        drawing.render(_WIDE),
        drawing.render(_NARROW),
        element("figcaption", *caption),
        element(
            "details",
            element("summary", "as a table"),
            _table(results, family, quality, speed, best),
        ),
    )


def _axis_title(family: Family) -> str:
    if len(family.sets) == 1:
        return f"{family.main} on {family.sets[0].name}"
    return f"mean {family.main} of {counted(len(family.sets), 'set')}"


def _table(
    results: Results,
    family: Family,
    quality: Mapping[str, float],
    speed: Mapping[str, float],
    best: Sequence[str],
) -> Markup:
    head = element(
        "tr",
        element("th", "system", scope="col"),
        element("th", _axis_title(family), scope="col", class_="number"),
        element("th", "tokens/s", scope="col", class_="number"),
        element("th", "bytes per text", scope="col", class_="number"),
        element("th", "on the front", scope="col"),
    )
    rows = []
    for name in sorted(quality, key=lambda name: -quality[name]):
        size = results.systems[name].bytes_per_text
        mark = "yes" if name in best else "no" if name in speed else "–"
        rows.append(
            element(
                "tr",
                element("th", breakable(name), scope="row"),
                element("td", fixed(quality[name]), class_="number"),
                element("td", f"{speed[name]:,.0f}" if name in speed else "–", class_="number"),
                element("td", "–" if size is None else f"{size:,}", class_="number"),
                element("td", mark),
            )
        )
    return table(
        None, [head], [element("tbody", *rows)], label=f"{family.title}: quality and speed"
    )


@dataclass(frozen=True, slots=True)
class _Drawing:
    quality: Mapping[str, float]
    speed: Mapping[str, float]
    sizes: Mapping[str, float]
    best: Sequence[str]
    title: str

    def render(self, shape: _Shape) -> Markup:
        left, right, top, bottom = 52.0, 14.0, 34.0, 46.0
        low, high = padded([math.log10(rate) for rate in self.speed.values()], 0.16)
        across = Scale(low, high, left, shape.width - right)
        bounds = padded(list(self.quality.values()), 0.12)
        up = Scale(*bounds, shape.height - bottom, top)
        at = {
            name: (across(math.log10(rate)), up(self.quality[name]))
            for name, rate in self.speed.items()
        }
        radius = {name: self._radius(name) for name in self.speed}
        parts = [self._axes(across, up, bounds, shape)]
        taken: list[_Box] = [
            _Box(x - radius[name], y - radius[name], x + radius[name], y + radius[name])
            for name, (x, y) in at.items()
        ]
        still = [name for name in self.quality if name not in self.speed]
        for name in still:
            y = up(self.quality[name])
            parts.append(
                element("line", x1=left, x2=shape.width - right, y1=y, y2=y, class_="still")
            )
        edge = self._front([at[name] for name in self.best], up.start, left)
        corners = "L".join(f"{x:.1f} {y:.1f}" for x, y in edge)
        parts.append(element("path", d=f"M{corners}", class_="front"))
        taken += [
            _Box(min(x, other_x) - 2, min(y, other_y) - 2, max(x, other_x) + 2, max(y, other_y) + 2)
            for (x, y), (other_x, other_y) in pairwise(edge)
        ]
        for name, (x, y) in sorted(at.items(), key=lambda item: -radius[item[0]]):
            kind = "best" if name in self.best else "beaten"
            parts.append(element("circle", cx=x, cy=y, r=radius[name], class_=kind))
        frame = _Box(left, top - 12, shape.width - right, shape.height - bottom)
        for name in still:
            y = up(self.quality[name])
            text = shorten(name, shape.longest)
            middle = (frame.left + frame.right) / 2
            places = [
                (x, y + above, anchor)
                for above in (-5, 14)
                for x, anchor in (
                    (frame.right - 2, "end"),
                    (frame.left + 6, "start"),
                    (middle, "middle"),
                    (middle, "start"),
                    (middle, "end"),
                )
            ]
            parts.append(_label(text, places, taken, frame, "still"))
        for name in sorted(at, key=lambda name: (name not in self.best, at[name][1])):
            parts.append(
                _label(
                    shorten(name, shape.longest),
                    _around(*at[name], radius[name]),
                    taken,
                    frame,
                    "best" if name in self.best else None,
                )
            )
        return element(
            "svg",
            *parts,
            viewBox=f"0 0 {shape.width:g} {shape.height:g}",
            role="img",
            aria_label=self._in_words(),
            class_=f"pareto {shape.name}",
        )

    def _front(
        self, best: Sequence[tuple[float, float]], floor: float, wall: float
    ) -> list[tuple[float, float]]:
        """The corners of the stairs under which everything is beaten, from left to right."""
        stairs = [(wall, best[-1][1])]
        for x, y in reversed(best):  # the slowest stands highest
            stairs += [(stairs[-1][0], y), (x, y)]
        return [*stairs, (stairs[-1][0], floor)]

    def _radius(self, name: str) -> float:
        if not self.sizes:
            return _UNSIZED
        share = self.sizes.get(name, 0) / max(self.sizes.values())
        return max(_SMALLEST, _LARGEST * math.sqrt(share))

    def _axes(self, across: Scale, up: Scale, bounds: tuple[float, float], shape: _Shape) -> Markup:
        parts = []
        for tick in even_ticks(*bounds, 6):
            y = up(tick)
            parts += [
                element("line", x1=across.start, x2=across.end, y1=y, y2=y, class_="tick"),
                element("text", f"{tick:.2f}", x=across.start - 8, y=y + 4, text_anchor="end"),
            ]
        most = int((across.end - across.start) / 55)
        for tick in log_ticks(10**across.low, 10**across.high, most):
            x = across(math.log10(tick))
            parts += [
                element("line", x1=x, x2=x, y1=up.start, y2=up.start + 5, class_="axis"),
                element("text", f"{tick:,g}", x=x, y=up.start + 19, text_anchor="middle"),
            ]
        parts += [
            element(
                "line", x1=across.start, x2=across.end, y1=up.start, y2=up.start, class_="axis"
            ),
            element("text", self.title, x=0, y=14, class_="title"),
            element(
                "text",
                "tokens/s, encoding, log scale →",
                x=across.end,
                y=shape.height - 6,
                text_anchor="end",
                class_="title",
            ),
        ]
        return join(parts)

    def _in_words(self) -> str:
        systems = "; ".join(
            f"{name} {number:.3f}"
            + (f" at {self.speed[name]:,.0f} tokens/s" if name in self.speed else ", no speed")
            for name, number in self.quality.items()
        )
        return f"{self.title} against encoding speed. {systems}. Front: {', '.join(self.best)}."


def _around(x: float, y: float, radius: float) -> list[tuple[float, float, str]]:
    """Where a marker's label may stand, the best place first."""
    gap = radius + 5
    near = 0.7 * radius + 4
    return [
        (x + gap, y + 4, "start"),
        (x - gap, y + 4, "end"),
        (x, y - gap, "middle"),
        (x, y + gap + 10, "middle"),
        (x + near, y - near, "start"),
        (x - near, y - near, "end"),
        (x + near, y + near + 9, "start"),
        (x - near, y + near + 9, "end"),
        *((x + gap, y + 4 + step, "start") for step in (-18, 26, -32, 40)),
        *((x - gap, y + 4 + step, "end") for step in (-18, 26, -32, 40)),
    ]


def _label(
    text: str,
    places: Sequence[tuple[float, float, str]],
    taken: list[_Box],
    frame: _Box,
    kind: str | None,
) -> Markup:
    """Write a label where it covers least, and remember the place as taken."""
    width = text_width(text, _FONT)

    def box(place: tuple[float, float, str]) -> _Box:
        x, y, anchor = place
        start = x - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
        return _Box(start - 2, y - 11, start + width + 2, y + 4)

    def covered(place: tuple[float, float, str]) -> float:
        found = box(place)
        whole = (found.right - found.left) * (found.bottom - found.top)
        outside = whole - found.overlap(frame)
        return 3 * outside + sum(found.overlap(other) for other in taken)

    x, y, anchor = min(places, key=covered)
    taken.append(box((x, y, anchor)))
    return element("text", text, x=x, y=y, text_anchor=anchor, class_=kind)
