"""Draws pictures of the view, as SVG: python -m tests.terminal.pictures INDEX FOLDER QUERY.

INDEX is the directory of an index. Each scene is drawn at three sizes, on dark and on light.
"""

import asyncio
import re
import sys
import tempfile
from pathlib import Path

from searchkit.search.judging import Ledger
from searchkit.search.source import Source, open_source
from searchkit.terminal.app import View
from searchkit.terminal.history import History

SIZES = {"small": (80, 24), "middle": (120, 40), "large": (200, 50)}
BACKGROUNDS = {"dark": (0x12, 0x14, 0x18), "light": (0xFF, 0xFF, 0xFF)}
# By scene: the keys that lead to it, once the query has been answered.
SCENES = {
    "search": ["down"],
    "judged": ["down", "r", "down", "x"],
    "compared": ["escape", "s"],
    "blind": ["escape", "s", "b"],
    "passages": ["escape", "m"],
    "help": ["escape", "question_mark"],
}

# Fonts of another host, and who drew it: a picture needs no network.
_FROM_OUTSIDE = re.compile(r"@font-face \{.*?\}\n|<!--.*?-->\n?", re.DOTALL)


async def draw(source: Source, folder: Path, query: str, size: str, background: str) -> None:
    """Write one picture a scene."""
    for scene, keys in SCENES.items():
        with tempfile.TemporaryDirectory() as kept:
            view = View(
                source,
                background=BACKGROUNDS[background],
                history=History(Path(kept) / "history.jsonl"),
                ledgers=lambda name, kept=kept: Ledger(Path(kept) / f"{name}.jsonl"),
            )
            async with view.run_test(size=SIZES[size]) as pilot:
                view.field.value = query
                await _answered(view, pilot, query)
                await pilot.press(*keys)
                await _answered(view, pilot, query)
                path = folder / f"{scene}-{size}-{background}.svg"
                drawn = view.export_screenshot(title=f"searchkit · {view.source.name}")
                path.write_text(_FROM_OUTSIDE.sub("", drawn), encoding="utf-8")
                print(path)


async def _answered(view, pilot, query):
    """Wait until every column holds the whole answer."""
    for _ in range(12_000):
        await pilot.pause(0.01)
        shown = view.columns[: 1 + view.comparison.two]
        told = all("to come" not in column.heading.remark for column in shown)
        if told and all(column.answers(query) for column in shown):
            await pilot.pause(0.5)  # the document, or what there is to choose from
            return
    raise SystemExit(f"no answer to {query!r} within two minutes")


def main() -> None:
    """Draw all pictures."""
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    source, folder, query = open_source(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3]
    folder.mkdir(parents=True, exist_ok=True)
    for size in SIZES:
        for background in BACKGROUNDS:
            asyncio.run(draw(source, folder, query, size, background))


if __name__ == "__main__":
    main()
