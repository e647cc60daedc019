"""Live BM25 against the formula, plain dictionaries and the BM25 of evaluations."""

import gzip
import hashlib
import json
import math
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import ir_measures
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import nDCG

from searchkit.errors import BadInput, CorruptFile, SearchkitError
from searchkit.index.live import words
from searchkit.index.live.query import (
    Clause,
    Filters,
    Fuzzy,
    Phrase,
    Prefix,
    Query,
    Word,
    parse,
    plain,
)
from searchkit.index.live.words import WordIndex
from searchkit.index.text import bm25

DATA = Path(__file__).parents[4] / "shared/data"


def add(writer, chunk_id, text="", **fields):
    given = {"path": "a.md", "context": "", "format": "md", "language": "en", "modified_s": 0}
    writer.add(chunk_id, text=text, **(given | fields))


def made(folder, texts, **fields):
    """An index of texts by chunk_id, or in the order of a list, opened."""
    folder.mkdir(exist_ok=True)
    words.create(folder)
    with words.writing(folder) as writer:
        for chunk_id, text in texts.items() if isinstance(texts, dict) else enumerate(texts):
            add(writer, chunk_id, text, **fields)
    return WordIndex.open(folder)


def found(index, query, k=1000, **more):
    return [chunk_id for chunk_id, _ in index.search(parse(query), k, **more)]


def state(folder):
    """What the files of a folder are and hold."""
    return {
        path.name: (path.stat().st_ino, hashlib.blake2b(path.read_bytes()).hexdigest())
        for path in folder.iterdir()
    }


def threads():
    """The names of this process's threads, tantivy's included."""
    names = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # it may end meanwhile
            names.append((task / "comm").read_text(encoding="ascii"))
    return names


# Scores


def formula(documents, query, rounded=lambda length: length):
    """The score of each document: k1 1.2, b 0.75, and the constant k1 + 1 that Lucene dropped."""
    mean = sum(map(len, documents)) / len(documents)
    scores = []
    for document in documents:
        counts, score = Counter(document), 0.0
        for term in query:
            df = sum(term in other for other in documents)
            idf = math.log(1 + (len(documents) - df + 0.5) / (df + 0.5))
            norm = 1.2 * (1 - 0.75 + 0.75 * rounded(len(document)) / mean)
            score += idf * 2.2 * counts[term] / (counts[term] + norm)
        scores.append(score)
    return scores


VOCABULARY = ["ab", "cd", "ef", "gh", "ij"]  # nothing to stem, and no stop words


@settings(max_examples=15)
@given(
    documents=st.lists(st.lists(st.sampled_from(VOCABULARY), max_size=20), min_size=1, max_size=9),
    query=st.lists(st.sampled_from([*VOCABULARY, "zz"]), min_size=1, max_size=4),
)
def test_scores_are_those_of_the_formula(documents, query, tmp_path_factory):
    index = made(tmp_path_factory.mktemp("index"), [" ".join(document) for document in documents])
    expected = formula(documents, query) if any(documents) else []
    ranking = index.search(plain(" ".join(query)), 100)
    assert {chunk_id for chunk_id, _ in ranking} == {
        chunk_id for chunk_id, score in enumerate(expected) if score
    }
    for chunk_id, score in ranking:  # tantivy adds 32-bit floats
        assert score == pytest.approx(expected[chunk_id], rel=1e-5)
    assert ranking == sorted(ranking, key=lambda one: (-one[1], one[0]))


def test_long_texts_are_scored_as_somewhat_shorter(tmp_path):
    """One byte holds a length: all up to 40, then 8 steps between a power of two and the next."""

    def rounded(length):
        steps = [
            *range(40),
            *(24 + (8 + step) * 2**power for power in range(1, 9) for step in range(8)),
        ]
        return max(step for step in steps if step <= length)

    lengths = [3, 39, 40, 41, 55, 59, 95, 100, 151, 700]
    documents = [["ab", *["cd"] * (length - 1)] for length in lengths]
    index = made(tmp_path / "index", [" ".join(document) for document in documents])
    expected = formula(documents, ["ab"], rounded)
    exact = formula(documents, ["ab"])
    for chunk_id, score in index.search(plain("ab"), 100):
        assert score == pytest.approx(expected[chunk_id], rel=1e-5)
        assert exact[chunk_id] - 1e-6 <= score <= exact[chunk_id] * 9 / 8


