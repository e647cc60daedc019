"""Training pairs: files of them, or the judgements of a collection, read whole and checked.

A line of a file is an object with `query` and `positive`, and may have `source` and `negatives`:

    {"query": "...", "positive": "...", "source": "faq", "negatives": ["...", "..."]}
"""

import heapq
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from blake3 import blake3

from searchkit.corpus import cells
from searchkit.corpus.cells import Row
from searchkit.corpus.collection import joined, open_collection
from searchkit.corpus.lines import Line, json_object, lines, shown
from searchkit.corpus.notes import note
from searchkit.errors import BadInput
from searchkit.files import blake3_of
from searchkit.records import Pair

_FIELDS = frozenset({"query", "positive", "source", "negatives"})
_EXAMPLE = '{"query": "...", "positive": "..."}'
_NO_LETTER = re.compile(r"[\W_]+")
_ASCII = {code: chr(code).lower() if chr(code).isalnum() else None for code in range(128)}


@dataclass(frozen=True, slots=True)
class PairFile:
    """Where pairs came from.

    Attributes:
        name: the file, such as `faq.jsonl.gz`, or the collection and its split: `scifact@train`.
        blake3: of the file's bytes, or the fingerprint of the collection; 64 hexadecimal digits.
        pairs: how many of its pairs were kept.
    """

    name: str
    blake3: str
    pairs: int


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs in the order of their files; `notes` say what was dropped, drawn or not read."""

    pairs: tuple[Pair, ...]
    files: tuple[PairFile, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Origin:
    """A file of pairs, or a collection's folder and a split of it."""

    path: Path
    split: str | None

    @property
    def parts(self) -> tuple[str, ...]:
        """The whole path, whose last parts are its name."""
        if self.split is not None:
            folder = self.path.resolve()
            return (*folder.parent.parts[1:], f"{folder.name}@{self.split}")
        # The folder alone is resolved: behind a link a file may be called after its hash.
        return (*self.path.parent.resolve().parts[1:], self.path.name)


@dataclass(frozen=True, slots=True)
class _Content:
    """What an origin holds."""

    pairs: list[Pair]
    blake3: str
    notes: tuple[str, ...]


def read(paths: Sequence[str], *, at_most: int | None = None, seed: int = 0) -> Pairs:
    """The pairs of some files and collections.

    A pair is called after its line, `faq.jsonl.gz:17`, or its judgement, `scifact@train:31/4346`;
    files of one name have before it the folders that tell them apart. A pair without `source` has
    the file's name without its ending, one of a collection the collection's. Of pairs alike in
    query and positive, to the letter, the first is kept.

    Args:
        paths: each a .jsonl or .jsonl.gz of pairs, or `<collection folder>@<split>`, each of whose
            judgements above grade 0 is a pair of a query and a document's title and text.
        at_most: keep no more pairs of each path than this, drawn by the hashes of their texts: the
            same on every machine, and a smaller draw is part of a larger one.
        seed: of the draw.

    Raises:
        BadInput: a path is none of these or comes twice, holds no pair, or has a line that is not
            one: no JSON object, a field missing, of the wrong type or empty, or the positive among
            the negatives.
    """
    if not paths:
        raise BadInput("nothing to train on; name at least one file of pairs")
    if at_most is not None and at_most < 1:
        raise BadInput(f"at most {at_most} pairs of a file leave none to train on; take 1 or more")
    pairs: list[Pair] = []
    files: list[PairFile] = []
    notes: list[str] = []
    seen: set[tuple[str, str]] = set()
    for name, origin in _named([_origin(path) for path in paths]):
        content = (
            _of_file(name, origin.path)
            if origin.split is None
            else _of_collection(name, origin.path, origin.split)
        )
        fresh, repeated = _distinct(content.pairs, seen)
        kept = _drawn(fresh, at_most, seed)
        pairs += kept
        files.append(PairFile(name, content.blake3, len(kept)))
        notes += content.notes
        notes += note(f"{name}: pairs that came before", repeated, "dropped")
        if len(kept) < len(fresh):
            notes.append(
                f"{name}: a sample of {len(kept):,} of {len(fresh):,} pairs, drawn with seed {seed}"
            )
    return Pairs(tuple(pairs), tuple(files), tuple(notes))


