"""Vectors as OpenAI's /v1/embeddings gives them."""

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from searchkit.errors import BadInput, UnknownName
from searchkit.serve.batching import Batcher, Embedded
from searchkit.serve.messages import EmbeddingsAsked
from searchkit.serve.shelf import Shelf

if TYPE_CHECKING:
    from searchkit.encode.embedder import Role


async def embeddings(shelf: Shelf, asked: EmbeddingsAsked) -> bytes:
    """The answer to a request for embeddings.

    Raises:
        UnknownName: no model of that name is served.
        EmptyText: a text has no token.
        BadInput: there are to be more dimensions than the model has.
    """
    models = shelf.models()
    batcher = models.get(asked.model)
    if batcher is None:
        raise UnknownName(
            f"no model {asked.model!r} is served; there are: {', '.join(sorted(models)) or 'none'}"
        )
    texts = [asked.input] if isinstance(asked.input, str) else asked.input
    for number, text in enumerate(texts):
        if not text.strip():
            raise BadInput(f"input {number} is empty; it has nothing to embed")
    found = []
    if asked.dimensions is not None:  # the first one tells how many there are, before all are made
        found = await _encoded(batcher, texts[:1], asked.input_type)
        if asked.dimensions > (size := len(found[0].vector)):
            raise BadInput(
                f"dimensions is {asked.dimensions}, and {asked.model} gives {size}; ask for fewer"
            )
    found += await _encoded(batcher, texts[len(found) :], asked.input_type)
    return await asyncio.to_thread(_answer, found, asked)


async def _encoded(batcher: Batcher, texts: list[str], role: "Role") -> list[Embedded]:
    futures = [batcher.submit(text, role) for text in texts]
    try:
        return await asyncio.gather(*map(asyncio.wrap_future, futures))
    except BaseException:
        for future in futures:
            future.cancel()
        raise


def _answer(found: list[Embedded], asked: EmbeddingsAsked) -> bytes:
    tokens = sum(one.tokens for one in found)
    data = [
        {"object": "embedding", "index": number, "embedding": _told(one, asked)}
        for number, one in enumerate(found)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    answer = {"object": "list", "data": data, "model": asked.model, "usage": usage}
    return json.dumps(answer).encode()


def _told(embedded: Embedded, asked: EmbeddingsAsked) -> Any:
    vector = embedded.vector
    if asked.dimensions is not None:
        vector = vector[: asked.dimensions]
        vector = vector / max(float(np.linalg.norm(vector)), 1e-12)
    if asked.encoding_format == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")
    return vector.tolist()
