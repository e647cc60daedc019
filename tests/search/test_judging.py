"""Judgements: what a person types, the ledger that keeps it, and the collection made of it."""

import contextlib
import fcntl
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchkit.corpus.collection import open_collection
from searchkit.errors import BadInput
from searchkit.index.live import query as language
from searchkit.records import Document, Hit, Judgement
from searchkit.search.judging import (
    LITERAL,
    Entry,
    Ledger,
    as_collection,
    ask,
    asked,
    ledger_of,
    parse,
)

HITS = [Hit("ferry", 2.5, 1), Hit("tide", 1.5, 2), Hit("sheep", 0.5, 3)]
DOCUMENTS = [
    Document("ferry", "Ferry", "On Sundays the ferry does not run."),
    Document("tide", "", "Two hours before\nhigh water."),
    Document("sheep", "Sheep", "They graze all winter."),
]


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "judgements" / "toy.jsonl")


# What is typed


@pytest.mark.parametrize(
    ("answer", "judged"),
    [
        ("", []),
        ("  ", []),
        ("1 3", [("ferry", 1), ("sheep", 1)]),
        ("3,1", [("sheep", 1), ("ferry", 1)]),
        ("2:2", [("tide", 2)]),
        (" 1:0  2  3:9 ", [("ferry", 0), ("tide", 1), ("sheep", 9)]),
        ("0", [("ferry", 0), ("tide", 0), ("sheep", 0)]),
        (" None ", [("ferry", 0), ("tide", 0), ("sheep", 0)]),
        ("１", [("ferry", 1)]),  # as an input method for Japanese types it
    ],
)
def test_an_answer_is_read(answer, judged):
    assert parse(answer, HITS) == judged


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("4", "no document was shown at rank 4, only at 1 to 3"),
        ("0 3", "no document was shown at rank 0, only at 1 to 3"),
        ("yes", "'yes' is not a rank; type ranks as in 1 3"),
        ("none 1", "'none' is not a rank"),
        ("-1", "'-1' is not a rank"),
        ("1:", "'1:' is not a rank"),
        ("1:2:3", "'1:2:3' is not a rank"),
        ("²", "'²' is not a rank"),
        ("9" * 5000, "is not a rank"),
        ("1:10", "'1:10' has grade 10; a grade is 0 to 9"),
        ("1 1:2", "rank 1 is judged twice in '1 1:2'"),
    ],
)
def test_an_answer_that_cannot_be_read_says_why(answer, said):
    with pytest.raises(BadInput) as caught:
        parse(answer, HITS)
    assert said in str(caught.value)


@given(st.text())
def test_any_answer_judges_what_was_shown_or_is_refused(answer):
    try:
        judged = parse(answer, HITS)
    except BadInput:
        return
    assert {doc_id for doc_id, _ in judged} <= {hit.doc_id for hit in HITS}
    assert len({doc_id for doc_id, _ in judged}) == len(judged)


def test_ranks_are_those_that_were_shown():
    """A second page begins at rank 11."""
    assert parse("11", [Hit("a", 2.0, 11), Hit("b", 1.0, 12)]) == [("a", 1)]


def test_nothing_can_be_judged_where_nothing_was_found():
    assert parse("0", []) == parse("", []) == []
    with pytest.raises(BadInput, match="'1' judges what was not shown: nothing was found"):
        parse("1", [])


def test_a_question_is_asked_until_it_is_answered():
    prompts = []
    answers = iter(["7", "what?", "2"])

    def read(prompt):
        prompts.append(prompt)
        return next(answers)

    assert ask(HITS, read) == [("tide", 1)]
    assert prompts[0].startswith("relevant (ranks as in 1 3, with grades as in 2:2, 0 if none")
    assert prompts[1].startswith("no document was shown at rank 7")
    assert prompts[2].startswith("'what?' is not a rank")


def test_the_end_of_the_input_judges_nothing():
    def ended(prompt):
        raise EOFError

    assert ask(HITS, ended) == []


def test_nothing_is_asked_about_nothing():
    assert ask([], lambda prompt: pytest.fail("asked")) == []


# The ledger


def test_a_ledger_is_where_its_index_says(home):
    assert ledger_of("handbook").path == home / "judgements" / "handbook.jsonl"
    assert not (home / "judgements").exists()
    for name in ("../x", "a/b", "", ".", ".hidden"):
        with pytest.raises(BadInput, match="cannot name a ledger"):
            ledger_of(name)


def test_judgements_come_back_and_later_ones_win(ledger):
    ledger.add("when does it run", "ferry", 1)
    ledger.add("high  water ", "tide", 2, datetime(2025, 3, 1, 12, 0, 0, 999, UTC))
    ledger.add("when does it run", "sheep", 0)
    ledger.add(" when\ndoes it run", "ferry", 0)
    read = ledger.read()
    assert read.entries == (
        Entry("when does it run", "ferry", 0),
        Entry("high water", "tide", 2, "2025-03-01T12:00:00+00:00"),
        Entry("when does it run", "sheep", 0),
    )
    assert read.notes == ()


