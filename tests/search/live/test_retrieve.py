"""A folder index is searched as brute force would, whatever is filtered, shared, dead or replaced.

The index is written part by part: three segments, rows that chunks share, rows that nothing points
to. What its encoders made is made by a real, tiny language model.
"""

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from searchkit import files
from searchkit.encode import embedder as embedders
from searchkit.encode.variant import parse as variant_of
from searchkit.errors import BadInput, UnknownName
from searchkit.index.live import query as queries
from searchkit.index.live import segments, words
from searchkit.index.live.catalogue import Catalogue, DocumentRecord, FileRecord, NewChunk, Root
from searchkit.index.live.generation import Generation, encoded_part, texts_part
from searchkit.index.live.query import Filters
from searchkit.index.live.segments import Row
from searchkit.index.live.words import WordIndex
from searchkit.index.store import Store, part_of
from searchkit.index.vector import hnsw
from searchkit.rank.fusion import rrf, weighted
from searchkit.records import Hit
from searchkit.search import default
from searchkit.search.live import nearest, retrieve
from searchkit.search.live.lists import PASSAGES, Lists
from searchkit.search.live.retrieve import open_searcher

# Which paragraphs each file has; equal ones share a row.
FERRY = "The ferry leaves two hours before high water."
SUNDAY = "On Sundays the ferry to the island does not run."
SHEEP = "Sheep graze on the western cliffs all winter long."
CLEAN = "Clean the autoclave with distilled water after each run."
RADIO = "Channel eight is kept free for emergencies at sea."
LEAVE = "Ask for leave twice as many days ahead as you want off."
STORE = "Distilled water is kept in the cold store, behind the lamp oil."
STORM = "Die Fähre fährt bei Sturm nicht: 7 Bft."
CODE = "def ferry(hours):\n    tide = hours - 2\n    return tide  # high water"
FILES = {
    "tides.md": [FERRY, SUNDAY, SHEEP],
    "lab/autoclave.md": [CLEAN, STORE],
    "lab/stores.pdf": [STORE, SHEEP, LEAVE],
    "staff.md": [LEAVE],
    "radio.txt": [RADIO, SHEEP],
    "sturm.de.md": [STORM, SUNDAY],
    "tide.py": [CODE],
}
DEAD = ["The ferry is not mentioned any more.", "Sheep that were deleted."]
SEGMENTS = {
    1: [FERRY, SUNDAY, DEAD[0], SHEEP],
    2: [CLEAN, STORE, LEAVE],
    7: [DEAD[1], RADIO, STORM, CODE],
}
QUERIES = ["when does the ferry leave", "western cliffs in winter", "autoclave", "Fähre", "water"]


@dataclass
class Written:
    """What was written, for the oracles: chunks by id, and the texts and vectors of rows."""

    chunks: dict[int, tuple[str, int, int]] = field(default_factory=dict)  # doc_id, segment, row
    vectors: dict[str, dict[int, np.ndarray]] = field(default_factory=dict)


def write(path, files, rows, vectors=None, facts=None):
    """Write an index.

    Args:
        path: where it goes.
        files: the texts of each, by path.
        rows: the texts in each segment.
        vectors: by encoder and segment.
        facts: of each encoder.
    """
    written = Written(vectors=vectors or {})
    places = {text: (number, row) for number, some in rows.items() for row, text in enumerate(some)}
    store = Store.create_or_open(path)
    with store.writing() as draft:
        draft.corpus = {"kind": "folder"}
        for number, some in rows.items():
            folder = draft.add(texts_part(number), {"segment": number, "rows": len(some)})
            segments.write(folder, [Row("", text) for text in some])
        words.create(folder := draft.add("words"))
        catalogue = Catalogue.create(draft.add("catalogue"))
        catalogue.add_root(Root(1, "/docs", "", {}))
        with words.writing(folder) as writer:
            for number, (name, texts) in enumerate(files.items()):
                _add(catalogue, writer, name, texts, 1000.0 * number, places, written)
        catalogue.save()
        for name, of in written.vectors.items():
            for number, array in of.items():
                folder = draft.add(encoded_part("vectors", name, number))
                np.save(folder / "vectors.npy", array)
                known = {"name": name, "segment": number, **(facts or {}).get(name, {})}
                draft.describe(encoded_part("vectors", name, number), known)
    return written


def _add(catalogue, writer, name, texts, modified, places, written):
    path, format_ = f"/docs/{name}", Path(name).suffix[1:]
    language = "de" if ".de." in name else "en"
    catalogue.put_file(FileRecord(path, 1, 1, 1, 1, "0" * 64, format_, "indexed", "", "", True))
    document = DocumentRecord(name, path, format_, "", language, modified, "", 0)
    chunks, start, line = [], 0, 1
    for text in texts:
        last = line + text.count("\n")
        chunks.append(NewChunk(*places[text], start, start + len(text), None, line, last, ("Top",)))
        start, line = start + len(text) + 2, last + 2
    ids = catalogue.add_document(document, chunks)
    for chunk_id, chunk, text in zip(ids, chunks, texts, strict=True):
        written.chunks[chunk_id] = (name, chunk.segment, chunk.row)
        writer.add(
            chunk_id,
            path=name,
            context="",
            text=text,
            format=format_,
            language=language,
            modified_s=int(modified),
        )


