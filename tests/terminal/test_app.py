"""The view as a person uses it: keys go in, and the screen is read."""

import gc
import io
import json
import re
import threading
import weakref
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from searchkit.errors import CorruptFile, UnknownName
from searchkit.search.judging import Ledger
from searchkit.search.source import System
from searchkit.terminal.history import History
from searchkit.terminal.page import Page, help_text
from searchkit.terminal.picker import Picker

from .conftest import Shelf

DENSE = System("dense", "letters")
NO_EDITOR = {"EDITOR": "no-such-editor"}
WATER = [  # what BM25 and letters fused rank for "distilled water"
    "lab/autoclave.md",
    "lab/cold-store.md",
    "boats/ferry.md",
    "house/water.md",
    "house/leave.md",
]


class TestTyping:
    def test_finds_while_letters_come(self, drive):
        async def script(driver):
            await driver.press(*"ferry")
            await driver.until(lambda: driver.keys() == ["boats/ferry.md"])
            assert "The ferry leaves two hours before high water." in driver.screen
            assert "shelf › ferry" in driver.lines[0]
            await driver.press("backspace", "backspace", "backspace", "backspace", "backspace")
            assert driver.keys() == []
            assert "6 documents. Type what you are looking for." in driver.screen

        drive(script)

    def test_shows_words_at_once_and_fuses_vectors_when_they_are_there(self, drive, shelf):
        shelf.open.clear()

        async def script(driver):
            await driver.type("distilled water")
            await driver.until(lambda: driver.keys())
            assert "4 by words, vectors to come" in driver.lines[1]
            assert driver.keys() == WATER[:4]
            shelf.open.set()
            await driver.until(lambda: "5 found" in driver.lines[1])
            assert driver.keys() == WATER

        drive(script, shelf)

    def test_says_what_a_query_lacks_and_keeps_what_was_found(self, drive):
        async def script(driver):
            await driver.search("ferry")
            await driver.type('ferry "open')
            await driver.until(lambda: "a quote has no end; close it" in driver.status)
            assert driver.keys() == ["boats/ferry.md"]
            assert "no answer" in driver.lines[1]
            await driver.search("ferry")
            assert "quote" not in driver.status

        drive(script)

    def test_a_slash_is_a_letter_of_the_query_and_in_the_results_the_way_to_another(self, drive):
        async def script(driver):
            await driver.press(*"a/b")
            assert driver.view.query_text == "a/b"
            await driver.press("escape", "slash", "c")
            assert driver.view.query_text == "c"
            await driver.press("escape", "escape", "d")
            assert driver.view.query_text == "cd"

        drive(script)

    def test_results_of_an_earlier_query_look_so_once_the_answer_is_late(self, drive, shelf):
        def styles(driver, text):
            strips = driver.view.screen._compositor.render_strips()
            return {one.style.color for strip in strips for one in strip if text in one.text}

        async def script(driver):
            await driver.search("ferry")
            bright = styles(driver, "Ferry to the island")
            shelf.words_open.clear()
            await driver.type("distilled water")
            await driver.until(lambda: " … ─" in driver.lines[1])
            assert driver.keys() == ["boats/ferry.md"]
            assert styles(driver, "Ferry to the island") != bright
            shelf.words_open.set()
            await driver.search("distilled water")
            await driver.search("ferry")
            assert styles(driver, "Ferry to the island") == bright

        drive(script, shelf)

    def test_vectors_that_cannot_be_had_are_not_waited_for(self, drive, shelf):
        def gone(query, variant, k=1000):
            if query != "ferry":
                raise UnknownName("the model is gone")
            return Shelf.dense(shelf, query, variant, k)

        shelf.dense = gone

        async def script(driver):
            driver.view.comparison.systems = [System("hybrid", "letters"), DENSE]
            await driver.press("escape", "s")
            await driver.search("ferry")
            await driver.type("distilled water")
            await driver.until(lambda: "the model is gone" in driver.status)
            assert "4 by words, no vectors" in driver.lines[1]
            assert "no answer" in driver.lines[1]
            assert driver.keys(0) == WATER[:4]
            assert driver.keys(1) == []
            assert "the model is gone" in driver.lines[2]

        drive(script, shelf, size=(140, 40))

    def test_of_what_is_not_there_says_so(self, drive):
        async def script(driver):
            await driver.search("zebra")
            assert "Nothing found." in driver.screen
            assert "0 found" in driver.lines[1]

        drive(script)


