"""searchkit search of a folder: filters, places to click on, every form, and who gave what."""

import json
import os
import re
import shutil

import pytest

from searchkit.evaluate.runs import read_run
from searchkit.search.judging import ledger_of
from searchkit.search.live.retrieve import open_searcher

NOTES = {
    "tides.md": "# Tides\n\nThe ferry leaves two hours before high water.\n\n## Sundays\n\n"
    + "On Sundays the ferry to the island does not run. " * 12,
    "lab/autoclave.md": "# Autoclave\n\nClean the autoclave with *distilled* water, each [run](x).",
    "odd [names] #1/a & b.txt": "Sheep graze on the western cliffs. No ferry.\n",
    "sturm.txt": "Die Fähre fährt bei Sturm nicht, sie liegt dann im Hafen und wartet auf besseres"
    " Wetter. Das kann einen Tag dauern oder auch zwei.\n",
    "tide.py": 'import os\n\n\ndef ferry(hours):\n    """When it leaves."""\n    return hours',
}
TIMES = {"tides.md": 1_000_000_000, "tide.py": 1_600_000_000}  # 2001 and 2020


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Notes in a folder; read them."""
    place = tmp_path_factory.mktemp("folders") / "notes"
    for name, text in NOTES.items():
        file = place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        if name in TIMES:
            os.utime(file, (TIMES[name], TIMES[name]))
    return place


@pytest.fixture(scope="session")
def followed(tmp_path_factory, folder, tiny):
    from searchkit.commands.app import main

    with pytest.MonkeyPatch.context() as patch:
        path = tmp_path_factory.mktemp("followed")
        patch.setenv("SEARCHKIT_HOME", str(path))
        options = ["--variant", "mean-causal", "--chunk-tokens", "60", *tiny]
        assert main(["index", str(folder), "--name", "notes", *options]) == 0
    return path / "indexes" / "notes"


@pytest.fixture
def notes(home, followed, monkeypatch):
    """The name of an index of the folder, in the test's own home."""
    shutil.copytree(followed, home / "indexes" / "notes")
    monkeypatch.chdir(home)
    return "notes"


@pytest.fixture
def found(searchkit, notes):
    """Runs a search: the records that JSON lines give."""

    def find(*arguments):
        done = searchkit("search", *arguments, "-i", notes, "-o", "jsonl")
        assert (done.code, done.err) == (0, "")
        return [json.loads(line) for line in done.out.splitlines()]

    return find


def ids(records):
    return [record["doc_id"] for record in records]


def test_records_are_the_passages_of_the_searcher(found, notes, home, folder):
    searcher = open_searcher(home / "indexes" / notes)
    for mode, options in (("bm25", []), ("dense", []), ("hybrid", ["--all-passages"])):
        passages = searcher.search(
            "ferry water",
            mode=mode,
            variant=None if mode == "bm25" else "mean-causal",
            per_document=not options,
        )
        records = found("ferry water", "--mode", mode, *options)
        assert len(records) == len(passages) > 2
        for record, passage in zip(records, passages, strict=True):
            assert (record["rank"], record["score"]) == (passage.rank, passage.score)
            assert (record["doc_id"], record["line"]) == (passage.doc_id, passage.line)
            assert record["path"] == str(folder / passage.doc_id)
            assert record["text"] == passage.text
            text = searcher.document_text(passage.doc_id)
            assert text[record["start"] : record["end"]] == record["text"]
            for start, end in record["marks"]:
                assert record["snippet"][start:end].lower() in ("ferry", "water")


def test_a_place_is_a_line_that_holds_what_is_shown(found, folder):
    (record,) = found("autoclave")
    lines = (folder / record["doc_id"]).read_text().splitlines()
    assert "autoclave" in lines[record["line"] - 1].lower()
    first, last = record["lines"]
    assert 1 <= first <= record["line"] <= last <= len(lines)


FILTERS = {
    ("ferry", "--path", "*.md"): {"tides.md"},
    ("ferry", "--path", "*.py", "--path", "*.txt"): {"tide.py", "odd [names] #1/a & b.txt"},
    ("ferry path:*.py", "--path", "tide*"): {"tide.py"},
    ("ferry", "--format", "code"): {"tide.py"},
    ("fähre ferry", "--lang", "de"): {"sturm.txt"},
    ("ferry", "--before", "2010"): {"tides.md"},
    ("ferry", "--after", "2015", "--before", "2021"): {"tide.py"},
    ("ferry -sheep -hours -sundays",): set(),
}