def refuse_leaks(pairs: Pairs, held_out: Mapping[str, Iterable[str]]) -> None:
    """Refuse pairs with a text that an evaluation set asks with, as `comparable` compares them.

    Both the query and the positive are looked at: a loss that goes both ways learns from either,
    and what is held out may be sentences and titles as well as questions.

    Args:
        pairs: to be trained on.
        held_out: by the name of an evaluation set, the texts that it asks with.

    Raises:
        BadInput: there are such pairs; it names the first, the sets, and how many each has.
    """
    if leaks := _leaks(pairs, held_out):
        pair_id, text, name = leaks[0]
        counts = Counter(name for _, _, name in leaks)
        listed = ", ".join(f"{name} {count:,}" for name, count in counts.items())
        raise BadInput(
            f"{pair_id}: {shown(text)} is asked by the evaluation set {name}, too (pairs with such "
            f"a query or positive: {listed}); drop them with --drop-leaks, or evaluate on other "
            "sets"
        )


def without_leaks(pairs: Pairs, held_out: Mapping[str, Iterable[str]]) -> Pairs:
    """The pairs that `refuse_leaks` has nothing against; `notes` name the others."""
    leaking = {pair_id for pair_id, _, _ in _leaks(pairs, held_out)}
    kept = tuple(pair for pair in pairs.pairs if pair.pair_id not in leaking)
    notes = note("pairs whose query or positive an evaluation set asks", sorted(leaking), "dropped")
    return replace(pairs, pairs=kept, notes=(*pairs.notes, *notes))


def hold_out(pairs: Pairs, held_out: Mapping[str, Sequence[str]], *, drop: bool) -> Pairs:
    """Pairs without the texts that evaluation sets ask with; `notes` say that there are none.

    Args:
        pairs: to be trained on.
        held_out: by the name of an evaluation set, the texts that it asks with.
        drop: leave pairs with such texts out instead of refusing them.

    Raises:
        BadInput: see `refuse_leaks`.
    """
    if drop:
        pairs = without_leaks(pairs, held_out)
    else:
        refuse_leaks(pairs, held_out)
    total = sum(map(len, held_out.values()))
    said = (
        f"none of the {total:,} texts asked by {', '.join(held_out)} is the query or positive of a "
        "pair"
    )
    return replace(pairs, notes=(*pairs.notes, said))


def _leaks(pairs: Pairs, held_out: Mapping[str, Iterable[str]]) -> list[tuple[str, str, str]]:
    """Ids of pairs with a text of a set, that text, and the set's name: each pair and set once."""
    asking: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for name, texts in held_out.items():
        for text in texts:
            asking[comparable(text)][name] = None
    found = {
        (pair.pair_id, name): text
        for pair in pairs.pairs
        for text in (pair.positive, pair.query)  # the query is what is told, where both are asked
        for name in asking.get(comparable(text), ())
    }
    return [(pair_id, text, name) for (pair_id, name), text in found.items()]


def comparable(text: str) -> str:
    """What of a text tells it from others: its letters and digits, in lower case.

    A text without any, such as an emoticon, is compared by its other characters.
    """
    if text.isascii():  # five times as fast as the general way, over all training pairs
        found = text.translate(_ASCII)
    else:
        found = _NO_LETTER.sub("", unicodedata.normalize("NFKC", text).casefold())
    return found or "".join(text.split())


def _origin(path: str) -> _Origin:
    if Path(path).is_file():
        return _Origin(Path(path), None)
    folder, mark, split = path.rpartition("@")
    if mark and Path(folder).is_dir():
        return _Origin(Path(folder), split)
    if Path(path).is_dir():
        raise BadInput(f"{path} is a folder; name the split to train on, as in {path}@train")
    raise BadInput(
        f"no file {path}; training data is a .jsonl or .jsonl.gz of pairs, or "
        "<collection folder>@<split>"
    )


