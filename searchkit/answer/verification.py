"""Generated text against the passages that it cites, character for character.

A claim is a sentence of the text. It stands if a passage that it cites has it: from the beginning
of a sentence of the passage on, word for word, to

- the end of that sentence, or of one after it; or
- a comma, semicolon, colon, dash, bracket or full stop in it that no number follows, if the
  sentence is known to be English or German, asks nothing, and has none of the words that deny,
  doubt or limit (`_DOUBTS`).

So what is said of something else, what is denied and what holds only if something does cannot lose
the words that say so. Titles and headings are no evidence. A claim may put marks of quotation
around some of its words, each with its partner; else it has those of the passage.

White space, invisible characters, case, the shape of quotation marks, of dashes and of brackets,
and what stops the last sentence make no difference. All else does: signs, units, accents, emoji.
A claim without a citation stands, and is given one, if it has three content words or more.

The rule knows no meaning, and refuses whatever is right in other words. It says that a passage says
so, not that it is right; and what stands behind a comma may take back what stands before it.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from searchkit.answer.evidence import Evidence
from searchkit.answer.sentences import Span, sentences
from searchkit.answer.terms import terms
from searchkit.search.source import Result

RULES = 2
"""To be raised whenever another text stands or falls, or is cut into other sentences."""

CITATION = re.compile(r"\[\s*(?:passages?\s*|\^)?(\d{1,4}(?:\s*[,;]\s*\d{1,4})*)\s*\]", re.I)
# A citation behind a full stop, or on a line of its own; possessive, so rows take linear time.
_BEHIND = re.compile(
    r"(?<![.!?…。！？])(?P<stop>[.!?…。！？]++[\"'”’“‘»«)」』]*+)"
    rf"(?P<after>(?:\s*+{CITATION.pattern})++)\.?"
    rf"|\n\s*+(?P<alone>(?:{CITATION.pattern}[^\S\n]*+)++)(?=\n|\Z)",
    re.I,
)
_SPACE_BEFORE_STOP = re.compile(r"\s+(?=[.,;:!?…](?:\s|\Z))")
_TELLING = 3  # content words that are found together because they are meant
_LONGEST_QUOTATION = 600  # characters, for what is kept in one in a generated text
_DROPPED = frozenset(["Cc", "Cf", "Cs", "Co", "Cn"])

# What opens a quotation, and what may close it. Others than these are characters like any other.
_PARTNERS = {"“": "”", "„": "“”", "«": "»", "»": "«", '"': '"', "「": "」", "『": "』"}
_PARTNERS |= {"‘": "’", "‚": "‘’"}
_MARKS = frozenset("".join(_PARTNERS) + "".join(_PARTNERS.values()))
_SHAPES = (
    dict.fromkeys("“”„‟«»「」『』", '"')
    | dict.fromkeys("‘’‚‛`´", "'")
    | dict.fromkeys("‐‑‒–—―−", "-")
    | {"[": "(", "]": ")", "‹": "<", "›": ">"}  # so a model is told of passages; see `prompt`
)
_FORMS = ("<wide>", "<narrow>", "<compat>", "<noBreak>")  # 10² and ① are not 102 and 1
_STOPS = " .。।॥۔|"
_CUTS = re.compile(r"(?:\s?[,;:.)]\s|\s\(|\s-+\s)(?!\d)")  # no number may go on

# A sentence is taken for English or German by a word that no other language has.
_KNOWN = re.compile(
    r"\b(?:the|and|with|from|which|their|they|this|und|das|ist|wird|werden|für|auf|nach|durch)\b"
)
_DOUBTS = re.compile(
    unicodedata.normalize(
        "NFD",
        r"\b(?:no|not|non|none|nor|neither|never|nothing|nobody|nowhere|without|cannot|\w+n't"
        r"|hardly|scarcely|barely|rarely|seldom|few|little|almost|nearly|fail\w*|den(?:y|ie[sd])"
        r"|denying|refus\w*|false\w*|untrue|wrong\w*|lies?|myth|unlikely|impossible|doubt\w*"
        r"|dubious|disput\w*|except\w*|but|however|although|though|despite|unless|until|if|whether"
        r"|when\w*|while|provided|case|otherwise|only|or|either|rather|instead|would|could|should"
        r"|might|may|maybe|perhaps|possibly|probably|likely|suppos\w*|alleg\w*|purport\w*"
        r"|reputed\w*|report\w*|rumou?r\w*|claim\w*|believ\w*|suspect\w*|assum\w*|apparent\w*"
        r"|seem\w*|pretend\w*|so-called|former\w*|sa(?:y|ys|id)|accord\w*|jok\w*|wish\w*"
        r"|nicht\w*|nie|niemals|niemand\w*|nirgend\w*|kein\w*|ohne|weder|noch|kaum|selten|falsch\w*"
        r"|unwahr\w*|außer\w*|aber|sondern|jedoch|obwohl|trotz\w*|falls|wenn|sofern|sobald|solange"
        r"|während|sonst|bis|nur|oder|ob|statt|anstatt|könnt\w*|würd\w*|dürft\w*|soll\w*|mag"
        r"|möglich\w*|vielleicht|wahrscheinlich\w*|angeblich\w*|mutmaßlich\w*|vermutlich\w*"
        r"|vermeintlich\w*|scheinbar\w*|anscheinend|behaupt\w*|bestreit\w*|bestritt\w*"
        r"|bezweifel\w*|zweifel\w*|seien?|wäre\w*|hätte\w*|fast|beinahe|sogenannt\w*|laut"
        r"|gesagt|sagte?n?|sagt)\b|[?؟]",
    ).replace("ß", "ss")
)


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence of an answer.

    Attributes:
        text: without the marks of its citations.
        citations: numbers of the passages that support it, those that do not left out.
        number: of the first of them; 0 where there is none.
        start: of what supports it in the text of that passage.
        end: after it.
        verified: whether it stands.
    """

    text: str
    citations: tuple[int, ...] = ()
    number: int = 0
    start: int = 0
    end: int = 0
    verified: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """A sentence as it was generated, with the numbers that it cites; nothing is checked."""

    text: str
    cited: tuple[int, ...]


