"""What the tools answer, asked through the package's own client."""

import asyncio
import json
import shutil
import threading

import anyio
import pytest
from mcp import Client

from searchkit.agents.fitting import tokens
from searchkit.agents.server import create_server
from searchkit.agents.shelf import Shelf
from tests.agents.conftest import FILES, LONG, answered

TOOLS = {"ask", "list_indexes", "read", "search"}


def over(place, *names) -> Shelf:
    return Shelf(lambda: {name: place / "home/indexes" / name for name in names}, "cpu")


def test_every_tool_says_what_it_does_and_that_it_changes_nothing(shelf):
    async def listed():
        async with Client(create_server(shelf)) as client:
            return (await client.list_tools()).tools

    tools = asyncio.run(listed())
    assert {tool.name for tool in tools} == TOOLS
    for tool in tools:
        assert tool.title and len(tool.description) > 100
        assert tool.annotations.read_only_hint and not tool.annotations.open_world_hint
        assert tool.input_schema["type"] == tool.output_schema["type"] == "object"
        assert "anyOf" not in json.dumps([tool.input_schema, tool.output_schema])
        for field in tool.input_schema["properties"].values():
            assert field["description"]


def test_the_indexes_are_listed_with_how_they_are_asked(ask):
    notes, toy = ask("list_indexes").data["indexes"]
    assert (notes["name"], notes["holds"], notes["documents"]) == ("notes", "files", len(FILES))
    assert notes["variants"] == ["mean-causal"]
    assert "path:" in notes["syntax"]
    assert any(one.startswith("format:") for one in notes["filters"])
    assert (toy["holds"], toy["modes"]) == ("documents", ["bm25"])
    assert "notes: 5 files" in ask("list_indexes").text


def test_an_index_that_cannot_be_opened_says_so_and_the_others_answer(place, ask):
    (place / "home/indexes/toy/manifest.json").write_text("{}")
    broken = over(place, "notes", "toy")
    notes, toy = ask("list_indexes", of=broken).data["indexes"]
    assert "documents" in notes and "toy" in toy["problem"]
    assert str(place) not in json.dumps(toy)
    assert ask("search", of=broken, index="toy", query="x").error
    assert not ask("search", of=broken, index="notes", query="ferry").error


def test_a_passage_that_was_found_can_be_read_with_its_neighbours(ask):
    found = ask("search", index="notes", query="distilled water")
    hit = found.data["results"][0]
    assert hit["doc_id"] == "lab/care.md"
    assert hit["headings"][-1] == "After the run"
    whole = FILES["lab/care.md"]
    assert whole[hit["start"] : hit["end"]] == hit["text"]
    span = {"start": whole.index("Use"), "end": whole.index("Use") + 3}
    alone = ask("read", index="notes", doc_id="lab/care.md", **span)
    assert alone.data["text"] == "Use"
    around = ask("read", index="notes", doc_id="lab/care.md", **span, neighbours=1)
    assert " ".join(around.data["text"].split()) == "Clean the chamber. Use distilled water."
    assert whole[around.data["start"] : around.data["end"]] == around.data["text"]


@pytest.mark.parametrize("mode", ["bm25", "dense", "hybrid"])
def test_every_mode_searches(ask, mode):
    found = ask("search", index="notes", query="the ferry at high water", mode=mode)
    assert not found.error, found.text
    assert found.data["results"]
    assert ("mean-causal" in found.data["searched_by"]) == (mode != "bm25")


def test_a_question_is_answered_in_the_words_of_the_documents(ask):
    found = ask("ask", index="notes", question="When does the ferry leave before high water?")
    assert not found.error, found.text
    for sentence in found.data["sentences"]:
        whole = FILES[sentence["doc_id"]]
        assert whole[sentence["start"] : sentence["end"]] == sentence["text"]
    assert found.data["answered"] == bool(found.data["sentences"])
    assert found.data["passages"][0]["doc_id"] == "boats/ferry.txt"
    nothing = ask("ask", index="toy", question="Who won the xylophone qualifiers?")
    assert not nothing.data["answered"] and nothing.data["missing"]


