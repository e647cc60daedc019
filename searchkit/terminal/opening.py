"""Commands that open a file where a passage is: an editor at the line, a viewer at the page.

The commands are lists of words, never lines for a shell, and paths are absolute: no name of a file
is read as anything else.
"""

import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from searchkit.errors import BadInput

Which = Callable[[str], str | None]

# How editors want to be told of a line, by the name of the program.
_PLUS: tuple[str, ...] = (
    "vi",
    "vim",
    "nvim",
    "gvim",
    "nano",
    "pico",
    "emacs",
    "emacsclient",
    "kak",
    "micro",
    "ne",
)
_PLUS += ("joe", "jed", "mcedit", "gedit", "kate", "mg", "vis", "less", "more")
_COLON = ("hx", "helix", "subl", "sublime_text", "zed", "lapce")
_GOTO = ("code", "code-insiders", "codium", "cursor", "windsurf")
_FALLBACKS = ("sensible-editor", "nvim", "vim", "vi", "nano")

# PDF viewers that take a page: (path, page) to arguments, by the name of the program.
_PAGE: dict[str, Callable[[str, int], list[str]]] = {
    "okular": lambda path, page: ["-p", str(page), path],
    "zathura": lambda path, page: ["-P", str(page), path],
    "qpdfview": lambda path, page: [f"{path}#{page}"],
    "mupdf": lambda path, page: [path, str(page)],
    "xpdf": lambda path, page: [path, str(page)],
} | dict.fromkeys(
    ("evince", "papers", "atril", "xreader"),
    lambda path, page: [f"--page-index={page}", path],
)


def editor_command(
    path: str, line: int | None, environment: Mapping[str, str], which: Which = shutil.which
) -> list[str]:
    """The user's editor with a file, at a line where the editor can be told.

    Args:
        path: absolute.
        line: from 1; None where it is not known.
        environment: whose VISUAL, else EDITOR, names the editor, perhaps with options.
        which: where a program is, None if it is nowhere.

    Raises:
        BadInput: no editor is named, and none of the usual ones is there; or the one that is named
            is not.
    """
    named = environment.get("VISUAL") or environment.get("EDITOR")
    try:
        words = shlex.split(named) if named else []
    except ValueError as error:
        raise BadInput(f"EDITOR is {named!r}, which ends within a quotation; mend it") from error
    if not words:
        words = [editor for editor in _FALLBACKS if which(editor)][:1]
    if not words:
        raise BadInput("no editor was found; name yours: export EDITOR=nano")
    if which(words[0]) is None:
        raise BadInput(f"EDITOR is {words[0]!r}, and no such program is there; export another one")
    program = Path(words[0]).name
    if line is None:
        return [*words, path]
    if program in _PLUS:
        return [*words, f"+{line}", path]
    if program in _COLON:
        return [*words, f"{path}:{line}"]
    if program in _GOTO:
        return [*words, "--goto", f"{path}:{line}"]
    return [*words, path]


def viewer_command(
    path: str, page: int | None, platform: str, pdf_viewer: str | None, which: Which = shutil.which
) -> list[str]:
    """The desktop's viewer with a file, at a page where the viewer takes one.

    Args:
        path: absolute.
        page: from 1; None where there are none.
        platform: as `sys.platform`.
        pdf_viewer: the desktop's own for PDFs, as `default_pdf_viewer` finds it.
        which: where a program is, None if it is nowhere.

    Raises:
        BadInput: there is nothing to open files with.
    """
    if page and path.lower().endswith(".pdf") and pdf_viewer in _PAGE and which(pdf_viewer):
        return [pdf_viewer, *_PAGE[pdf_viewer](path, page)]
    opener = "open" if platform == "darwin" else "xdg-open"
    if which(opener) is None:
        raise BadInput(f"{opener} is not there to open files with; install xdg-utils")
    return [opener, path]


def default_pdf_viewer() -> str | None:
    """The program that the desktop opens PDFs with, if it says so."""
    if shutil.which("xdg-mime") is None:
        return None
    try:
        done = subprocess.run(
            ["xdg-mime", "query", "default", "application/pdf"],
            capture_output=True,
            text=True,
            timeout=2,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    name = done.stdout.strip().removesuffix(".desktop")  # org.gnome.Evince, okularApplication_pdf
    return next((viewer for viewer in _PAGE if viewer in name.lower()), None)


def address(path: str, line: int | None, page: int | None) -> str:
    """A place in a file as other programs take it: `path:12`, `path#page=4`."""
    if page is not None and line is None:
        return f"{path}#page={page}"
    return path if line is None else f"{path}:{line}"
