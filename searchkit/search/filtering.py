"""Filters that are given beside a query, as options or fields are."""

from collections.abc import Sequence
from typing import Literal

from searchkit.errors import BadInput
from searchkit.index.live.query import Filters, moment


def filters_of(
    path: Sequence[str] | None,
    format: Sequence[str] | None,
    lang: Sequence[str] | None,
    after: str | None,
    before: str | None,
    *,
    prefix: str = "",
) -> Filters:
    """Filters; they hold besides those in the query.

    Args:
        path: patterns as in a .gitignore.
        format: in any case.
        lang: ISO 639-1, in any case.
        after: a year, month, day or minute.
        before: another.
        prefix: what a person writes before the names of these, for messages, such as dashes.

    Raises:
        BadInput: a time is none, or there is none between the two.
    """
    first, last = _time("after", after, prefix), _time("before", before, prefix)
    if first is not None and last is not None and first >= last:
        raise BadInput(
            f"{prefix}after is not earlier than {prefix}before, so no time is left; swap them"
        )
    return Filters(
        path=tuple(path or ()),
        format=tuple(one.lower() for one in format or ()),
        language=tuple(one.lower() for one in lang or ()),
        after=first,
        before=last,
    )


def _time(name: Literal["after", "before"], value: str | None, prefix: str) -> float | None:
    """The POSIX seconds that a date names."""
    if value is None:
        return None
    found = moment(value.strip())
    if found is None:
        option = f"{prefix}{name}"
        shown = f"{value[:60]}…" if len(value) > 60 else value
        lead = f"{option} " if prefix else ""
        raise BadInput(
            f"{option} {shown!r} is no date; write {lead}2024, {lead}2024-05 or {lead}2024-05-31"
        )
    return found
