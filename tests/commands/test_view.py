"""searchkit view on a terminal that is real: a pseudo terminal with this program in it."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

WAIT = 60  # seconds; on a busy machine a start takes some


class Terminal:
    """A terminal of 80 x 24 with a program in it."""

    def __init__(self, arguments, environment):
        self._control, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.sent = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "searchkit", *arguments],
            env={
                **os.environ,
                "TERM": "xterm-256color",
                "COLORTERM": "truecolor",
                "COLUMNS": "",
                "LINES": "",
                **environment,
            },
            stdin=end,
            stdout=end,
            stderr=end,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(end)

    def type(self, keys):
        os.write(self._control, keys.encode())

    def read(self, seconds=0.3):
        """What was sent until it rests for so long."""
        sent = b""
        while select.select([self._control], [], [], seconds)[0]:
            try:
                block = os.read(self._control, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not block:
                break
            sent += block
        self.sent += sent.decode(errors="replace")
        return sent.decode(errors="replace")

    def until(self, pattern):
        """Read until something was sent since the last call."""
        seen, until = "", time.monotonic() + WAIT
        while not re.search(pattern, seen):
            assert time.monotonic() < until, f"{pattern!r} never came:\n{seen[-3000:]}"
            seen += self.read(0.1)
        return seen

    def wait(self):
        """The exit code."""
        until = time.monotonic() + WAIT
        while self.process.poll() is None:
            assert time.monotonic() < until
            self.read(0.1)
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self._control)


@pytest.fixture
def terminal():
    opened = []

    def start(*arguments, **environment):
        opened.append(Terminal(arguments, environment))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


@pytest.fixture
def words(searchkit, toy):
    """The name of an index of words alone."""
    assert searchkit("index", toy).code == 0
    return "toy"


class TestOnATerminal:
    def test_it_opens_searches_and_leaves_the_terminal_as_it_was(self, terminal, words, home):
        screen = terminal("view", words)
        screen.until("Type what you are looking for")
        assert "\x1b[?1049h" in screen.sent  # the other screen: what was there comes back
        screen.type("distilled")
        screen.until("2 found")
        screen.type("\x11")  # Ctrl+Q
        assert screen.wait() == 0
        screen.read()
        assert "\x1b[?1049l" in screen.sent
        assert (home / "state" / "history.jsonl").read_text().count("distilled") == 1

    def test_without_a_command_it_is_the_same(self, terminal, words):
        screen = terminal()
        screen.until("Type what you are looking for")
        screen.type("\x03")  # Ctrl+C
        assert screen.wait() == 0

    def test_it_asks_for_the_background_and_draws_on_it(self, terminal, words):
        screen = terminal("view", words)
        screen.until(r"\x1b\]11;\?")
        screen.type("\x1b]11;rgb:fdfd/f6f6/e3e3\x1b\\\x1b[?62;22c")
        screen.until("Type what you are looking for")
        assert "48;2;253;246;227" in screen.sent
        screen.type("\x11")
        assert screen.wait() == 0

    def test_no_colour_is_sent_where_none_is_wanted(self, terminal, words):
        screen = terminal("view", words, "--background", "dark", NO_COLOR="1")
        screen.until("Type what you are looking for")
        screen.type("distilled")
        screen.until("2 found")
        screen.type("\x1b[B?")  # down, and the help, as fast as can be
        screen.until("Esc closes")
        assert not re.search(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9\d|10\d)(?:;\d+)*m", screen.sent)
        screen.type("\x1b\x11")

    def test_a_move_of_the_selection_sends_what_changed_and_nothing_else(self, terminal, words):
        screen = terminal("view", words, "--background", "dark")
        screen.until("Type what you are looking for")
        screen.type("distilled\x1b")
        screen.until("2 found")
        screen.read(1.0)
        screen.type("j")
        sent = screen.read(1.0)
        assert "Stores" in sent
        for still in ("found", "toy", "help"):
            assert still not in sent
        screen.type("\x11")
        assert screen.wait() == 0

    def test_an_index_of_a_folder_opens_its_files_in_the_editor_at_the_line(
        self, terminal, home, tmp_path
    ):
        from searchkit.search.live.sync import Plan, sync

        folder = tmp_path / "notes"
        folder.mkdir()
        (folder / "a.md").write_text("# Ferry\n\nOne.\n\nThe zebra is on the ferry.\n")
        sync(home / "indexes" / "notes", (folder,), Plan(workers=1))
        editor = tmp_path / "vim"
        editor.write_text(f'#!/bin/sh\necho "EDITING $@"\necho "$@" > {tmp_path}/edited\n')
        editor.chmod(0o755)
        screen = terminal("view", "notes", "--background", "dark", EDITOR=str(editor))
        screen.until("Type what you are looking for")
        screen.type("zebra")
        screen.until("1 found")
        screen.type("\r")
        sent = screen.until("EDITING")
        assert sent.index("\x1b[?1049l") < sent.index("EDITING")  # the terminal is the editor's
        while "\x1b[?1049h" not in screen.sent.partition("EDITING")[2]:
            screen.read()
        assert (tmp_path / "edited").read_text() == f"+5 {folder / 'a.md'}\n"
        screen.type("\x11")
        assert screen.wait() == 0


class TestRefusals:
    def test_where_there_is_no_terminal(self, refused, words):
        assert refused("view", words) == (
            "the view needs a terminal for its input and its output; for a pipe there is: "
            'searchkit search "..." --index NAME'
        )

    def test_where_there_is_no_index(self, terminal):
        screen = terminal("view")
        screen.until("searchkit: there is no index yet; build one with: searchkit index FOLDER")
        assert screen.wait() == 1

    def test_of_a_colour_that_is_none(self, terminal, words):
        screen = terminal("view", words, "--background", "beige")
        screen.until("--background is 'beige'; it must be light, dark, own or a colour such as")
        assert screen.wait() == 1


def test_without_a_command_and_a_terminal_there_is_help(process):
    done = process()
    assert done.returncode == 2
    assert b"Commands:" in done.stdout + done.stderr
