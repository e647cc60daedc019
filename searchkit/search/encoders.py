"""The encoders that made the vectors of an index, opened again for queries."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchkit.errors import BadInput
from searchkit.index.store import Store
from searchkit.search import contents

if TYPE_CHECKING:
    from searchkit.encode.embedder import TextEncoder
    from searchkit.index.vector import Vectors


EncodeQuery = Callable[[Store, str, str], "Vectors"]
"""An index, the name of one of its encoders and a text to its vector, (D,) float32.

It is given by whoever keeps the models, as a server does that encodes the queries of many at once.
"""


def is_trained(facts: Mapping[str, Any]) -> bool:
    """Whether whoever made the vectors that an index tells these facts of was trained to."""
    return facts["kind"] == "reference" or bool(facts["variant"]["weights"])


def open_encoders(
    store: Store,
    names: Sequence[str],
    *,
    device: str | None = None,
    memories: Path | None = None,
) -> Iterator["TextEncoder"]:
    """The encoders that made an index's vectors, to encode queries the same way.

    Variants that share a forward pass come as one; each is loaded when its turn comes, or, where
    `memories` are given, when there is a text that they do not know.

    Raises:
        BadInput: the base model on this machine is not the one that made the vectors.
    """
    facts = contents.encoders(store)
    for name in names:
        if facts[name]["kind"] == "reference":
            from searchkit.encode.reference import ReferenceEmbedder

            reference = ReferenceEmbedder(
                name, Path(facts[name]["folder"]), device=device, memories=memories
            )
            _same_base(store, facts[name], reference.facts(name)["base_hash"])
            yield reference
    # The engine and dtype of the index: no calibration at start, and the same arithmetic.
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for name in names:
        if facts[name]["kind"] == "variant":
            arithmetic = (facts[name]["engine"], facts[name]["dtype"])
            rows.setdefault(arithmetic, []).append(facts[name]["variant"])
    if not rows:
        return
    from searchkit.encode import calibration, embedder, loading
    from searchkit.encode.arithmetic import dtype_name
    from searchkit.encode.variant import Variant

    for (engine, dtype), alike in rows.items():
        number = calibration.dtype_for_queries(calibration.dtype_of(dtype))
        for group in embedder.share_a_pass([Variant.from_row(row) for row in alike]):
            if memories is None:
                loaded = embedder.load(
                    group,
                    engine=engine,
                    dtype=number,
                    device=calibration.device(device),
                    allow_untrained=True,  # whoever built the index was asked
                )
            else:
                how = {"engine": engine, "dtype": dtype_name(number)}
                (loaded,) = loading.remember(
                    group, memories, device=device, allow_untrained=True, **how
                )
            for variant in group:
                _same_base(store, facts[variant.name], loaded.base.hash)
            yield loaded


def query_encoder(
    encoder: "TextEncoder", name: str, say: Callable[[str], None] = lambda line: None
) -> "Callable[[Sequence[str]], Vectors]":
    """A function from queries to one encoder's vectors; `say` is told of queries that were cut."""

    def encode(queries: Sequence[str]) -> "Vectors":
        encoded = encoder.encode_prepared(encoder.prepare(queries, "query"))
        if encoded.truncated:
            limit = encoder.max_tokens
            say(
                f"{encoded.truncated} of {len(queries)} queries have over {limit} tokens and were "
                f"cut"
            )
        return encoded.vectors[name]

    return encode


def _same_base(store: Store, facts: dict[str, Any], found: str) -> None:
    name, wanted = facts["name"], facts["base_hash"]
    if wanted != found:
        raise BadInput(
            f"the vectors of {name} in {store.path} were made by a base model with hash "
            f"{wanted[:12]}, and the one on this machine has {found[:12]}; bring that model back, "
            "or run searchkit index again, which encodes anew what the new one makes differently"
        )