@pytest.fixture(scope="module")
def encoders(tiny_model):
    """Two designs on the tiny model: name to embedder."""
    torch.set_num_threads(1)
    base = str(tiny_model("llama"))
    return {
        name: embedders.load(
            [variant_of(name, base=base, max_tokens=24)],
            engine="packed",
            dtype=torch.float32,
            device=torch.device("cpu"),
        )
        for name in ("mean-causal", "eos_last-bidirectional")
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory, encoders):
    """The index, whose second encoder lacks a segment; read it, or copy it."""
    path = tmp_path_factory.mktemp("folders") / "notes"
    vectors = {
        name: {
            number: encoder.encode(texts, "passage").vectors[name]
            for number, texts in SEGMENTS.items()
            if name == "mean-causal" or number != 2
        }
        for name, encoder in encoders.items()
    }
    facts = {name: encoder.facts(name) for name, encoder in encoders.items()}
    return path, write(path, FILES, SEGMENTS, vectors, facts)


@pytest.fixture(scope="module")
def written(built):
    return built[1]


@pytest.fixture(scope="module")
def path(built):
    return built[0]


@pytest.fixture(scope="module")
def searcher(path):
    return open_searcher(path)


@pytest.fixture
def copy(path, tmp_path):
    """The index at a place where it may be changed."""
    shutil.copytree(path, tmp_path / "notes")
    return tmp_path / "notes"


def brute_force(written, name, vector, *, per_document=True, accept=lambda chunk_id: True):
    """The oracle of dense search: (score, chunk_id) of all chunks, best first."""
    ranked = sorted(
        (
            -np.float32(
                written.vectors[name][segment][row].astype(np.float64) @ vector.astype(np.float64)
            ),
            chunk_id,
        )
        for chunk_id, (_, segment, row) in written.chunks.items()
        if segment in written.vectors[name] and accept(chunk_id)
    )
    if per_document:
        best = {}
        for score, chunk_id in ranked:
            best.setdefault(written.chunks[chunk_id][0], (score, chunk_id))
        ranked = list(best.values())
    return [(-score, chunk_id) for score, chunk_id in ranked]


def found(passages):
    return [(passage.score, passage.chunk_id) for passage in passages]


def assert_same(mine, theirs):
    """Equal scores but for the last bits of the model's, and the same order."""
    assert [chunk for _, chunk in mine] == [chunk for _, chunk in theirs]
    assert [score for score, _ in mine] == pytest.approx([score for score, _ in theirs], abs=1e-6)


def query_vector(encoders, name, query):
    return encoders[name].encode([query], "query").vectors[name][0]


@pytest.mark.parametrize("per_document", [True, False])
@pytest.mark.parametrize("k", [1, 3, 50])
def test_dense_search_is_brute_force_over_what_is_alive(
    searcher, encoders, written, per_document, k
):
    for query in QUERIES:
        vector = query_vector(encoders, "mean-causal", query)
        mine = searcher.search(
            query, k, mode="dense", variant="mean-causal", per_document=per_document
        )
        assert_same(
            found(mine), brute_force(written, "mean-causal", vector, per_document=per_document)[:k]
        )
        assert [passage.rank for passage in mine] == list(range(1, len(mine) + 1))
        assert not {passage.text for passage in mine} & set(DEAD)


@pytest.mark.parametrize("per_document", [True, False])
def test_words_are_searched_by_the_word_index(searcher, path, written, per_document):
    index = Generation.open(path).words
    for query in QUERIES:
        hits = index.search(queries.parse(query), 1000)
        if per_document:
            hits = list({written.chunks[hit[0]][0]: hit for hit in reversed(hits)}.values())
            hits.sort(key=lambda hit: (-hit[1], hit[0]))
        mine = searcher.search(query, 2, mode="bm25", per_document=per_document)
        assert found(mine) == [(score, chunk_id) for chunk_id, score in hits[:2]]


@pytest.mark.parametrize("per_document", [True, False])
@pytest.mark.parametrize("fusion", ["rrf", "weighted"])
@pytest.mark.parametrize("k", [1, 4, 50])
def test_hybrid_search_is_both_fused(searcher, encoders, written, per_document, fusion, k):
    fuse = {"rrf": rrf, "weighted": weighted}[fusion].fuse
    for query in QUERIES:
        by_words = searcher.search(query, 50, mode="bm25", per_document=per_document)
        vector = query_vector(encoders, "mean-causal", query)
        lists = [
            [(passage.score, passage.chunk_id) for passage in by_words],
            brute_force(written, "mean-causal", vector, per_document=per_document),
        ]

        def key(chunk_id):
            return written.chunks[chunk_id][0] if per_document else f"{chunk_id:020}"

        expected = fuse(
            [
                [
                    Hit(key(chunk_id), float(score), rank)
                    for rank, (score, chunk_id) in enumerate(of, 1)
                ]
                for of in lists
            ],
            k,
        )
        mine = searcher.search(
            query,
            k,
            mode="hybrid",
            variant="mean-causal",
            per_document=per_document,
            fusion=fusion,
        )
        assert [key(passage.chunk_id) for passage in mine] == [hit.doc_id for hit in expected]
        assert [passage.score for passage in mine] == pytest.approx(
            [hit.score for hit in expected], abs=1e-5
        )


