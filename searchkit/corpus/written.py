"""Collections that searchkit writes itself, in BEIR's layout: whole or not there, and checked.

Beside its files lies `made.json`, which says what the collection was made from and what its files
were. A folder without it holds something else, and is left alone.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from errno import EEXIST, ENOTEMPTY
from pathlib import Path
from typing import Any, Protocol

from searchkit import files
from searchkit.errors import BadInput
from searchkit.records import Document, Judgement, Query

_FACTS = "made.json"


class Documents(Protocol):
    """Documents that can be read more than once: those of an index, or a list; no generator."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Document]: ...


def write_collection(
    folder: Path,
    documents: Iterable[Document],
    queries: Iterable[Query],
    judgements: Iterable[Judgement],
    facts: Mapping[str, Any],
    *,
    split: str = "test",
) -> None:
    """Write a collection in BEIR's layout, with one split: whole, or not at all.

    Args:
        folder: where; a collection that this function made there is replaced.
        documents: one by one, as they shall be.
        queries: their metadata are kept.
        judgements: `fits_qrels` of their ids.
        facts: what `read_facts` gives back; JSON.
        split: its name.

    Raises:
        BadInput: `folder` holds something else.
    """
    _refuse_foreign(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        new.chmod(0o755)
        (new / "qrels").mkdir(parents=True)
        _write_lines(
            new / "corpus.jsonl",
            ({"_id": one.doc_id, "title": one.title, "text": one.text} for one in documents),
        )
        _write_lines(
            new / "queries.jsonl",
            (
                {"_id": one.query_id, "text": one.text, "metadata": dict(one.metadata)}
                for one in queries
            ),
        )
        with (new / "qrels" / f"{split}.tsv").open("w", encoding="utf-8", newline="\n") as file:
            file.write("query-id\tcorpus-id\tscore\n")
            file.writelines(f"{one.query_id}\t{one.doc_id}\t{one.grade}\n" for one in judgements)
        written = {"facts": dict(facts), "split": split, "files": _hashes(new, split)}
        (new / _FACTS).write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
        files.sync_tree(new)
        _take_place(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def read_facts(folder: Path) -> dict[str, Any] | None:
    """The facts of a collection that `write_collection` made, if its files are as it wrote them.

    Returns:
        None where there is no collection, or one that was changed since.

    Raises:
        BadInput: `folder` holds something else.
    """
    _refuse_foreign(folder)
    try:
        written = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        if written["files"] != _hashes(folder, written["split"]):
            return None
        facts: dict[str, Any] = written["facts"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return facts


def fits_qrels(doc_id: str) -> bool:
    """Whether qrels can hold a document id: tabs and line ends separate, and ends are stripped."""
    return doc_id == doc_id.strip() != "" and "\t" not in doc_id and "\n" not in doc_id


def _refuse_foreign(folder: Path) -> None:
    """Raise where a folder holds something that is not a collection made here."""
    if folder.exists() and not (folder.is_dir() and (folder / _FACTS).is_file()):
        if folder.is_dir() and not any(folder.iterdir()):
            return
        raise BadInput(f"{folder} was not made by searchkit, and is kept; give another folder")


def _take_place(new: Path, folder: Path) -> None:
    """Give a folder its place; the one that has it goes, and never is there half of either."""
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    while True:
        try:
            new.rename(folder)
            break
        except OSError as error:
            if error.errno not in (ENOTEMPTY, EEXIST):
                raise
        with suppress(FileNotFoundError):  # another process was faster
            folder.rename(old)
        shutil.rmtree(old, ignore_errors=True)


def _write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def _hashes(folder: Path, split: str) -> dict[str, str]:
    """The BLAKE3 hash of every file of a collection, by its path."""
    names = ("corpus.jsonl", "queries.jsonl", f"qrels/{split}.tsv")
    return {name: files.blake3_of(folder / name) for name in names}
