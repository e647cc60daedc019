"""Searches over HTTP, checked against the source itself."""

import base64
import json
import struct
import threading

import numpy as np
import pytest

from searchkit.search.reranking import Reranker
from searchkit.search.source import open_source
from searchkit.serve.client import ServerError
from searchkit.serve.searching import TEXT
from tests.serve.conftest import DOCUMENTS, FILES


@pytest.fixture
def both(serve, notes, manual):
    return serve(notes.path, manual)


@pytest.mark.parametrize("mode", ["bm25", "dense", "hybrid"])
def test_every_mode_gives_what_the_index_gives(both, notes, manual, mode):
    variant = None if mode == "bm25" else "mean-causal"
    with both.client() as client:
        for path in (notes.path, manual):
            expected = open_source(path).find("ferry water", 5, mode=mode, variant=variant)
            found = client.search(path.name, "ferry water", k=5, mode=mode, variant=variant)
            assert [(one["doc_id"], one["rank"]) for one in found["results"]] == [
                (one.doc_id, one.rank) for one in expected
            ]
            scores = [one["score"] for one in found["results"]]
            assert scores == pytest.approx([one.score for one in expected], abs=1e-5)
            assert found["system"]["mode"] == mode


def test_a_result_says_where_it_stands_and_no_folder_of_this_machine(both, notes):
    with both.client() as client:
        (found,) = client.search("notes", "distilled", k=1)["results"]
    assert found["doc_id"] == "lab/autoclave.md"
    assert found["trail"] == ["Autoclave", "After the run"]
    line = FILES["lab/autoclave.md"].splitlines()[found["line"] - 1]
    assert "distilled" in line
    assert found["place"] == f"lab/autoclave.md:{found['line']}"
    assert [found["text"][a:b] for a, b in found["marks"]] == ["distilled"]
    assert str(notes.folder) not in json.dumps(found)


def test_a_long_document_is_cut_to_where_the_words_are(both):
    with both.client() as client:
        found = client.search("manual", "ferry", mode="bm25")["results"]
        (long,) = [one for one in found if one["doc_id"] == "d1"]
        assert len(long["text"]) == TEXT
        assert [long["text"][a:b] for a, b in long["marks"]] == ["ferry"]
        whole = DOCUMENTS[2][2]
        assert whole[long["start"] :].startswith(long["text"])


def test_filters_hold_and_are_refused_where_there_are_none(both):
    with both.client() as client:
        found = client.search("notes", "the", mode="bm25", path=["boats/"])["results"]
        assert [one["doc_id"] for one in found] == ["boats/ferry.txt"]
        assert client.search("notes", "the", format=["pdf"])["results"] == []
        assert client.search("notes", "sea", after="2000")["results"]
        with pytest.raises(ServerError, match="422: manual is the index of a collection"):
            client.search("manual", "ferry", path=["boats/"])
        with pytest.raises(ServerError, match="422: after 'soon' is no date; write 2024"):
            client.search("notes", "ferry", after="soon")
        with pytest.raises(ServerError, match="swap them"):
            client.search("notes", "ferry", after="2024", before="2023")


def test_two_ways_are_compared_in_one_request(both):
    with both.client() as client:
        found = client.search(
            "manual",
            "ferry water",
            mode="dense",
            variant="mean-causal",
            compare=("dense", "eos_last-bidirectional"),
        )
        alone = client.search("manual", "ferry water", mode="dense", variant="mean-causal")
    assert found["compared"]["system"]["variant"] == "eos_last-bidirectional"
    assert {one["doc_id"] for one in found["results"]} == {
        one["doc_id"] for one in found["compared"]["results"]
    }
    assert found["results"] == alone["results"]


def test_shares_add_up_to_the_score(both):
    with both.client() as client:
        found = client.search("notes", "ferry water", mode="hybrid", explain=True)
        assert "bm25 and mean-causal" in found["explanation"]
        for one in found["results"]:
            assert sum(listed["share"] for listed in one["lists"]) == pytest.approx(one["score"])


def test_what_is_typed_so_far_finds_words_that_begin_so(both):
    with both.client() as client:
        found = client.search("notes", "distil", mode="bm25", typing=True)["results"]
        assert [one["doc_id"] for one in found] == ["lab/autoclave.md"]
        assert client.search("notes", '"high wat', mode="hybrid", typing=True)["results"]
        assert client.search("notes", "", typing=True)["results"] == []
        assert client.search("manual", "", typing=True)["results"] == []
        with pytest.raises(ServerError, match="422: the query is empty"):
            client.search("notes", " ")


