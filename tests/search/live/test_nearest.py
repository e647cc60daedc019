"""Neighbours over several segments are those of brute force, whatever may be found and however."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from searchkit.index.vector import flat, hnsw, rabitq
from searchkit.search.live import nearest
from searchkit.search.live.nearest import Encoded, Nearest

SIZES = {3: 40, 5: 1, 11: 90}  # rows by segment


def unit(rows, seed, dim=8):
    """Unit vectors of few different directions, so that many scores are equal."""
    whole = np.random.default_rng(seed).integers(-1, 2, (rows, dim)).astype(np.float32)
    whole[:, 0] = 1
    return whole / np.linalg.norm(whole, axis=1, keepdims=True)


VECTORS = {segment: unit(size, seed=segment) for segment, size in SIZES.items()}


def masks(draw_from):
    """Which rows may be found: all, some, few or none."""
    return {
        segment: np.array(draw_from.draw(st.lists(st.booleans(), min_size=size, max_size=size)))
        if draw_from.draw(st.booleans())
        else np.full(size, draw_from.draw(st.sampled_from([True, True, False])))
        for segment, size in SIZES.items()
    }


def brute_force(query, wanted, count):
    """The oracle: (score, segment, row) of the best, and of all that tie with the last."""
    scored = sorted(
        (-np.float32(vector.astype(np.float64) @ query.astype(np.float64)), segment, row)
        for segment, vectors in VECTORS.items()
        for row, vector in enumerate(vectors)
        if wanted[segment][row]
    )
    last = scored[:count][-1][0] if scored else 0
    return [(-score, segment, row) for score, segment, row in scored if score <= last]


@settings(max_examples=60)
@given(data=st.data(), count=st.integers(1, 150), seed=st.integers(0, 30))
def test_the_best_wanted_rows_of_all_segments_are_found(data, count, seed):
    """Equal ones come whole, in the order of segment and row; the rest of a file plays no part."""
    wanted = masks(data)
    (query,) = unit(1, seed)
    for few, kinds in ((nearest._FEW_ROWS, False), (2, True)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(nearest, "_FEW_ROWS", few)
            segments = [
                Encoded(segment, vectors, flat.build(vectors) if kinds else None)
                for segment, vectors in VECTORS.items()
            ]
            found = Nearest(segments, query, wanted).best(count)
        assert [(one.score, one.segment, one.row) for one in found] == brute_force(
            query, wanted, count
        )


def test_asking_for_more_begins_with_what_was_there():
    (query,) = unit(1, 5)
    segments = [Encoded(segment, vectors) for segment, vectors in VECTORS.items()]
    wanted = {segment: np.ones(size, np.bool_) for segment, size in SIZES.items()}
    search = Nearest(segments, query, wanted)
    few, more = search.best(4), search.best(60)
    assert more[: len(few)] == few and len(more) >= 60


@settings(max_examples=40)
@given(data=st.data(), count=st.integers(1, 60), indexed=st.booleans())
def test_what_is_narrowed_finds_what_a_new_search_does(data, count, indexed):
    (query,) = unit(1, 5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nearest, "_FEW_ROWS", 2)
        segments = [
            Encoded(segment, vectors, flat.build(vectors) if indexed else None)
            for segment, vectors in VECTORS.items()
        ]
        wanted = masks(data)
        search = Nearest(segments, query, wanted)
        search.best(count)
        fewer = {segment: mask & wanted[segment] for segment, mask in masks(data).items()}
        search.narrow(fewer)
        found = search.best(count)
    assert [(one.score, one.segment, one.row) for one in found] == brute_force(query, fewer, count)


def test_a_segment_of_which_nothing_is_known_is_left_out():
    (query,) = unit(1, 5)
    segments = [Encoded(segment, vectors) for segment, vectors in VECTORS.items()]
    found = Nearest(segments, query, {3: np.ones(40, np.bool_)}).best(1000)
    assert {one.segment for one in found} == {3} and len(found) == 40
    assert Nearest([], query, {}).best(3) == []


@pytest.mark.parametrize("kind", [hnsw, rabitq])
@pytest.mark.parametrize("share", [0.9, 0.3, 0.02])
def test_a_filter_is_filled_through_a_vector_index(monkeypatch, kind, share):
    monkeypatch.setattr(nearest, "_FEW_ROWS", 10)
    random = np.random.default_rng(1)
    vectors = random.standard_normal((2000, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    wanted = random.random(2000) < share
    query = vectors[7]
    found = Nearest([Encoded(1, vectors, kind.build(vectors))], query, {1: wanted}).best(12)
    assert len(found) >= 12 and all(wanted[one.row] for one in found)
    scores = vectors.astype(np.float64) @ query.astype(np.float64)
    for one in found:  # true scores, whatever the index keeps of a vector
        assert one.score == np.float32(scores[one.row])
    best = set(np.argsort(-np.where(wanted, scores, -9))[:12].tolist())
    assert len(best & {one.row for one in found}) >= 11


class Gaps:
    """A vector index that loses every row but some, and pads with -1, as FAISS may."""

    def __init__(self, vectors, keeps):
        self._scores, self._keeps = vectors @ vectors[0], np.asarray(keeps)

    def search(self, queries, k):
        best = self._keeps[np.argsort(-self._scores[self._keeps])][:k]
        rows = np.full((1, k), -1, np.int64)
        scores = np.full((1, k), -np.inf, np.float32)
        rows[0, : len(best)], scores[0, : len(best)] = best, self._scores[best]
        return scores, rows


def test_what_an_index_does_not_find_is_scanned_and_its_padding_never_shows(monkeypatch):
    monkeypatch.setattr(nearest, "_FEW_ROWS", 2)
    vectors = VECTORS[11]
    wanted = np.ones(90, np.bool_)
    wanted[-1] = False  # where -1 would point to
    index = Gaps(vectors, keeps=[0, 4, 5])
    found = Nearest([Encoded(11, vectors, index)], vectors[0], {11: wanted}).best(8)
    rows = [one.row for one in found]
    assert len(rows) >= 8 and min(rows) >= 0 and 89 not in rows
    assert rows == [
        row
        for _, segment, row in brute_force(vectors[0], {3: [False] * 40, 5: [False], 11: wanted}, 8)
    ]
