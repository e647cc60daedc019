"""Rows of tables: every layout of a split, and what is refused by file and line."""

import csv
import gzip
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchkit.corpus.tables import name_of, rows, splits
from searchkit.errors import BadInput

RECORDS = [{"text": "Bread rises.", "label": "food"}, {"text": "NA", "label": "007"}]
TSV = "text\tlabel\nBread rises.\tfood\nNA\t007\n"
CSV = 'text,label\r\nBread rises.,food\r\n"NA",007\r\n'
JSONL = "".join(json.dumps(record) + "\n" for record in RECORDS)


@pytest.fixture
def write(tmp_path):
    """Write files, named by their paths, into a folder called toy; a list becomes Parquet."""

    def write_files(contents):
        folder = tmp_path / "toy"
        for name, content in contents.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, list):
                write_parquet(path, content)
            else:
                content = content.encode() if isinstance(content, str) else content
                path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return folder

    return write_files


def write_parquet(path, records):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(records), path)


def values(source, split="test"):
    return [dict(row.values) for row in rows(source, split)]


def message(source, split="test"):
    with pytest.raises(BadInput) as caught:
        list(rows(source, split))
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("name", "content", "second"),
    [
        ("test.tsv", TSV, "test.tsv:3"),
        ("test.tsv.gz", TSV, "test.tsv.gz:3"),
        ("test.csv", CSV, "test.csv:3"),
        ("test.csv.gz", CSV, "test.csv.gz:3"),
        ("test.jsonl", JSONL, "test.jsonl:2"),
        ("data/test.jsonl.gz", JSONL, "data/test.jsonl.gz:2"),
        ("test.parquet", RECORDS, "test.parquet, row 2"),
        ("data/test-00000-of-00001.parquet", RECORDS, "-00001.parquet, row 2"),
        ("test/0000.parquet", RECORDS, "test/0000.parquet, row 2"),
    ],
)
def test_a_split_is_the_same_rows_in_every_layout(write, name, content, second):
    folder = write({name: content, "README.md": "# Toy", "notes.json": "{}", "._test.tsv": "x"})
    assert splits(folder) == ["test"]
    assert values(folder) == RECORDS
    assert [row.place for row in rows(folder, "test")][1].endswith(second)


def test_a_folder_of_parquet_may_have_a_name_that_looks_like_a_pattern(tmp_path):
    folder = tmp_path / "toy [1] *"
    folder.mkdir()
    write_parquet(folder / "test.parquet", RECORDS)
    assert values(folder) == RECORDS


def test_shards_are_read_in_order_and_all_must_be_there(write):
    shards = {f"data/test-0000{n}-of-00003.parquet": [{"n": n}] for n in (2, 0, 1)}
    folder = write(shards)
    assert values(folder) == [{"n": 0}, {"n": 1}, {"n": 2}]
    (folder / "data/test-00001-of-00003.parquet").unlink()
    assert "toy has 2 of the 3 files of split 'test'; copy it again" in message(folder)


def test_splits_are_listed_and_a_missing_one_is_named(write):
    folder = write({"train.tsv": TSV, "test.jsonl": JSONL, "dev/a.parquet": RECORDS})
    assert splits(folder) == ["dev", "test", "train"]
    assert "toy has no split 'val'; there are: dev, test, train" in message(folder, "val")


def test_two_forms_of_a_split_are_refused_and_others_can_still_be_read(write):
    folder = write({"test.tsv": TSV, "test.jsonl.gz": JSONL, "train.tsv": TSV})
    assert "has split 'test' as test.jsonl.gz and as test.tsv; delete all but" in message(folder)
    assert values(folder, "train") == RECORDS


def test_what_is_no_folder_of_tables_is_refused(write, tmp_path):
    folder = write({"README.md": "# Toy"})
    assert "toy holds no tables; a split is a file there such as test.tsv" in message(folder)
    assert "toy/README.md is a file; a set is a folder" in message(folder / "README.md")
    assert "nowhere does not exist; a set is a folder" in message(tmp_path / "nowhere")


def test_values_keep_their_types_where_the_format_has_them(write):
    record = {"query": "q", "positive": ["a", "b"], "score": 0.5, "n": 3, "none": None}
    assert values(write({"test.jsonl": json.dumps(record)})) == [record]
    assert values(write({"dev.parquet": [record]}), "dev") == [record]