class TestSelection:
    """Nothing moves under the cursor when a better ranking comes."""

    @pytest.fixture
    def late(self):
        """A shelf whose vectors come when they may, and hold one file alone: rain in tanks."""
        shelf = Shelf()
        shelf.open.clear()
        found = shelf.words("rain tanks")
        shelf.dense = lambda query, variant, k: shelf.open.wait(20) and found
        return shelf

    def test_what_was_moved_to_stays_in_place(self, drive, late):
        async def script(driver):
            await driver.type("distilled water")
            await driver.until(lambda: driver.keys() == WATER[:4])
            await driver.press("down")
            place = [n for n, line in enumerate(driver.lines) if line.startswith("▌")]
            late.open.set()
            await driver.until(lambda: "found" in driver.lines[1])
            assert driver.selected == "lab/cold-store.md"
            assert [n for n, line in enumerate(driver.lines) if line.startswith("▌")] == place
            assert driver.keys() == ["house/water.md", "lab/cold-store.md", WATER[0], WATER[2]]

        drive(script, late)

    def test_it_shows_its_true_rank_and_home_puts_all_in_order(self, drive, late):
        async def script(driver):
            await driver.type("distilled water")
            await driver.until(lambda: driver.keys() == WATER[:4])
            await driver.press("down", "down", "down")
            late.open.set()
            await driver.until(lambda: "found" in driver.lines[1])
            ranks = [result.rank for result in driver.view.active.results.results]
            assert ranks == [2, 3, 4, 1]
            assert driver.selected == "house/water.md"
            assert "stays in place, Home gives rank order" in driver.status
            await driver.press("home")
            assert driver.keys() == ["house/water.md", *WATER[:3]]
            assert driver.selected == "house/water.md"
            assert "Home" not in driver.status

        drive(script, late)

    def test_an_untouched_list_takes_the_better_ranking_if_it_comes_soon(self, drive, late):
        async def script(driver):
            await driver.type("distilled water")
            await driver.until(lambda: driver.keys() == WATER[:4])
            late.open.set()
            await driver.until(lambda: "found" in driver.lines[1])
            assert driver.keys() == ["house/water.md", *WATER[:3]]
            assert driver.selected == "house/water.md"

        drive(script, late, settle=60.0)

    def test_a_list_that_was_read_already_keeps_its_first_result(self, drive, late):
        async def script(driver):
            await driver.type("distilled water")
            await driver.until(lambda: driver.keys() == WATER[:4])
            late.open.set()
            await driver.until(lambda: "found" in driver.lines[1])
            assert driver.selected == "lab/autoclave.md"
            assert driver.keys() == ["lab/autoclave.md", "house/water.md", *WATER[1:3]]

        drive(script, late, settle=0.0)

    def test_a_new_query_begins_at_the_top(self, drive):
        async def script(driver):
            await driver.search("distilled water")
            await driver.press("down", "down")
            await driver.search("water")
            assert driver.view.active.results.selected == 0

        drive(script)

    def test_keys_of_the_list_move_it(self, drive):
        async def script(driver):
            await driver.search("distilled water")
            await driver.press("escape")
            moved = []
            for key in ("j", "down", "k", "end", "up", "home", "pagedown", "pageup"):
                await driver.press(key)
                moved.append(driver.view.active.results.selected)
            assert moved == [1, 2, 1, 4, 3, 0, 4, 0]
            await driver.press("up")  # from the first result back to the query
            assert driver.view.focused is driver.view.query_one("#query")

        drive(script)

    def test_the_mouse_selects_opens_and_presses_keys(self, drive):
        async def script(driver):
            await driver.search("distilled water")
            await driver.pilot.click("#left Results", offset=(10, 5))
            assert driver.view.active.results.selected == 2
            at = driver.lines[-1].index("? help")
            await driver.pilot.click("KeyLine", offset=(at, 0))
            await driver.pilot.pause()
            assert isinstance(driver.view.screen, Page)

        drive(script)


class TestPreview:
    def test_shows_the_document_at_the_passage(self, drive):
        shelf = Shelf()
        body = "".join(f"line {number} of many\n\n" for number in range(400))
        shelf.files["long.txt"] = ("Long", body + "the zebra stands here\n\n" + body)

        async def script(driver):
            await driver.search("zebra")
            await driver.until(lambda: "the zebra stands here" in driver.screen)
            (row,) = [n for n, line in enumerate(driver.lines) if "▎ the zebra" in line]
            assert row > 12
            await driver.press("tab", "tab", "home")
            assert "line 0 of many" in driver.screen
            await driver.press("p")
            assert "▎ the zebra stands here" in driver.screen

        drive(script, shelf)

    def test_goes_from_match_to_match(self, drive):
        shelf = Shelf()
        gap = "nothing\n\n" * 40
        shelf.files["z.txt"] = ("", f"zebra one\n\n{gap}zebra two\n\n{gap}zebra three\n\n{gap}")

        async def script(driver):
            await driver.search("zebra")
            await driver.until(lambda: "zebra one" in driver.screen)
            await driver.press("tab", "tab", "n")
            assert driver.view.reading.preview.has_focus
            assert "zebra two" in driver.screen
            await driver.press("n")
            assert "zebra three" in driver.screen
            await driver.press("N")
            assert "zebra two" in driver.screen

        drive(script, shelf)

    def test_has_the_screen_to_itself_when_asked(self, drive, tmp_path):
        async def script(driver):
            await driver.search("ferry")
            for keys in (["z"], ["escape"], ["slash"], ["ctrl+r", *"sea", "enter"]):
                driver.view.field.focus()
                await driver.press("escape", "z")
                assert driver.view.reading.preview.size.height > 15
                await driver.press(*keys)
                assert driver.view.reading.preview.size.height < 12

        History(tmp_path / "history.jsonl").add("shelf", "sea")
        drive(script)

    def test_shows_what_was_written_meanwhile_at_the_same_place(self, drive, shelf):
        async def script(driver):
            await driver.search("ferry")
            await driver.until(lambda: "two hours before" in driver.screen)
            shelf.files["boats/ferry.md"] = ("Ferry", "The ferry was sold last year.\n")
            driver.view._ask()
            await driver.until(lambda: driver.screen.count("sold last year") == 2)
            assert "two hours before" not in driver.screen

        drive(script, shelf)

    def test_shows_what_answers_best_in_the_newest_ranking(self, drive, shelf):
        async def script(driver):
            await driver.search("ferry")
            (result,) = driver.view.active.results.results
            view = driver.view
            view.reading.show(shelf, "ferry", replace(result, rank=3, best=(4, 9)))
            await driver.until(lambda: view.reading.preview.excerpt.best == (4, 9))

        drive(script, shelf)

    def test_shows_no_text_below_the_name_of_another(self, drive, shelf):
        gate, fetched, text = threading.Event(), [], shelf.text

        def slow(doc_id):
            fetched.append(doc_id)
            if doc_id == "lab/cold-store.md":
                assert gate.wait(20)
            if doc_id == "boats/ferry.md" and not shelf.open.is_set():
                raise UnknownName("the ferry is gone")
            return text(doc_id)

        shelf.text = slow

        async def script(driver):
            place, preview = driver.view.reading.heading, driver.view.reading.preview
            await driver.search("distilled water")
            await driver.until(lambda: place.what.startswith("lab/autoclave.md"))
            await driver.press("down")
            await driver.until(lambda: "lab/cold-store.md" in fetched)
            assert place.what.startswith("lab/autoclave.md")
            await driver.type("")
            gate.set()
            await driver.until(lambda: not driver.view.busy)
            assert (place.what, preview.excerpt) == ("", None)
            await driver.search("distilled water")
            shelf.open.clear()
            await driver.press("down", "down")
            await driver.until(lambda: "the ferry is gone" in driver.status)
            assert place.what.startswith("boats/ferry.md")
            assert preview.excerpt is None
            shelf.open.set()
            await driver.press("up", "down")
            await driver.until(lambda: preview.excerpt is not None)
            await driver.until(lambda: place.what.startswith("boats/ferry.md"))
            assert preview.excerpt.text == text("boats/ferry.md")

        drive(script, shelf)

    def test_a_document_cannot_command_the_terminal(self, drive):
        shelf = Shelf()
        shelf.files["evil\x1b[2J.md"] = (
            "evil \x1b]0;owned\x07",
            "ferry \x1b[31m\x9b31m\u202eisland\n",
        )

        async def script(driver):
            await driver.search("island")
            await driver.until(lambda: "�[31m" in driver.screen)
            assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", driver.screen)

        drive(script, shelf)


