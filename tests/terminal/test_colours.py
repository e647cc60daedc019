"""Every text can be read on every background there may be."""

import pytest

from searchkit.terminal.colours import CONTRAST, contrast, luminance, readable, theme

BACKGROUNDS = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "solarized dark": (0, 43, 54),
    "solarized light": (253, 246, 227),
    "gruvbox": (40, 40, 40),
    "nord": (46, 52, 64),
    "ubuntu": (48, 10, 36),
    "blue": (0, 0, 170),
    "grey": (119, 119, 119),
}
GROUNDS = ("selected", "selected-blurred", "passage")
INKS = ("ink", "faint", "accent", "match", "place", "good", "bad")


def rgb(code):
    return tuple(bytes.fromhex(code.removeprefix("#")))


def test_contrast_is_that_of_wcag():
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((118, 118, 118), (255, 255, 255)) == pytest.approx(4.54, abs=0.005)
    assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("name", BACKGROUNDS)
def test_every_text_stands_out_selected_or_not(name):
    background = BACKGROUNDS[name]
    variables = theme(background).variables
    for ground in (background, *(rgb(variables[one]) for one in GROUNDS)):
        for ink in INKS:
            assert contrast(rgb(variables[ink]), ground) >= CONTRAST, (ink, ground)


@pytest.mark.parametrize("name", BACKGROUNDS)
def test_the_background_stays_the_terminals_own(name):
    made = theme(BACKGROUNDS[name])
    assert rgb(made.background) == BACKGROUNDS[name]
    assert made.dark == (luminance(BACKGROUNDS[name]) < 0.18)


def test_the_selection_can_be_told_from_the_rest():
    for background in BACKGROUNDS.values():
        assert contrast(rgb(theme(background).variables["selected"]), background) > 1.2


def test_a_seed_that_can_be_read_stays_as_it_is():
    assert readable((229, 172, 77), [(0, 0, 0)]) == (229, 172, 77)


def test_where_the_background_is_not_known_only_the_terminals_own_colours_are_used():
    made = theme(None)
    assert made.ansi
    colours = {v for v in made.variables.values() if v.startswith(("#", "ansi", "rgb"))}
    assert colours == {"ansi_default", "ansi_magenta"}
