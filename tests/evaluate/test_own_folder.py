"""An index is evaluated by queries made of its own documents, and the best system is picked."""

import importlib.util
import json
import math
import re
import shutil
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from searchkit.commands.app import main
from searchkit.corpus.collection import joined, open_collection, open_corpus
from searchkit.encode.variant import parse
from searchkit.errors import BadInput
from searchkit.evaluate import known_items, own_folder, runner
from searchkit.evaluate.analysis import analyse
from searchkit.evaluate.own_folder import answer, suite_of
from searchkit.evaluate.results import Results, SetFacts, SystemFacts
from searchkit.evaluate.suite import Suite
from searchkit.index.live.generation import Generation
from searchkit.index.live.query import plain
from searchkit.index.store import Store
from searchkit.index.text.bm25 import Parameters
from searchkit.search.build import Plan, build_index
from searchkit.search.default import default_of
from searchkit.search.judging import ledger_of
from searchkit.search.live.documents import Passages
from searchkit.search.live.plan import Plan as LivePlan
from searchkit.search.live.retrieve import open_searcher
from searchkit.search.live.sync import sync
from searchkit.search.watcher import Watcher

HANDBOOK = Path(__file__).parents[2] / "corpora" / "handbook"
MOST = 16  # tokens of a text
SYSTEMS = (
    "bm25",
    "eos_last-causal",
    "mean-causal",
    "hybrid(eos_last-causal)",
    "hybrid(mean-causal)",
)


@pytest.fixture(scope="module")
def variants(base):
    return tuple(
        parse(name, base=base, max_tokens=MOST) for name in ("mean-causal", "eos_last-causal")
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory, variants):
    """The handbook, with BM25 and the vectors of two variants that share a forward pass."""
    path = tmp_path_factory.mktemp("built") / "handbook"
    parameters = Parameters(k1=1.2)
    plan = Plan(variants=variants, dtype="float32", device="cpu", text_parameters=parameters)
    build_index(path, open_corpus(HANDBOOK), plan)
    return path


@pytest.fixture
def index(built, home):
    """The same in the home of the test, where it is found by its name."""
    return Path(shutil.copytree(built, home / "indexes" / "handbook"))