class TestPassages:
    @pytest.fixture
    def care(self, tmp_path):
        """A shelf with a document of which three passages have the same word."""
        parts = ["Rinse one.", "Nothing here.", "Rinse two: rinse.", "Rinse three."]
        return Shelf({"care.md": ("Care", "\n\n".join(parts) + "\n")}, folder=tmp_path)

    def test_another_one_is_chosen_and_stands_in_the_place_of_the_best(self, drive, care, tmp_path):
        async def script(driver):
            await driver.search("rinse")
            assert "care.md:5" in driver.lines[3]
            await driver.press("escape", "m")
            await driver.until(lambda: "Rinse three." in driver.screen)
            assert "Passages of Care" in driver.screen
            listed = re.findall(r"line \d|Rinse \w+", driver.screen)
            assert listed == ["line 1", "Rinse one", "line 5", "Rinse two", "line 7", "Rinse three"]
            await driver.press("down", "enter")
            result = driver.view.active.results.current
            assert (result.text, result.rank) == ("Rinse three.\n", 1)
            assert {name for name, _, _ in result.lists} == {"BM25", "letters"}
            assert "care.md:7" in driver.lines[3]
            await driver.until(lambda: driver.view.reading.heading.what == "care.md:7")
            await driver.press("y", "r")
            assert driver.view.clipboard == f"{care.folder / 'care.md'}:7"
            assert "✓ Care" in driver.screen

        drive(script, care)
        (entry,) = Ledger(tmp_path / "shelf.jsonl").read().entries
        assert (entry.query, entry.doc_id) == ("rinse", "care.md")

    def test_the_one_that_is_shown_is_in_sight_in_a_long_list(self, drive, care):
        text = "".join(f"Rinse {n}.\n\n" for n in range(30)) + "Rinse, and rinse again.\n"
        care.files["care.md"] = ("Care", text)

        async def script(driver):
            await driver.search("rinse")
            await driver.press("escape", "m")
            await driver.until(lambda: "rinse again" in driver.screen)
            assert "line 61" in driver.screen
            await driver.press("up", "enter")
            assert "care.md:59" in driver.lines[3]

        drive(script, care)

    def test_what_is_to_be_known_of_them_is_said_at_once(self, drive, care):
        found = care.passages

        def cut(query, doc_id):
            care.notes.append("care.md has more passages that match; the best are listed")
            return found(query, doc_id)

        care.passages = cut

        async def script(driver):
            await driver.search("rinse")
            await driver.press("escape", "m")
            await driver.until(lambda: "care.md has more passages" in driver.status)
            assert isinstance(driver.view.screen, Picker)

        drive(script, care)

    def test_it_stays_when_a_better_ranking_comes(self, drive, care):
        care.open.clear()

        async def script(driver):
            await driver.type("rinse")
            await driver.until(lambda: driver.keys())
            await driver.press("escape", "m")
            await driver.until(lambda: "Rinse one." in driver.screen)
            await driver.press("up", "enter")
            assert "care.md:1" in driver.lines[3]
            care.open.set()
            await driver.search("rinse")
            result = driver.view.active.results.current
            assert result.text == "Rinse one.\n\n"[:11]
            assert {name for name, _, _ in result.lists} == {"BM25", "letters"}
            await driver.search("rinse two")
            assert driver.view.active.results.current.text.startswith("Rinse two")

        drive(script, care)

    def test_there_are_none_of_whole_documents_nor_where_columns_are_hidden(self, drive):
        whole = Shelf()
        whole.whole = True

        async def script(driver):
            await driver.search("ferry")
            await driver.press("escape", "m")
            assert not isinstance(driver.view.screen, Picker)
            assert "m passages" not in driver.lines[-1]

        drive(script, whole)

        async def hidden(driver):
            await driver.search("ferry")
            await driver.press("escape")
            assert "m passages" in driver.lines[-1]
            await driver.press("s", "b")
            await driver.search("ferry", hidden=True)
            await driver.press("escape", "m")
            assert not isinstance(driver.view.screen, Picker)

        drive(hidden)


