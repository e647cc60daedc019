"""An index of folders as the view searches it."""

from pathlib import Path

import pytest

from searchkit.encode.variant import parse
from searchkit.errors import BadInput, UnknownName
from searchkit.index.live.query import Filters
from searchkit.search.judging import Ledger
from searchkit.search.live.retrieve import Searcher, open_searcher
from searchkit.search.live.sync import Plan, sync
from searchkit.search.source import Filter, System, open_source
from searchkit.terminal.grades import Grades
from searchkit.terminal.preview import excerpt

FILES = {
    "lab/autoclave.md": "# Autoclave\n\n## After the run\n\nClean the chamber.\n\n"
    "Use distilled water for it.\n",
    "boats/ferry.txt": "The ferry leaves two hours before high water.\n",
    "my notes/radio.md": "# Radio\n\nChannel eight is kept free for emergencies at sea.\n",
}


@pytest.fixture
def notes(tmp_path, tiny_model) -> Path:
    folder = tmp_path / "files"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    base = str(tiny_model("llama"))
    variant = parse("mean-causal", base=base, max_tokens=24)
    path = tmp_path / "notes"
    sync(path, (folder,), Plan(variants=(variant,), base=base, dtype="float32", workers=1))
    return path


def test_a_passage_has_its_file_its_line_and_its_headings(notes):
    source = open_source(notes)
    (result,) = source.results("distilled", {"BM25": source.words("distilled", 200)}, 10)
    assert result.path == str(notes.parent / "files" / "lab/autoclave.md")
    text = FILES["lab/autoclave.md"]
    assert text.splitlines()[result.line - 1].startswith("Use distilled water")
    assert result.place == f"lab/autoclave.md:{result.line}"
    assert result.trail == ["Autoclave", "After the run"]
    assert [result.text[a:b] for a, b in result.marks] == ["distilled"]
    shown = excerpt(source, "distilled", result)
    assert "Clean the chamber." in shown.text
    assert shown.text[slice(*shown.passage)] == result.text
    assert [shown.text[a:b] for a, b in shown.marks] == ["distilled"]


def test_the_passages_of_one_document_come_in_its_order(notes):
    folder = notes.parent / "files"
    care = "## Part {n}\n\n" + "Rinse the chamber with care. " * 60 + "\n\n"
    text = "# Care\n\n" + "".join(care.format(n=n) for n in range(4)) + "## End\n\nThe end.\n"
    for name in ("care[1]*.md", "care[1]x.md"):  # the name of one is a pattern of the other
        (folder / name).write_text(text)
    sync(notes, (), Plan(workers=1, encode=False))
    source = open_source(notes)
    found = source.passages("rinse", "care[1]*.md")
    assert len(found) >= 4
    assert {one.doc_id for one in found} == {"care[1]*.md"}
    assert [one.start for one in found] == sorted({one.start for one in found})
    assert [one.rank for one in found] == list(range(1, len(found) + 1))
    whole = source.text("care[1]*.md")
    for one in found:
        assert whole[one.start :].startswith(one.text)
        assert text.splitlines()[one.line - 1].startswith("Rinse")
        assert one.headings[-1].startswith("Part")
        assert {one.text[a:b].lower() for a, b in one.marks} == {"rinse"}
    assert [one.headings[-1] for one in source.passages("en", "care[1]*.md")] == ["End"]
    assert source.passages("zebra", "care[1]*.md") == []
    headed = source.passages("part", "care[1]*.md")  # it stands above the others, too
    assert ["## Part" in one.text for one in headed] == [True] * 4
    assert len(found) > len(headed)
    assert not source.whole


def test_a_text_is_put_together_once_while_it_is_read(notes, monkeypatch):
    made = []
    document_text = Searcher.document_text
    monkeypatch.setattr(
        Searcher,
        "document_text",
        lambda searcher, doc_id: made.append(doc_id) or document_text(searcher, doc_id),
    )
    source = open_source(notes)
    ferry, care = "boats/ferry.txt", "lab/autoclave.md"
    texts = [source.text(doc_id) for doc_id in (ferry, ferry, care, care, ferry)]
    assert texts[0] == texts[1] == texts[4] == FILES[ferry].rstrip("\n")
    assert texts[2] == texts[3] != texts[0]
    assert made == [ferry, care, ferry]
    (notes.parent / "files" / ferry).write_text("The ferry was sold.\n")
    sync(notes, (), Plan(workers=1, encode=False))
    source.refresh()
    assert source.text(ferry) == "The ferry was sold."


def test_rankings_are_those_of_the_searcher(notes):
    source, searcher = open_source(notes), open_searcher(notes)
    words, dense = source.words("sea water", 200), source.dense("sea water", "mean-causal", 200)
    results = source.results("sea water", {"BM25": words, "mean-causal": dense}, 10)
    expected = searcher.search("sea water", mode="hybrid", variant="mean-causal")
    assert [(one.doc_id, one.score) for one in results] == [
        (passage.doc_id, passage.score) for passage in expected
    ]
    assert {name for name, _, _ in results[0].lists} == {"bm25", "mean-causal"}
    assert source.encoders == ("mean-causal",)
    assert source.documents == 3


