"""Texts that training must not have seen: those that labelled sets ask with."""

from collections.abc import Sequence
from pathlib import Path

from searchkit.errors import BadInput
from searchkit.evaluate.sets import open_one, texts_of
from searchkit.evaluate.suite import SetRow


def queries(sources: Sequence[str], *, split: str = "test") -> dict[str, list[str]]:
    """The texts in the place of queries, by the name of the set.

    Args:
        sources: folders of labelled sets, each `<folder>` or `<folder>@<split>`; a folder that is
            none stands for the sets in it that have the split.
        split: where a source names none.

    Raises:
        BadInput: a source is no set, and holds none.
    """
    found: dict[str, list[str]] = {}
    for source in sources:
        folder, at, named = source.rpartition("@")
        folder, named = (folder, named) if at else (source, split)
        one = _queries(folder, named)
        if one is not None:
            found[Path(folder).resolve().name] = one
            continue
        inside = {
            path.name: texts
            for path in sorted(Path(folder).iterdir())
            if path.is_dir() and (texts := _queries(str(path), named)) is not None
        }
        if not inside:
            raise BadInput(
                f"{folder} is no labelled set with a split {named}, nor a folder of some; check "
                "the path, or name the split: <folder>@<split>"
            )
        found |= inside
    return found


def _queries(folder: str, split: str) -> list[str] | None:
    """None where a folder is no set, or has no such split."""
    if not Path(folder).is_dir():
        raise BadInput(f"no folder {folder}; check the path")
    try:
        opened = open_one(SetRow(source=folder, split=split))
        return [text for role, texts in texts_of(opened) if role == "query" for text in texts]
    except BadInput:
        return None
