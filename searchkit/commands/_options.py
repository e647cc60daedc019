"""Options that several commands share, each said once."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from searchkit import catalog, places
from searchkit.errors import BadInput, UnknownName

if TYPE_CHECKING:
    from searchkit.encode.variant import Variant
    from searchkit.index.text.bm25 import Parameters


def _listed(folder: str) -> str:
    return ", ".join(catalog.names(f"searchkit.{folder}"))


class Choice(StrEnum):
    """One of several words; an error repeats it as it was typed."""

    __repr__ = str.__repr__


class Mode(Choice):
    """How to search."""

    hybrid = "hybrid"
    dense = "dense"
    bm25 = "bm25"


class Device(Choice):
    """Where to compute."""

    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class DType(Choice):
    """What to compute in."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    int8 = "int8"


VariantNames = Annotated[
    list[str] | None,
    typer.Option(
        "--variant",
        help="<pooling>-<attention>, model1 to model5, a name that searchkit variants list has, a "
        "folder that searchkit train wrote, or a .json file; repeatable. "
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
        help="What to compute in; int8 is the fastest and least exact. "
        "[default: the fastest float that is accurate here]",
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
_RERANKERS = (
    f"{', '.join(catalog.names('searchkit.rank.rerank'))}; cross_encoder takes :DIR behind it, the "
    "others may take a :BASE"
)
Rerank = Annotated[
    str | None,
    typer.Option(
        help=f"Read the first documents again, each with the query: {_RERANKERS}.",
        show_default=False,
    ),
]
Rerankers = Annotated[
    list[str] | None,
    typer.Option(
        "--rerank",
        help="Also read the first documents of each hybrid again, or of bm25 where there is none: "
        f"{_RERANKERS}; repeatable.",
        show_default=False,
    ),
]
RerankDepth = Annotated[
    int | None,
    typer.Option(
        min=1, help="How many documents --rerank reads. [default: 20]", show_default=False
    ),
]
FOLDER: dict[str, Any] = {"rich_help_panel": "Folders", "show_default": False}
OnlyPath = Annotated[
    list[str] | None,
    typer.Option(
        help="Only files that match, such as 'docs/*.md' or 'notes/'; repeatable.", **FOLDER
    ),
]
OnlyFormat = Annotated[
    list[str] | None,
    typer.Option(help="Only these formats, such as pdf; repeatable.", **FOLDER),
]
OnlyLanguage = Annotated[
    list[str] | None,
    typer.Option(help="Only these languages, such as en; repeatable.", **FOLDER),
]
After = Annotated[
    str | None,
    typer.Option(help="Only what was modified since, such as 2024-05.", **FOLDER),
]
Before = Annotated[str | None, typer.Option(help="Only what was modified before.", **FOLDER)]
VectorIndexOption = Annotated[
    list[str] | None,
    typer.Option(
        help=f"A vector index besides exact search: {_listed('index.vector')}; repeatable.",
        show_default=False,
    ),
]
_BM25 = {"show_default": False, "rich_help_panel": "BM25"}
K1 = Annotated[
    float | None, typer.Option("--k1", min=0.0, help="BM25's k1. [default: 1.5]", **_BM25)
]
B = Annotated[
    float | None, typer.Option("--b", min=0.0, max=1.0, help="BM25's b. [default: 0.75]", **_BM25)
]
StopWords = Annotated[
    str | None,
    typer.Option(help="BM25's stop words: english or none. [default: english]", **_BM25),
]
Stemmer = Annotated[
    str | None,
    typer.Option(help="BM25's stemmer: none or a Snowball language. [default: english]", **_BM25),
]


def text_parameters(**given: Any) -> "Parameters | None":
    """BM25's parameters, defaults in the place of what was not given; None if nothing was."""
    chosen = {name: value for name, value in given.items() if value is not None}
    if not chosen:
        return None
    from searchkit.index.text.bm25 import Parameters

    return Parameters(**chosen)


def new_index_path(name: str) -> Path:
    """Where an index of that name is, or will be.

    Raises:
        BadInput: the name is not that of one visible folder, so it could lie anywhere.
    """
    if not _is_plain(name) or name.startswith((".", "-")) or not name.isprintable():
        raise BadInput(
            f"{name!r} cannot name an index, which is one folder; give it a plain --name"
        )
    return places.indexes() / name


def any_index_path(name: str) -> Path:
    """The directory of an index that is there, by name or path, or else of a new one."""
    try:
        return index_path(name)
    except UnknownName:
        return new_index_path(name)


def index_path(name: str) -> Path:
    """The directory of an index that is named, or given by its path.

    A folder here that has the name of an index does not stand in its way.

    Raises:
        UnknownName: there is none; the message lists those there are.
    """
    there = places.index_names()
    if name in there:
        return places.indexes() / name
    path = Path(name).expanduser()
    # What is clearly meant as a path is opened, damaged or not, and then says what is wrong.
    if places.is_index(path) or (not _is_plain(name) and (path / "manifest.json").is_file()):
        return path
    known = f"there are: {', '.join(there)}" if there else "there is none yet"
    raise UnknownName(
        f"no index {name!r}; {known}; build one with: searchkit index FOLDER --name {name}"
    )


def _is_plain(name: str) -> bool:
    """Whether a name is that of one folder, and no path."""
    return bool(name) and Path(name).name == name


def variants(names: list[str] | None, **overrides: Any) -> tuple["Variant", ...]:
    """The variants that a command line names, with the options that hold for all of them.

    An index remembers them, and a search of it may start in another folder: paths are absolute.
    """
    if not names:
        return ()
    from searchkit.encode import weights  # torch loads here, and only here
    from searchkit.encode.variant import parse

    parsed = (parse(name, **overrides) for name in names)
    return tuple(
        replace(
            variant,
            base=_absolute(variant.base),
            weights=weights.absolute(variant.weights),
        )
        for variant in parsed
    )


def _absolute(base: str) -> str:
    """A base model in a file or folder, wherever a search starts; others have a name."""
    path = Path(base).expanduser()
    return str(path.resolve()) if path.is_dir() or path.suffix == ".gguf" else base


def rerank_depth(given: int | None, rerank: str | list[str] | None) -> int:
    """How many documents are reranked.

    Raises:
        BadInput: a depth is given, and nothing that would read so far.
    """
    from searchkit.search.reranking import DEPTH

    if given is not None and not rerank:
        raise BadInput("--rerank-depth goes with --rerank; name a reranker, or leave it out")
    return DEPTH if given is None else given


def references(names: list[str] | None) -> tuple[tuple[str, Path], ...]:
    """The reference embedders that a command line names."""
    if not names:
        return ()
    from searchkit.encode.reference import parse

    return tuple(parse(name) for name in names)
