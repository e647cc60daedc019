"""Every vector index keeps the same promises; NumPy's brute force is the oracle."""

import math

import faiss
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from searchkit import catalog
from searchkit.errors import CorruptFile
from searchkit.index.ranking import top

FOLDER = "searchkit.index.vector"
every_index = pytest.mark.parametrize("name", catalog.names(FOLDER))
few_examples = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def unit(vectors):
    vectors = np.asarray(vectors, np.float32)
    return np.ascontiguousarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def clustered(n, dim, seed):
    """Unit vectors around 30 centres: near neighbours are near, as those of texts are."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(30, dim))
    return unit(centres[rng.integers(30, size=n)] + 0.6 * rng.normal(size=(n, dim)))


def exact(vectors, queries):
    """(Q, N) float32: inner products summed in float64."""
    return (queries.astype(np.float64) @ vectors.astype(np.float64).T).astype(np.float32)


@st.composite
def small_corpora(draw):
    """Up to 60 vectors, many of them equal, and three queries."""
    n = draw(st.integers(1, 60))
    dim = draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    different = rng.normal(size=(draw(st.integers(1, n)), dim))
    vectors = unit(different[rng.integers(len(different), size=n)])
    return vectors, unit(rng.normal(size=(3, dim)))


@pytest.fixture(scope="module")
def corpus():
    return clustered(3000, 24, seed=1), clustered(60, 24, seed=2)


@pytest.fixture(scope="module")
def built(corpus):
    """Every index over the corpus, built once."""
    return {name: catalog.load(FOLDER, name).build(corpus[0]) for name in catalog.names(FOLDER)}


@every_index
def test_scores_are_true_inner_products_in_descending_order(name, corpus, built):
    vectors, queries = corpus
    scores, rows = built[name].search(queries, 20)
    assert scores.dtype == np.float32
    assert rows.dtype == np.int64
    np.testing.assert_array_max_ulp(
        scores, np.take_along_axis(exact(vectors, queries), rows, axis=1), maxulp=1
    )
    assert (np.diff(scores, axis=1) <= 0).all()
    assert all(len(set(found)) == 20 for found in rows.tolist())


def test_scores_of_long_vectors_are_rounded_once():
    vectors = clustered(100, 1000, seed=1)
    scores, rows = catalog.load(FOLDER, "flat").build(vectors).search(vectors[:5], 100)
    for query, some, found in zip(vectors.astype(float), scores, rows, strict=False):
        sums = [math.fsum(query * vectors[row].astype(float)) for row in found]
        assert some.tolist() == np.array(sums, np.float32).tolist()


@every_index
def test_most_of_the_true_nearest_are_found(name, corpus, built):
    vectors, queries = corpus
    truth = np.argsort(-exact(vectors, queries), axis=1)[:, :10]
    rows = built[name].search(queries, 10)[1]
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(truth, rows, strict=True)])
    assert recall >= {"flat": 1.0}.get(name, 0.97)


def test_vectors_whose_variance_sits_in_few_dimensions_are_found_by_their_bits():
    stretch = np.ones(128, np.float32)
    stretch[:4] = 30, 20, 15, 10
    vectors = unit(clustered(4000, 128, seed=1) * stretch)
    queries = unit(clustered(60, 128, seed=2) * stretch)
    truth = np.argsort(-exact(vectors, queries), axis=1)[:, :10]
    rows = catalog.load(FOLDER, "rabitq").build(vectors).search(queries, 10)[1]
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(truth, rows, strict=True)])
    assert recall >= 0.98  # without the rotation, 0.84


@every_index
@few_examples
@given(small=small_corpora(), k=st.integers(1, 70))
def test_any_small_corpus_gives_k_rows_or_all_of_them(name, small, k):
    vectors, queries = small
    scores, rows = catalog.load(FOLDER, name).build(vectors).search(queries, k)
    found = min(k, len(vectors))
    assert scores.shape == rows.shape == (3, k)
    assert (rows[:, :found] >= 0).all()
    assert (rows[:, found:] == -1).all()
    assert (scores[:, found:] == -np.inf).all()
    assert all(len(set(some)) == found for some in rows[:, :found].tolist())


@every_index
@few_examples
@given(small=small_corpora(), k=st.integers(1, 70))
def test_rankings_are_those_of_brute_force_with_ties_in_the_order_of_ids(name, small, k):
    vectors, queries = small
    ids = [f"d{(7 * row) % 61}" for row in range(len(vectors))]  # in another order than the rows
    search = catalog.load(FOLDER, name).build(vectors).search
    # Row by row, so that equal vectors have equal scores here too.
    truth = np.array([[exact(v[None], q[None])[0, 0] for v in vectors] for q in queries])
    for hits, scores in zip(top(search, queries, k, ids), truth, strict=True):
        expected = sorted(zip((-scores).tolist(), ids, strict=True))[:k]
        assert [hit.rank for hit in hits] == list(range(1, len(expected) + 1))
        np.testing.assert_allclose(
            [-hit.score for hit in hits], [s for s, _ in expected], atol=1e-7
        )
        assert [hit.doc_id for hit in hits] == [doc_id for _, doc_id in expected]


@every_index
def test_equal_vectors_are_all_found_and_the_cut_keeps_the_smallest_ids(name):
    vectors = np.repeat(unit([[1.0, 2.0, 3.0, 4.0]]), 500, axis=0)
    ids = [f"{499 - row:03d}" for row in range(500)]
    (hits,) = top(catalog.load(FOLDER, name).build(vectors).search, vectors[:1], 5, ids)
    assert [hit.doc_id for hit in hits] == ["000", "001", "002", "003", "004"]


@every_index
def test_a_score_depends_neither_on_k_nor_on_the_other_queries(name, corpus, built):
    queries = corpus[1]
    together = built[name].search(queries, 30)
    for place, query in enumerate(queries):
        alone = built[name].search(query[None], 7)
        known = dict(zip(together[1][place].tolist(), together[0][place].tolist(), strict=True))
        for row, score in zip(alone[1][0].tolist(), alone[0][0].tolist(), strict=True):
            assert known.get(row, score) == score


@every_index
def test_a_saved_index_answers_as_before(name, corpus, built, tmp_path):
    vectors, queries = corpus
    built[name].save(tmp_path)
    opened = catalog.load(FOLDER, name).open_saved(tmp_path, vectors)
    for k in (1, 10, 200):
        for before, after in zip(
            built[name].search(queries, k), opened.search(queries, k), strict=True
        ):
            np.testing.assert_array_equal(before, after)
    again = tmp_path / "again"
    again.mkdir()
    opened.save(again)
    for path in again.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes()


@every_index
def test_equal_vectors_give_equal_files_whatever_the_number_of_threads(name, tmp_path):
    vectors = clustered(800, 24, seed=3)
    module = catalog.load(FOLDER, name)
    before = faiss.omp_get_max_threads()
    contents = []
    for threads in (1, 2, 2):
        folder = tmp_path / str(len(contents))
        folder.mkdir()
        faiss.omp_set_num_threads(threads)
        try:
            module.build(vectors).save(folder)
            assert faiss.omp_get_max_threads() == threads
        finally:
            faiss.omp_set_num_threads(before)
        contents.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert contents[0] == contents[1] == contents[2]


@every_index
def test_vectors_mapped_read_only_from_a_file_stay_as_they_are(name, tmp_path):
    vectors = clustered(300, 12, seed=4)
    np.save(tmp_path / "vectors.npy", vectors)
    before = (tmp_path / "vectors.npy").read_bytes()
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    index = catalog.load(FOLDER, name).build(mapped)
    index.save(tmp_path)
    opened = catalog.load(FOLDER, name).open_saved(tmp_path, mapped)
    np.testing.assert_array_equal(index.search(vectors, 3)[1], opened.search(vectors, 3)[1])
    assert (index.search(vectors, 1)[1][:, 0] == np.arange(300)).all()
    assert (tmp_path / "vectors.npy").read_bytes() == before


@every_index
def test_the_vectors_are_not_stored_a_second_time(name, corpus, built, tmp_path):
    built[name].save(tmp_path)
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert corpus[0][17].tobytes() not in stored


@every_index
@pytest.mark.parametrize("n", [1, 2, 50, 77, 78, 700])
def test_nothing_is_printed(name, n, tmp_path, capfd):
    vectors = clustered(n, 13, seed=5)
    index = catalog.load(FOLDER, name).build(vectors)
    index.save(tmp_path)
    catalog.load(FOLDER, name).open_saved(tmp_path, vectors).search(vectors, 3)
    assert capfd.readouterr() == ("", "")


@every_index
def test_no_queries_give_no_rows(name, built):
    scores, rows = built[name].search(np.empty((0, 24), np.float32), 5)
    assert scores.shape == rows.shape == (0, 5)


@every_index
@pytest.mark.parametrize(
    ("queries", "k", "said"),
    [
        (np.ones((2, 23), np.float32), 5, r"\(2, 23\) float32, not \(Q, 24\)"),
        (np.ones(24, np.float32), 5, r"\(24,\) float32"),
        (np.ones((2, 24)), 5, "float64"),
        (np.full((1, 24), np.nan, np.float32), 5, "NaN"),
        (np.ones((2, 24), np.float32), 0, "k is 0"),
    ],
)
def test_queries_that_cannot_be_answered_are_refused(name, built, queries, k, said):
    with pytest.raises(ValueError, match=said):
        built[name].search(queries, k)


@every_index
@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        (np.empty((0, 8), np.float32), r"\(0, 8\)"),
        (np.ones(8, np.float32), r"\(8,\)"),
        (np.ones((4, 8)), "float64"),
        (np.ones((8, 4), np.float32).T, "contiguous"),
    ],
)
def test_vectors_that_cannot_be_indexed_are_refused(name, vectors, said):
    with pytest.raises(ValueError, match=said):
        catalog.load(FOLDER, name).build(vectors)


@pytest.mark.parametrize("name", [name for name in catalog.names(FOLDER) if name != "flat"])
def test_a_file_that_faiss_cannot_read_or_of_other_vectors_is_named(name, tmp_path):
    module = catalog.load(FOLDER, name)
    vectors = clustered(90, 8, seed=6)
    module.build(vectors).save(tmp_path)
    file = tmp_path / f"{name}.faiss"
    with pytest.raises(CorruptFile, match=rf"{name}\.faiss indexes 90 vectors of 8 dim.* 89 of 8"):
        module.open_saved(tmp_path, vectors[:-1])
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(CorruptFile, match=rf"{name}\.faiss is not a FAISS index") as caught:
        module.open_saved(tmp_path, vectors)
    assert "\n" not in str(caught.value)
    file.unlink()
    with pytest.raises(CorruptFile, match=rf"{name}\.faiss is not a FAISS index"):
        module.open_saved(tmp_path, vectors)
