"""Where things are kept: SEARCHKIT_HOME, else the cache folder, else beside the checkout."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from searchkit import places
from searchkit.index.store import Store

CHECKOUT = Path(__file__).parents[1]


@pytest.fixture
def installed(tmp_path):
    """The module as it lies in site-packages, with no checkout around it."""
    path = tmp_path / "site-packages" / "searchkit" / "places.py"
    path.parent.mkdir(parents=True)
    path.write_bytes(Path(places.__file__).read_bytes())
    return path


@pytest.fixture
def no_home(monkeypatch, tmp_path):
    monkeypatch.delenv("SEARCHKIT_HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    return tmp_path / "user"


def run(path):
    return SimpleNamespace(**runpy.run_path(str(path)))


def test_searchkit_home_holds_everything(home):
    assert places.home() == home
    assert places.models() == home / "models"
    assert places.indexes() == home / "indexes"
    assert places.evaluations() == home / "evaluations"


def test_searchkit_home_may_begin_with_a_tilde(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("SEARCHKIT_HOME", "~/searching")
    assert places.home() == Path("/home/ada/searching")


def test_nothing_is_made_by_asking(home, monkeypatch):
    monkeypatch.setenv("SEARCHKIT_HOME", str(home / "later"))
    places.home(), places.models(), places.indexes(), places.evaluations()
    assert list(home.iterdir()) == []


def test_a_checkout_keeps_indexes_beside_it_and_models_in_the_cache(no_home):
    assert places.indexes() == CHECKOUT / "indexes"
    assert places.evaluations() == CHECKOUT / "evaluations"
    assert places.models() == no_home / ".cache/searchkit/models"


def test_an_installed_searchkit_keeps_all_in_the_cache(no_home, installed):
    found = run(installed)
    assert found.home() == no_home / ".cache/searchkit"
    assert found.indexes() == no_home / ".cache/searchkit/indexes"
    assert found.evaluations() == no_home / ".cache/searchkit/evaluations"


def test_the_cache_is_where_xdg_says(no_home, installed, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/ada")
    assert run(installed).indexes() == Path("/var/cache/ada/searchkit/indexes")
    assert places.models() == Path("/var/cache/ada/searchkit/models")
    monkeypatch.setenv("XDG_CACHE_HOME", "")  # by the specification, empty is not set
    assert places.models() == no_home / ".cache/searchkit/models"


def test_only_a_whole_checkout_counts_as_one(no_home, installed):
    beside = installed.parents[1]
    (beside / "corpora").mkdir()  # somebody else's package of that name
    assert run(installed).indexes() == no_home / ".cache/searchkit/indexes"
    (beside / "cli.py").touch()
    assert run(installed).indexes() == beside / "indexes"


def test_searchkit_home_goes_before_the_checkout_and_empty_is_not_set(monkeypatch):
    monkeypatch.setenv("SEARCHKIT_HOME", "/srv/searchkit")
    assert places.indexes() == Path("/srv/searchkit/indexes")
    monkeypatch.setenv("SEARCHKIT_HOME", "")
    assert places.indexes() == CHECKOUT / "indexes"


def test_an_index_is_known_by_how_its_manifest_ends(home):
    own = places.indexes() / "own"
    with Store.create_or_open(own).writing() as draft:
        (draft.add("words") / "a").write_text("word")
    other = places.indexes() / "another"
    (other / "parts").mkdir(parents=True)
    (other / "manifest.json").write_text('{"name": "an extension"}')
    (places.indexes() / "empty").mkdir()
    assert places.index_names() == ["another", "own"]
    assert places.is_index(own)
    assert not places.is_index(other)
    assert not places.is_index(places.indexes() / "empty")
    assert not places.is_index(home / "nowhere")
    (own / "manifest.json").rename(own / "elsewhere.json")
    (own / "manifest.json").symlink_to("elsewhere.json")
    assert not places.is_index(own)
