"""searchkit search: one query or many, in four forms, and what is wrong in one line."""

import io
import json
import re
import shutil
import subprocess
import sys

import pytest

from searchkit.evaluate.runs import read_run
from searchkit.search.retrieve import open_retriever

KEYS = ["query_id", "rank", "doc_id", "score", "title", "snippet", "marks"]


@pytest.fixture
def retriever(index, home):
    return open_retriever(home / "indexes" / index)


@pytest.fixture
def type_in(monkeypatch):
    """Puts a text on standard input."""

    def type_(text):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text), encoding="utf-8"))

    return type_


def test_the_table_shows_rank_title_id_score_and_snippet(searchkit, index, retriever):
    (hits,) = retriever.search(["distilled water"])
    done = searchkit("search", "distilled water", "--index", index)
    assert (done.code, done.err) == (0, "")
    words = " ".join(done.out.split())
    for hit in hits:
        document = retriever.document(hit.doc_id)
        title = f"{document.title} {hit.doc_id}" if document.title else hit.doc_id
        assert f"{hit.rank} {title} {hit.score:.4f} {document.text}" in words


def test_json_is_a_list_of_hits(searchkit, index, retriever):
    (hits,) = retriever.search(["distilled water"])
    done = searchkit("search", "distilled water", "-i", index, "-o", "json")
    records = json.loads(done.out)
    assert [list(record) for record in records] == [KEYS] * len(hits)
    assert [(r["doc_id"], r["score"], r["rank"]) for r in records] == [
        (hit.doc_id, hit.score, hit.rank) for hit in hits
    ]
    for record in records:
        assert record["query_id"] == "1"
        assert {record["snippet"][a:b].lower() for a, b in record["marks"]} <= {
            "distilled",
            "water",
        }
        assert record["marks"]


def test_jsonl_is_json_a_hit_a_line(searchkit, index):
    whole = json.loads(searchkit("search", "ferry", "-i", index, "-o", "json").out)
    lines = searchkit("search", "ferry", "-i", index, "-o", "jsonl").out.splitlines()
    assert [json.loads(line) for line in lines] == whole


def test_json_is_read_as_it_was_written_in_any_language(searchkit, index):
    out = searchkit("search", "Fähre ∑", "-i", index, "-o", "jsonl").out
    assert "Généric" in out and "∑ ≥ 7" in out
    assert json.loads(out)["snippet"] == "Die Fähre fährt bei Sturm nicht, ∑ ≥ 7 Bft."


@pytest.mark.parametrize("mode", ["bm25", "dense", "hybrid"])
def test_trec_is_a_run(searchkit, index, home, tmp_path, mode):
    file = tmp_path / "queries.tsv"
    file.write_text("q7\tferry\nq2\tdistilled water\n")
    options = ["--mode", mode, "-k", "3", "-o", "trec"]
    done = searchkit("search", "--queries", file, "-i", index, *options)
    assert (done.code, done.err) == (0, "")
    (tmp_path / "run").write_text(done.out)
    run = read_run(tmp_path / "run")
    retriever = open_retriever(home / "indexes" / index, mode)
    expected = retriever.search(["ferry", "distilled water"], 3)
    assert list(run) == ["q7", "q2"]
    for mine, theirs in zip(run.values(), expected, strict=True):
        assert [hit.doc_id for hit in mine] == [hit.doc_id for hit in theirs]
    tags = {line.split()[5] for line in done.out.splitlines()}
    assert tags == {"bm25" if mode == "bm25" else "mean-causal"}


def test_k_is_how_many_are_shown(searchkit, index):
    for k in (1, 3, 8):
        options = ["--mode", "dense", "-k", k, "-o", "jsonl"]
        out = searchkit("search", "ferry", "-i", index, *options).out
        assert len(out.splitlines()) == k
    default = searchkit("search", "ferry", "-i", index, "--mode", "dense", "-o", "jsonl").out
    assert len(default.splitlines()) == 8


