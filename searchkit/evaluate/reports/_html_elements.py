"""HTML and SVG as strings that are escaped by construction, and numbers as a reader wants them."""

import html
import math
import re
import unicodedata
from collections.abc import Iterable

from searchkit.evaluate import numbers

_MANY = 500  # rows that a browser lays out before anyone notices
_VOID = frozenset({"br", "col", "hr", "input", "link", "meta", "wbr"})
_BREAKS = re.compile(r"(?<=[-_/(.:])(?=\w)")  # where a name of parts may go on in the next line

# Advance widths in Arial, in em, of the characters that are not about 0.56 wide.
_WIDTHS = (
    dict.fromkeys("ijl'|", 0.22)
    | dict.fromkeys(" .,:;!/ftI()[]-", 0.30)
    | dict.fromkeys("rs_ckvxyzJ", 0.48)
    | dict.fromkeys("ABEKPSVXYCDHNRU&FTLZ", 0.69)
    | dict.fromkeys("GOQwm", 0.78)
    | dict.fromkeys("MW@%", 0.90)
)


class Markup(str):
    """A string that is HTML already; every other string is text, and gets escaped."""

    __slots__ = ()


def element(name: str, *children: str | None, **attributes: str | float | bool | None) -> Markup:
    """An element.

    Args:
        name: of the tag.
        children: markup as it is, text escaped, None left out.
        attributes: by name, with `_` for `-` and one more behind the words of Python (`class_`).
            True is an attribute without a value; False and None are left out. Floats are rounded to
            two digits, which is a hundredth of a pixel or of a percent.

    Returns:
        The element with its closing tag, or without one where HTML has none.
    """
    opening = name + "".join(
        _attribute(key, given)
        for key, given in attributes.items()
        if given is not None and given is not False
    )
    if name in _VOID:
        return Markup(f"<{opening}>")
    return Markup(f"<{opening}>{join(children)}</{name}>")


def join(parts: Iterable[str | None], between: str = "") -> Markup:
    """Markup and text one after another; text is escaped, None is left out."""
    shown = (
        part if isinstance(part, Markup) else html.escape(part, quote=False)
        for part in parts
        if part is not None
    )
    return Markup(between.join(shown))


def breakable(name: str) -> Markup:
    """A name such as hybrid(mean-causal), which a narrow column may break at its joints."""
    # Isolated, so that a name in Hebrew or Arabic does not turn round what stands beside it.
    return element("bdi", join(_BREAKS.split(name), between="<wbr>"))


def unseen(text: str) -> Markup:
    """Text for those who listen to the page."""
    return element("span", text, class_="unseen")


def table(
    caption: str | None,
    head: Iterable[Markup],
    bodies: Iterable[Markup],
    *,
    foot: Markup | None = None,
    label: str | None = None,
    rows: int = 0,
    **attributes: str | float | bool | None,
) -> Markup:
    """A table that scrolls by itself where the page is too narrow for it.

    Args:
        caption: above the table, text or markup; None where `label` names it.
        head: rows of the head.
        bodies: whole `tbody` elements.
        foot: rows of the foot.
        label: the accessible name of the scrolled region, where it is not the caption's text.
        rows: how many it has, where that can be more than a page should show: it then scrolls up
            and down too.
        attributes: of the table.
    """
    inner = element(
        "table",
        None if caption is None else element("caption", caption),
        element("thead", *head),
        *bodies,
        None if foot is None else element("tfoot", foot),
        **attributes,
    )
    name = label or (caption if caption and not isinstance(caption, Markup) else "Table")
    # Focusable, since a keyboard scrolls only what has the focus.
    return element(
        "div",
        inner,
        class_="scroll tall many" if rows > _MANY else "scroll tall" if rows else "scroll",
        role="region",
        aria_label=name,
        tabindex=0,
    )


def fixed(number: float) -> str:
    """A measure, with a minus sign where it has one: 0.686."""
    return _minus(numbers.fixed(number))


def signed(number: float) -> str:
    """A difference with its sign: +0.031."""
    return _minus(numbers.signed(number))


def interval(low: float, high: float) -> str:
    """The interval of a difference: [−0.004, +0.054]."""
    return f"[{signed(low)}, {signed(high)}]"


def limited(number: float, shown: str) -> str:
    """What a number is shown as, or a sign where it is infinite."""
    return shown if math.isfinite(number) else "∞" if number > 0 else "−∞"


def text_width(text: str, size: float) -> float:
    """About how wide a text is in a sans-serif font of `size` pixels, in pixels."""
    return size * sum(
        1.0 if unicodedata.east_asian_width(letter) in "WF" else _WIDTHS.get(letter, 0.56)
        for letter in text
    )


def shorten(text: str, longest: int) -> str:
    """A text of at most `longest` characters; one that is cut ends in an ellipsis."""
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"


def _attribute(key: str, given: str | float | bool | None) -> str:
    key = key.removesuffix("_").replace("_", "-")
    if given is True:
        return f" {key}"
    if isinstance(given, float):
        given = f"{given:.2f}".rstrip("0").rstrip(".")
    return f' {key}="{html.escape(str(given))}"'


def _minus(number: str) -> str:
    return number.replace("-", "−")
