"""A server on an address: who may ask it there, and how it ends."""

import ipaddress
import signal
import socket
from collections.abc import Callable, Sequence

import uvicorn

from searchkit.errors import BadInput, SearchkitError
from searchkit.serve.guard import App, Names

_HEAD = 256 << 10  # bytes of an address and headers: the longest id and query, percent-encoded
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address.

    Raises:
        BadInput: the host is no name and no address of any machine.
    """
    return all(ipaddress.ip_address(address).is_loopback for address in _addresses(host))


def names_of(host: str, others: Sequence[str] = ()) -> Names:
    """The names under which a server on a host may be asked.

    Args:
        host: where it listens.
        others: names that lead to it besides, such as that of a proxy.

    Raises:
        BadInput: one of the others is no plain name.
    """
    for other in others:
        if not other or set(other) & set("/:@ *") or not other.isascii() or not other.isprintable():
            raise BadInput(
                f"--allow-host {other!r} is not a name; give it without scheme and port, as in "
                "search.example.org"
            )
    everywhere = any(ipaddress.ip_address(one).is_unspecified for one in _addresses(host))
    own = set() if everywhere else {host.lower()}
    return Names(_LOCAL | own | {other.lower() for other in others}, any_address=everywhere)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; any free port for 0.

    Raises:
        SearchkitError: somebody else has the port, or the address is not this machine's.
    """
    address = _addresses(host)[0]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise SearchkitError(
            f"cannot listen on {host} port {port} ({error.strerror}); choose another --port, or 0 "
            "for any that is free"
        ) from error
    return listening


def address_of(listening: socket.socket) -> str:
    """The address of a listening socket, for a browser."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def server_of(
    app: App, *, drain_s: float = 30.0, ready: Callable[[], None] = lambda: None
) -> uvicorn.Server:
    """A server that is yet to be run; to set its `should_exit` ends it.

    Args:
        app: see `app.create_app`.
        drain_s: how long requests under way have when it ends.
        ready: called when the first request can come.
    """
    return _Server(app, drain_s, ready)


def run(server: uvicorn.Server, listening: socket.socket) -> None:
    """Serve until SIGTERM or Ctrl-C; requests under way are answered first.

    Args:
        server: see `server_of`.
        listening: see `listen`; it is closed at the end.
    """
    # uvicorn handles both itself, and afterwards sends itself those that came: to these.
    before = {number: signal.signal(number, _ignore) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run(sockets=[listening])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Server(uvicorn.Server):
    def __init__(self, app: App, drain_s: float, ready: Callable[[], None]) -> None:
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            h11_max_incomplete_event_size=_HEAD,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=max(1, round(drain_s)),
        )
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def _ignore(number: int, frame: object) -> None:
    """What there is to do was done."""


def _addresses(host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise BadInput(
            f"--host {host!r} is not an address of this machine ({error}); give one such as "
            "127.0.0.1, or 0.0.0.0 for all"
        ) from error
    return [str(one[4][0]).partition("%")[0] for one in found]
