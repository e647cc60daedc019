"""Draws pictures of the page, as PNG: python -m tests.serve.pictures HOME FOLDER.

HOME is a SEARCHKIT_HOME that has the base model; its index `handbook` is made of the handbook's
documents as files, if it is not there yet. What the pictures judge is forgotten.
"""

import base64
import html
import json
import os
import struct
import sys
import tempfile
import zlib
from collections import defaultdict
from pathlib import Path

import numpy as np

from searchkit.commands.app import main as searchkit

from .browsing import browsing, chromium, serving

HANDBOOK = Path(__file__).parents[2] / "corpora" / "handbook" / "corpus.jsonl"
KINDS = {"lab": "html", "animal": "html", "money": "txt"}  # of the files of a subject
NEED = "How far from the seabird cliffs must a drone stay in June?"
QUESTION = "The Bunkhouse showers have run cold: when is there hot water again?"

DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True}


def search(page):
    """Typed, with a document beside its list."""
    _type(page, "cold water in the showers")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("2")
    page.keyboard.press("j")
    page.keyboard.press("0")
    page.keyboard.press("k")


def compared(page):
    """Words beside vectors."""
    _type(page, NEED)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("c")
    page.locator("#left-system").select_option("bm25")
    page.locator("#right .change").first.wait_for()
    page.locator("#right-system").select_option("hybrid:tuned")
    page.locator("#right .change.new").first.wait_for()
    page.locator("#left [role=listbox]").focus()


def asked(page):
    """A question and its answer."""
    page.locator("#query").fill(QUESTION)
    page.get_by_role("button", name="Answer").click()
    page.locator("#answer .citation").first.wait_for()


def answered(page):
    """The same, and a passage that it cites."""
    asked(page)
    page.locator("#answer .citation").nth(1).click()


def read(page):
    """A document as a sheet over its list."""
    _type(page, "cold water in the showers")
    page.locator("#left [role=option]").first.tap()


SCENES = [
    ("search", search, DESKTOP, "light"),
    ("search", search, DESKTOP, "dark"),
    ("compared", compared, DESKTOP, "light"),
    ("compared", compared, DESKTOP, "dark"),
    ("answered", answered, DESKTOP, "light"),
    ("answered", answered, DESKTOP, "dark"),
    ("phone-list", search, PHONE, "light"),
    ("phone-document", read, PHONE, "dark"),
    ("phone-compared", compared, PHONE, "dark"),
    ("phone-asked", asked, PHONE, "light"),
]


# The pixels of a PNG, which a browser can read: RGBA, as base64.
_PIXELS = """async (png) => {
  const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
  const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
  canvas.drawImage(image, 0, 0);
  const { data } = canvas.getImageData(0, 0, image.width, image.height);
  return [image.width, image.height, new Uint8Array(data.buffer).toBase64()];
}"""
_COLOURS = 256


def _type(page, query):
    page.locator("#query").fill(query)
    page.locator("#left .remark", has_text="found,").wait_for()


def write_handbook(folder: Path) -> None:
    """The handbook as files: those documents in one whose ids begin alike, with their headings."""
    files = defaultdict(list)
    for line in HANDBOOK.read_text(encoding="utf-8").splitlines():
        document = json.loads(line)
        subject, topic = document["_id"].split("-")[:2]
        files[f"{subject}/{topic}.{KINDS.get(subject, 'md')}"].append(document)
    for name, documents in files.items():
        texts = []
        for document in documents:
            title, text = document["title"], document["text"].replace(". ", ".\n")
            if name.endswith("html"):
                title, text = html.escape(title), html.escape(text)
                texts.append(f"<h2>{title}</h2>\n<p>{text}</p>\n")
            else:
                texts.append(f"{'## ' if name.endswith('md') else ''}{title}\n\n{text}\n")
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(texts), encoding="utf-8")


def shrunk(browser, png: bytes) -> bytes:
    """A PNG with 256 of its colours, in a third of the bytes."""
    page = browser.new_page()
    width, height, pixels = page.evaluate(_PIXELS, base64.b64encode(png).decode())
    page.close()
    rgba = np.frombuffer(base64.b64decode(pixels), np.uint8).reshape(-1, 4)
    colours, which, counts = np.unique(rgba[:, :3], axis=0, return_inverse=True, return_counts=True)
    colours, chosen = colours.astype(int), [int(counts.argmax())]
    apart = np.square(colours - colours[chosen[0]]).sum(axis=1)  # from the nearest one chosen
    while len(chosen) < _COLOURS and apart.any():
        chosen.append(int((counts * apart**2).argmax()))  # common ones, and the rare that stand out
        apart = np.minimum(apart, np.square(colours - colours[chosen[-1]]).sum(axis=1))
    palette = colours[chosen]
    nearest = np.square(colours[:, None] - palette[None]).sum(axis=2).argmin(axis=1)
    rows = nearest[which.ravel()].astype(np.uint8)
    lines = np.zeros((height, width + 1), np.uint8)  # each begins with its filter, 0 for none
    lines[:, 1:] = rows.reshape(height, width)
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", palette.astype(np.uint8).tobytes()),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )


def draw(home: Path, folder: Path) -> None:
    """Write one picture a scene."""
    with serving(home, "--llm", "none") as address, browsing(chromium()) as browser:
        for name, scene, device, colours in SCENES:
            context = browser.new_context(color_scheme=colours, reduced_motion="reduce", **device)
            page = context.new_page()
            page.goto(address)
            page.locator("#left .nothing", has_text="documents").wait_for()
            scene(page)
            page.wait_for_timeout(1500)  # the document, and what else of it matches
            path = folder / f"{name}-{colours}.png"
            path.write_bytes(shrunk(browser, page.screenshot()))
            context.close()
            print(f"{path}  {path.stat().st_size // 1024} KB")


def main() -> None:
    """Draw all pictures."""
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    home, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    if not (home / "indexes" / "handbook").exists():
        os.environ["SEARCHKIT_HOME"] = str(home)
        write_handbook(home / "handbook")
        if searchkit(["index", str(home / "handbook"), "--variant", "tuned"]):
            raise SystemExit(1)
    with tempfile.TemporaryDirectory() as kept:
        (Path(kept) / "models").symlink_to(home / "models")
        (Path(kept) / "indexes").mkdir()
        (Path(kept) / "indexes" / "handbook").symlink_to(home / "indexes" / "handbook")
        draw(Path(kept), folder)


if __name__ == "__main__":
    main()
