"""Files of queries in all their formats."""

import gzip

import pytest

from searchkit.corpus.queries import read_queries
from searchkit.errors import BadInput
from searchkit.records import Query

TOPICS = """<top>
<num> Number: 301
<title> International
Organized Crime

<desc> Description:
Identify organizations that
participate in it. Cost: <5% of <div>s
<narr> Narrative:
A relevant document must name one.
</top>

<TOP><NUM>Number: 302</NUM><TITLE>Topic: Polio</TITLE></TOP>
<top>
<num> 303
<desc> Description: Only a description.
"""


@pytest.fixture
def saved(tmp_path):
    def save(text, name="queries"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return save


def test_one_query_a_line_is_numbered_by_its_line():
    assert read_queries("what moves the sea\n\n  bread  \n") == (
        Query("1", "what moves the sea"),
        Query("3", "bread"),
    )


def test_columns_are_id_and_text(saved):
    text = "q1\twhat moves the sea\nq2\tbread\tand butter\n"
    expected = (Query("q1", "what moves the sea"), Query("q2", "bread\tand butter"))
    assert read_queries(text) == read_queries(saved(text)) == expected


def test_json_lines_keep_other_fields_as_metadata(saved):
    text = (
        '{"_id": "q1", "text": "bread", "kind": "keyword", "metadata": {"year": 2020, "a": [1]}}\n'
        '{"_id": "q2", "text": "marée", "metadata": {}}\n'
    )
    expected = (
        Query("q1", "bread", {"kind": "keyword", "year": "2020", "a": "[1]"}),
        Query("q2", "marée"),
    )
    assert read_queries(text) == read_queries(saved(text, "q.jsonl")) == expected


def test_gzip_is_read_from_the_bytes_not_the_name(tmp_path):
    path = tmp_path / "queries.tsv"
    path.write_bytes(gzip.compress(b"q1\tbread\n"))
    assert read_queries(path) == (Query("q1", "bread"),)


def test_topics_are_read_with_and_without_closing_tags(saved):
    expected = (
        Query(
            "301",
            "International Organized Crime",
            {
                "description": "Identify organizations that participate in it. Cost: <5% of <div>s",
                "narrative": "A relevant document must name one.",
            },
        ),
        Query("302", "Polio"),
        Query("303", "Only a description.", {"description": "Only a description."}),
    )
    assert read_queries(saved(TOPICS)) == expected


def test_the_name_decides_before_the_content(saved):
    assert read_queries(saved("{\tset notation\n", "q.tsv")) == (Query("{", "set notation"),)
    with pytest.raises(BadInput, match=r"q\.jsonl:1: not JSON"):
        read_queries(saved("q1\tbread\n", "q.jsonl"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "standard input holds no queries; write one a line"),
        (" \n\n", "standard input holds no queries"),
        ("q1\tbread\nq2 butter\n", "standard input:2: found 'q2 butter'; a line is: id, tab, text"),
        ("q1\tbread\n\tbutter\n", "standard input:2: found"),
        ("q1\tbread\nq2\t \n", "standard input:2: query 'q2' has no text"),
        (
            "q1\tbread\n\nq1\tbutter\n",
            "standard input:3: the query id 'q1' was already used on line 1",
        ),
        ('{"_id": "q1", "text": ""}', "standard input:1: query 'q1' has no text"),
        ('{"_id": "q1"', "standard input:1: not JSON"),
        ("<top>\n<title> Polio\n</top>", "standard input:1: a topic without a number"),
        ("<top>\n<num> Number: 1\n<narr> Long.\n</top>", "standard input:1: query '1' has no text"),
    ],
)
def test_wrong_queries_are_named_with_their_line(text, said):
    with pytest.raises(BadInput) as caught:
        read_queries(text)
    assert said in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"cannot read .*nowhere\.tsv: No such file"):
        read_queries(tmp_path / "nowhere.tsv")