def test_filters_hold_besides_the_query(ask):
    kept = ask("search", index="notes", query="ferry", path=["boats/"])
    assert {hit["doc_id"] for hit in kept.data["results"]} == {"boats/ferry.txt"}
    assert ask("search", index="notes", query="ferry", path="boats/").data == kept.data
    assert ask("search", index="notes", query="ferry path:boats/").data["results"] != []
    none = ask("search", index="notes", query="ferry", format=["pdf"])
    assert none.data["results"] == [] and "Nothing matches" in none.text
    assert "collection" in ask("search", index="toy", query="sheep", format=["pdf"]).text


@pytest.mark.parametrize("limit", [300, 500, 2000])
def test_an_answer_is_no_longer_than_asked_and_says_what_it_left_out(ask, limit):
    found = ask("search", index="notes", query="ferry", all_passages=True, k=50, max_tokens=limit)
    assert tokens(found.text) <= limit
    assert tokens(json.dumps(found.data, ensure_ascii=False, separators=(",", ":"))) <= limit
    assert found.data["next_cursor"]
    assert "next_cursor" in found.text or len(found.data["results"]) == 50
    read = ask("read", index="notes", doc_id="long.txt", max_tokens=limit)
    assert tokens(read.text) <= limit
    assert read.data["next_cursor"] in read.text


def test_cursors_lead_through_a_ranking_without_gap_or_repeat(ask):
    asked = {"index": "toy", "query": "sheep on the cliffs"}
    whole = ask("search", **asked, k=50, max_tokens=20_000).data["results"]
    assert len(whole) == 50
    seen, cursor = [], None
    for k in (7, 20, 50):
        page = ask("search", **asked, k=k, max_tokens=1500, cursor=cursor).data
        seen += page["results"]
        cursor = page["next_cursor"]
    assert [hit["rank"] for hit in seen] == list(range(1, len(seen) + 1))
    both = min(len(seen), 50)
    assert [hit["doc_id"] for hit in seen[:both]] == [hit["doc_id"] for hit in whole[:both]]


def test_a_ranking_ends_at_its_hundredth_place_and_says_so(ask):
    asked = {"index": "toy", "query": "sheep", "k": 50, "max_tokens": 20_000}
    first = ask("search", **asked).data
    last = ask("search", **asked, cursor=first["next_cursor"])
    assert last.data["results"][-1]["rank"] == 100
    assert "next_cursor" not in last.data
    assert "Ranks below 100 are not listed" in last.text


def test_cursors_lead_through_a_document(ask):
    text, cursor = "", None
    while True:
        page = ask("read", index="notes", doc_id="long.txt", max_tokens=3000, cursor=cursor).data
        assert page["start"] == len(text)
        text += page["text"]
        cursor = page.get("next_cursor")
        if cursor is None:
            break
        assert text.endswith(("\n", " ")), "a page ends behind a sentence"
    assert text == LONG


def test_a_cursor_of_an_older_generation_says_how_to_start_again(followed, ask):
    of, asked = followed.shelf, {"query": "ferry", "k": 1}
    cursor = ask("search", of=of, **asked).data["next_cursor"]
    page = ask("read", of=of, doc_id="long.txt", max_tokens=300).data["next_cursor"]
    (followed.files / "boats/second.txt").write_text("Another ferry leaves at noon.\n")
    followed.follow()
    old = ask("search", of=of, **asked, cursor=cursor)
    assert old.error and "has changed" in old.text and "leave cursor out" in old.text
    assert not ask("search", of=of, **asked).error
    # The document is the same, so its cursor holds, until it is another one.
    asked = {"doc_id": "long.txt", "max_tokens": 300, "cursor": page}
    assert not ask("read", of=of, **asked).error
    (followed.files / "long.txt").write_text(LONG.replace("ferry", "barge"))
    followed.follow()
    assert "long.txt has changed" in ask("read", of=of, **asked).text


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "ffffffffff.000000000000.000000000000", "1." * 5000, "\x00", "0.0.0", "-1.a.b"],
)
def test_a_forged_cursor_is_refused(ask, cursor):
    for tool, more in (("search", {"query": "ferry"}), ("read", {"doc_id": "long.txt"})):
        refused = ask(tool, index="notes", cursor=cursor, **more)
        assert refused.error and "cursor" in refused.text
        assert len(refused.text) < 400