class TestComparing:
    def test_shows_two_systems_with_changes_of_rank(self, drive):
        shelf = Shelf()
        shelf.dense = lambda query, variant, k: shelf.words("rain tanks")

        async def script(driver):
            await driver.press("escape", "s")
            await driver.search("distilled water")
            assert driver.keys(0) == ["house/water.md", *WATER[:3]]  # both, fused
            assert driver.keys(1) == WATER[:4]  # BM25 alone
            assert "BM25 + letters" in driver.lines[1][:40]
            assert "─ BM25 ─" in driver.lines[1][40:]
            shown = [re.search(r"(\S+) [A-Z]", line[44:])[1] for line in driver.lines[2:10:2]]
            assert shown == ["↑1", "↑1", "↑1", "↓3"]
            await driver.press("escape", "s")
            assert "BM25 ─" not in driver.lines[1]
            assert driver.view.columns[0].size.width == 80

        drive(script, shelf)

    def test_what_is_only_in_the_right_column_is_new(self, drive):
        async def script(driver):
            driver.view.comparison.systems = [System("bm25"), System("dense", "letters")]
            await driver.press("escape", "s")
            await driver.search("distilled water")
            assert driver.view.columns[1].results.changes["house/leave.md"] is None
            assert "new Leave" in driver.screen

        drive(script)

    def test_each_column_can_be_searched_otherwise(self, drive):
        async def script(driver):
            await driver.search("distilled water")
            await driver.press("escape", "s")
            await driver.search("distilled water")
            await driver.press("escape", "tab", "v")
            assert isinstance(driver.view.screen, Picker)
            await driver.press(*"meaning by", "enter")
            assert driver.view.comparison.systems == [
                System("hybrid", "letters"),
                System("dense", "letters"),
            ]
            await driver.search("distilled water")
            by_letters = [hit.doc_id for hit in Shelf().dense("distilled water", "letters")]
            assert driver.keys(1) == by_letters
            assert "─ letters ─" in driver.lines[1][40:]

        drive(script)

    def test_a_column_given_the_system_of_the_other_one_changes_places_with_it(self, drive):
        async def script(driver):
            await driver.press("escape", "s")
            await driver.search("distilled water")
            before = driver.keys(0), driver.keys(1)
            await driver.press("escape", "tab", "v", *"fused", "enter")
            names = [driver.view.comparison.name_of(column) for column in (0, 1)]
            await driver.search("distilled water")
            assert (driver.keys(1), driver.keys(0)) == before
            assert names == ["BM25", "BM25 + letters"]
            await driver.press("escape", "b")
            await driver.search("ferry", hidden=True)
            await driver.press("escape", "less_than_sign")
            assert driver.view.comparison.tally().votes == 1

        drive(script)

    def test_an_index_of_words_alone_says_what_it_lacks(self, drive):
        async def script(driver):
            await driver.search("ferry")
            regions = [one.region for one in driver.view.reading.children]
            await driver.press("escape", "s")
            assert driver.status == (
                "this index is searched by words alone; add vectors to compare with: searchkit "
                "index ... --variant tuned"
            )
            assert [one.region for one in driver.view.reading.children] == regions
            assert not driver.view.comparison.two

        drive(script, Shelf(encoders=()))

    def test_the_twin_of_what_is_selected_is_marked_in_the_other_column(self, drive):
        async def script(driver):
            await driver.press("escape", "s")
            await driver.search("distilled water")
            await driver.press("escape", "down")
            assert driver.view.columns[1].results.twin == "lab/cold-store.md"
            assert any(line[40:].startswith("▏") for line in driver.lines)

        drive(script)


