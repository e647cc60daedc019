"""searchkit mcp: indexes for agents, over the Model Context Protocol."""

import os
import signal
import stat
import sys
import threading
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from searchkit import places
from searchkit.commands import _options as options
from searchkit.commands._streams import say
from searchkit.errors import BadInput, MissingExtra

if TYPE_CHECKING:
    from mcp.server import Server

_TOKEN = "SEARCHKIT_MCP_TOKEN"
_HTTP: dict[str, Any] = {"rich_help_panel": "HTTP", "show_default": False}
_HOST, _PORT = "127.0.0.1", 8766
# What decides where indexes and models are; clients start a server without most variables.
_PLACES = ("SEARCHKIT_HOME", "XDG_CACHE_HOME")


def run(
    index: Annotated[
        list[str] | None,
        typer.Argument(
            help="The indexes to serve, by name or directory. [default: all]", show_default=False
        ),
    ] = None,
    http: Annotated[
        bool, typer.Option("--http", help="Serve over HTTP, not standard input and output.")
    ] = False,
    host: Annotated[
        str | None, typer.Option(help="Where to listen. [default: 127.0.0.1]", **_HTTP)
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="0 takes a free one. [default: 8766]", **_HTTP),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="A file that holds the token clients must bring. "
            f"[default: {_TOKEN}; none is needed on this machine]",
            **_HTTP,
        ),
    ] = None,
    install: Annotated[
        bool,
        typer.Option("--install", help="Print what clients need in their configuration, and end."),
    ] = False,
    device: options.DeviceOption = None,
) -> None:
    """Let agents search, read and ask: tools and resources of the Model Context Protocol.

    A client starts the command itself and talks to it over standard input and output, or reaches
    a server that is running with --http. Nothing but the indexes that are served can be reached.

    Examples:
      searchkit mcp --install

      searchkit mcp notes handbook

      searchkit mcp notes --http --port 8766
    """
    of_http = {"--host": host, "--port": port, "--token-file": token_file}
    if not http and (given := [name for name, value in of_http.items() if value is not None]):
        raise BadInput(f"{given[0]} is for --http; add it, or leave {given[0]} out")
    paths = _paths(index)
    host, port = host or _HOST, _PORT if port is None else port
    if find_spec("mcp") is None:
        raise MissingExtra("searchkit mcp needs the mcp package: pip install 'searchkit[agents]'")
    token = _token(token_file) if http else None
    if install:
        shown = _of_address(host, port, token) if http else _of_command(index or [], paths())
        typer.echo(shown, nl=False)
        return
    from searchkit.agents.server import create_server
    from searchkit.agents.shelf import Shelf

    # Uvicorn takes it while it serves, ends, and hands it on.
    signal.signal(signal.SIGTERM, lambda *_: _leave(0))
    server = create_server(Shelf(paths, device))
    if http:
        from searchkit.agents.http import serve_http

        serve_http(server, host, port, token, say)
    else:
        _serve_stdio(server)
    if threading.active_count() > 1:  # a question that nobody waits for any more
        _leave(0)


def _serve_stdio(server: "Server[Any]") -> None:
    """Serve until standard input ends, or a signal comes.

    A thread waits for the next line, and only a line or its end would wake it.
    """
    from searchkit.agents.server import serve_stdio

    if sys.stdin.isatty():
        say(
            "waiting for a client on standard input; for how to set one up: searchkit mcp --install"
        )
    signal.signal(signal.SIGINT, lambda *_: _leave(130))
    serve_stdio(server)


def _leave(code: int) -> None:
    sys.stderr.flush()
    os._exit(code)  # nothing is being written


def _paths(names: list[str] | None) -> Callable[[], Mapping[str, Path]]:
    """The directories of the indexes to serve by name: those that are named, or all there are.

    Raises:
        UnknownName: there is no index of a name.
        BadInput: two have one name.
    """
    if not names:
        return lambda: {name: places.indexes() / name for name in places.index_names()}
    found: dict[str, Path] = {}
    for given in dict.fromkeys(names):
        path = options.index_path(given).absolute()
        if found.setdefault(path.name, path) != path:
            raise BadInput(
                f"{found[path.name]} and {path} have one name, and agents go by names; serve one "
                "of them"
            )
    return lambda: found


def _token(file: Path | None) -> str | None:
    from searchkit.agents.http import checked_token

    if file is not None:
        token = checked_token(file.read_text(encoding="utf-8", errors="replace"), str(file))
        if (mode := stat.S_IMODE(file.stat().st_mode)) & 0o077:
            raise BadInput(f"{file} has mode {mode:o}, and others may read it: chmod 600 {file}")
        return token
    given = os.environ.get(_TOKEN)
    return None if given is None else checked_token(given, _TOKEN)


def _of_address(host: str, port: int, token: str | None) -> str:
    from searchkit.agents import install

    shown = f"[{host}]" if ":" in host else host
    return install.of_address(f"http://{shown}:{port}/mcp", token=token is not None)


def _of_command(names: list[str], paths: Mapping[str, Path]) -> str:
    from searchkit.agents import install

    known = places.index_names()
    served = [name if name in known else str(paths[Path(name).absolute().name]) for name in names]
    environment = {
        name: str(Path(value).expanduser().absolute())
        for name in _PLACES
        if (value := os.environ.get(name))
    }
    return install.of_command([*_program(), "mcp", *served], environment)


def _program() -> list[str]:
    """How this program is run, from wherever a client starts it."""
    script = Path(sys.argv[0]).absolute()
    if script.name == "searchkit" and script.is_file():
        return [str(script)]
    checkout = Path(places.__file__).parents[1] / "cli.py"
    if checkout.is_file():
        return [sys.executable, str(checkout)]
    return [sys.executable, "-m", "searchkit"]