def test_classes_of_parquet_have_their_names(tmp_path):
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
    Dataset.from_dict(
        {"text": ["a", "b", "c", "d"], "label": [1, 0, -1, None]}, features=features
    ).to_parquet(str(tmp_path / "test.parquet"))
    assert [row["label"] for row in values(tmp_path)] == ["good", "bad", None, None]


# Line ends come back as line feeds, and half a surrogate pair is no text.
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r"))


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1))
def test_csv_comes_back_as_it_was_written(tmp_path_factory, records):
    folder = tmp_path_factory.mktemp("csv")
    content = io.StringIO()
    csv.writer(content).writerows([("text", "label"), *records])
    (folder / "test.csv").write_bytes(content.getvalue().encode())
    assert [tuple(row.values.values()) for row in rows(folder, "test")] == records


def test_tsv_knows_no_quotes(write):
    folder = write({"test.tsv": 'text\tlabel\n"He said\t"hi"\n\n\'\t"\n'})
    assert values(folder) == [{"text": '"He said', "label": '"hi"'}, {"text": "'", "label": '"'}]


def test_a_row_of_csv_stands_where_it_begins(write):
    folder = write({"test.csv": 'text,label\n"one\n\ntwo, ""three""",a\n\nfour,b\n'})
    assert [(row.place.rpartition("/")[2], row.values["text"]) for row in rows(folder, "test")] == [
        ("test.csv:2", 'one\n\ntwo, "three"'),
        ("test.csv:6", "four"),
    ]


def test_a_text_may_be_longer_than_a_field_of_the_csv_module(write):
    text = "x" * 200_000
    assert values(write({"test.csv": f"text\n{text}\n"})) == [{"text": text}]


def test_rows_stream(write):
    """The first row is there before a mistake in the second is."""
    found = rows(write({"test.tsv": "text\tlabel\na\tb\nc\n"}), "test")
    assert next(found).values == {"text": "a", "label": "b"}
    with pytest.raises(BadInput, match=r"test\.tsv:3: 1 columns where the header has 2"):
        next(found)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "test.tsv",
            "text\tlabel\na\tb\nc\td\te\n",
            "test.tsv:3: 3 columns where the header has 2",
        ),
        ("test.tsv", "text\tlabel\na\n", "header has 2 (text, label): found 'a'; a text holds no"),
        ("test.tsv", "text\ttext\n", "test.tsv:1: a column comes twice in 'text\\ttext'"),
        ("test.tsv", "", "test.tsv is empty; its first line names the columns"),
        ("test.tsv", b"text\n\xe9\n", "test.tsv:2: byte 1 of the line is 0xe9"),
        ("test.csv", "text,label\na,b\n\na,b,c\n", "test.csv:4: 3 columns where the header has 2"),
        ("test.csv", "text,label\nshort\n", "test.csv:2: 1 columns where the header has 2"),
        ("test.csv", 'text,label\na,b\n"a,\nb\n', "test.csv:3: not CSV (unexpected end of data)"),
        ("test.csv", 'text,label\n"a"b,c\n', "test.csv:2: not CSV (',' expected after '\"')"),
        ("test.jsonl", '{"text": "a"}\n{"text"\n', "test.jsonl:2: not JSON"),
        ("test.jsonl", '{"text": "a"}\n["b"]\n', "test.jsonl:2: found ['b']; a line holds one"),
        ("test.parquet", "PAR0", "test.parquet cannot be read as Parquet: "),
    ],
)
def test_a_malformed_table_is_refused_with_file_and_line(write, name, content, said):
    assert said in message(write({name: content}))


def test_a_cut_off_gzip_file_is_refused(write):
    folder = write({"test.csv.gz": CSV})
    packed = folder / "test.csv.gz"
    packed.write_bytes(packed.read_bytes()[:-12])
    assert "test.csv.gz is not a whole gzip file" in message(folder)


def test_a_set_is_called_after_its_folder(write, monkeypatch):
    folder = write({"test.tsv": TSV})
    monkeypatch.chdir(folder)
    assert name_of(folder) == name_of(".") == "toy"
