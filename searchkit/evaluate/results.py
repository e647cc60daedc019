"""What an evaluation leaves behind: scores per item, and where every number comes from.

A folder of plain files, from which every table, plot and page is drawn without a model:

    scores.csv            set, system, measure, item, value
    provenance.json       sets, systems, settings, versions, command
    runs/<set>/*.trec     rankings, of sets that have them
    explorer/<set>.json   queries, the top of each ranking, and the documents in it
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Scores = Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]
"""A value for each set, system, measure and item, nested in this order.

The mean over items is the measure. An item is what systems are paired by: a query, a pair of
sentences, a text, or one resampling of a set.
"""


@dataclass(frozen=True, kw_only=True)
class SetFacts:
    """One evaluated set.

    Attributes:
        name: what tables call it.
        task: a choice of evaluate/tasks; sets of one task are a family.
        split: which of its splits was judged.
        item: what a score belongs to, in the singular: "query", "pair", "text", "experiment".
        items: how many there are.
        measures: by which it was measured, the main one first.
        fingerprint: of texts and judgements, 64 hexadecimal digits.
        notes: what a reader of the scores should know, one line each; warnings among them.
        judged_at_10: by system, the share of judged documents among each query's first ten.
    """

    name: str
    task: str
    split: str
    item: str
    items: int
    measures: Sequence[str]
    fingerprint: str
    notes: Sequence[str] = ()
    judged_at_10: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SystemFacts:
    """One system that was evaluated.

    Attributes:
        name: what tables call it.
        kind: "bm25", "variant", "reference", "hybrid" or "run".
        design: the same for systems that differ in their seed alone; else the name.
        seed: of its training, where it had any.
        trained: whether somebody trained it to embed; None where the question makes no sense.
        tokens_per_s: at which it encoded on the machine of the evaluation; None if it encodes
            nothing, or all vectors were there already.
        bytes_per_text: what it keeps of a text, as uncompressed float32 vectors; None as above.
        details: its row, hashes, arithmetic and parameters; JSON.
    """

    name: str
    kind: str
    design: str
    seed: int | None = None
    trained: bool | None = None
    tokens_per_s: float | None = None
    bytes_per_text: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ExplorerSet:
    """What a reader needs to look into the queries of one set.

    Attributes:
        queries: text by query id.
        judged: grade by query id and document id.
        tops: by system and query id, the ids of the first ten documents.
        documents: by id, (title, beginning of the text) of every document in a top.
    """

    queries: Mapping[str, str]
    judged: Mapping[str, Mapping[str, int]]
    tops: Mapping[str, Mapping[str, Sequence[str]]]
    documents: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Results:
    """An evaluation that was saved.

    Attributes:
        scores: see `Scores`; sets and systems in the order of the evaluation.
        sets, systems: by name, in the same order.
        baseline: the system that tables compare with. A set in which it takes no part, as bm25 in
            semantic similarity, is compared with its first system.
        resamples, seed: of bootstrap and permutation tests.
        command: what was typed.
        versions: by package.
        explorer: by set, of those that rank documents.
    """

    scores: Scores
    sets: Mapping[str, SetFacts]
    systems: Mapping[str, SystemFacts]
    baseline: str
    resamples: int
    seed: int
    command: str
    versions: Mapping[str, str]
    explorer: Mapping[str, ExplorerSet] = field(default_factory=dict)
