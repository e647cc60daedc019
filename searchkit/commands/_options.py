"""Options that several commands share, each said once."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from searchkit import catalog, places
from searchkit.errors import UnknownName

if TYPE_CHECKING:
    from searchkit.encode.variant import Variant


def _listed(folder: str) -> str:
    return ", ".join(catalog.names(f"searchkit.{folder}"))


class Mode(StrEnum):
    """How to search."""

    hybrid = "hybrid"
    dense = "dense"
    bm25 = "bm25"


class Device(StrEnum):
    """Where to compute."""

    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class DType(StrEnum):
    """What to compute in."""

    float32 = "float32"
    bfloat16 = "bfloat16"


VariantNames = Annotated[
    list[str] | None,
    typer.Option(
        "--variant",
        help="<pooling>-<attention>, model1 to model5, or a .json file; repeatable. "
        f"Poolings: {_listed('encode.pooling')}; attention: {_listed('encode.attention')}.",
        show_default=False,
    ),
]
EmbedderNames = Annotated[
    list[str] | None,
    typer.Option(
        "--embedder",
        help="A sentence-transformers model as a reference: st:<folder> or <name>=st:<folder>; "
        "repeatable.",
        show_default=False,
    ),
]
Base = Annotated[
    str | None,
    typer.Option(
        help="Base model: a known name, a model folder, a .gguf file or a pulled hub id. "
        "[default: smollm2-135m]",
        show_default=False,
        rich_help_panel="Variant",
    ),
]
MaxTokens = Annotated[
    int | None,
    typer.Option(
        min=2,
        help="Cut texts at this many tokens. [default: 256]",
        show_default=False,
        rich_help_panel="Variant",
    ),
]
LastLayer = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Stop at this layer. [default: the last]",
        show_default=False,
        rich_help_panel="Variant",
    ),
]
QueryTemplate = Annotated[
    str | None,
    typer.Option(
        help="What a query is put into, such as 'Query: {text}'.",
        show_default=False,
        rich_help_panel="Variant",
    ),
]
PassageTemplate = Annotated[
    str | None,
    typer.Option(help="What a passage is put into.", show_default=False, rich_help_panel="Variant"),
]
DeviceOption = Annotated[
    Device | None,
    typer.Option(
        help="Where to compute. [default: cuda, mps or cpu]",
        show_default=False,
        rich_help_panel="Computing",
    ),
]
DTypeOption = Annotated[
    DType | None,
    typer.Option(
        help="What to compute in. [default: the fastest that is accurate here]",
        show_default=False,
        rich_help_panel="Computing",
    ),
]
EngineOption = Annotated[
    str | None,
    typer.Option(
        help=f"How to run the model: {_listed('encode.engines')}. [default: packed where it can]",
        show_default=False,
        rich_help_panel="Computing",
    ),
]
VectorIndexOption = Annotated[
    list[str] | None,
    typer.Option(
        help=f"A vector index besides exact search: {_listed('index.vector')}; repeatable.",
        show_default=False,
    ),
]
K1 = Annotated[float, typer.Option("--k1", min=0.0, help="BM25's k1.", rich_help_panel="BM25")]
B = Annotated[
    float, typer.Option("--b", min=0.0, max=1.0, help="BM25's b.", rich_help_panel="BM25")
]
StopWords = Annotated[
    str, typer.Option(help="BM25's stop words: english or none.", rich_help_panel="BM25")
]
Stemmer = Annotated[
    str, typer.Option(help="BM25's stemmer: none or a Snowball language.", rich_help_panel="BM25")
]


def index_path(name: str) -> Path:
    """The directory of an index that is named, or given by its path.

    Raises:
        UnknownName: there is none; the message lists those there are.
    """
    for path in (Path(name).expanduser(), places.indexes() / name):
        if (path / "manifest.json").is_file():
            return path
    there = sorted(path.parent.name for path in places.indexes().glob("*/manifest.json"))
    known = f"there are: {', '.join(there)}" if there else "there is none yet"
    raise UnknownName(
        f"no index {name!r}; {known}; build one with: searchkit index CORPUS --name {name}"
    )


def variants(names: list[str] | None, **overrides: Any) -> tuple["Variant", ...]:
    """The variants that a command line names, with the options that hold for all of them."""
    if not names:
        return ()
    from searchkit.encode.variant import parse  # torch loads here, and only here

    parsed = (parse(name, **overrides) for name in names)
    return tuple(replace(variant, base=_absolute(variant.base)) for variant in parsed)


def _absolute(base: str) -> str:
    """A base model as an index remembers it: one in a file or folder, wherever a search starts."""
    path = Path(base).expanduser()
    return str(path.resolve()) if path.is_dir() or path.suffix == ".gguf" else base


def references(names: list[str] | None) -> tuple[tuple[str, Path], ...]:
    """The reference embedders that a command line names."""
    if not names:
        return ()
    from searchkit.encode.reference import parse

    return tuple(parse(name) for name in names)
