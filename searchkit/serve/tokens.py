"""The token without which nobody but this machine is answered; only its hash is kept.

A token has 256 random bits, so that its hash needs no salt and no slowness: nobody can go through
the tokens there are.
"""

import hmac
import os
import secrets
import stat
from pathlib import Path

from blake3 import blake3

from searchkit import files, places
from searchkit.errors import BadInput

_CONTEXT = "searchkit 2025 serve: hash of a token"  # separates these hashes from all others
_START = "blake3:"


def path() -> Path:
    """Where the hash is kept unless another file is named."""
    return places.home() / "serve-token"


def new(file: Path) -> str:
    """Make a token, and keep its hash in a file that only its owner reads; an older one is void."""
    token = f"sk-{secrets.token_urlsafe(32)}"
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as written:
            written.write(f"{_START}{_hash(token)}\n")
            written.flush()
            os.fsync(written.fileno())
        temporary.replace(file)
        files.sync(file.parent)
    finally:
        temporary.unlink(missing_ok=True)
    return token


class Token:
    """A token as its hash; it is read again when it was written again.

    Args:
        file: that `new` wrote.

    Raises:
        BadInput: it is not there, holds something else, or others may read it.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stamp = _stamp(file)
        self._hash = self._read(file)

    def accepts(self, given: str) -> bool:
        """Whether this is the token; it takes the same time for all that are not."""
        if (stamp := _stamp(self._file)) != self._stamp:
            try:
                self._hash = self._read(self._file)
            except BadInput:  # it is void, and there is no other
                self._hash = ""
            self._stamp = stamp
        return hmac.compare_digest(_hash(given).encode(), self._hash.encode())

    def _read(self, file: Path) -> str:
        try:
            content = file.read_text(encoding="ascii")
            mode = stat.S_IMODE(file.stat().st_mode)
        except FileNotFoundError:
            raise BadInput(
                f"there is no token in {file}; make one with: searchkit serve --new-token"
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"{file} cannot be read as the hash of a token ({error})") from error
        if mode & 0o077:
            raise BadInput(f"{file} has mode {mode:o}, and others may read it: chmod 600 {file}")
        found = content.strip().removeprefix(_START)
        if len(found) != 64 or not content.startswith(_START):
            raise BadInput(
                f"{file} does not hold the hash of a token; make one with: "
                "searchkit serve --new-token"
            )
        return found


def _hash(token: str) -> str:
    told = token.encode("utf-8", "surrogatepass")
    return blake3(told, derive_key_context=_CONTEXT).hexdigest()


def _stamp(file: Path) -> tuple[int, ...] | None:
    """What tells a file from what it was before; None if it is not there."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size, status.st_mode
