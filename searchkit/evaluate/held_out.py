"""Texts that training must not have seen: those that labelled sets ask with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from searchkit.corpus.collection import Collection
from searchkit.corpus.labelled import ClassificationSet, PairSet, RerankingSet
from searchkit.errors import BadInput
from searchkit.evaluate.sets import EvaluationSet, open_one
from searchkit.evaluate.suite import SetRow


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What labelled sets ask.

    Attributes:
        texts: those in the place of queries, by the name of the set: the queries where something is
            ranked for them, else all that there are, whichever of them a task or a sample draws.
        notes: what was passed over because it is no set with the split, a line each.
    """

    texts: Mapping[str, Sequence[str]]
    notes: tuple[str, ...]


def queries(sources: Sequence[str], *, split: str = "test") -> HeldOut:
    """What labelled sets ask; sets of one name are told apart by their folders.

    Args:
        sources: folders of labelled sets, each `<folder>` or `<folder>@<split>`; a folder that is
            none stands for the sets in it that have the split.
        split: where a source names none.

    Raises:
        BadInput: a source is no set, and holds none.
    """
    found: dict[Path, list[str]] = {}
    notes = []
    for source in sources:
        written, at, named = source.rpartition("@")
        folder, named = (Path(written), named) if at else (Path(source), split)
        if not folder.is_dir():
            raise BadInput(f"no folder {folder}; check the path")
        texts = _queries(folder, named)
        if not isinstance(texts, str):
            found[folder.resolve()] = texts
            continue
        inside = {one: _queries(one, named) for one in sorted(folder.iterdir()) if one.is_dir()}
        sets = {one.resolve(): got for one, got in inside.items() if not isinstance(got, str)}
        if not sets:
            raise BadInput(
                f"{folder} is no labelled set with a split {named}, nor a folder of some; check "
                f"the path, or name the split: <folder>@<split> ({texts})"
            )
        found |= sets
        notes += [
            f"{one.name} is not held out: {got.replace(str(one), one.name)}"
            for one, got in inside.items()
            if isinstance(got, str)
        ]
    return HeldOut(dict(zip(_named(list(found)), found.values(), strict=True)), tuple(notes))


def _queries(folder: Path, split: str) -> list[str] | str:
    """The texts, or why there are none: no set, or no such split."""
    try:
        opened = open_one(SetRow(source=str(folder), split=split))
    except BadInput as error:
        return str(error)
    return list(dict.fromkeys(_asked(opened)))


def _asked(opened: EvaluationSet) -> Iterator[str]:
    """All texts of a set that are in the place of queries."""
    if isinstance(opened, Collection):
        yield from (query.text for query in opened.queries)
    elif isinstance(opened, RerankingSet):
        yield from (one.query for one in opened.lists)
    elif isinstance(opened, PairSet):
        yield from (text for pair in opened.pairs for text in (pair.first, pair.second))
    elif isinstance(opened, ClassificationSet):
        # A few training texts are drawn anew for each seed: none of them may be known by heart.
        yield from (one.text for one in (*opened.train, *opened.test))
    else:
        yield from (one.text for one in opened.texts)


def _named(folders: Sequence[Path]) -> list[str]:
    """The name of each, and as much of its path before that as tells it from the others."""
    names = []
    for folder in folders:
        depth = 1
        while sum(other.parts[-depth:] == folder.parts[-depth:] for other in folders) > 1:
            depth += 1
        names.append("/".join(folder.parts[-depth:]))
    return names