@pytest.fixture
def index_of(home):
    """(title, text) pairs to an index of them, without vectors."""

    def build(*documents, name="few"):
        folder = home / "corpora" / name
        folder.mkdir(parents=True)
        rows = [
            {"_id": f"d{number}", "title": title, "text": text}
            for number, (title, text) in enumerate(documents)
        ]
        (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        build_index(home / "indexes" / name, open_corpus(folder), Plan())
        return home / "indexes" / name

    return build


def sets_of(suite):
    return {Path(row.source).name: open_collection(Path(row.source)) for row in suite.sets}


class TestSuite:
    def test_has_a_set_of_titles_and_one_of_sentences(self, index, home):
        suite, notes = suite_of(index)
        sets = sets_of(suite)
        assert list(sets) == ["handbook-title", "handbook-sentence"]
        for row, (name, made) in zip(suite.sets, sets.items(), strict=True):
            assert row.donor == index and row.task == "retrieval" and row.index is None
            assert Path(row.source) == home / "evaluations" / "own" / "handbook" / name
            assert {query.metadata["kind"] for query in made.queries} == {name.split("-")[1]}
            assert len(list(made.documents())) == len(list(open_corpus(HANDBOOK).documents()))
            assert any(
                line.startswith(f"known-item queries: {len(made.queries)}, ") for line in notes
            )
        assert notes[-2:] == [known_items.caveat(), own_folder.AGREEMENT]

    def test_has_all_that_the_index_can_be_searched_with(self, index, variants):
        suite, _ = suite_of(index)
        assert suite.order == SYSTEMS and suite.baseline == "bm25"
        assert sorted(suite.variants, key=lambda one: one.name) == sorted(
            variants, key=lambda one: one.name
        )
        assert suite.lexical == {"bm25": Parameters(k1=1.2)}
        assert suite.hybrids["hybrid(mean-causal)"] == ("bm25", "mean-causal")
        assert suite.dtype == "float32"

    def test_has_what_was_judged_for_a_third_set(self, index):
        documents = [document.doc_id for document in open_corpus(HANDBOOK).documents()]
        ledger = ledger_of("handbook")
        ledger.add("when does the boat leave", documents[3], 1)
        ledger.add("when does the boat leave", documents[4], 0)
        ledger.add("spare parts", "gone", 1)
        suite, notes = suite_of(index)
        judged = sets_of(suite)["handbook-judged"]
        assert [query.text for query in judged.queries] == ["when does the boat leave"]
        assert [(one.doc_id, one.grade) for one in judged.judgements] == [
            (documents[3], 1),
            (documents[4], 0),
        ]
        assert suite.sets[2].donor == index
        assert "judgements of documents that are gone from the index: 1; left out" in notes

    def test_says_that_nothing_of_a_ledger_is_there_any_more(self, index):
        ledger_of("handbook").add("spare parts", "gone", 1)
        suite, notes = suite_of(index)
        assert len(suite.sets) == 2
        assert any("has no judgements of documents in this index (1 of others)" in n for n in notes)

    def test_refuses_a_ledger_that_is_damaged(self, index):
        ledger = ledger_of("handbook")
        ledger.add("spare parts", "gone", 1)
        ledger.path.write_text("not a judgement\n" + ledger.path.read_text())
        with pytest.raises(BadInput, match=r"handbook\.jsonl:1: found 'not a judgement'"):
            suite_of(index)

    def test_refuses_to_replace_what_it_did_not_make(self, index, home):
        folder = home / "evaluations" / "own" / "handbook" / "handbook-title"
        folder.mkdir(parents=True)
        (folder / "mine.txt").write_text("mine")
        with pytest.raises(BadInput, match="handbook-title was not made by searchkit, and is kept"):
            suite_of(index)
        assert (folder / "mine.txt").read_text() == "mine"

    def test_keeps_the_systems_that_were_asked_for(self, index, base):
        other = parse("mean-bidirectional", base=base)
        asked = Suite(
            sets=suite_of(index)[0].sets[:1],
            lexical={"bm25": None},
            variants=(other,),
            hybrids={"both": ("bm25", "mean-bidirectional")},
            measures={"retrieval": ("AP",)},
            resamples=300,
            dtype="bfloat16",
        )
        suite, _ = suite_of(index, asked)
        assert len(suite.sets) == 2
        assert suite.order == ("bm25", "mean-bidirectional", "both")
        assert (suite.measures, suite.resamples) == (asked.measures, 300)
        assert suite.dtype == "bfloat16"

    def test_says_where_bm25_is_not_that_of_the_index(self, index):
        first, notes = suite_of(index)
        assert not any("is compared with" in line for line in notes)
        asked = Suite(sets=first.sets, lexical={"bm25": Parameters(k1=3.0, b=0.5)})
        suite, notes = suite_of(index, asked)
        assert suite.lexical == {"bm25": Parameters(k1=3.0, b=0.5)}
        assert "bm25 is compared with k1 3.0, b 0.5; a search of the index has k1 1.2, b 0.75" in (
            notes
        )

    def test_has_no_fields_to_report_by(self, index):
        asked = Suite(sets=suite_of(index)[0].sets, lexical={"bm25": None}, by="kind")
        with pytest.raises(BadInput, match="have no kind to report by; leave it out"):
            suite_of(index, asked)

    def test_quotes_what_was_measured_of_such_queries(self, index, monkeypatch):
        monkeypatch.setattr(own_folder, "AGREEMENT", "They agree by this much.")
        assert suite_of(index)[1][-2:] == [known_items.caveat(), "They agree by this much."]

    def test_is_drawn_again_with_another_seed(self, index):
        texts = []
        for seed in (0, 1, 0):
            sets = sets_of(suite_of(index, seed=seed)[0])
            texts.append([query.text for query in sets["handbook-sentence"].queries])
        assert texts[0] == texts[2] != texts[1]


def test_the_agreement_that_is_quoted_is_the_published_one():
    """As the benchmark words it: of a kind, over the collections that have both kinds."""
    root = Path(__file__).parents[2]
    spec = importlib.util.spec_from_file_location("bench", root / "benchmarks" / "known_items.py")
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    page = (root / "searchkit" / "evaluate" / "README.md").read_text("utf-8")
    table = page.partition("| collection | by titles | by sentences | both |")[2].split("\n\n")[0]
    rows = [re.split(r" *\| *", line.strip("| ")) for line in table.strip().splitlines()[1:]]
    *collections, (_, *means) = rows
    kinds = ("title", "sentence", "both")
    taus = {
        kind: {
            name.lower(): float(cells[place])
            for name, *cells in collections
            if len(cells) > place and re.fullmatch(r"[\d.]+", cells[place])
        }
        for place, kind in enumerate(kinds)
    }
    assert list(taus["sentence"]) == ["scifact", "cranfield", "cacm", "medquad"]
    published = {}
    for kind, said in zip(kinds, means, strict=True):
        tau, low, high = map(
            float, re.fullmatch(r"([\d.]+) \(([\d.]+) to ([\d.]+)\)", said).groups()
        )
        assert tau == pytest.approx(sum(taus[kind].values()) / len(taus[kind]), abs=6e-4)
        systems = tuple(map(str, range(10)))
        published[kind] = known_items.Agreement(tau, low, high, taus[kind], systems)
    assert benchmark.quoted(published) == own_folder.AGREEMENT
    of_both = taus["both"]
    assert f"On {len(of_both)} judged collections ({', '.join(of_both)})" in own_folder.AGREEMENT
    for kind in ("title", "sentence"):
        mean = sum(taus[kind][name] for name in of_both) / len(of_both)
        assert f"{mean:.2f} by {kind}s" in own_folder.AGREEMENT


class TestOtherCorpora:
    """Of 25 documents, with titles or sentences or neither."""

    def test_titles_alone_make_one_set(self, index_of):
        index = index_of(*((f"Title number {n}", "no sentence here") for n in range(25)))
        suite, notes = suite_of(index)
        assert list(sets_of(suite)) == ["few-title"]
        assert any(
            line.startswith("0 of 25 documents can be looked for by a sentence") for line in notes
        )
        assert suite.order == ("bm25",) and suite.hybrids == {}

    def test_neither_is_refused_in_one_line(self, index_of):
        index = index_of(*(("", f"no sentence here {n}") for n in range(25)))
        with pytest.raises(BadInput) as caught:
            suite_of(index)
        assert str(caught.value) == (
            "few has nothing to be evaluated with: of its 25 documents, fewer than 20 have a title "
            "or a sentence that can look for them, and nobody judged any; do so with searchkit "
            "search --judge --index few, or name a SET"
        )

    def test_judgements_alone_make_one_set(self, index_of):
        index = index_of(*(("", f"no sentence here {n}") for n in range(25)))
        ledger_of("few").add("a query", "d3", 2)
        suite, _ = suite_of(index)
        assert list(sets_of(suite)) == ["few-judged"]


def tokens_of_new(suite, documents, base):
    """How many tokens the texts of a suite have that are none of some documents; each text once."""
    before = {joined(document) for document in documents}
    texts = set()
    for made in sets_of(suite).values():
        texts |= {joined(document) for document in made.documents()} - before
        texts |= {query.text for query in made.queries}
    tokenizer = Tokenizer.from_file(f"{base}/tokenizer.json")
    ids = (tokenizer.encode(text).ids for text in texts)
    distinct = {(*one[: MOST - 1], one[-1]) if len(one) > MOST else tuple(one) for one in ids}
    return sum(map(len, distinct))


def test_only_what_was_changed_for_a_query_and_queries_are_encoded(index, base, computed):
    suite, _ = suite_of(index)
    runner.evaluate(suite)
    new = tokens_of_new(suite, open_corpus(HANDBOOK).documents(), base)
    assert sum(computed) == new > 0


# The answer


def results_of(scores, kinds=None, parts=None, measure="nDCG@10"):
    """Hand-made results: by set and system, the value of each of 30 queries in turn."""
    systems = list(dict.fromkeys(name for of in scores.values() for name in of))
    kinds = kinds or {}
    return Results(
        scores={
            name: {
                system: {measure: {f"q{n}": values[n % len(values)] for n in range(30)}}
                for system, values in of.items()
            }
            for name, of in scores.items()
        },
        sets={
            name: SetFacts(
                name=name, task="retrieval", split="test", item="query", items=30,
                measures=(measure,), fingerprint="0" * 64,
            )
            for name in scores
        },
        systems={
            name: SystemFacts(
                name=name,
                kind=kinds.get(name, "bm25" if name == "bm25" else "variant"),
                design=name,
                details={"of": list(parts[name])} if parts and name in parts else {},
            )
            for name in systems
        },
        baseline=systems[0],
        resamples=500,
        seed=0,
        command="",
        versions={},
    )  # fmt: skip


def answered(scores, **how):
    results = results_of(scores, **how)
    return answer(results, analyse(results))


HIGH, MIDDLE, LOW = (0.9, 0.8, 0.7), (0.5, 0.6, 0.4), (0.2, 0.1, 0.3)
# About as high as HIGH: every second query is won, every second one lost.
ALIKE = (0.8, 0.9, 0.7, 0.9, 0.8, 0.6)


class TestAnswer:
    def test_is_sure_of_a_system_that_beats_all_others(self):
        found = answered(
            {"t": {"bm25": HIGH, "a": MIDDLE, "b": LOW}, "s": {"bm25": MIDDLE, "a": LOW, "b": LOW}}
        )
        assert (found.system, found.mode, found.variant, found.sure) == ("bm25", "bm25", None, True)
        assert found.mean == pytest.approx((0.8 + 0.5) / 2)
        assert found.sentence == (
            "bm25 serves this index best, with a mean nDCG@10 of 0.650 over 2 sets, and it beats "
            "every other system after correction."
        )

    def test_takes_the_highest_mean_over_sets_of_equal_weight(self):
        found = answered({"t": {"bm25": MIDDLE, "a": LOW}, "s": {"bm25": LOW, "a": HIGH}})
        assert (found.system, found.mode, found.variant) == ("a", "dense", "a")
        assert found.mean == pytest.approx((0.2 + 0.8) / 2)

    def test_is_not_sure_where_one_set_says_the_opposite(self):
        found = answered({"t": {"bm25": MIDDLE, "a": LOW}, "s": {"bm25": LOW, "a": HIGH}})
        assert not found.sure
        assert found.sentence == (
            "a serves this index best, with a mean nDCG@10 of 0.500 over 2 sets; with the queries "
            "there are, it is not surely better than bm25."
        )

    def test_is_not_sure_of_what_may_be_chance_and_names_the_rivals(self):
        found = answered({"t": {"bm25": LOW, "a": HIGH, "b": ALIKE, "c": ALIKE}})
        assert found.system == "a" and not found.sure
        assert found.sentence.endswith("over 1 set; with the queries there are, it is not surely "
                                       "better than b, c.")  # fmt: skip

    def test_is_sure_of_a_lead_on_one_set_and_a_tie_on_the_other(self):
        found = answered({"t": {"bm25": LOW, "a": HIGH}, "s": {"bm25": LOW, "a": LOW}})
        assert found.system == "a" and found.sure

    @pytest.mark.parametrize(
        ("kind", "mode", "variant"),
        [("variant", "dense", "x"), ("reference", "dense", "x"), ("hybrid", "hybrid", "minilm")],
    )
    def test_is_what_an_index_can_keep(self, kind, mode, variant):
        found = answered(
            {"t": {"bm25": LOW, "x": HIGH}}, kinds={"x": kind}, parts={"x": ("bm25", "minilm")}
        )
        assert (found.system, found.mode, found.variant) == ("x", mode, variant)

    def test_is_by_the_main_measure(self):
        found = answered({"t": {"bm25": LOW, "x": HIGH}}, measure="AP")
        assert "with a mean AP of 0.800 over 1 set" in found.sentence

    def test_of_one_system_beats_nobody(self):
        found = answered({"t": {"bm25": HIGH}})
        assert not found.sure
        assert found.sentence == (
            "bm25 is the only system that was compared, with a mean nDCG@10 of 0.800 over 1 set."
        )


# The command line


@pytest.fixture
def evaluate(capsys, home):
    """Runs eval --index and gives code, stdout and stderr without the breaks between lines."""

    def run(*arguments):
        code = main(["eval", "--resamples", "200", *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, " ".join(out.split()), " ".join(err.split())

    return run


def test_a_pick_is_what_searches_take_from_then_on(index, evaluate, home, capsys, monkeypatch):
    monkeypatch.setattr(own_folder, "AGREEMENT", "They agree by this much.")
    code, out, err = evaluate("--index", "handbook", "--pick")
    assert code == 0, err
    assert known_items.caveat() in err and "They agree by this much." in err
    results = json.loads((home / "evaluations/latest/rows.json").read_text())
    means = {}
    for row in results:
        if row["measure"] == "nDCG@10":
            means.setdefault(row["system"], []).append(row["mean"])
    assert set(means) == set(SYSTEMS) and {len(of) for of in means.values()} == {2}
    best = max(means, key=lambda name: math.fsum(means[name]))
    assert f"{best} serves this index best, with a mean nDCG@10 of " in out
    assert f"handbook is searched with {best} from now" in out
    modes = {"bm25": ("bm25", None), "mean-causal": ("dense", "mean-causal"),
             "eos_last-causal": ("dense", "eos_last-causal"),
             "hybrid(mean-causal)": ("hybrid", "mean-causal"),
             "hybrid(eos_last-causal)": ("hybrid", "eos_last-causal")}  # fmt: skip
    mode, variant = modes[best]
    assert default_of(Store.open(index)) == {"mode": mode, "variant": variant}

    def found(*options):
        assert main(["search", "spare fuses", "-i", "handbook", "-o", "trec", *options]) == 0
        return capsys.readouterr().out

    named = ["--variant", variant] if variant else []
    assert found() == found("--mode", mode, *named) != ""


def test_what_was_judged_in_the_terminal_is_evaluated_on(index, evaluate, home):
    documents = [document.doc_id for document in open_corpus(HANDBOOK).documents()]
    for number, doc_id in enumerate(documents[:3]):
        ledger_of("handbook").add(f"spare fuses {number}", doc_id, 1)
    code, out, err = evaluate("--index", "handbook", "--measure", "AP")
    assert code == 0, err
    assert " serves this index best, with a mean AP of " in out
    assert "from now" not in out and default_of(Store.open(index)) is None
    rows = json.loads((home / "evaluations/latest/rows.json").read_text())
    counts = {row["collection"]: row["queries"] for row in rows}
    assert list(counts) == ["handbook-title", "handbook-sentence", "handbook-judged"]
    assert counts["handbook-judged"] == 3


def test_an_index_with_nothing_to_ask_for_says_so_in_one_line(index_of, capsys):
    index_of(("", "too little"), name="tiny")
    assert main(["eval", "--index", "tiny", "--pick"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1
    assert err.startswith("searchkit: tiny has nothing to be evaluated with: of its 1 documents,")


def test_another_system_of_the_index_can_be_the_baseline(index, evaluate, home):
    code, _, err = evaluate("--index", "handbook", "--measure", "AP", "--baseline", "mean-causal")
    assert code == 0, err
    rows = json.loads((home / "evaluations/latest/rows.json").read_text())
    assert {row["system"] for row in rows if row["difference"] is None} == {"mean-causal"}


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        (
            ("--hybrid", "mean-causal"),
            "the hybrids of everything in the index are compared without",
        ),
        (
            ("--by", "kind"),
            "--run, --rerank, --queries, --qrels, --sample and --by belong to a SET",
        ),
        (
            ("--baseline", "nope"),
            "no system is called 'nope', to be the baseline; there are: bm25,",
        ),
    ],
)
def test_options_that_belong_to_sets_are_refused(index, evaluate, option, complaint):
    code, out, err = evaluate("--index", "handbook", *option)
    assert (code, out) == (1, "")
    assert err.startswith(f"searchkit: {complaint}")


# The index of a folder


@pytest.fixture(scope="module")
def followed(tmp_path_factory, variants):
    """The handbook as files, one a document, with the vectors of two variants."""
    path = tmp_path_factory.mktemp("followed")
    files = path / "notes"
    files.mkdir()
    for document in open_corpus(HANDBOOK).documents():
        (files / f"{document.doc_id}.md").write_text(f"# {document.title}\n\n{document.text}\n")
    plan = LivePlan(variants=variants, dtype="float32", device="cpu")
    sync(path / "index", [files], plan, Watcher())
    return path / "index"


@pytest.fixture
def folder_index(followed, home):
    """The same in the home of the test, where it is found by its name."""
    return Path(shutil.copytree(followed, home / "indexes" / "notes"))


class TestFolder:
    """Of a folder's index, sentences look for passages, and judged queries are searched there."""

    def test_sentences_look_for_the_passages_that_were_indexed(self, folder_index):
        suite, notes = suite_of(folder_index)
        ((name, made),) = sets_of(suite).items()
        assert name == "notes-sentence" and suite.sets[0].donor == folder_index
        passages = {one.doc_id: one for one in Passages(Generation.open(folder_index))}
        documents = {one.doc_id: one for one in made.documents()}
        assert documents.keys() == passages.keys()
        texts = {query.query_id: query.text for query in made.queries}
        assert len(texts) >= 100
        for judgement in made.judgements:
            whole, left = (of[judgement.doc_id].text for of in (passages, documents))
            sentence = texts[judgement.query_id]
            assert sentence in " ".join(whole.split()) and sentence not in " ".join(left.split())
        assert suite.order == SYSTEMS
        assert notes[-2:] == [known_items.caveat(), own_folder.AGREEMENT]

    def test_only_passages_that_were_changed_and_queries_are_encoded(
        self, folder_index, base, computed
    ):
        suite, _ = suite_of(folder_index)
        runner.evaluate(suite)
        new = tokens_of_new(suite, Passages(Generation.open(folder_index)), base)
        assert sum(computed) == new > 0

    def test_what_was_judged_is_ranked_as_the_folder_is_searched(self, folder_index):
        searcher = open_searcher(folder_index)
        asked = ["spare fuses", '"hot water" -boat']
        for query in asked:
            for hit in searcher.search(query, 3, mode="bm25"):
                ledger_of("notes").add(query, hit.doc_id, int(hit.rank == 1))
        suite, _ = suite_of(folder_index)
        assert [Path(row.source).name for row in suite.sets] == ["notes-sentence", "notes-judged"]
        assert suite.sets[1].searched == folder_index
        outcome = runner.evaluate(suite)
        queries = {query.text: query.query_id for query in sets_of(suite)["notes-judged"].queries}
        ways = {
            "bm25": {"mode": "bm25"},
            "mean-causal": {"mode": "dense", "variant": "mean-causal"},
            "hybrid(mean-causal)": {"mode": "hybrid", "variant": "mean-causal"},
        }
        for system, how in ways.items():
            run = outcome.runs["notes-judged"][system]
            for query in asked:
                shown = [(one.doc_id, one.rank) for one in searcher.search(query, 10, **how)]
                ranked = [(hit.doc_id, hit.rank) for hit in run[queries[query]][:10]]
                assert ranked == shown and shown
        scores = outcome.results.scores["notes-judged"]["bm25"]
        assert all(value == 1 for value in scores["RR@10"].values())

    def test_words_are_asked_as_words_whatever_operators_they_look_like(self, folder_index):
        searcher = open_searcher(folder_index)
        literal, unreadable = "hot -water boat", "path: spare fuses"
        for query in (literal, unreadable):
            for hit in searcher.search(plain(query), 3, mode="bm25"):
                ledger_of("notes").add(
                    query, hit.doc_id, int(hit.rank == 1), literal=query == literal
                )
        suite, _ = suite_of(folder_index)
        outcome = runner.evaluate(suite)
        scores = outcome.results.scores["notes-judged"]["bm25"]
        assert list(scores["RR@10"].values()) == [1, 1]
        queries = {query.text: query.query_id for query in sets_of(suite)["notes-judged"].queries}
        for system, how in (("bm25", {}), ("mean-causal", {"variant": "mean-causal"})):
            mode = "dense" if how else "bm25"
            for query, query_id in queries.items():
                shown = searcher.search(plain(query), 5, mode=mode, **how)
                ranked = outcome.runs["notes-judged"][system][query_id][:5]
                assert [one.doc_id for one in ranked] == [one.doc_id for one in shown] != []
        assert outcome.results.sets["notes-judged"].notes == (
            f"queries that the language of queries cannot read: 1 ({unreadable!r}); asked as words",
        )

    def test_an_encoder_that_the_folder_lacks_is_refused(self, folder_index, base):
        other = parse("mean-bidirectional", base=base, max_tokens=MOST)
        asked = Suite(sets=suite_of(folder_index)[0].sets, variants=(other,))
        with pytest.raises(
            BadInput, match=r"was not encoded by mean-bidirectional in this way; add it with"
        ):
            suite_of(folder_index, asked)

    def test_an_encoder_of_another_design_is_refused(self, folder_index, base):
        longer = parse("mean-causal", base=base, max_tokens=MOST + 1)
        asked = Suite(sets=suite_of(folder_index)[0].sets, variants=(longer,))
        with pytest.raises(BadInput, match="was not encoded by mean-causal in this way"):
            suite_of(folder_index, asked)

    def test_a_pick_is_what_searches_take_from_then_on(self, folder_index, evaluate):
        code, out, err = evaluate("--index", "notes", "--pick")
        assert code == 0, err
        best = re.search(r"(\S+) serves this index best", out)[1]
        assert f"notes is searched with {best} from now" in out
        kept = default_of(Store.open(folder_index))
        chosen = open_searcher(folder_index).choose()
        assert chosen == (kept["mode"], kept["variant"])
        assert best in (kept["mode"], kept["variant"], f"hybrid({kept['variant']})")

    def test_a_folder_of_too_little_says_so(self, home, tmp_path):
        (tmp_path / "one.md").write_text("too little")
        sync(home / "indexes" / "few", [tmp_path], LivePlan(), Watcher())
        with pytest.raises(BadInput, match=r"of its 1 passages, fewer than 20 have a sentence"):
            suite_of(home / "indexes" / "few")
