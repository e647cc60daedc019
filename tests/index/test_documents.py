"""Documents come back as they went in, whatever is in them."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from searchkit.errors import BadInput, UnknownName
from searchkit.index import strings
from searchkit.index.documents import DocumentStore, write
from searchkit.records import Document

ODD = '\u2028\u2029\x00\n\r\x85\ufeff\\"\U0001f600\u0301'
texts = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(ODD), max_size=20)
corpora = st.lists(
    st.builds(Document, texts, texts, texts), unique_by=lambda document: document.doc_id, max_size=8
)
many_folders = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@many_folders
@given(documents=corpora)
def test_documents_come_back_by_row_by_id_and_in_order(documents, tmp_path):
    assert write(tmp_path, documents) == len(documents)
    store = DocumentStore.open(tmp_path)
    assert len(store) == len(documents)
    assert list(store) == documents
    assert list(store.ids) == [document.doc_id for document in documents]
    for row, document in enumerate(documents):
        assert store.document(row) == document
        assert store.by_id(document.doc_id) == document


def test_documents_are_taken_one_by_one_from_a_generator(tmp_path):
    taken = []

    def documents():
        for row in range(3):
            taken.append((row, (tmp_path / "documents.jsonl").exists()))
            yield Document(str(row), "", "text")

    assert write(tmp_path, documents()) == 3
    assert taken == [(0, True), (1, True), (2, True)]


def test_the_file_is_plain_jsonl_with_one_document_a_line(tmp_path):
    write(tmp_path, [Document("a", "Tïtle", "two\nlines\u2028and more"), Document("b", "", "x")])
    assert (tmp_path / "documents.jsonl").read_bytes() == (
        '{"_id": "a", "title": "Tïtle", "text": "two\\nlines\u2028and more"}\n'
        '{"_id": "b", "title": "", "text": "x"}\n'
    ).encode()


def test_very_long_documents_do_not_disturb_their_neighbours(tmp_path):
    long = "long \u2028\n" * 1_000_000
    write(tmp_path, [Document("a", "", "x"), Document("b", long, long), Document("c", "y", "")])
    store = DocumentStore.open(tmp_path)
    assert store.by_id("c") == Document("c", "y", "")
    assert store.document(1).text == long


def test_two_documents_of_one_id_are_refused_and_both_are_named(tmp_path):
    documents = [Document(doc_id, "", "text") for doc_id in ("a", "b", "c", "b")]
    with pytest.raises(BadInput, match="documents 2 and 4 of the corpus both have the id 'b'"):
        write(tmp_path, documents)


@pytest.mark.parametrize(
    "document",
    [Document("a", "", "x \ud83d y"), Document("a", "\udc00", ""), Document("\ud800", "", "x")],
)
def test_half_of_a_surrogate_pair_is_refused_and_named(document, tmp_path):
    with pytest.raises(BadInput, match=r"document 2 of the corpus, '.*', holds half .* \('\\u?d"):
        write(tmp_path, [Document("0", "", "x"), document])


@pytest.mark.parametrize("row", [-1, 2, 10**12])
def test_a_row_that_is_none_gives_no_document(row, tmp_path):
    write(tmp_path, [Document("a", "", "x"), Document("b", "", "y")])
    with pytest.raises(IndexError, match=f"row {row} of 2 documents"):
        DocumentStore.open(tmp_path).document(row)


@pytest.mark.parametrize("doc_id", ["", "aa", "A", "b", "zz", "\ud800"])
def test_an_unknown_id_is_named(doc_id, tmp_path):
    write(tmp_path, [Document("a", "", "x"), Document("c", "", "y")])
    with pytest.raises(UnknownName, match="none of the 2 documents has the id"):
        DocumentStore.open(tmp_path).by_id(doc_id)


def test_an_open_store_survives_the_deletion_of_its_files(tmp_path):
    write(tmp_path, [Document("a", "t", "x")])
    store = DocumentStore.open(tmp_path)
    for path in tmp_path.iterdir():
        path.unlink()
    assert store.by_id("a") == Document("a", "t", "x")


@many_folders
@given(some=st.lists(texts, max_size=12), absent=texts)
def test_strings_are_found_where_a_list_has_them(some, absent, tmp_path):
    strings.write(tmp_path, "words", some)
    stored = strings.Strings(tmp_path, "words")
    assert list(stored) == some
    assert stored[1:-1] == some[1:-1]
    for string in [*some, absent]:
        assert stored.find(string) == (some.index(string) if string in some else None)


def test_strings_count_from_the_end_as_lists_do(tmp_path):
    strings.write(tmp_path, "words", ["a", "b"])
    stored = strings.Strings(tmp_path, "words")
    assert stored[-1] == "b"
    with pytest.raises(IndexError):
        stored[2]


def test_opening_reads_no_document(tmp_path):
    write(tmp_path, (Document(str(row), "", "text") for row in range(1000)))
    (tmp_path / "documents.jsonl").write_bytes(
        b"\xff" * (tmp_path / "documents.jsonl").stat().st_size
    )
    store = DocumentStore.open(tmp_path)
    assert len(store) == 1000
    assert store.ids[999] == "999"
    assert np.load(tmp_path / "offsets.npy").dtype == np.int64
