"""A server as a process of its own, and a browser to look at its page."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str | None:
    """The browser: that of SEARCHKIT_CHROMIUM, or one on the PATH under a usual name."""
    named = os.environ.get("SEARCHKIT_CHROMIUM")
    found = (shutil.which(name) for name in ([named] if named else NAMES))
    return next((path for path in found if path), None)


@contextmanager
def browsing(path: str) -> Iterator:
    """A headless Chromium, which asks nobody for anything of its own."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def serving(home: Path, *arguments: str) -> Iterator[str]:
    """`searchkit serve` on a free port of this machine; gives its address."""
    environment = {**os.environ, "SEARCHKIT_HOME": str(home), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "searchkit", "serve", "--port", "0", "--quiet", *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            line = process.stdout.readline()
            assert line.startswith("serving "), line
            yield line.split()[-1]
        finally:
            process.terminate()