def test_the_file_is_json_lines_that_are_only_added_to(ledger):
    ledger.add("Fähre", "ferry", 1)
    first = ledger.path.read_bytes()
    assert first == '{"query": "Fähre", "doc_id": "ferry", "grade": 1}\n'.encode()
    ledger.add("Fähre", "ferry", 0)
    assert ledger.path.read_bytes() == first + first.replace(b"1", b"0")


def test_no_file_is_no_judgement(ledger):
    assert ledger.read().entries == ledger.read().notes == ()
    assert not ledger.path.parent.exists()


@pytest.mark.parametrize(
    ("query", "doc_id", "grade", "said"),
    [
        (" ", "ferry", 1, "'query' is ''; it must be a string that is not empty"),
        ("q", "", 1, "'doc_id' is ''; it must be"),
        ("q\ud83d", "ferry", 1, "'query' holds half a surrogate pair"),
        ("q", "ferry", -1, "'grade' is -1; it must be an integer from 0 to 9"),
        ("q", "ferry", 10, "'grade' is 10"),
        ("q", "ferry", True, "'grade' is True"),
        ("q", "ferry", 1.0, "'grade' is 1.0"),
    ],
)
def test_what_is_no_judgement_is_not_noted(query, doc_id, grade, said, ledger):
    with pytest.raises(BadInput) as caught:
        ledger.add(query, doc_id, grade)
    assert said in str(caught.value)
    assert not ledger.path.exists()


WHOLE = '{"query": "Fähre", "doc_id": "ferry", "grade": 1}\n'.encode()
LAST = '{"query": "Gezeiten, später", "doc_id": "tide", "grade": 2}\n'.encode()


@pytest.mark.parametrize("cut", range(1, len(LAST) + 1))
def test_a_last_line_that_was_cut_anywhere_costs_that_line_alone(cut, ledger):
    ledger.path.parent.mkdir()
    ledger.path.write_bytes(WHOLE + LAST[:-cut])
    read = ledger.read()
    first, last = Entry("Fähre", "ferry", 1), Entry("Gezeiten, später", "tide", 2)
    if cut == 1:  # only the line end is missing
        assert (read.entries, read.notes) == ((first, last), ())
    elif cut == len(LAST):
        assert (read.entries, read.notes) == ((first,), ())
    else:
        assert read.entries == (first,)
        assert read.notes == (
            f"{ledger.path}:2: the last line was cut short and is left out; judge it again",
        )
    ledger.add("after", "sheep", 0)
    kept = [first, last] if cut == 1 else [first]
    assert ledger.read().entries == (*kept, Entry("after", "sheep", 0))
    assert ledger.read().notes == ()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"query": "q", "do', 'found \'{"query": "q", "do\'; a judgement is a line such as'),
        (b"[1]", "found '[1]'; a judgement"),
        (b'{"query": "caf\xe9", "doc_id": "a", "grade": 1}', "a judgement is a line such as"),
        (b"[" * 100_000, "a judgement is a line such as"),
        (b'{"query": "q", "grade": 1}', "'doc_id' is None; it must be a string"),
        (b'{"query": "q", "doc_id": "a", "grade": "1"}', "'grade' is '1'; it must be an integer"),
        (b'{"query": "q", "doc_id": "a", "grade": 1, "when": 7}', "'when' is 7; it must be a time"),
        (b'{"query": "q", "doc_id": "a", "grade": 1, "literal": 1}', "'literal' is 1; it must be"),
    ],
)
def test_any_other_line_that_is_wrong_is_named(line, said, ledger):
    ledger.path.parent.mkdir()
    ledger.path.write_bytes(WHOLE + b"\n" + line + b"\n" + LAST)
    with pytest.raises(BadInput) as caught:
        ledger.read()
    assert f"{ledger.path}:3: " in str(caught.value)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_lines_written_by_hand_may_be_spaced(ledger):
    ledger.path.parent.mkdir()
    ledger.path.write_text('{"grade":1,"doc_id":"a","query":" two  words "}\r\n\n')
    assert ledger.read().entries == (Entry("two words", "a", 1),)


def test_processes_can_add_at_once(ledger):
    script = (
        "import sys; from pathlib import Path; from searchkit.search.judging import Ledger\n"
        "for number in range(40):\n"
        "    Ledger(Path(sys.argv[1])).add(f'{sys.argv[2]} {number}', 'ferry', 1)"
    )
    names = ("one", "two", "three")
    started = [
        subprocess.Popen([sys.executable, "-c", script, str(ledger.path), name]) for name in names
    ]
    assert [process.wait() for process in started] == [0, 0, 0]
    found = {entry.query for entry in ledger.read().entries}
    assert found == {f"{name} {number}" for name in names for number in range(40)}