def test_a_word_that_is_being_typed_finds_what_begins_so(notes):
    source = open_source(notes)
    results = source.results("disti", {"BM25": source.words("disti", 200)}, 10)
    assert [one.doc_id for one in results] == ["lab/autoclave.md"]
    assert source.words('"open', 200).found == source.words("open", 200).found == ()


def test_filters_are_offered_with_what_they_leave(notes):
    inner = notes.parent / "files" / "boats" / "lab" / "deck.md"
    inner.parent.mkdir()
    inner.write_text("The deck is scrubbed.\n")
    sync(notes, (), Plan(workers=1, encode=False))
    source = open_source(notes)
    offered = source.filters()
    assert Filter("format:markdown", "3 documents") in offered
    assert Filter('path:"/my notes"', "1 document") in offered
    assert "after:" in [one.text for one in offered]
    for one in offered:
        if one.text.startswith("path:"):
            assert one.note.split()[0] == str(len(source.words(one.text, 200).found))
    (result,) = source.results("f", {"BM25": source.words('path:"my notes" channel', 200)}, 10)
    assert result.doc_id == "my notes/radio.md"
    assert source.need('path:"my notes" channel -x') == "channel"


def test_what_cannot_be_read_is_told_of_a_whole_query_alone(notes):
    source = open_source(notes)
    assert source.complaint("ferry before:yesterday")
    assert source.complaint("ferry before:2024-05") == ""


def test_what_was_committed_meanwhile_is_found_after_a_refresh(notes):
    source = open_source(notes)
    assert source.words("zebra", 200).found == ()
    assert not source.refresh()
    (notes.parent / "files" / "new.md").write_text("A zebra.\n")
    sync(notes, (), Plan(workers=1, encode=False))
    assert source.words("zebra", 200).found == ()
    assert source.refresh()
    assert source.documents == 4
    assert [one.doc_id for one in source.results("", {"": source.words("zebra", 200)}, 5)] == [
        "new.md"
    ]


def test_notes_of_a_search_reach_the_view(notes):
    (notes.parent / "files" / "new.md").write_text("A zebra.\n")
    sync(notes, (), Plan(workers=1, encode=False))
    source = open_source(notes)
    source.dense("zebra", "mean-causal", 200)
    assert "not encoded by mean-causal yet" in source.notes.popleft()


def test_the_default_of_one_untrained_encoder_is_words(notes):
    assert open_source(notes).default == System("bm25")


def test_what_is_judged_is_kept_as_the_words_that_a_query_asks_for(notes, tmp_path):
    """Without its operators, what is left of a query may look as if it had others."""
    ledger = Ledger(tmp_path / "notes.jsonl")
    grades = Grades(open_source(notes), ledger)
    grades.add('"distilled -water" path:lab/', "lab/autoclave.md", 1)
    grades.add("high water", "boats/ferry.txt", 1)
    found = [(entry.query, entry.literal) for entry in ledger.read().entries]
    assert found == [("distilled -water", True), ("high water", False)]
    ledger.add("distilled -water", "lab/autoclave.md", 0)  # another query: it excludes
    again = Grades(open_source(notes), ledger)
    again.read()
    assert again.of('"distilled -water"') == {"lab/autoclave.md": 1}


def test_a_search_is_what_the_searcher_finds_and_knows_operators_unless_it_is_literal(notes):
    source = open_source(notes)
    (found,) = source.find("-ferry +sea", 10)
    assert found.place.startswith("my notes/radio.md")
    assert {one.doc_id for one in source.find("-ferry +sea", 10, literal=True, mode="bm25")} == {
        "boats/ferry.txt",
        "my notes/radio.md",
    }
    expected = open_searcher(notes).search("water", 5, mode="hybrid")
    found = source.find("water", 5, mode="hybrid")
    assert [(one.doc_id, one.score) for one in found] == [(p.doc_id, p.score) for p in expected]
    assert source.find("water", 5, filters=Filters(format=("plain",)), mode="bm25")[0].rank == 1
    for literal in (True, False):
        with pytest.raises(BadInput, match="the query is empty"):
            source.find(" ", 5, literal=literal)


def test_documents_are_listed_and_told_of(notes):
    source = open_source(notes)
    assert source.doc_ids() == ["boats/ferry.txt", "lab/autoclave.md", "my notes/radio.md"]
    about = source.about("my notes/radio.md")
    assert (about.title, about.format) == ("Radio", "markdown")
    assert Path(about.path).read_text() == FILES["my notes/radio.md"]
    with pytest.raises(UnknownName):
        source.about("elsewhere.md")
