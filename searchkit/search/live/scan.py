"""What became of the files of a folder since they were last read; nothing is changed here.

A file whose size, time of change and inode are as they were is not opened. One that was changed
less than two seconds before it was looked at may have been changed again within the same tick of
the clock, so that is no proof the next time, and its bytes are compared (as git does). A time that
lies ahead is as good a proof as one long ago: no change from now on is given it.
"""

import os
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from searchkit import files
from searchkit.corpus import folder
from searchkit.corpus.folder import Found, PassedOver, Rules
from searchkit.corpus.reading import format_of
from searchkit.index.live.catalogue import FileRecord, Root, State
from searchkit.search.live.plan import Report, What

_RACY_NS = 2_000_000_000
_INODES = 2**63  # SQLite's integers have a sign


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file to be read.

    Attributes:
        found: as it was when it was looked at.
        root: the number of its root.
        old: what is known of the path; None if it is new.
        settled: see `FileRecord`.
        blake3: of its bytes, if they were read already.
    """

    found: Found
    root: int
    old: FileRecord | None
    settled: bool
    blake3: str = ""

    @property
    def path(self) -> str:
        """Its path, absolute."""
        return str(self.found.path)

    @property
    def is_new(self) -> bool:
        """Whether nothing of it was ever found."""
        return self.old is None or self.old.state == "ignored"

    @property
    def what(self) -> What:
        """What will have become of it once it is indexed."""
        return "new" if self.is_new else "changed"

    def record(self, state: State, **fields: str) -> FileRecord:
        """What is known of it now; fields that are not given are empty."""
        known = {"blake3": self.blake3, "format": "", "reason": "", "reading": ""} | fields
        found = self.found
        return FileRecord(
            path=self.path,
            root=self.root,
            size=found.size,
            modified_ns=found.modified_ns,
            inode=found.inode % _INODES,
            state=state,
            settled=self.settled,
            **known,
        )

    def like(self, old: FileRecord) -> FileRecord:
        """The record of a file with the same bytes, with the stat and the path of this one."""
        fields = {name: getattr(old, name) for name in ("blake3", "format", "reading")}
        return self.record(old.state, **fields)


@dataclass(frozen=True, slots=True)
class Move:
    """A file that has another path now, and the same bytes."""

    old: FileRecord
    new: FileRecord


@dataclass(frozen=True, slots=True)
class Gone:
    """A path to be forgotten; `hidden` where it is there, in a folder that is passed over."""

    record: FileRecord
    hidden: bool


@dataclass
class Scan:
    """What is to be done; what needs nothing is in the report already.

    Attributes:
        read: files to be read.
        noted: records that replace those of their paths, whose documents stay.
        moves: renamed files.
        gone: paths to forget with their documents.
        ignored: records of what is passed over, in the place of whatever there was.
        seen: how many files and folders are there at all.
        fault: why the root itself is passed over, and then nothing else is told; else empty.
    """

    read: list[Candidate] = field(default_factory=list)
    noted: list[FileRecord] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    gone: list[Gone] = field(default_factory=list)
    ignored: list[FileRecord] = field(default_factory=list)
    seen: int = 0
    fault: str = ""

    def add(self, other: "Scan") -> None:
        """Take in what was found at another place."""
        self.read += other.read
        self.noted += other.noted
        self.gone += other.gone
        self.ignored += other.ignored
        self.seen += other.seen


def look(
    root: Root,
    place: Path,
    ledger: Iterable[FileRecord],
    report: Report,
    *,
    reading: str,
    retry: bool = False,
    spare: Path,
) -> Scan:
    """Compare what is at a place with what is known of it.

    Args:
        root: the root that the place is in.
        place: a folder or a file, the root itself for all; it may be gone.
        ledger: what is known of the place and all below it.
        report: told of every file that needs nothing.
        reading: how files are read and cut now; those that were read otherwise are read again.
        retry: read failed files again, too.
        spare: the directory of the index, which is passed over.
    """
    known = {record.path: record for record in ledger}
    found = Scan()
    own = f"{spare}{os.sep}"
    entries: Iterable[Found | PassedOver] = ()
    if folder.is_there(place):
        entries = folder.walk(place, rules_of(root.rules), root=Path(root.path))
    unreadable: set[str] = set()
    kept = 0  # files that were read before
    for entry in entries:
        path = str(entry.path)
        if isinstance(entry, PassedOver) and path == root.path:
            return Scan(fault=entry.reason)
        if path.startswith(own) or entry.path == spare:
            continue
        found.seen += 1
        old = known.pop(path, None)
        if isinstance(entry, PassedOver):
            if entry.unreadable:
                unreadable.add(path)
                kept += old is not None and _is_read(old)
            _pass_over(found, root, entry, old, report)
            continue
        settled = abs(time.time_ns() - entry.modified_ns) > _RACY_NS
        if old is None:
            found.read.append(Candidate(entry, root.root, None, settled))
        elif _same_stat(old, entry) and old.settled and _is_done(old, reading, retry):
            _tell_unchanged(old, report)
        elif _same_bytes(old, entry, reading):
            record = Candidate(entry, root.root, old, settled).like(old)
            if record != old:
                found.noted.append(record)
            report.add(path, "unchanged")
        else:
            found.read.append(Candidate(entry, root.root, old, settled))
    kept += _vanished(found, known.values(), unreadable)
    if kept:
        report.notes.append(
            f"{kept} files cannot be read now, and stay in the index of {root.path} as they were"
        )
    return found


def pair_moves(found: Scan, reading: str) -> None:
    """Find the files that are new at one path and gone from another, and make them moves.

    Args:
        found: is changed.
        reading: how files are read and cut now; what was cut otherwise cannot be taken over.
    """
    gone: dict[tuple[str, str], list[Gone]] = {}
    for one in found.gone:
        old = one.record
        if _is_read(old) and old.reading == reading and old.blake3:
            gone.setdefault((one.record.blake3, one.record.format), []).append(one)
    sizes = {one.record.size for same in gone.values() for one in same}
    left: list[Candidate] = []
    for candidate in found.read:
        if not candidate.is_new or candidate.found.size not in sizes:
            left.append(candidate)
            continue
        candidate = replace(candidate, blake3=_digest(candidate.found.path))
        same = gone.get((candidate.blake3, _format(candidate.found.path)))
        if same:
            moved = same.pop(0).record
            found.moves.append(Move(moved, candidate.like(moved)))
        else:
            left.append(candidate)
    found.read = left
    left_behind = {move.old.path for move in found.moves}
    found.gone = [one for one in found.gone if one.record.path not in left_behind]


def rules_of(rules: Mapping[str, Any]) -> Rules:
    """Rules as they were before they became JSON."""
    fields: dict[str, Any] = {
        name: tuple(v) if isinstance(v, list) else v for name, v in rules.items()
    }
    return Rules(**fields)


def changed_since(candidate: Candidate) -> bool:
    """Whether a file was changed since it was looked at, or is gone."""
    try:
        now = candidate.found.path.stat()
    except OSError:
        return True
    seen = candidate.found
    return (now.st_size, now.st_mtime_ns, now.st_ino) != (seen.size, seen.modified_ns, seen.inode)


def _same_stat(old: FileRecord, found: Found) -> bool:
    return (
        old.size == found.size
        and old.modified_ns == found.modified_ns
        and old.inode == found.inode % _INODES
    )


def _is_read(old: FileRecord) -> bool:
    return old.state in ("indexed", "empty")


def _is_done(old: FileRecord, reading: str, retry: bool) -> bool:
    if _is_read(old) and old.reason:  # it could not be read meanwhile, and may be another one
        return False
    return old.reading == reading and not (retry and old.state in ("failed", "encrypted"))


def _tell_unchanged(old: FileRecord, report: Report) -> None:
    if old.state == "indexed" or old.state == "empty":
        report.add(old.path, "unchanged")
    else:
        report.add(old.path, old.state, old.reason)


def _same_bytes(old: FileRecord, found: Found, reading: str) -> bool:
    """Whether a file only looks changed; False of one that has to be read for another reason."""
    if not _is_read(old) or old.reading != reading or old.size != found.size:
        return False
    return old.blake3 != "" and _digest(found.path) == old.blake3


def _pass_over(
    found: Scan, root: Root, entry: PassedOver, old: FileRecord | None, report: Report
) -> None:
    state: Literal["failed", "ignored"] = "failed" if entry.unreadable else "ignored"
    path, reason = str(entry.path), entry.reason
    report.add(path, state, reason)
    if entry.unreadable and old is not None and _is_read(old):
        if old.reason != reason:
            found.noted.append(replace(old, reason=reason))
    elif old is None or (old.state, old.reason, old.root) != (state, reason, root.root):
        record = FileRecord(path, root.root, 0, 0, 0, "", "", state, reason, "", True)
        found.ignored.append(record)


def _vanished(found: Scan, left: Iterable[FileRecord], unreadable: Collection[str]) -> int:
    """Settle what is known and was not met: it is gone, or its folder is passed over now.

    Args:
        found: takes what is gone.
        left: what was not met.
        unreadable: files and folders; what lies in them stays, unless it is seen to be gone.

    Returns:
        How many files that were read before stay, though nothing was seen of them.
    """
    kept = 0
    for record in left:
        path = Path(record.path)
        if not folder.is_there(path):
            found.gone.append(Gone(record, hidden=False))
        elif any(str(above) in unreadable for above in path.parents):
            kept += _is_read(record)
        else:
            found.gone.append(Gone(record, hidden=True))
    return kept


def _digest(path: Path) -> str:
    """The BLAKE3 hash of a file; empty if it cannot be read."""
    try:
        return files.blake3_of(path)
    except OSError:
        return ""


def _format(path: Path) -> str:
    try:
        return format_of(path) or ""
    except OSError:
        return ""
