"""Markdown: what is a heading, what only looks like one, and front matter."""

import pytest

from searchkit.corpus.extracted import Heading

LOOKALIKES = """\
# One #

```sh
# in a fence
```

~~~
Setext in a fence
===
~~~

<!--
# in a comment
-->

    # indented code

- # in a list
  # in an item

> # quoted

#no space
\\# escaped

####### seven

paragraph
---
## Two ##
text
***
Three `code`
over two lines
===

| a | b |
|---|---|
"""


def test_headings_are_those_of_commonmark(read):
    (found,) = read("a.md", LOOKALIKES, "markdown")
    assert found.text == LOOKALIKES
    assert found.verbatim
    shown = [
        (found.text[one.start :].split("\n")[0], one.level, one.text) for one in found.headings
    ]
    assert shown == [
        ("# One #", 1, "One"),
        ("paragraph", 2, "paragraph"),
        ("## Two ##", 2, "Two"),
        ("Three `code`", 1, "Three `code` over two lines"),
    ]


@pytest.mark.parametrize(
    ("line", "heading"),
    [
        ("# [Rain](rain.md) in **May** {#rain}", "Rain in May"),
        ('# <a id="x"></a>Rain ![drop](drop.png)', "Rain drop"),
        ("# snake_case and 2 * 3 * 4", "snake_case and 2 * 3 * 4"),
    ],
)
def test_a_heading_is_told_without_links_and_anchors(read, line, heading):
    (found,) = read("a.md", line, "markdown")
    assert found.headings == (Heading(0, 1, heading),)


@pytest.mark.parametrize(
    ("text", "title", "headings"),
    [
        ("---\ntitle: 'Rain: a story'\ntags: [x]\n---\n# May\n", "Rain: a story", [(41, "May")]),
        ('---\n# a comment\ntitle: "Rain"\n...\nMay\n---\n', "Rain", [(34, "May")]),
        ("+++\ntitle = 'Rain'\n+++\n# May", "Rain", [(23, "May")]),
        ("+++\nno TOML\n+++\n# May", "May", [(16, "May")]),
        ("---\ntitle: >\n---\n# May", "May", [(17, "May")]),
        ("---\n\ntitle: x\n\n---\n\n# May", "May", [(20, "May")]),  # two rules
        ("---\nkey: x\n# May", "May", [(11, "May")]),  # never closed
        ("# May\n## 1\n## 2", "May", [(0, "May"), (6, "1"), (11, "2")]),
        ("# May\n# June", "", [(0, "May"), (6, "June")]),
        ("## May\n### 1", "May", [(0, "May"), (7, "1")]),
        ("no heading", "", []),
    ],
)
def test_the_title_is_in_front_matter_or_heads_all_headings(read, text, title, headings):
    (found,) = read("a.md", text, "markdown")
    assert found.title == title
    assert [(one.start, one.text) for one in found.headings] == headings
    assert found.text == text


def test_lines_that_windows_ended_keep_their_headings_in_place(read):
    (found,) = read("a.md", "text\r\n\r\n# Ünï\r\n", "markdown")
    assert found.text == "text\n\n# Ünï\n"
    assert found.headings == (Heading(6, 1, "Ünï"),)
