"""The real command, spoken to by the package's own client over standard input and over HTTP."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import asynccontextmanager

import httpx2
import pytest
from mcp import Client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from tests.agents.conftest import FILES, answered, environment, serving, stdio

TOKEN = "a-token-of-more-than-16"
ASKED = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
HELLO = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
READY = {"jsonrpc": "2.0", "method": "notifications/initialized"}


async def converse(client: Client, mode: str) -> None:
    """Everything that an agent does: list, search, read on, ask, attach, and err."""
    tools = (await client.list_tools()).tools
    assert {tool.name for tool in tools} == {"ask", "list_indexes", "read", "search"}
    listed = answered(await client.call_tool("list_indexes", {}))
    assert [one["name"] for one in listed.data["indexes"]] == ["notes", "toy"]
    asked = {"index": "notes", "query": "the ferry", "mode": mode, "k": 1}
    first = answered(await client.call_tool("search", asked))
    assert not first.error, first.text
    more = asked | {"cursor": first.data["next_cursor"]}
    second = answered(await client.call_tool("search", more))
    assert [one.data["results"][0]["rank"] for one in (first, second)] == [1, 2]
    hit = first.data["results"][0]
    read = {"index": "notes", "doc_id": hit["doc_id"], "neighbours": 1}
    read |= {"start": hit["start"], "end": hit["end"]}
    assert hit["text"] in answered(await client.call_tool("read", read)).data["text"]
    question = {"index": "notes", "question": "When does the ferry leave?"}
    assert not answered(await client.call_tool("ask", question)).error
    page = await client.list_resources()
    uri = next(one.uri for one in page.resources if "gr%C3%B6%C3%9Fe" in one.uri)
    (content,) = (await client.read_resource(uri)).contents
    assert content.text.split() == FILES["my notes/100% #1? größe.md"].split()
    refused = answered(await client.call_tool("search", asked | {"k": 0}))
    assert refused.error and refused.text.startswith("k is 0")


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_conversation_over_standard_input(kept, tmp_path, mode):
    async def run(errlog):
        transport = stdio_client(stdio(kept / "home", "--device", "cpu"), errlog)
        async with Client(transport, mode=mode) as client:
            await converse(client, "bm25" if mode == "legacy" else "hybrid")

    with (tmp_path / "stderr").open("w+") as errlog:
        asyncio.run(run(errlog))
        errlog.seek(0)
        assert "Traceback" not in errlog.read()


@pytest.fixture(scope="module")
def server(kept):
    with serving(kept / "home", "--device", "cpu") as running:
        yield running


@pytest.fixture(scope="module")
def guarded(kept):
    with serving(kept / "home", "toy", "--host", "0.0.0.0", SEARCHKIT_MCP_TOKEN=TOKEN) as running:
        running.url = running.url.replace("0.0.0.0", "127.0.0.1")
        yield running


@asynccontextmanager
async def over_http(url, token=None, mode="auto"):
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_conversation_over_http(server, mode):
    async def run():
        async with over_http(server.url, mode=mode) as client:
            await converse(client, "bm25" if mode == "legacy" else "hybrid")

    asyncio.run(run())


def test_several_clients_at_once(server):
    async def one():
        async with over_http(server.url) as client:
            return answered(await client.call_tool("search", {"index": "toy", "query": "sheep"}))

    async def all_of_them():
        return await asyncio.gather(*(one() for _ in range(5)))

    first, *others = asyncio.run(all_of_them())
    assert first.data["results"]
    assert all(other.data == first.data for other in others)


def post(url, message=ASKED, **headers):
    accepted = "application/json, text/event-stream"
    given = {"Accept": accepted, "Content-Type": "application/json"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.post(url, content=json.dumps(message), headers=given, timeout=60)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example:1"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_a_page_that_has_its_own_name_lead_here_is_refused(server, headers, status):
    assert post(server.url, **headers).status_code == status


def test_what_is_too_large_is_refused(server):
    assert post(server.url, {**ASKED, "params": {"x": "y" * 300_000}}).status_code == 413


@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", TOKEN]
)
def test_without_the_token_nothing_is_answered(guarded, given):
    headers = {} if given is None else {"Authorization": given}
    refused = post(guarded.url, **headers)
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert TOKEN not in refused.text


def test_with_the_token_the_indexes_that_were_named_are_served_and_no_others(guarded):
    async def run():
        async with over_http(guarded.url, TOKEN) as client:
            listed = answered(await client.call_tool("list_indexes", {}))
            other = answered(await client.call_tool("search", {"index": "notes", "query": "x"}))
            return listed, other

    listed, other = asyncio.run(run())
    assert [one["name"] for one in listed.data["indexes"]] == ["toy"]
    assert other.error and "there are: toy" in other.text


def start(home, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "searchkit", "mcp", *arguments],
        env=os.environ | environment(home),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def say(process, *messages):
    for message in messages:
        text = message if isinstance(message, str) else json.dumps(message)
        process.stdin.write(text + "\n")
    process.stdin.flush()


def call(number, tool, **arguments):
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


def test_nothing_but_the_protocol_is_written_to_standard_output(kept, tmp_path):
    """A model loads and complains, every library prints what it likes, and input is garbage."""
    noisy = tmp_path / "noisy"
    noisy.mkdir()
    # Python runs it at its start: as chatty as a library can be, at the import of torch.
    (noisy / "sitecustomize.py").write_text(
        "import os, sys, warnings\n"
        "class Chatty:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torch':\n"
        "            print('printed'); os.write(1, b'written\\n')\n"
        "            os.system('echo from a child'); warnings.warn('warned')\n"
        "sys.meta_path.insert(0, Chatty())\n"
    )
    command = [sys.executable, "-m", "searchkit", "mcp", "notes", "--device", "cpu"]
    lines = [
        json.dumps(HELLO),
        json.dumps(READY),
        "no JSON at all",
        '{"jsonrpc": "2.0", "id": 8, "method": "tools/call", "params": {"name": "\\ud800"}}',
        json.dumps(call(1, "search", query="ferry", mode="dense")),
    ]
    with subprocess.Popen(
        command,
        env=os.environ | environment(kept / "home") | {"PYTHONPATH": str(noisy)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        say(process, *lines)
        messages = []
        while not any(message.get("id") == 1 for message in messages):
            messages.append(json.loads(process.stdout.readline()))
        out, err = process.communicate(timeout=60)
    assert out == ""
    assert all(message["jsonrpc"] == "2.0" for message in messages)
    assert "printed" in err and "written" in err and "from a child" in err
    assert not messages[-1]["result"].get("isError"), messages[-1]
    assert process.returncode == 0


def test_it_ends_when_its_input_ends(kept):
    with start(kept / "home") as process:
        out, err = process.communicate("", timeout=60)
    assert (process.returncode, out, err) == (0, "", "")


def test_a_question_that_nobody_waits_for_does_not_hold_the_end(kept):
    with start(kept / "home", "notes", "--device", "cpu") as process:
        say(process, HELLO, READY)
        process.stdout.readline()
        say(process, call(1, "search", query="ferry", mode="dense"))
        out, err = process.communicate(timeout=60)
    assert all(json.loads(line)["id"] == 1 for line in out.splitlines())
    assert process.returncode == 0 and "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_it_is_told_to(kept, number):
    with start(kept / "home") as process:
        say(process, HELLO)
        assert json.loads(process.stdout.readline())["id"] == 0
        process.send_signal(number)
        process.wait(timeout=30)
        assert process.stdout.read() == ""
        assert "Traceback" not in process.stderr.read()
    assert process.returncode == (0 if number == signal.SIGTERM else 130)


def test_a_server_over_http_ends_when_it_is_told_to(kept):
    with serving(kept / "home") as running:
        running.process.terminate()
        out, err = running.process.communicate(timeout=30)
        assert (running.process.returncode, out) == (0, "")
        assert "Traceback" not in err


def test_an_index_that_is_built_later_is_served_too(kept, tmp_path):
    home = tmp_path / "home"
    (home / "indexes").mkdir(parents=True)
    with start(home) as process:
        say(process, HELLO, READY, call(1, "list_indexes"))
        process.stdout.readline()
        none = json.loads(process.stdout.readline())["result"]["structuredContent"]
        assert none == {"indexes": []}
        shutil.copytree(kept / "home/indexes/toy", home / "indexes/toy")
        say(process, call(2, "search", query="sheep"))
        found = json.loads(process.stdout.readline())["result"]["structuredContent"]
        assert found["index"] == "toy"
        process.communicate(timeout=60)