class TestJudging:
    def test_one_key_says_relevant_another_not(self, drive, tmp_path):
        async def script(driver):
            await driver.search("distilled  water path:x")
            await driver.press("escape", "r", "down", "x")
            assert "✓ Autoclave care" in driver.screen
            assert "✗ Cold store" in driver.screen
            assert "not relevant (2 judged): Cold store" in driver.status
            assert driver.view.active.results.selected == 1

        drive(script)
        lines = [json.loads(line) for line in (tmp_path / "shelf.jsonl").read_text().splitlines()]
        assert [(one["query"], one["doc_id"], one["grade"]) for one in lines] == [
            ("distilled water", "lab/autoclave.md", 1),
            ("distilled water", "lab/cold-store.md", 0),
        ]
        assert all(re.match(r"\d{4}-\d\d-\d\dT", one["when"]) for one in lines)

    def test_only_what_answers_the_query_that_is_typed_is_acted_upon(
        self, drive, tmp_path, folder_shelf
    ):
        async def script(driver):
            await driver.search("ferry")
            folder_shelf.words_open.clear()
            await driver.type("distilled water")
            await driver.press("escape")
            for key in ("r", "x", "e", "o", "y", "Y", "m", "enter"):
                await driver.press(key)
                assert driver.status == "still searching"
                driver.view.status.calm()
            assert not driver.view.clipboard
            folder_shelf.words_open.set()
            await driver.search("distilled water")
            await driver.type('distilled water "open')
            await driver.until(lambda: "a quote has no end" in driver.status)
            driver.view.status.calm()
            await driver.press("escape", "r")
            assert driver.status == "a quote has no end; close it"

        drive(script, folder_shelf, environment=NO_EDITOR)
        assert not (tmp_path / "shelf.jsonl").exists()

    def test_what_was_judged_before_is_shown_again(self, drive, tmp_path):
        Ledger(tmp_path / "shelf.jsonl").add("ferry", "boats/ferry.md", 1)

        async def script(driver):
            await driver.search("ferry")
            assert "✓ Ferry to the island" in driver.screen
            await driver.press("escape", "x")
            assert "✗ Ferry to the island" in driver.screen

        drive(script)
        (entry,) = Ledger(tmp_path / "shelf.jsonl").read().entries
        assert entry.grade == 0

    def test_filters_alone_ask_for_nothing_that_could_be_judged(self, drive, tmp_path):
        shelf = Shelf()
        shelf.words = lambda query, k: Shelf().words("ferry")

        async def script(driver):
            await driver.search("path:boats")
            await driver.press("escape", "r")
            assert "a judgement is about words" in driver.status

        drive(script, shelf)
        assert not (tmp_path / "shelf.jsonl").exists()

    def test_a_ledger_that_cannot_be_read_is_named(self, drive, tmp_path):
        (tmp_path / "shelf.jsonl").write_text("nonsense\n")

        async def script(driver):
            assert "shelf.jsonl" in driver.status

        drive(script)


class TestBlind:
    QUERIES = ("distilled water", "ferry", "sea", "tanks", "water", "store", "door", "run")

    def test_hides_which_is_which_and_shuffles_them_for_every_query(self, drive):
        async def script(driver):
            await driver.search("distilled water")
            await driver.press("escape", "s")
            await driver.search("distilled water")
            await driver.press("escape", "b")
            orders = set()
            for query in self.QUERIES:
                await driver.until(lambda: driver.view.comparison.blind)
                await driver.both(query)
                shown = driver.lines[1] + driver.status
                assert "BM25" not in shown and "letters" not in shown and "found" not in shown
                assert "left" in shown and "right" in shown
                assert driver.view.columns[1].results.changes is None
                orders.add(driver.view.comparison.column_of(query, 0))
                lengths = {len(driver.keys(0)), len(driver.keys(1))}
                assert len(lengths) == 1
            assert orders == {0, 1}

        drive(script)

    def test_a_vote_is_for_the_system_and_not_for_the_side(self, drive):
        """Whoever prefers BM25 blindly votes for it, wherever it stands."""
        shelf = Shelf()
        shelf.dense = lambda query, variant, k: list(reversed(shelf.words("water ferry sea")))

        async def script(driver):
            await driver.blind()
            for number, query in enumerate(self.QUERIES, start=1):
                await driver.both(query)
                side = driver.view.comparison.column_of(query, 1)  # where BM25 is
                await driver.press("escape", ("less_than_sign", "greater_than_sign")[side])
                if number < 8:
                    assert "not enough votes yet" in driver.status
            assert "8 votes: BM25 won against BM25 + letters (1)." in driver.status
            await driver.press("escape", "b")
            assert isinstance(driver.view.screen, Page)
            assert not driver.view.comparison.blind

        view = drive(script, shelf)
        tally = view.comparison.tally()
        assert (tally.for_first, tally.for_second, tally.ties) == (0, 8, 0)

    def test_a_tie_is_for_neither_and_the_next_query_can_be_typed_at_once(self, drive):
        async def script(driver):
            await driver.blind()
            await driver.type("ferry")
            await driver.until(lambda: driver.keys(0) and driver.keys(1))
            await driver.press("escape", "equals_sign", *"sea")
            assert driver.view.query_text == "sea"
            assert driver.view.comparison.tally().ties == 1

        drive(script)

    def test_there_is_nothing_to_vote_for_before_both_are_there(self, drive):
        shelf = Shelf()

        async def script(driver):
            await driver.blind()
            shelf.open.clear()
            await driver.type("ferry")
            await driver.press("escape", "less_than_sign")
            assert "wait until both columns are there" in driver.status
            shelf.open.set()
            assert driver.view.comparison.tally().votes == 0

        drive(script, shelf)

    def test_votes_have_no_keys_where_columns_have_names(self, drive):
        async def script(driver):
            await driver.search("ferry")
            await driver.press("escape", "less_than_sign", "t")
            assert driver.view.comparison.tally().votes == 0
            assert "better" not in driver.lines[-1]

        drive(script)