def test_a_row_that_chunks_share_gives_all_their_documents(searcher):
    for mode in ("bm25", "dense", "hybrid"):
        variant = None if mode == "bm25" else "mean-causal"
        mine = searcher.search(SHEEP, 3, mode=mode, variant=variant)
        assert {passage.doc_id for passage in mine} == {"tides.md", "lab/stores.pdf", "radio.txt"}
        assert {passage.text for passage in mine} == {SHEEP}


def test_equal_scores_are_in_the_order_of_the_chunks(searcher):
    for mode in ("bm25", "dense"):
        variant = None if mode == "bm25" else "mean-causal"
        mine = searcher.search(SHEEP, 3, mode=mode, variant=variant)
        assert len({passage.score for passage in mine}) == 1
        ids = [passage.chunk_id for passage in mine]
        assert ids == sorted(ids)
        for k in (1, 2):
            assert found(searcher.search(SHEEP, k, mode=mode, variant=variant)) == found(mine)[:k]


class TestFilters:
    @pytest.mark.parametrize("mode", ["bm25", "dense", "hybrid"])
    @pytest.mark.parametrize(
        ("query", "docs"),
        [
            ("ferry path:lab/", set()),
            ("water path:lab/", {"lab/autoclave.md", "lab/stores.pdf"}),
            ("sheep -path:lab/ format:txt,md", {"tides.md", "radio.txt"}),
            ("Fähre ferry lang:de", {"sturm.de.md"}),
            ("ferry format:py", {"tide.py"}),
            ("ferry after:1970-01-01T01:20:00Z", {"sturm.de.md", "tide.py"}),
            ("water before:1970-01-01T00:10:00Z", {"tides.md"}),
        ],
    )
    def test_those_of_the_query_hold_in_every_list(self, searcher, mode, query, docs):
        variant = None if mode == "bm25" else "mean-causal"
        mine = {
            passage.doc_id for passage in searcher.search(query, 10, mode=mode, variant=variant)
        }
        assert docs <= mine
        if mode == "bm25":
            assert mine == docs
        elif docs:
            filters = queries.parse(query).filters
            assert all(doc_id in accepted(filters) for doc_id in mine)

    def test_those_that_are_given_hold_besides(self, searcher):
        given = Filters(path=("lab/",))
        mine = searcher.search(
            "water format:md", 10, mode="dense", variant="mean-causal", filters=given
        )
        assert [passage.doc_id for passage in mine] == ["lab/autoclave.md"]
        mine = searcher.search("water format:md", 10, mode="bm25", filters=given)
        assert [passage.doc_id for passage in mine] == ["lab/autoclave.md"]

    def test_a_row_that_is_shared_shows_the_document_that_passes(self, searcher):
        for mode in ("bm25", "dense", "hybrid"):
            variant = None if mode == "bm25" else "mean-causal"
            mine = searcher.search(f"{SHEEP} format:txt", 1, mode=mode, variant=variant)
            assert [passage.doc_id for passage in mine] == ["radio.txt"]

    def test_filters_alone_list_what_they_leave(self, searcher):
        mine = searcher.search("format:pdf", 10, mode="bm25")
        assert [passage.doc_id for passage in mine] == ["lab/stores.pdf"]
        assert found(searcher.search("format:pdf", 10, mode="hybrid", variant="mean-causal")) == (
            found(mine)
        )
        with pytest.raises(BadInput, match=r"^'format:pdf' has no words whose meaning could be"):
            searcher.search("format:pdf", mode="dense", variant="mean-causal")


def accepted(filters):
    """The documents of the toy that filters leave, by another way than the index's."""
    return {
        name
        for number, name in enumerate(FILES)
        if filters.accept(
            path=name,
            format=Path(name).suffix[1:],
            language="de" if ".de." in name else "en",
            modified_s=1000.0 * number,
        )
    }


