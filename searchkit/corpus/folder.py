"""A folder to the files in it that are worth reading, and what became of the others.

Everything in the folder is told once: as a file to read, or as passed over with the reason. What is
below a folder that is passed over is not told. Nothing is opened but ignore files and, where a
folder looks like a search index, the end of its manifest; whether a file is text is for whoever
reads it to find out.

`.gitignore` is read as git reads it, in the folder and below; git's list of what it tracks, its
settings and what is above the folder are not. A `.searchkitignore` is written in the same way, and
what any of them says is stronger than what any .gitignore says: it can take back in what git leaves
out.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from searchkit import places
from searchkit.corpus import ignore
from searchkit.corpus.ignore import Patterns
from searchkit.errors import BadInput

_VERSION_CONTROL = frozenset([".git", ".hg", ".svn", ".bzr", ".jj", "_darcs", "CVS"])
_GIT, _OWN = ".gitignore", ".searchkitignore"
_MOST_PATTERNS = 100_000  # bytes of an ignore file
_SHOWN = 80  # characters of a pattern or a link's target that a reason repeats
_SPECIAL = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_OF_AN_INDEX = frozenset(["manifest.json", "parts"])  # what a search index has at least
_LOOKED_AT = frozenset([_GIT, _OWN, *_OF_AN_INDEX])


@dataclass(frozen=True, slots=True)
class Rules:
    """Which files of a folder are worth reading.

    Patterns are written as in a .gitignore, relative to the root.

    Attributes:
        include: only files that match one of them, or are in a folder that does; () for all.
        exclude: neither files nor folders that match one of them, whatever else is said.
        hidden: also those whose name begins with a dot.
        follow_links: also what symbolic links lead to, each real file once.
        most_bytes: no file that is larger.
        gitignore: nothing that a .gitignore leaves out.

    Raises:
        BadInput: a pattern that matches nothing, or most_bytes below 0.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    hidden: bool = False
    follow_links: bool = False
    most_bytes: int = 50_000_000
    gitignore: bool = True

    def __post_init__(self) -> None:
        for option, patterns in (("--include", self.include), ("--exclude", self.exclude)):
            for one in patterns:
                if ignore.pattern(one) is None:
                    raise BadInput(
                        f"{option} {one!r} matches nothing; "
                        "write it as in a .gitignore, such as '*.md' or 'drafts/'"
                    )
        if self.most_bytes < 0:
            raise BadInput(f"files of at most {self.most_bytes} bytes; choose 0 or more")


