"""Which indexes there are, and how each can be asked."""

from typing import Annotated

from pydantic import BaseModel, Field

from searchkit.agents.arguments import Answer, Arguments
from searchkit.agents.quoting import line
from searchkit.agents.shelf import Shelf
from searchkit.errors import SearchkitError

TITLE = "List indexes"
DESCRIPTION = (
    "Lists the indexes that can be searched: what each holds, how it is searched by default, which "
    "modes and variants it has, which operators and filters its queries understand. Call it first "
    "when you do not know the name of an index, or what a query may say."
)
_FILTERS = 12


class Asked(Arguments):
    """Nothing."""


class Index(BaseModel):
    """An index."""

    name: str
    holds: Annotated[
        str | None, Field(description="'files', found by passage, or 'documents', found whole.")
    ] = None
    documents: int | None = None
    modes: list[str] = []
    variants: Annotated[
        list[str], Field(description="Embedders whose vectors it has, for dense and hybrid.")
    ] = []
    default: Annotated[str | None, Field(description="How it is searched by default.")] = None
    syntax: Annotated[str | None, Field(description="What a query may hold beyond words.")] = None
    filters: Annotated[
        list[str], Field(description="Filters that leave something, the most frequent ones.")
    ] = []
    problem: Annotated[str | None, Field(description="Why it cannot be searched now.")] = None


class Found(Answer):
    """The indexes that are served."""

    indexes: list[Index]


def run(shelf: Shelf, asked: Asked) -> Found:
    """The indexes, those too that cannot be opened."""
    return Found(indexes=[_index(shelf, name) for name in shelf.names()])


def _index(shelf: Shelf, name: str) -> Index:
    try:
        source = shelf.source(name)
        filters = source.filters()
    except (SearchkitError, OSError) as error:
        return Index(name=name, problem=shelf.hide(str(error)))
    return Index(
        name=name,
        holds="documents" if source.whole else "files",
        documents=source.documents,
        modes=["bm25", "dense", "hybrid"] if source.encoders else ["bm25"],
        variants=list(source.encoders),
        default=source.default.name,
        syntax=source.syntax or None,
        filters=[
            line(f"{one.text} ({one.note})" if one.note else one.text) for one in filters[:_FILTERS]
        ],
    )


def written(found: Found) -> str:
    """One line for each, and what its queries understand."""
    return "\n".join(_written(one) for one in found.indexes) or (
        "No index is served; build one with: searchkit index FOLDER"
    )


def _written(one: Index) -> str:
    if one.problem is not None:
        return f"{one.name}: cannot be searched now: {one.problem}"
    lines = [f"{one.name}: {one.documents:,} {one.holds}, searched by {one.default}"]
    if one.variants:
        lines.append(f"  modes {', '.join(one.modes)}; variants {', '.join(one.variants)}")
    if one.syntax:
        lines.append(f"  queries: {one.syntax}")
    if one.filters:
        lines.append(f"  filters: {'; '.join(one.filters)}")
    return "\n".join(lines)
