"""Markdown as it stands, with the headings that CommonMark sees; front matter may give the title.

Source: CommonMark 0.31.2, by markdown-it-py, whose block rules alone tell headings from lines in
code fences, comments and lists that look like them.
"""

import re
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from searchkit.corpus.extracted import Extracted, Heading
from searchkit.corpus.formats import _decoding, _titles

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

SUFFIXES = (".md", ".markdown", ".mdown", ".mkd", ".mkdn", ".mdx", ".qmd", ".rmd")
TEXT = True
TRUSTED = True

_YAML = re.compile(
    r"---[ \t]*\n(?=#|[\w\"'][^\n]*:)(.*?)^(?:---|\.\.\.)[ \t]*$", re.DOTALL | re.MULTILINE
)
_TOML = re.compile(r"\+\+\+[ \t]*\n(.*?)^\+\+\+[ \t]*$", re.DOTALL | re.MULTILINE)
_MARKUP = re.compile(
    r"!?\[(?P<link>[^\[\]]*)\]\([^()]*\)"  # [text](address)
    r"|</?[a-zA-Z][^<>]*>"
    r"|(?P<strong>\*\*|__)(?P<stressed>[^*_]+)(?P=strong)"
    r"|\{#[^{}]*\}\s*$"  # an anchor
)
_YAML_TITLE = re.compile(r"""^title:[ \t]*(?:"([^"\n]*)"|'([^'\n]*)'|([^\n]*))""", re.MULTILINE)


def read(path: Path) -> Iterator[Extracted]:
    """The file, line for line.

    Raises:
        Unreadable: it is not text.
        OSError: it cannot be read.
    """
    text = _decoding.read_text(path)
    title, body = _front_matter(text)
    found = tuple(headings(text, body))
    yield Extracted(text=text, title=title or _titles.sole(found), headings=found, verbatim=True)


def headings(text: str, begin: int = 0) -> Iterator[Heading]:
    """The headings of a Markdown text in order, those in lists and quotations left out.

    Args:
        text: all of it.
        begin: the character at which to begin, after front matter.
    """
    body = text[begin:]
    starts = [begin]
    for line in body.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    tokens = _parser().parse(body)
    for token, content in pairwise(tokens):
        if token.type == "heading_open" and token.level == 0 and token.map:
            line = _titles.short(_MARKUP.sub(_shown, content.content))
            if line:
                yield Heading(starts[token.map[0]], int(token.tag[1:]), line)


def _shown(markup: re.Match[str]) -> str:
    """What a heading shows of some markup."""
    return markup["link"] or markup["stressed"] or ""


def _front_matter(text: str) -> tuple[str, int]:
    """The title that front matter gives, if there is any, and where the text after it begins."""
    title: object = ""
    if toml := _TOML.match(text):
        with suppress(tomllib.TOMLDecodeError):
            title = tomllib.loads(toml[1]).get("title", "")
    yaml = _YAML.match(text)
    if yaml and (named := _YAML_TITLE.search(yaml[1])):
        title = next(filter(None, named.groups()), "")
    block = toml or yaml
    line = _titles.short(title) if isinstance(title, str) else ""
    return line if any(map(str.isalnum, line)) else "", block.end() if block else 0


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").disable("inline")
