"""BM25 against the formula worked out in NumPy, against rank_bm25, bm25s and published figures."""

import gzip
import json
import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bm25s
import ir_measures
import numpy as np
import pytest
import Stemmer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ir_measures import nDCG
from rank_bm25 import BM25Plus

from searchkit.errors import BadInput
from searchkit.index.text import bm25
from searchkit.index.text.bm25 import Parameters

DATA = Path(__file__).parents[3] / "shared/data"
PLAIN = Parameters(stop_words="none", stemmer="none")
WORDS = ["aa", "bb", "cc", "dd", "ee", "ff"]
corpora = st.lists(st.lists(st.sampled_from(WORDS), max_size=7), min_size=1, max_size=12)


def indexed(texts, parameters=PLAIN):
    return bm25.build(texts, parameters)


def found(index, query, k=10, ids=None, n=None):
    """The ranking of one query as (id, score) pairs; without `ids`, n rows are r00, r01, …."""
    if ids is None:
        ids = [f"r{row:02d}" for row in range(n)]
    return [(hit.doc_id, hit.score) for hit in index.search([query], k, ids)[0]]


def lucene(documents, query, k1, b):
    """(N,) float64: the formula, term by term and document by document."""
    mean = np.mean([len(document) for document in documents])
    scores = np.zeros(len(documents))
    for term in query:
        df = sum(term in document for document in documents)
        idf = math.log(1 + (len(documents) - df + 0.5) / (df + 0.5))
        for row, document in enumerate(documents):
            tf = document.count(term)
            if tf:
                scores[row] += idf * tf / (tf + k1 * (1 - b + b * len(document) / mean))
    return scores


@settings(deadline=None, max_examples=80)
@given(
    documents=corpora,
    query=st.lists(st.sampled_from([*WORDS, "unknown"]), max_size=5),
    k1=st.sampled_from([0.0, 0.9, 1.5]),
    b=st.sampled_from([0.0, 0.4, 0.75, 1.0]),
)
def test_scores_are_those_of_the_formula(documents, query, k1, b):
    index = indexed(
        [" ".join(document) for document in documents], Parameters(k1, b, "none", "none")
    )
    expected = lucene(documents, query, k1, b)
    ranking = found(index, " ".join(query), k=100, n=len(documents))
    assert {doc_id for doc_id, _ in ranking} == {f"r{row:02d}" for row in np.flatnonzero(expected)}
    for doc_id, score in ranking:
        assert score == pytest.approx(expected[int(doc_id[1:])], rel=1e-5)
    assert ranking == sorted(ranking, key=lambda hit: (-hit[1], hit[0]))


@settings(deadline=None, max_examples=40)
@given(
    documents=corpora.filter(any), query=st.lists(st.sampled_from(WORDS), min_size=1, max_size=4)
)
def test_scores_are_rank_bm25s_with_another_idf(documents, query):
    # BM25+ without its bonus (delta 0) scores ln((N + 1) / df) (k1 + 1) tf / (tf + K). Lucene has
    # another idf and no (k1 + 1), so term by term the two differ by a factor of df and N alone.
    oracle = BM25Plus(documents, k1=1.5, b=0.75, delta=0)
    expected = np.zeros(len(documents))
    for term in query:
        df = sum(term in document for document in documents)
        if df:
            idf = math.log(1 + (len(documents) - df + 0.5) / (df + 0.5))
            factor = idf / math.log((len(documents) + 1) / df) / (1.5 + 1)
            expected += factor * oracle.get_scores([term])
    ranking = found(indexed([" ".join(d) for d in documents]), " ".join(query), n=len(documents))
    for doc_id, score in ranking:
        assert score == pytest.approx(expected[int(doc_id[1:])], rel=1e-5)
    assert len(ranking) == min(10, np.count_nonzero(expected))


