"""The handbook collection keeps the shape that its README describes."""

import csv
import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
import Stemmer
from bm25s.stopwords import STOPWORDS_EN

HANDBOOK = Path(__file__).parents[2] / "corpora" / "handbook"


def read_jsonl(name: str) -> list[dict[str, Any]]:
    lines = (HANDBOOK / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def read_qrels() -> list[tuple[str, str, int]]:
    with (HANDBOOK / "qrels" / "test.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    assert rows[0] == ["query-id", "corpus-id", "score"]
    return [(query, document, int(score)) for query, document, score in rows[1:]]


CORPUS = read_jsonl("corpus.jsonl")
QUERIES = read_jsonl("queries.jsonl")
QRELS = read_qrels()
PARAPHRASES = [query for query in QUERIES if query["metadata"]["kind"] == "paraphrase"]


def content_stems(text: str) -> set[str]:
    words = set(re.findall(r"\b\w\w+\b", text.lower())) - set(STOPWORDS_EN)
    return set(Stemmer.Stemmer("english").stemWords(sorted(words)))


def test_ids_titles_and_texts_are_unique() -> None:
    for field in ("_id", "title", "text"):
        assert len({document[field] for document in CORPUS}) == len(CORPUS)
    for field in ("_id", "text"):
        assert len({query[field] for query in QUERIES}) == len(QUERIES)


def test_documents_are_many_and_of_moderate_length() -> None:
    assert len(CORPUS) >= 165
    assert len({document["_id"].split("-")[0] for document in CORPUS}) >= 10
    lengths = {document["_id"]: len(document["text"].split()) for document in CORPUS}
    assert {name: n for name, n in lengths.items() if not 50 <= n <= 160} == {}


def test_every_kind_of_query_is_well_represented() -> None:
    kinds = Counter(query["metadata"]["kind"] for query in QUERIES)
    assert set(kinds) == {"keyword", "paraphrase", "question"}
    assert min(kinds.values()) >= 32


def test_query_ids_and_keyword_lengths_follow_the_kind() -> None:
    first_letters = {"keyword": "k", "paraphrase": "p", "question": "q"}
    for query in QUERIES:
        kind = query["metadata"]["kind"]
        assert query["_id"].startswith(first_letters[kind])
        assert kind != "keyword" or 2 <= len(query["text"].split()) <= 4, query


def test_judgements_name_existing_queries_and_documents_once() -> None:
    pairs = [(query, document) for query, document, _ in QRELS]
    assert len(set(pairs)) == len(pairs)
    assert {query for query, _ in pairs} <= {query["_id"] for query in QUERIES}
    assert {document for _, document in pairs} <= {document["_id"] for document in CORPUS}


def test_every_query_has_an_answer_among_at_most_five_positives() -> None:
    assert {score for _, _, score in QRELS} == {0, 1, 2}
    answered = {query for query, _, score in QRELS if score == 2}
    assert answered == {query["_id"] for query in QUERIES}
    positives = Counter(query for query, _, score in QRELS if score > 0)
    assert max(positives.values()) <= 5


@pytest.mark.parametrize("query", PARAPHRASES, ids=lambda query: query["_id"])
def test_paraphrase_shares_no_content_stem_with_its_positives(query: dict[str, Any]) -> None:
    texts = {document["_id"]: f"{document['title']} {document['text']}" for document in CORPUS}
    positives = [name for key, name, score in QRELS if key == query["_id"] and score > 0]
    shared: defaultdict[str, set[str]] = defaultdict(set)
    for name in positives:
        shared[name] |= content_stems(query["text"]) & content_stems(texts[name])
    assert not any(shared.values()), dict(shared)
