"""Colours for the background there is: every text on it can be read, light, dark or in between.

Where the terminal does not tell its background, its own sixteen colours are used, and as few of
them as can be: which of them can be read is only known for the default one, so what matters is said
by weight, underlining and signs. The same holds where NO_COLOR is set.
"""

import colorsys

from textual.theme import Theme

from searchkit.terminal.background import RGB

CONTRAST = 4.5  # WCAG 2.2, AA: of text that is not large

# The hues to start from; each is made lighter or darker until it can be read.
_SEEDS: dict[str, RGB] = {
    "accent": (97, 143, 240),
    "match": (229, 172, 77),
    "place": (82, 176, 174),
    "good": (126, 190, 100),
    "bad": (229, 105, 116),
}
# By what share the foreground is mixed into the background.
_SELECTED, _SELECTED_BLURRED, _PASSAGE, _RULE, _FAINT = 0.15, 0.10, 0.06, 0.30, 0.62


def theme(background: RGB | None) -> Theme:
    """The theme for a background; of the terminal's own colours where it is None."""
    return _own() if background is None else _made_for(background)


def luminance(colour: RGB) -> float:
    """Relative luminance, 0 to 1, as WCAG 2.2 defines it."""
    parts = [part / 255 for part in colour]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: RGB, other: RGB) -> float:
    """The contrast of two colours, 1 to 21, as WCAG 2.2 defines it."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def readable(seed: RGB, grounds: list[RGB], ratio: float = CONTRAST) -> RGB:
    """The colour nearest to a seed, of its hue, that stands out from every ground.

    Returns:
        It; or black or white, whichever stands out more, where no shade does.
    """
    hue, lightness, saturation = colorsys.rgb_to_hls(*(part / 255 for part in seed))
    ink = _ink(grounds)
    goal = 1.0 if ink == (255, 255, 255) else 0.0
    for step in range(41):
        shade = lightness + (goal - lightness) * step / 40
        colour = _rgb(colorsys.hls_to_rgb(hue, shade, saturation))
        if min(contrast(colour, ground) for ground in grounds) >= ratio:
            return colour
    return ink


def _made_for(background: RGB) -> Theme:
    ink = _ink([background])
    dark = ink == (255, 255, 255)
    ground = {
        "selected": _ground(background, ink, _SELECTED),
        "selected-blurred": _ground(background, ink, _SELECTED_BLURRED),
        "passage": _ground(background, ink, _PASSAGE),
    }
    grounds = [background, *ground.values()]
    colours = {name: readable(seed, grounds) for name, seed in _SEEDS.items()}
    colours |= ground
    colours["ink"] = readable(_mix(background, ink, 0.90), grounds)
    colours["faint"] = readable(_mix(background, ink, _FAINT), grounds)
    colours["rule"] = _mix(background, ink, _RULE)
    variables = {name: _hex(colour) for name, colour in colours.items()}
    variables |= {
        "match-style": "bold",
        "faint-style": "none",
        "selected-style": "none",
        "border": variables["accent"],
        "input-cursor-background": variables["ink"],
        "input-cursor-foreground": _hex(background),
        "input-selection-background": variables["selected"],
        "scrollbar": variables["rule"],
        "scrollbar-hover": variables["faint"],
        "scrollbar-active": variables["accent"],
        "scrollbar-background": _hex(background),
        "scrollbar-background-hover": _hex(background),
        "scrollbar-background-active": _hex(background),
        "scrollbar-corner-color": _hex(background),
    }
    return Theme(
        name="searchkit",
        primary=variables["accent"],
        accent=variables["accent"],
        success=variables["good"],
        error=variables["bad"],
        warning=variables["match"],
        foreground=variables["ink"],
        background=_hex(background),
        surface=_hex(background),
        panel=variables["passage"],
        dark=dark,
        variables=variables,
    )


def _own() -> Theme:
    variables = {
        "ink": "ansi_default",
        "faint": "ansi_default",
        "accent": "ansi_magenta",
        "match": "ansi_magenta",
        "place": "ansi_default",
        "good": "ansi_default",
        "bad": "ansi_default",
        "rule": "ansi_default",
        "selected": "ansi_default",
        "selected-blurred": "ansi_default",
        "passage": "ansi_default",
        "ansi-background": "ansi_default",
        "ansi-foreground": "ansi_default",
        "match-style": "bold underline",
        "faint-style": "dim",
        "selected-style": "bold",
        "border": "ansi_default",
        "border-blurred": "ansi_default",
        "input-selection-background": "ansi_default",
        "scrollbar": "ansi_default",
        "scrollbar-hover": "ansi_default",
        "scrollbar-active": "ansi_magenta",
        "scrollbar-background": "ansi_default",
        "scrollbar-background-hover": "ansi_default",
        "scrollbar-background-active": "ansi_default",
    }
    return Theme(
        name="searchkit",
        primary="ansi_magenta",
        error="ansi_default",
        warning="ansi_default",
        success="ansi_default",
        accent="ansi_magenta",
        foreground="ansi_default",
        background="ansi_default",
        surface="ansi_default",
        panel="ansi_default",
        boost="ansi_default",
        ansi=True,
        variables=variables,
    )


def _ink(grounds: list[RGB]) -> RGB:
    black, white = (0, 0, 0), (255, 255, 255)
    return max(white, black, key=lambda ink: min(contrast(ink, ground) for ground in grounds))


def _ground(background: RGB, ink: RGB, share: float) -> RGB:
    """A tint of the background: towards the ink, unless that could not be read on it."""
    tint = _mix(background, ink, share)
    if contrast(ink, tint) >= CONTRAST:
        return tint
    return _mix(background, (255 - ink[0], 255 - ink[1], 255 - ink[2]), share)


def _mix(under: RGB, over: RGB, share: float) -> RGB:
    red, green, blue = (
        round(low + (high - low) * share) for low, high in zip(under, over, strict=True)
    )
    return red, green, blue


def _rgb(parts: tuple[float, float, float]) -> RGB:
    red, green, blue = (round(255 * part) for part in parts)
    return red, green, blue


def _hex(colour: RGB) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
