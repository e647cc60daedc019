"""Rows come back as they were written, and are found by what they hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from searchkit.index.live import segments
from searchkit.index.live.segments import Row, Segment, Writer, key_of

ROWS = [
    Row("Guide > Tides", "The ferry leaves two hours before high water."),
    Row("", "Die Fähre fährt bei Sturm nicht, ∑ ≥ 7 Bft."),
    Row("", ""),
    Row("𝔊", "line one\nline two\n"),
]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def test_rows_come_back_in_their_order(tmp_path):
    assert segments.write(tmp_path, ROWS) == 4
    segment = Segment.open(tmp_path)
    assert len(segment) == 4
    assert list(segment) == ROWS
    assert segment.row(1) == ROWS[1]


@settings(max_examples=30)
@given(rows=st.lists(st.builds(Row, texts, texts), max_size=8))
def test_any_rows_come_back_and_are_found(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("segment")
    segments.write(folder, rows)
    segment = Segment.open(folder)
    assert list(segment) == rows
    for row in rows:
        found = segment.find(key_of(*row))
        assert found is not None and rows[found] == row


def test_a_row_is_found_by_its_key_alone(tmp_path):
    segments.write(tmp_path, ROWS)
    segment = Segment.open(tmp_path)
    assert [segment.find(key_of(*row)) for row in ROWS] == [0, 1, 2, 3]
    assert [segment.key(place) for place in range(4)] == [key_of(*row) for row in ROWS]
    assert segment.find(key_of("", "The ferry leaves two hours before high water.")) is None


def test_the_seam_between_context_and_text_is_part_of_the_key():
    assert len({key_of("ab", "c"), key_of("a", "bc"), key_of("", "abc"), key_of("abc", "")}) == 4


def test_a_row_that_is_not_there_is_none(tmp_path):
    segments.write(tmp_path, ROWS)
    segment = Segment.open(tmp_path)
    for row in (-1, 4):
        with pytest.raises(IndexError, match=f"row {row} of 4 rows"):
            segment.row(row)


def test_an_embedder_reads_the_context_above_the_text():
    assert ROWS[0].embedded == "Guide > Tides\nThe ferry leaves two hours before high water."
    assert ROWS[1].embedded == ROWS[1].text


def test_the_fingerprint_stands_for_rows_and_order(tmp_path):
    prints = []
    for number, rows in enumerate([ROWS, ROWS, ROWS[::-1], ROWS[:3]]):
        folder = tmp_path / str(number)
        folder.mkdir()
        segments.write(folder, rows)
        prints.append(Segment.open(folder).fingerprint)
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


def test_a_writer_numbers_its_rows(tmp_path):
    with Writer(tmp_path) as writer:
        assert [writer.add(row, key_of(*row)) for row in ROWS] == [0, 1, 2, 3]
        assert len(writer) == 4
    np.testing.assert_array_equal(
        np.load(tmp_path / "keys.npy")[1], np.frombuffer(key_of(*ROWS[1]), np.uint8)
    )


def test_a_segment_goes_on_when_its_files_are_deleted(tmp_path):
    segments.write(tmp_path, ROWS)
    segment = Segment.open(tmp_path)
    for file in tmp_path.iterdir():
        file.unlink()
    assert list(segment) == ROWS


def test_half_a_surrogate_pair_is_refused():
    with pytest.raises(UnicodeEncodeError):
        key_of("", "\ud83d")
