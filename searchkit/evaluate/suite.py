"""Suites: which systems are compared on which sets, by what, as one TOML file says it.

data = "../data"              # where the sets are, relative to this file
baseline = "bm25"
cut = 64                      # every system sees so much of a text, in tokens of the base

[measures]                    # by task; each task has its own defaults
retrieval = ["nDCG@10", "R@100"]

[variants]                    # for all variants that do not say otherwise
max_tokens = 128

[[set]]
name = "scifact"
dev = "train"                 # the split that "tuned" parameters come from

[[set]]
name = "cacm"
unjudged = 100                # documents beside those that are judged; or sample = 1000 in all

[[set]]
name = "stsb"
sample = 300                  # pairs, texts or queries

[[system]]
bm25 = "default"              # or "anserini", "tuned", or { k1 = 1.2, b = 0.6 }

[[system]]
variant = "mean-causal"

[[system]]
name = "minilm"
embedder = "st:path/to/model" # ${NAMES} of the environment are put in

[[system]]
hybrid = ["bm25", "minilm"]

[[system]]
rerank = "query_likelihood"   # reads the first documents of another system's rankings again
of = "hybrid(minilm)"
depth = 20

[[system]]
name = "elsewhere"
run = { scifact = "runs/elsewhere.trec" }
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from searchkit import catalog
from searchkit.corpus.lines import shown
from searchkit.encode import language_models, reference
from searchkit.encode.variant import Variant, parse
from searchkit.errors import BadInput, UnknownName
from searchkit.evaluate.significance import RESAMPLES
from searchkit.evaluate.toml_file import TomlFile
from searchkit.index.text.bm25 import Parameters
from searchkit.search import reranking

TASKS = "searchkit.evaluate.tasks"
VECTOR_INDEXES = "searchkit.index.vector"
LEXICAL = "bm25"  # the name of BM25 with the first parameters that are named, or the defaults
TUNED = "tuned"
DEPTH = 1000
HUB = "hub:"
# Lin 2019 and the regressions of Anserini use them for most collections; analysis is ours.
_NAMED_PARAMETERS = {"default": Parameters(), "anserini": Parameters(k1=0.9, b=0.4)}
_LEAST = {"depth": 1, "resamples": 100, "seed": 0}
_LEAST_CUT = 8  # of fewer tokens, hardly a text says what it is about
_KINDS = ("bm25", "variant", "embedder", "hybrid", "rerank", "run")
_TABLES = ("set", "system")


@dataclass(frozen=True, slots=True)
class Length:
    """So many tokens of a base model, as a variant counts them: with the EOS behind a text."""

    tokens: int
    base: str


@dataclass(frozen=True, slots=True)
class Reranking:
    """The rankings of a system, whose first `depth` documents a reranker reads again.

    `reranker` is a name as `search.reranking.open_reranker` reads it.
    """

    reranker: str
    of: str
    depth: int = reranking.DEPTH

    @property
    def name(self) -> str:
        """What tables call it unless somebody says otherwise."""
        return f"{reranking.label(self.reranker)}({self.of})"


@dataclass(frozen=True, kw_only=True)
class SetRow:
    """One set to evaluate on.

    Attributes:
        source: a folder, or `hub:<owner>/<name>@<revision>`.
        name: what tables call it; empty for the name that the source has.
        task: a choice of evaluate/tasks; None where the source shall say.
        split: what is judged.
        train_split: what a classifier is fitted on.
        dev: the split that parameters are tuned on; None has none.
        sample: keep so many documents, texts or pairs, judged documents always; None keeps all.
        unjudged: of documents, keep those that are judged and so many others, in the place of
            `sample`.
        sample_queries: of a retrieval collection, keep so many queries, and the documents that are
            judged for those.
        cut: how much of each text and query any system sees; None for all of it.
        measures: instead of those of the suite for this task.
        queries, qrels: files in the place of those of a retrieval collection.
        index: a directory to use and complete in the place of the evaluation's own.
        donor: an index whose vectors of the same texts are taken.
        searched: the index of a folder, whose own searches are ranked in the place of an index of
            the documents; it has been indexed with all that takes part.
    """

    source: str
    name: str = ""
    task: str | None = None
    split: str = "test"
    train_split: str = "train"
    dev: str | None = None
    sample: int | None = None
    unjudged: int | None = None
    sample_queries: int | None = None
    cut: Length | None = None
    measures: tuple[str, ...] = ()
    queries: Path | None = None
    qrels: Path | None = None
    index: Path | None = None
    donor: Path | None = None
    searched: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A comparison: systems by name, in the order of the tables, and the sets.

    Attributes:
        sets: at least one.
        lexical: BM25 by name; `TUNED` in the place of parameters has them found on the dev split,
            None takes those of an index that is named, else the defaults.
        variants: rows to encode with.
        references: sentence-transformers folders by name.
        hybrids: by name, the systems whose rankings are fused.
        rerankings: by name, rankings of the systems above or of runs, read again.
        runs: by name, a TREC run for each set that there is one of.
        order: all names.
        baseline: what tables compare with; empty for bm25 or, where there is none, the first.
        measures: by task, in the place of its defaults.
        vector_indexes: approximate ones whose loss against exact search is measured.
        by: a field of queries; sets are also reported for each of its values.
        depth: how many documents a ranking holds; hybrids see so many of each.
        resamples, seed: of bootstrap and tests; the seed also draws samples.
        device, engine, dtype: of the variants.
        allow_untrained: let poolings take part whose weights were never trained; no suite file says
            so, since what they score is chance.
    """

    sets: tuple[SetRow, ...]
    lexical: Mapping[str, Parameters | str | None] = field(default_factory=dict)
    variants: tuple[Variant, ...] = ()
    references: Mapping[str, Path] = field(default_factory=dict)
    hybrids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rerankings: Mapping[str, Reranking] = field(default_factory=dict)
    runs: Mapping[str, Mapping[str, Path]] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    baseline: str = ""
    measures: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    vector_indexes: tuple[str, ...] = ()
    by: str | None = None
    depth: int = DEPTH
    resamples: int = RESAMPLES
    seed: int = 0
    device: str | None = None
    engine: str | None = None
    dtype: str | None = None
    allow_untrained: bool = False

    def __post_init__(self) -> None:
        named = {
            "bm25": [*self.lexical],
            "variant": list(dict.fromkeys(variant.name for variant in self.variants)),
            "embedder": [*self.references],
            "hybrid": [*self.hybrids],
            "rerank": [*self.rerankings],
            "run": [*self.runs],
        }
        names = [name for kind in named.values() for name in kind]
        if not names:
            raise BadInput("nothing to evaluate; name a system")
        if twice := [name for name in names if names.count(name) > 1]:
            raise BadInput(f"two systems are called {twice[0]!r}; give one of them another name")
        if not self.order:
            object.__setattr__(self, "order", tuple(names))
        for hybrid, parts in self.hybrids.items():
            made = self.hybrids.keys() | self.rerankings.keys()
            ranking = [name for name in names if name not in made]
            if unknown := [part for part in parts if part not in ranking]:
                raise UnknownName(
                    f"no hybrid of {unknown[0]!r}: it is none of the systems "
                    f"{', '.join(ranking) or '(none)'}; name it, too"
                )
            if len(set(parts)) < 2:
                raise BadInput(f"{hybrid} fuses {list(parts)}; a hybrid is of two systems or more")
        for one in self.rerankings.values():
            _known("reranker", one.reranker.partition(":")[0], catalog.names(reranking.RERANKERS))
            ranking = [name for name in names if name not in self.rerankings]
            _known("system to be reranked", one.of, ranking)
            if one.depth < 1:
                raise BadInput(f"{one.name}: depth is {one.depth}; it must be at least 1")
        if not self.baseline:
            default = LEXICAL if LEXICAL in names else self.order[0]
            object.__setattr__(self, "baseline", default)
        if self.baseline not in names:
            raise UnknownName(
                f"no system is called {self.baseline!r}, to be the baseline; there are: "
                f"{', '.join(self.order)}"
            )
        if not self.sets:
            raise BadInput("nothing to evaluate on; name a set")
        for name, least in _LEAST.items():
            if (value := getattr(self, name)) < least:
                raise BadInput(f"{name} is {value}; it must be at least {least}")
        for kind in self.vector_indexes:
            _known("vector index", kind, catalog.names(VECTOR_INDEXES))