def _named(origins: Sequence[_Origin]) -> list[tuple[str, _Origin]]:
    """Each origin with the fewest last parts of its path that tell it from the others."""
    all_parts = [origin.parts for origin in origins]
    names = []
    for place, parts in enumerate(all_parts):
        others = [other for number, other in enumerate(all_parts) if number != place]
        if parts in others:
            raise BadInput(f"{parts[-1]} is given twice; name each file once")
        depth = 1
        while parts[-depth:] in [other[-depth:] for other in others]:
            depth += 1
        names.append("/".join(parts[-depth:]))
    return list(zip(names, origins, strict=True))


def _of_file(name: str, path: Path) -> _Content:
    stem = name.removesuffix(".gz").removesuffix(".jsonl")
    pairs = []
    not_read: Counter[str] = Counter()
    for line in lines(path):
        record = json_object(line, _EXAMPLE)
        pairs.append(_pair(f"{name}:{line.number}", line, record, stem))
        not_read.update(record.keys() - _FIELDS)
    if not pairs:
        raise BadInput(f"{path} holds no pairs; a line is {_EXAMPLE}")
    return _Content(pairs, blake3_of(path), note(f"{name}: fields", sorted(not_read), "not read"))


def _pair(pair_id: str, line: Line, record: Mapping[str, object], stem: str) -> Pair:
    row = Row(f"{line.source}:{line.number}", record)
    query, positive = cells.text(row, "query"), cells.text(row, "positive")
    negatives = cells.texts(row, "negatives") if "negatives" in record else ()
    if positive in negatives:
        raise row.wrong(
            f"'negatives[{negatives.index(positive)}]' is the positive itself, {shown(positive)}; "
            "delete it there"
        )
    source = cells.text(row, "source") if "source" in record else stem
    return Pair(pair_id, query, positive, source, negatives)


def _of_collection(name: str, folder: Path, split: str) -> _Content:
    collection = open_collection(folder, split)
    relevant = [one for one in collection.judgements if one.grade > 0]
    wanted = {one.doc_id for one in relevant}
    queries = {query.query_id: query.text for query in collection.queries}
    documents = {
        document.doc_id: joined(document)
        for document in collection.documents()
        if document.doc_id in wanted
    }
    pairs = []
    without_text = []
    for one in relevant:
        pair_id = f"{name}:{one.query_id}/{one.doc_id}"
        if one.query_id in queries and one.doc_id in documents:
            query, document = queries[one.query_id], documents[one.doc_id]
            pairs.append(Pair(pair_id, query, document, name.removesuffix(f"@{split}")))
        else:
            without_text.append(pair_id)
    if not pairs:
        raise BadInput(
            f"{name} holds no pairs: {len(relevant):,} of its {len(collection.judgements):,} "
            "judgements are above grade 0, and none of these has both a query and a document with "
            "text; name another split"
        )
    notes = note(f"{name}: judgements without the text of both", without_text, "left out")
    return _Content(pairs, collection.fingerprint, notes)


def _distinct(pairs: Iterable[Pair], seen: set[tuple[str, str]]) -> tuple[list[Pair], list[str]]:
    """Pairs whose texts were not seen before, and the ids of the others; adds to what was seen."""
    fresh, repeated = [], []
    for pair in pairs:
        texts = (pair.query, pair.positive)
        if texts in seen:
            repeated.append(pair.pair_id)
        else:
            seen.add(texts)
            fresh.append(pair)
    return fresh, repeated


def _drawn(pairs: list[Pair], at_most: int | None, seed: int) -> list[Pair]:
    """At most so many pairs, in their order; the hash of its texts is each one's lot."""
    if at_most is None or at_most >= len(pairs):
        return pairs

    def lot(place: int) -> bytes:
        pair = pairs[place]
        return blake3(f"{seed}\0{pair.query}\0{pair.positive}".encode()).digest()

    return [pairs[place] for place in sorted(heapq.nsmallest(at_most, range(len(pairs)), key=lot))]
