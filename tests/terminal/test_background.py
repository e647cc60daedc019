"""The terminal is asked for its background, and may say what it likes, late, or nothing."""

import os
import pty
import threading
import tty

import pytest

from searchkit.terminal import background


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"\x1b]11;rgb:ffff/ffff/ffff\x1b\\", (255, 255, 255)),
        (b"\x1b]11;rgb:1e1e/2020/30ff\x07", (30, 32, 49)),
        (b"\x1b]11;rgb:f/8/0\x07", (255, 136, 0)),
        (b"\x1b]11;rgba:0000/8080/ffff/ffff\x07", (0, 128, 255)),
        (b"\x1b[?62;c", None),
        (b"", None),
    ],
)
def test_answers_are_read_whatever_their_precision(answer, expected):
    assert background.parse(answer) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("15;0", (0, 0, 0)),
        ("0;15", (255, 255, 255)),
        ("0;default;7", (255, 255, 255)),
        ("12;8", (0, 0, 0)),
        ("15;default", None),
        ("", None),
        (None, None),
    ],
)
def test_colorfgbg_is_black_or_white(value, expected):
    assert background.of_environment(value) == expected


@pytest.fixture
def terminal(monkeypatch):
    """Makes a pseudo terminal this process's own; its other end gives an answer, or none."""
    control, end = pty.openpty()
    tty.setraw(control)
    asked, streams = [], []

    def become(answer):
        def reply():
            asked.append(os.read(control, 100))
            if answer:
                os.write(control, answer)

        threading.Thread(target=reply, daemon=True).start()
        stream = os.fdopen(os.dup(end), "r+b", buffering=0)
        streams.append(stream)
        monkeypatch.setattr("sys.stdin", stream)
        monkeypatch.setattr("sys.stdout", stream)
        monkeypatch.setenv("TERM", "xterm-256color")
        return asked

    yield become
    for stream in streams:
        stream.close()
    os.close(control)
    os.close(end)


def test_a_terminal_that_tells_is_believed(terminal):
    asked = terminal(b"\x1b]11;rgb:fdfd/f6f6/e3e3\x1b\\\x1b[?62;22c")
    assert background.ask(wait=5) == (253, 246, 227)
    assert asked == [b"\x1b]11;?\x1b\\\x1b[c"]


def test_one_that_knows_no_such_question_is_not_waited_for(terminal):
    terminal(b"\x1b[?6c")
    assert background.ask(wait=60) is None


def test_one_that_says_nothing_is_waited_for_a_moment(terminal):
    terminal(None)
    assert background.ask(wait=0.05) is None


def test_the_terminal_is_left_as_it_was(terminal):
    import sys
    import termios

    terminal(b"\x1b[?6c")
    before = termios.tcgetattr(sys.stdin.fileno())
    background.ask(wait=5)
    assert termios.tcgetattr(sys.stdin.fileno()) == before


def test_a_pipe_is_not_asked(monkeypatch, tmp_path):
    with (tmp_path / "file").open("w+b") as file:
        monkeypatch.setattr("sys.stdin", file)
        monkeypatch.setattr("sys.stdout", file)
        assert background.ask() is None
    assert (tmp_path / "file").read_bytes() == b""
