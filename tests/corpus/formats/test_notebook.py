"""Jupyter notebooks."""

import json

import pytest

from searchkit.corpus.extracted import Extracted, Heading, Unreadable


def test_cells_are_units_and_outputs_are_left_out(read, make):
    content = make.notebook("# Rain\n\nIn *May*.\n\n## Drops", "x = 1\n\ny = x\n", "", "print(y)")
    text = "# Rain\n\nIn *May*.\n\n## Drops\n\nx = 1\n\ny = x\n\nprint(y)"
    assert read("a.ipynb", json.dumps(content), "notebook") == [
        Extracted(
            text=text,
            title="Rain",
            headings=(Heading(0, 1, "Rain"), Heading(text.index("## Drops"), 2, "Drops")),
            units=(0, text.index("x = 1"), text.index("print")),
        )
    ]


def test_a_notebook_of_version_3_keeps_its_cells_in_worksheets(read):
    cells = [
        {"cell_type": "heading", "level": 2, "source": ["Rain"]},
        {"cell_type": "code", "input": "x = 1", "outputs": [{"text": "no"}]},
    ]
    content = {"nbformat": 3, "metadata": {"title": "A title"}, "worksheets": [{"cells": cells}]}
    (found,) = read("a.ipynb", json.dumps(content), "notebook")
    assert found.text == "Rain\n\nx = 1"
    assert found.title == "A title"
    assert found.headings == (Heading(0, 2, "Rain"),)


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 100_000])
def test_what_is_no_notebook_is_refused(read, content):
    with pytest.raises(Unreadable, match=r"^not "):
        read("a.ipynb", content, "notebook")


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"cells": None},
        {"cells": [None, {"cell_type": "markdown"}, {"source": 7}]},
        {"worksheets": 3},
        {"metadata": 3, "cells": [{"cell_type": "heading", "level": "x", "source": "a\nb"}]},
    ],
)
def test_a_notebook_with_parts_missing_is_read_as_far_as_it_goes(read, content):
    assert len(read("a.ipynb", json.dumps(content), "notebook")) == 1