@pytest.mark.parametrize("arguments", FILTERS)
def test_options_filter_as_the_language_of_queries_does(found, arguments):
    assert set(ids(found(*arguments))) == FILTERS[arguments]
    assert set(ids(found(*arguments, "--mode", "hybrid"))) >= FILTERS[arguments]


def test_filters_hold_for_vectors_too(found):
    assert ids(found("ferry", "--mode", "dense", "--path", "lab/", "-k", "1")) == [
        "lab/autoclave.md"
    ]


def test_all_passages_are_shown_if_wanted(found):
    best = found("ferry path:tides.md")
    every = found("ferry path:tides.md", "--all-passages")
    assert ids(best) == ["tides.md"] and len(every) > 1
    assert best[0] == every[0] and len({record["start"] for record in every}) == len(every)


def test_nothing_below_the_least_score_is_shown(found):
    scores = [record["score"] for record in found("ferry")]
    assert len(scores) == 3
    kept = found("ferry", "--min-score", scores[1])
    assert [record["score"] for record in kept] == scores[:2]
    assert found("ferry", "--min-score", "99") == []


def test_min_score_holds_for_a_collection_too(searchkit, index):
    out = searchkit("search", "ferry", "-i", index, "-o", "jsonl", "--min-score", "99")
    assert (out.code, out.out) == (0, "")


class TestForms:
    def test_a_table_names_title_place_and_score(self, searchkit, notes, folder):
        done = searchkit("search", "high water", "-i", notes, "-k", "1")
        head, snippet, *_ = done.out.splitlines()
        assert head.startswith(f"  1  Tides  {folder}/tides.md:3  ")
        assert "The ferry leaves two hours before high water." in snippet
        assert "\x1b" not in done.out

    def test_a_path_is_written_from_here_where_it_lies_below(
        self, searchkit, notes, folder, monkeypatch
    ):
        monkeypatch.chdir(folder / "lab")
        assert "autoclave.md:3 " in searchkit("search", "distilled", "-i", notes).out
        assert searchkit("search", "sheep", "-i", notes, "-o", "paths").out == (
            f"{folder}/odd [names] #1/a & b.txt\n"
        )

    def test_paths_are_one_a_line(self, searchkit, notes, folder, monkeypatch):
        monkeypatch.chdir(folder)
        done = searchkit("search", "ferry", "-i", notes, "-o", "paths", "--all-passages")
        assert sorted(done.out.splitlines()) == ["odd [names] #1/a & b.txt", "tide.py", "tides.md"]

    def test_markdown_links_and_marks(self, searchkit, notes, folder):
        out = searchkit("search", "distilled run", "-i", notes, "-o", "markdown").out
        place = f"{folder}/lab/autoclave.md"
        assert out.startswith(f"1. [Autoclave](<file://{place}>) `{place}:3`\n   > ")
        assert r"\***distilled**\* water, each [**run**\](x)." in out
        out = searchkit("search", "sheep", "-i", notes, "-o", "markdown").out
        assert "](<file:///" in out and "odd%20%5Bnames%5D%20%231/a%20%26%20b.txt>)" in out

    def test_trec_is_a_run(self, searchkit, notes, tmp_path):
        file = tmp_path / "queries.tsv"
        file.write_text("q1\tferry\nq2\tzebra\n")
        done = searchkit("search", "--queries", file, "-i", notes, "-o", "trec")
        (tmp_path / "run").write_text(done.out)
        run = read_run(tmp_path / "run")
        assert list(run) == ["q1"]
        assert {hit.doc_id for hit in run["q1"]} == {
            "tides.md",
            "tide.py",
            "odd%20[names]%20#1%2Fa%20&%20b.txt",
        }

    @pytest.mark.parametrize(
        ("output", "expected"),
        [
            ("table", "nothing found\n"),
            ("json", "[]\n"),
            ("jsonl", ""),
            ("paths", ""),
            ("markdown", "Nothing found.\n"),
            ("trec", ""),
        ],
    )
    def test_nothing_found_is_said_in_the_form_asked_for(self, searchkit, notes, output, expected):
        done = searchkit("search", "zebra", "-i", notes, "-o", output)
        assert (done.code, done.out, done.err) == (0, expected, "")

    def test_paths_and_markdown_of_a_collection_name_documents(self, searchkit, index):
        assert searchkit("search", "island", "-i", index, "-o", "paths").out == "d4\n"
        assert searchkit("search", "island", "-i", index, "-o", "markdown").out == (
            "1. Ferry `d4`\n   > On Sundays the ferry to the **island** does not run.\n"
        )

    def test_several_queries_are_told_apart(self, searchkit, notes, tmp_path):
        file = tmp_path / "queries.txt"
        file.write_text("sheep\nzebra\n")
        out = searchkit("search", "--queries", file, "-i", notes, "-o", "markdown").out
        assert out.startswith("## sheep\n\n1. ")
        assert out.endswith("\n\n## zebra\n\nNothing found.\n")

    def test_links_and_colours_are_for_terminals(self, process, notes, home, folder):
        command = ["search", "distilled", "-i", notes]
        piped = process(*command).stdout
        assert b"\x1b" not in piped
        shown = process(*command, FORCE_COLOR="1", TERM="xterm-256color").stdout.decode()
        assert f"file://{folder}/lab/autoclave.md\x1b\\" in shown
        assert "\x1b[1;32m" in shown  # bold green
        plain = process(
            *command, FORCE_COLOR="1", NO_COLOR="1", TERM="xterm-256color"
        ).stdout.decode()
        assert "\x1b[1;32m" not in plain and "\x1b[1;7m" in plain  # bold and reversed


