"""What counts the size of chunks: the tokens of a base model, or words where there is none.

The index keeps the tokenizer as a part of its own. So its chunks stay comparable when the base
model changes or goes, and a new file is cut without touching gigabytes of weights.
"""

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from searchkit import files
from searchkit.errors import SearchkitError
from searchkit.index.store import Draft, Store

PART = "tokenizer"

_FILE = "tokenizer.json"
_WORDS = "words 1"
# What a tokenizer of some 50,000 entries makes of most scripts, roughly: ideographs one by one,
# long words in two.
_WORD = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af]|\w{1,7}|[^\w\s]"
)

TokenStarts = Callable[[str], Sequence[int]]


@dataclass(frozen=True)
class Counter:
    """A way to count tokens.

    Attributes:
        base: the base model it comes from; empty for words.
        fingerprint: stands for the tokens it makes.
        file: the tokenizer; None for words.
    """

    base: str
    fingerprint: str
    file: Path | None = None

    def starts(self) -> TokenStarts:
        """A function from a text to the ascending character offsets at which its tokens begin."""
        if self.file is None:
            return _word_starts
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self.file))
        tokenizer.no_truncation()
        tokenizer.no_padding()

        def starts(text: str) -> list[int]:
            encoded = tokenizer.encode(text, add_special_tokens=False)
            return [start for start, _ in encoded.offsets]

        return starts


WORDS = Counter("", _WORDS)


def of_base(base: str) -> Counter:
    """The counter of a base model on this machine.

    Raises:
        UnknownName: there is no such model.
    """
    from searchkit.encode import language_models

    file = language_models.resolve(base).folder / _FILE
    return Counter(base, _fingerprint(file), file)


def default(bases: Sequence[str]) -> Counter:
    """The counter of the first of some base models; else of the default one; else words."""
    from searchkit.encode import language_models

    if bases:
        return of_base(bases[0])
    if language_models.is_here(language_models.DEFAULT):
        return of_base(language_models.DEFAULT)
    return WORDS


def kept(store: Store, base: str, fingerprint: str) -> Counter:
    """The counter of an index, from its own copy, or from the base model if that is damaged.

    Raises:
        SearchkitError: neither is there any more.
    """
    if fingerprint == _WORDS:
        return WORDS
    try:
        return Counter(base, fingerprint, store.part(PART) / _FILE)
    except SearchkitError as error:
        found = of_base(base)
        if found.fingerprint != fingerprint:
            raise error
        return found


def keep(counter: Counter, draft: Draft) -> None:
    """Make a counter's tokenizer a part of the index."""
    if counter.file is not None:
        shutil.copyfile(counter.file, draft.add(PART, {"base": counter.base}) / _FILE)


def _fingerprint(file: Path) -> str:
    return files.blake3_of(file)[:16]


def _word_starts(text: str) -> list[int]:
    return [found.start() for found in _WORD.finditer(text)]
