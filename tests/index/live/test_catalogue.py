"""A catalogue gives back what was put in, of the generation that was opened."""

import sqlite3
from dataclasses import replace

import numpy as np
import pytest

from searchkit.errors import UnknownName
from searchkit.index.live import catalogue as catalogues
from searchkit.index.live.catalogue import (
    Catalogue,
    ChunkRecord,
    DocumentRecord,
    FileRecord,
    NewChunk,
    Root,
)


def file(path, state="indexed", root=1, reason=""):
    return FileRecord(path, root, 10, 1_700_000_000_123_456_789, 7, "ab", "plain", state, reason,
                      "r1", True)  # fmt: skip


def document(doc_id, path, **fields):
    given = {"format": "plain", "title": "", "language": "", "modified": 1.5, "part": ""}
    return DocumentRecord(doc_id=doc_id, path=path, chunks=0, **{**given, **fields})


def chunk(segment, row, start=0, **fields):
    given = {"end": start + 5, "page": None, "first_line": None, "last_line": None, "headings": ()}
    return NewChunk(segment=segment, row=row, start=start, **{**given, **fields})


@pytest.fixture
def folder(tmp_path):
    """Two roots; a file of two documents, one that shares a row with it, others without text."""
    path = tmp_path / "first"
    path.mkdir()
    writer = Catalogue.create(path)
    writer.set("chunking", {"max_tokens": 200})
    writer.add_root(Root(1, "/notes", "", {"hidden": False}))
    writer.add_root(Root(2, "/mail", "mail", {}))
    writer.put_file(file("/notes/a.md"))
    writer.put_file(file("/notes/a/b.txt", "ignored", reason="hidden"))
    writer.put_file(file("/notes/a0.pdf", "failed", reason="no PDF"))
    writer.put_file(file("/mail/box", root=2))
    page = chunk(1, 2, page=3, first_line=4, last_line=9, headings=("Über", 'a "b"'))
    writer.add_document(document("a.md", "/notes/a.md", language="en"), [chunk(1, 0), page])
    writer.add_document(document("mail/box#1", "/mail/box", part="1"), [chunk(1, 0), chunk(2, 1)])
    writer.add_document(document("mail/box#2", "/mail/box", part="2"), [chunk(2, 0)])
    writer.save()
    return path


@pytest.fixture
def opened(folder):
    with Catalogue.open(folder) as catalogue:
        yield catalogue


def changed(folder, tmp_path, change):
    """The catalogue in `folder` after a change, which is made to a copy."""
    target = tmp_path / "next"
    target.mkdir()
    writer = Catalogue.copy(folder, target)
    result = change(writer)
    writer.save()
    return Catalogue.open(target), result


def test_everything_comes_back(opened):
    assert opened.settings == {"chunking": {"max_tokens": 200}}
    assert opened.roots() == [
        Root(1, "/notes", "", {"hidden": False}),
        Root(2, "/mail", "mail", {}),
    ]
    assert opened.file("/notes/a0.pdf") == file("/notes/a0.pdf", "failed", reason="no PDF")
    assert opened.file("/notes/none") is None
    assert opened.number_of_documents() == 3 and opened.number_of_chunks() == 5
    assert list(opened.documents()) == ["a.md", "mail/box#1", "mail/box#2"]
    assert opened.documents(["mail/box#2"]) == {
        "mail/box#2": replace(document("mail/box#2", "/mail/box", part="2"), chunks=1)
    }
    assert opened.chunks_of_document("a.md")[1] == ChunkRecord(
        2, "a.md", 1, 2, 0, 5, 3, 4, 9, ("Über", 'a "b"')
    )


def test_files_are_told_by_state_root_and_folder(opened):
    def paths(**wanted):
        return [record.path for record in opened.files(**wanted)]

    assert paths() == ["/mail/box", "/notes/a.md", "/notes/a/b.txt", "/notes/a0.pdf"]
    assert paths(states=["failed"]) == ["/notes/a0.pdf"]
    assert paths(root=2) == ["/mail/box"]
    assert paths(below="/notes/a") == ["/notes/a/b.txt"]
    assert paths(below="/notes/a.md") == ["/notes/a.md"]
    assert paths(below="/notes", states=["indexed"]) == ["/notes/a.md"]
    assert paths(below="/") == paths()
    assert opened.counts() == {
        "indexed": 2,
        "empty": 0,
        "ignored": 1,
        "failed": 1,
        "encrypted": 0,
    }


