"""A directory that holds one corpus in parts, each of them whole or not there.

    manifest.json     what there is: every part with its files, their sizes and their BLAKE3 hashes
    parts/bm25-…/     the files of one part; never changed, and named after their contents
    lock              held by whoever writes
    staging/          work that can be resumed; the encoder's own, and nothing here touches it

A change is written beside the parts, flushed to the disk, renamed into place, and becomes true when
the new manifest takes the place of the old one: a reader sees the state before or the state after,
and a killed writer leaves the state before. Equal parts give an equal manifest, byte for byte; no
time and no random name is in it.
"""

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict

from blake3 import blake3

from searchkit import __version__, files
from searchkit.errors import BadInput, CorruptFile, SearchkitError, UnknownName

FORMAT = 1

_MANIFEST = "manifest.json"
_PARTS = "parts"
_LOCK = "lock"
_STAGING = "staging"
_AGAIN = "build it again with: searchkit index"
_MEND = "mend it with: searchkit repair"
_DELETE = f"delete the directory and {_AGAIN}"
# Whatever the format, a manifest ends with the hash of all that comes before this line.
_SEAL = re.compile(rb' "blake3": "([0-9a-f]{64})"\n\}\n\Z')
_PART_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*").fullmatch
_SHORT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}").fullmatch
# What `files.atomic` leaves of a manifest when it is killed.
_UNFINISHED = re.compile(r"\.manifest\.json\.\d+\.tmp").fullmatch


class _File(TypedDict):
    bytes: int
    blake3: str


class _Part(TypedDict):
    folder: str  # relative to the index directory
    files: dict[str, _File]  # by path relative to the folder
    facts: dict[str, Any]


class _Manifest(TypedDict):
    format: int
    searchkit: str
    corpus: dict[str, Any]
    parts: dict[str, _Part]


class Rebuilt(SearchkitError):
    """A part that another generation replaced after the store was opened; opening again helps."""


def part_of(kind: str, name: str) -> str:
    """The part that holds something of one encoder; names may hold what folders may not."""
    if _SHORT_NAME(name):
        return f"{kind}.{name}"
    digest = blake3(json.dumps(name).encode()).hexdigest()[:12]
    return f"{kind}.{digest}"


