"""The child process in which files are read that may be hostile, and what it says to its parent.

A request is a line of JSON; a reply is 8 bytes with its length and then so many bytes of JSON. The
child lives under a limit of memory. While it reads a file, an alarm is set that ends it, which
holds in a library's endless loop too, and when the parent is gone.
"""

import importlib
import json
import os
import signal
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from searchkit.corpus.extracted import Encrypted, Extracted, Heading, Unreadable

LENGTH = struct.Struct("<Q")
OUT_OF_MEMORY = "out of memory"  # a reply's failure, which the parent puts into words

_LONGEST_REASON = 200  # characters of a message that a library or a file made up


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of a file: its documents, or why there are none."""

    documents: tuple[Extracted, ...] = ()
    failure: str = ""
    encrypted: bool = False


def read(module: str, path: Path, most_characters: int) -> Reading:
    """Read a file with the reader that a module is.

    Args:
        module: its dotted name.
        path: the file.
        most_characters: of all its documents together; more is a failure.

    Raises:
        MemoryError: there is not enough.
    """
    documents: list[Extracted] = []
    characters = 0
    try:
        for document in importlib.import_module(module).read(path):
            documents.append(document)
            characters += len(document.text)
            if characters > most_characters:
                return Reading(failure=f"holds more than {most_characters:,} characters")
    except Encrypted as error:
        return Reading(failure=str(error), encrypted=True)
    except Unreadable as error:
        return Reading(failure=str(error))
    except OSError as error:
        return Reading(failure=f"cannot be read: {error.strerror or error}")
    except RecursionError:
        return Reading(failure="nested too deeply")
    except MemoryError:
        raise
    except (
        Exception
    ) as error:  # a library met what it did not expect: the file is lost, not the run
        message = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST_REASON]
        return Reading(failure=f"its reader failed: {message}")
    return Reading(tuple(documents))


def packed(reading: Reading) -> bytes:
    """A reading as JSON."""
    record = {
        "failure": reading.failure,
        "encrypted": reading.encrypted,
        "documents": [_plain(document) for document in reading.documents],
    }
    # Messages can hold lone surrogates, which stand for bytes in the names of files.
    return json.dumps(record, ensure_ascii=False).encode(errors="replace")


def unpacked(content: bytes) -> Reading:
    """The reading that `packed` has packed."""
    record = json.loads(content)
    documents = tuple(_document(**document) for document in record["documents"])
    return Reading(documents, record["failure"], record["encrypted"])


def serve(requests: Iterable[bytes], replies: BinaryIO) -> None:
    """Answer requests until there are no more, or until memory has run out."""
    exhausted = packed(Reading(failure=OUT_OF_MEMORY))  # made while there is memory for it
    for request in requests:
        asked = json.loads(request)
        signal.setitimer(signal.ITIMER_REAL, asked["seconds"])
        try:
            reply = packed(read(asked["module"], Path(asked["path"]), asked["most_characters"]))
        except MemoryError:
            reply = exhausted
        signal.setitimer(signal.ITIMER_REAL, 0)
        replies.write(LENGTH.pack(len(reply)))
        replies.write(reply)
        replies.flush()
        if reply is exhausted:  # what is left of it is scattered
            return


def main() -> None:
    """Serve the parent over the standard streams; libraries that print do so to standard error."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C is for the parent, which ends its children
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    _limit(int(sys.argv[2]))
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        serve(sys.stdin.buffer, replies)
    except BrokenPipeError:  # the parent is gone
        os._exit(1)


def _limit(memory_bytes: int) -> None:
    """Limit this process's memory, where the system knows such a limit, and leave no core file."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    except (OSError, ValueError):
        print("this system does not limit the memory of a process", file=sys.stderr)


def _plain(document: Extracted) -> dict[str, Any]:
    return {
        "text": document.text,
        "title": document.title,
        "headings": [(one.start, one.level, one.text) for one in document.headings],
        "pages": document.pages,
        "units": document.units,
        "verbatim": document.verbatim,
        "part": document.part,
        "modified": document.modified.isoformat() if document.modified else None,
    }


def _document(
    headings: list[tuple[int, int, str]], modified: str | None, **fields: Any
) -> Extracted:
    return Extracted(
        **{**fields, "pages": tuple(fields["pages"]), "units": tuple(fields["units"])},
        headings=tuple(Heading(*heading) for heading in headings),
        modified=datetime.fromisoformat(modified) if modified else None,
    )