def test_words_of_the_context_count_twice(tmp_path):
    folder = tmp_path / "index"
    folder.mkdir()
    words.create(folder)
    with words.writing(folder) as writer:
        add(writer, 1, "cd ef", context="ab")
        add(writer, 2, "ab ab cd ef")
    scores = dict(WordIndex.open(folder).search(plain("ab"), 5))
    assert scores[1] == scores[2]


@pytest.mark.parametrize(("name", "within"), [("cacm", 0.01), ("cranfield", 0.01)])
def test_collections_score_as_with_the_evaluations_bm25(name, within, tmp_path):
    if not DATA.is_dir():
        pytest.skip(f"the collections are not at {DATA}")
    with gzip.open(DATA / name / "corpus.jsonl.gz", "rt", encoding="utf-8") as file:
        documents = [json.loads(line) for line in file]
    with gzip.open(DATA / name / "queries.jsonl.gz", "rt", encoding="utf-8") as file:
        queries = {query["_id"]: query["text"] for query in map(json.loads, file)}
    judged = (DATA / name / "qrels/test.tsv").read_text(encoding="utf-8").splitlines()[1:]
    qrels = [
        ir_measures.Qrel(query_id, doc_id, int(grade))
        for query_id, doc_id, grade in (line.split("\t") for line in judged)
    ]
    wanted = {qrel.query_id for qrel in qrels}
    words.create(tmp_path)
    with words.writing(tmp_path) as writer:
        for row, document in enumerate(documents):
            add(writer, row, document["text"], context=document["title"])
    live = WordIndex.open(tmp_path)
    whole = bm25.build((f"{d['title']} {d['text']}" for d in documents), bm25.Parameters())
    ids = [document["_id"] for document in documents]
    runs = {"live": [], "bm25": []}
    for query_id in wanted:
        for row, score in live.search(plain(queries[query_id]), 10):
            runs["live"].append(ir_measures.ScoredDoc(query_id, ids[row], score))
        for hit in whole.search([queries[query_id]], 10, ids)[0]:
            runs["bm25"].append(ir_measures.ScoredDoc(query_id, hit.doc_id, hit.score))
    measured = {
        system: ir_measures.calc_aggregate([nDCG @ 10], qrels, run)[nDCG @ 10]
        for system, run in runs.items()
    }
    assert measured["live"] == pytest.approx(measured["bm25"], abs=within)


# What matches

TEXTS = {
    "hyphen": "a state-of-the-art method",
    "spaced": "the state of the art",
    "part": "the state and its art",
    "v3.11.2": "needs Python 3.11.2 or later",
    "v3.11.4": "needs Python 3.11.4 or later",
    "v3.1": "needs 3.1, then 11 and 2 and 2",
    "snake": "call foo_bar here",
    "words": "foo bar",
    "camel": "the HTTPServer class",
    "lower": "an httpserver process",
    "colons": "a std::vector of C++",
    "cafe": "a cafe in Paris",
    "café": "un café à Paris",
    "run": "she was running and ran",
    "be": "to be or not to be",
    "not": "as not to forget",
    "tokyo": "日本の東京大学で",
    "kyoto": "京都の大学",
    "water": "海水です",
    "thai": "สวัสดีชาวโลก",
    "korean": "한국어를 공부합니다",
    "hindi": "हिन्दी भाषा",
}
NAMES = list(TEXTS)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return made(tmp_path_factory.mktemp("library"), list(TEXTS.values()))


