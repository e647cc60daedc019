"""searchkit search --judge: what is typed below a ranking is in the ledger, and nothing else is."""

import io
import json

import pytest

from searchkit.search.judging import ledger_of
from searchkit.search.retrieve import open_retriever


@pytest.fixture
def type_in(monkeypatch):
    """Puts lines on standard input, as bytes or text."""

    def type_(*lines, end="\n"):
        content = b"".join(
            line if isinstance(line, bytes) else (line + end).encode() for line in lines
        )
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))

    return type_


@pytest.fixture
def ranked(index, home):
    """The ids that BM25 ranks for a query, best first."""
    retriever = open_retriever(home / "indexes" / index, "bm25")
    return lambda query: [hit.doc_id for hit in retriever.search([query])[0]]


def judged(name="toy"):
    return [(one.query, one.doc_id, one.grade) for one in ledger_of(name).read().entries]


def test_answers_are_in_the_ledger_below_the_table(searchkit, index, home, type_in, ranked):
    first, second, *_ = ranked("distilled water")
    type_in("2:2 1")
    done = searchkit("search", "distilled  water", "--index", index, "--judge")
    assert done.code == 0, done.err
    path = home / "judgements" / "toy.jsonl"
    assert done.err == f"note: judgements kept in {path}: 2\n"
    table = searchkit("search", "distilled water", "--index", index).out
    assert done.out.startswith(table)
    assert done.out.removeprefix(table).startswith("\nrelevant (ranks as in 1 3, with grades as ")
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert lines == [
        {"query": "distilled water", "doc_id": second, "grade": 2},
        {"query": "distilled water", "doc_id": first, "grade": 1},
    ]


def test_the_index_of_a_collection_is_asked_words_alone(searchkit, index, type_in):
    type_in("1")
    assert searchkit("search", "ferry -sheep", "-i", index, "--judge").code == 0
    (entry,) = ledger_of("toy").read().entries
    assert (entry.query, entry.literal) == ("ferry -sheep", True)


def test_none_judges_all_that_were_shown(searchkit, index, type_in, ranked):
    type_in("none")
    assert searchkit("search", "ferry", "-i", index, "-k", "1", "--judge").code == 0
    assert judged() == [("ferry", ranked("ferry")[0], 0)]


def test_an_answer_that_cannot_be_read_is_asked_for_again(searchkit, index, type_in, ranked):
    type_in("first", "7", "1")
    done = searchkit("search", "ferry", "-i", index, "--judge")
    assert done.code == 0
    assert "'first' is not a rank; type ranks as in 1 3" in done.out
    assert "no document was shown at rank 7, only at 1 to 2; type" in done.out
    assert judged() == [("ferry", ranked("ferry")[0], 1)]


def test_a_later_answer_wins(searchkit, index, type_in, ranked):
    for answer in ("1", "1:3 2:0"):
        type_in(answer)
        assert searchkit("search", "ferry", "-i", index, "--judge").code == 0
    first, second = ranked("ferry")
    assert judged() == [("ferry", first, 3), ("ferry", second, 0)]
    assert len(ledger_of("toy").path.read_text().splitlines()) == 3


@pytest.mark.parametrize("lines", [[], [""], ["  "]])
def test_nothing_typed_and_the_end_of_input_keep_nothing(searchkit, index, home, type_in, lines):
    type_in(*lines)
    done = searchkit("search", "ferry", "-i", index, "--judge")
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith(": \n" if not lines else ": ")
    assert not (home / "judgements").exists()


def test_a_last_line_without_an_end_counts(searchkit, index, type_in):
    type_in("1", end="")
    assert searchkit("search", "ferry", "-i", index, "--judge").code == 0
    assert len(judged()) == 1


def test_a_query_that_finds_nothing_is_not_asked_about(searchkit, index, type_in):
    type_in("1")
    done = searchkit("search", "zebra", "-i", index, "--judge")
    assert (done.code, done.out, done.err) == (0, "nothing found\n", "")


class TestSeveralQueries:
    @pytest.fixture
    def file(self, tmp_path):
        path = tmp_path / "queries.tsv"
        path.write_text("a\tferry\nb\tzebra\nc\tdistilled water\n")
        return path

    def test_are_named_and_asked_about_one_after_the_other(
        self, searchkit, index, type_in, file, ranked
    ):
        type_in("1", "2")
        done = searchkit("search", "--queries", file, "-i", index, "--judge")
        assert done.code == 0, done.err
        places = [done.out.index(name) for name in ("a  ferry", "b  zebra", "c  distilled water")]
        assert places == sorted(places)
        assert done.out.count("relevant (") == 2
        assert judged() == [
            ("ferry", ranked("ferry")[0], 1),
            ("distilled water", ranked("distilled water")[1], 1),
        ]

    def test_end_with_the_input(self, searchkit, index, type_in, file):
        """What was answered before is kept; what nobody can answer is not shown."""
        type_in()
        done = searchkit("search", "--queries", file, "-i", index, "--judge")
        assert done.code == 0
        assert "a  ferry" in done.out and "c  distilled water" not in done.out

    def test_can_be_skipped(self, searchkit, index, type_in, file, ranked):
        type_in("", "1")
        assert searchkit("search", "--queries", file, "-i", index, "--judge").code == 0
        assert judged() == [("distilled water", ranked("distilled water")[0], 1)]


def test_each_index_has_a_ledger_by_its_name_however_it_is_named(searchkit, index, home, type_in):
    type_in("1")
    assert searchkit("search", "ferry", "-i", home / "indexes" / index, "--judge").code == 0
    assert len(judged("toy")) == 1


class TestRefusals:
    MESSAGE = "--judge asks on the terminal, below a table; leave out -o and - for stdin"

    @pytest.mark.parametrize(
        "options", [["-", "--judge"], ["ferry", "--judge", "-o", "json"]], ids=str
    )
    def test_of_what_leaves_no_room_for_questions(self, refused, index, home, type_in, options):
        type_in("ferry")
        assert refused("search", *options, "-i", index) == self.MESSAGE
        assert not (home / "judgements").exists()

    def test_of_answers_that_are_not_text(self, searchkit, index, home, type_in):
        type_in(b"f\xe4hre\n", "1")
        done = searchkit("search", "ferry", "-i", index, "--judge")
        assert done.code == 1
        assert done.err == (
            "searchkit: standard input has the byte 0xe4, which is not UTF-8; convert it, for "
            "example with iconv -f latin1 -t utf-8\n"
        )
        assert not (home / "judgements").exists()

    def test_of_a_name_that_cannot_be_that_of_a_ledger(self, refused, index, home, type_in):
        type_in("1")
        hidden = (home / "indexes" / index).rename(home / "indexes" / ".hidden")
        assert refused("search", "ferry", "-i", hidden, "--judge") == (
            "'.hidden' cannot name a ledger; give the plain name of an index"
        )