class TestWordsThatMust:
    def test_not_be_there_are_in_no_list(self, searcher):
        for mode in ("bm25", "dense", "hybrid"):
            variant = None if mode == "bm25" else "mean-causal"
            mine = searcher.search("water -ferry -sheep", 20, mode=mode, variant=variant)
            assert mine and not [p for p in mine if "ferry" in p.text or "Sheep" in p.text]

    def test_be_there_are_in_every_list(self, searcher):
        for mode in ("bm25", "dense", "hybrid"):
            variant = None if mode == "bm25" else "mean-causal"
            mine = searcher.search('ferry "high water" -tide', 20, mode=mode, variant=variant)
            assert [(passage.doc_id, passage.text) for passage in mine] == [("tides.md", FERRY)]

    def test_be_there_are_all_found_by_meaning_too(self, searcher):
        mine = searcher.search("+ferry", 9, mode="dense", variant="mean-causal", per_document=False)
        assert {passage.text for passage in mine} == {FERRY, SUNDAY, CODE}
        both = searcher.search("+ferry +tide", 9, mode="dense", variant="mean-causal")
        assert {passage.text for passage in both} == {CODE}

    def test_are_looked_up_once_while_other_words_are_typed(self, path, monkeypatch):
        searcher = open_searcher(path)
        asked = []
        holding = WordIndex.holding
        monkeypatch.setattr(
            WordIndex, "holding", lambda *given: asked.append(given[1]) or holding(*given)
        )
        for typed in ("w", "wa", "water"):
            searcher.search_dense(f"+the -ferry -sheep {typed}", variant="mean-causal", typing=True)
        assert [[match.text for match in one] for one in asked] == [["the"], ["ferry", "sheep"]]


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory):
    """60 documents in 3 segments with equal vectors, shared rows and dead ones; no model."""
    random = np.random.default_rng(4)
    texts = [f"text {number}" for number in range(90)]
    rows = {1: texts[:40], 2: texts[40:60], 3: texts[60:]}
    files = {
        f"{'abc'[number % 3]}/{number}.{['md', 'py'][number % 2]}": [
            texts[place]
            for place in random.integers(0, 75, 3)  # of 75 to 89 none is alive
        ]
        for number in range(60)
    }
    vectors = {}
    for number, some in rows.items():
        array = random.integers(-1, 2, (len(some), 4)).astype(np.float32)
        array[:, 0] = 1
        vectors[number] = array / np.linalg.norm(array, axis=1, keepdims=True)
    path = tmp_path_factory.mktemp("folders") / "synthetic"
    return path, write(path, files, rows, {"few": vectors}, {"few": {"fingerprint": "f"}})


FILTERS = st.builds(
    Filters,
    path=st.sampled_from([(), ("a/",), ("b/1?.*", "c/"), ("a/0.md",), ("nowhere/",)]),
    format=st.sampled_from([(), ("md",), ("py",)]),
    after=st.sampled_from([None, 20_000.0, 59_000.0]),
)


@settings(max_examples=60)
@given(
    filters=FILTERS,
    k=st.integers(1, 80),
    per_document=st.booleans(),
    indexed=st.booleans(),
    direction=st.lists(st.integers(-2, 2), min_size=3, max_size=3),
)
def test_a_narrow_filter_fills_k_with_the_nearest_that_live(
    synthetic, filters, k, per_document, indexed, direction
):
    """Whatever passes is found, no dead row ever is, and equal ones are in the order of chunks."""
    path, written = synthetic
    vector = np.array([1, *direction], np.float32)
    vector /= np.linalg.norm(vector)
    passing = {
        name
        for number, name in enumerate(dict.fromkeys(doc for doc, _, _ in written.chunks.values()))
        if filters.accept(path=name, format=name[-2:], language="en", modified_s=1000.0 * number)
    }
    expected = brute_force(
        written,
        "few",
        vector,
        per_document=per_document,
        accept=lambda chunk_id: written.chunks[chunk_id][0] in passing,
    )
    lists = Lists(Generation.open(path))
    with pytest.MonkeyPatch.context() as patch:
        encoded = lists.dense.encoded("few", lists.dense.vector_index("few", None))
        if indexed:
            patch.setattr(nearest, "_FEW_ROWS", 1)
            encoded = [
                nearest.Encoded(one.segment, one.vectors, hnsw.build(one.vectors))
                for one in encoded
            ]
        ranking = lists.nearest(
            "few",
            queries.parse("anything"),
            vector,
            encoded,
            k,
            per_document=per_document,
            filters=filters,
        )
    mine = [(one.score, one.chunk.chunk_id) for one in ranking.found]
    lists.generation.close()
    assert len(mine) == min(k, len(expected))
    assert mine == expected[:k]


LONG = {"long.md": [f"ferry number {number}" for number in range(900)]}
LONG |= {f"{number}.md": [f"ferry and sheep {number}"] for number in range(30)}


@pytest.fixture(scope="module")
def lopsided(tmp_path_factory):
    """Thirty short documents, and one whose 900 chunks are all better than any of theirs."""
    rows = {1: [text for texts in LONG.values() for text in texts]}
    angles = np.linspace(0, 1, len(rows[1]))
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    path = tmp_path_factory.mktemp("folders") / "lopsided"
    write(path, LONG, rows, {"few": {1: vectors}}, {"few": {"fingerprint": "f"}})
    return path


@pytest.fixture(scope="module")
def between(tmp_path_factory):
    """Short documents before, between and behind two that have 700 chunks each."""
    texts = {
        f"{name}.md": [
            f"{'ferry ' * (1 + n % times)}{name} number{n}" + " and sheep" * (n % 3)
            for n in range(size)
        ]
        for name, size, times in (
            ("a", 1, 1),
            ("b", 700, 3),
            ("c", 2, 1),
            ("d", 700, 2),
            ("e", 3, 1),
        )
    }
    path = tmp_path_factory.mktemp("folders") / "between"
    write(path, texts, {1: [text for some in texts.values() for text in some]})
    return path