class TestExplain:
    def test_names_lists_ranks_scores_and_shares(self, searchkit, notes):
        command = ["search", "ferry", "-i", notes, "--mode", "hybrid", "--explain"]
        done = searchkit(*command, "-o", "json")
        assert done.err == (
            "note: hybrid search of bm25 and mean-causal; Reciprocal rank fusion: 1 / (constant + "
            "rank), summed over the rankings a document is in\n"
        )
        for record in json.loads(done.out):
            assert sum(one["share"] for one in record["lists"]) == pytest.approx(record["score"])
            for one in record["lists"]:
                assert one["share"] == 1 / (60 + one["rank"])
        first = json.loads(done.out)[0]["lists"][0]
        table = searchkit(*command).out
        assert (
            f"{first['name']}: rank {first['rank']}, score {first['score']:.4f}, "
            f"gives {first['share']:.4f}\n"
        ) in "".join(f"{line.strip()}\n" for line in table.splitlines())

    def test_is_short_where_one_list_decides(self, searchkit, notes):
        done = searchkit("search", "autoclave", "-i", notes, "--explain")
        assert done.err == "note: bm25 search\n"
        (line,) = [line.strip() for line in done.out.splitlines() if "bm25" in line]
        assert line.startswith("bm25: rank 1, score ") and "gives" not in line
        done = searchkit("search", "autoclave", "-i", notes, "--explain", "--mode", "dense")
        assert done.err == "note: dense search of the vectors of mean-causal\n"


class TestWeights:
    COMMAND = ("search", "ferry", "--mode", "hybrid", "--fusion", "weighted", "-o", "jsonl")

    def test_are_equal_until_enough_is_judged(self, searchkit, notes):
        ledger_of("notes").add("ferry", "tides.md", 1)
        done = searchkit(*self.COMMAND, "-i", notes)
        assert (done.code, done.err) == (
            0,
            "note: bm25 and mean-causal weigh the same: 1 judged queries have something relevant, "
            "and tuning needs 10; judge some with --judge\n",
        )
        scores = [json.loads(line)["score"] for line in done.out.splitlines()]
        assert max(scores) <= 1 and scores == sorted(scores, reverse=True)

    def test_go_to_the_list_that_is_right(self, searchkit, notes, home):
        searcher = open_searcher(home / "indexes" / notes)
        words = "distilled sheep cliffs hafen sturm autoclave graze wetter ferry hours sundays"
        for word in words.split():  # what the vectors put first is right, and nothing else
            (best,) = searcher.search(word, 1, mode="dense")
            ledger_of("notes").add(word, best.doc_id, 1)
        done = searchkit(*self.COMMAND, "-i", notes)
        assert done.code == 0
        said = re.fullmatch(
            r"note: weights bm25 ([\d.]+), mean-causal ([\d.]+), tuned on 11 judged queries; on "
            r"held-out ones nDCG@10 is ([\d.]+), and ([\d.]+) with rrf\n",
            done.err,
        )
        words, dense, held_out, rrf = map(float, said.groups())
        assert words + dense == 1 and dense > 0.5
        assert held_out > rrf
        (best,) = searcher.search("ferry", 1, mode="dense")
        assert json.loads(done.out.splitlines()[0])["doc_id"] == best.doc_id

    def test_are_tuned_on_what_cannot_be_read_as_well(self, searchkit, notes):
        for number in range(10):
            ledger_of("notes").add(f'ferry "{number}', "tides.md", 1)
        done = searchkit(*self.COMMAND, "-i", notes)
        assert "tuned on 10 judged queries" in done.err

    def test_are_tuned_anew_when_something_is_judged(self, searchkit, notes, home):
        for number in range(10):
            ledger_of("notes").add(f"ferry {number}", "tides.md", 1)
        first = searchkit(*self.COMMAND, "-i", notes)
        place = home / "judgements" / "notes.weights.json"
        kept = place.read_bytes()
        assert searchkit(*self.COMMAND, "-i", notes).err == first.err
        assert place.read_bytes() == kept
        # It is read, not tuned again.
        place.write_text(json.dumps(json.loads(kept) | {"queries": 77}))
        assert "tuned on 77 judged" in searchkit(*self.COMMAND, "-i", notes).err
        ledger_of("notes").add("leaves", "tides.md", 1)
        assert "tuned on 11 judged queries" in searchkit(*self.COMMAND, "-i", notes).err
        place.write_text("{")
        assert "tuned on 11 judged queries" in searchkit(*self.COMMAND, "-i", notes).err


