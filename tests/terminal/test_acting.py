"""What is done with a result, without a screen."""

import asyncio
import os
import signal
import threading
from contextlib import nullcontext

import pytest

from searchkit.search.source import Result
from searchkit.terminal import acting
from searchkit.terminal.acting import Acting


class Told(list):
    """What was said, and how."""

    def notice(self, text):
        self.append(("notice", text))

    def fault(self, text):
        self.append(("fault", text))


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def act(told):
    def make(editor="", copied=None):
        copy = [].append if copied is None else copied.append
        return Acting(told, copy, nullcontext, {"EDITOR": str(editor)})

    return make


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Writes a shell script that is found by its name."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def write(name, *lines):
        path = tmp_path / name
        path.write_text("\n".join(["#!/bin/sh", *lines]) + "\n")
        path.chmod(0o755)
        return path

    return write


def result(path="/notes/a.md", **fields):
    return Result(key="a", rank=1, score=1.0, doc_id="a.md", path=path, **fields)


class TestEditing:
    def test_ctrl_c_is_the_editors(self, act, told, program, tmp_path):
        """It goes to both, as the terminal sends it; the editor has its own use for it."""
        editor = program(
            "vim",
            f"trap 'echo {tmp_path} > {tmp_path}/had' INT",
            "kill -INT $PPID $$",
        )
        before = signal.getsignal(signal.SIGINT)
        assert act(editor).edit(result(line=3))
        assert (tmp_path / "had").exists()
        assert signal.getsignal(signal.SIGINT) is before
        assert told == []

    def test_an_editor_that_fails_is_named(self, act, told, program):
        editor = program("vim", "exit 3")
        assert act(editor).edit(result(line=3))
        assert told == [("fault", f"{editor} ended with 3")]

    def test_a_result_without_a_file_cannot_be_opened(self, act, told):
        assert not act("vim").edit(result(path=None))
        assert told == [("fault", "this index was made from a corpus; it knows no files to open")]


class TestViewing:
    def test_a_viewer_that_could_not_open_the_file_is_named(self, act, told, program):
        program("xdg-open", "exit 3")
        asyncio.run(act().view(result()))
        assert told == [
            ("notice", "opening with xdg-open"),
            ("fault", "xdg-open ended with 3 and did not open /notes/a.md"),
        ]

    def test_one_that_goes_on_is_left_alone_and_waited_for(
        self, act, told, program, tmp_path, monkeypatch
    ):
        monkeypatch.setattr(acting, "PATIENCE", 0.05)
        program("xdg-open", f"while [ ! -e {tmp_path}/end ]; do sleep 0.02; done", "exit 3")
        asyncio.run(act().view(result()))
        (waiting,) = [one for one in threading.enumerate() if one.name == "viewer"]
        (tmp_path / "end").touch()
        waiting.join(20)
        assert not waiting.is_alive()
        assert told == [("notice", "opening with xdg-open")]

    def test_the_desktop_is_asked_once_for_its_viewer_of_pdfs(self, act, told, program, tmp_path):
        program("xdg-mime", f"echo asked >> {tmp_path}/asked", "echo okularApplication_pdf.desktop")
        program("okular", f'echo "$@" >> {tmp_path}/opened')
        given = act()
        for page in (4, 7):
            asyncio.run(given.view(result("/notes/a.pdf", page=page)))
        assert (tmp_path / "asked").read_text() == "asked\n"
        assert (tmp_path / "opened").read_text() == "-p 4 /notes/a.pdf\n-p 7 /notes/a.pdf\n"
        assert told == 2 * [("notice", "opening with okular")]


def test_what_is_copied_is_said_in_a_line(act, told):
    copied = []
    given = act(copied=copied)
    given.copy_place(result(line=3))
    given.copy_passage(result(text="a line\n" * 200))
    assert copied == ["/notes/a.md:3", "a line\n" * 200]
    assert told == [
        ("notice", "copied /notes/a.md:3"),
        ("notice", "copied the passage, 1,400 characters"),
    ]