class TestFewDocuments:
    """A list of 100 that an index of 31 documents cannot fill ends when it has them all."""

    @pytest.fixture
    def told(self, monkeypatch):
        """How many chunks were read to be shown."""
        counted = []
        chunks = Catalogue.chunks

        def count(catalogue, chunk_ids):
            found = chunks(catalogue, chunk_ids)
            counted.append(len(found))
            return found

        monkeypatch.setattr(Catalogue, "chunks", count)
        return counted

    def test_are_all_found_by_meaning_behind_a_long_one(self, lopsided, told, monkeypatch):
        lists = Lists(Generation.open(lopsided))
        asked = []
        best = nearest.Nearest.best
        monkeypatch.setattr(
            nearest.Nearest, "best", lambda *given: asked.append(given[1]) or best(*given)
        )
        ranking = lists.nearest(
            "few",
            queries.parse("anything"),
            np.array([1, 0], np.float32),
            lists.dense.encoded("few", lists.dense.vector_index("few", None)),
            100,
            per_document=True,
            filters=queries.NONE,
        )
        lists.generation.close()
        assert [one.chunk.doc_id for one in ranking.found] == list(LONG)
        assert ranking.found[0].chunk.row == 0
        assert told == [31] and asked == [200, 400]

    def test_are_all_found_by_words(self, lopsided, told):
        searcher = open_searcher(lopsided)
        ranking = searcher.search_words("ferry")
        assert {one.chunk.doc_id for one in ranking.found} == set(LONG)
        assert told == [31]
        hits = searcher.generation.words.search(queries.parse("ferry"), 1000)
        scores = dict(hits)
        found = [(one.score, one.chunk.chunk_id) for one in ranking.found]
        assert found == sorted(found, key=lambda one: (-one[0], one[1]))
        assert all(scores[chunk_id] == score for score, chunk_id in found)

    @pytest.fixture
    def listed(self, monkeypatch):
        """How many chunks each search for words gave."""
        counted = []
        search = WordIndex.search

        def count(index, *given, **more):
            found = search(index, *given, **more)
            counted.append(len(found))
            return found

        monkeypatch.setattr(WordIndex, "search", count)
        return counted

    def test_a_long_one_that_alone_has_a_word_is_listed_once(self, lopsided, listed):
        ranking = open_searcher(lopsided).search_words("number", 30)
        assert [one.chunk.doc_id for one in ranking.found] == ["long.md"]
        assert listed == [60, 0]

    @pytest.mark.parametrize("k", [1, 3, 5, 30])
    @pytest.mark.parametrize("query", ["ferry", "sheep", "ferry -number7", "path:/"])
    def test_long_ones_hide_none_between_them(self, between, listed, query, k):
        searcher = open_searcher(between)
        words, catalogue = searcher.generation.words, searcher.generation.catalogue
        firsts = {}
        for chunk_id, score in words.search(queries.parse(query), 5000):
            (chunk,) = catalogue.chunks([chunk_id])
            firsts.setdefault(chunk.doc_id, (chunk_id, score))
        ranking = searcher.search_words(query, k)
        assert [(one.chunk.chunk_id, one.score) for one in ranking.found] == [*firsts.values()][:k]
        assert sum(listed[1:]) < 1000


class TestPassages:
    def test_tell_all_of_document_and_place(self, searcher):
        (passage,) = searcher.search("distilled path:autoclave.md", 1, mode="bm25")
        assert passage.doc_id == "lab/autoclave.md"
        assert passage.path == Path("/docs/lab/autoclave.md")
        assert (passage.format, passage.language, passage.modified) == ("md", "en", 1000.0)
        assert passage.headings == ("Top",)
        assert passage.text in (CLEAN, STORE)
        text = searcher.document_text(passage.doc_id)
        assert text[passage.start : passage.end] == passage.text
        assert [passage.text[a:b].lower() for a, b in passage.marks] == ["distilled"]

    def test_lead_to_the_line_that_matches_best(self, searcher):
        (passage,) = searcher.search('"return tide"', 1, mode="bm25")
        assert passage.text[slice(*passage.best)] == "return tide  # high water"
        assert (passage.first_line, passage.last_line, passage.line) == (1, 3, 3)

    @pytest.mark.parametrize("name", FILES)
    def test_make_up_their_document(self, searcher, name):
        assert searcher.document_text(name) == "\n\n".join(FILES[name])

    def test_a_document_that_is_not_there(self, searcher):
        with pytest.raises(UnknownName, match="no document 'nope'"):
            searcher.document_text("nope")
        with pytest.raises(UnknownName, match="no document 'nope'"):
            searcher.document("nope")
        assert searcher.document("staff.md").path == "/docs/staff.md"

    @pytest.fixture
    def read(self, monkeypatch):
        """The chunks whose text was read."""
        chunks = []
        row = Generation.row
        monkeypatch.setattr(
            Generation, "row", lambda given, chunk: chunks.append(chunk) or row(given, chunk)
        )
        return chunks

    def test_of_one_document_are_found_without_reading_the_others(self, lopsided, read):
        found = open_searcher(lopsided).passages_of("long.md", "sheep 17 -number")
        assert [passage.text for passage in found] == ["ferry number 17"]
        assert [found[0].text[a:b] for a, b in found[0].marks] == ["17"]
        assert {chunk.chunk_id for chunk in read} == {found[0].chunk_id}

    def test_of_one_document_are_the_best_in_its_order_where_they_are_very_many(
        self, lopsided, read
    ):
        said = []
        searcher = open_searcher(lopsided, say=said.append)
        found = searcher.passages_of("long.md", "number 17 850")
        assert len(found) == PASSAGES == len({chunk.chunk_id for chunk in read})
        assert {"ferry number 17", "ferry number 850"} < {passage.text for passage in found}
        starts = [passage.start for passage in found]
        assert starts == sorted(set(starts))
        assert [passage.rank for passage in found] == list(range(1, PASSAGES + 1))
        assert {passage.doc_id for passage in found} == {"long.md"}
        assert said == ["long.md has more passages that match; the best are listed"]
        assert len(searcher.passages_of("3.md", "ferry")) == 1 == len(said)
        with pytest.raises(UnknownName, match="no document 'nope'"):
            searcher.passages_of("nope", "ferry")

    def test_say_which_list_gave_what(self, searcher):
        (first, *_) = mine = searcher.search("ferry", 9, mode="hybrid", variant="mean-causal")
        assert {one.name for one in first.lists} == {"bm25", "mean-causal"}
        alone = {
            "bm25": searcher.search("ferry", 99, mode="bm25"),
            "mean-causal": searcher.search("ferry", 99, mode="dense", variant="mean-causal"),
        }
        for passage in mine:
            assert sum(one.share for one in passage.lists) == pytest.approx(passage.score)
            for one in passage.lists:
                (same,) = [p for p in alone[one.name] if p.doc_id == passage.doc_id]
                assert (one.rank, one.score) == (same.rank, same.score)
                assert one.share == 1 / (60 + one.rank)
        (only, *_) = alone["bm25"]
        assert [(one.name, one.rank, one.score, one.share) for one in only.lists] == [
            ("bm25", 1, only.score, only.score)
        ]

    def test_show_the_chunk_of_the_list_that_gave_most(self, searcher):
        for passage in searcher.search("ferry island", 9, mode="hybrid", variant="mean-causal"):
            best = passage.lists[0]
            mode, variant = ("bm25", None) if best.name == "bm25" else ("dense", best.name)
            alone = searcher.search("ferry island", 99, mode=mode, variant=variant)
            assert alone[best.rank - 1].chunk_id == passage.chunk_id
            assert best.share == max(one.share for one in passage.lists)