def test_literal_words_are_no_operators(both):
    with both.client() as client:
        with pytest.raises(ServerError, match="only says what not to find"):
            client.search("notes", "-ferry", mode="bm25")
        found = client.search("notes", "-ferry", mode="bm25", literal=True)["results"]
        assert [one["doc_id"] for one in found] == ["boats/ferry.txt"]


def test_the_address_of_a_search_finds_the_same(both):
    with both.client() as client, both.http() as http:
        answer = http.get("/api/indexes/notes/search", params={"q": "ferry", "k": 2})
        found = client.search("notes", "ferry", k=2)
        assert answer.json()["results"] == found["results"]
        assert answer.headers["x-index-generation"] == found["generation"]


def test_equal_requests_are_computed_once(both):
    with both.client() as client:
        first = client.search("notes", "ferry")
        again = client.search("notes", "ferry")
        other = client.search("notes", "ferry", k=9)
    assert (first["cached"], again["cached"], other["cached"]) == (False, True, False)
    assert first["results"] == again["results"]


def test_queries_of_many_are_encoded_together(both, manual):
    batcher = both.shelf.batcher(both.shelf.get("manual").now().source.store, "mean-causal")
    holding, go = threading.Event(), threading.Event()
    prepare = batcher.encoder.encode_prepared if batcher.encoder else None
    if prepare is None:  # no default of this index has loaded it yet
        batcher.submit("warm up", "query").result(60)
        prepare = batcher.encoder.encode_prepared

    def slow(prepared):
        holding.set()
        assert go.wait(60)
        return prepare(prepared)

    batcher.encoder.encode_prepared = slow
    queries = [f"ferry number {n}" for n in range(20)]
    found: dict[str, list] = {}

    def ask(query):
        with both.client() as client:
            answer = client.search("manual", query, mode="dense", variant="mean-causal")
            found[query] = answer["results"]

    threads = [threading.Thread(target=ask, args=[query]) for query in queries]
    threads[0].start()
    assert holding.wait(60)
    for thread in threads[1:]:
        thread.start()
    while batcher.waiting() < 19:
        pass
    go.set()
    for thread in threads:
        thread.join()
    assert batcher.work.sizes[19] == 1  # those that came while the first was computed
    alone = open_source(manual)
    for query in queries:
        expected = alone.find(query, 10, mode="dense", variant="mean-causal")
        assert [one["doc_id"] for one in found[query]] == [one.doc_id for one in expected]
        scores = [one["score"] for one in found[query]]
        assert scores == pytest.approx([one.score for one in expected], abs=1e-4)


def test_documents_are_listed_page_by_page(both):
    with both.client() as client, both.http() as http:
        assert [one["doc_id"] for one in client.documents("notes")] == sorted(FILES)
        page = http.get("/api/indexes/manual/documents", params={"limit": 2}).json()
        assert [one["doc_id"] for one in page["documents"]] == ["d7", "a/b?c=d&e#f"]
        rest = http.get(
            "/api/indexes/manual/documents", params={"after": page["next"], "limit": 2}
        ).json()
        assert ([one["doc_id"] for one in rest["documents"]], rest["next"]) == (["d1"], None)
        assert [one["doc_id"] for one in client.documents("manual")] == ["d7", "a/b?c=d&e#f", "d1"]


def test_a_document_and_stretches_of_it(both):
    with both.client() as client:
        whole = client.document("notes", "my notes/radio.md")
        assert whole["text"] == FILES["my notes/radio.md"].rstrip()
        assert (whole["format"], whole["length"]) == ("markdown", len(whole["text"]))
        span = client.span("notes", "my notes/radio.md", 2, 7)
        assert (span["text"], span["start"], span["end"]) == ("Radio", 2, 7)
        assert (span["format"], span["language"]) == ("markdown", whole["language"])
        assert client.span("notes", "my notes/radio.md", 500, 900)["text"] == ""
        assert client.document("manual", "a/b?c=d&e#f")["title"] == "Autoclave"
        (passage,) = client.passages("notes", "my notes/radio.md", "sea")
        assert whole["text"][passage["start"] :].startswith(passage["text"])
        with pytest.raises(ServerError, match="422: end is 1, before start"):
            client.span("notes", "my notes/radio.md", 2, 1)
        with pytest.raises(ServerError, match="404"):
            client.document("notes", "../../etc/passwd")