def hybrid_name(parts: Sequence[str]) -> str:
    """What a fusion is called: `hybrid(x)` for x with plain BM25, else all parts with plus."""
    others = [part for part in parts if part != LEXICAL]
    return f"hybrid({'+'.join(others if len(others) == 1 else parts)})"


def _known(what: str, name: str, names: Sequence[str]) -> None:
    if name not in names:
        raise UnknownName(f"no {what} is called {name!r}; there are: {', '.join(names)}")


def read(path: Path) -> Suite:
    """The suite that a TOML file describes; paths in it are relative to it.

    Raises:
        BadInput: the file cannot be read, or says what no suite has.
        UnknownName: a system, task or choice that there is not.
    """
    reader = _Reader(path, tables=_TABLES)
    return reader.suite(reader.read())


def of_table(
    table: dict[str, Any], path: Path, *, variables: Mapping[str, str] | None = None
) -> Suite:
    """The suite of a table in the form of a suite file.

    Args:
        table: what the file would hold.
        path: of the file that has it; paths are relative to it, and complaints name it.
        variables: see `TomlFile`.

    Raises:
        BadInput, UnknownName: see `read`.
    """
    return _Reader(path, variables=variables, tables=_TABLES).suite(table)


class _Reader(TomlFile):
    """Tables of one file to a suite."""

    def __init__(self, path: Path, **options: Any) -> None:
        super().__init__(path, **options)
        self._data = path.parent
        self._cut: Length | None = None

    def suite(self, table: dict[str, Any]) -> Suite:
        known = {
            "title": str, "data": str, "baseline": str, "by": str, "depth": int,
            "resamples": int, "seed": int, "device": str, "engine": str, "dtype": str, "cut": int,
            "measures": dict, "vector_indexes": list, "variants": dict, "set": list,
            "system": list,
        }  # fmt: skip
        self.check("the suite", table, known)
        self._data = self.place(table.get("data", "."))
        self._cut = self._length(table)
        plain = ("baseline", "by", "depth", "resamples", "seed", "device", "engine", "dtype")
        with self.named():
            return Suite(
                sets=tuple(self._set(row) for row in table.get("set", [])),
                measures=self._measures(table.get("measures", {})),
                vector_indexes=tuple(self.strings("vector_indexes", table, empty=True)),
                **self._systems(table.get("system", []), table.get("variants", {})),
                **{name: table[name] for name in plain if name in table},
            )

    def _length(self, table: dict[str, Any]) -> Length | None:
        """The one length that all sets are cut at, in tokens of the base that variants share."""
        if "cut" not in table:
            return None
        if table["cut"] < _LEAST_CUT:
            raise self.wrong(f"cut is {table['cut']}; it must be at least {_LEAST_CUT}")
        shared = table.get("variants", {})
        given = shared.get("base") if isinstance(shared, dict) else None
        named = self.base(given) if isinstance(given, str) else language_models.DEFAULT
        return Length(table["cut"], named)

    def _measures(self, table: dict[str, Any]) -> dict[str, tuple[str, ...]]:
        for task in table:
            _known("task", task, catalog.names(TASKS))
        return {task: tuple(self.strings(task, table)) for task in table}

    def _set(self, row: Any) -> SetRow:
        known = {
            "name": str, "path": str, "hub": str, "task": str, "split": str, "train_split": str,
            "dev": str, "sample": int, "unjudged": int, "sample_queries": int, "measures": list,
            "queries": str, "qrels": str,
        }  # fmt: skip
        self.check("a set", row, known)
        if "hub" in row and "path" in row:
            raise self.wrong(f"a set has both path and hub, {row['hub']!r}; name one of the two")
        if "hub" in row:
            source = HUB + row["hub"].removeprefix(HUB)
        elif "path" in row or "name" in row:
            place = self._data / Path(self.expanded(row.get("path", row.get("name")))).expanduser()
            source = str(place)
        else:
            raise self.wrong("a set has neither name, nor path, nor hub; name one")
        if "task" in row:
            _known("task", row["task"], catalog.names(TASKS))
        for name in ("sample", "unjudged", "sample_queries"):
            if row.get(name, 1) < 1:
                raise self.wrong(f"{name} is {row[name]}; it must be at least 1")
        if "sample" in row and "unjudged" in row:
            raise self.wrong("a set has both sample and unjudged; leave one of the two out")
        plain = ("task", "split", "train_split", "dev", "sample", "unjudged", "sample_queries")
        return SetRow(
            source=source,
            # Without a path, the name says where a set is: then it has its own, maybe of a sample.
            name=row.get("name", "") if "path" in row or "hub" in row else "",
            measures=tuple(self.strings("measures", row)) if "measures" in row else (),
            queries=self.place(row["queries"]) if "queries" in row else None,
            qrels=self.place(row["qrels"]) if "qrels" in row else None,
            cut=self._cut,
            **{name: row[name] for name in plain if name in row},
        )

    def _systems(self, rows: list[Any], shared: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {
            "lexical": {}, "variants": [], "references": {}, "hybrids": {}, "rerankings": {},
            "runs": {}, "order": [],
        }  # fmt: skip
        self._check_fields(shared)
        for row in rows:
            kinds = [kind for kind in _KINDS if isinstance(row, dict) and kind in row]
            if len(kinds) != 1:
                raise self.wrong(
                    f"a system is one of {', '.join(_KINDS[:-1])} and {_KINDS[-1]}; "
                    f"found {shown(row)}"
                )
            name: str = getattr(self, f"_{kinds[0]}")(row, shared, found)
            if name in found["order"]:
                raise self.wrong(f"two systems are called {name!r}; give one of them another name")
            found["order"].append(name)
        return {
            **found,
            "variants": tuple(found["variants"]),
            "order": tuple(found["order"]),
        }

    def _bm25(self, row: dict[str, Any], shared: Any, found: dict[str, Any]) -> str:
        self.check("a bm25 system", row, {"name": str, "bm25": (str, dict)})
        given = row["bm25"]
        if isinstance(given, dict):
            types = {"k1": (int, float), "b": (int, float), "stop_words": str, "stemmer": str}
            self.check("bm25", given, types)
            parameters: Parameters | str = Parameters(**given)
        elif given == TUNED:
            parameters = TUNED
        elif given in _NAMED_PARAMETERS:
            parameters = _NAMED_PARAMETERS[given]
        else:
            known = ", ".join([*_NAMED_PARAMETERS, TUNED])
            raise self.wrong(f"no parameters of BM25 are called {given!r}; there are: {known}")
        own = LEXICAL if given == "default" or isinstance(given, dict) else f"{LEXICAL}-{given}"
        name: str = row.get("name", own)
        found["lexical"][name] = parameters
        return name

    def _variant(self, row: dict[str, Any], shared: dict[str, Any], found: dict[str, Any]) -> str:
        named = {key: value for key, value in row.items() if key in ("variant", "name")}
        self.check("a variant", named, {"variant": str, "name": str})
        own = {key: value for key, value in row.items() if key not in named}
        self._check_fields(own)
        if "name" in row:
            own["label"] = row["name"]
        text = row["variant"]
        text = str(self.place(text)) if text.endswith(".json") else self.weights(text)
        # By its row, whose fields are checked.
        variant = Variant.from_row({**parse(text).to_row(), **shared, **own})
        variant = replace(
            variant, base=self.base(variant.base), weights=self.weights(variant.weights)
        )
        found["variants"].append(variant)
        return variant.name

    def _embedder(self, row: dict[str, Any], shared: Any, found: dict[str, Any]) -> str:
        self.check("an embedder", row, {"name": str, "embedder": str})
        own, folder = reference.parse(self.expanded(row["embedder"]))
        name: str = row.get("name", own)
        found["references"][name] = self.path.parent / folder
        return name

    def _hybrid(self, row: dict[str, Any], shared: Any, found: dict[str, Any]) -> str:
        self.check("a hybrid", row, {"name": str, "hybrid": list})
        parts = tuple(self.strings("hybrid", row, empty=True))  # `Suite` says how many it takes
        name: str = row.get("name", hybrid_name(parts))
        found["hybrids"][name] = parts
        return name

    def _rerank(self, row: dict[str, Any], shared: Any, found: dict[str, Any]) -> str:
        self.check("a reranking", row, {"name": str, "rerank": str, "of": str, "depth": int})
        if "of" not in row:
            raise self.wrong(
                f'the reranking {row["rerank"]} is of no system; write of = "..." beside it'
            )
        kind, colon, rest = row["rerank"].partition(":")
        there = self.path.parent / Path(self.expanded(rest)).expanduser()
        # A folder beside this file, or the name of a base model.
        reranker = f"{kind}{colon}{there if rest and there.is_dir() else rest}"
        made = Reranking(reranker, row["of"], row.get("depth", reranking.DEPTH))
        name: str = row.get("name", made.name)
        found["rerankings"][name] = made
        return name

    def _run(self, row: dict[str, Any], shared: Any, found: dict[str, Any]) -> str:
        self.check("a run", row, {"name": str, "run": dict})
        if "name" not in row:
            raise self.wrong('a run has no name; write name = "..." beside run = { ... }')
        if not row["run"]:
            raise self.wrong(f"the run {row['name']} is of no set; write run = {{ set = file }}")
        self.check(f"the run {row['name']}", row["run"], dict.fromkeys(row["run"], str))
        files = {name: self.place(path) for name, path in row["run"].items()}
        name: str = row["name"]
        found["runs"][name] = files
        return name

    def _check_fields(self, row: dict[str, Any]) -> None:
        known = {one.name for one in fields(Variant)} - {"attention", "pooling", "label"}
        if unknown := [name for name in row if name not in known]:
            raise self.wrong(
                f"a variant has no field {unknown[0]!r}; it has: {', '.join(sorted(known))}"
            )
