"""What requests and answers look like: read strictly, and described for the OpenAPI page."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_K = 1000
MAX_QUERY = 8192  # characters
MAX_INPUTS = 2048  # texts of one request for embeddings, as many as OpenAI takes
MAX_PAGE = 1000  # documents of one page of a list
MAX_SPAN = 100_000  # characters
MAX_INPUT = 100_000  # characters of a text to be embedded; no model here reads as many
_MAX_FILTERS = 64
_MAX_FIELDS = 64

ModeName = Literal["hybrid", "dense", "bm25"]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Pattern = Annotated[str, Field(min_length=1, max_length=1000)]
Patterns = Annotated[list[Pattern], Field(max_length=_MAX_FILTERS)]
DocId = Annotated[str, Field(min_length=1, max_length=4096)]
Query = Annotated[str, Field(max_length=MAX_QUERY)]
Text = Annotated[str, Field(min_length=1, max_length=MAX_INPUT)]
Depth = Annotated[int, Field(ge=1, le=MAX_K)]


class _Asked(BaseModel):
    """Whatever comes from outside: no field that is unknown, no value that has to be guessed."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse_many(cls, given: Any) -> Any:
        """Each field that is unknown would be an error of its own; of a few it is said which."""
        if isinstance(given, dict) and len(given) > _MAX_FIELDS:
            raise ValueError(f"it has {len(given)} fields; at most {_MAX_FIELDS} are read")
        return given


class _Told(BaseModel):
    """Whatever goes out."""


class Fault(_Told):
    """Why there is no answer."""

    status: int = Field(examples=[422])
    message: str = Field(examples=["k is 0; it must be 1 to 1000"])


class Failure(_Told):
    """Every answer whose status is not of the two hundreds."""

    error: Fault


class SystemAsked(_Asked):
    """A way to search."""

    mode: ModeName | None = None
    variant: Name | None = None


class Filtered(_Asked):
    """What only an index of folders knows of its documents; holds besides what the query says."""

    path: Patterns = Field(default=[], description="Patterns as in a .gitignore.")
    format: Patterns = Field(default=[], description="Such as pdf.")
    lang: Patterns = Field(default=[], description="ISO 639-1, such as en.")
    after: str | None = Field(default=None, max_length=40, description="Modified since.")
    before: str | None = Field(default=None, max_length=40, description="Modified before.")


class SearchAsked(Filtered):
    """A search."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"query": "how do I clean the autoclave", "k": 5},
                {"query": "ferry +winter", "mode": "bm25", "path": ["boats/"], "explain": True},
                {"query": "leave", "compare": {"mode": "bm25"}},
            ]
        }
    )

    query: Query
    k: Depth = 10
    mode: ModeName | None = Field(default=None, description="The index's default if left out.")
    variant: Name | None = Field(default=None, description="Whose vectors, where there are several")
    literal: bool = Field(default=False, description="The query is words, and none an operator.")
    typing: bool = Field(default=False, description="The query is still being typed.")
    explain: bool = Field(default=False, description="Say what each list gave to each score.")
    all_passages: bool = Field(default=False, description="Not only the best of each document.")
    rerank: Name | None = Field(default=None, description="A reranker that orders the best anew.")
    rerank_depth: Annotated[int, Field(ge=1, le=200)] = 20
    compare: SystemAsked | None = Field(default=None, description="A second way, beside it.")


class Listed(_Told):
    """What one of the lists that were fused said of a result."""

    name: str
    rank: int
    score: float
    share: float | None = Field(default=None, description="What it gave to the score; if explained")


class Result(_Told):
    """One place of a ranking."""

    rank: int
    score: float
    doc_id: str
    title: str
    trail: list[str]
    place: str
    line: int | None
    lines: list[int] | None
    page: int | None
    text: str
    start: int = Field(description="Of the text in that of the document, in characters.")
    best: list[int] = Field(description="The stretch of the text that answers best: [start, end).")
    marks: list[list[int]] = Field(description="Words of the query in the text: [start, end).")
    lists: list[Listed]


class SystemTold(_Told):
    """How was searched."""

    mode: ModeName
    variant: str | None
    name: str = Field(examples=["BM25 + tuned"])
    rerank: str | None = None


class Ranked(_Told):
    """What another way found."""

    system: SystemTold
    results: list[Result]


class SearchTold(_Told):
    """The answer to a search."""

    query: str
    system: SystemTold
    results: list[Result]
    compared: Ranked | None
    explanation: str | None = None
    notes: list[str]
    generation: str
    cached: bool
    took_ms: float


class Turn(_Asked):
    """A question that was asked before, and what was answered."""

    question: Query
    answer: Annotated[str, Field(max_length=20_000)]


class AskAsked(Filtered):
    """A question."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"question": "How is the autoclave cleaned?", "k": 8}]}
    )

    question: Annotated[str, Field(min_length=1, max_length=MAX_QUERY)]
    k: Annotated[int, Field(ge=1, le=50)] = 8
    generate: bool = Field(default=False, description="Let a language model write the answer.")
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    history: Annotated[list[Turn], Field(max_length=20)] = []
    mode: ModeName | None = None
    variant: Name | None = None
    rerank: Name | None = None


