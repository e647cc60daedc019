"""searchkit mcp: what it prints, and what it refuses."""

import json
import os
import re
import shlex
import subprocess
import tomllib

import pytest


def parts(page) -> dict[str, str]:
    """The configurations by the name of the client."""
    found = re.split(r"^# (.*)\n\n", page, flags=re.M)[1:]
    titles, bodies = found[::2], found[1::2]
    return {title.split(":")[0]: body for title, body in zip(titles, bodies, strict=True)}


def test_the_configurations_start_this_program_with_these_indexes(searchkit, home, index):
    done = searchkit("mcp", index, "--install")
    assert (done.code, done.err) == (0, "")
    shown = parts(done.out)
    entries = {
        "Claude Desktop": json.loads(shown["Claude Desktop"])["mcpServers"],
        "Cursor": json.loads(shown["Cursor"])["mcpServers"],
        "VS Code": json.loads(shown["VS Code"])["servers"],
        "Zed": json.loads(shown["Zed"])["context_servers"],
        "Gemini CLI": json.loads(shown["Gemini CLI"])["mcpServers"],
        "Codex": tomllib.loads(shown["Codex"])["mcp_servers"],
    }
    for entry in entries.values():
        (server,) = entry.values()
        assert server["command"].startswith("/")
        assert server["args"][-2:] == ["mcp", index]
        assert server["env"]["SEARCHKIT_HOME"] == str(home)
    words = shlex.split(shown["Claude Code"])
    assert words[:4] == ["claude", "mcp", "add", "searchkit"]
    assert f"SEARCHKIT_HOME={home}" in words
    server = entries["Cursor"]["searchkit"]
    assert words[words.index("--") + 1 :] == [server["command"], *server["args"]]


def test_the_configured_program_runs(searchkit, home, index, tmp_path):
    server = json.loads(parts(searchkit("mcp", index, "--install").out)["Cursor"])
    server = server["mcpServers"]["searchkit"]
    done = subprocess.run(
        [server["command"], *server["args"]],
        env={"PATH": os.environ["PATH"], **server["env"]},
        cwd=tmp_path,
        input=b"",
        capture_output=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_an_index_given_by_its_path_is_configured_by_its_path(searchkit, built):
    shown = parts(searchkit("mcp", built, "--install").out)
    args = tomllib.loads(shown["Codex"])["mcp_servers"]["searchkit"]["args"]
    assert args[-1] == str(built)


def test_a_server_over_http_is_named_and_its_token_is_not_told(searchkit, monkeypatch):
    plain = parts(searchkit("mcp", "--http", "--port", 9000, "--install").out)
    url = "http://127.0.0.1:9000/mcp"
    assert json.loads(plain["Cursor"])["mcpServers"]["searchkit"] == {"url": url}
    assert tomllib.loads(plain["Codex"])["mcp_servers"]["searchkit"] == {"url": url}
    monkeypatch.setenv("SEARCHKIT_MCP_TOKEN", "secret-of-16-letters")
    done = searchkit("mcp", "--http", "--install")
    assert "secret-of-16-letters" not in done.out
    guarded = parts(done.out)
    assert "${env:SEARCHKIT_MCP_TOKEN}" in guarded["Cursor"]
    assert json.loads(guarded["VS Code"])["inputs"][0]["password"] is True
    codex = tomllib.loads(guarded["Codex"])["mcp_servers"]["searchkit"]
    assert codex["bearer_token_env_var"] == "SEARCHKIT_MCP_TOKEN"
    assert '"Authorization: Bearer $SEARCHKIT_MCP_TOKEN"' in guarded["Claude Code"]


def test_other_machines_need_a_token(refused):
    said = refused("mcp", "--http", "--host", "0.0.0.0", "--port", 0)
    assert "SEARCHKIT_MCP_TOKEN" in said and "--token-file" in said


@pytest.mark.parametrize("token", ["", "short", "with a space in the middle", "ümlaut" * 5])
def test_a_token_that_is_none_is_refused(refused, monkeypatch, tmp_path, token):
    (tmp_path / "token").write_text(token)
    assert "16 or more" in refused("mcp", "--http", "--token-file", tmp_path / "token")
    monkeypatch.setenv("SEARCHKIT_MCP_TOKEN", token)
    assert "SEARCHKIT_MCP_TOKEN holds" in refused("mcp", "--http")


def test_a_token_that_others_may_read_is_refused(refused, tmp_path):
    (tmp_path / "token").write_text("x" * 32)
    (tmp_path / "token").chmod(0o640)
    said = refused("mcp", "--http", "--token-file", tmp_path / "token", "--install")
    assert "has mode 640, and others may read it: chmod 600" in said


def test_an_unknown_index_is_refused_before_anything_is_served(refused, index):
    assert refused("mcp", "nope").startswith("no index 'nope'; there are: toy")


@pytest.mark.parametrize("option", ["--token-file", "--host", "--port"])
def test_what_is_for_http_needs_it(refused, option):
    assert refused("mcp", option, "8000").startswith(f"{option} is for --http")


def test_a_missing_package_names_its_extra(refused, monkeypatch):
    monkeypatch.setattr("searchkit.commands.mcp.find_spec", lambda name: None)
    assert "searchkit[agents]" in refused("mcp")


def test_two_indexes_of_one_name_are_refused(refused, built, index):
    assert "one name" in refused("mcp", index, built)
