"""Documents as resources."""

import asyncio

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from searchkit.agents import resources
from searchkit.agents.server import create_server
from searchkit.agents.shelf import Shelf
from searchkit.agents.uris import handle, parts_of, uri_of
from searchkit.errors import UnknownName
from tests.agents.conftest import DOCUMENTS, FILES


def with_client(shelf, ask):
    async def run():
        async with Client(create_server(shelf)) as client:
            return await ask(client)

    return asyncio.run(run())


def refused(shelf, ask):
    async def run():
        async with Client(create_server(shelf)) as client:
            with pytest.raises(MCPError) as refusal:
                await ask(client)
            return refusal.value.error

    error = asyncio.run(run())
    assert error.code == -32602
    assert len(error.message.splitlines()) == 1
    return error.message


def test_all_documents_are_listed_page_by_page(shelf):
    async def pages(client):
        found, cursor = [], None
        while True:
            page = await client.list_resources(cursor=cursor)
            found.append(page.resources)
            cursor = page.next_cursor
            if cursor is None:
                return found

    listed = with_client(shelf, pages)
    assert [len(page) for page in listed] == [100, 100, len(DOCUMENTS) + len(FILES) - 200]
    ids = [parts_of(one.uri) for page in listed for one in page]
    assert sorted(ids) == sorted(
        [("notes", name) for name in FILES] + [("toy", row[0]) for row in DOCUMENTS]
    )


def test_a_list_goes_on_though_a_document_of_files_has_gone(followed):
    (first, *_) = sorted(FILES)
    cursor = resources._cursor("notes", first)
    (followed.files / first).unlink()
    followed.follow()
    listed = resources.listed(followed.shelf, cursor)
    assert [parts_of(one.uri)[1] for one in listed.resources] == sorted(FILES)[1:]


@pytest.mark.parametrize("cursor", ["x", "", "WyJ0b3kiXQ==", "bnVsbA==", "é"])
def test_a_forged_cursor_is_refused(shelf, cursor):
    said = refused(shelf, lambda client: client.list_resources(cursor=cursor))
    assert "list again" in said


def test_a_cursor_to_a_document_that_a_collection_has_not_is_refused(shelf):
    cursor = resources._cursor("toy", "../../etc/passwd")
    said = refused(shelf, lambda client: client.list_resources(cursor=cursor))
    assert "list again" in said


@pytest.mark.parametrize("doc_id", ["a/b #2", "100% ?&=+", "größe/Ü 漢字 🙂", "..", "a\nb\x1b[0m"])
def test_an_address_holds_any_id_and_leads_back_to_it(doc_id):
    uri = uri_of("my notes", doc_id)
    assert uri.isascii() and " " not in uri and "#" not in uri and "?" not in uri
    assert uri.count("/") == 4
    assert parts_of(uri) == ("my notes", doc_id)


def test_a_document_whose_id_hides_something_goes_by_its_address():
    assert handle("toy", "lab/care.md") == "lab/care.md"
    assert handle("toy", "a\u200bb") == "searchkit://toy/documents/a%E2%80%8Bb"


@pytest.mark.parametrize(
    "uri",
    [
        "searchkit://toy/documents/..%2F..%2Fcorpus.jsonl",
        "searchkit://toy/documents/../../corpus.jsonl",
        "searchkit://../toy/documents/d1",
        "searchkit://%2Fetc/documents/passwd",
        "searchkit://toy/documents/%FF%00",
        "searchkit://toy/documents/",
        "searchkit:///documents/d1",
        "searchkit://toy",
        "file:///etc/passwd",
        "",
    ],
)
def test_an_address_leads_to_documents_alone(shelf, uri):
    assert "root" not in refused(shelf, lambda client: client.read_resource(uri))


def test_slashes_of_an_address_may_stand_as_they_are(shelf):
    read = with_client(shelf, lambda one: one.read_resource("searchkit://toy/documents/a/b #2"))
    assert read.contents[0].text == DOCUMENTS[1][2]


def test_the_template_makes_the_addresses_that_are_listed(shelf):
    (template,) = with_client(shelf, lambda one: one.list_resource_templates()).resource_templates
    assert template.uri_template == "searchkit://{index}/documents/{doc_id}"


def test_a_very_long_document_is_cut_and_says_how_to_read_on(followed):
    (followed.files / "huge.txt").write_text("The sea is wide. " * 20_000)
    followed.follow()
    uri = uri_of("notes", "huge.txt")
    text = resources.read(followed.shelf, uri).contents[0].text
    assert len(text) < 70_000
    assert text.endswith("]") and "Cut at character" in text and uri in text
    assert "The sea is wide. \n\n[Cut" in text


def test_an_index_that_is_broken_does_not_hide_the_others(place):
    indexes = place / "home/indexes"
    (indexes / "notes/manifest.json").write_text("{}")
    shelf = Shelf(lambda: {name: indexes / name for name in ("notes", "toy")})
    assert len(resources.listed(shelf, None).resources) == resources.PAGE
    with pytest.raises(UnknownName):
        shelf.name("others")