@pytest.mark.parametrize(
    ("query", "first", "others"),
    [
        ("state-of-the-art method", "hyphen spaced part", ""),
        ("+state-of-the-art", "", "hyphen spaced"),
        ("method state -state-of-the-art", "", "part"),
        ('"state of the art"', "", "hyphen spaced"),
        ("3.11.2", "v3.11.2", "v3.11.4"),
        ("python 3.11.2", "v3.11.2 v3.11.4", ""),
        ("python -3.11.2", "v3.11.4", ""),
        ("python -3.11", "", ""),
        ("3.11", "", "v3.11.2 v3.11.4"),
        ("11", "", "v3.11.2 v3.11.4 v3.1"),
        ("3.11.*", "", "v3.11.2 v3.11.4"),
        ("foo_bar", "snake words", ""),
        ("bar", "", "snake words"),
        ("foo_b*", "snake", ""),
        ("foo-bar", "", "snake words"),
        ("+foo_bar", "", "snake words"),
        ("HTTPServer", "camel lower", ""),
        ("httpserver", "", "camel lower"),
        ("server", "camel", ""),
        ("-HTTPServer class process", "", ""),
        ("std::vector", "colons", ""),
        ("std::vec*", "colons", ""),
        ("vector", "colons", ""),
        ("C++", "colons", ""),
        ("café", "café cafe", ""),
        ("cafe", "", "cafe café"),
        ('"CAFÉ"', "", "cafe café"),
        ("runs", "run", ""),
        ('"runs"', "", ""),
        ('"RUNNING and"', "run", ""),
        ("runn*", "run", ""),
        ("rann~", "run", ""),
        ("runing~", "run", ""),
        ("urnning~", "run", ""),
        ("unnig~ unig~", "", ""),
        ("unnig~2", "run", ""),
        ("to be", "be not", ""),
        ('"not to be"', "be", ""),
        ("to paris", "", "cafe café"),
        ("+to paris", "", "be not"),
        ("-to not", "", ""),
        ("日本", "tokyo", ""),
        ("東京大学", "tokyo kyoto", ""),
        ('"東京大学"', "tokyo", ""),
        ("+東京大学", "tokyo", ""),
        ("京大", "tokyo", ""),
        ("大*", "", "tokyo kyoto"),
        ("水", "water", ""),
        ("海", "water", ""),
        ("大学 -京都", "tokyo", ""),
        ("ชาวโลก", "thai", ""),
        ("สวัสดี", "thai", ""),
        ("한국어", "korean", ""),
        ("공부", "korean", ""),
        ("हिन्दी", "hindi", ""),
        ("hello 🎉 ?", "", ""),
        ("", "", ""),
    ],
)
def test_queries_find_what_they_name(library, query, first, others):
    """`first` in this order, and then `others` in any."""
    names = [NAMES[chunk_id] for chunk_id in found(library, query)]
    ordered = first.split()
    assert names[: len(ordered)] == ordered
    assert sorted(names[len(ordered) :]) == sorted(others.split())


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("runni", "run"),
        ("pyth", "v3.11.2"),
        ("state-of-th", "hyphen"),
        ("foo_", "snake"),
        ("std::v", "colons"),
        ("cafe par", "cafe"),
        ('"a cafe in par', "cafe"),
        ("東", "tokyo"),
        ("paris -", "cafe"),
        ("+pari", "cafe"),
    ],
)
def test_half_a_word_finds_words_that_begin_so(library, typed, first):
    names = [NAMES[row] for row, _ in library.search(parse(typed, lenient=True), 3)]
    assert names[0] == first


@pytest.mark.parametrize("word", ["running", "python", "httpserver", "paris"])
def test_a_word_ranks_the_same_before_and_after_the_space_that_ends_it(library, word):
    assert library.search(parse(word, lenient=True), 9) == library.search(parse(word), 9)


def test_no_phrase_spans_context_and_text(tmp_path):
    index = made(tmp_path / "index", ["flour water"], context="sour dough")
    assert found(index, '"sour dough"') == found(index, '"flour water"') == [0]
    assert found(index, '"dough flour"') == []


def test_a_prefix_of_very_many_words_finds_them_all(tmp_path):
    index = made(tmp_path / "index", [f"x{number} end" for number in range(200)])
    assert sorted(found(index, "x*")) == list(range(200))
    assert found(index, "end -x*") == []
    assert sorted(found(index, "x1*")) == sorted(n for n in range(200) if str(n)[0] == "1")


def test_a_phrase_whose_last_word_stands_for_very_many_finds_them_all(tmp_path):
    """Of more than tantivy looks for in one phrase, and the word itself is one of them."""
    many = [f"foo ba{number:05}" for number in range(17_000)]
    texts = [" ".join(many[first : first + 100]) for first in range(0, len(many), 100)]
    others = ["foo bc ba00001", "foo/ba", "ba foo"]
    index = made(tmp_path / "index", [*texts, *others])
    ba, b = [*range(170), 171], [*range(172)]
    assert sorted(found(index, "foo/ba*")) == sorted(found(index, "+foo/ba*")) == ba
    assert sorted(found(index, "foo/b*")) == index.holding([Prefix("foo/b")]) == b
    assert sorted(found(index, "foo -foo/ba*")) == [170, 172]
    assert found(index, "foo/ba1695*") == [169]