@dataclass(frozen=True, slots=True)
class Found:
    """A file worth reading, as it was when the folder was walked; `path` is absolute."""

    path: Path
    size: int
    modified_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A file or a folder that is not read; what is not UTF-8 in its name is written as escapes.

    Attributes:
        path: absolute.
        reason: one line.
        unreadable: whether it would be read if only that were possible; no rule leaves it out.
    """

    path: Path
    reason: str
    unreadable: bool = False


def walk(place: Path, rules: Rules, *, root: Path) -> Iterator[Found | PassedOver]:
    """What there is at a place, in the order of the names on the way to it.

    It is what a walk of the whole root finds there, so that indexing a part of a folder and then
    all of it agree; the one exception is what is only reached through links. Where the place itself
    or a folder above it is passed over, that is all there is.

    Args:
        place: `root`, or a file or folder in it.
        rules: what is worth reading.
        root: the folder that rules, ignore files and hidden names count from.

    Raises:
        BadInput: root is not a folder, or there is nothing at the place, or their names are not
            UTF-8.
        ValueError: place is not in root.
    """
    root = Path(os.path.normpath(root.absolute()))
    place = Path(os.path.normpath(place.absolute()))
    below = place.relative_to(root)
    if not _is_utf8(str(place)):
        raise BadInput(f"the name of {_escaped(str(place))} is not UTF-8; rename it")
    if not root.is_dir():
        raise BadInput(f"{root} is not a folder; name one that exists")
    if not is_there(place):
        raise BadInput(f"there is no {place}; name a file or a folder that exists")
    return _Walk(str(root), rules).below(below.parts)


def is_there(place: Path) -> bool:
    """Whether there is anything at a path; also where that cannot be known."""
    try:
        place.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def is_entered(within: Path, rules: Rules) -> bool:
    """Whether a walk looks at a path at all, or else it is hidden or belongs to version control.

    Args:
        within: the path, from the root on.
        rules: what is worth reading.
    """
    return not any(
        name in _VERSION_CONTROL
        or (name.startswith(".") and not rules.hidden and name not in (_OWN, _GIT))
        for name in within.parts
    )


class _IgnoreFile(NamedTuple):
    """An ignore file that was read: `path` counts from the root, `depth` is its folder's part."""

    patterns: Patterns
    path: str
    depth: int


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder that is walked.

    Attributes:
        within: its path from the root on with a slash at the end; "" for the root.
        entries: in the order of their names.
        own: the .searchkitignore files that apply, the nearest first.
        git: the .gitignore files that apply, the nearest first.
        included: whether all that is in it is.
        linked: whether a link leads to it.
    """

    within: str
    entries: list["os.DirEntry[str]"]
    own: tuple[_IgnoreFile, ...]
    git: tuple[_IgnoreFile, ...]
    included: bool
    linked: bool


class _Walk:
    def __init__(self, root: str, rules: Rules) -> None:
        self._root = root
        self._rules = rules
        self._include, self._exclude = (
            Patterns(found for one in patterns if (found := ignore.pattern(one)))
            for patterns in (rules.include, rules.exclude)
        )
        # What links led to, by device and inode, so that nothing is read twice.
        self._seen: set[tuple[int, int]] = set()
        self._known: dict[str, _Folder] = {}  # folders in which links end

    def below(self, parts: Sequence[str]) -> Iterator[Found | PassedOver]:
        """What is at the place that `parts` lead to from the root on."""
        top = self._opened(self._root, "", None, included=not self._include, linked=False)
        if not isinstance(top, _Folder):
            if top:
                yield top
            return
        self._known[""] = top
        # A stack and not recursion: folders can be nested more deeply than calls.
        stack = [_on_the_way(top, parts, 0)]
        folders = [top]
        while stack:
            for entry in stack[-1]:
                found = self._judged(folders[-1], entry)
                if isinstance(found, _Folder):
                    stack.append(_on_the_way(found, parts, len(stack)))
                    folders.append(found)
                    break
                if found:
                    yield found
            else:
                stack.pop()
                folders.pop()

    def _judged(
        self, folder: _Folder, entry: "os.DirEntry[str]"
    ) -> Found | PassedOver | _Folder | None:
        """What becomes of an entry; None if it is no longer there. Cheap tests come first."""
        name = entry.name
        if name in _VERSION_CONTROL:
            return _passed_over(entry.path, "version control")
        try:
            is_link = entry.is_symlink()
            is_folder = entry.is_dir(follow_symlinks=self._rules.follow_links)
        except OSError as error:
            return _unreadable(entry.path, error)
        if is_link and name in (_OWN, _GIT):
            return _passed_over(entry.path, "a link, and so no patterns of this folder")
        if name.startswith(".") and not self._rules.hidden:
            return _passed_over(entry.path, "hidden")
        if not name.isascii() and not _is_utf8(name):
            return _passed_over(entry.path, "its name is not UTF-8")
        within = folder.within + name
        if reason := self._left_out(folder, within, is_folder):
            return _passed_over(entry.path, reason)
        included = folder.included
        if self._include and (match := self._include.last_match(within, is_folder=is_folder)):
            included = match.ignores
        if not included and not is_folder:
            return _passed_over(entry.path, "matches no --include")
        if is_link and (reason := self._not_followed(entry.path)):
            return _passed_over(entry.path, reason)
        linked = folder.linked or is_link
        if is_folder:
            return self._opened(entry.path, f"{within}/", folder, included=included, linked=linked)
        return self._file(entry, linked)

    def _left_out(self, folder: _Folder, within: str, is_folder: bool) -> str | None:
        """The pattern that leaves a path out."""
        match = self._exclude.last_match(within, is_folder=is_folder)
        if match and match.ignores:
            return f"--exclude {_shown(match.text)}"
        for files in (folder.own, folder.git):
            for file in files:
                match = file.patterns.last_match(within[file.depth :], is_folder=is_folder)
                if match and match.ignores:
                    return f"{file.path} line {match.number}: {_shown(match.text)}"
                if match:
                    return None
        return None

    def _file(self, entry: "os.DirEntry[str]", linked: bool) -> Found | PassedOver | None:
        try:
            status = entry.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            return _unreadable(entry.path, error)
        kind = stat.S_IFMT(status.st_mode)
        if kind != stat.S_IFREG:
            return _passed_over(entry.path, _SPECIAL.get(kind, "not a file"))
        if status.st_size > self._rules.most_bytes:
            limit = self._rules.most_bytes
            return _passed_over(entry.path, f"{status.st_size:,} bytes, over {limit:,}")
        if not os.access(entry.path, os.R_OK):
            denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return _unreadable(entry.path, denied) if os.access(entry.path, os.F_OK) else None
        if linked and not self._is_new(status):
            return _passed_over(entry.path, "another link leads to it")
        return Found(Path(entry.path), status.st_size, status.st_mtime_ns, status.st_ino)

    def _opened(
        self, path: str, within: str, above: _Folder | None, *, included: bool, linked: bool
    ) -> _Folder | PassedOver | None:
        try:
            if (linked or above is None) and not self._is_new(Path(path).stat()):
                return _passed_over(path, "another link leads to it, or it holds the link")
            with os.scandir(path) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except FileNotFoundError:
            return None
        except OSError as error:
            return _unreadable(path, error)
        special = {entry.name: entry for entry in entries if entry.name in _LOOKED_AT}
        if special.keys() >= _OF_AN_INDEX and places.is_index(Path(path)):
            return _passed_over(path, "a search index")
        own, git = (above.own, above.git) if above else ((), ())
        try:
            own = (*_patterns(special.get(_OWN), within), *own)
            if self._rules.gitignore:
                git = (*_patterns(special.get(_GIT), within), *git)
        except _NoPatterns as error:
            return _passed_over(path, str(error), unreadable=True)
        return _Folder(within, entries, own, git, included, linked)

    # Links.

    def _not_followed(self, path: str) -> str | None:
        """Why a link is not followed."""
        try:
            Path(path).stat()
        except OSError as error:
            return f"a link that cannot be followed ({error.strerror})"
        root, target = Path(os.path.realpath(self._root)), Path(os.path.realpath(path))
        if not target.is_relative_to(root):
            return None if self._rules.follow_links else f"a link outside: {_shown(str(target))}"
        within = target.relative_to(root)
        if not self._rules.follow_links:
            return f"a link to {_shown(str(within))}"
        return f"a link to {_shown(str(within))}, read there" if self._reaches(within) else None

    def _reaches(self, within: Path) -> bool:
        """Whether the walk comes to a path that has no links in it."""
        found: Found | PassedOver | _Folder | None = self._known[""]
        for name in within.parts:
            if not isinstance(found, _Folder):
                return False
            folder, found = found, self._known.get(f"{found.within}{name}/")
            if found is None:
                entry = next((one for one in folder.entries if one.name == name), None)
                found = self._judged(folder, entry) if entry else None
            if isinstance(found, _Folder):
                self._known[found.within] = found
        return isinstance(found, Found | _Folder)

    def _is_new(self, status: os.stat_result) -> bool:
        """Whether nothing that was reached through a link is this file or folder."""
        key = status.st_dev, status.st_ino
        if key in self._seen:
            return False
        self._seen.add(key)
        return True


class _NoPatterns(Exception):
    """An ignore file that cannot be read: what it keeps out is not known."""


def _on_the_way(folder: _Folder, parts: Sequence[str], depth: int) -> Iterator["os.DirEntry[str]"]:
    """The entries of a folder; of one above the place where a walk begins, the one towards it."""
    if depth < len(parts):
        return (entry for entry in folder.entries if entry.name == parts[depth])
    return iter(folder.entries)


def _patterns(entry: "os.DirEntry[str] | None", within: str) -> Iterator[_IgnoreFile]:
    """The patterns of an ignore file if there is one; like git, not one behind a link."""
    if entry is None or not entry.is_file(follow_symlinks=False):
        return
    try:
        with Path(entry.path).open("rb") as file:
            content = file.read(_MOST_PATTERNS + 1)
    except OSError as error:
        raise _NoPatterns(f"its {entry.name} cannot be read ({error.strerror})") from error
    if len(content) > _MOST_PATTERNS:
        raise _NoPatterns(f"its {entry.name} has over {_MOST_PATTERNS:,} bytes")
    patterns = ignore.parse(content.decode("utf-8", "surrogateescape"))
    if patterns:
        yield _IgnoreFile(patterns, within + entry.name, len(within))


def _passed_over(path: str, reason: str, *, unreadable: bool = False) -> PassedOver:
    return PassedOver(Path(_escaped(path)), reason, unreadable)


def _unreadable(path: str, error: OSError) -> PassedOver:
    leads_nowhere = error.errno == errno.ELOOP  # a link: there is nothing that could be read
    return _passed_over(path, f"cannot be read ({error.strerror})", unreadable=not leads_nowhere)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _escaped(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _shown(text: str) -> str:
    """A text from a file, on one line and unable to steer a terminal."""
    plain = "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )
    return plain if len(plain) <= _SHOWN else f"{plain[:_SHOWN]}..."
