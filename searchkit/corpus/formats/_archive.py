"""Zip archives that may be hostile: what they unpack to is bounded, declared and real."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from searchkit.corpus.extracted import Encrypted, Unreadable
from searchkit.corpus.formats import _xml

MOST_MEMBERS = 100_000
MOST_BYTES = 400_000_000  # unpacked, of one member and of all that are read

_COMPOUND = bytes.fromhex("d0cf11e0a1b11ae1")  # the container of Office files before 2007
_LOCKED = "EncryptedPackage".encode("utf-16-le")  # of which one entry means a password
# NotImplementedError is what zipfile makes of a compression that it does not know.
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError)


class Archive:
    """The members of a zip file by name."""

    def __init__(self, unpacked: zipfile.ZipFile) -> None:
        self._zip = unpacked
        self._left = MOST_BYTES
        self.names = frozenset(unpacked.namelist())

    def read(self, name: str) -> bytes:
        """One member, unpacked.

        Raises:
            Unreadable: there is no such member, it is damaged, or it would unpack to too much.
            Encrypted: it needs a password.
        """
        with self._opened(name) as member:
            return member.read()

    def events(self, name: str) -> Iterator[_xml.Event]:
        """The XML of one member as it is unpacked, never all of it in memory.

        Raises:
            Unreadable: as `read`, or it is not well-formed XML.
            Encrypted: it needs a password.
        """
        with self._opened(name) as member:
            yield from _xml.events(member, name)

    @contextmanager
    def _opened(self, name: str) -> Iterator["_Counted"]:
        try:
            about = self._zip.getinfo(name)
        except KeyError:
            raise Unreadable(f"no {name} inside, which such a file must have") from None
        if about.flag_bits & 1:
            raise Encrypted("opens with a password only")
        try:
            with self._zip.open(about) as packed:
                yield _Counted(packed, self)
        except _DAMAGED as error:
            raise Unreadable(f"damaged: {name}: {error}") from error

    def spend(self, size: int) -> None:
        """Count unpacked bytes.

        Raises:
            Unreadable: they are more than any document needs.
        """
        self._left -= size
        if self._left < 0:
            raise Unreadable(
                f"unpacks to more than {MOST_BYTES // 1_000_000} MB, which is all that is read"
            )


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Open a zip file for reading.

    Raises:
        Unreadable: it is no zip file, is damaged, or declares more than may be unpacked.
        Encrypted: it is an Office file that a password protects.
        OSError: it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as unpacked:
            members = unpacked.infolist()
            declared = max((member.file_size for member in members), default=0)
            if len(members) > MOST_MEMBERS or declared > MOST_BYTES:
                raise Unreadable(
                    f"unpacks to {len(members):,} members, the largest of {declared:,} bytes; "
                    f"at most {MOST_MEMBERS:,} and {MOST_BYTES:,} are read"
                )
            yield Archive(unpacked)
    except _DAMAGED as error:
        raise _what_it_is(path, error) from error


def _what_it_is(path: Path, error: Exception) -> Unreadable:
    """What to say of a file that is no zip file, whatever its name says."""
    content = path.read_bytes()
    if not content.startswith(_COMPOUND):
        return Unreadable(f"damaged: {error}")
    if _LOCKED in content:
        return Encrypted("opens with a password only")
    return Unreadable("an Office file of before 2007 under a newer name; save it again")


class _Counted:
    """A member whose unpacked bytes count against its archive's allowance."""

    def __init__(self, packed: IO[bytes], archive: Archive) -> None:
        self._packed = packed
        self._archive = archive

    def read(self, size: int = -1) -> bytes:
        if size >= 0:
            return self._taken(size)
        pieces = []
        while piece := self._taken(1 << 20):
            pieces.append(piece)
        return b"".join(pieces)

    def _taken(self, size: int) -> bytes:
        piece = self._packed.read(size)
        self._archive.spend(len(piece))
        return piece