# Against a plain dictionary

LETTERS = ["red", "reed", "green", "grin", "ocean", "octet"]


def distance(one, two):
    """Edits between two words, a swap of neighbours being one (optimal string alignment)."""
    rows = [list(range(len(two) + 1))]
    for i, letter in enumerate(one, 1):
        rows.append([i])
        for j, other in enumerate(two, 1):
            best = min(
                rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (letter != other)
            )
            if i > 1 and j > 1 and letter == two[j - 2] and one[i - 2] == other:
                best = min(best, rows[i - 2][j - 2] + 1)
            rows[i].append(best)
    return rows[-1][-1]


def holds(text, match):
    """Whether a text matches, read word by word; no word of LETTERS shares its stem."""
    here = text.split()
    match match:
        case Word(word):
            return word in here
        case Phrase(phrase):
            return f" {phrase} " in f" {text} "
        case Prefix(prefix):
            return any(word.startswith(prefix) for word in here)
        case Fuzzy(word, edits):
            return any(distance(word, other) <= edits for other in here)


def matches(text, query):
    by = {"must": [], "not": [], "may": []}
    for clause in query.clauses:
        by[clause.occur].append(holds(text, clause.match))
    wanted = all(by["must"]) if by["must"] else any(by["may"])
    return wanted and not any(by["not"])