def test_passages_are_judged_as_their_documents(searchkit, notes, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda prompt: "1")
    done = searchkit("search", "distilled", "-i", notes, "--judge")
    assert done.code == 0
    entries = ledger_of("notes").read().entries
    assert [(one.query, one.doc_id, one.grade) for one in entries] == [
        ("distilled", "lab/autoclave.md", 1)
    ]


def test_queries_of_a_file_are_judged_as_the_words_that_they_are(
    searchkit, notes, tmp_path, monkeypatch
):
    monkeypatch.setattr("builtins.input", lambda prompt: "1")
    (tmp_path / "queries.txt").write_text("distilled -water\npath: distilled\ndistilled water\n")
    done = searchkit("search", "--queries", tmp_path / "queries.txt", "-i", notes, "--judge")
    assert done.code == 0, done.err
    typed = searchkit("search", "distilled -steam", "-i", notes, "--judge")
    assert typed.code == 0, typed.err
    entries = ledger_of("notes").read().entries
    assert [(one.query, one.literal) for one in entries] == [
        ("distilled -water", True),
        ("path: distilled", True),
        ("distilled water", False),  # words either way
        ("distilled -steam", False),
    ]


class TestErrors:
    def test_what_is_for_folders(self, refused, index, home):
        path = home / "indexes/toy"
        for option in (["--path", "x"], ["--explain"], ["--fusion", "rrf"], ["--all-passages"]):
            assert refused("search", "ferry", "-i", index, *option) == (
                f"{path} is the index of a collection, and {option[0]} is for folders; leave it out"
            )

    def test_all_passages_are_no_documents(self, refused, notes):
        message = (
            "--all-passages shows a document several times, and {} documents; leave one of them out"
        )
        command = ["search", "ferry", "-i", notes, "--all-passages"]
        assert refused(*command, "-o", "trec") == message.format("-o trec ranks")
        assert refused(*command, "--judge") == message.format("--judge asks about")

    def test_a_query_that_cannot_be_read(self, refused, notes):
        assert refused("search", '"ferry', "-i", notes) == (
            "the quote at character 1 is not closed ('\"ferry'); close it with \", or leave it out"
        )
        assert refused("search", " ", "-i", notes) == "the query is empty; type what to look for"

    def test_a_date_that_is_none(self, refused, notes):
        for option, value in (("--after", "soon"), ("--before", "2024 or so"), ("--after", "")):
            assert refused("search", "ferry", "-i", notes, option, value) == (
                f"{option} {value!r} is no date; write {option} 2024, {option} 2024-05 or "
                f"{option} 2024-05-31"
            )
        times = ["--after", "2024", "--before", "2023"]
        assert refused("search", "ferry", "-i", notes, *times) == (
            "--after is not earlier than --before, so no time is left; swap them"
        )

    def test_a_fusion_that_is_not_there(self, refused, notes):
        assert (
            refused("search", "ferry", "-i", notes, "--mode", "hybrid", "--fusion", "sum")
            == "no fusion is called 'sum'; there are: rrf, weighted"
        )

    def test_a_variant_that_is_not_there(self, refused, notes, home):
        assert refused("search", "ferry", "-i", notes, "--variant", "model1").startswith(
            f"{home / 'indexes/notes'} holds vectors of mean-causal, not of model1; choose one"
        )