def test_what_an_index_tells_of_itself(both):
    with both.client() as client:
        told = {one["name"]: one for one in client.indexes()}
        assert {name: one["kind"] for name, one in told.items()} == {
            "manual": "collection",
            "notes": "folder",
        }
        assert told["notes"]["encoders"] == ["mean-causal"]
        assert {"text": "format:markdown", "note": "2 documents"} in told["notes"]["filters"]
        more = client.index("notes")
        assert more["files"]["indexed"] == 3
        assert more["encoded"] == {"mean-causal": [more["passages"], more["passages"]]}
        assert more["modified"] > 1e9
        with pytest.raises(ServerError, match="404: no index 'other' is served; there are: manual"):
            client.index("other")


def test_judgements_are_kept_and_read(both, home):
    with both.client() as client:
        client.judge("notes", "ferry", "boats/ferry.txt", 2)
        client.judge("notes", "ferry", "boats/ferry.txt", 3)
        assert client.judgements("notes") == [
            {"query": "ferry", "doc_id": "boats/ferry.txt", "grade": 3, "literal": False}
        ]
        with pytest.raises(ServerError, match="404"):
            client.judge("notes", "ferry", "nowhere.txt", 1)
        with pytest.raises(ServerError, match="422: grade"):
            client.judge("notes", "ferry", "boats/ferry.txt", 4)
    assert len((home / "judgements" / "notes.jsonl").read_text().splitlines()) == 2


def test_embeddings_are_those_of_the_encoder(both, tiny_variants):
    from searchkit.encode.loading import open_embedders

    texts = ["The ferry leaves.", "Sheep", "The ferry leaves."]
    (embedder,) = open_embedders(tiny_variants[:1], dtype="float32")
    with both.client() as client, both.http() as http:
        for role in ("query", "passage"):
            expected = embedder.encode(texts, role).vectors["mean-causal"]
            found = client.embeddings("notes/mean-causal", texts, input_type=role)
            np.testing.assert_allclose(found, expected, atol=1e-5)
        short = client.embeddings("mean-causal", texts, dimensions=5)
        cut = expected[:, :5] / np.linalg.norm(expected[:, :5], axis=1, keepdims=True)
        np.testing.assert_allclose(short, cut, atol=1e-5)
        asked = {"model": "mean-causal", "input": "Sheep"}
        numbers = http.post("/v1/embeddings", json=asked).json()
        packed = http.post("/v1/embeddings", json={**asked, "encoding_format": "base64"}).json()
        content = base64.b64decode(packed["data"][0]["embedding"])
        np.testing.assert_allclose(
            struct.unpack(f"<{len(content) // 4}f", content), numbers["data"][0]["embedding"]
        )
        assert numbers["usage"]["prompt_tokens"] == embedder.encode(["Sheep"]).tokens
        names = [one["id"] for one in http.get("/v1/models").json()["data"]]
        assert {"mean-causal", "notes/mean-causal", "manual/eos_last-bidirectional"} <= {*names}
        with pytest.raises(ServerError, match="422: dimensions is 999"):
            client.embeddings("mean-causal", texts, dimensions=999)
        with pytest.raises(ServerError, match="422: input 1 is empty"):
            client.embeddings("mean-causal", ["a", " "])
        with pytest.raises(ServerError, match="404: no model 'gpt' is served"):
            client.embeddings("gpt", ["a"])


def test_encoders_beside_those_of_indexes_embed_too(serve, manual, tiny_variants):
    from searchkit.encode.loading import open_embedders

    own = {"mine": lambda: next(open_embedders(tiny_variants[:1], dtype="float32"))}
    server = serve(manual, extra={"mean-causal": own["mine"]})
    with server.client() as client:
        (vector,) = client.embeddings("mean-causal", ["Sheep"])
        assert len(vector) == 32


class Longest:
    """A reranker to which the longest text is the best."""

    fingerprint = "longest"

    def score(self, query, passages):
        return [float(len(one)) for one in passages]

    def truncated(self, query, passages):
        return 0


def test_a_query_without_words_is_not_reranked(serve, notes):
    server = serve(notes.path, rerankers={"longest": lambda: Reranker("longest", Longest())})
    how = {"mode": "bm25", "rerank": "longest", "k": 1}
    with server.client() as client:
        found = client.search("notes", "the", **how)
        assert found["system"]["rerank"] == "longest"
        assert len(found["results"]) == 1
        with pytest.raises(ServerError, match="422: the query has no words that passages could be"):
            client.search("notes", "format:markdown", **how)
        found = client.search("notes", "format:markdown", typing=True, **how)
        assert found["system"]["rerank"] is None
        assert len(found["results"]) <= 1


def test_what_of_a_typed_query_cannot_be_read_is_noted(both):
    with both.client() as client:
        (note,) = client.search("notes", '"high water', typing=True, mode="bm25")["notes"]
        assert "is not closed" in note
        assert client.search("notes", "high water", typing=True, mode="bm25")["notes"] == []