some_matches = st.one_of(
    st.builds(Word, st.sampled_from(LETTERS)),
    st.builds(Phrase, st.lists(st.sampled_from(LETTERS), min_size=1, max_size=3).map(" ".join)),
    st.builds(Prefix, st.sampled_from(["r", "re", "gr", "oc", "ocean", "x"])),
    st.builds(Fuzzy, st.sampled_from(["rde", "gren", "ocaen", "red"]), st.sampled_from([1, 2])),
)
queries = st.lists(
    st.builds(Clause, some_matches, st.sampled_from(["may", "may", "must", "not"])), max_size=4
).map(lambda clauses: Query("", tuple(clauses)))
texts = st.lists(st.sampled_from(LETTERS), max_size=6).map(" ".join)
places = st.sampled_from(["a.md", "docs/a.md", "docs/b.txt", "docs/x/c.md", "src/docs"])
filters = st.builds(
    Filters,
    path=st.lists(
        st.sampled_from(["docs/*.md", "**/c.md", "docs", "/docs/", "*.txt"]), max_size=2
    ).map(tuple),
    format=st.lists(st.sampled_from(["md", "pdf"]), max_size=2).map(tuple),
    language=st.sampled_from([(), ("en",)]),
    after=st.sampled_from([None, -10, 0.5, 20]),
    before=st.sampled_from([None, -10, 0.5, 20]),
    not_path=st.sampled_from([(), ("docs/x",)]),
    not_format=st.sampled_from([(), ("md",)]),
    not_language=st.sampled_from([(), ("fr", "en")]),
)
chunks = st.fixed_dictionaries(
    {
        "text": texts,
        "path": places,
        "format": st.sampled_from(["md", "pdf"]),
        "language": st.sampled_from(["en", "fr", ""]),
        "modified_s": st.sampled_from([-20, -10, 0, 19, 20]),
    }
)
# Each commit removes some of twelve chunks, and adds others or others again.
commits = st.lists(
    st.tuples(
        st.lists(st.integers(0, 11), max_size=4),
        st.dictionaries(st.integers(0, 11), chunks, min_size=1, max_size=8),
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=20)
@given(commits=commits, asked=st.lists(st.tuples(queries, filters), min_size=8, max_size=8))
def test_an_index_that_changes_finds_what_a_dictionary_does(commits, asked, tmp_path_factory):
    folder = tmp_path_factory.mktemp("index")
    words.create(folder)
    expected = {}
    for removed, added in commits:
        with words.writing(folder) as writer:
            for chunk_id in (*removed, *added):
                writer.remove(chunk_id)
                expected.pop(chunk_id, None)
            for chunk_id, chunk in added.items():
                add(writer, chunk_id, **chunk)
            expected |= added
    index = WordIndex.open(folder)
    assert len(index) == len(expected)
    for query, some in asked:
        passing = {
            chunk_id: chunk["text"]
            for chunk_id, chunk in expected.items()
            if some.accept(**{name: chunk[name] for name in chunk if name != "text"})
        }
        everything = index.search(query, 100, filters=some)
        if all(clause.occur == "not" for clause in query.clauses):
            wanted = [
                chunk_id
                for chunk_id, text in sorted(passing.items())
                if not any(holds(text, clause.match) for clause in query.clauses)
            ]
            assert everything == ([(one, 0.0) for one in wanted] if some != Filters() else [])
        else:
            wanted = {chunk_id for chunk_id, text in passing.items() if matches(text, query)}
            assert {chunk_id for chunk_id, _ in everything} == wanted
        assert everything == sorted(everything, key=lambda one: (-one[1], one[0]))
        for k in (1, 2, 5):
            assert index.search(query, k, filters=some) == everything[:k]
        own = Query("", query.clauses, some)
        assert index.search(own, 100) == everything


def test_a_narrow_filter_still_fills_k(tmp_path):
    folder = tmp_path / "index"
    folder.mkdir()
    words.create(folder)
    with words.writing(folder) as writer:
        for chunk_id in range(300):
            add(writer, chunk_id, "bread " * 5, path=f"recipes/{chunk_id}.md")
        for chunk_id in range(300, 305):  # the worst of all for this query
            add(writer, chunk_id, "bread " + "water " * 60, path=f"old/{chunk_id}.md")
    index = WordIndex.open(folder)
    assert found(index, "bread path:old", k=5) == [300, 301, 302, 303, 304]
    assert found(index, "bread -path:recipes", k=5) == [300, 301, 302, 303, 304]
    both = Filters(path=("old",)), "bread path:*4.md"
    assert found(index, both[1], filters=both[0]) == [304]


def test_a_pattern_beyond_matching_is_refused(library):
    with pytest.raises(BadInput, match="too long, or has too many wildcards"):
        found(library, f"paris path:*{'?' * 40}x")


@pytest.mark.parametrize("k", [1, 7, 40, 120, 121, 500])
def test_ties_are_in_the_order_of_chunk_ids_across_segments_and_the_cut(k, tmp_path):
    ids = list(range(0, 360, 3))
    random.Random(k).shuffle(ids)
    words.create(tmp_path)
    for start in range(0, 120, 40):
        with words.writing(tmp_path) as writer:
            for chunk_id in ids[start : start + 40]:
                add(writer, chunk_id, "fire")
            add(writer, 1000 + start, "fire fire")
    ranking = found(WordIndex.open(tmp_path), "fire", k=k)
    assert ranking == [1000, 1040, 1080, *sorted(ids)][:k]


# Files, generations, threads


def test_generations_share_files_and_change_none(tmp_path):
    folders = [tmp_path / f"generation{number:02d}" for number in range(12)]
    folders[0].mkdir()
    readers = [made(folders[0], ["fire 0"])]
    for number, (before, after) in enumerate(pairwise(folders), 1):
        kept = state(before)
        after.mkdir()
        words.clone(before, after)
        shared = {
            name
            for name, (inode, _) in state(after).items()
            if inode in {other for other, _ in kept.values()}
        }
        assert shared == set(kept) - {"meta.json", ".managed.json"}
        with words.writing(after) as writer:
            add(writer, number, f"fire {number}")
            if number > 1:
                writer.remove(number - 2)
        readers.append(WordIndex.open(after))
        assert state(before) == kept
        assert sorted(found(readers[-1], "fire")) == [max(number - 1, 0), number]
    assert not list(tmp_path.rglob("*.lock"))
    assert len(list(folders[-1].iterdir())) < 60  # merges have dropped what they replaced
    for folder in folders:
        shutil.rmtree(folder)
    for number, reader in enumerate(readers):
        assert found(reader, f"+{number} fire") == [number]
        assert sorted(found(reader, "fir*")) == sorted({max(number - 1, 0), number})


def test_a_clone_of_an_index_without_hard_links_is_copied(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("this file system has none")

    index = made(tmp_path / "index", ["fire"])
    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "copy").mkdir()
    words.clone(tmp_path / "index", tmp_path / "copy")
    assert found(WordIndex.open(tmp_path / "copy"), "fire") == found(index, "fire") == [0]


def test_nothing_writes_after_the_block(tmp_path):
    made(tmp_path, ["fire"])
    for number in range(1, 10):  # enough segments for merges
        with words.writing(tmp_path) as writer:
            add(writer, number, "fire")
        # Threads that have done their work may still be seen for a moment.
        while any(name.startswith(("merge", "segment")) for name in threads()):
            assert state(tmp_path) == state(tmp_path)
    meta = json.loads((tmp_path / "meta.json").read_text(encoding="utf-8"))
    alive = {segment["segment_id"].replace("-", "") for segment in meta["segments"]}
    assert len(alive) < 9
    assert {path.name.split(".")[0] for path in tmp_path.iterdir()} == alive | {"meta", ""}


def test_readers_leave_the_folder_as_it_is_and_nothing_elsewhere(tmp_path, monkeypatch):
    folder, temporary = tmp_path / "index", tmp_path / "temporary"
    made(folder, ["fire"])
    before = state(folder)
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    readers = [WordIndex.open(folder) for _ in range(50)]
    assert state(folder) == before
    assert list(temporary.iterdir()) == []
    assert all(found(reader, "fire") == [0] for reader in readers)


def test_what_raises_is_forgotten(tmp_path):
    made(tmp_path, ["fire"])
    before = state(tmp_path)
    with pytest.raises(KeyError), words.writing(tmp_path) as writer:
        add(writer, 1, "fire")
        writer.remove(0)
        raise KeyError
    after = state(tmp_path)
    assert set(after) == set(before)
    assert {name for name in after if after[name] != before[name]} <= {".managed.json"}
    with words.writing(tmp_path) as writer:
        add(writer, 2, "fire")
    assert found(WordIndex.open(tmp_path), "fire") == [0, 2]


def test_equal_additions_rank_equally_in_every_process(tmp_path):
    make = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path\n"
        "from searchkit.index.live import words\n"
        "from searchkit.index.live.query import plain\n"
        "folder = Path(sys.argv[1]); folder.mkdir(); words.create(folder)\n"
        "with words.writing(folder) as writer:\n"
        "    for row in range(60):\n"
        "        writer.add(row, path='a', context='', text=f'fire {row * row % 7} ' * (row % 5),\n"
        "                   format='', language='', modified_s=0)\n"
        "print(words.WordIndex.open(folder).search(plain('fire 4 2'), 50))\n"
    )
    root = str(Path(words.__file__).parents[3])
    rankings = [
        subprocess.run(
            [sys.executable, "-c", make, str(tmp_path / seed), root],
            check=True,
            capture_output=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]
    assert rankings[0] == rankings[1]
    assert rankings[0].count(b"(") == 48


def test_removed_chunks_count_until_all_is_written_anew(tmp_path):
    index = made(tmp_path / "index", {number: "fire" if number else "water" for number in range(9)})
    assert index.removed == 0
    with words.writing(tmp_path / "index") as writer:
        for number in range(1, 6):
            writer.remove(number)
    changed = WordIndex.open(tmp_path / "index")
    assert (len(changed), changed.removed) == (4, 5)
    fresh = made(tmp_path / "fresh", {0: "water", 6: "fire", 7: "fire", 8: "fire"})
    assert [one for one, _ in changed.search(plain("fire"), 9)] == [6, 7, 8]
    assert dict(changed.search(plain("fire"), 9))[6] == dict(index.search(plain("fire"), 9))[6]
    assert dict(changed.search(plain("fire"), 9))[6] != dict(fresh.search(plain("fire"), 9))[6]


def test_threads_get_the_answers_of_one_thread(library):
    asked = ["running", "state-of-the-art", "caf*", "pyhton~", "日本", "path:a.md +to"] * 8
    expected = [found(library, query) for query in asked]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda query: found(library, query), asked)) == expected