def test_chunks_come_in_the_order_they_are_asked_for(opened):
    assert [one.chunk_id for one in opened.chunks([4, 1, 4])] == [4, 1, 4]
    assert [one.doc_id for one in opened.chunks([5, 2])] == ["mail/box#2", "a.md"]
    with pytest.raises(UnknownName, match="no chunk 6; it may have changed"):
        opened.chunks([1, 6])
    with pytest.raises(UnknownName, match=r"no document 'b\.md'"):
        opened.chunks_of_document("b.md")


def test_more_ids_than_a_statement_may_hold(folder, tmp_path):
    def fill(writer):
        writer.put_file(file("/notes/long.txt"))
        rows = [chunk(9, row, 10 * row) for row in range(1700)]
        return writer.add_document(document("long.txt", "/notes/long.txt"), rows)

    catalogue, ids = changed(folder, tmp_path, fill)
    assert ids == range(6, 1706)
    backwards = catalogue.chunks(reversed(ids))
    assert [one.row for one in backwards] == list(range(1699, -1, -1))
    (number,) = catalogue.matching(lambda one: one.doc_id == "long.txt")
    assert catalogue.documents_of_chunks(list(ids)) == dict.fromkeys(ids, number)


def test_rows_know_their_chunks(opened):
    places = opened.places(1)
    assert places.rows.tolist() == [0, 0, 2] and places.chunk_ids.tolist() == [1, 3, 2]
    by_chunk = opened.documents_of_chunks([1, 2, 3, 9])
    assert places.documents.tolist() == [by_chunk[1], by_chunk[3], by_chunk[2]]
    assert by_chunk.keys() == {1, 2, 3} and by_chunk[1] == by_chunk[2] != by_chunk[3]
    assert [column.tolist() for column in opened.places(3)] == [[], [], []]
    assert opened.live_rows() == {1: 2, 2: 2}
    assert opened.last_rows() == {1: 2, 2: 1}
    assert opened.all_chunk_ids() == {1, 2, 3, 4, 5}
    assert [record.path for record in opened.files_in([2])] == ["/mail/box"]


def test_rows_are_alive_that_a_chunk_points_to(opened):
    np.testing.assert_array_equal(opened.alive(1, 4), [True, False, True, False])
    np.testing.assert_array_equal(opened.alive(3, 2), [False, False])


def test_documents_are_chosen_by_what_is_known_of_them(opened):
    mail = opened.matching(lambda one: one.relative == "mail/box")
    assert len(mail) == 2
    assert np.isin(opened.places(1).documents, mail).tolist() == [False, True, False]
    assert np.isin(opened.places(2).documents, mail).all()
    assert opened.matching(lambda one: False) == []


def test_a_changed_copy_leaves_the_catalogue_as_it_was(folder, tmp_path, opened):
    before = (folder / catalogues.FILE).read_bytes()
    after, gone = changed(folder, tmp_path, lambda writer: writer.remove_file("/mail/box"))
    assert sorted(gone) == [3, 4, 5]
    assert list(after.documents()) == ["a.md"] and after.all_chunk_ids() == {1, 2}
    assert after.file("/mail/box") is None
    assert list(opened.documents()) == ["a.md", "mail/box#1", "mail/box#2"]
    assert (folder / catalogues.FILE).read_bytes() == before
    assert [path.name for path in folder.iterdir()] == [catalogues.FILE]


def test_the_id_of_a_chunk_that_is_gone_is_never_used_again(folder, tmp_path):
    def change(writer):
        writer.remove_file("/mail/box")  # with the highest ids
        return writer.add_document(document("b.md", "/notes/a.md"), [chunk(1, 1)])

    catalogue, ids = changed(folder, tmp_path, change)
    assert list(ids) == [6]
    assert catalogue.all_chunk_ids() == {1, 2, 6}


def test_replacing_a_file_keeps_its_documents_and_removing_them_keeps_the_file(folder, tmp_path):
    def change(writer):
        writer.put_file(replace(file("/notes/a.md"), size=11, settled=False))
        return writer.remove_documents("/mail/box")

    catalogue, gone = changed(folder, tmp_path, change)
    assert catalogue.file("/notes/a.md") == replace(file("/notes/a.md"), size=11, settled=False)
    assert [one.doc_id for one in catalogue.documents_of_file("/notes/a.md")] == ["a.md"]
    assert sorted(gone) == [3, 4, 5] and catalogue.file("/mail/box") is not None


def test_forgetting_a_root_forgets_its_files(folder, tmp_path):
    catalogue, gone = changed(folder, tmp_path, lambda writer: writer.remove_root(1))
    assert sorted(gone) == [1, 2]
    assert [root.path for root in catalogue.roots()] == ["/mail"]
    assert [record.path for record in catalogue.files()] == ["/mail/box"]