class TestHistory:
    def test_earlier_queries_come_back_and_what_was_being_typed_does_too(self, drive, tmp_path):
        for query in ("one", "two"):
            History(tmp_path / "history.jsonl").add("shelf", query)

        async def script(driver):
            await driver.press(*"fer")
            seen = []
            for key in ("ctrl+p", "ctrl+p", "ctrl+p", "ctrl+n", "ctrl+n"):
                await driver.press(key)
                seen.append(driver.view.query_text)
            assert seen == ["two", "one", "one", "two", "fer"]

        drive(script)

    def test_a_query_that_was_acted_upon_is_remembered(self, drive, tmp_path):
        async def script(driver):
            await driver.press(*"ferry")
            await driver.search("ferry")
            await driver.press("escape", "y")

        drive(script)
        assert History(tmp_path / "history.jsonl").queries("shelf") == ["ferry"]

    def test_a_list_of_them_is_narrowed_by_typing(self, drive, tmp_path):
        for query in ("ferry times", "distilled water"):
            History(tmp_path / "history.jsonl").add("shelf", query)

        async def script(driver):
            await driver.press("ctrl+r")
            assert isinstance(driver.view.screen, Picker)
            await driver.press(*"fer", "enter")
            assert driver.view.query_text == "ferry times"

        drive(script)


class TestOpening:
    def test_copies_the_place_and_the_passage(self, drive, folder_shelf):
        async def script(driver):
            await driver.search("distilled water")
            await driver.press("escape", "y")
            path = folder_shelf.folder / "lab/autoclave.md"
            assert driver.view.clipboard == f"{path}:3"
            await driver.press("Y")
            assert driver.view.clipboard.startswith("Fill the tank with distilled water.\n")

        drive(script, folder_shelf)

    def test_an_editor_that_is_not_there_is_named(self, drive, folder_shelf):
        async def script(driver):
            await driver.search("ferry")
            await driver.press("enter")
            assert "EDITOR is 'no-such-editor'" in driver.status

        drive(script, folder_shelf, environment=NO_EDITOR)

    def test_what_is_found_first_is_opened_by_an_enter_that_came_before_it(
        self, drive, folder_shelf, tmp_path
    ):
        async def script(driver):
            await driver.search("ferry")
            folder_shelf.words_open.clear()
            await driver.type("distilled water")
            await driver.press("enter")
            assert driver.status == "still searching"
            folder_shelf.words_open.set()
            await driver.until(lambda: "EDITOR is 'no-such-editor'" in driver.status)

        drive(script, folder_shelf, environment=NO_EDITOR)
        assert History(tmp_path / "history.jsonl").queries("shelf") == ["distilled water"]

    def test_an_enter_is_forgotten_when_the_query_changes(self, drive, folder_shelf):
        async def script(driver):
            folder_shelf.words_open.clear()
            await driver.type("distilled")
            await driver.press("enter")
            await driver.type("distilled water")
            folder_shelf.words_open.set()
            await driver.search("distilled water")
            assert "EDITOR" not in driver.status

        drive(script, folder_shelf, environment=NO_EDITOR)

    def test_an_index_without_files_says_so(self, drive):
        async def script(driver):
            await driver.search("ferry")
            await driver.press("enter")
            assert "it knows no files to open" in driver.status

        drive(script)


class TestHelp:
    def test_is_there_on_a_question_mark_before_and_after_typing(self, drive):
        async def script(driver):
            await driver.press("question_mark")
            assert isinstance(driver.view.screen, Page)
            await driver.press("escape")
            assert driver.lines[-1].endswith("? help ")
            await driver.press(*"how?")
            assert driver.view.query_text == "how?"
            assert driver.lines[-1].endswith("F1 help ")
            await driver.press("f1")
            assert isinstance(driver.view.screen, Page)
            await driver.press("escape")
            await driver.press("escape", "question_mark")
            assert isinstance(driver.view.screen, Page)

        drive(script)

    def test_tells_every_key_that_works_anywhere(self, drive):
        """The keys are asked of the running view, wherever the focus can be."""

        async def script(driver):
            view = driver.view
            await driver.press("escape", "s")
            await driver.search("distilled water")
            view.comparison.blind = True
            console = Console(width=200, file=io.StringIO())
            console.print(help_text(view, view.source.syntax))
            told = set(console.file.getvalue().split())
            for widget in (
                view.query_one("#query"),
                view.columns[0].results,
                view.columns[1].results,
                view.reading.preview,
            ):
                widget.focus()
                await driver.pilot.pause()
                for active in view.screen.active_bindings.values():
                    written = view.get_key_display(active.binding)
                    assert written in told, (type(widget), active.binding)

        drive(script, others=("shelf", "other"), source=Shelf(syntax="path:docs/*.md"))

    def test_reaches_its_end_at_80_columns_with_nothing_cut(self, drive):
        async def script(driver):
            await driver.press("question_mark")
            seen = driver.screen
            for _ in range(12):
                await driver.press("pagedown")
                seen += driver.screen
            assert "…" not in seen
            for words in ("judge the document relevant", "next match", "Pages such as this one"):
                assert words in seen

        drive(script)


