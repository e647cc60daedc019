"""Indexes that change while they are served."""

import os
import shutil
import threading

import pytest

from searchkit.search.corpus_source import CorpusSource
from searchkit.search.live.sync import sync
from searchkit.search.notes import ThreadNotes, taken
from searchkit.serve.client import ServerError
from searchkit.serve.shelf import Shelf
from tests.serve.conftest import until


def test_a_new_generation_is_taken_up_without_dropping_a_request(serve, notes):
    server = serve(notes.path)
    found, faults, stop = [], [], threading.Event()

    def ask(number):
        with server.client() as client:
            count = 0
            while not stop.is_set():
                count += 1
                try:
                    answer = client.search("notes", f"ferry {number} {count}", mode="hybrid")
                except Exception as error:
                    faults.append(error)
                    return
                ids = {one["doc_id"] for one in answer["results"]}
                found.append((answer["generation"], frozenset(ids)))

    threads = [threading.Thread(target=ask, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for round_ in range(3):
        name = f"ferry{round_}.txt"
        (notes.folder / name).write_text(f"The ferry number {round_}.\n")
        notes.follow()
        until(lambda name=name: found and name in found[-1][1])
    stop.set()
    for thread in threads:
        thread.join()
    assert not faults
    answers: dict[str, set[frozenset[str]]] = {}
    for generation, ids in found:
        answers.setdefault(generation, set()).add(ids)
    assert len(answers) >= 3
    assert all(len(one) == 1 for one in answers.values())  # each is of the one that it names


def test_what_was_kept_of_an_older_generation_is_given_no_more(serve, notes):
    server = serve(notes.path)
    with server.client() as client:
        before = client.search("notes", "ferry", mode="bm25")
        (notes.folder / "boats" / "ferry.txt").unlink()
        notes.follow()
        until(lambda: server.shelf.renewals > 1)
        after = client.search("notes", "ferry", mode="bm25")
        assert before["results"]
        assert not after["results"]
        assert not after["cached"]
        assert before["generation"] != after["generation"]
        with pytest.raises(ServerError, match="404"):
            client.document("notes", "boats/ferry.txt")
        assert client.index("notes")["generation"] == after["generation"]


def test_requests_keep_the_generation_that_they_began_with(notes):
    shelf = Shelf({"notes": notes.path})
    shelf.look()
    before = shelf.get("notes").now()
    (notes.folder / "boats" / "ferry.txt").write_text("Sheep alone.\n")
    notes.follow()
    shelf.look()
    after = shelf.get("notes").now()
    assert before is not after
    assert before.source.find("ferry", 5, mode="bm25")
    assert before.source.text("boats/ferry.txt").startswith("The ferry")
    assert not after.source.find("ferry", 5, mode="bm25")
    assert after.source.text("boats/ferry.txt").startswith("Sheep")
    shelf.look()
    assert shelf.get("notes").now() is after  # nothing is opened where nothing was committed
    shelf.close()


def test_a_collection_that_is_built_again_is_taken_up(serve, manual, tmp_path, write_manual):
    path = tmp_path / "manual"
    shutil.copytree(manual, path)
    server = serve(path)
    with server.client() as client:
        assert client.index("manual")["documents"] == 3
        write_manual(path, [("x", "New", "A document about gannets.")])
        until(lambda: server.shelf.renewals > 1)
        assert client.index("manual")["documents"] == 1
        assert client.search("manual", "gannets", mode="bm25")["results"][0]["doc_id"] == "x"


def test_indexes_that_come_and_go_are_served_and_not(home, notes):
    shelf = Shelf()
    shelf.look()
    assert shelf.names() == []
    (home / "indexes").mkdir()
    shutil.copytree(notes.path, home / "indexes" / "copied")
    shelf.look()
    assert shelf.names() == ["copied"]
    assert shelf.get("copied").is_open
    shutil.rmtree(home / "indexes" / "copied")
    shelf.look()
    assert shelf.names() == []
    shelf.close()


def test_an_index_that_cannot_be_opened_hides_no_other(serve, notes, manual, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(notes.path, broken)
    (catalogue,) = broken.glob("parts/catalogue-*/catalogue.sqlite")
    catalogue.write_bytes(b"x" * catalogue.stat().st_size)
    server = serve(manual, broken)
    with server.client() as client:
        told = {one["name"]: one for one in client.indexes()}
        assert told["manual"]["status"] == "ready"
        assert told["broken"]["status"] == "failed"
        assert "has the BLAKE3 hash" in told["broken"]["message"]
        assert str(tmp_path) not in told["broken"]["message"]
        with pytest.raises(ServerError, match="409: the index broken cannot be opened"):
            client.search("broken", "ferry")
        assert client.search("manual", "ferry", mode="bm25")["results"]


def test_indexes_with_vectors_of_one_encoder_share_its_model(notes, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(notes.path, again)
    shelf = Shelf({"notes": notes.path, "again": again})
    shelf.look()
    one, other = (shelf.get(name).now().source.store for name in ("notes", "again"))
    assert shelf.batcher(one, "mean-causal") is shelf.batcher(other, "mean-causal")
    shelf.close()


def test_vectors_that_are_new_are_searched(serve, tmp_path, tiny_model, tiny_variants):
    """BM25 alone first, then an encoder: the server loads it when it comes."""
    from searchkit.search.live.sync import Plan

    folder, path = tmp_path / "files", tmp_path / "late"
    folder.mkdir()
    (folder / "ferry.txt").write_text("The ferry leaves.\n")
    base = str(tiny_model("llama"))
    sync(path, (folder,), Plan(base=base, workers=1))
    server = serve(path)
    with server.client() as client:
        with pytest.raises(ServerError, match="404: late holds no vectors, only BM25"):
            client.search("late", "ferry", mode="dense")
        plan = Plan(variants=tiny_variants[:1], base=base, dtype="float32", workers=1)
        sync(path, (), plan)
        until(lambda: server.shelf.renewals > 1)
        found = client.search("late", "ferry", mode="dense")
        assert found["system"]["variant"] == "mean-causal"
        assert found["results"]


def test_an_index_of_another_kind_takes_the_place_of_one_that_was_deleted(
    notes, write_manual, tmp_path
):
    shelf = Shelf({"notes": notes.path})
    shelf.look()
    assert not shelf.get("notes").now().source.whole
    shutil.rmtree(notes.path)
    write_manual(notes.path, [("x", "New", "A document about gannets.")])
    shelf.look()
    served = shelf.get("notes")
    assert (served.fault, served.now().source.whole) == ("", True)
    shelf.close()


def test_the_model_of_an_index_that_is_gone_is_let_go(home, notes):
    (home / "indexes").mkdir()
    shutil.copytree(notes.path, home / "indexes" / "copied")
    shelf = Shelf()
    shelf.look()
    store = shelf.get("copied").now().source.store
    batcher = shelf.batcher(store, "mean-causal")
    shutil.rmtree(home / "indexes" / "copied")
    shelf.look()
    assert [one for _, one in shelf._retired] == [batcher]
    shelf.close()


def test_a_fault_that_nobody_expected_ends_no_following(serve, notes, manual, monkeypatch):
    server = serve(manual, notes.path)
    renewed = CorpusSource.renewed
    monkeypatch.setattr(CorpusSource, "renewed", lambda self: self.nothing_like_this)
    os.utime(manual / "manifest.json")
    until(lambda: "manual cannot be opened: AttributeError" in server.log.getvalue())
    names = server.shelf.look
    monkeypatch.setattr(server.shelf, "look", lambda: 1 / 0)
    until(lambda: "will be again: ZeroDivisionError" in server.log.getvalue())
    monkeypatch.setattr(server.shelf, "look", names)
    monkeypatch.setattr(CorpusSource, "renewed", renewed)
    (notes.folder / "new.txt").write_text("Gannets.\n")
    before = server.shelf.renewals
    notes.follow()
    until(lambda: server.shelf.renewals > before)
    with server.client() as client:
        assert client.search("notes", "gannets", mode="bm25")["results"]
        assert client.search("manual", "ferry", mode="bm25")["results"]


def test_what_a_call_says_is_heard_by_whoever_made_it():
    notes, heard = ThreadNotes(), []
    notes.append("mine")

    def other():
        notes.append("its own")
        heard.extend(taken(notes))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert heard == ["its own"]
    assert taken(notes) == ["mine"]
    assert taken(notes) == []
