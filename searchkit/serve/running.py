"""A server on an address: who may ask it there, and how it ends."""

import asyncio
import gc
import ipaddress
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from searchkit.errors import BadInput, SearchkitError
from searchkit.serve.guard import Guard, Names

_HEAD = 256 << 10  # bytes of an address and headers: the longest id and query, percent-encoded
# A ranking makes thousands of small objects that live for milliseconds. At the usual thresholds
# they set off a walk through all of PyTorch's every few searches, a fifth of the time under load.
_COLLECT = 50_000, 20, 100
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
    app: Guard, *, drain_s: float = 30.0, ready: Callable[[], None] = lambda: None
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
    gc.set_threshold(*_COLLECT)
    # uvicorn handles both itself, and afterwards sends itself those that came: to these.
    before = {number: signal.signal(number, _ignore) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run(sockets=[listening])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave() -> None:
    """End the process after `run`, whatever its threads still compute for nobody."""
    if any(not one.daemon for one in threading.enumerate() if one is not threading.main_thread()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


class _Connection(H11Protocol):
    """A connection that nobody can hold open for nothing.

    It is taken while there are few; addresses and headers must come in time, and of what is sent
    something must be read from time to time.
    """

    def __init__(self, config: uvicorn.Config, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        assert isinstance(config.app, Guard)
        self._limits = config.app.limits
        self._head: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # `pause_writing` at once, not after 64 KB
        if len(self.connections) > self._limits.requests + self._limits.waiting:
            transport.abort()
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._expect_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.trailing_data[0]:  # a part of the next head came with this request
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for timer in (self._head, self._unread):
            if timer is not None:
                timer.cancel()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _expect_head(self) -> None:
        """Wait for the head of a request while it has not come, however slowly it comes."""
        if self.conn.their_state is not h11.IDLE:
            if self._head is not None:
                self._head.cancel()
                self._head = None
        elif self._head is None:
            self._head = self.loop.call_later(self._limits.head_s, self.transport.abort)

    def _expect_reading(self) -> None:
        left = self.transport.get_write_buffer_size()

        def look() -> None:
            if self.transport.get_write_buffer_size() < left:
                self._expect_reading()
            else:
                self.transport.abort()

        self._unread = self.loop.call_later(self._limits.unread_s, look)


class _Server(uvicorn.Server):
    def __init__(self, app: Guard, drain_s: float, ready: Callable[[], None]) -> None:
        config = uvicorn.Config(
            app,
            http=_Connection,
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
