"""A question and an index to an answer with its evidence, as a stream of events.

The evidence comes first, then pieces of text where a model writes it, then the answer. A piece is
whole sentences that were checked: nothing that no passage says is shown, not even for a moment.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from searchkit.answer import abstention, extractive, prompt, terms, verification
from searchkit.answer.evidence import Evidence, Found
from searchkit.answer.extractive import Candidate
from searchkit.answer.prompt import NO_ANSWER, Turn
from searchkit.answer.verification import CITATION, Claim
from searchkit.errors import BadInput
from searchkit.index.live.query import NONE, Filters
from searchkit.search.source import Result, Source

if TYPE_CHECKING:
    from searchkit.generate.messages import Generator
    from searchkit.search.modes import Mode
    from searchkit.search.reranking import Reranker

__all__ = ["Answer", "Claim", "Evidence", "Passages", "Piece", "Turn", "answer", "searched_for"]

POOL = 20  # passages against which the best ones are compared, and which a reranker reads
ANSWER_TOKENS = 200  # that a model may generate
_ANSWER_CHARACTERS = 4_000  # that are read of them: a server may send more than it was asked for
UNVERIFIED = "[unverified]"
_CIRCLE = 3  # times that a model says one thing before it is stopped
_CHAIN = 8  # questions that refer to the one before, at most

# What points back, in a question that cannot be searched for alone.
_BACK = re.compile(
    r"(?i)^\W*(?:and|but|so|then|or|also|what about|how about|why not)\b"
    r"|\b(?:it|its|they|them|their|theirs|he|him|his|she|her|hers|this|these|those"
    r"|the same|the former|the latter|the other|another one|that one)\b"
    # The "that" of "the boat that sank" does not, and no "there" of "there is".
    r"|(?:^\W*|\b(?:is|are|was|were|do|does|did|can|could|will|would|should|about|of|for|to|on|at|by"
    r"|with|from|after|before|like|than|and|what|why|how|when)\s+)that\b"
    r"|(?<!\bis )(?<!\bare )(?<!\bwas )(?<!\bwere )\bthere\b(?!\s+(?:is|are|was|were|will)\b|['’]s)"
)


@dataclass(frozen=True, slots=True)
class Passages:
    """What was found.

    Attributes:
        evidence: the passages that may be cited, the best first.
        query: what was searched for: the question, after the one before it if it refers back.
    """

    evidence: tuple[Evidence, ...]
    query: str


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of an answer that is being written: checked sentences with their citations.

    All pieces together are the text of the answer.
    """

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer, or why there is none.

    Attributes:
        question: as it was asked.
        mode: whether its sentences were chosen or written; they are chosen, too, where nothing
            stood that was written.
        claims: its sentences; unverified ones only where they were asked for.
        abstained: whether there is no answer.
        missing: why there is none, in one line; empty where there is one.
        confidence: the probability that the evidence carries an answer.
        threshold: the confidence below which there is none.
        sentences: how many were made, by the model if there is one, those that were left out
            included.
        verified_share: the share of them that was verified; 1 of none.
        text: the claims with their citations, or empty. What looks like a citation in a claim has
            round brackets here.
        note: what a reader should know of how it was made; mostly empty.
    """

    question: str
    mode: Literal["extractive", "generative"]
    claims: tuple[Claim, ...]
    abstained: bool
    missing: str
    confidence: float
    threshold: float
    sentences: int
    verified_share: float
    text: str
    note: str = ""


def answer(
    source: Source,
    question: str,
    *,
    k: int = 8,
    mode: "Mode | None" = None,
    variant: str | None = None,
    filters: Filters = NONE,
    reranker: "Reranker | None" = None,
    generator: "Generator | None" = None,
    threshold: float | None = None,
    history: Sequence[Turn] = (),
    keep_unverified: bool = False,
) -> Iterator[Passages | Piece | Answer]:
    """Answer a question from an index.

    Args:
        source: it is open.
        question: as a person asks it; nothing in it is an operator.
        k: how many passages may be cited.
        mode: see `Source.choose`.
        variant: see `Source.choose`.
        filters: see `Source.find`.
        reranker: reads the 20 best passages again, or the k best if k is more.
        generator: writes the answer; without one, sentences are chosen.
        threshold: the least confidence of an answer; the calibrated one by default.
        history: what was asked before, the last question last.
        keep_unverified: whether claims that no passage supports are kept, and marked.

    Yields:
        `Passages`, then of a generator any number of `Piece`, then one `Answer`.

    Raises:
        BadInput: the question is empty, k below 1 or the threshold outside of 0 to 1; or as
            `Source.find` and the generator do.
    """
    if threshold is not None and not 0 <= threshold <= 1:
        raise BadInput(f"the threshold is {threshold}, not a probability from 0 to 1")
    found = look(
        source,
        searched_for(question, history),
        k=k,
        mode=mode,
        variant=variant,
        filters=filters,
        reranker=reranker,
    )
    yield Passages(tuple(found.evidence), found.asked.text)
    if terms.content(question):  # the question before it finds passages; it does not choose in them
        found = replace(found, asked=terms.read(question))
    candidates = extractive.ranked(found)
    made = Answer(
        question=question,
        mode="extractive" if generator is None else "generative",
        claims=(),
        abstained=True,
        missing="",
        confidence=abstention.confidence(found, candidates),
        threshold=abstention.threshold(found) if threshold is None else threshold,
        sentences=0,
        verified_share=1.0,
        text="",
    )
    if not candidates or made.confidence < made.threshold:
        yield replace(made, missing=abstention.missing(found))
        return
    chosen = [_chosen(one) for one in extractive.best(candidates)]
    if generator is None:
        yield _of_claims(replace(made, sentences=len(chosen)), chosen)
    else:
        yield from _written(made, found.evidence, generator, history, keep_unverified, chosen)


def look(
    source: Source,
    query: str,
    *,
    k: int = 8,
    mode: "Mode | None" = None,
    variant: str | None = None,
    filters: Filters = NONE,
    reranker: "Reranker | None" = None,
) -> Found:
    """The evidence for a question; see `answer` for the arguments.

    Raises:
        BadInput: as for `answer`.
    """
    if k < 1:
        raise BadInput(f"k is {k}; an answer needs at least 1 passage")
    pool = source.find(
        query,
        max(k, POOL),
        mode=mode,
        variant=variant,
        filters=filters,
        literal=True,
        per_document=source.whole,
    )
    if reranker is not None:
        pool = _reranked(reranker, query, pool)
    evidence = tuple(Evidence(number, one) for number, one in enumerate(pool[:k], start=1))
    return Found(terms.read(query), evidence, pool)


def searched_for(question: str, history: Sequence[Turn]) -> str:
    """What a question is searched for as: with the one before it, if it refers back.

    It does if it begins with "and", "what about" and the like, if it has a word such as "it" or
    "there", or if fewer than two of its words say what it is about. The one before it may refer
    back in turn.
    """
    asked, wanted = [question], 2
    for turn in reversed(history[-_CHAIN:]):
        if len(terms.content(asked[0])) >= wanted and not _BACK.search(asked[0]):
            break
        asked.insert(0, turn.question)
        wanted = 1  # "where is the ferry" says enough of what comes after it
    return " ".join(asked)


def _reranked(reranker: "Reranker", query: str, pool: Sequence[Result]) -> list[Result]:
    from searchkit.search.reranking import rerank, text_of_passage

    return [
        one.item for one in rerank(reranker, query, pool, text_of_passage, depth=len(pool) or 1)
    ]


def _chosen(one: Candidate) -> Claim:
    number = one.evidence.number
    return Claim(one.text, (number,), number, one.start, one.end, verified=True)


def _written(
    made: Answer,
    evidence: Sequence[Evidence],
    generator: "Generator",
    history: Sequence[Turn],
    keep_unverified: bool,
    chosen: Sequence[Claim],
) -> Iterator[Piece | Answer]:
    """What a model writes; the chosen sentences where nothing of it stands."""
    room = generator.context_tokens - ANSWER_TOKENS
    asks = prompt.prompt(made.question, evidence, generator.count_tokens, room, history)
    claims: list[Claim] = []
    kept: list[Claim] = []
    for claim in _checked(generator, asks):
        claims.append(claim)
        if claim.verified or keep_unverified:
            yield Piece(f"{' ' if kept else ''}{_shown(claim)}")
            kept.append(claim)
    share = sum(one.verified for one in claims) / len(claims) if claims else 1.0
    made = replace(made, sentences=len(claims), verified_share=share)
    if kept:
        yield _of_claims(made, kept)
    elif claims:
        note = f"nothing that {generator.name} wrote is in the passages; these are their sentences"
        yield _of_claims(replace(made, mode="extractive", note=note), chosen)
    else:
        yield replace(made, missing=f"{generator.name} found no answer in the passages")


def _checked(generator: "Generator", asks: prompt.Prompt) -> Iterator[Claim]:
    """The claims of a model, each once, as soon as it is complete.

    Small models go round in circles: one that says something for the third time is stopped.
    """
    text, said = "", Counter[str]()
    pieces = generator.stream(asks.messages, max_tokens=ANSWER_TOKENS)

    def claims(whole: str) -> Iterator[Claim]:
        for draft in verification.drafts(verification.clean(whole, asks.nonce)):
            if not NO_ANSWER.match(draft.text):
                yield verification.verify(draft, asks.evidence)

    room, seen = _ANSWER_CHARACTERS, 0
    for piece in pieces:
        text += piece[:room]
        room -= len(piece)
        if len(text) < seen * 17 // 16 and room > 0:  # a long sentence is not read for each piece
            continue
        end = verification.complete(text)
        for claim in claims(text[:end]):
            said[claim.text] += 1
            if said[claim.text] == _CIRCLE:
                return
            if said[claim.text] == 1:
                yield claim
        text = text[end:]
        seen = len(text)
        if room <= 0:
            break
    yield from (claim for claim in claims(text) if not said[claim.text])


def _of_claims(made: Answer, claims: Sequence[Claim]) -> Answer:
    text = " ".join(map(_shown, claims))
    return replace(made, claims=tuple(claims), abstained=False, text=text)


def _shown(claim: Claim) -> str:
    marks = "".join(f"[{number}]" for number in claim.citations)
    text = CITATION.sub(r"(\1)", claim.text)  # a document has citations of its own
    return f"{text} {marks if claim.verified else UNVERIFIED}"