class Store:
    """The parts of an index directory, as its manifest lists them when the store is opened."""

    def __init__(self, path: Path, manifest: _Manifest) -> None:
        self.path = path
        self._manifest = manifest
        self._checked: set[str] = set()

    @classmethod
    def open(cls, path: Path) -> "Store":
        """The store at `path`.

        Raises:
            UnknownName: there is no such directory.
            BadInput: it is not an index, or a newer searchkit wrote it.
            CorruptFile: its manifest is not what was written.
        """
        if not path.is_dir():
            raise UnknownName(f"there is no index {path}; build one with: searchkit index")
        manifest = _read(path)
        if manifest is None:
            raise BadInput(
                f"{path} has no {_MANIFEST}: it is not an index, or its first build has not"
                " finished; build it with: searchkit index"
            )
        return cls(path, manifest)

    @classmethod
    def create_or_open(cls, path: Path) -> "Store":
        """The store at `path`, which may be missing or empty; nothing is committed to a new one.

        Raises:
            BadInput: `path` is a file or a directory of other things, or a newer searchkit wrote
                it.
            CorruptFile: its manifest is not what was written.
        """
        if path.exists() and not path.is_dir():
            raise BadInput(f"{path} is a file; an index needs a directory of its own")
        path.mkdir(parents=True, exist_ok=True)
        manifest = _read(path)
        if manifest is None:
            for child in path.iterdir():
                if child.name not in (_PARTS, _LOCK, _STAGING) and not _UNFINISHED(child.name):
                    raise BadInput(
                        f"{path} is not an index and not empty (it has {child.name});"
                        " an index needs a directory of its own"
                    )
            manifest = {"format": FORMAT, "searchkit": __version__, "corpus": {}, "parts": {}}
        return cls(path, manifest)

    @property
    def corpus(self) -> Mapping[str, Any]:
        """What the parts were made from: fingerprint and counts; empty before the first commit."""
        return self._manifest["corpus"]

    @property
    def staging(self) -> Path:
        """Where the encoder keeps blocks between two tries; commits leave it alone."""
        return self.path / _STAGING

    @property
    def generation(self) -> str:
        """What tells this state of the index from any other, 16 hexadecimal digits."""
        text = json.dumps(self._manifest, sort_keys=True)
        return blake3(text.encode()).hexdigest(length=8)

    @property
    def modified(self) -> float:
        """When the newest state was committed, in POSIX seconds."""
        return (self.path / _MANIFEST).stat().st_mtime

    def is_newest(self) -> bool:
        """Whether nothing was committed since this store was opened, or committed itself."""
        return _read(self.path) == self._manifest

    def names(self) -> list[str]:
        """The parts there are, in alphabetical order."""
        return sorted(self._manifest["parts"])

    def facts(self, name: str) -> Mapping[str, Any]:
        """What was said of a part when it was committed.

        Raises:
            UnknownName: there is no such part.
        """
        return self._part(name)["facts"]

    def size_bytes(self, name: str) -> int:
        """The size of a part on disk.

        Raises:
            UnknownName: there is no such part.
        """
        return sum(file["bytes"] for file in self._part(name)["files"].values())

    def folder(self, name: str) -> Path:
        """The folder of a part, unchecked; another one if as much as a byte of it is another.

        Raises:
            UnknownName: there is no such part.
        """
        return self.path / self._part(name)["folder"]

    def trust(self, before: "Store") -> None:
        """Take parts that another store of this directory has checked as checked."""
        there = {part["folder"] for part in self._manifest["parts"].values()}
        self._checked |= before._checked & there

    def part(self, name: str, *, only: str | None = None) -> Path:
        """The folder of a part, after its files, and no others, were checked.

        They are checked once: the next call for the same part returns at once.

        Args:
            name: of the part.
            only: the one file that is needed; the others are not checked.

        Raises:
            UnknownName: there is no such part.
            CorruptFile: a file of it is missing, or has another size or other bytes than were
                committed.
            Rebuilt: the part was replaced after this store was opened.
        """
        part = self._part(name)
        folder = self.path / part["folder"]
        wanted = part["files"] if only is None else {only: part["files"][only]}
        checked = part["folder"] if only is None else f"{part['folder']}/{only}"
        if not {part["folder"], checked} & self._checked:
            fault = next(_faults(folder, wanted), None)
            if fault and _read(self.path) != self._manifest:
                raise Rebuilt(f"{self.path} was rebuilt while it was open; open it again")
            if fault:
                follows = self.corpus.get("kind") == "folder"
                raise CorruptFile(f"{fault}; {_MEND if follows else _AGAIN}")
            self._checked.add(checked)
        return folder

    def faults(self, name: str) -> list[str]:
        """What is wrong with each file of a part, checked anew; none if nothing is.

        Raises:
            UnknownName: there is no such part.
        """
        part = self._part(name)
        found = list(_faults(self.path / part["folder"], part["files"]))
        if not found:
            self._checked.add(part["folder"])
        return found

    @contextmanager
    def writing(self) -> Iterator["Draft"]:
        """A draft of the next state: committed if the block ends well, forgotten if it raises.

        Only one process at a time can write; readers need no lock. The draft starts from the newest
        state, and after a commit this store shows the new one.

        Raises:
            SearchkitError: another process, or another store of this one, is writing.
        """
        with _locked(self.path):
            manifest = _read(self.path)
            if manifest is not None:
                self._manifest = manifest
            # A killed writer may have left gigabytes.
            _sweep(self.path, self._manifest)
            draft = Draft(self)
            try:
                yield draft
                draft.commit()
            finally:
                draft.close()

    def _part(self, name: str) -> _Part:
        if name not in self._manifest["parts"]:
            known = ", ".join(self.names()) or "none yet"
            raise UnknownName(f"{self.path} has no part {name!r}; there are: {known}")
        return self._manifest["parts"][name]


