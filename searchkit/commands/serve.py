"""searchkit serve: indexes over HTTP, for a browser and for programs."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from searchkit.commands import _options as options
from searchkit.commands._streams import say
from searchkit.errors import BadInput, MissingExtra, UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable

    from searchkit.encode.embedder import TextEncoder
    from searchkit.encode.variant import Variant
    from searchkit.generate.messages import Generator
    from searchkit.search.reranking import Reranker
    from searchkit.serve.guard import Names
    from searchkit.serve.tokens import Token

_LIMITS: dict[str, Any] = {"rich_help_panel": "Limits"}
_ACCESS: dict[str, Any] = {"rich_help_panel": "Access", "show_default": False}
_RERANKERS = ("query_likelihood", "llm_yes_no")
_MB = 1 << 20


def run(
    indexes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[INDEX]...",
            help="Names of indexes, or their directories. [default: all, new ones too]",
            show_default=False,
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port; 0 for any that is free.")
    ] = 8765,
    llm: Annotated[
        str,
        typer.Option(help="The language model that may write answers, or none.", metavar="BASE"),
    ] = "smollm2-135m",
    rerank: Annotated[
        list[str] | None,
        typer.Option(
            help="A reranker that searches may ask for; repeatable. [default: query_likelihood and "
            "llm_yes_no]",
            show_default=False,
        ),
    ] = None,
    variant: options.VariantNames = None,
    new_token: Annotated[
        bool,
        typer.Option(
            "--new-token", help="Make a token, print it once, keep its hash, and end.", **_ACCESS
        ),
    ] = False,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="The file with the hash of the token, which is then needed on any address. "
            "[default: serve-token in SEARCHKIT_HOME, with --allow-host or a --host that others "
            "can reach]",
            **_ACCESS,
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            help="Another name under which the server is asked, such as a proxy's; repeatable. "
            "A token is needed then.",
            **_ACCESS,
        ),
    ] = None,
    max_concurrency: Annotated[
        int, typer.Option(min=1, help="Requests under way at once; more are told 429.", **_LIMITS)
    ] = 512,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds until an answer must have begun.", **_LIMITS)
    ] = 30.0,
    max_body: Annotated[
        int, typer.Option(min=1, help="MB that a request may have.", **_LIMITS)
    ] = 4,
    cache: Annotated[int, typer.Option(min=0, help="MB of answers that are kept.", **_LIMITS)] = 64,
    batch: Annotated[
        int, typer.Option(min=1, help="Queries that are encoded at once at most.", **_LIMITS)
    ] = 64,
    drain: Annotated[
        float,
        typer.Option(min=1.0, help="Seconds for requests under way when it ends.", **_LIMITS),
    ] = 30.0,
    log_queries: Annotated[
        bool, typer.Option("--log-queries", help="Tell what is searched for in the log.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Log no requests.")] = False,
    device: options.DeviceOption = None,
) -> None:
    """Serve indexes over HTTP: a page to search with, an API, and embeddings.

    Only this machine can reach it unless --host says otherwise, or --allow-host that a proxy leads
    here; then every request needs a token.
    A changed index is taken up as it is committed. SIGTERM and Ctrl-C end it, after the requests
    that are under way.

    Examples:
      searchkit serve

      searchkit serve notes --port 0 --llm none

      searchkit serve --new-token && searchkit serve --host 0.0.0.0 --allow-host search.lan
    """
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MissingExtra(
            "the server needs FastAPI and uvicorn: pip install 'searchkit[serve]'"
        ) from error
    from searchkit.serve import running, tokens

    if new_token:
        file = token_file or tokens.path()
        typer.echo(tokens.new(file))
        say(f"note: this is shown once; its hash is kept in {file}, and an older token is void")
        return
    from searchkit.serve.app import Settings, create_app
    from searchkit.serve.guard import Limits
    from searchkit.serve.logs import Log
    from searchkit.serve.shelf import Shelf

    names, token = _access(host, token_file, allow_host or [])
    paths = (
        {one.resolve().name: one for one in map(options.index_path, indexes)} if indexes else None
    )
    if paths and indexes and len(paths) < len(indexes):
        raise BadInput(f"two of {', '.join(indexes)} have one name; serve one of them")
    settings = Settings(
        names=names,
        token=token,
        limits=Limits(body=max_body * _MB, answer_s=timeout, requests=max_concurrency),
        log=Log(queries=log_queries, quiet=quiet),
        cache=cache * _MB,
        rerankers=_rerankers(rerank, device),
        generator=None if llm == "none" else _generator(llm, device),
    )
    shelf = Shelf(paths, device=device, batch=batch, extra=_encoders(variant, device))
    shelf.look()
    listening = running.listen(host, port)
    address = running.address_of(listening)

    def ready() -> None:
        served = ", ".join(shelf.names()) or "no index yet"
        typer.echo(f"serving {served} at {address}")
        for name in shelf.names():
            if fault := shelf.get(name).fault:
                say(f"note: {name} cannot be served: {fault}")
        if allow_host and running.is_loopback(host):
            say(f"note: {allow_host[0]} leads here, so every request needs the token")
        if not running.is_loopback(host):
            say(
                "note: others can reach this address; every request needs the token, and travels "
                "in the clear unless a proxy speaks TLS"
            )

    server = running.server_of(create_app(shelf, settings), drain_s=drain, ready=ready)
    running.run(server, listening)
    running.leave()


def _access(host: str, token_file: Path | None, others: list[str]) -> "tuple[Names, Token | None]":
    """The names under which the server may be asked, and the token that it wants."""
    from searchkit.serve import running, tokens

    names = running.names_of(host, others)
    if running.is_loopback(host) and token_file is None and not others:
        return names, None
    file = token_file or tokens.path()
    if not file.exists():
        reached = f"{others[0]} leads here" if others else f"others can reach {host}"
        raise BadInput(
            f"{reached}, so the server needs a token, and there is none in {file}; make one with: "
            "searchkit serve --new-token"
        )
    return names, tokens.Token(file)


def _encoders(
    names: list[str] | None, device: str | None
) -> "dict[str, Callable[[], TextEncoder]]":
    variants = options.variants(names)
    if not variants:
        return {}
    from searchkit.encode.loading import open_embedders

    def load(variant: "Variant") -> "TextEncoder":
        return next(open_embedders([variant], device=device))

    return {one.name: partial(load, one) for one in variants}


def _rerankers(names: list[str] | None, device: str | None) -> "dict[str, Callable[[], Reranker]]":
    from searchkit import catalog
    from searchkit.search.reranking import RERANKERS, label, open_reranker

    chosen = _RERANKERS if names is None else names
    there = catalog.names(RERANKERS)
    if unknown := [one for one in chosen if one.partition(":")[0] not in there]:
        raise UnknownName(f"there is no reranker {unknown[0]!r}; there are: {', '.join(there)}")
    return {label(one): partial(open_reranker, one, device=device) for one in chosen}


def _generator(base: str, device: str | None) -> "Callable[[], Generator]":
    def load() -> "Generator":
        from searchkit.generate.local import open_local

        return open_local(base, device)

    return load