def test_a_cursor_belongs_to_its_arguments(ask):
    cursor = ask("search", index="notes", query="ferry", k=1).data["next_cursor"]
    for other in ({"query": "water"}, {"query": "ferry", "mode": "dense"}):
        refused = ask("search", index="notes", k=1, cursor=cursor, **other)
        assert refused.error and "other arguments" in refused.text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"query": ""}, "the query is empty"),
        ({"query": "  \n"}, "the query is empty"),
        ({"query": None}, "query is missing"),
        ({}, "query is missing"),
        ({"query": "\ud800"}, "query is '\\ud800'"),
        ({"query": "x" * 5000}, "at most 4000"),
        ({"query": 7}, "query is 7"),
        ({"query": '"open'}, "not closed"),
        ({"query": "x", "k": 10**9}, "k is 1000000000"),
        ({"query": "x", "k": 0}, "k is 0"),
        ({"query": "x", "max_tokens": 1}, "max_tokens is 1"),
        ({"query": "x", "mode": "magic"}, "mode is 'magic'"),
        ({"query": "x", "variant": "nope"}, "nope"),
        ({"query": "x", "after": "yesterday"}, "no date"),
        ({"query": "x", "after": "2024", "before": "2023"}, "not earlier"),
        ({"query": "x", "index": "../notes"}, "no index '../notes' is served"),
        ({"query": "x", "index": "/etc"}, "is served"),
        ({"query": "x", "index": "no\x1b[31m"}, "is served"),
        ({"query": "x", "path_": "y"}, "there is no argument 'path_'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(ask, arguments, said):
    refused = ask("search", **{"index": "notes", **arguments})
    assert refused.error and refused.data is None
    assert said in refused.text
    assert len(refused.text.splitlines()) == 1
    assert "Traceback" not in refused.text and "\x1b" not in refused.text


@pytest.mark.parametrize(
    "doc_id",
    [
        "../files/lab/care.md",
        "/etc/passwd",
        "lab/../lab/care.md",
        "lab/care.md\x00",
        "searchkit://toy/documents/lab%2Fcare.md",
        "searchkit://notes/documents/..%2F..%2Fetc%2Fpasswd",
        "file:///etc/passwd",
        "\udcff",
        "",
    ],
)
def test_an_id_is_looked_up_and_leads_nowhere_else(ask, doc_id):
    refused = ask("read", index="notes", doc_id=doc_id)
    assert refused.error and "notes has no document" in refused.text


@pytest.mark.parametrize(
    ("span", "said"),
    [
        ({"start": 10**9}, "the document has"),
        ({"start": -1}, "start is -1"),
        ({"start": 9, "end": 9}, "not behind start"),
        ({"neighbours": 51}, "neighbours is 51"),
    ],
)
def test_a_span_outside_of_the_document_is_refused(ask, span, said):
    refused = ask("read", index="notes", doc_id="lab/care.md", **span)
    assert refused.error and said in refused.text


def test_an_end_behind_the_document_is_taken_for_its_end_and_it_is_said(ask):
    read = ask("read", index="notes", doc_id="boats/ferry.txt", start=4, end=10**6)
    assert read.data["end"] == read.data["length"]
    assert "ends at character" in read.text


def test_several_indexes_must_be_named_and_one_need_not(place, ask):
    refused = ask("search", query="ferry")
    assert refused.error and "name one of: notes, toy" in refused.text
    assert not ask("search", of=over(place, "notes"), query="ferry").error
    nothing = ask("search", of=Shelf(dict), query="ferry")
    assert nothing.error and "searchkit index" in nothing.text


def test_what_a_document_hides_is_shown_and_its_limits_cannot_be_forged(ask):
    read = ask("read", index="notes", doc_id="hostile.txt")
    for answer in (read, ask("search", index="notes", query="zebras obey")):
        shown = answer.text + json.dumps(answer.data, ensure_ascii=False)
        for hidden in ("\u200b", "\x1b", "\u202e", "\U000e0049"):
            assert hidden not in shown
    assert "می\u200cخواهم" in read.data["text"]
    assert "❤️\u200d🔥" in read.data["text"]
    first, *_, last = read.text.splitlines()
    assert last == first.replace("<", "</")
    assert first != "<passage-00000000>"


def test_a_document_that_was_deleted_since_it_was_found_is_not_there(followed, ask):
    hit = ask("search", of=followed.shelf, query="distilled").data["results"][0]
    (followed.files / hit["doc_id"]).unlink()
    # As long as the index does not know, its text is there: no file is read.
    assert "distilled" in ask("read", of=followed.shelf, doc_id=hit["doc_id"]).text
    followed.follow()
    gone = ask("read", of=followed.shelf, doc_id=hit["doc_id"])
    assert gone.error and "moved or deleted" in gone.text and "search again" in gone.text
    assert ask("search", of=followed.shelf, query="distilled").data["results"] == []


def test_two_questions_at_once_while_the_index_is_brought_into_step(followed):
    def commit(number):
        (followed.files / f"new{number}.txt").write_text(f"Ferry number {number} sails.\n")
        followed.follow()

    async def both():
        async with Client(create_server(followed.shelf)) as client:
            for number in range(3):
                writing = asyncio.create_task(asyncio.to_thread(commit, number))
                while not writing.done():
                    calls = [
                        client.call_tool("search", {"query": "ferry"}),
                        client.call_tool("read", {"doc_id": "long.txt", "max_tokens": 300}),
                    ]
                    for result in await asyncio.gather(*calls):
                        answer = answered(result)
                        assert not answer.error, answer.text
                await writing
            return answered(await client.call_tool("search", {"query": "number 2 sails"}))

    newest = asyncio.run(both())
    assert newest.data["results"][0]["doc_id"] == "new2.txt"


def test_no_path_of_this_machine_is_told(place, ask):
    indexes = place / "home/indexes"
    shutil.rmtree(indexes / "notes" / "parts")
    of = over(place, "notes")
    for name, arguments in (("search", {"query": "ferry"}), ("list_indexes", {})):
        said = ask(name, of=of, **arguments).text
        assert str(place) not in said and "home" not in said


def test_a_page_of_a_document_fits_as_json_too(followed, ask):
    (followed.files / "quotes.txt").write_text('He said "no" \\o/.\n"' * 3000)
    followed.follow()
    read = ask("read", of=followed.shelf, doc_id="quotes.txt", max_tokens=500)
    assert tokens(json.dumps(read.data, ensure_ascii=False)) <= 500
    assert read.data["next_cursor"]
    assert len(read.data["text"]) > 500


def test_calls_that_nobody_waits_for_keep_their_places():
    go, begun = threading.Event(), []

    def names():
        begun.append(1)
        assert go.wait(60)
        return {}

    server = create_server(Shelf(names))

    async def ask(client):
        with anyio.move_on_after(0.2):
            await client.call_tool("list_indexes", {})

    async def many():
        async with Client(server) as client:
            async with anyio.create_task_group() as group:
                for _ in range(8):
                    group.start_soon(ask, client)
            await ask(client)
            at_once = len(begun)
            go.set()
            await client.call_tool("list_indexes", {})
            return at_once

    assert asyncio.run(many()) == 8
    assert len(begun) == 9
