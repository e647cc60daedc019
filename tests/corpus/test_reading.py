"""Reading files: formats by name and content, and children that hang, crash, swell and are lost."""

import os
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from searchkit.corpus import reading
from searchkit.corpus._worker import Reading, packed, unpacked
from searchkit.corpus.extracted import Extracted, Heading
from searchkit.corpus.reading import Outcome, Reader, format_of

DATA = Path(__file__).parents[3] / "shared/data"

# Readers of a package of their own, which do to a child what a library can do.
HOSTILE = {
    "pid": "yield Extracted(text=str(os.getpid()))",
    "hang": "time.sleep(100)",
    "spin": "while True: pass",
    "crash": "os.kill(os.getpid(), signal.SIGSEGV)",
    "leave": "print('last words', file=sys.stderr, flush=True); os._exit(3)",
    "abort": "os.write(2, b'memory allocation of 99 bytes failed\\n'); os.abort()",
    "swell": "yield Extracted(text=str(len(bytearray(1 << 30))))",
    "grow": "kept = [bytearray(1 << 20) for _ in range(1 << 10)]; yield",
    "nest": "next(read(path))",
    "fail": "raise IndexError('no\\n such row')",
    "refuse": "raise Unreadable('a reason')",
    "lock": "raise Encrypted('opens with a password only')",
    "print_": "os.write(1, b'noise'); print('noise'); yield Extracted(text='quiet')",
    "long": "yield Extracted(text='x' * 600); yield Extracted(text='y' * 600)",
    # Fails in any process that has read a file before, as one does that another file has harmed.
    "second": "seen.append(1); yield Extracted(text='ok') if len(seen) == 1 else os._exit(1)",
    "harm": "seen.append(1); yield Extracted(text='harmed')",
}


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """The package; a function from keys and formats to what is read, by the key."""
    package = tmp_path / "hostile"
    package.mkdir()
    (package / "__init__.py").write_text("seen = []\n")
    head = (
        "import os, signal, sys, time\nfrom hostile import seen\n"
        "from searchkit.corpus.extracted import *\nTEXT = TRUSTED = False\ndef read(path):\n    "
    )
    for name, body in HOSTILE.items():
        (package / f"{name}.py").write_text(f"{head}{body}\n")
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "file"
    path.write_text("content")

    def read(*names, **limits):
        limits = {"workers": 1, "memory_bytes": 512 << 20, **limits}
        with Reader(package="hostile", **limits) as reader:
            jobs = [(f"{number} {name}", path, name) for number, name in enumerate(names)]
            return {outcome.key: outcome for outcome in reader.read_all(jobs)}

    return read


def test_a_format_is_known_by_its_name_and_text_by_its_content(tmp_path):
    known = {
        "a & b [1] #2.md": b"x",
        "UPPER.PDF": b"\0",
        "Makefile": b"x",
        "CMakeLists.txt": b"x",
        "a.ts": b"let x",
        "video.ts": b"G@\0\x10",
        "README": b"x",
        "LICENSE-MIT": "é".encode("latin-1"),
        "noname": b"\x7fELF\0",
        "utf16": "é".encode("utf-16"),
        "binary.txt": b"a\0b",
        "empty": b"",
        "a.unknown": b"text",
        ".gitignore": b"x",
        "trailing.": b"x",
        "a.tar.gz": b"\x1f\x8b\x08\0",
    }
    for name, content in known.items():
        (tmp_path / name).write_bytes(content)
    assert {name: format_of(tmp_path / name) for name in known} == {
        "a & b [1] #2.md": "markdown",
        "UPPER.PDF": "pdf",
        "Makefile": "code",
        "CMakeLists.txt": "code",
        "a.ts": "code",
        "video.ts": None,
        "README": "plain",
        "LICENSE-MIT": "plain",
        "noname": None,
        "utf16": "plain",
        "binary.txt": None,
        "empty": "plain",
        "a.unknown": "plain",
        ".gitignore": "plain",
        "trailing.": "plain",
        "a.tar.gz": None,
    }