class TestIndexes:
    def test_another_one_can_be_searched(self, drive):
        other = Shelf(
            {"cats.md": ("Cats", "The cats sleep near the ferry.\n")}, encoders=(), name="other"
        )

        async def script(driver):
            await driver.search("ferry")
            await driver.press("escape", "i", *"oth", "enter")
            await driver.until(lambda: driver.keys() == ["cats.md"])
            assert driver.lines[0].startswith(" other › ferry")
            assert "BM25 ─" in driver.lines[1]

        drive(script, others=("shelf", "other"), open_source=lambda name: other)

    def test_a_document_of_the_same_place_is_read_anew(self, drive):
        other = Shelf({"boats/ferry.md": ("Ferry", "The ferry is sold.\n")}, name="other")

        async def script(driver):
            await driver.search("ferry")
            await driver.until(lambda: "hours before high water" in driver.screen)
            await driver.press("escape", "i", *"oth", "enter")
            await driver.until(lambda: driver.screen.count("is sold.") == 2)
            assert "hours before high water" not in driver.screen

        drive(script, others=("shelf", "other"), open_source=lambda name: other)

    def test_keys_are_for_the_left_column_where_the_right_one_had_them(self, drive):
        async def script(driver):
            await driver.press("escape", "s")
            await driver.both("distilled water")
            await driver.press("escape", "tab")
            assert driver.view.focused is driver.view.columns[1].results
            await driver.press("i", *"oth", "enter")
            await driver.until(lambda: " other ›" in driver.lines[0])
            assert driver.view.focused is driver.view.columns[0].results
            await driver.search("distilled water")
            await driver.press("escape", "j", "slash", *"sea")
            assert driver.view.query_text == "sea"

        drive(script, others=("shelf", "other"), open_source=lambda name: Shelf(name=name))

    def test_the_one_that_was_left_is_let_go(self, drive):
        opened = []

        def open_source(name):
            opened.append(weakref.ref(source := Shelf(name=name)))
            return source

        def at_work():
            return [one for one in threading.enumerate() if one.name in ("words", "vectors")]

        async def script(driver):
            there = len(at_work())
            for number, name in enumerate(("other", "third", "other"), start=1):
                await driver.press("escape", "i", *name, "enter")
                await driver.until(lambda number=number: len(opened) == number)
                await driver.until(lambda name=name: f" {name} ›" in driver.lines[0])
                await driver.search("ferry")
                await driver.type("")
            await driver.until(lambda: len(at_work()) <= there)
            gc.collect()
            assert [one() is None for one in opened] == [True, True, False]
            assert not driver.view.busy

        drive(script, others=("shelf", "other", "third"), open_source=open_source)

    def test_a_model_that_still_loads_for_one_that_was_left_is_known_of(self, drive):
        shelf = Shelf()
        shelf.open.clear()

        async def script(driver):
            await driver.type("ferry")
            await driver.until(lambda: shelf.asked)
            await driver.press("escape", "i", *"oth", "enter")
            await driver.until(lambda: " other ›" in driver.lines[0])
            assert driver.view.busy
            shelf.open.set()
            await driver.until(lambda: not driver.view.busy)

        drive(script, shelf, others=("shelf", "other"), open_source=lambda name: Shelf(name=name))

    def test_keys_are_taken_while_one_opens(self, drive):
        gate = threading.Event()

        def open_source(name):
            assert gate.wait(20)
            return Shelf(name=name)

        async def script(driver):
            await driver.search("distilled water")
            await driver.press("escape", "i", *"oth", "enter")
            assert "opening other" in driver.status
            await driver.press("down")
            assert driver.selected == WATER[1]
            gate.set()
            await driver.until(lambda: " other ›" in driver.lines[0])

        drive(script, others=("shelf", "other"), open_source=open_source)

    def test_what_cannot_be_opened_is_named_and_this_one_stays(self, drive):
        def open_source(name):
            raise UnknownName(f"no index {name!r}")

        async def script(driver):
            await driver.search("ferry")
            await driver.press("escape", "i", *"oth", "enter")
            await driver.until(lambda: "no index 'other'" in driver.status)
            assert driver.keys() == ["boats/ferry.md"]

        drive(script, others=("shelf", "other"), open_source=open_source)


class TestFilters:
    def test_a_filter_is_added_to_the_query(self, drive):
        async def script(driver):
            await driver.search("ferry")
            await driver.press("escape", "f", *"mark", "enter")
            await driver.until(lambda: driver.view.query_text == "ferry format:markdown ")

        drive(script, Shelf(syntax="path:docs/*.md"))

    def test_while_they_are_counted_keys_are_for_the_list(self, drive, tmp_path):
        shelf, gate = Shelf(syntax="path:docs/*.md"), threading.Event()
        found = shelf.filters()
        shelf.filters = lambda: gate.wait(20) and found

        async def script(driver):
            await driver.search("ferry")
            await driver.press("escape", "f", *"mark", "enter")
            assert isinstance(driver.view.screen, Picker)
            gate.set()
            await driver.until(lambda: driver.view.query_text == "ferry format:markdown ")

        drive(script, shelf)
        assert not (tmp_path / "shelf.jsonl").exists()

    def test_of_an_index_that_cannot_be_read_it_is_said(self, drive):
        shelf = Shelf(syntax="path:docs/*.md")

        def torn():
            raise CorruptFile("catalogue.sqlite is torn")

        shelf.filters = torn

        async def script(driver):
            await driver.search("ferry")
            await driver.press("escape", "f")
            await driver.until(lambda: "catalogue.sqlite is torn" in driver.status)
            assert not isinstance(driver.view.screen, Picker)

        drive(script, shelf)

    def test_what_is_wrong_with_one_is_told_when_typing_rests(self, drive):
        async def script(driver):
            await driver.type("ferry path: ")
            await driver.until(lambda: "path: has no value" in driver.status)

        drive(script, Shelf(syntax="path:docs/*.md"))


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50), (40, 12)], ids=str)
@pytest.mark.parametrize("two", [False, True], ids=["one", "two"])
def test_the_screen_is_filled_without_overlap_or_a_line_too_long(drive, size, two):
    async def script(driver):
        await driver.search("distilled water")
        if two:
            await driver.press("escape", "s")
            await driver.search("distilled water")
        view = driver.view
        assert len(driver.lines) == size[1]
        assert {cell_len(line) for line in driver.lines} == {size[0]}
        parts = [
            view.query_one("#asking"),
            *(part for column in view.columns[: 1 + two] for part in column.children),
            view.query_one("#place"),
            view.query_one("#crumbs"),
            view.reading.preview,
            view.query_one("#status"),
            view.query_one("KeyLine"),
        ]
        regions = [part.region for part in parts]
        screen = view.screen.region
        for number, region in enumerate(regions):
            assert region.area and screen.contains_region(region), parts[number]
            for other in regions[number + 1 :]:
                assert not region.overlaps(other)

    drive(script, size=size)


