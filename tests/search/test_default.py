"""A default is what a search takes that does not say otherwise, for as long as the corpus stays."""

import shutil

import pytest

from searchkit.commands.app import main
from searchkit.errors import SearchkitError, UnknownName
from searchkit.index.store import Store
from searchkit.search import contents
from searchkit.search.build import Plan, build_index
from searchkit.search.default import default_of, set_default
from searchkit.search.retrieve import open_retriever

NAMES = ("mean-causal", "eos_last-bidirectional")
CHOICES = [("bm25", None), *((mode, name) for mode in ("dense", "hybrid") for name in NAMES)]


@pytest.fixture
def index(toy_index, home):
    """The toy index, with two variants, at a place where it may be changed and is found by name."""
    path = home / "indexes" / "toy"
    shutil.copytree(toy_index, path)
    return path


def searched(path, mode=None, **how):
    retriever = open_retriever(path, mode, **how)
    return retriever.mode, retriever.variant


def test_an_index_has_none_before_one_is_set(index):
    assert default_of(Store.open(index)) is None
    assert searched(index) == ("bm25", None)


@pytest.mark.parametrize(("mode", "variant"), CHOICES)
def test_a_search_that_says_nothing_takes_it(index, mode, variant):
    set_default(Store.open(index), mode, variant)
    assert default_of(Store.open(index)) == {"mode": mode, "variant": variant}
    assert searched(index) == (mode, variant)
    expected = open_retriever(index, mode, variant=variant).search(["ferry"])
    assert open_retriever(index).search(["ferry"]) == expected


def test_a_search_that_says_something_does_not(index):
    set_default(Store.open(index), "hybrid", NAMES[1])
    assert searched(index, "bm25") == ("bm25", None)
    assert searched(index, "dense", variant=NAMES[0]) == ("dense", NAMES[0])
    # What the default says of one variant does not hold for another.
    assert searched(index, variant=NAMES[0]) == ("dense", NAMES[0])
    assert searched(index, variant=NAMES[0], vector_index="hnsw") == ("dense", NAMES[0])


def test_another_mode_searches_the_same_vectors(index):
    set_default(Store.open(index), "hybrid", NAMES[1])
    assert searched(index, "dense") == ("dense", NAMES[1])
    assert searched(index, vector_index="hnsw") == ("dense", NAMES[1])


def test_the_last_one_holds(index):
    for mode, variant in CHOICES:
        set_default(Store.open(index), mode, variant)
        assert default_of(Store.open(index)) == {"mode": mode, "variant": variant}


def test_all_else_stays(index):
    before = Store.open(index)
    names, facts = before.names(), contents.encoders(before)
    store = Store.open(index)
    set_default(store, "dense", NAMES[0])
    assert default_of(store) == {"mode": "dense", "variant": NAMES[0]}
    assert contents.encoders(store) == facts
    assert [name for name in store.names() if name != "default"] == names
    for name in store.names():
        store.part(name)  # checks its files


def test_it_outlives_what_is_added(index, write_corpus, tiny):
    set_default(Store.open(index), "hybrid", NAMES[0])
    build_index(index, write_corpus(), Plan(variants=tiny("weighted_mean-causal"), dtype="float32"))
    assert searched(index) == ("hybrid", NAMES[0])


def test_it_goes_when_the_corpus_is_replaced(index, write_corpus, tiny):
    set_default(Store.open(index), "hybrid", NAMES[0])
    other = write_corpus([("d1", "", "Another ferry.")], name="other")
    plan = Plan(variants=tiny(NAMES[0]), dtype="float32", replace=True)
    build_index(index, other, plan)
    assert default_of(Store.open(index)) is None
    assert searched(index) == ("bm25", None)


def test_vectors_that_are_not_there_are_refused(index):
    set_default(Store.open(index), "dense", NAMES[0])
    with pytest.raises(UnknownName) as caught:
        set_default(Store.open(index), "dense", "mean-bidirectional")
    assert str(caught.value) == (
        f"{index} holds no vectors of 'mean-bidirectional'; there are: eos_last-bidirectional, "
        "mean-causal; add them with searchkit index, and pick again"
    )
    assert searched(index) == ("dense", NAMES[0])


def test_vectors_that_went_since_the_store_was_opened_are_refused(index, write_corpus):
    store = Store.open(index)
    build_index(index, write_corpus([("a", "", "Ferry.")], name="other"), Plan(replace=True))
    with pytest.raises(UnknownName, match="holds no vectors of 'mean-causal'; there are: none;"):
        set_default(store, "dense", NAMES[0])
    assert default_of(Store.open(index)) is None


@pytest.mark.parametrize(
    ("mode", "variant"), [("bm25", NAMES[0]), ("dense", None), ("hybrid", None), ("fast", NAMES[0])]
)
def test_what_no_search_could_do_is_refused(index, mode, variant):
    with pytest.raises(ValueError, match=f"no index can be searched with '{mode}'"):
        set_default(Store.open(index), mode, variant)
    assert default_of(Store.open(index)) is None


def test_an_index_that_is_being_written_is_left_alone(index):
    with Store.open(index).writing(), pytest.raises(SearchkitError, match="is being written by"):
        set_default(Store.open(index), "dense", NAMES[0])
    assert default_of(Store.open(index)) is None


@pytest.mark.parametrize(
    ("mode", "variant", "said"),
    [("bm25", None, "bm25"), ("hybrid", "mean-causal", "hybrid mean-causal")],
)
def test_status_shows_it_and_search_takes_it(index, capsys, mode, variant, said):
    line = f"searched with {said} unless a search says otherwise"
    assert main(["status", "toy"]) == 0
    assert "unless" not in capsys.readouterr().out
    set_default(Store.open(index), mode, variant)
    assert main(["status", "toy"]) == 0
    assert line in capsys.readouterr().out.splitlines()

    def found(*options):
        assert main(["search", "ferry", "--index", "toy", "--output", "trec", *options]) == 0
        return capsys.readouterr().out

    named = ["--variant", variant] if variant else []
    assert found() == found("--mode", mode, *named)
    assert found() != found("--mode", "dense", "--variant", "eos_last-bidirectional")
