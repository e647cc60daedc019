"""What was searched for is there again in the next run, whole."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from searchkit.terminal import history, state
from searchkit.terminal.history import History


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "history.jsonl"


def test_queries_are_kept_by_index_the_last_at_the_end_each_once(path):
    for index, query in [("a", "one"), ("b", "other"), ("a", "two"), ("a", " one "), ("a", "")]:
        History(path).add(index, query)
    assert History(path).queries("a") == ["two", "one"]
    assert History(path).queries("b") == ["other"]
    assert History(path).last_index() == "a"


def test_before_the_first_search_there_is_nothing(path):
    assert (History(path).queries("a"), History(path).last_index()) == ([], None)


def test_only_the_last_ones_are_kept(path, monkeypatch):
    monkeypatch.setattr(history, "MOST", 3)
    for number in range(5):
        History(path).add("a", f"q{number}")
    assert History(path).queries("a") == ["q2", "q3", "q4"]


def test_a_line_that_is_none_costs_only_itself(path):
    History(path).add("a", "one")
    with path.open("a") as file:
        file.write('nonsense\n["a"]\n{"index": "a"}\n{"index": "a", "que')
    assert History(path).queries("a") == ["one"]
    History(path).add("a", "two")
    assert History(path).queries("a") == ["one", "two"]


def test_it_is_for_its_owner_alone(path):
    History(path).add("a", "private")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_views_lose_nothing_of_each_other(path):
    script = (
        "import sys; from pathlib import Path; from searchkit.terminal.history import History\n"
        "for n in range(15): History(Path(sys.argv[1])).add('a', f'{sys.argv[2]}{n}')"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", script, str(path), name]) for name in ("x", "y")
    ]
    assert [process.wait(60) for process in running] == [0, 0]
    assert sorted(History(path).queries("a")) == sorted(f"{n}{i}" for n in "xy" for i in range(15))


def test_half_a_surrogate_pair_is_no_reason_to_lose_the_rest(path):
    History(path).add("a", "one")
    History(path).add("a", "broken \ud83d")
    assert History(path).queries("a") == ["one", "broken ?"]


class TestFolder:
    def test_is_that_of_xdg(self, monkeypatch):
        monkeypatch.delenv("SEARCHKIT_HOME")
        monkeypatch.setenv("XDG_STATE_HOME", "/xdg")
        assert state.folder() == Path("/xdg/searchkit")

    def test_is_below_the_home_without_xdg(self, monkeypatch):
        monkeypatch.delenv("SEARCHKIT_HOME")
        monkeypatch.delenv("XDG_STATE_HOME", raising=False)
        monkeypatch.setenv("HOME", "/users/me")
        assert state.folder() == Path("/users/me/.local/state/searchkit")

    def test_is_in_searchkits_home_where_that_is_said(self, home):
        assert state.folder() == home / "state"
