"""The colour behind the terminal's text, which decides what can be read on it."""

import os
import re
import select
import sys
import time

RGB = tuple[int, int, int]

WAIT = 0.2  # seconds: far more than a terminal on this machine needs, and nobody notices

# OSC 11 asks for the background. Every terminal answers the second question, so that one which does
# not know the first is not waited for, and no late answer is taken for keys.
_QUESTION = b"\x1b]11;?\x1b\\\x1b[c"
_END = re.compile(rb"\x1b\[\?[0-9;]*c")
_ANSWER = re.compile(rb"\x1b\]11;rgba?:([0-9a-f]{1,4})/([0-9a-f]{1,4})/([0-9a-f]{1,4})", re.I)
# What COLORFGBG means by its last number: colours of the classic sixteen.
_DARK_NUMBERS = {*range(7), 8}


def ask(wait: float = WAIT) -> RGB | None:
    """Ask the terminal on standard input and output; None where it does not say.

    Nothing else may read from the terminal meanwhile.
    """
    import termios
    import tty

    try:
        source, sink = sys.stdin.fileno(), sys.stdout.fileno()
        before = termios.tcgetattr(source)
    except (OSError, ValueError, termios.error):
        return None
    if os.environ.get("TERM", "dumb") in ("dumb", "linux"):
        return None
    try:
        tty.setcbreak(source, termios.TCSANOW)
        os.write(sink, _QUESTION)
        return parse(_read(source, wait))
    except OSError:
        return None
    finally:
        termios.tcsetattr(source, termios.TCSANOW, before)


def _read(source: int, wait: float) -> bytes:
    answer, until = b"", time.monotonic() + wait
    while not _END.search(answer):
        left = until - time.monotonic()
        if left <= 0 or not select.select([source], [], [], left)[0]:
            break
        if not (block := os.read(source, 1024)):
            break
        answer += block
    return answer


def parse(answer: bytes) -> RGB | None:
    """The colour in a terminal's answer; each part has one to four hexadecimal digits."""
    match = _ANSWER.search(answer)
    if match is None:
        return None
    red, green, blue = (
        round(255 * int(part, 16) / (16 ** len(part) - 1)) for part in match.groups()
    )
    return red, green, blue


def of_environment(value: str | None) -> RGB | None:
    """Black or white by COLORFGBG, which some terminals set, such as `15;0`."""
    number = (value or "").rpartition(";")[2]
    if not number.isdigit() or int(number) > 15:
        return None
    return (0, 0, 0) if int(number) in _DARK_NUMBERS else (255, 255, 255)
