"""Generation by any server that speaks OpenAI's protocol: vLLM, llama.cpp, Ollama, a hosted one.

A conversation is sent to `<url>/chat/completions`, and the answer comes back as server-sent events.
Nothing is sent to a place that the user did not name, and redirections are not followed.
"""

import json
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

import httpx2

from searchkit.corpus.lines import shown
from searchkit.errors import BadInput, SearchkitError
from searchkit.generate.messages import Message

TOKEN = "SEARCHKIT_LLM_TOKEN"
_CONTEXT_TOKENS = 4096  # of a server that does not say: what small models read
_BYTES_A_TOKEN = 3  # few: counting too many tokens leaves room, too few overflow
# The first token may take minutes: a model may have to be loaded, and it reads the whole prompt.
_TIMEOUT = httpx2.Timeout(10.0, read=300.0)
# An answer takes seconds, a connection milliseconds: none is kept, so none has to be closed.
_LIMITS = httpx2.Limits(max_keepalive_connections=0)
_DONE = "[DONE]"


def open_endpoint(
    url: str, model: str | None = None, token: str | None = None
) -> "EndpointGenerator":
    """Reach an endpoint and choose its model.

    Args:
        url: where the protocol begins, such as http://localhost:8000/v1; a bare host means its /v1.
        model: one that it serves; the first of its list by default.
        token: for its API; that of the environment variable SEARCHKIT_LLM_TOKEN by default.

    Raises:
        BadInput: the URL is none, or the token cannot be sent.
        SearchkitError: it cannot be reached, does not speak the protocol, or has no model.
    """
    place = _place(url)
    headers = {}
    if key := token or os.environ.get(TOKEN):
        if not (key.isascii() and key.isprintable()):
            raise BadInput(
                f"the API token of {TOKEN} holds a character that none has; copy it anew"
            )
        headers["Authorization"] = f"Bearer {key}"
    client = httpx2.Client(base_url=place, headers=headers, timeout=_TIMEOUT, limits=_LIMITS)
    return EndpointGenerator(client, model)


class EndpointGenerator:
    """A model behind a client that knows the server's place and token."""

    def __init__(self, client: httpx2.Client, model: str | None) -> None:
        self._client = client
        self._place = str(client.base_url).rstrip("/")
        listed = self._models() if model is None else []
        if model is None and not listed:
            raise SearchkitError(f"{self._place}/models lists no model; name one")
        chosen = listed[0] if listed else {"id": model}
        self.name = str(chosen["id"])
        told = chosen.get("max_model_len") or chosen.get("context_length")  # vLLM; others
        self.context_tokens = told if isinstance(told, int) and told > 0 else _CONTEXT_TOKENS

    def count_tokens(self, text: str) -> int:
        """An estimate on the safe side: the server alone has the tokenizer."""
        return math.ceil(len(text.encode()) / _BYTES_A_TOKEN)

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Iterator[str]:
        """The answer in pieces; closing the iterator closes the connection. See `Generator`."""
        body = {
            "model": self.name,
            "messages": [{"role": one.role, "content": one.text} for one in messages],
            "max_tokens": max_tokens,
            "temperature": temperature,
            "seed": seed,
            "stream": True,
        }
        finished = False
        try:
            with self._client.stream("POST", "chat/completions", json=body) as response:
                self._check(response)
                for data in _events(response.iter_lines()):
                    if data == _DONE:
                        return
                    choice = self._choice(data)
                    if piece := (choice.get("delta") or {}).get("content"):
                        yield piece
                    finished = finished or bool(choice.get("finish_reason"))
        except httpx2.HTTPError as error:
            raise self._failed(error) from error
        if not finished:
            raise SearchkitError(
                f"{self._place} ended the answer before it was finished; ask again, or look into "
                "the server's log"
            )

    def _models(self) -> list[dict[str, Any]]:
        try:
            with self._client.stream("GET", "models") as response:
                self._check(response)
                text = response.read()
        except httpx2.HTTPError as error:
            raise self._failed(error) from error
        try:
            rows = json.loads(text)["data"]
            return [row for row in rows if row["id"]]
        except (ValueError, LookupError, TypeError) as error:
            raise self._other_protocol("/models", text.decode(errors="replace")) from error

    def _choice(self, data: str) -> dict[str, Any]:
        """The choice of one event; an empty one where it has none, as those that count tokens."""
        try:
            event = json.loads(data)
            if "error" in event:
                raise SearchkitError(f"{self._place} broke off: {_complaint(event)}")
            found: dict[str, Any] = (event["choices"] or [{}])[0]
            if isinstance(found, dict) and isinstance(found.get("delta") or {}, dict):
                return found
        except (ValueError, LookupError, TypeError) as error:
            raise self._other_protocol("an event", data) from error
        raise self._other_protocol("an event", data)

    def _check(self, response: httpx2.Response) -> None:
        """Refuse whatever is not success."""
        if response.is_success:
            return
        text = response.read().decode(errors="replace")
        hint = {
            401: f"; set {TOKEN}",
            403: f"; set {TOKEN}",
            404: "; check the URL and the model",
        }.get(response.status_code, "")
        try:
            said = _complaint(json.loads(text))
        except ValueError:
            said = shown(text.strip())
        raise SearchkitError(
            f"{response.url} answered {response.status_code} {response.reason_phrase}: {said}{hint}"
        )

    def _failed(self, error: httpx2.HTTPError) -> SearchkitError:
        why = " ".join(str(error).split()) or type(error).__name__
        return SearchkitError(
            f"{self._place} cannot be talked to: {why}; check that the server runs, and its URL"
        )

    def _other_protocol(self, what: str, text: str) -> SearchkitError:
        return SearchkitError(
            f"{self._place} does not speak OpenAI's protocol: {what} is {shown(text.strip())}; "
            "check the URL, which often ends in /v1"
        )


def _place(text: str) -> httpx2.URL:
    """The URL that the protocol's paths are added to."""
    wrong = f"{shown(text)} is no endpoint; give a URL such as http://localhost:8000/v1"
    try:
        url = httpx2.URL(text.strip())
    except httpx2.InvalidURL as error:
        raise BadInput(wrong) from error
    if url.userinfo:
        raise BadInput(f"an endpoint's URL holds no password; set {TOKEN} instead")
    if url.scheme not in ("http", "https") or not url.host:
        raise BadInput(wrong)
    path = url.path.rstrip("/").removesuffix("/chat/completions") or "/v1"
    return url.copy_with(path=path, query=None, fragment=None)


def _events(lines: Iterator[str]) -> Iterator[str]:
    """The data of server-sent events."""
    for line in lines:
        name, _, value = line.partition(":")
        if name == "data" and value.strip():
            yield value.strip()


def _complaint(answer: Any) -> str:
    """What a server says is wrong, in whichever of the usual forms."""
    found = (
        answer.get("error", answer.get("detail", answer)) if isinstance(answer, dict) else answer
    )
    return shown(found.get("message", found) if isinstance(found, dict) else found)