class TestListsOneByOne:
    def test_fused_they_are_the_hybrid_search(self, searcher):
        for query in QUERIES:
            rankings = [
                searcher.search_words(query),
                searcher.search_dense(query, variant="mean-causal"),
            ]
            whole = searcher.search(query, 5, mode="hybrid", variant="mean-causal")
            assert searcher.fuse(rankings, 5) == whole
            alone = searcher.search(query, 5, mode="bm25")
            assert searcher.fuse(rankings[:1], 5) == alone

    def test_a_query_may_still_be_typed(self, searcher):
        typed = searcher.fuse([searcher.search_words("distil", typing=True)])
        assert {passage.doc_id for passage in typed} == {"lab/autoclave.md", "lab/stores.pdf"}
        assert [typed[0].text[a:b].lower() for a, b in typed[0].marks] == ["distilled"]
        assert searcher.search_words("", typing=True).found == ()
        assert searcher.search_words('"', typing=True).found == ()
        assert searcher.search_dense("path:", variant="mean-causal", typing=True).found == ()
        with pytest.raises(BadInput, match="is not closed"):
            searcher.search_words('"distil')

    def test_no_lists_have_no_passages(self, searcher):
        assert searcher.fuse([]) == []

    def test_weights_count(self, searcher):
        differ = 0
        for query in QUERIES:
            rankings = [
                searcher.search_words(query),
                searcher.search_dense(query, variant="mean-causal"),
            ]
            for number, weights in enumerate(
                ({"bm25": 1, "mean-causal": 0}, {"bm25": 0.0, "mean-causal": 2.0})
            ):
                best = searcher.fuse([rankings[number]], 1)[0]
                fused = searcher.fuse(rankings, 1, fusion="weighted", weights=weights)[0]
                assert fused.lists[0].name == rankings[number].name
                scores = [one.score for one in rankings[number].found[:2]]
                assert fused.chunk_id == best.chunk_id or scores[0] == scores[1]
            differ += len({ranking.found[0].chunk for ranking in rankings}) > 1
        assert differ
        with pytest.raises(BadInput, match=r"^rrf knows no weights; choose --fusion weighted"):
            searcher.fuse(rankings, 1, weights={"bm25": 2.0})
        with pytest.raises(UnknownName, match="no fusion is called 'sum'"):
            searcher.fuse(rankings, 1, fusion="sum")


class TestPartlyEncoded:
    def test_what_is_encoded_is_found_and_the_rest_is_told_once(self, path, encoders, written):
        said = []
        searcher = open_searcher(path, say=said.append)
        name = "eos_last-bidirectional"
        for query in QUERIES:
            vector = query_vector(encoders, name, query)
            mine = searcher.search(query, 50, mode="dense", variant=name)
            assert_same(found(mine), brute_force(written, name, vector))
        assert said == [
            "1 of 3 segments are not encoded by eos_last-bidirectional yet; run searchkit index"
        ]

    def test_words_find_what_is_not_encoded(self, searcher):
        name = "eos_last-bidirectional"
        mine = searcher.search("autoclave", 9, mode="hybrid", variant=name)
        lists = {passage.doc_id: [one.name for one in passage.lists] for passage in mine}
        assert lists["lab/autoclave.md"] == ["bm25"]  # its paragraphs are in the segment 2
        assert "staff.md" not in lists and lists["radio.txt"] == [name]


