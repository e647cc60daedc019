"""What is done with a result: it is opened in an editor or a viewer, or copied."""

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Protocol

from textual.app import SuspendNotSupported

from searchkit.errors import SearchkitError
from searchkit.search.source import Result
from searchkit.terminal import opening

PATIENCE = 1.0  # seconds within which a viewer that cannot open a file ends


class Telling(Protocol):
    """Whoever is told how it went."""

    def notice(self, text: str) -> None:
        """Say what was done."""

    def fault(self, text: str) -> None:
        """Say what went wrong."""


class Acting:
    """Does things with results; what goes wrong is told and not raised.

    Args:
        told: of what was done, or went wrong.
        copy: puts a text on the clipboard.
        suspended: leaves the terminal to another program as long as it is entered.
        environment: where EDITOR is named.
    """

    def __init__(
        self,
        told: Telling,
        copy: Callable[[str], None],
        suspended: Callable[[], AbstractContextManager[None]],
        environment: Mapping[str, str],
    ) -> None:
        self._told, self._copy = told, copy
        self._suspended, self._environment = suspended, environment

    def edit(self, result: Result) -> bool:
        """Open the file in the editor at its line; whether one ran, now that it has ended."""
        if (path := self._path(result)) is None:
            return False
        try:
            command = opening.editor_command(path, result.line, self._environment)
            with self._suspended():
                code = _run(command)
        except (SearchkitError, OSError) as error:
            self._told.fault(str(error))
            return False
        except SuspendNotSupported:
            self._told.fault("this terminal cannot be handed to an editor")
            return False
        if code:
            self._told.fault(f"{command[0]} ended with {code}")
        return True

    async def view(self, result: Result) -> None:
        """Open the file in the desktop's viewer, which goes on by itself."""
        if (path := self._path(result)) is None:
            return
        try:
            viewer = await asyncio.to_thread(lambda: self._pdf_viewer) if result.page else None
            command = opening.viewer_command(path, result.page, sys.platform, viewer)
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except (SearchkitError, OSError) as error:
            self._told.fault(str(error))
            return
        self._told.notice(f"opening with {command[0]}")
        if code := await asyncio.to_thread(_ended_early, process):
            self._told.fault(f"{command[0]} ended with {code} and did not open {path}")

    def copy_place(self, result: Result) -> None:
        """Copy the path with the line or page."""
        place = opening.address(result.path or result.doc_id, result.line, result.page)
        self._copy(place)
        self._told.notice(f"copied {place}")

    def copy_passage(self, result: Result) -> None:
        """Copy the text of the passage."""
        self._copy(result.text)
        self._told.notice(f"copied the passage, {len(result.text):,} characters")

    @cached_property
    def _pdf_viewer(self) -> str | None:
        return opening.default_pdf_viewer()

    def _path(self, result: Result) -> str | None:
        if result.path is None:
            self._told.fault("this index was made from a corpus; it knows no files to open")
        return result.path


def _run(command: Sequence[str]) -> int:
    """The exit code of a program that has the terminal, and Ctrl+C for itself."""
    keys = (signal.SIGINT, signal.SIGQUIT)
    # Not SIG_IGN, which the program would inherit.
    before = [signal.signal(key, lambda *_: None) for key in keys]
    try:
        return subprocess.Popen(command).wait()
    finally:
        for key, handler in zip(keys, before, strict=True):
            signal.signal(key, handler or signal.SIG_DFL)


def _ended_early(process: "subprocess.Popen[bytes]") -> int | None:
    """The exit code of a program that ended soon; None where it goes on."""
    try:
        return process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        threading.Thread(target=process.wait, name="viewer", daemon=True).start()
        return None