class Draft:
    """The next state of a store, while its lock is held; `Store.writing` makes it.

    Attributes:
        corpus: what the parts are made from; to be replaced when the corpus is another one.
    """

    def __init__(self, store: Store) -> None:
        self.corpus: Mapping[str, Any] = dict(store.corpus)
        self._store = store
        self._closed = False
        self._folders: dict[str, Path] = {}
        self._facts: dict[str, dict[str, Any]] = {}
        self._removed: set[str] = set()

    def add(self, name: str, facts: Mapping[str, Any] | None = None) -> Path:
        """An empty folder to write a part into, in place of the part of this name if there is one.

        Args:
            name: letters, digits, `.`, `_` and `-`, the first a letter or a digit.
            facts: anything JSON can hold that a reader needs to know; `describe` can say it later.

        Raises:
            ValueError: another name, or one that this draft has already; facts that JSON cannot
                hold; or the draft is over.
        """
        if self._closed:
            raise ValueError("the draft is over, and the lock was given back")
        if not _PART_NAME(name):
            raise ValueError(f"{name!r} cannot name a part")
        if name in self._folders:
            raise ValueError(f"the draft has a part {name!r} already")
        self._facts[name] = _plain(facts or {})
        folder = self._store.path / _PARTS / f".{name}.new"
        folder.mkdir(parents=True)
        self._folders[name] = folder
        return folder

    def describe(self, name: str, facts: Mapping[str, Any]) -> None:
        """Say what is known of an added part once it is written.

        Raises:
            ValueError: the draft has no such part, or JSON cannot hold the facts.
        """
        if name not in self._folders:
            raise ValueError(f"the draft has no part {name!r}")
        self._facts[name] = _plain(facts)

    def remove(self, name: str) -> None:
        """Leave a part out of the next state.

        Raises:
            UnknownName: the store has no such part.
        """
        self._store.facts(name)
        self._removed.add(name)

    def commit(self) -> None:
        """Make everything so far the state that readers see; the draft can go on after it.

        Nothing is written where nothing has changed since the commit before.

        Raises:
            ValueError: the corpus changed, and a part of the old one was neither replaced nor
                removed; JSON cannot hold `corpus`; or the draft is over.
        """
        if self._closed:
            raise ValueError("the draft is over, and the lock was given back")
        before = self._store._manifest
        corpus = _plain(self.corpus)
        changed = self._folders or self._removed or corpus != before["corpus"]
        if not changed and (self._store.path / _MANIFEST).exists():
            return
        kept = {
            name: part
            for name, part in before["parts"].items()
            if name not in self._removed and name not in self._folders
        }
        if kept and corpus != before["corpus"]:
            raise ValueError(
                f"{self._store.path}: the corpus changed from {before['corpus']} to {corpus},"
                f" so these parts must be replaced or removed: {', '.join(sorted(kept))}"
            )
        parts = kept | {name: self._install(name) for name in sorted(self._folders)}
        files.sync(self._store.path / _PARTS)
        manifest: _Manifest = {
            "format": FORMAT,
            "searchkit": __version__,
            "corpus": corpus,
            "parts": parts,
        }
        _write(self._store.path, manifest)
        self._store._manifest = manifest
        self._folders.clear()
        self._removed.clear()
        _sweep(self._store.path, manifest)

    def close(self) -> None:
        """Forget what was not committed; nothing can be added or committed from here on."""
        self._closed = True
        for folder in self._folders.values():
            shutil.rmtree(folder, ignore_errors=True)
        self._folders.clear()

    def _install(self, name: str) -> _Part:
        """Give a written folder its place, which its contents name."""
        folder = self._folders[name]
        listed = _listed(folder)
        digest = blake3(json.dumps(listed, sort_keys=True).encode()).hexdigest()[:12]
        place = Path(_PARTS) / f"{name}-{digest}"
        target = self._store.path / place
        if target.exists() and not any(_faults(target, listed)):
            shutil.rmtree(folder)  # the same was committed before, and readers may be at it
        else:
            if target.exists():
                shutil.rmtree(target)  # it was damaged, and being built again mends it
            files.sync_tree(folder)
            folder.rename(target)
        self._store._checked.add(place.as_posix())
        return {"folder": place.as_posix(), "files": listed, "facts": self._facts[name]}


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """A copy as a manifest gives it back: tuples are lists.

    Raises:
        ValueError: JSON cannot hold it.
    """
    try:
        copy: dict[str, Any] = json.loads(json.dumps(facts, allow_nan=False))
    except TypeError as error:
        raise ValueError(f"{facts} cannot be JSON: {error}") from error
    return copy


