"""What a set says of itself: a fingerprint, and notes for those who read its scores."""

import json
from collections.abc import Iterable, Sequence

from blake3 import blake3

_EXAMPLES = 3  # ids that a note gives as examples


def hashed(records: Iterable[object]) -> str:
    """BLAKE3 of records in order, each as a line of JSON; 64 hexadecimal digits."""
    hasher = blake3()
    for record in records:
        hasher.update(json.dumps(record, ensure_ascii=False).encode() + b"\n")
    return hasher.hexdigest()


def note(which: str, ids: Sequence[str], outcome: str) -> tuple[str, ...]:
    """One note about some ids, or none about no ids."""
    return (f"{which}: {len(ids):,} ({some(ids)}); {outcome}",) if ids else ()


def some(ids: Sequence[str]) -> str:
    """The first few of some ids."""
    return ", ".join(ids[:_EXAMPLES]) + (", ..." if len(ids) > _EXAMPLES else "")
