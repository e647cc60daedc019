"""reStructuredText: titles of sections."""

from searchkit.corpus.extracted import Heading

TEXT = """\
====
Rain
====

Text.

May
---

::

    Not a title
    -----------

a paragraph
of two lines
------------

A transition:

----

梅雨
~~~~

June
----

too short a line
---

.. note:: x
   y
Again
=====
"""


def test_adornments_have_levels_in_the_order_in_which_they_are_met(read):
    (found,) = read("a.rst", TEXT, "rst")
    assert found.text == TEXT
    assert found.verbatim
    assert found.title == "Rain"
    assert found.headings == tuple(
        Heading(TEXT.index(f"\n{line}\n") + 1, level, line)
        for line, level in [("Rain", 1), ("May", 2), ("梅雨", 3), ("June", 2), ("Again", 4)]
    )


def test_a_short_underline_must_have_four_characters_or_be_as_long(read):
    (found,) = read("a.rst", "Now\n===\n\nA long title\n----\n\nAnother long one\n---\n", "rst")
    assert [one.text for one in found.headings] == ["Now", "A long title"]