def test_moved_rows_are_where_they_were_moved(folder, tmp_path):
    def change(writer):
        writer.move_rows(1, np.array([0, 2]), 7, 0)
        writer.move_rows(2, np.array([0, 1]), 7, 2)

    catalogue, _ = changed(folder, tmp_path, change)
    places = [(one.segment, one.row) for one in catalogue.chunks([1, 2, 3, 4, 5])]
    assert places == [(7, 0), (7, 1), (7, 0), (7, 3), (7, 2)]


def test_an_id_that_is_taken_gets_a_number(folder, tmp_path):
    def change(writer):
        names = [writer.free_doc_id("a.md"), writer.free_doc_id("b.md")]
        writer.add_document(document("a.md~2", "/notes/a.md"), [chunk(1, 0)])
        return [*names, writer.free_doc_id("a.md")]

    _, names = changed(folder, tmp_path, change)
    assert names == ["a.md~2", "b.md", "a.md~3"]


@pytest.mark.parametrize(
    ("doc_id", "name", "part", "relative"),
    [
        ("docs/a.md", "a.md", "", "docs/a.md"),
        ("box#3", "box", "3", "box"),
        ("a#b#3", "a#b", "3", "a#b"),
        ("a#1", "a#1", "", "a#1"),
        ("sea/a.md~2", "a.md", "", "sea/a.md"),
        ("box#3~12", "box", "3", "box"),
        ("sea/a.md~2", "a.md~2", "", "sea/a.md~2"),
        ("sea/a.md~2~2", "a.md~2", "", "sea/a.md~2"),
    ],
)
def test_filters_see_the_path_without_the_part_or_the_number(doc_id, name, part, relative):
    assert document(doc_id, f"/x/{name}", part=part).relative == relative


def test_a_catalogue_that_nobody_has_any_more_is_closed(folder):
    catalogue = Catalogue.open(folder)
    connection = catalogue._connection
    catalogue.close_when_unused()
    reading = catalogue.documents  # whoever is in the middle of a call has it
    del catalogue
    assert len(reading()) == 3
    del reading
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


def test_a_catalogue_that_is_open_outlives_its_file(folder):
    with Catalogue.open(folder) as catalogue:
        (folder / catalogues.FILE).unlink()
        assert len(catalogue.documents()) == 3


def test_a_path_may_hold_whatever_sqlite_and_uris_find_special(tmp_path):
    folder = tmp_path / "a?b#c%20 d&mode=rw"
    folder.mkdir()
    Catalogue.create(folder).save()
    with Catalogue.open(folder) as catalogue:
        assert catalogue.roots() == []


def test_a_whole_catalogue_has_no_faults(folder):
    assert catalogues.faults(folder) == []


def test_faults_are_found(folder, tmp_path):
    def change(writer):
        writer.remove_file("/notes/none")
        writer._connection.execute("DELETE FROM files WHERE path = '/notes/a.md'")
        writer._connection.execute("DELETE FROM chunks WHERE chunk_id = 4")

    changed(folder, tmp_path, change)[0].close()
    assert catalogues.faults(tmp_path / "next") == [
        "a row of documents points to none of files",
        "mail/box#1 has 1 chunks, not 2",
    ]
    (tmp_path / "next" / catalogues.FILE).write_bytes(b"no database" * 100)
    assert catalogues.faults(tmp_path / "next") == [
        "SQLite cannot read it (file is not a database)"
    ]


def test_packing_gives_back_the_room_of_what_is_gone(tmp_path):
    sizes = []
    for pack in (False, True):
        folder = tmp_path / str(pack)
        folder.mkdir()
        with Catalogue.create(folder) as writer:
            writer.add_root(Root(1, "/notes", "", {}))
            writer.put_file(file("/notes/a.md"))
            rows = [chunk(1, row) for row in range(3000)]
            writer.add_document(document("a.md", "/notes/a.md"), rows)
            writer.remove_documents("/notes/a.md")
            writer.save(pack=pack)
        sizes.append((folder / catalogues.FILE).stat().st_size)
    assert sizes[1] < sizes[0] / 2


def test_what_filters_can_ask_for_is_counted(folder, tmp_path):
    """A part of a file may have slashes, and is no folder."""

    def change(writer):
        writer.put_file(file("/notes/all.zip"))
        inner = document("all.zip#in/x.md", "/notes/all.zip", part="in/x.md", format="markdown")
        writer.add_document(inner, [chunk(1, 1)])

    catalogue, _ = changed(folder, tmp_path, change)
    with catalogue:
        assert catalogue.filter_values() == [
            ("format", "plain", 3),
            ("format", "markdown", 1),
            ("lang", "en", 1),
            ("path", "/mail", 2),
        ]