def test_a_query_that_finds_nothing_says_so_in_the_form_asked_for(searchkit, index):
    found = {
        output: searchkit("search", "zebra", "-i", index, "-o", output)
        for output in ("table", "json", "jsonl", "trec")
    }
    assert {name: (done.code, done.err) for name, done in found.items()} == dict.fromkeys(
        found, (0, "")
    )
    assert found["table"].out == "nothing found\n"
    assert json.loads(found["json"].out) == []
    assert found["jsonl"].out == found["trec"].out == ""


FILES = {
    "topics.txt": "<top>\n<num> Number: 7\n<title> ferry\n</top>\n<top>\n<num> 8\n<title>water"
    "\n</top>\n",
    "queries.jsonl": '{"_id": "7", "text": "ferry"}\n{"_id": "8", "text": "water"}\n',
    "queries.tsv": "7\tferry\n8\twater\n",
    "plain.txt": "ferry\nwater\n",
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("typed", [True, False])
def test_queries_come_from_a_file_or_are_typed(
    searchkit, index, retriever, tmp_path, type_in, name, typed
):
    (tmp_path / name).write_text(FILES[name])
    type_in(FILES[name].encode())
    source = ["-"] if typed else ["--queries", tmp_path / name]
    done = searchkit("search", *source, "-i", index, "-o", "jsonl")
    assert done.code == 0, done.err
    found = [(r["query_id"], r["doc_id"]) for r in map(json.loads, done.out.splitlines())]
    ids = ["1", "2"] if name == "plain.txt" else ["7", "8"]
    rankings = retriever.search(["ferry", "water"])
    assert found == [(i, hit.doc_id) for i, hits in zip(ids, rankings, strict=True) for hit in hits]
    assert len(found) == 5


def test_a_table_of_several_queries_names_each(searchkit, index, type_in):
    type_in(b"ferry\nzebra\n")
    out = searchkit("search", "-", "-i", index, "-k", "1").out
    blocks = re.split(r"^(?=\d  \w)", out, flags=re.MULTILINE)[1:]
    assert [block.splitlines()[0].strip() for block in blocks] == ["1  ferry", "2  zebra"]
    assert "Ferry  d4" in blocks[0]
    assert "nothing found" in blocks[1]


def test_a_document_of_a_title_alone_takes_one_line(searchkit, write_collection):
    folder = write_collection(documents=[("a", "Ferry", ""), ("b", "", "A ferry.")], name="titles")
    assert searchkit("index", folder).code == 0
    out = searchkit("search", "ferry", "-i", "titles").out
    assert len(out.splitlines()) == 3


def test_an_index_is_found_by_name_or_path_from_anywhere(
    searchkit, index, home, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    outputs = {
        searchkit("search", "ferry", "-i", where, "-o", "jsonl").out
        for where in ("toy", home / "indexes/toy")
    }
    monkeypatch.chdir(home / "indexes")
    outputs.add(searchkit("search", "ferry", "-i", "./toy", "-o", "jsonl").out)
    assert len(outputs) == 1 and outputs != {""}


def test_a_base_that_was_named_from_elsewhere_is_found(
    searchkit, toy, tiny_model, tmp_path, monkeypatch
):
    shutil.copytree(tiny_model("llama"), tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    options = ["--base", "./base", "--dtype", "float32", "--max-tokens", "24"]
    assert searchkit("index", toy, "--variant", "mean-causal", *options).code == 0
    monkeypatch.chdir("/")
    done = searchkit("search", "ferry", "-i", "toy", "--mode", "dense")
    assert (done.code, done.err) == (0, "")


class TestErrors:
    def test_one_query_one_file_or_standard_input(self, refused, index, tmp_path):
        message = "give one query, or - for those on stdin, or a file with --queries"
        assert refused("search", "-i", index) == message
        assert refused("search", "ferry", "--queries", tmp_path / "q", "-i", index) == message

    def test_an_unknown_index_is_named_beside_those_there_are(self, refused, index, home):
        shutil.copytree(home / "indexes/toy", home / "indexes/another")
        assert refused("search", "ferry", "-i", "tyo") == (
            "no index 'tyo'; there are: another, toy; build one with: "
            "searchkit index FOLDER --name tyo"
        )

    def test_an_empty_query(self, refused, index):
        assert refused("search", "", "-i", index) == "query 1 is empty; type what to look for"

    def test_empty_standard_input(self, refused, index, type_in):
        type_in(b"\n\n")
        assert refused("search", "-", "-i", index) == (
            "standard input holds no queries; write one a line"
        )

    def test_standard_input_that_is_not_text(self, refused, index, type_in):
        type_in(b"ferry\nf\xe4hre\n")
        assert refused("search", "-", "-i", index) == (
            "standard input has the byte 0xe4, which is not UTF-8; convert it, for example with "
            "iconv -f latin1 -t utf-8"
        )

    def test_a_file_that_is_not_there(self, refused, index):
        assert refused("search", "--queries", "nope.tsv", "-i", index) == (
            "cannot read nope.tsv: No such file or directory"
        )

    def test_a_line_that_is_not_a_query(self, refused, index, tmp_path):
        file = tmp_path / "queries.tsv"
        file.write_text("q1\tferry\nwater\n")
        assert refused("search", "--queries", file, "-i", index).startswith(f"{file}:2: found")

    def test_vectors_that_are_not_there(self, refused, index, home):
        path = home / "indexes/toy"
        assert refused("search", "ferry", "-i", index, "--variant", "mean-bidirectional") == (
            f"{path} was built by mean-causal, not mean-bidirectional; choose one of them, or add "
            "it with: searchkit index ... --variant mean-bidirectional"
        )
        assert refused("search", "ferry", "-i", index, "--vector-index", "hnsw").startswith(
            f"{path} has no vector index 'hnsw' over mean-causal; there are: flat; build one of "
        )

    def test_a_damaged_file(self, refused, index, home):
        (file,) = home.glob("indexes/toy/parts/bm25-*/scores.npy")
        file.write_bytes(file.read_bytes()[:-1])
        assert re.fullmatch(
            rf"{file} has \d+ bytes, not the \d+ that were written; build it again with: "
            "searchkit index",
            refused("search", "ferry", "-i", index),
        )

    def test_a_damaged_manifest(self, refused, index, home):
        file = home / "indexes/toy/manifest.json"
        file.write_text(file.read_text().replace('"documents": 8', '"documents": 9'))
        assert refused("search", "ferry", "-i", index).startswith(f"{file} has the BLAKE3 hash")

    def test_an_id_that_no_run_can_hold(self, refused, searchkit, write_collection):
        folder = write_collection(documents=[("a b", "", "A ferry.")], name="spaces")
        assert searchkit("index", folder).code == 0
        assert refused("search", "ferry", "-i", "spaces", "-o", "trec") == (
            "document id 'a b' cannot stand in a TREC run, whose columns end at white space; give "
            "it a name of one word"
        )
        assert searchkit("search", "ferry", "-i", "spaces", "-o", "jsonl").code == 0


@pytest.mark.parametrize("output", ["table", "json", "jsonl", "trec"])
def test_a_reader_that_has_seen_enough_ends_the_search_quietly(
    searchkit, write_collection, tmp_path, output
):
    documents = [(f"document-{i}", "A title", "ferry " * 30) for i in range(300)]
    assert searchkit("index", write_collection(documents=documents, name="many")).code == 0
    (tmp_path / "queries.txt").write_text("ferry\n" * 30)
    command = [sys.executable, "-m", "searchkit", "search", "-i", "many", "-k", "300"]
    command += ["--queries", str(tmp_path / "queries.txt"), "-o", output]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline()  # more than a megabyte is to come, as with `| head -1`
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 0
