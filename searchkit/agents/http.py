"""Streamable HTTP: for clients that do not start the server themselves.

Without a token only this machine is served, and only to what names it so: a page in a browser that
has its own name lead here (DNS rebinding) is refused by the Host and Origin headers that it sends.
With a token the token decides, wherever a request comes from.
"""

import hmac
import ipaddress
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from mcp.server import Server
from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from searchkit.errors import BadInput, SearchkitError

PATH = "/mcp"
_LARGEST_REQUEST = 256 * 1024  # bytes: a query, or a question
_GRACE_S = 3


def serve_http(
    server: Server[Any], host: str, port: int, token: str | None, say: Callable[[str], None]
) -> None:
    """Serve clients until the process is told to end.

    Args:
        server: what is served.
        host: the address to listen at.
        port: 0 takes a free one.
        token: what clients must bring; None for clients on this machine.
        say: told where the server is, once it listens.

    Raises:
        BadInput: the address is not this machine's own, and there is no token.
        SearchkitError: nobody can listen there.
    """
    if token is None and not is_loopback(host):
        raise BadInput(
            f"--host {host} is open to other machines, and there is no token; set one in "
            "SEARCHKIT_MCP_TOKEN or with --token-file, or leave out --host"
        )
    listener = _listen(host, port)
    port = listener.getsockname()[1]
    app: ASGIApp = server.streamable_http_app(
        streamable_http_path=PATH,
        stateless_http=True,  # nothing is remembered of a client
        json_response=True,
        max_request_body_size=_LARGEST_REQUEST,
        transport_security=_security(port)
        if token is None
        else TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    config = uvicorn.Config(
        app if token is None else _Guarded(app, token),
        log_config=None,  # its own would write to standard output
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    say(f"listening at http://{_in_url(host)}:{port}{PATH}")
    with listener:
        uvicorn.Server(config).run([listener])


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def checked_token(token: str, origin: str) -> str:
    """A token that is worth its name.

    Args:
        token: as it was found.
        origin: where, for the message.

    Raises:
        BadInput: it is short, or nothing that a header can carry.
    """
    token = token.strip()
    if len(token) < 16 or not token.isascii() or not token.isprintable() or " " in token:
        raise BadInput(
            f"{origin} holds {len(token)} characters; a token has 16 or more, ASCII without "
            "spaces: python -c 'import secrets; print(secrets.token_urlsafe())'"
        )
    return token


class _Guarded:
    """An application behind a bearer token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._may(scope):
            refusal = JSONResponse(
                {"error": "a token is needed: Authorization: Bearer TOKEN"},
                status_code=401,
                headers={"WWW-Authenticate": "Bearer"},
            )
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _may(self, scope: Scope) -> bool:
        headers = [value for name, value in scope["headers"] if name == b"authorization"]
        scheme, _, token = (headers[0] if len(headers) == 1 else b"").partition(b" ")
        same = hmac.compare_digest(token.strip(), self._token)
        return same and scheme.lower() == b"bearer"


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError as error:
        raise SearchkitError(
            f"cannot listen at {host}:{port} ({error.strerror}); choose another --port, or 0 for a "
            "free one"
        ) from error
    return listener


def _security(port: int) -> TransportSecuritySettings:
    """By which names this machine may be called, and by which pages."""
    hosts = [f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")]
    return TransportSecuritySettings(
        allowed_hosts=hosts, allowed_origins=[f"http://{host}" for host in hosts]
    )


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