TEXTS = [
    "The state-of-the-art is 2.0 of 1990, and naïve users' systems run",
    "a x_1 running runner ran RUNS",
    "",
    "的 中文文本 日本語",
    "İstanbul ﬁsh ǅ",
    "to be or not to be",
]


@pytest.mark.parametrize("stop_words", ["english", "none"])
@pytest.mark.parametrize("stemmer", ["english", "german", "none"])
def test_texts_become_the_terms_of_bm25s(stop_words, stemmer):
    parameters = Parameters(stop_words=stop_words, stemmer=stemmer)
    expected = bm25s.tokenize(
        TEXTS,
        stopwords="en" if stop_words == "english" else [],
        stemmer=None if stemmer == "none" else Stemmer.Stemmer(stemmer),
        return_ids=False,
        show_progress=False,
    )
    index = indexed(TEXTS, parameters)
    for text, terms in zip(TEXTS, expected, strict=True):
        assert index._query_terms(text) == terms
    ranked = bm25s.BM25(k1=1.5, b=0.75, method="lucene")
    ranked.index(expected, show_progress=False)
    for terms, text in zip(expected, TEXTS, strict=True):
        scores = ranked.get_scores(terms) if terms else np.zeros(len(TEXTS))
        ranking = found(index, text, n=len(TEXTS))
        assert dict(ranking) == {
            f"r{row:02d}": pytest.approx(score, rel=1e-6)
            for row, score in enumerate(scores.tolist())
            if score > 0
        }


def test_terms_are_runs_of_two_or_more_letters_and_digits_without_stop_words_and_stemmed():
    index = indexed([""], Parameters())
    assert index._query_terms(
        "The state-of-the-art of RUNNING systems, version 2.0 (v1.5, 1990)"
    ) == [
        "state",
        "art",
        "run",
        "system",
        "version",
        "v1",
        "1990",
    ]


@pytest.mark.parametrize(
    ("name", "expected", "within"),
    [
        ("scifact", 0.687, 0.003),  # published with bm25s
        ("cranfield", 0.382, 0.005),
        ("cacm", 0.494, 0.005),
        ("vaswani", 0.428, 0.005),
    ],
)
def test_known_collections_have_their_known_figures(name, expected, within):
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
    wanted = sorted({qrel.query_id for qrel in qrels})
    index = indexed((f"{d['title']} {d['text']}" for d in documents), Parameters())
    rankings = index.search(
        [queries[query_id] for query_id in wanted], 10, [d["_id"] for d in documents]
    )
    run = [
        ir_measures.ScoredDoc(query_id, hit.doc_id, hit.score)
        for query_id, ranking in zip(wanted, rankings, strict=True)
        for hit in ranking
    ]
    measured = ir_measures.calc_aggregate([nDCG @ 10], qrels, run)[nDCG @ 10]
    assert measured == pytest.approx(expected, abs=within)


@settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(documents=st.lists(st.lists(st.sampled_from(WORDS), max_size=7), max_size=12))
def test_a_saved_index_answers_as_before(documents, tmp_path):
    texts = [" ".join(document) for document in documents]
    ids = [f"d{row}" for row in range(len(texts))]
    index = indexed(texts, Parameters(1.2, 0.5, "none", "porter"))
    index.save(tmp_path)
    opened = bm25.open_saved(tmp_path)
    assert opened.parameters == Parameters(1.2, 0.5, "none", "porter")
    assert opened.search([*WORDS, "aa bb aa"], 5, ids) == index.search([*WORDS, "aa bb aa"], 5, ids)