def test_a_file_that_is_not_there_has_a_format_and_says_so_when_it_is_read(tmp_path):
    paths = [tmp_path / name for name in ("gone", "gone.md", "gone.py", "gone.pdf")]
    formats = [format_of(path) for path in paths]
    assert formats == ["plain", "markdown", "code", "pdf"]
    with Reader(workers=1) as reader:
        jobs = [(path.name, path, name) for path, name in zip(paths, formats, strict=True)]
        outcomes = list(reader.read_all(jobs))
    assert len(outcomes) == 4
    assert {outcome.failure for outcome in outcomes} == {
        "cannot be read: No such file or directory"
    }


def test_documents_come_back_from_a_child_as_they_come_back_from_this_process(tmp_path):
    text = "# Über Regen\n\nEs regnet heute sehr, und morgen regnet es wieder. 😀\x01\u2028\n"
    small, large = tmp_path / "a & [b] #1.md", tmp_path / "large.md"
    small.write_text(text)
    large.write_text(text + "\n" * reading._SMALL)
    with Reader(workers=1) as reader:
        found = {
            outcome.key: outcome
            for outcome in reader.read_all(
                [("small", small, "markdown"), ("large", large, "markdown")]
            )
        }
    expected = Extracted(
        text=text,
        title="Über Regen",
        headings=(Heading(0, 1, "Über Regen"),),
        verbatim=True,
        language="de",
    )
    assert found["small"] == Outcome("small", (expected,), "", False)
    (document,) = found["large"].documents
    assert document.text == text + "\n" * reading._SMALL
    assert (document.headings, document.language) == (expected.headings, "de")


def test_every_field_survives_the_way_between_processes():
    from datetime import UTC, datetime

    document = Extracted(
        text="a\u2028\U0001f600",
        title="t",
        headings=(Heading(0, 2, "a"),),
        pages=(0, 1),
        units=(1,),
        verbatim=True,
        part="17",
        modified=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    )
    for one in (Reading((document, Extracted(text=""))), Reading(failure="x", encrypted=True)):
        assert unpacked(packed(one)) == one
    assert unpacked(packed(Reading(failure="a \udc80 name"))).failure == "a ? name"


