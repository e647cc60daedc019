"""Known-item queries: a collection made of documents alone, for a corpus that nobody judged.

A piece of a document, its title or one of its sentences, is taken out of it and looks for what is
left. The document that it came from is the one relevant document. Whether such queries rank systems
as judged ones do is measured by `agreement`.

Sources: Azzopardi, de Rijke and Balog 2007, Building simulated queries for known-item topics, SIGIR
(queries made of a document that must be found again); Lee, Chang and Toutanova 2019, Latent
retrieval for weakly supervised open domain question answering, ACL, arXiv:1906.00300 (a sentence
and the passage without it, the inverse cloze task); Kendall 1945, The treatment of ties in ranking
problems, Biometrika 33 (tau-b).
"""

import heapq
import json
import re
import string
import unicodedata
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from blake3 import blake3
from numpy.typing import ArrayLike, NDArray

from searchkit.corpus.collection import joined
from searchkit.corpus.written import Documents, fits_qrels, read_facts, write_collection
from searchkit.errors import BadInput, UnknownName
from searchkit.records import Document, Judgement, Query

VERSION = 1  # of what is made; another one makes every collection again
LEAST = 20  # possible queries: fewer tell systems apart by luck

Kind = Literal["title", "sentence"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_TITLE_WORDS = 2  # at least
_SENTENCE_WORDS = range(6, 61)  # a longer stretch is a table or a listing
_SENTENCES = 3  # at least, of so many words

Values = Mapping[str, Mapping[str, Mapping[str, float]]]
"""The value of one measure for each collection, system and query id, nested in this order."""


class TooFewDocuments(BadInput):
    """A corpus of which queries of one kind cannot be made; another kind may do."""


@dataclass(frozen=True, slots=True)
class Made:
    """A collection of known-item queries.

    Attributes:
        folder: in BEIR's layout, with the one split `test`.
        queries: how many it has.
        possible: how many documents could have been drawn.
        notes: what a reader of the scores should know, one line each.
        reused: whether an earlier call had made it.
    """

    folder: Path
    queries: int
    possible: int
    notes: tuple[str, ...]
    reused: bool


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far known-item queries rank systems as judged queries do.

    Attributes:
        tau: the mean over collections of Kendall's tau-b, from -1, the opposite order, to 1.
        low, high: the 95 % bootstrap interval of it.
        collections: tau-b of each.
        systems: those compared, in the order in which they were given.
    """

    tau: float
    low: float
    high: float
    collections: Mapping[str, float]
    systems: tuple[str, ...]


@dataclass(frozen=True, slots=True, order=True)
class _Draw:
    """A document that can be drawn, the query that looks for it, and what is left to be found."""

    place: int  # in the order of drawing; a hash
    doc_id: str
    query: str
    passage: Document


def make(
    documents: Documents, folder: Path, *, kind: Kind, queries: int = 300, seed: int = 0
) -> Made:
    """Make a test collection of a corpus without judgements.

    By title: a document's title looks for its text. Where the title is empty, it is the Markdown or
    reStructuredText heading that the text begins with; one further down names a section only. A
    title must be the only one of its wording, have two words, and leave a text behind. It is taken
    out of the field, and from the beginning of the text any heading, line or sentence that says
    just the same. In a longer sentence it stays: cutting it out would leave a text that nobody
    wrote. A note counts the documents drawn of which this is so.

    By sentence: a sentence looks for its neighbours. Its document has at least three sentences of 6
    to 60 words, no other sentence of the corpus has its wording, and its wording does not come
    again within the document. The first sentence is taken only where no other can be. Sentences are
    found by their full stops, and some will be wrong.

    Which documents are drawn, and which of their sentences, depends on hashes of them and the seed,
    not on each other: when documents are added, most stay drawn. All other documents stay as they
    are, to the byte.

    Args:
        documents: in the order of the corpus; read five times.
        folder: where the collection goes, whose name it takes. One that was made there of the same
            documents in the same way is kept, another one is replaced.
        kind: of queries; each query has it in its metadata, as `kind`.
        queries: how many at most.
        seed: of the draw.

    Raises:
        UnknownName: there is no such kind.
        TooFewDocuments: fewer than 20 documents can be drawn.
        BadInput: `queries` is below 1, or `folder` holds something that was not made here.
    """
    if kind not in KINDS:
        raise UnknownName(f"no known-item queries of kind {kind!r}; there are: {', '.join(KINDS)}")
    if queries < 1:
        raise BadInput(f"{queries} known-item queries cannot be made; ask for at least 1")
    key = {
        "made_by": "known_items",
        "version": VERSION,
        "corpus": _fingerprint(documents),
        "kind": kind,
        "queries": queries,
        "seed": seed,
    }
    facts = read_facts(folder)
    if facts is not None and {name: facts.get(name) for name in key} == key:
        return Made(folder, facts["made"], facts["possible"], tuple(facts["notes"]), True)
    drawn, possible = _drawn(documents, kind, queries, seed)
    if possible < LEAST:
        raise TooFewDocuments(_too_few(possible, len(documents), kind))
    notes = _notes(drawn, possible, kind, queries, seed)
    made = {one.doc_id: one for one in drawn}
    in_order = [made[document.doc_id] for document in documents if document.doc_id in made]
    ids = {one.doc_id: f"{kind}-{_hash('query', one.doc_id):016x}" for one in drawn}
    write_collection(
        folder,
        (made[one.doc_id].passage if one.doc_id in made else one for one in documents),
        [Query(ids[one.doc_id], one.query, {"kind": kind}) for one in in_order],
        [Judgement(ids[one.doc_id], one.doc_id, 1) for one in in_order],
        {**key, "made": len(drawn), "possible": possible, "notes": notes},
    )
    return Made(folder, len(drawn), possible, tuple(notes), False)


def caveat() -> str:
    """What known-item queries can show and what they cannot, for reports to quote."""
    return (
        "Known-item queries show which system finds a passage again from a piece of it, its title "
        "or one of its sentences, that was taken out. They come from the author of the passage and "
        "share its words, so they flatter systems that match words, and they are not what people "
        "ask. Each has one relevant passage: a near-duplicate that answers as well counts as a "
        "miss."
    )


def agreement(real: Values, made: Values, *, resamples: int = 2_000, seed: int = 0) -> Agreement:
    """Compare the ranking of systems by judged queries with that by known-item queries.

    Systems are ranked by their mean over queries, on each collection alone. Means that differ by
    less than 1e-12 are ties. Where one of the two rankings ties all systems, tau-b has no value,
    and counts as 0: such a ranking tells nothing of the other.

    The interval is the percentile bootstrap over collections and, within each, over both sets of
    queries; systems stay paired. Drawn again, queries rank nearly equal systems now this way, now
    that, in both rankings, so it reaches further below tau than above, and can lie below it
    altogether. Of a few collections it is too narrow, as every bootstrap of a few is.

    Args:
        real: the values by judged queries.
        made: the values by known-item queries of the same collections.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        BadInput: no collection is in both, or one has fewer than two systems in both.
        ValueError: systems of a collection have values of different queries or none, or a value is
            not finite.
    """
    shared = [name for name in real if name in made]
    if not shared:
        raise BadInput(
            f"no collection has both judged ({', '.join(real) or 'none'}) and known-item queries "
            f"({', '.join(made) or 'none'}); evaluate the same collections with both"
        )
    rng = np.random.default_rng(seed)
    taus: dict[str, float] = {}
    resampled = []
    systems: dict[str, None] = {}
    for name in shared:
        both = [system for system in real[name] if system in made[name]]
        if len(both) < 2:
            raise BadInput(
                f"{name} has {len(both)} systems with both judged and known-item queries; "
                "a ranking needs at least 2"
            )
        systems |= dict.fromkeys(both)
        pair = [_table(name, of[name], both) for of in (real, made)]
        taus[name] = float(_tau(*(table.mean(axis=0) for table in pair)))
        resampled.append(_tau(*(_resampled_means(table, resamples, rng) for table in pair)))
    # Collections drawn again, each time with other queries than the time before.
    which = rng.integers(len(shared), size=(resamples, len(shared)))
    when = rng.integers(resamples, size=which.shape)
    means = np.stack(resampled)[which, when].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    tau = sum(taus.values()) / len(taus)
    return Agreement(tau, float(low), float(high), taus, tuple(systems))


# Drawing


def _drawn(documents: Documents, kind: Kind, queries: int, seed: int) -> tuple[list[_Draw], int]:
    """The first documents in the order of drawing, and how many there would be."""
    repeated = _repeated(documents, _title_of if kind == "title" else _long_sentences)
    query_of = _by_title if kind == "title" else _by_sentence
    possible = 0

    def draws() -> Iterator[_Draw]:
        nonlocal possible
        for document in documents:
            if not fits_qrels(document.doc_id):
                continue
            found = query_of(document, repeated, seed)
            if found is not None:
                possible += 1
                query, passage = found
                place = _hash(seed, kind, document.doc_id)
                yield _Draw(place, document.doc_id, " ".join(query.split()), passage)

    return heapq.nsmallest(queries, draws()), possible


def _repeated(documents: Documents, pieces: Callable[[Document], Iterable[str]]) -> set[int]:
    """The hashes of the wordings that more than one piece has; 8 bytes are held of each piece."""
    seen = array("Q", (_hash(_plain(one)) for document in documents for one in pieces(document)))
    hashes, counts = np.unique(np.asarray(seen), return_counts=True)
    return set(hashes[counts > 1].tolist())


def _by_title(document: Document, repeated: set[int], seed: int) -> tuple[str, Document] | None:
    """A document's title and the document without it; None if it cannot look for it."""
    title = "".join(_title_of(document))
    if _words(title) < _TITLE_WORDS or _hash(_plain(title)) in repeated:
        return None
    text = _without_title(document.text, title)
    return (title, Document(document.doc_id, "", text)) if text.strip() else None


def _by_sentence(document: Document, repeated: set[int], seed: int) -> tuple[str, Document] | None:
    """A sentence of a document and the document without it; None if it has none to give."""
    text = document.text
    spans = list(sentences(text))
    long = [span for span in spans if _words(text[slice(*span)]) in _SENTENCE_WORDS]
    if len(long) < _SENTENCES:
        return None

    def order(span: tuple[int, int]) -> tuple[bool, int]:
        return span == spans[0], _hash(seed, document.doc_id, text[slice(*span)])

    for start, end in sorted(long, key=order):
        sentence = text[start:end]
        if _hash(_plain(sentence)) in repeated:
            continue
        passage = Document(document.doc_id, document.title, _without(text, start, end))
        if _plain(sentence) not in _plain(joined(passage)):
            return sentence, passage
    return None


def _too_few(possible: int, documents: int, kind: Kind) -> str:
    other = KINDS[1 - KINDS.index(kind)]
    needs = {
        "title": "a title must be the only one of its wording, have 2 words and leave a text",
        "sentence": "a document must have 3 sentences of 6 words, one of them like no other",
    }
    return (
        f"{possible} of {documents:,} documents can be looked for by a {kind} of theirs, and it "
        f"takes {LEAST}: {needs[kind]}; try {other}s, or judge results yourself with: "
        "searchkit search --judge"
    )


def _notes(drawn: list[_Draw], possible: int, kind: Kind, queries: int, seed: int) -> list[str]:
    notes = [
        f"known-item queries: {len(drawn):,}, drawn with seed {seed} from {possible:,} documents "
        f"that a {kind} of theirs can look for"
    ]
    if possible < queries:
        notes.append(f"fewer than the {queries:,} known-item queries that were asked for")
    again = sum(_plain(one.query) in _plain(one.passage.text) for one in drawn)
    if again:
        notes.append(
            f"titles that come again in a sentence of their document: {again:,}; left there, where "
            "matching words finds them"
        )
    return notes


def _fingerprint(documents: Documents) -> str:
    """BLAKE3 of ids, titles and texts in order, as `Corpus.fingerprint` is."""
    hasher = blake3()
    for one in documents:
        fields = [one.doc_id, one.title, one.text]
        hasher.update(json.dumps(fields, ensure_ascii=False).encode() + b"\n")
    return hasher.hexdigest()


def _hash(*values: object) -> int:
    """64 bits of BLAKE3 of what JSON can hold."""
    return int.from_bytes(blake3(json.dumps(values).encode()).digest(length=8))


# Titles


def _title_of(document: Document) -> list[str]:
    """The title of a document, or the heading that its text begins with; a list of at most one."""
    title = document.title.strip() or _heading(document.text.lstrip())[0]
    return [title] if title else []


def _without_title(text: str, title: str) -> str:
    """A text without the headings, lines and sentences at its beginning that only say its title."""
    wanted = _bare(title)
    while end := _end_of_repeat(text.lstrip(), wanted):
        text = text.lstrip()[end:].lstrip()
    return text


def _end_of_repeat(text: str, wanted: str) -> int:
    """Where what a text begins with and repeats the wanted words ends; 0 if nothing does."""
    heading, end = _heading(text)
    if heading and _bare(heading) == wanted:
        return end
    line = text.partition("\n")[0]
    if line and _bare(line) == wanted:
        return len(line)
    start, end = next(sentences(text), (0, 0))
    return end if start == 0 and end and _bare(text[:end]) == wanted else 0


def _heading(text: str) -> tuple[str, int]:
    """The heading that a text begins with, and where it ends; ("", 0) if it begins with none.

    Markdown's `# Title`, with or without closing marks; a title underlined by a row of one mark, as
    in Markdown and reStructuredText; or one between two such rows.
    """
    lines = [*text.split("\n", 3)[:3], "", ""][:3]
    first, second, third = (line.strip() for line in lines)
    marks = len(first) - len(first.lstrip("#"))
    said, used = "", 0
    if 1 <= marks <= 6 and first[marks : marks + 1].isspace():
        said, used = first[marks:].strip(), 1
        body, _, closing = said.rpartition(" ")
        if closing and not closing.strip("#"):
            said = body.strip()
    elif _is_row(first) and first == third and len(first) >= len(second):
        said, used = second, 3
    elif _is_row(second) and (second[0] in "=-" or len(second) >= len(first)):
        said, used = ("", 0) if _is_row(first) else (first, 2)
    if not said:
        return "", 0
    return said, min(len(text), sum(len(line) + 1 for line in lines[:used]) - 1)


def _is_row(line: str) -> bool:
    return len(line) >= 3 and line[0] in string.punctuation and not line.strip(line[0])


def _bare(text: str) -> str:
    """A text to be compared: its words, without emphasis and the punctuation around them."""
    return _plain(re.sub("[*_`]", "", text)).strip(f"{string.punctuation}…。！？ ")


# Sentences

_STOPS = ".!?…۔؟।॥"  # white space follows them
_WIDE_STOPS = "。！？｡．"  # nothing needs to
_CLOSING = "\"'”’»)\\]」』）】〉》"
# Where a sentence may end; possessive, and only from the first of several stops, so that a row of
# dots takes linear time. A blank line ends what is no sentence, and so does the line before an item
# of a list, a heading or a row of a table.
_BOUNDARY = re.compile(
    rf"(?<![{_STOPS}])(?P<stop>[{_STOPS}]++)[{_CLOSING}]*+(?=\s|\Z)"
    rf"|(?P<wide>[{_WIDE_STOPS}]++)[{_CLOSING}]*+"
    r"|\n[^\S\n]*\n"
    r"|\n(?=[^\S\n]*(?:[-*+•|>]|#{1,6}|\d{1,3}[.)])\s)"
)
_MARK = re.compile(r"[-*+•>]\s+")
_NO_PROSE = re.compile(r"(?:#{1,6}|\|)\s")
_ABBREVIATION = re.compile(
    r"(?i:mr|mrs|ms|dr|prof|st|vs|cf|al|figs?|eqs?|approx|ca)|[A-Z]|[^\W\d](?:\.[^\W\d])+"
)
# Scripts without spaces between words: Thai to Lao, Burmese, Khmer, kana and Han.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """The [start, end) of every sentence that ends with a full stop, in order.

    Full stops are Latin, Chinese, Japanese, Arabic and Devanagari. Rules are crude: a full stop is
    none after an initial or one of a few abbreviations, or where a small letter follows. Headings
    and rows of tables are no sentences. No end parts characters that are read as one.
    """
    start = 0
    for match in _BOUNDARY.finditer(text):
        stops = match["stop"] or match["wide"]
        if stops and not _ends(text, start, match):
            continue
        if stops and (found := _trimmed(text, start, match.end())):
            yield found
        start = match.end()


def _long_sentences(document: Document) -> Iterator[str]:
    found = (document.text[slice(*span)] for span in sentences(document.text))
    return (sentence for sentence in found if _words(sentence) in _SENTENCE_WORDS)


def _ends(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether a sentence that begins at `start` ends with these full stops."""
    end = match.end()
    rest = text[end : end + 100].lstrip()
    if _continues(text[end : end + 1]) or _continues(rest[:1]):
        return False
    if match["wide"] or text[match.start() - 1 : match.start()].isspace():
        return True  # a stop after white space is one that a tokeniser set apart
    if rest[:1].islower():
        return False
    before = text[max(start, match.start() - 12) : match.start()].split()[-1:]
    word = before[0].lstrip("([{\"'“‘«") if before else ""
    return match["stop"] != "." or not _ABBREVIATION.fullmatch(word)


def _continues(char: str) -> bool:
    """Whether a character, or none, belongs to the one before it: accents, joiners, skin tones."""
    return char != "" and (
        unicodedata.category(char)[0] == "M"
        or char in "\u200c\u200d\uff9e\uff9f\u0e33\u0eb3"
        or "\U0001f3fb" <= char <= "\U0001f3ff"
        or "\U000e0020" <= char <= "\U000e007f"
    )


def _trimmed(text: str, start: int, end: int) -> tuple[int, int] | None:
    """A stretch without white space and the mark of a list; None if it is no sentence."""
    start += len(text[start:end]) - len(text[start:end].lstrip())
    if mark := _MARK.match(text, start, end):
        start = mark.end()
    if _NO_PROSE.match(text, start, end):
        line_end = text.find("\n", start, end)
        if line_end < 0:
            return None
        start = line_end + 1
        start += len(text[start:end]) - len(text[start:end].lstrip())
    return (start, end) if start < end and not _continues(text[start]) else None


def _without(text: str, start: int, end: int) -> str:
    """A text without a stretch; the white space of that side stays which has more line ends."""
    left, right = text[:start].rstrip(), text[end:].lstrip()
    if not left or not right:
        return left or right
    gaps = text[len(left) : start], text[end : len(text) - len(right)]
    return left + max(gaps, key=lambda gap: (gap.count("\n"), len(gap))) + right


def _words(text: str) -> int:
    """How many words a text has; two characters count as one in scripts without spaces."""
    unspaced = len(_UNSPACED.findall(text)) // 2
    spaced = _UNSPACED.sub(" ", text).split() if unspaced else text.split()
    return unspaced + sum(any(map(str.isalnum, word)) for word in spaced)


def _plain(text: str) -> str:
    """The wording of a text: without case, and all white space single."""
    return " ".join(text.casefold().split())


# Agreement


def _table(
    collection: str, values: Mapping[str, Mapping[str, float]], systems: list[str]
) -> NDArray[np.float64]:
    """The values of systems on one collection, (Q, systems)."""
    queries = list(values[systems[0]])
    for system in systems:
        if not queries or values[system].keys() != set(queries):
            raise ValueError(
                f"{collection}: {system} has {len(values[system])} queries, not the "
                f"{len(queries)} of {systems[0]}"
            )
    table = np.array([[values[system][query] for system in systems] for query in queries])
    if not np.isfinite(table).all():
        raise ValueError(f"{collection}: {(~np.isfinite(table)).sum()} values are not finite")
    return table.astype(np.float64)


def _resampled_means(
    table: NDArray[np.float64], resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """The means of systems over queries that were drawn again, (resamples, systems)."""
    queries = len(table)
    rows = max(1, 500_000 // queries)  # 4 MB of counts at once
    blocks = []
    for done in range(0, resamples, rows):
        shape = (min(rows, resamples - done), queries)
        counts = rng.multinomial(queries, np.full(queries, 1 / queries), size=shape[0])
        blocks.append(counts @ table / queries)
    return np.concatenate(blocks)


def _tau(first: ArrayLike, second: ArrayLike) -> Any:
    """Kendall's tau-b along the last axis of two equal shapes; 0 where it has no value.

    `scipy.stats.kendalltau` gives the same in three hundred times the time.
    """
    signs = []
    for means in (first, second):
        rounded = np.round(np.asarray(means, np.float64), 12)
        one, other = np.triu_indices(rounded.shape[-1], 1)
        signs.append(np.sign(rounded[..., one] - rounded[..., other]))
    scale = np.sqrt((signs[0] ** 2).sum(axis=-1) * (signs[1] ** 2).sum(axis=-1))
    agreed = (signs[0] * signs[1]).sum(axis=-1)
    return np.divide(agreed, scale, out=np.zeros_like(agreed), where=scale > 0)