def test_any_text_and_any_path_can_be_indexed_and_found(tmp_path):
    odd = ["\x00 fire", "fire \ud800", "fire\u2028" + "x" * 100_000, "fire " * 3000, "\u3000火fire"]
    words.create(tmp_path)
    with words.writing(tmp_path) as writer:
        for number, text in enumerate(odd):
            add(writer, number, text, path=f"docs\udcff/{number}#&[]\n", context=text[:9])
        add(writer, 2**63 - 1, "", path="", context="", format="", language="", modified_s=-(2**63))
    index = WordIndex.open(tmp_path)
    assert sorted(found(index, "fire")) == list(range(len(odd)))
    assert sorted(found(index, "path:docs\udcff")) == list(range(len(odd)))
    assert found(index, f"{'x' * 100_000}") == [2]
    assert found(index, "path:3#&[]*") == [3]
    assert len(index) == len(odd) + 1


def test_an_empty_index_finds_nothing(tmp_path):
    words.create(tmp_path)
    index = WordIndex.open(tmp_path)
    assert len(index) == 0
    assert found(index, "fire") == found(index, "path:docs") == found(index, "fi* -fire~") == []


def test_all_chunks_that_hold_one_of_some_words_are_told(tmp_path):
    index = made(
        tmp_path / "index",
        {9: "the ferry sails", 4: "state-of-the-art ferries", 7: "high water", 5: "art of state"},
    )

    def holding(*matches):
        return index.holding(matches)

    assert holding(Word("ferry")) == [4, 9]
    assert holding(Word("ferry"), Phrase("High water")) == [4, 7, 9]
    assert holding(Word("state-of-the-art")) == [4]  # no part of it is enough
    assert holding(Word("zebra")) == [] and holding(Prefix("wat")) == [7]
    assert index.holding([Word("...")]) is None
    assert made(tmp_path / "empty", {}).holding([Word("ferry")]) == []