def test_code_has_no_language_that_people_speak(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("# The rain in May fell softly on the roofs of the old town.\nx = 1\n")
    with Reader(workers=1) as reader:
        (outcome,) = reader.read_all([("a", path, "code")])
    assert outcome.documents[0].language == ""


@pytest.mark.parametrize(
    ("name", "failure"),
    [
        ("hang", "took longer than 0.5 s"),
        ("spin", "took longer than 0.5 s"),
        ("crash", "its reader died (signal 11)"),
        ("leave", "its reader ended (exit status 3): last words"),
        ("abort", "needed more than 512 MiB of memory"),
        ("swell", "needed more than 512 MiB of memory"),
        ("grow", "needed more than 512 MiB of memory"),
        ("nest", "nested too deeply"),
        ("fail", "its reader failed: IndexError: no such row"),
        ("refuse", "a reason"),
        ("lock", "opens with a password only"),
        ("long", "holds more than 1,000 characters"),
    ],
)
def test_a_bad_file_costs_itself_alone(hostile, name, failure):
    seconds = 0.5 if name in ("hang", "spin") else 60
    found = hostile("pid", name, "pid", "pid", seconds=seconds, most_characters=1000)
    assert found[f"1 {name}"] == Outcome(f"1 {name}", (), failure, name == "lock")
    pids = {found[key].documents[0].text for key in ("0 pid", "2 pid", "3 pid")}
    assert str(os.getpid()) not in pids
    lost = name in ("hang", "spin", "crash", "leave", "abort", "swell", "grow")
    assert len(pids) == (2 if lost else 1)  # a lost child is replaced, any other goes on


def test_what_a_library_prints_is_no_answer(hostile):
    assert hostile("print_")["0 print_"].documents[0].text == "quiet"


def test_a_file_is_not_blamed_for_what_another_did_to_the_child(hostile):
    found = hostile("harm", "second")
    assert found["1 second"].documents == (Extracted(text="ok"),)


def test_children_are_replaced_after_some_files(hostile, monkeypatch):
    monkeypatch.setattr(reading, "_MOST_FILES", 2)
    found = hostile("pid", "pid", "pid", "pid", "pid")
    assert sorted(Counter(one.documents[0].text for one in found.values()).values()) == [1, 2, 2]


def test_several_children_read_at_once_and_none_is_left(hostile):
    found = hostile(*["pid"] * 20, "hang", *["pid"] * 20, workers=3, seconds=3)
    pids = {int(one.documents[0].text) for one in found.values() if one.documents}
    assert len(found) == 41
    assert found["20 hang"].failure == "took longer than 3 s"
    assert not any(alive(pid) for pid in pids)


def test_files_are_asked_for_no_further_ahead_than_children_can_read(hostile, tmp_path):
    asked = []

    def jobs():
        for number in range(100):
            asked.append(number)
            yield str(number), tmp_path / "file", "pid"

    with Reader(workers=2, package="hostile") as reader:
        outcomes = reader.read_all(jobs())
        for taken in range(1, 4):
            next(outcomes)
            assert len(asked) <= taken + 2 * 2
        outcomes.close()


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


PARENT = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from searchkit.corpus.reading import Reader
path = Path(sys.argv[1]) / "file"
with Reader(workers=1, seconds=float(sys.argv[2]), package="hostile") as reader:
    for outcome in reader.read_all([("a", path, "pid"), ("b", path, "hang")]):
        print(outcome.documents[0].text, flush=True)
"""


def reading_parent(folder, seconds):
    """A process that reads files, one of which hangs, and the pid of its child."""
    command = [sys.executable, "-c", PARENT, str(folder), str(seconds)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    child = int(process.stdout.readline())
    time.sleep(0.3)  # the hanging file is on its way
    return process, child


def gone(pid, seconds):
    end = time.monotonic() + seconds
    while alive(pid):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.usefixtures("hostile")
def test_ctrl_c_leaves_no_children_behind(tmp_path):
    process, child = reading_parent(tmp_path, 600)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to all of the group
    _, errors = process.communicate(timeout=60)
    assert b"KeyboardInterrupt" in errors
    assert errors.count(b"Traceback") == 1  # the parent's alone
    assert gone(child, 10)


@pytest.mark.usefixtures("hostile")
def test_children_outlive_a_killed_parent_by_the_time_of_a_file_at_most(tmp_path):
    process, child = reading_parent(tmp_path, 2)
    process.kill()
    process.communicate(timeout=60)
    assert gone(child, 30)


def test_a_bomb_and_a_file_beside_it(tmp_path):
    """A Word document of 400 kB that would unpack to 400 MB."""
    bomb, note = tmp_path / "bomb.docx", tmp_path / "note.md"
    note.write_text("# fine\n")
    namespace = "http://schemas.openxmlformats.org"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{namespace}/package/2006/relationships"><Relationship Id="r"'
            f' Type="{namespace}/officeDocument/2006/relationships/officeDocument" Target="d.xml"/>'
            "</Relationships>",
        )
        with archive.open("d.xml", "w") as member:
            for _ in range(401):
                member.write(b" " * 1_000_000)
    assert bomb.stat().st_size < 500_000
    with Reader(workers=1) as reader:
        found = {
            outcome.key: outcome
            for outcome in reader.read_all([("bomb", bomb, "docx"), ("note", note, "markdown")])
        }
    assert found["bomb"].failure.startswith("unpacks to 2 members, the largest of 401,000,000 byte")
    assert found["note"].documents[0].title == "fine"


def unpacked_data(name, folder):
    archive = DATA / name / "files.tar.gz"
    if not archive.exists():
        pytest.skip(f"no {archive} beside this checkout")
    with tarfile.open(archive) as files:
        files.extractall(folder, filter="data")
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "formats", "pages"),
    [
        ("docs_rustbook", {"markdown": 112, "docx": 24, "plain": 3}, 555),
        ("docs_cacm_html", {"html": 3204}, 0),
        ("docs_pdf", {"pdf": 17}, 1080),
    ],
)
def test_real_folders_are_read_to_the_last_file(tmp_path, name, formats, pages):
    paths = unpacked_data(name, tmp_path)
    jobs = [(path.name, path, format_of(path)) for path in paths]
    assert Counter(name for _, _, name in jobs) == formats
    with Reader(workers=2) as reader:
        outcomes = list(reader.read_all(jobs))
    assert [outcome for outcome in outcomes if outcome.failure] == []
    documents = [document for outcome in outcomes for document in outcome.documents]
    assert len(documents) == len(paths)
    assert all(document.text.strip() for document in documents)
    assert sum(len(document.pages) for document in documents) == pages