def clean(text: str, secret: str = "") -> str:
    """Generated text without what commands a terminal or is not seen, and without a secret."""
    kept = "".join(
        " " if char in "\t\r\u2028\u2029" else char
        for char in text
        if char in "\t\r\n\u2028\u2029" or unicodedata.category(char) not in _DROPPED
    )
    return re.sub(re.escape(secret), " ", kept, flags=re.I) if secret else kept


def drafts(text: str) -> Iterator[Draft]:
    """The sentences of a generated text; a quotation of several sentences stays in one.

    A citation belongs to the sentence before it, also behind its full stop or on the next line.
    """
    text = _BEHIND.sub(_before_the_stop, text)
    begin: int | None = None
    for start, end in sentences(text):
        begin = start if begin is None else begin
        if _is_over(text[begin:end]) or not _is_open(text[begin:end]):
            yield from _draft(text[begin:end])
            begin = None
    if begin is not None:
        yield from _draft(text[begin:])


def complete(text: str) -> int:
    """How much of a text that is still being generated will be read as it is now.

    That is all but its last sentence, which may go on, or have its citation behind the full stop.
    """
    bracket = text.rfind("[")
    whole = text[:bracket] if bracket >= 0 and "]" not in text[bracket:] else text
    sure = before = 0
    begin: int | None = None
    for start, end in sentences(whole):
        if begin is None:
            begin = start
            # What would be a citation of the sentence before it begins no sentence of its own.
            sure = sure if CITATION.match(whole, start) else before
        before = end
        if _is_over(whole[begin:end]):  # who knows where it ends
            break
        if not _is_open(whole[begin:end]):
            begin = None
    return sure


def verify(draft: Draft, evidence: Sequence[Evidence]) -> Claim:
    """A sentence, checked against the passages; see the top of this file."""
    passages = {one.number: one.result for one in evidence}
    if not draft.cited and len(terms(draft.text)) < _TELLING:
        return Claim(draft.text)  # a word or two stand in a passage by chance
    supports = {
        number: span
        for number in draft.cited or passages
        if number in passages and (span := supported(draft.text, passages[number]))
    }
    if not supports:
        return Claim(draft.text)
    first = next(iter(supports))
    cited = tuple(supports) if draft.cited else (first,)
    return Claim(draft.text, cited, first, *supports[first], verified=True)