class TestNothingEncoded:
    """An encoder that is known, as after compaction or a repair, but holds no vectors now."""

    @pytest.fixture
    def bare(self, copy, encoders):
        with Store.open(copy).writing() as draft:
            for part in Store.open(copy).names():
                if part.startswith("vectors."):
                    draft.remove(part)
            facts = encoders["mean-causal"].facts("mean-causal")
            draft.add(part_of("encoder", "mean-causal"), {"name": "mean-causal", **facts})
        return copy

    def test_dense_search_says_what_to_do(self, bare):
        searcher = open_searcher(bare)
        told = f"{bare} holds no vectors of mean-causal yet; run: searchkit index --name notes"
        for search in (
            lambda: searcher.search("ferry", mode="dense"),
            lambda: searcher.search_dense("ferry"),
        ):
            with pytest.raises(UnknownName) as caught:
                search()
            assert str(caught.value) == told

    def test_hybrid_search_is_bm25_and_says_so_once(self, bare):
        said = []
        searcher = open_searcher(bare, say=said.append)
        by_words = searcher.search("ferry", mode="bm25")
        assert searcher.search("ferry", mode="hybrid") == by_words
        assert searcher.search("ferry", mode="hybrid") == by_words != []
        assert said == [
            f"{bare} holds no vectors of mean-causal yet; run: searchkit index --name notes"
        ]

    def test_an_empty_index_finds_nothing_and_needs_nothing(self, tmp_path, encoders):
        path = tmp_path / "empty"
        write(path, {}, {})
        with Store.open(path).writing() as draft:
            facts = encoders["mean-causal"].facts("mean-causal")
            draft.add(part_of("encoder", "mean-causal"), {"name": "mean-causal", **facts})
        said = []
        searcher = open_searcher(path, say=said.append)
        for mode in ("bm25", "dense", "hybrid"):
            assert searcher.search("ferry", mode=mode) == []
        assert said == []


class TestGenerations:
    def replace(self, path, files, rows):
        """Commit another state of the index, as a writer in another process would."""
        elsewhere = path.parent / "elsewhere"
        write(elsewhere, files, rows)
        other = Store.open(elsewhere)
        with (store := Store.open(path)).writing() as draft:
            for part in store.names():
                draft.remove(part)
            for part in other.names():
                shutil.copytree(
                    other.part(part), draft.add(part, other.facts(part)), dirs_exist_ok=True
                )

    def test_a_searcher_keeps_what_it_opened_until_it_is_refreshed(self, copy):
        searcher = open_searcher(copy)
        before = searcher.search("ferry", 9, mode="bm25", per_document=False)
        ranking = searcher.search_words("ferry")
        self.replace(copy, {"new.md": [FERRY]}, {9: [FERRY]})
        assert searcher.search("ferry", 9, mode="bm25", per_document=False) == before
        assert searcher.refresh()
        assert [p.doc_id for p in searcher.search("ferry", 9, mode="bm25")] == ["new.md"]
        assert not searcher.refresh()
        # A list of the generation before is shown as it was found.
        assert {p.doc_id for p in searcher.fuse([ranking])} == {p.doc_id for p in before}

    def test_what_a_commit_leaves_alone_is_not_read_again(self, copy, monkeypatch):
        searcher = open_searcher(copy)
        how = {"mode": "dense", "variant": "mean-causal", "vector_index": "flat"}
        before = searcher.search("ferry", 9, **how)
        with Store.open(copy).writing() as draft:
            draft.add("note")
        read = []
        hashed = files.blake3_of
        monkeypatch.setattr(files, "blake3_of", lambda path: read.append(path) or hashed(path))
        assert searcher.refresh()
        assert searcher.search("ferry", 9, **how) == before
        assert read == []

    def test_what_was_replaced_before_it_was_opened_is_looked_for_in_the_newest(self, copy):
        searcher = open_searcher(copy)  # has opened neither texts nor words
        self.replace(copy, {"new.md": [FERRY]}, {9: [FERRY]})
        assert [p.doc_id for p in searcher.search("ferry", 9, mode="bm25")] == ["new.md"]

    def test_what_another_thread_refreshes_stays_open_while_it_is_read(self, copy, monkeypatch):
        searcher = open_searcher(copy)
        documents = Catalogue.documents

        def refreshed_meanwhile(catalogue, *given):
            self.replace(copy, {"new.md": [FERRY]}, {9: [FERRY]})
            assert searcher.refresh()
            return documents(catalogue, *given)

        monkeypatch.setattr(Catalogue, "documents", refreshed_meanwhile)
        assert searcher.document("tides.md").doc_id == "tides.md"

    def test_a_searcher_goes_on_through_many_commits(self, copy):
        searcher = open_searcher(copy)
        for number in range(8):
            self.replace(copy, {f"{number}.md": [FERRY]}, {number + 1: [FERRY]})
            shutil.rmtree(copy.parent / "elsewhere")
            mine = searcher.search("ferry", 9, mode="bm25")
            assert mine and all(passage.text in (FERRY, SUNDAY, CODE) for passage in mine)
            searcher.refresh()
            assert [p.doc_id for p in searcher.search("ferry", 9, mode="bm25")] == [f"{number}.md"]


