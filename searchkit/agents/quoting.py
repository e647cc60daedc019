"""Text of documents as a model gets it: nothing hidden in it, and its limits plain to see.

What a document says is data that somebody wrote. What a model reads and a person does not see
(controls, terminal escapes, zero-width and bidirectional marks, Unicode tags, variation selectors,
halves of surrogate pairs) becomes U+FFFD, one for each run. What writing needs stays: joiners
between letters that are not ASCII, as in Persian, Hindi and emoji, and one selector behind an
emoji. Soft hyphens between letters go, and line ends of any kind become line feeds.
"""

import secrets

import regex

_IGNORABLE = r"\p{Default_Ignorable_Code_Point}"
_HIDDEN = regex.compile(rf"[[\p{{Cc}}--[\t\n]]\p{{Cs}}{_IGNORABLE}\ufff9-\ufffb]+", regex.V1)
_LETTER = rf"[^\x00-\x7f{_IGNORABLE}]"
_JOINER = rf"(?<={_LETTER}\ufe0f?)[\u200c\u200d](?={_LETTER})"
_SELECTOR = rf"(?<={_LETTER})[\ufe0e\ufe0f](?![\ufe00-\ufe0f\U000e0100-\U000e01ef])"
_KEYCAP = r"(?<=[0-9#*])\ufe0f(?=\u20e3)"
_NEEDED = regex.compile(f"{_JOINER}|{_SELECTOR}|{_KEYCAP}")
_SOFT_HYPHEN = regex.compile(r"(?<=\p{L})\u00ad(?=\p{L})")
_LINE_END = regex.compile(r"\r\n?|[\f\v\u0085\u2028\u2029]")
_LONGEST_LINE = 300  # characters of a title or a heading


def visible(text: str) -> str:
    """A text without anything hidden in it; see the top of this file."""
    text = _LINE_END.sub("\n", _SOFT_HYPHEN.sub("", text))
    parts, place = [], 0
    for needed in _NEEDED.finditer(text):
        parts += [_HIDDEN.sub("\ufffd", text[place : needed.start()]), needed[0]]
        place = needed.end()
    return "".join([*parts, _HIDDEN.sub("\ufffd", text[place:])])


def line(text: str, longest: int = _LONGEST_LINE) -> str:
    """The same on one line, such as a title; a very long one is cut, with an ellipsis."""
    text = " ".join(visible(text).split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def quoted(*passages: tuple[str, str]) -> str:
    """Passages, each with a line that says where it stands, its title among it.

    Their limits have a name that is made up for each answer, so that no document can know it and
    end a passage before its end.

    Args:
        passages: each with its line; both as they are in the index.
    """
    name = secrets.token_hex(4)
    return "\n".join(
        f"<passage-{name}>\n{line(head)}\n\n{visible(text).strip()}\n</passage-{name}>"
        for head, text in passages
    )
