"""What common clients need to be told of the server, as they read it from their own files."""

import json
import shlex
from collections.abc import Mapping, Sequence

NAME = "searchkit"
TOKEN = "SEARCHKIT_MCP_TOKEN"


def of_command(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Configurations that start the server.

    Args:
        command: the program, by its whole path, and its arguments.
        environment: variables that it needs, which clients do not hand down.
    """
    started: dict[str, object] = {"command": command[0], "args": list(command[1:])}
    if environment:
        started["env"] = dict(environment)
    variables = [word for pair in environment.items() for word in ("--env", "=".join(pair))]
    code = shlex.join(["claude", "mcp", "add", NAME, *variables, "--", *command])
    return _page(
        _json("Claude Desktop: claude_desktop_config.json", "mcpServers", started),
        ("Claude Code", code),
        _json("Cursor: ~/.cursor/mcp.json, or .cursor/mcp.json", "mcpServers", started),
        _json("VS Code: .vscode/mcp.json", "servers", {"type": "stdio", **started}),
        _json("Zed: settings.json", "context_servers", started),
        ("Codex: ~/.codex/config.toml", _toml(started)),
        _json("Gemini CLI: ~/.gemini/settings.json", "mcpServers", started),
    )


def of_address(url: str, *, token: bool) -> str:
    """Configurations that name a server which is running.

    Args:
        url: its address.
        token: whether it wants one; it is named here, and not told.
    """
    plain = f"Bearer ${{{TOKEN}}}"

    def reached(field: str, bearer: str, **more: str) -> dict[str, object]:
        headers = {"headers": {"Authorization": bearer}} if token else {}
        return {**more, field: url, **headers}

    header = ["--header", f"Authorization: Bearer ${TOKEN}"] if token else []
    # The shell puts the token in, so the header stands in quotes that let it.
    words = [f'"{word}"' if TOKEN in word else shlex.quote(word) for word in header]
    code = " ".join(["claude mcp add --transport http", NAME, shlex.quote(url), *words])
    asked = {"type": "promptString", "id": "token", "description": TOKEN, "password": True}
    vs_code: dict[str, object] = {
        "servers": {NAME: reached("url", "Bearer ${input:token}", type="http")}
    }
    if token:
        vs_code["inputs"] = [asked]
    codex: dict[str, object] = {"url": url}
    if token:
        codex["bearer_token_env_var"] = TOKEN
    return _page(
        ("Claude Code", code),
        _json(
            "Cursor: ~/.cursor/mcp.json, or .cursor/mcp.json",
            "mcpServers",
            reached("url", f"Bearer ${{env:{TOKEN}}}"),
        ),
        ("VS Code: .vscode/mcp.json", json.dumps(vs_code, indent=2, ensure_ascii=False)),
        _json("Zed: settings.json", "context_servers", reached("url", "Bearer TOKEN")),
        ("Codex: ~/.codex/config.toml", _toml(codex)),
        _json("Gemini CLI: ~/.gemini/settings.json", "mcpServers", reached("httpUrl", plain)),
    )


def _page(*parts: tuple[str, str]) -> str:
    return "\n".join(f"# {title}\n\n{body}\n" for title, body in parts)


def _json(title: str, key: str, entry: object) -> tuple[str, str]:
    return title, json.dumps({key: {NAME: entry}}, indent=2, ensure_ascii=False)


def _toml(entry: Mapping[str, object]) -> str:
    """A table of strings, lists of strings and one table of strings."""
    lines = [f"[mcp_servers.{NAME}]"]
    for key, value in entry.items():
        if isinstance(value, Mapping):
            pairs = ", ".join(f"{name} = {_basic(text)}" for name, text in value.items())
            lines.append(f"{key} = {{ {pairs} }}")
        elif isinstance(value, list):
            lines.append(f"{key} = [{', '.join(map(_basic, value))}]")
        else:
            lines.append(f"{key} = {_basic(str(value))}")
    return "\n".join(lines)


def _basic(text: str) -> str:
    """A TOML string; what JSON escapes in one, TOML reads alike, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