def test_words_are_searched_without_what_vectors_need(path):
    code = (
        "import sys; from pathlib import Path\n"
        "from searchkit.search.live.retrieve import open_searcher\n"
        f"found = open_searcher(Path({str(path)!r})).search('ferry', mode='bm25')\n"
        "print(len(found), sorted({'numpy', 'torch', 'faiss'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, loaded = done.stdout.split(maxsplit=1)
    assert int(count) > 0 and loaded == "[]\n"


def test_threads_share_a_searcher(path):
    searcher = open_searcher(path)

    def search(query):
        return searcher.search(f"{query} -zebra", 5, mode="hybrid", variant="mean-causal")

    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(search, QUERIES * 4))
    assert together == [search(query) for query in QUERIES] * 4


class TestChoice:
    def test_is_bm25_where_no_model_was_trained(self, searcher):
        assert searcher.choose() == ("bm25", None)
        assert searcher.choose(variant="mean-causal") == ("dense", "mean-causal")
        assert searcher.choose("hybrid", "mean-causal") == ("hybrid", "mean-causal")

    def test_is_hybrid_with_the_one_trained_model(self, copy):
        row = variant_of("mean-causal").to_row() | {"weights": "mine"}
        with (store := Store.open(copy)).writing() as draft:
            folder = draft.add(encoded_part("vectors", "mine", 1))
            np.save(folder / "vectors.npy", np.zeros((4, 4), np.float32))
            facts = {"name": "mine", "segment": 1, "kind": "variant", "variant": row}
            draft.describe(encoded_part("vectors", "mine", 1), facts)
        searcher = open_searcher(copy)
        assert searcher.choose() == ("hybrid", "mine")
        assert searcher.choose("dense") == ("dense", "mine")
        assert searcher.choose(variant="mean-causal") == ("dense", "mean-causal")
        assert searcher.choose("bm25") == ("bm25", None)
        default.set_default(store, "dense", "mean-causal")
        searcher.refresh()
        assert searcher.choose() == ("dense", "mean-causal")
        assert searcher.choose("hybrid") == ("hybrid", "mean-causal")

    def test_several_need_a_name(self, searcher, path):
        for mode in ("dense", "hybrid"):
            with pytest.raises(BadInput) as caught:
                searcher.choose(mode)
            assert str(caught.value) == (
                f"{path} holds vectors of eos_last-bidirectional, mean-causal; choose with "
                "--variant"
            )

    def test_a_variant_that_is_not_there(self, searcher, path):
        with pytest.raises(UnknownName) as caught:
            searcher.choose("dense", "model1")
        assert str(caught.value) == (
            f"{path} holds vectors of eos_last-bidirectional, mean-causal, not of model1; choose "
            "one of them, or add it with: searchkit index ... --variant model1"
        )

    def test_words_have_no_vectors(self, searcher):
        for options in ({"variant": "mean-causal"}, {"vector_index": "hnsw"}):
            with pytest.raises(BadInput, match="--mode bm25 searches no vectors"):
                searcher.search("ferry", mode="bm25", **options)

    def test_an_index_of_words_alone(self, tmp_path):
        write(tmp_path / "words", {"a.md": [FERRY]}, {1: [FERRY]})
        searcher = open_searcher(tmp_path / "words")
        assert searcher.choose() == ("bm25", None)
        with pytest.raises(UnknownName, match="holds no vectors, only BM25"):
            searcher.search("ferry", mode="hybrid")


class TestErrors:
    @pytest.mark.parametrize("query", ["", " ", "\n\t"])
    def test_an_empty_query(self, searcher, query):
        with pytest.raises(BadInput, match=r"^the query is empty; type what to look for$"):
            searcher.search(query)

    def test_half_a_character(self, searcher):
        with pytest.raises(BadInput, match=r"^the query holds '\\udcff', which is not a character"):
            searcher.search("a\udcffb")

    def test_at_least_one_passage_is_asked_for(self, searcher):
        with pytest.raises(BadInput, match=r"^k is 0; ask for at least 1 passage$"):
            searcher.search("ferry", 0)

    def test_a_vector_index_that_was_not_built(self, searcher, path):
        with pytest.raises(UnknownName) as caught:
            searcher.search("ferry", variant="mean-causal", vector_index="rabitq")
        assert str(caught.value) == (
            f"{path} has no vector index 'rabitq' over mean-causal; there are: flat; build one "
            "with: searchkit index ... --vector-index"
        )

    def test_a_collection_is_not_a_folder(self, tmp_path):
        with Store.create_or_open(tmp_path / "other").writing() as draft:
            draft.corpus = {"name": "cacm"}
            draft.add("documents")
        with pytest.raises(BadInput, match="is not the index of a folder"):
            open_searcher(tmp_path / "other")
        with pytest.raises(UnknownName, match="there is no index"):
            open_searcher(tmp_path / "nothing")


def test_the_depth_of_a_fusion_is_enough_for_what_is_asked(searcher, monkeypatch):
    monkeypatch.setattr(retrieve, "DEPTH", 1)
    many = searcher.search("ferry water", 50, mode="hybrid", variant="mean-causal")
    assert len(many) == len(FILES)
