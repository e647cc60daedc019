"""Mail: single messages and mailboxes (mbox), parsed by the standard library.

Source: RFC 5322 and RFC 2045 to 2047 for messages, RFC 4155 for mailboxes.
"""

import email
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.policy import Compat32
from email.utils import parsedate_to_datetime
from pathlib import Path

from searchkit.corpus.extracted import Extracted, Unreadable
from searchkit.corpus.formats import _decoding, _titles, html
from searchkit.corpus.formats._writing import Writing

SUFFIXES = (".eml", ".mbox", ".mbx", ".mht", ".mhtml")
TEXT = True
TRUSTED = False

_PEOPLE = ("From", "To", "Cc")
# The line before each mail of a mailbox: a sender, a clock and a year. Without the clock, sentences
# look like it.
_ENVELOPE = re.compile(
    rb"(?:\A|(?<=\n\n)|(?<=\n\r\n))"
    rb"From [^\r\n]{1,300}\d\d:\d\d[^\r\n]{0,60}\b\d{4}\b[^\r\n]{0,60}\r?\n"
)
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)  # a line of a mail that looks like an envelope
_FIELD = re.compile(rb"[!-9;-~]+:")
_ENCODED_WORD = r"=\?[^?]{1,100}\?[bq]\?.{0,998}?\?="  # no line may be longer
_ENCODED_WORDS = re.compile(rf"{_ENCODED_WORD}(?:\s+{_ENCODED_WORD})*", re.IGNORECASE)
# Of a web page saved as a mail: text by its type, and for no reader. Any other text is one
# (RFC 2046, section 4.1.4).
_NO_TEXT = frozenset({"text/css", "text/ecmascript", "text/javascript", "text/x-javascript"})


def read(path: Path) -> Iterator[Extracted]:
    """The mails of a file, each a document.

    It says who wrote to whom and when, holds the text that is shown, and names the files in it,
    of which those that are attached are not read.

    Raises:
        Unreadable: the file holds no mail.
        OSError: it cannot be read.
    """
    content = path.read_bytes().lstrip()
    if not content:
        return
    envelopes = list(_ENVELOPE.finditer(content))
    if not envelopes or envelopes[0].start():  # a mail may quote another's envelope
        if not _FIELD.match(content):
            raise Unreadable("not a mail, which begins with a line such as 'From: ...'")
        yield _extracted(content)
        return
    ends = [envelope.start() for envelope in envelopes[1:]] + [len(content)]
    for number, (envelope, end) in enumerate(zip(envelopes, ends, strict=True), start=1):
        mail = _QUOTED.sub(rb"\1", content[envelope.end() : end])
        yield replace(_extracted(mail), part=str(number))


def _extracted(content: bytes) -> Extracted:
    mail = email.message_from_bytes(content, policy=_AnyBytes())
    writing = Writing()
    _write(writing, mail)
    made = writing.extracted()
    title = _titles.short(_header(mail, "Subject"))
    return replace(made, title=title, modified=_date(mail))


def _write(writing: Writing, mail: Message) -> None:
    """Write a mail: its people and its date, its text, its attachments."""
    lines = [f"{name}: {value}" for name in _PEOPLE if (value := _header(mail, name))]
    if when := _date(mail):
        lines.append(f"Date: {when:%Y-%m-%d %H:%M}")
    writing.block("\n".join(lines))
    attached: list[str] = []
    _write_part(writing, mail, attached)
    if attached:
        writing.block(f"Attachments: {', '.join(attached)}")


def _write_part(writing: Writing, part: Message, attached: list[str]) -> None:
    """Write what is shown of a part, and collect the names of the files in it."""
    parts = _parts(part)
    kind = part.get_content_type()
    if kind == "message/rfc822":
        for forwarded in parts:
            writing.block(_header(forwarded, "Subject"))
            _write(writing, forwarded)
    elif kind == "multipart/alternative" and parts:
        preferred = _preferred(parts)
        _write_part(writing, preferred, attached)
        for other in parts:  # files can hang on one form of the text alone
            if other is not preferred and other.get_content_type() == "multipart/mixed":
                attached += filter(None, map(_file_name, _parts(other)))
    elif parts:
        for each in parts:
            _write_part(writing, each, attached)
    else:
        name, aside = _file_name(part), part.get_content_disposition() == "attachment"
        if name or aside:
            attached.append(name or "without a name")
        if kind == "text/html" and not aside:
            html.write(writing, _text(part))
        elif part.get_content_maintype() == "text" and kind not in _NO_TEXT and not aside:
            writing.block(_text(part))


def _parts(part: Message) -> list[Message]:
    parts = part.get_payload() if part.is_multipart() else []
    return [each for each in parts if isinstance(each, Message)]


def _preferred(parts: list[Message]) -> Message:
    """Of forms of one text, the plain one, unless a program has left it empty; else the richest."""
    for part in parts:
        if part.get_content_type() == "text/plain" and _text(part).strip():
            return part
    return parts[-1]


def _text(part: Message) -> str:
    """The text of a part; nothing where its bytes are none."""
    content = part.get_payload(decode=True)
    charset = part.get_content_charset("")
    if not isinstance(content, bytes):
        return ""
    try:
        if part.get_content_subtype() == "html":
            return html.decoded(content, charset)
        return _decoding.decoded(content, charset)
    except Unreadable:
        return ""


def _header(mail: Message, name: str) -> str:
    return _titles.one_line(_unquoted(mail.get(name, "")))


def _file_name(part: Message) -> str:
    return _titles.one_line(_unquoted(part.get_filename() or ""))


def _unquoted(value: str) -> str:
    """A header as people read it; what breaks the rules stays as it is."""
    return _ENCODED_WORDS.sub(_decoded_words, value)


def _decoded_words(encoded: re.Match[str]) -> str:
    try:
        return str(make_header(decode_header(encoded[0])))
    except (MessageError, LookupError, ValueError):
        return encoded[0]


class _AnyBytes(Compat32):
    """Headers of bytes beyond ASCII as text: of UTF-8 by RFC 6532, of anything without a rule.

    The standard library has U+FFFD for each such byte.
    """

    def header_fetch_parse(self, name: str, value: str) -> str:
        """The header, in which half of a surrogate pair stands for each such byte, as text."""
        if value.isascii():
            return value
        content = value.encode("ascii", "surrogateescape")
        try:
            return _decoding.decoded(content)
        except Unreadable:
            return content.decode(errors="replace")


def _date(mail: Message) -> datetime | None:
    try:
        when = parsedate_to_datetime(str(mail.get("Date", "")))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)
