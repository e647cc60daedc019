"""Vectors as OpenAI's /v1/embeddings gives them."""

import asyncio
import base64
import json
from typing import Any

import numpy as np

from searchkit.errors import BadInput, UnknownName
from searchkit.serve.batching import Embedded
from searchkit.serve.messages import EmbeddingsAsked
from searchkit.serve.shelf import Shelf


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
    futures = [batcher.submit(text, asked.input_type) for text in texts]
    try:
        found = await asyncio.gather(*map(asyncio.wrap_future, futures))
    except BaseException:
        for future in futures:
            future.cancel()
        raise
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
        if asked.dimensions > len(vector):
            raise BadInput(
                f"dimensions is {asked.dimensions}, and {asked.model} gives {len(vector)}; ask for "
                "fewer"
            )
        vector = vector[: asked.dimensions]
        vector = vector / max(float(np.linalg.norm(vector)), 1e-12)
    if asked.encoding_format == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")
    return vector.tolist()