def test_an_opened_index_can_be_saved_again_to_the_same_files(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    indexed(TEXTS, Parameters()).save(first)
    bm25.open_saved(first).save(second)
    files = sorted(path.name for path in first.iterdir())
    assert files == sorted(path.name for path in second.iterdir())
    for name in files:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_equal_texts_give_equal_files_in_every_process(tmp_path):
    build = (
        "import sys; from pathlib import Path; from searchkit.index.text import bm25;"
        "bm25.build([f'term{i} term{i * i % 97} words' for i in range(200)], bm25.Parameters())"
        ".save(Path(sys.argv[1]))"
    )
    contents = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        subprocess.run(
            [sys.executable, "-c", build, str(folder)],
            check=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        )
        contents.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert contents[0] == contents[1]


def test_a_cold_process_answers_without_the_libraries_that_only_a_build_needs(tmp_path):
    indexed(["running water", "still water"], Parameters()).save(tmp_path)
    ask = (
        "import sys; from pathlib import Path; from searchkit.index.text import bm25;"
        "print(bm25.open_saved(Path(sys.argv[1])).search(['ran runs'], 5, ['a', 'b']));"
        "print(sorted({'bm25s', 'faiss', 'torch', 'scipy', 'tqdm'} & set(sys.modules)))"
    )
    output = subprocess.run(
        [sys.executable, "-c", ask, str(tmp_path)], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert output[0].startswith("[[Hit(doc_id='a'")
    assert output[1] == "[]"


@pytest.mark.parametrize(
    "texts",
    [[], [""], ["", "the of and", "!"], ["", "water", "the"]],
    ids=["empty corpus", "empty text", "no terms at all", "some without terms"],
)
def test_corpora_with_few_or_no_terms_can_be_indexed(texts, tmp_path):
    index = indexed(texts, Parameters())
    index.save(tmp_path)
    for some in (index, bm25.open_saved(tmp_path)):
        ranking = found(some, "water of life", n=len(texts))
        assert [doc_id for doc_id, _ in ranking] == (["r01"] if "water" in texts else [])


@pytest.mark.parametrize("query", ["", "the of and", "unknown", "x", "!?", "THE"])
def test_a_query_without_known_terms_finds_nothing(query):
    assert found(indexed(["water of life", "the fire"], Parameters()), query, n=2) == []


def test_documents_without_a_term_of_the_query_are_not_returned():
    index = indexed(["fire water", "earth", "fire"])
    assert [doc_id for doc_id, _ in found(index, "fire", k=100, n=3)] == ["r02", "r00"]


@given(ids=st.permutations([f"d{row}" for row in range(9)]), k=st.integers(1, 12))
def test_ties_are_in_the_order_of_their_ids_also_across_the_cut(ids, k):
    texts = ["fire"] * 5 + ["fire fire"] + ["water"] * 3
    ranking = [doc_id for doc_id, _ in found(indexed(texts), "fire", k=k, ids=ids)]
    assert ranking == [ids[5], *sorted(ids[:5])][:k]


def test_a_term_asked_twice_counts_twice():
    index = indexed(["fire", "water earth"])
    (_, once), (_, twice) = found(index, "fire", n=2)[0], found(index, "fire fire", n=2)[0]
    assert twice == pytest.approx(2 * once)


def test_threads_get_the_answers_of_one_thread():
    index = indexed([f"running number{row} systems" for row in range(50)], Parameters())
    ids = [str(row) for row in range(50)]
    queries = [f"runs numbers number{row} systematically" for row in range(50)]
    expected = [index.search([query], 3, ids) for query in queries]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda query: index.search([query], 3, ids), queries)) == expected


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"k1": -0.1}, "k1 is -0.1"),
        ({"k1": math.nan}, "k1 is nan"),
        ({"b": 1.5}, "b is 1.5"),
        ({"stop_words": "klingon"}, "'klingon'; there are: english, none"),
        ({"stemmer": "klingon"}, "'klingon'; there are: none, arabic, .*english"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(wrong, said):
    with pytest.raises(BadInput, match=said):
        Parameters(**wrong)


def test_a_search_needs_a_depth_and_the_id_of_every_document():
    index = indexed(["fire", "water"])
    with pytest.raises(ValueError, match="k is 0"):
        index.search(["fire"], 0, ["a", "b"])
    with pytest.raises(ValueError, match="1 ids for 2 documents"):
        index.search(["fire"], 5, ["a"])
