"""Rich Text Format, by kreuzberg."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from searchkit.corpus.extracted import Extracted, Unreadable
from searchkit.corpus.formats import _titles
from searchkit.corpus.formats._writing import Writing, row

SUFFIXES = (".rtf",)
TEXT = False
TRUSTED = False

_BEGINNING = b"{\\rtf"


def read(path: Path) -> Iterator[Extracted]:
    """The document.

    Raises:
        Unreadable: the file is not RTF.
        OSError: it cannot be read.
    """
    import kreuzberg

    content = path.read_bytes()
    if not content.lstrip().startswith(_BEGINNING):
        raise Unreadable("not RTF, which begins with {\\rtf")
    config = kreuzberg.ExtractionConfig(
        use_cache=False,  # it would write into the folder that is read
        include_document_structure=True,
        enable_quality_processing=False,
        concurrency=kreuzberg.ConcurrencyConfig(max_threads=1),
    )
    try:
        found = kreuzberg.extract_bytes_sync(content, "application/rtf", config)
    except kreuzberg.KreuzbergError as error:
        raise Unreadable(f"damaged: {_titles.one_line(str(error))}") from error

    writing = Writing()
    for said in _body(found.document["nodes"] if found.document else []):
        _write(writing, said)
    yield writing.extracted(_titles.sane(found.metadata.get("title")))


def _body(nodes: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """What the document says, without what stands at the head and the foot of every page.

    kreuzberg tells these apart, and has them once more as ordinary paragraphs.
    """
    layers = [node.get("content_layer", "body") for node in nodes]
    furniture = [
        _letters(node["content"])
        for node, layer in zip(nodes, layers, strict=True)
        if layer in ("header", "footer")
    ]
    for node, layer in zip(nodes, layers, strict=True):
        content = node["content"]
        if layer in ("body", "footnote"):
            if content["node_type"] == "paragraph" and _letters(content) in furniture:
                furniture.remove(_letters(content))
            else:
                yield content


def _letters(content: Mapping[str, Any]) -> str:
    return "".join(content.get("text", "").split())


def _write(writing: Writing, content: Mapping[str, Any]) -> None:
    match content["node_type"]:
        case "group":  # stands for the heading that follows it
            return
        case "heading":
            writing.heading(content["level"], content["text"])
        case "table":
            cells = sorted(content["grid"]["cells"], key=lambda cell: (cell["row"], cell["col"]))
            for number, line in groupby(cells, lambda cell: cell["row"]):
                writing.block(row(cell["content"] for cell in line), close=number > 0)
        case _:
            writing.block(content.get("text", ""))