@pytest.mark.parametrize("query", ["ferry", "ferry -number9", "path:a.md"])
def test_ids_bound_a_search(query, tmp_path):
    index = made(tmp_path / "index", [f"ferry number{number}" for number in range(30)])
    everything = index.search(parse(query), 30)
    some = index.search(parse(query), 30, within=range(5, 12))
    assert some == [one for one in everything if 5 <= one[0] < 12]
    assert index.search(parse(query), 2, within=range(5, 12)) == some[:2]
    rest = index.search(parse(query), 30, without=[range(0, 4), range(8, 29)])
    assert rest == [one for one in everything if one[0] in (4, 5, 6, 7, 29)]
    assert index.search(Query(""), 9, within=range(5, 12)) == []


def test_a_search_needs_a_depth(library):
    with pytest.raises(ValueError, match="k is 0"):
        library.search(plain("fire"), 0)


def test_a_folder_that_is_no_index_is_named(tmp_path):
    with pytest.raises(CorruptFile, match=f"{tmp_path} is not a word index"):
        WordIndex.open(tmp_path)
    (tmp_path / "meta.json").write_text("[]", encoding="utf-8")
    with pytest.raises(CorruptFile, match="build it again"):
        WordIndex.open(tmp_path)
    made(tmp_path / "index", ["fire"])
    next((tmp_path / "index").glob("*.term")).unlink()
    with pytest.raises(CorruptFile, match="is not a word index that this tantivy can open"):
        WordIndex.open(tmp_path / "index")


@pytest.mark.parametrize("kind", ["pos", "fieldnorm", "fast"])
def test_a_file_that_goes_while_it_is_opened_is_missed(tmp_path, monkeypatch, kind):
    made(tmp_path, ["fire and water"])
    opened = words._opened

    def without(place, folder):
        next(folder.glob(f"*.{kind}")).unlink()
        return opened(place, folder)

    monkeypatch.setattr(words, "_opened", without)
    with pytest.raises(CorruptFile, match=r"deleted while it was opened|can open"):
        WordIndex.open(tmp_path)


def fill_the_disk(folder):
    """Write more than fits: no file may grow beyond a thousand bytes from here on."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    try:
        with words.writing(Path(folder)) as writer:
            for number in range(1, 200):
                add(writer, number, " ".join(f"fire{number * other}" for other in range(50)))
    except SearchkitError as error:
        print(error)


def test_a_full_disk_leaves_the_index_as_it_was(tmp_path):
    made(tmp_path, ["fire"])
    before = state(tmp_path)
    child = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "import test_words; test_words.fill_the_disk(sys.argv[1])"
    )
    here, root = Path(__file__).parent, Path(words.__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", child, str(tmp_path), str(here), str(root)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "cannot be written (" in done.stdout and "File too large" in done.stdout
    after = state(tmp_path)
    assert set(after) == set(before)
    assert {name for name in after if after[name] != before[name]} <= {".managed.json"}
    assert found(WordIndex.open(tmp_path), "fire") == [0]


def test_tantivy_is_loaded_only_where_an_index_is_opened():
    ask = (
        "import sys; from searchkit.index.live import analysis, query, words;"
        "query.parse('a -b path:c'); analysis.words('a b');"
        "print(sorted({'tantivy', 'numpy', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", ask], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
    assert threading.active_count() >= 1
