"""What is shown of a document, and where."""

from dataclasses import replace

import pytest

from searchkit.search.source import Result
from searchkit.terminal import preview
from searchkit.terminal.preview import excerpt


@pytest.fixture
def find(shelf):
    return lambda query: shelf.results(query, {"BM25": shelf.words(query)}, 1)[0]


def test_the_passage_and_the_words_are_marked_in_the_whole_document(shelf, find):
    found = excerpt(shelf, "distilled water", find("distilled water"))
    assert found.text == shelf.files["lab/autoclave.md"][1]
    assert found.text[slice(*found.passage)].startswith("Fill the tank with distilled water.")
    assert [found.text[a:b] for a, b in found.marks] == ["distilled", "water", "water"]
    assert (found.before, found.after) == (False, False)


def test_of_a_long_document_the_surroundings_are_shown_from_the_beginning_of_a_line(shelf):
    lines = [f"line {number:04}\n" for number in range(10_000)]
    shelf.files["long.txt"] = ("", "".join(lines))
    start = 5000 * len(lines[0])
    result = Result(
        key="long.txt", rank=1, score=1.0, doc_id="long.txt", start=start, text=lines[5000]
    )
    found = excerpt(shelf, "line", result)
    assert (found.before, found.after) == (True, True)
    assert found.text[slice(*found.passage)] == "line 5000\n"
    assert found.text.startswith("line ")
    assert 2 * preview.AROUND - 20 <= len(found.text) <= 2 * preview.AROUND + 20


def test_a_document_that_was_changed_since_is_shown_at_the_same_words(shelf, find):
    result = find("distilled water")
    title, text = shelf.files["lab/autoclave.md"]
    shelf.files["lab/autoclave.md"] = (title, "New.\n\n" + text)
    found = excerpt(shelf, "distilled water", result)
    assert found.text[slice(*found.passage)] == result.text
    shelf.files["lab/autoclave.md"] = (title, "Something else.")
    found = excerpt(shelf, "distilled water", result)
    assert found.text == result.text


def test_the_best_stretch_moves_with_tabs(shelf):
    shelf.files["tabs.py"] = ("", "def f():\n\treturn 1\n")
    result = Result(
        key="t", rank=1, score=1.0, doc_id="tabs.py", text="\treturn 1\n", start=9, best=(1, 9)
    )
    found = excerpt(shelf, "return", result)
    assert found.text[slice(*found.best)] == "return 1"
    assert found.text[slice(*found.passage)] == "    return 1\n"
    assert excerpt(shelf, "return", replace(result, best=(0, 0))).best == (9, 9)