def test_who_adds_waits_for_who_is_adding(ledger):
    """A line that is being written must not be taken for one that was cut short."""
    ledger.add("one", "ferry", 1)
    adding = threading.Thread(target=ledger.add, args=("two", "tide", 1))
    with ledger.path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(WHOLE[:9])
        file.flush()
        adding.start()
        adding.join(0.2)
        assert adding.is_alive()
        file.write(WHOLE[9:])
    adding.join()
    assert [entry.query for entry in ledger.read().entries] == ["one", "Fähre", "two"]


# The collection


def test_a_ledger_becomes_a_collection_of_the_index(ledger, tmp_path):
    for query, doc_id, grade in (
        ("when does it run", "ferry", 2),
        ("high water", "tide", 1),
        ("when does it run", "sheep", 0),
        ("gone", "whale", 1),
        ("high water", "whale", 1),
    ):
        ledger.add(query, doc_id, grade)
    made = as_collection(ledger, DOCUMENTS, tmp_path / "toy-judged")
    assert made.queries == 2
    assert made.notes == ("judgements of documents that are gone from the index: 2; left out",)
    collection = open_collection(made.folder)
    assert collection.name == "toy-judged"
    assert list(collection.documents()) == DOCUMENTS
    assert [query.text for query in collection.queries] == ["when does it run", "high water"]
    run, water = (query.query_id for query in collection.queries)
    assert collection.judgements == (
        Judgement(run, "ferry", 2),
        Judgement(water, "tide", 1),
        Judgement(run, "sheep", 0),
    )
    assert collection.notes == ()


def test_it_follows_the_ledger_and_a_query_keeps_its_id(ledger, tmp_path):
    ledger.add("one", "ferry", 1)
    first = open_collection(as_collection(ledger, DOCUMENTS, tmp_path / "judged").folder)
    ledger.add("one", "ferry", 0)
    ledger.add("two", "tide", 1)
    second = open_collection(as_collection(ledger, DOCUMENTS, tmp_path / "judged").folder)
    assert second.queries[0] == first.queries[0]
    assert [one.grade for one in second.judgements] == [0, 1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["judged", "judgements"]


def test_notes_name_the_torn_line_and_odd_ids(ledger, tmp_path):
    odd = Document("a\tb", "", "text")
    ledger.add("one", "ferry", 1)
    ledger.add("one", odd.doc_id, 1)
    with ledger.path.open("a") as file:
        file.write('{"query"')
    made = as_collection(ledger, [*DOCUMENTS, odd], tmp_path / "judged")
    assert len(made.notes) == 2
    assert made.notes[0].startswith(f"{ledger.path}:3: the last line was cut short")
    assert made.notes[1] == (
        "judgements of documents whose ids hold tabs or line ends, which qrels cannot: 1; left out"
    )
    assert len(open_collection(made.folder).judgements) == 1


def test_a_ledger_without_judgements_of_the_index_says_what_to_do(ledger, tmp_path):
    said = r"toy.jsonl has no judgements .* \(0 of others\); collect some with: searchkit search"
    with pytest.raises(BadInput, match=said):
        as_collection(ledger, DOCUMENTS, tmp_path / "judged")
    ledger.add("one", "whale", 1)
    with pytest.raises(BadInput, match=r"\(1 of others\)"):
        as_collection(ledger, DOCUMENTS, tmp_path / "judged")
    assert not (tmp_path / "judged").exists()


@pytest.mark.parametrize("text", ["path: home cake", "a -yeast b", '"open', "x* y~", "after:2024"])
def test_a_literal_text_is_asked_as_its_words(text, ledger, tmp_path):
    ledger.add(text, "ferry", 1, literal=True)
    ledger.add(text, "ferry", 0)
    read = ledger.read().entries
    assert read == (Entry(text, "ferry", 1, literal=True), Entry(text, "ferry", 0))
    made = as_collection(ledger, DOCUMENTS, tmp_path / "judged")
    literal, typed = open_collection(made.folder).queries
    assert literal.query_id != typed.query_id and literal.text == typed.text == text
    assert (dict(literal.metadata), dict(typed.metadata)) == (
        {"kind": "judged", LITERAL: "true"},
        {"kind": "judged"},
    )
    assert asked(text, literal=True) == language.plain(text)
    with contextlib.suppress(BadInput):
        assert asked(text, literal=False) == language.parse(text) != language.plain(text)


def test_what_cannot_be_read_is_asked_as_its_words():
    for text in ("path: home cake", '"open', "-only -not"):
        with pytest.raises(BadInput):
            language.parse(text)
        assert asked(text, literal=False) == language.plain(text)


def test_plain_words_are_one_query_whoever_judged_for_them(ledger, tmp_path):
    ledger.add("when does it run?", "ferry", 1, literal=True)
    ledger.add("when does it run?", "ferry", 2)
    assert ledger.read().entries == (Entry("when does it run?", "ferry", 2),)
    assert LITERAL not in ledger.path.read_text()
