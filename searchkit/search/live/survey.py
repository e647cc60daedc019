"""What has to be done to bring an index into step: found out without changing anything."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from blake3 import blake3

from searchkit.corpus import chunk
from searchkit.corpus.extracted import Extracted
from searchkit.corpus.folder import Rules
from searchkit.errors import BadInput
from searchkit.index.live.catalogue import Root
from searchkit.index.live.generation import Generation
from searchkit.search.live import counting
from searchkit.search.live.counting import Counter
from searchkit.search.live.plan import Plan, Report
from searchkit.search.live.scan import Scan, look, pair_moves, rules_of

MAX_TOKENS, OVERLAP = 200, 0

_MEGABYTE = 1_000_000

# Goes up when readers or chunks change in a way that old indexes should take over.
_READING = 3


@dataclass(frozen=True, slots=True)
class Cutting:
    """How documents are cut into chunks.

    Attributes:
        max_tokens, overlap: see `corpus.chunk.spans`.
        counter: counts the tokens.
    """

    max_tokens: int
    overlap: int
    counter: Counter

    @property
    def setting(self) -> dict[str, Any]:
        """What the catalogue notes of it."""
        return {
            "max_tokens": self.max_tokens,
            "overlap": self.overlap,
            "base": self.counter.base,
            "tokenizer": self.counter.fingerprint,
        }

    @property
    def reading(self) -> str:
        """Stands for all that decides which chunks a file has, but for its bytes."""
        decides = [_READING, self.max_tokens, self.overlap, self.counter.fingerprint]
        return blake3(json.dumps(decides).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Scope:
    """A place that is looked at, and the root that it is in."""

    root: Root
    place: Path

    @property
    def whole(self) -> bool:
        """Whether it is the root itself."""
        return str(self.place) == self.root.path


@dataclass
class Survey:
    """What is to be done.

    Attributes:
        cutting: how files are cut from now on.
        cut_anew: whether they were cut in another way.
        scopes: what was looked at.
        new_roots: folders that are followed from now on.
        new_rules: roots with other rules than before.
        forgotten: roots that are no longer followed.
        scan: what became of the files.
    """

    cutting: Cutting
    cut_anew: bool
    scopes: list[Scope]
    new_roots: list[Root] = field(default_factory=list)
    new_rules: list[Root] = field(default_factory=list)
    forgotten: list[Root] = field(default_factory=list)
    scan: Scan = field(default_factory=Scan)


def survey(
    path: Path,
    generation: Generation | None,
    places: Sequence[Path],
    plan: Plan,
    report: Report,
) -> Survey:
    """Look at places, and compare them with an index.

    Args:
        path: the directory of the index, which is passed over.
        generation: the index; None if it is new.
        places: absolute; none for all roots.
        plan: what is asked for.
        report: takes what became of files that need nothing.

    Raises:
        BadInput: see `sync.sync`.
    """
    known = generation.catalogue.roots() if generation else []
    cutting, cut_anew = _cutting(generation, plan)
    scopes = scopes_of(known, places, plan.rules)
    if cut_anew:  # of chunks of two kinds, one would win for its length
        seen = {scope.root.root for scope in scopes if scope.whole}
        scopes = [scope for scope in scopes if scope.whole]
        scopes += [Scope(root, Path(root.path)) for root in known if root.root not in seen]
    found = Survey(cutting, cut_anew, scopes)
    before = {root.root: root for root in known}
    for scope in scopes:
        root = scope.root
        if root.root not in before:
            found.new_roots.append(root)
        elif before[root.root].rules != root.rules:
            found.new_rules.append(root)
            report.notes.append(_told(before[root.root], root))
        records = []
        if generation and root.root in before:
            records = list(generation.catalogue.files(root=root.root, below=str(scope.place)))
        kept = [record for record in records if record.state in ("indexed", "empty")]
        part, fault, why = Scan(), _fault(root), "is a disk missing? bring it back"
        if not fault:
            part = look(
                root,
                scope.place,
                records,
                report,
                reading=cutting.reading,
                retry=plan.retry,
                spare=path,
            )
            if part.fault:
                fault, why = f"is passed over ({part.fault})", "mend that"
            elif scope.whole and kept and not part.seen:
                fault = "has no files any more"
        if not fault:
            found.scan.add(part)
        elif scope.whole and root.root in before and plan.forget_missing:
            found.forgotten.append(root)
            for record in kept:
                report.add(record.path, "deleted")
        elif kept:
            raise BadInput(
                f"{root.path} {fault}, and {len(kept)} files of it are in the index: {why}, or "
                "forget them with --forget-missing"
            )
        else:
            raise BadInput(f"{root.path} {fault}; check the path")
    pair_moves(found.scan, cutting.reading)
    return found


def scopes_of(
    known: Sequence[Root], places: Sequence[Path], rules: Mapping[str, Any]
) -> list[Scope]:
    """Every place with its root, which may be a new one; none lies in another.

    Args:
        known: the roots of the index.
        places: absolute; none for all roots.
        rules: fields of `Rules` that a root has from now on; the others it keeps.
    """
    if not known and not places:
        raise BadInput("an index needs a folder to follow; name one: searchkit index FOLDER")
    places = list(dict.fromkeys(places)) or [Path(root.path) for root in known]
    roots = list(known)
    scopes: list[Scope] = []
    for place in sorted(places):  # a folder comes before what lies in it
        if any(_holds(str(scope.place), place) for scope in scopes):
            continue
        root = next((root for root in roots if _holds(root.path, place)), None)
        if root is None:
            root = _new_root(place, roots, Rules(**rules))
            roots.append(root)
        elif (asked := replace(rules_of(root.rules), **rules)) != rules_of(root.rules):
            if str(place) != root.path:
                raise BadInput(
                    f"{place} lies in {root.path}, which is indexed with other --include, "
                    f"--exclude or limits; they hold for all of it: name {root.path}"
                )
            root = replace(root, rules=_plain(asked))
        scopes.append(Scope(root, place))
    return scopes


def _new_root(place: Path, roots: Sequence[Root], rules: Rules) -> Root:
    for root in roots:
        if _holds(str(place), Path(root.path)):
            raise BadInput(
                f"{place} holds {root.path}, which is indexed already; index it as another "
                "--name, or name the folders beside it"
            )
    try:
        fault = "" if place.is_dir() else "is not there; check the path"
        if fault and place.exists():
            fault = "is a file; name its folder"
    except OSError as error:
        fault = f"cannot be read ({error.strerror}); see who may read it"
    if fault:
        raise BadInput(f"{place} {fault}")
    label, count = "" if not roots else place.name or "root", 1
    while roots and label in {root.label for root in roots}:
        count += 1
        label = f"{place.name}~{count}"
    number = max((root.root for root in roots), default=0) + 1
    return Root(number, str(place), label, _plain(rules))


def _holds(folder: str, place: Path) -> bool:
    return str(place) == folder or str(place).startswith(folder.rstrip(os.sep) + os.sep)


def _plain(rules: Rules) -> dict[str, Any]:
    """Rules as JSON gives them back."""
    fields: dict[str, Any] = json.loads(json.dumps(asdict(rules)))
    return fields


def _told(before: Root, now: Root) -> str:
    """Which rules of a root are others than before, as the options that say so."""
    new, old = (asdict(rules_of(root.rules)) for root in (now, before))
    changed = [name for name, value in new.items() if value != old[name]]
    options, others = (
        ", ".join(_option(name, rules[name]) for name in changed) for rules in (new, old)
    )
    return f"{now.path} is read with {options} from now on, and was with {others}"


def _option(name: str, value: Any) -> str:
    if name == "most_bytes":
        return f"--max-megabytes {value / _MEGABYTE:g}"
    option = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{'' if value else 'no-'}{option}"
    return " ".join(f"--{option} {pattern!r}" for pattern in value) or f"no --{option}"


def _cutting(generation: Generation | None, plan: Plan) -> tuple[Cutting, bool]:
    """How to cut, and whether what is there was cut otherwise."""
    held = generation.settings.get("chunking") if generation else None
    if generation is None or held is None:
        bases = [variant.base for variant in plan.variants]
        counter = counting.of_base(plan.base) if plan.base else counting.default(bases)
        cutting = Cutting(
            MAX_TOKENS if plan.max_tokens is None else plan.max_tokens,
            OVERLAP if plan.overlap is None else plan.overlap,
            counter,
        )
        _check(cutting)
        return cutting, False
    kept = counting.kept(generation.store, held["base"], held["tokenizer"])
    counter = counting.of_base(plan.base) if plan.base else kept
    cutting = Cutting(
        held["max_tokens"] if plan.max_tokens is None else plan.max_tokens,
        held["overlap"] if plan.overlap is None else plan.overlap,
        kept if counter.fingerprint == kept.fingerprint else counter,
    )
    _check(cutting)
    anew = cutting.setting != held and generation.catalogue.number_of_chunks() > 0
    return cutting, anew


def _check(cutting: Cutting) -> None:
    """Let the chunker refuse sizes that make no sense before anything is read."""
    nothing = Extracted(text="")
    how = {"max_tokens": cutting.max_tokens, "overlap": cutting.overlap}
    list(chunk.spans(nothing, lambda text: [], **how))


def cost_of_cutting(generation: Generation, cutting: Cutting) -> str:
    """What it costs to cut everything anew, as a clause."""
    held = generation.settings["chunking"]
    counted = held["base"] or "words"
    files = generation.catalogue.counts()["indexed"]
    encoders = ", ".join(generation.encoders())
    encoding = f" and encodes those that differ by {encoders}" if encoders else ""
    return (
        f"the {generation.catalogue.number_of_chunks()} chunks have at most {held['max_tokens']} "
        f"tokens of {counted} with an overlap of {held['overlap']}, not {cutting.max_tokens} of "
        f"{cutting.counter.base or 'words'} with {cutting.overlap}; cutting anew reads {files} "
        f"files{encoding}"
    )


def _fault(root: Root) -> str:
    """Why a root cannot be looked at; empty if it can."""
    try:
        with os.scandir(root.path):
            return ""
    except OSError as error:
        return f"cannot be read ({error.strerror})"
