"""Files of judgements: BEIR's columns, TREC's, and what neither is."""

import pytest

from searchkit.corpus.judgements import read_judgements
from searchkit.errors import BadInput
from searchkit.records import Judgement

EXPECTED = (Judgement("q1", "d1", 2), Judgement("q1", "d 2", 0), Judgement("q2", "d1", -1))


@pytest.mark.parametrize(
    "content",
    [
        "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td 2\t0\nq2\td1\t-1\n",
        "q1\td1\t2\r\nq1\td 2\t+0\r\n\r\nq2\td1\t-1",
    ],
)
def test_three_columns_are_beirs(tmp_path, content):
    path = tmp_path / "qrels"
    path.write_bytes(content.encode())
    assert read_judgements(path) == EXPECTED


@pytest.mark.parametrize("content", ["q1 0 d1 2\nq1\t0\td2\t0\n", "q1  Q0   d1\t2 \n\nq1 0 d2 00"])
def test_four_columns_are_trecs(tmp_path, content):
    path = tmp_path / "qrels"
    path.write_bytes(content.encode())
    assert read_judgements(path) == (Judgement("q1", "d1", 2), Judgement("q1", "d2", 0))


def test_a_line_of_neither_is_refused(tmp_path):
    path = tmp_path / "qrels"
    path.write_text("q1 0 d1 2\nq1 d2 1\n")
    with pytest.raises(
        BadInput, match=r"qrels:2: found 'q1 d2 1'; a judgement is .* 0 document-id"
    ):
        read_judgements(path)