def test_at_80_columns_nothing_that_matters_is_cut(drive):
    """Titles and places that fit are whole; those that do not are whole above the document."""
    shelf = Shelf()
    long = "handbooks/of/the/station/and/its/many/houses/and/boats/winter/ferry-and-tides.md"
    title = "What the skipper has to know of the ferry and of the tides before a winter crossing"
    shelf.files[long] = (title, "zebra crossing\n")

    async def script(driver):
        await driver.search("distilled water")
        for path, (name, _) in list(shelf.files.items())[:6]:
            if path in WATER:
                assert name in driver.screen and path in driver.screen
        await driver.search("zebra")
        above = "".join(line.strip() for line in driver.lines[2:4])
        assert "ferry-and-tides.md:1" in above
        below = " ".join(" ".join(line.split()) for line in driver.lines[12:17])
        assert title in below
        assert "ferry-and-tides.md:1" in below
        assert driver.lines[-1].endswith("F1 help ")

    drive(script, shelf)


def test_a_bug_is_not_hidden(drive, shelf):
    def broken(query, k):
        raise ValueError("shapes (3, 4) and (4, 3)")

    shelf.words = broken

    async def script(driver):
        await driver.type("ferry")
        await driver.until(lambda: not driver.view.is_running)

    with pytest.raises(Exception, match="shapes"):
        drive(script, shelf)


def test_a_screen_too_small_for_anything_breaks_nothing(drive):
    async def script(driver):
        for size in ((20, 6), (8, 3), (80, 24)):
            await driver.pilot.resize_terminal(*size)
            await driver.pilot.pause()
            await driver.search("distilled water")
            await driver.press("escape", "s", "j", "tab", "tab", "n")
        assert "Autoclave care" in driver.screen

    drive(script)


def test_brackets_and_colons_in_names_are_no_markup(drive):
    odd = Shelf({"[/b].md": ("[red]Ferry[/red] :bug:", "The [ferry] leaves.\n")}, name="[dim]one")

    async def script(driver):
        await driver.search("ferry")
        assert "[dim]one ›" in driver.lines[0]
        assert "[red]Ferry[/red] :bug:" in driver.screen
        assert "The [ferry] leaves." in driver.screen
        await driver.press("escape", "r")
        assert "relevant (1 judged): [red]Ferry[/red] :bug:" in driver.status
        await driver.press("enter")
        await driver.press("v", "escape", "ctrl+r")
        assert "ferry" in driver.screen

    drive(script, odd)


def test_no_colour_is_used_where_none_is_wanted(drive, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")

    async def script(driver):
        await driver.search("distilled water")
        await driver.press("escape", "r", "s")
        await driver.search("distilled water")
        await driver.press("escape", "down")
        attributes = set()
        for key in ("f24", "question_mark", "escape", "v"):
            await driver.press(key)
            for strip in driver.view.screen._compositor.render_strips():
                for segment in strip.apply_filter(driver.view._filters[-1], None):
                    style = segment.style
                    if style is not None:
                        assert style.color is None or style.color.is_default, segment
                        assert style.bgcolor is None or style.bgcolor.is_default, segment
                        attributes |= {
                            name
                            for name in ("bold", "dim", "underline", "reverse")
                            if getattr(style, name)
                        }
        assert attributes == {"bold", "dim", "underline", "reverse"}

    drive(script)


@pytest.mark.parametrize("background", [(0, 0, 0), (253, 246, 227)], ids=["dark", "light"])
def test_the_terminals_own_background_is_kept(drive, background):
    async def script(driver):
        await driver.search("ferry")
        grounds = [
            segment.style.bgcolor.triplet
            for strip in driver.view.screen._compositor.render_strips()
            for segment in strip
            if segment.style is not None and segment.style.bgcolor is not None
        ]
        own = sum(tuple(ground) == background for ground in grounds)
        assert own > len(grounds) * 0.6

    drive(script, background=background)


def test_q_ends_it_and_the_query_is_remembered(drive, tmp_path):
    async def script(driver):
        await driver.search("ferry")
        await driver.press("escape", "q")

    assert drive(script).return_code == 0
    assert History(tmp_path / "history.jsonl").queries("shelf") == ["ferry"]