class FilterTold(_Told):
    """Something that can be added to a query, and what it leaves."""

    text: str = Field(examples=["format:pdf"])
    note: str = Field(examples=["17 documents"])


class IndexTold(_Told):
    """What is known of an index."""

    name: str
    kind: Literal["folder", "collection"] | None
    status: Literal["ready", "failed"]
    message: str = Field(default="", description="Why it failed.")
    documents: int
    encoders: list[str]
    default: SystemTold | None
    rerankers: list[str] = []
    syntax: str
    whole: bool = Field(description="Whether a result is a whole document.")
    generation: str
    opened: float | None = Field(description="When this generation was opened, POSIX seconds.")
    filters: list[FilterTold]
    notes: list[str]


class IndexDetails(IndexTold):
    """More of it."""

    files: dict[str, int] | None = Field(
        default=None, description="Of folders: files by what became of them."
    )
    passages: int | None = None
    encoded: dict[str, list[int]] | None = Field(
        default=None, description="Of folders: passages that each encoder has encoded, and of."
    )
    modified: float | None = Field(
        default=None, description="When it was last brought into step, POSIX seconds."
    )


class Indexes(_Told):
    """All of them."""

    indexes: list[IndexTold]


class DocumentLine(_Told):
    """A document of a list."""

    doc_id: str
    title: str
    format: str
    language: str
    modified: float | None = Field(description="POSIX seconds.")


class Documents(_Told):
    """A page of a list; `next` is the `after` of the next one."""

    documents: list[DocumentLine]
    next: str | None


class DocumentTold(DocumentLine):
    """A document."""

    text: str
    length: int = Field(description="Of the text, in characters; what is shown may be shorter.")


class Span(_Told):
    """A stretch of a document's text."""

    doc_id: str
    start: int
    end: int
    text: str
    length: int
    format: str
    language: str


class Passages(_Told):
    """Passages of one document with words of a query."""

    results: list[Result]
    notes: list[str]


class JudgementAsked(_Asked):
    """What somebody says of a document as an answer to a query."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"query": "clean the autoclave", "doc_id": "lab/care.md", "grade": 2}]
        }
    )

    query: Annotated[str, Field(min_length=1, max_length=MAX_QUERY)]
    doc_id: DocId
    grade: Annotated[int, Field(ge=0, le=3)]
    literal: bool = False


class JudgementTold(_Told):
    """One of the ledger."""

    query: str
    doc_id: str
    grade: int
    literal: bool


class Judgements(_Told):
    """The last word on every query and document."""

    judgements: list[JudgementTold]
    notes: list[str]


class Health(_Told):
    """That it is there."""

    status: Literal["ok"]
    version: str
    uptime_s: float


class Ready(_Told):
    """Which indexes can be searched."""

    status: Literal["ready", "no index"]
    indexes: int


class EmbeddingsAsked(_Asked):
    """As OpenAI's, with `input_type` besides."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"model": "tuned", "input": ["The ferry leaves at noon.", "Tides"]}]
        }
    )

    model: Name
    input: Text | Annotated[list[Text], Field(min_length=1, max_length=MAX_INPUTS)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1, le=65_536)] | None = Field(
        default=None, description="The first so many numbers of each vector, made unit length."
    )
    input_type: Literal["query", "passage"] = "passage"
    user: Annotated[str, Field(max_length=200)] | None = Field(
        default=None, description="Read by nobody here."
    )


class Embedding(_Told):
    """A vector of unit length: numbers, or their little-endian float32 bytes in base64."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class Usage(_Told):
    """Tokens that were read."""

    prompt_tokens: int
    total_tokens: int


class Embeddings(_Told):
    """As OpenAI's."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: Usage


class Model(_Told):
    """As OpenAI's."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class Models(_Told):
    """As OpenAI's."""

    object: Literal["list"]
    data: list[Model]
