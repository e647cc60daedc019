"""An index is in step with its folders, and what did not change costs nothing."""

import os
import shutil
import sqlite3
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from searchkit.corpus import chunk
from searchkit.encode import loading
from searchkit.errors import BadInput, SearchkitError
from searchkit.index.live.catalogue import Catalogue
from searchkit.index.store import Store
from searchkit.search.live import upkeep
from searchkit.search.live.sync import Plan, sync

FERRY = "The ferry leaves two hours before high water."
SHEEP = "Sheep graze on the western cliffs all winter long."
RADIO = "Channel eight is kept free for emergencies at sea."


@pytest.fixture
def notes(followed):
    """Three files, indexed; with the time before anything racy."""
    followed.write("ferry.txt", FERRY)
    followed.write("land/sheep.txt", SHEEP)
    followed.write("sea/radio.txt", RADIO)
    age(followed.folder)
    followed.sync()
    return followed


def age(folder, seconds=10):
    """Let all files have been written some seconds ago."""
    for path in folder.rglob("*"):
        then = time.time() - seconds
        os.utime(path, (then, then))


def everything(path):
    return {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_what_is_in_the_folder_is_found(notes, toy):
    assert notes.texts() == {
        "ferry.txt": [FERRY],
        "land/sheep.txt": [SHEEP],
        "sea/radio.txt": [RADIO],
    }
    assert notes.found("sheep") == {"land/sheep.txt"}
    assert upkeep.verify(notes.path) == []


def test_every_file_ends_in_the_ledger(followed, toy):
    followed.write("note.txt", FERRY)
    followed.write("blank.txt", "  \n\n")
    followed.write("picture.bin", b"\x00\x01\x02")
    followed.write("broken.pdf", b"%PDF-1.4 nothing of the kind")
    followed.write(".hidden/x.txt", RADIO)
    followed.write(".gitignore", "drafts/\n")
    followed.write("drafts/y.txt", SHEEP)
    report = followed.sync()
    assert toy.outcomes(report) == {
        "note.txt": "new",
        "blank.txt": "empty",
        "picture.bin": "ignored",
        "broken.pdf": "failed",
        ".hidden": "ignored",
        ".gitignore": "ignored",
        "drafts": "ignored",
    }
    assert [Path(fault.path).name for fault in report.faults] == ["broken.pdf"]
    reasons = {Path(file.path).name: file.reason for file in report.files}
    assert reasons["picture.bin"] == "binary" and ".gitignore" in reasons["drafts"]
    assert reasons["broken.pdf"]
    again = followed.sync()
    assert toy.outcomes(again) == toy.outcomes(report) | {
        "note.txt": "unchanged",
        "blank.txt": "unchanged",
    }
    catalogue = followed.open().catalogue
    assert catalogue.counts() == {
        "indexed": 1,
        "empty": 1,
        "ignored": 4,
        "failed": 1,
        "encrypted": 0,
    }


def test_files_that_did_not_change_are_not_opened(notes, monkeypatch):
    before = everything(notes.path)

    def refuse(path, *_, **__):
        raise AssertionError(f"{path} was opened")

    monkeypatch.setattr("searchkit.files.blake3_of", refuse)
    monkeypatch.setattr("searchkit.index.store._faults", lambda *_: iter(()))
    monkeypatch.setattr("searchkit.search.live.intake.Reader", refuse)
    report = notes.sync()
    assert set(report.counts) == {"unchanged"} and report.counts["unchanged"] == 3
    assert everything(notes.path) == before


def test_a_touched_file_is_noted_and_not_read(notes, monkeypatch):
    monkeypatch.setattr("searchkit.search.live.intake.Reader", None)
    path = notes.folder / "ferry.txt"
    os.utime(path, (1_700_000_000, 1_700_000_000))
    chunks = notes.open().catalogue.all_chunk_ids()
    assert notes.sync().counts == {"unchanged": 3}
    catalogue = notes.open().catalogue
    assert catalogue.file(str(path)).modified_ns == 1_700_000_000 * 10**9
    assert catalogue.all_chunk_ids() == chunks


def test_a_file_that_was_changed_within_the_tick_of_the_clock_is_compared(followed, toy):
    path = followed.write("ferry.txt", FERRY)
    followed.sync()
    before = path.stat()
    path.write_text(FERRY.replace("two", "six"))  # of the same length
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert toy.outcomes(followed.sync()) == {"ferry.txt": "changed"}
    assert followed.texts() == {"ferry.txt": [FERRY.replace("two", "six")]}


def test_a_touched_file_is_found_by_its_new_time(followed):
    path = followed.write("ferry.txt", FERRY)
    mail = followed.write("mail.eml", f"Date: Mon, 4 Mar 2019 10:00:00 +0000\n\n{SHEEP}\n".encode())
    os.utime(path, (1_700_000_000, 1_700_000_000))
    followed.sync()
    own = followed.open().catalogue.documents()["mail.eml"].modified
    assert own == 1_551_693_600
    os.utime(path, (1_600_000_000, 1_600_000_000))
    os.utime(mail, (1_600_000_000, 1_600_000_000))
    assert followed.sync().counts == {"unchanged": 2}
    documents = followed.open().catalogue.documents()
    assert documents["ferry.txt"].modified == 1_600_000_000
    assert documents["mail.eml"].modified == own
    assert followed.found("ferry before:2021") == {"ferry.txt"}
    assert followed.found("ferry after:2021") == set()
    assert followed.found("sheep after:2019-03 before:2019-04") == {"mail.eml"}
    path.rename(followed.folder / "boat.txt")
    os.utime(followed.folder / "boat.txt", (1_650_000_000, 1_650_000_000))
    assert followed.sync().counts == {"renamed": 1, "unchanged": 1}
    assert followed.found("ferry after:2022 before:2023") == {"boat.txt"}
    assert upkeep.verify(followed.path) == []


def test_a_time_that_lies_ahead_costs_nothing_again(followed, monkeypatch):
    for name, content in {"a.txt": FERRY, "b.pdf": b"%PDF-1.4 nothing", "c.bin": b"\0"}.items():
        path = followed.write(name, content)
        os.utime(path, (time.time() + 1e6, time.time() + 1e6))
    report = followed.sync()
    before = everything(followed.path)
    monkeypatch.setattr("searchkit.search.live.intake.Reader", None)
    monkeypatch.setattr("searchkit.search.live.scan._digest", None)
    assert followed.sync().counts == {"unchanged": 1, "failed": 1, "ignored": 1} != report.counts
    assert everything(followed.path) == before


def test_a_file_that_is_still_fresh_is_compared_and_not_committed_again(followed):
    path = followed.write("ferry.txt", FERRY)
    for _ in range(2):
        now = time.time() + 1
        os.utime(path, (now, now))
        followed.sync()
        before = everything(followed.path)
        assert followed.sync().counts == {"unchanged": 1}
        assert everything(followed.path) == before


def test_a_changed_file_encodes_what_changed_in_it(followed):
    paragraphs = [f"Entry {number}: " + "rain and wind " * 15 for number in range(6)]
    path = followed.write("log.txt", "\n\n".join(paragraphs))
    followed.sync(max_tokens=60)  # words
    followed.sync(variants=["mean-causal"])
    assert len(followed.encoded["mean-causal"]) == 6
    followed.encoded.clear()
    path.write_text("\n\n".join([*paragraphs[:3], "Something new. " * 15, *paragraphs[3:]]))
    followed.sync()
    assert followed.encoded["mean-causal"] == [("Something new. " * 15).strip()]


def test_a_renamed_file_moves_without_being_read_or_encoded(notes, toy, monkeypatch):
    notes.sync(variants=["mean-causal"])
    before = notes.vectors("mean-causal")
    notes.encoded.clear()
    monkeypatch.setattr("searchkit.search.live.intake.Reader", None)
    (notes.folder / "land").rename(notes.folder / "hills")
    (notes.folder / "ferry.txt").rename(notes.folder / "sea/boat.txt")
    report = notes.sync()
    assert toy.outcomes(report) == {
        "sheep.txt": "renamed",
        "boat.txt": "renamed",
        "radio.txt": "unchanged",
    }
    assert notes.texts() == {
        "hills/sheep.txt": [SHEEP],
        "sea/boat.txt": [FERRY],
        "sea/radio.txt": [RADIO],
    }
    assert notes.found("sheep") == {"hills/sheep.txt"} and notes.found("ferry") == {"sea/boat.txt"}
    assert notes.encoded == {}
    np.testing.assert_array_equal(notes.vectors("mean-causal")["sea/boat.txt"], before["ferry.txt"])
    assert upkeep.verify(notes.path) == []


def test_a_file_that_is_renamed_and_cut_anew_is_cut_anew(followed):
    text = "\n\n".join(f"Entry {number}: " + "rain and wind " * 15 for number in range(6))
    path = followed.write("log.txt", text)
    age(followed.folder)
    followed.sync(max_tokens=60)  # words
    path.rename(followed.folder / "diary.txt")
    followed.sync(max_tokens=200, yes=True)
    renamed = followed.texts()["diary.txt"]
    assert 1 < len(renamed) < 6
    followed.write("other.txt", text)
    followed.sync()
    assert followed.texts()["other.txt"] == renamed


def test_a_copy_shares_the_row_of_its_text(notes):
    notes.sync(variants=["mean-causal"])
    notes.encoded.clear()
    shutil.copy(notes.folder / "ferry.txt", notes.folder / "copy.txt")
    report = notes.sync()
    assert (report.chunks_added, report.rows_added) == (1, 0)
    assert notes.found("ferry") == {"ferry.txt", "copy.txt"}
    assert notes.encoded == {}
    (notes.folder / "ferry.txt").unlink()
    notes.sync()
    assert notes.found("ferry") == {"copy.txt"}
    assert list(notes.vectors("mean-causal")) == ["copy.txt", "land/sheep.txt", "sea/radio.txt"]


def test_a_deleted_file_is_gone_from_every_list(notes, toy):
    notes.sync(variants=["mean-causal"])
    (notes.folder / "land/sheep.txt").unlink()
    report = notes.sync()
    assert toy.outcomes(report)["sheep.txt"] == "deleted"
    assert notes.found("sheep") == set()
    generation = notes.open()
    assert "land/sheep.txt" not in generation.catalogue.documents()
    live = [
        generation.segment(number).row(int(row)).text
        for number, size in generation.segments.items()
        for row in np.flatnonzero(generation.catalogue.alive(number, size))
    ]
    assert sorted(live) == sorted([FERRY, RADIO])


def test_a_part_of_a_folder_is_brought_into_step_alone(notes, toy):
    notes.write("ferry.txt", FERRY + " Or later.")
    (notes.folder / "sea/radio.txt").unlink()
    notes.write("sea/new.txt", "A lighthouse.")
    (notes.folder / "land/sheep.txt").unlink()
    report = notes.sync(notes.folder / "sea")
    assert toy.outcomes(report) == {"new.txt": "new", "radio.txt": "deleted"}
    assert notes.texts() == {
        "ferry.txt": [FERRY],
        "land/sheep.txt": [SHEEP],
        "sea/new.txt": ["A lighthouse."],
    }
    report = notes.sync(notes.folder / "ferry.txt")
    assert toy.outcomes(report) == {"ferry.txt": "changed"}
    shutil.rmtree(notes.folder / "land")
    report = notes.sync(notes.folder / "land")  # gone as a whole
    assert toy.outcomes(report) == {"sheep.txt": "deleted"}
    assert set(notes.texts()) == {"ferry.txt", "sea/new.txt"}


def test_a_file_that_moved_into_the_part_is_new_there_and_not_encoded(notes, toy):
    notes.sync(variants=["mean-causal"])
    notes.encoded.clear()
    (notes.folder / "ferry.txt").rename(notes.folder / "sea/ferry.txt")
    assert toy.outcomes(notes.sync(notes.folder / "sea"))["ferry.txt"] == "new"
    assert notes.encoded == {}
    assert notes.found("ferry") == {"ferry.txt", "sea/ferry.txt"}
    notes.sync()
    assert notes.found("ferry") == {"sea/ferry.txt"}


def test_folders_beside_each_other_are_followed_together(notes, tmp_path):
    other = tmp_path / "elsewhere" / "notes"
    other.mkdir(parents=True)
    (other / "ferry.txt").write_text("Another ferry.")
    notes.sync(other)
    third = tmp_path / "third" / "notes"
    third.mkdir(parents=True)
    (third / "ferry.txt").write_text("A third ferry.")
    notes.sync(third)
    assert notes.texts() == {
        "ferry.txt": [FERRY],
        "land/sheep.txt": [SHEEP],
        "notes/ferry.txt": ["Another ferry."],
        "notes~2/ferry.txt": ["A third ferry."],
        "sea/radio.txt": [RADIO],
    }
    (notes.folder / "notes").mkdir()
    notes.write("notes/ferry.txt", "The ferry of a folder with the name of a root.")
    (other / "ferry.txt").unlink()
    (other / "boat.txt").write_text("Another boat.")
    notes.sync()
    assert notes.found("ferry") == {"ferry.txt", "notes~2/ferry.txt", "notes/ferry.txt"}
    assert notes.found("boat") == {"notes/boat.txt"}


def test_ids_that_two_files_want_stay_apart(notes, tmp_path):
    other = tmp_path / "elsewhere" / "sea"
    other.mkdir(parents=True)
    (other / "radio.txt").write_text("Another radio.")
    notes.sync(other)
    assert notes.found("radio") == {"sea/radio.txt~2"} or notes.found("another") == {
        "sea/radio.txt~2"
    }
    assert len(notes.texts()) == 4
    assert notes.found("radio path:*.txt") == {"sea/radio.txt~2"}
    assert notes.found("kept path:sea/radio.txt") == {"sea/radio.txt"}


def test_a_folder_that_is_followed_cannot_be_followed_twice(notes):
    with pytest.raises(BadInput, match=r"holds .*notes, which is indexed already"):
        notes.sync(notes.folder.parent)


@pytest.mark.parametrize("loss", ["gone", "empty"])
def test_a_disk_that_is_not_there_deletes_nothing(notes, toy, loss):
    away = notes.folder.with_name("away")
    notes.folder.rename(away)
    if loss == "empty":
        notes.folder.mkdir()
    before = everything(notes.path)
    for places in ((), (notes.folder,)):
        with pytest.raises(BadInput, match=r"3 files of it are in the index: is a disk missing"):
            notes.sync(*places)
    assert everything(notes.path) == before
    away.rename(notes.folder) if loss == "gone" else None
    if loss == "empty":
        report = notes.sync(forget_missing=True)
        assert report.counts == {"deleted": 3}
        assert notes.texts() == {} and notes.open().catalogue.roots() == []
        assert upkeep.verify(notes.path) == []


@pytest.mark.parametrize("way", ["patterns", "index"])
def test_a_folder_that_is_passed_over_itself_deletes_nothing(notes, way):
    if way == "patterns":
        blocking, told = notes.write(".gitignore", "#" * 100_001), r"its \.gitignore has over"
    else:
        shutil.copytree(notes.path / "parts", notes.folder / "parts")
        blocking = Path(shutil.copy(notes.path / "manifest.json", notes.folder))
        told = "a search index"
    before = everything(notes.path)
    for places in ((), (notes.folder,), (notes.folder / "sea",)):
        with pytest.raises(BadInput, match=rf"is passed over \({told}.*files of it are in the"):
            notes.sync(*places)
        with pytest.raises(BadInput, match="mend that, or forget them with --forget-missing"):
            notes.sync(*places, dry_run=True)
    assert everything(notes.path) == before
    blocking.unlink()
    shutil.rmtree(notes.folder / "parts", ignore_errors=True)
    assert notes.sync().counts["unchanged"] == 3
    blocking.write_bytes(b"#" * 100_001)
    if way == "patterns":
        assert notes.sync(forget_missing=True).counts == {"deleted": 3}
        with pytest.raises(BadInput, match=r"passed over .*; check the path"):
            notes.sync(notes.folder)


def test_a_folder_that_cannot_be_read_keeps_its_files(follow):
    place = Path(tempfile.mkdtemp())  # root reads all, and nobody cannot reach pytest's folders
    place.chmod(0o755)
    followed = type(follow())(place, "")
    try:
        radio = followed.write("sea/radio.txt", RADIO)
        followed.sync()
        as_root = os.geteuid() == 0
        radio.parent.chmod(0)
        if as_root:
            os.seteuid(65534)
        try:
            report = followed.sync(dry_run=True)
        finally:
            if as_root:
                os.seteuid(0)
            radio.parent.chmod(0o755)
        assert report.notes == [
            f"1 files cannot be read now, and stay in the index of {followed.folder} as they were"
        ]
        assert report.counts == {"failed": 1}
    finally:
        shutil.rmtree(place)


def test_what_a_rule_leaves_out_from_now_on_leaves_the_index(notes, toy):
    notes.write(".gitignore", "land/\n")
    report = notes.sync()
    assert toy.outcomes(report)["sheep.txt"] == toy.outcomes(report)["land"] == "ignored"
    assert notes.found("sheep") == set()
    report = notes.sync(notes.folder, rules={"include": ("*.md",)})
    assert set(notes.texts()) == set()
    with pytest.raises(BadInput, match=r"other --include, --exclude or limits"):
        notes.sync(notes.folder / "sea", rules={"include": ()})
    notes.sync(notes.folder, rules={"include": (), "gitignore": False})
    assert notes.found("sheep") == {"land/sheep.txt"}


def test_a_rule_changes_nothing_but_itself_and_is_told(notes, toy):
    notes.sync(notes.folder, rules={"exclude": ("land/",), "most_bytes": 100_000_000})
    report = notes.sync(notes.folder, rules={"hidden": True})
    assert toy.outcomes(report)["land"] == "ignored"
    assert report.notes == [
        f"{notes.folder} is read with --hidden from now on, and was with --no-hidden"
    ]
    report = notes.sync(notes.folder, rules={"exclude": (), "most_bytes": 50_000_000})
    assert notes.found("sheep") == {"land/sheep.txt"}
    assert report.notes == [
        f"{notes.folder} is read with no --exclude, --max-megabytes 50 from now on, and was with "
        "--exclude 'land/', --max-megabytes 100"
    ]
    assert notes.sync(notes.folder).notes == []


def test_a_file_that_failed_is_tried_again_when_it_changes_or_on_demand(followed, toy):
    path = followed.write("report.pdf", b"%PDF-1.4 nothing of the kind")
    age(followed.folder)
    assert toy.outcomes(followed.sync()) == {"report.pdf": "failed"}
    read = followed.sync(retry=True)
    assert toy.outcomes(read) == toy.outcomes(followed.sync()) == {"report.pdf": "failed"}
    path.rename(followed.folder / "report.txt")
    assert toy.outcomes(followed.sync())["report.txt"] == "new"
    assert followed.found("nothing") == {"report.txt"}


def test_a_text_that_cannot_be_cut_costs_its_file_alone(notes, toy, monkeypatch):
    whole = chunk.spans

    def spans(document, *arguments, **options):
        if "fault" in document.text:
            raise IndexError("out\nof\ud83drange " * 99)
        return whole(document, *arguments, **options)

    monkeypatch.setattr(chunk, "spans", spans)
    notes.write("a.txt", "A fault.")
    notes.write("b.txt", "A find.")
    report = notes.sync()
    assert toy.outcomes(report) == {
        "a.txt": "failed",
        "b.txt": "new",
        **dict.fromkeys(["ferry.txt", "sheep.txt", "radio.txt"], "unchanged"),
    }
    (fault,) = report.faults
    assert fault.reason.startswith("its text cannot be cut: IndexError: out of\ufffdrange out of")
    assert len(fault.reason) < 250
    assert notes.found("find") == {"b.txt"}
    assert notes.found("fault") == set()


@pytest.mark.parametrize("error", [BadInput, MemoryError])
def test_what_is_no_fault_of_a_file_ends_the_run(notes, error, monkeypatch):
    def spans(*_, **__):
        raise error

    monkeypatch.setattr(chunk, "spans", spans)
    notes.write("a.txt", "A find.")
    with pytest.raises(error):
        notes.sync()
    assert notes.found("ferry") == {"ferry.txt"}


def test_adding_a_variant_reads_no_file(notes, toy, monkeypatch):
    monkeypatch.setattr("searchkit.search.live.intake.Reader", None)
    notes.sync(variants=["mean-causal"])
    notes.sync(variants=["eos_last-causal"])
    for name in ("mean-causal", "eos_last-causal"):
        assert sorted(notes.encoded[name]) == sorted([FERRY, RADIO, SHEEP])
        found = notes.vectors(name)
        np.testing.assert_array_equal(found["ferry.txt"], [toy.vector(name, FERRY)])


def test_new_files_are_encoded_by_every_encoder_of_the_index(notes, toy):
    notes.sync(variants=["mean-causal", "eos_last-causal"])
    notes.encoded.clear()
    notes.write("new.txt", "A lighthouse.")
    notes.sync()
    assert notes.encoded == {
        "mean-causal": ["A lighthouse."],
        "eos_last-causal": ["A lighthouse."],
    }
    assert all(coverage.whole for coverage in notes.open().encoders().values())


def test_an_encoder_stays_when_the_folder_was_empty_for_a_while(notes):
    notes.sync(variants=["mean-causal"])
    for path in notes.folder.rglob("*.txt"):
        path.unlink()
    notes.write(".keep", "")
    notes.sync()
    assert notes.texts() == {} and notes.open().segments == {}
    notes.encoded.clear()
    notes.write("new.txt", "A lighthouse.")
    notes.sync()
    assert notes.encoded == {"mean-causal": ["A lighthouse."]}


def test_words_are_there_at_once_where_encoding_waits(notes):
    notes.sync(variants=["mean-causal"])
    notes.write("new.txt", "A lighthouse.")
    notes.sync(encode=False)
    assert notes.found("lighthouse") == {"new.txt"}
    coverage = notes.open().encoders()["mean-causal"]
    assert (coverage.rows, coverage.of, coverage.whole) == (3, 4, False)
    assert coverage.facts["name"] == "mean-causal" and coverage.facts["truncated"] == 0
    assert notes.sync().encoded == {"mean-causal": 1}


def test_what_was_encoded_in_another_way_is_never_mixed(notes, toy):
    notes.sync(variants=["mean-causal"])
    notes.write("new.txt", "A lighthouse.")
    other = notes.variants("mean-causal", passage_template="passage: {text}")
    told = {"variants": other, "workers": 1}
    before = everything(notes.path)
    with pytest.raises(BadInput, match=r"3 texts were encoded as mean-causal in another way"):
        sync(notes.path, (), Plan(**told), open_encoders=notes.open_encoders)
    assert everything(notes.path) == before
    notes.encoded.clear()
    sync(notes.path, (), Plan(**told, yes=True), open_encoders=notes.open_encoders)
    assert len(notes.encoded["mean-causal"]) == 4
    generation = notes.open()
    prints = {
        generation.store.facts(part)["fingerprint"]
        for part in generation.store.names()
        if part.startswith("vectors.")
    }
    assert len(prints) == 1 and generation.encoders()["mean-causal"].whole


def test_an_encoder_whose_base_changed_is_left_behind_with_a_word(notes, tiny_model, tmp_path):
    base = tmp_path / "base"
    shutil.copytree(tiny_model("llama"), base)
    notes.base = str(base)
    notes.sync(variants=["mean-causal"])
    shutil.rmtree(base)
    shutil.copytree(tiny_model("qwen2"), base)
    notes.write("new.txt", "A lighthouse.")
    notes.encoded.clear()
    report = notes.sync()
    assert notes.encoded == {} and notes.found("lighthouse") == {"new.txt"}
    assert len(report.notes) == 1 and report.notes[0].startswith("1 texts are not encoded by mean")


def test_cutting_in_another_way_says_what_it_costs(notes):
    notes.sync(variants=["mean-causal"])
    before = everything(notes.path)
    with pytest.raises(BadInput, match=r"cutting anew reads 3 files and encodes .* mean-causal"):
        notes.sync(max_tokens=50)
    with pytest.raises(BadInput, match=r"3 chunks have at most 200 tokens .* overlap of 0"):
        notes.sync(notes.folder / "sea", overlap=20)
    with pytest.raises(BadInput, match="cannot overlap by 150"):
        notes.sync(overlap=150, yes=True)
    assert everything(notes.path) == before
    report = notes.sync(notes.folder / "sea", max_tokens=50, yes=True)
    assert report.counts == {"changed": 3}  # all of it, whatever place was named
    assert notes.open().settings["chunking"]["max_tokens"] == 50
    assert notes.sync().counts == {"unchanged": 3}
    assert notes.sync(max_tokens=50).counts == {"unchanged": 3}


def test_a_dry_run_says_what_would_happen_and_writes_nothing(notes, toy):
    notes.sync(variants=["mean-causal"])
    before = everything(notes.path)
    notes.write("ferry.txt", "Changed.")
    notes.write("new.txt", "A lighthouse.")
    notes.write("picture.bin", b"\x00\x01")
    (notes.folder / "land/sheep.txt").unlink()
    (notes.folder / "sea/radio.txt").rename(notes.folder / "sea/channel.txt")
    with Store.open(notes.path).writing():  # nor does it need the lock
        report = notes.sync(dry_run=True, variants=["eos_last-causal"])
    assert report.dry
    assert toy.outcomes(report) == {
        "ferry.txt": "changed",
        "new.txt": "new",
        "picture.bin": "ignored",
        "sheep.txt": "deleted",
        "channel.txt": "renamed",
    }
    assert report.encoded == {"eos_last-causal": 3}
    assert everything(notes.path) == before
    real = notes.sync()
    assert toy.outcomes(real) == toy.outcomes(report)


def test_a_dry_run_of_an_index_that_is_not_there_leaves_none(followed, toy):
    followed.write("a.txt", FERRY)
    assert toy.outcomes(followed.sync(dry_run=True)) == {"a.txt": "new"}
    assert not followed.path.exists()


@pytest.mark.parametrize(
    ("place", "message"),
    [("nowhere", "is not there; check the path"), ("notes/a.txt", "is a file; name its folder")],
)
def test_what_cannot_be_followed_is_refused(followed, place, message):
    followed.write("a.txt", FERRY)
    with pytest.raises(BadInput, match=message):
        followed.sync(followed.folder.parent / place)
    assert not followed.path.exists()


def test_an_index_of_a_corpus_is_left_alone(followed, tmp_path):
    store = Store.create_or_open(followed.path)
    with store.writing() as draft:
        draft.corpus = {"name": "cacm", "fingerprint": "f"}
        draft.add("documents")
    with pytest.raises(BadInput, match="holds the corpus cacm, not a folder"):
        followed.sync(followed.folder)


@pytest.mark.parametrize("write", [True, False])
def test_only_a_write_that_failed_is_a_full_disk(notes, monkeypatch, write):
    """SQLite has one sentence for a quota that is used up and for a disk that cannot be read."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE if write else sqlite3.SQLITE_IOERR_READ

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(Catalogue, "files", fail)
    with pytest.raises((SearchkitError, sqlite3.Error)) as caught:
        notes.sync()
    assert ("there is no room left" in str(caught.value)) == write
    assert isinstance(caught.value, SearchkitError) == write


def test_one_writer_at_a_time(notes):
    busy = rf"is being written by process {os.getpid()}"
    with Store.open(notes.path).writing(), pytest.raises(SearchkitError, match=busy):
        notes.sync()


def test_commits_are_of_bounded_size(followed):
    for number in range(9):
        followed.write(f"{number}.txt", f"Note {number}.")
    followed.sync(commit_chunks=2)
    sizes = list(followed.open().segments.values())
    assert max(sizes) <= 2 and sum(sizes) == 9
    assert len(followed.texts()) == 9


def test_many_small_segments_become_one(followed, toy):
    followed.write("start.txt", "start")
    followed.sync(variants=["mean-causal"])
    for number in range(17):
        followed.write(f"{number}.txt", f"Note {number}.")
        followed.sync(followed.folder / f"{number}.txt")
    generation = followed.open()
    assert len(generation.segments) <= 16 and sum(generation.segments.values()) == 18
    for doc_id, (vector,) in followed.vectors("mean-causal").items():
        (text,) = followed.texts()[doc_id]
        np.testing.assert_array_equal(vector, toy.vector("mean-causal", text))
    assert len(followed.encoded["mean-causal"]) == 18
    assert upkeep.verify(followed.path) == []


def test_a_vector_index_is_built_over_large_segments(notes, monkeypatch):
    monkeypatch.setattr("searchkit.search.live.encoding.INDEXED_ROWS", 2)
    notes.sync(variants=["mean-causal"], vector_indexes=["hnsw"])
    generation = notes.open()
    assert generation.kinds("mean-causal") == ["hnsw"]
    (segment,) = generation.segments
    index = generation.vector_index("hnsw", "mean-causal", segment)
    vectors = generation.vectors("mean-causal", segment)
    _, rows = index.search(np.ascontiguousarray(vectors[:1]), 1)
    assert rows.tolist() == [[0]]
    notes.write("new.txt", "A lighthouse.")
    notes.write("other.txt", "A beacon.")
    notes.sync()
    generation = notes.open()
    assert all(
        generation.vector_index("hnsw", "mean-causal", number) for number in generation.segments
    )


def test_the_index_does_not_read_itself(followed):
    followed.path = followed.folder / "index"
    followed.write("a.txt", FERRY)
    assert followed.sync(followed.folder).counts == {"new": 1}
    assert list(followed.texts()) == ["a.txt"]


def test_a_real_model_encodes_heading_and_text(followed, tiny_model):
    followed.write("guide.md", "# Guide\n\n## Tides\n\nThe ferry leaves at high water.\n")
    variants = followed.variants("mean-causal")
    plan = Plan(variants=variants, workers=1, dtype="float32", engine="packed")
    report = sync(followed.path, [followed.folder], plan)
    assert report.encoded == {"mean-causal": 1} and report.tokens > 0
    generation = followed.open()
    (chunk,) = generation.catalogue.chunks_of_document("guide.md")
    row = generation.row(chunk)
    assert row.context == "Guide > Tides" and "ferry" in row.text
    (embedder,) = loading.load_unproven(variants, engine="packed", dtype="float32")
    wanted = embedder.encode([f"Guide > Tides\n{row.text}"]).vectors["mean-causal"]
    found = generation.vectors("mean-causal", chunk.segment)[chunk.row]
    np.testing.assert_allclose(found, wanted[0], atol=1e-6)


def test_texts_that_were_cut_are_counted_over_all_segments(followed):
    plan = Plan(variants=followed.variants("mean-causal"), dtype="float32", engine="packed")
    for number in range(2):  # of more tokens than the 24 that the variant reads
        followed.write(f"{number}.txt", f"Note {number} of the ferry, the tide and the sheep. " * 3)
        followed.write(f"short {number}.txt", f"Note {number}.")
        sync(followed.path, [followed.folder], plan)
    coverage = followed.open().encoders()["mean-causal"]
    assert len(coverage.segments) == 2 and coverage.rows == 4
    assert coverage.facts["truncated"] == 2