def _listed(folder: Path) -> dict[str, _File]:
    """Every file below a folder, with its size and hash."""
    found = sorted(path for path in folder.rglob("*") if not path.is_dir())
    return {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "blake3": files.blake3_of(path),
        }
        for path in found
    }


def _faults(folder: Path, expected: Mapping[str, _File]) -> Iterator[str]:
    """What is wrong with the files of a part, one line for each that is damaged."""
    for name, file in expected.items():
        path = folder / name
        try:
            size = path.stat().st_size
            if size != file["bytes"]:
                yield f"{path} has {size} bytes, not the {file['bytes']} that were written"
                continue
            found = files.blake3_of(path)
        except OSError as error:
            yield f"{path} cannot be read ({error.strerror})"
            continue
        if found != file["blake3"]:
            yield f"{path} has the BLAKE3 hash {found}, not {file['blake3']} as written"


def _read(path: Path) -> _Manifest | None:
    """The manifest of an index directory, None where there is none.

    Raises:
        CorruptFile: it is not what was written.
        BadInput: it cannot be read, or a newer searchkit wrote it.
    """
    file = path / _MANIFEST
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadInput(f"{file} cannot be read ({error.strerror}); see who may read it") from error
    seal = _SEAL.search(content)
    if seal is None:
        raise CorruptFile(
            f"{file} ({len(content)} bytes) does not end with a BLAKE3 hash: {path} is no index, or"
            " its manifest was cut off; build one in another directory with: searchkit index"
        )
    found = blake3(content[: seal.start()]).hexdigest()
    if found != seal[1].decode():
        raise CorruptFile(
            f"{file} has the BLAKE3 hash {found}, not {seal[1].decode()} as written; {_DELETE}"
        )
    manifest: _Manifest = json.loads(content[: seal.start()].rstrip().rstrip(b",") + b"}")
    if manifest["format"] != FORMAT:
        raise BadInput(
            f"{file} has format {manifest['format']}, and searchkit {__version__} reads {FORMAT};"
            " update searchkit, or build another index"
        )
    return manifest


def _write(path: Path, manifest: _Manifest) -> None:
    """Put a manifest, sealed with its hash, in the place of the one before."""
    text = json.dumps(manifest, indent=1, sort_keys=True, allow_nan=False)
    body = text.removesuffix("\n}") + ",\n"
    seal = blake3(body.encode()).hexdigest()
    files.write_text(path / _MANIFEST, f'{body} "blake3": "{seal}"\n}}\n')


def _sweep(path: Path, manifest: _Manifest) -> None:
    """Delete what no manifest mentions: replaced parts, and what a killed writer left."""
    mentioned = {part["folder"] for part in manifest["parts"].values()}
    for child in (path / _PARTS).glob("*"):
        if f"{_PARTS}/{child.name}" in mentioned:
            continue
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        else:
            child.unlink()
    for child in path.iterdir():
        if _UNFINISHED(child.name):
            child.unlink()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the writer's lock of an index directory; the system lets go of it if the process dies.

    Raises:
        SearchkitError: somebody else holds it.
    """
    with (path / _LOCK).open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read() or "another process"
            raise SearchkitError(
                f"{path} is being written by {holder}; wait until it has finished, or stop it"
            ) from None
        try:
            file.truncate(0)
            file.write(f"process {os.getpid()}")
            file.flush()
            yield
        finally:
            file.truncate(0)