def supported(text: str, passage: Result) -> Span | None:
    """Where a passage supports a claim; None if it does not."""
    paired, opened, stray = _quotations(text)
    if opened or stray:
        return None
    bare = "".join(char for place, char in enumerate(text) if place not in paired)
    said = _read(passage.text)
    for one in dict.fromkeys([text, bare]):
        wanted = _folded(one)[0].lstrip(" |").rstrip(_STOPS)
        for start in said.starts if any(map(str.isalnum, wanted)) else ():
            end = start + len(wanted)
            if said.text.startswith(wanted, start) and said.may_end(start, end):
                return said.places[start], said.places[end - 1] + 1
    return None


@dataclass(frozen=True, slots=True)
class _Read:
    """A passage as it is compared.

    Attributes:
        text: folded.
        places: of each of its characters in the passage.
        starts: of its sentences.
        ends: of them, without what stops them.
    """

    text: str
    places: Sequence[int]
    starts: Sequence[int]
    ends: Sequence[int]

    def may_end(self, start: int, end: int) -> bool:
        """Whether a claim that begins with a sentence may end here."""
        if end in self.ends:
            return True
        whole = self.starts.index(start)
        sentence = self.text[start : self.ends[whole]]
        return (
            end < self.ends[whole]
            and _CUTS.match(self.text, end) is not None
            and _KNOWN.search(sentence) is not None
            and _DOUBTS.search(sentence) is None
        )


@lru_cache(maxsize=64)
def _read(text: str) -> _Read:
    folded, places = _folded(text)
    starts, ends = [], []
    for span in sentences(text):
        start, end = (bisect_left(places, place) for place in span)
        start = end - len(folded[start:end].lstrip(" |"))
        end = start + len(folded[start:end].rstrip(_STOPS))
        if start < end:
            starts.append(start)
            ends.append(end)
    return _Read(folded, places, starts, ends)


def _folded(text: str) -> tuple[str, list[int]]:
    """A text as it is compared, and the place of each of its characters before."""
    chars: list[str] = []
    places: list[int] = []
    for place, char in enumerate(text):
        kept = _fold(char)
        if kept != " " or chars[-1:] != [" "]:
            chars += kept
            places += [place] * len(kept)
    return "".join(chars), places


@lru_cache(maxsize=16384)
def _fold(char: str) -> str:
    """A character as it is compared: a space, nothing, or one or more."""
    if char.isspace():
        return " "
    if unicodedata.category(char) in ("Cf", "Cc"):
        return ""
    char = _SHAPES.get(char, char)
    form = unicodedata.decomposition(char)
    if form.startswith(_FORMS):
        char = unicodedata.normalize("NFKD", char)
    folded = unicodedata.normalize("NFD", char.casefold())
    return "".join(_SHAPES.get(one, one) for one in folded)


def _before_the_stop(found: re.Match[str]) -> str:
    marks = "".join(one[0] for one in CITATION.finditer(found["after"] or found["alone"]))
    return f" {marks}{found['stop'] or ''}"


def _draft(text: str) -> Iterator[Draft]:
    """A sentence without its citations, if anything is left."""
    cited = [
        int(number) for found in CITATION.finditer(text) for number in re.findall(r"\d+", found[1])
    ]
    bare = _SPACE_BEFORE_STOP.sub("", " ".join(CITATION.sub(" ", text).split()))
    if any(map(str.isalnum, bare)):
        yield Draft(bare, tuple(dict.fromkeys(cited)))


def _quotations(text: str) -> tuple[set[int], list[str], list[str]]:
    """Where the marks of quotations are that have a partner, and the marks that have none.

    Those are told apart by whether they open a quotation.
    """
    paired: set[int] = set()
    opened: list[int] = []
    stray: list[str] = []
    for place, char in enumerate(text):
        if char not in _MARKS:
            continue
        before, after = text[max(0, place - 1) : place], text[place + 1 : place + 2]
        if char in "‘’" and before.isalnum() and after.isalnum():
            continue  # an apostrophe
        if opened and char in _PARTNERS[text[opened[-1]]]:
            paired |= {opened.pop(), place}
        elif char == '"' and before.isdigit():
            continue  # inches
        elif char in _PARTNERS and not (char == '"' and before.isalnum()):
            opened.append(place)
        elif char != "’":
            stray.append(char)
    return paired, [text[place] for place in opened], stray


def _is_over(text: str) -> bool:
    """Whether a text is too long for a quotation, or of two paragraphs."""
    return len(text) > _LONGEST_QUOTATION or "\n\n" in text


def _is_open(text: str) -> bool:
    """Whether a quotation in a text has not ended; ‘ may be an apostrophe."""
    return any(char not in "‘‚" for char in _quotations(text)[1])
