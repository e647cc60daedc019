"""The nouns of the whole application: frozen records without behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Document:
    """One retrievable unit of a corpus; `title` may be empty, `text` too, but not both."""

    doc_id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Query:
    """One information need. `metadata` holds what the collection adds, such as its `kind`."""

    query_id: str
    text: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """How relevant one document is to one query; `grade` 0 means judged and not relevant."""

    query_id: str
    doc_id: str
    grade: int


@dataclass(frozen=True, slots=True)
class Hit:
    """One place of a ranking: `rank` counts from 1, a higher `score` is better."""

    doc_id: str
    score: float
    rank: int


@dataclass(frozen=True, slots=True)
class Pair:
    """One training example: a query, a passage that answers it, and passages that do not."""

    pair_id: str
    query: str
    positive: str
    source: str
    negatives: tuple[str, ...] = ()
