"""The way in which an index is searched unless a search says otherwise."""

from typing import Any

from searchkit.errors import UnknownName
from searchkit.index.store import Store
from searchkit.search import contents

_PART = "default"


def set_default(store: Store, mode: str, variant: str | None) -> None:
    """Make a mode, and the encoder whose vectors it searches, the default of an index.

    It goes when another corpus takes the place of the index's.

    Args:
        store: the index.
        mode: "bm25", "dense" or "hybrid".
        variant: the name of an encoder; None for bm25, which searches no vectors.

    Raises:
        UnknownName: the index has no vectors of that name.
        SearchkitError: another process is writing the index.
        ValueError: there is no such mode, or it does not go with the variant.
    """
    if mode not in ("bm25", "dense", "hybrid") or (mode == "bm25") != (variant is None):
        raise ValueError(f"no index can be searched with {mode!r} and the vectors of {variant!r}")
    with store.writing() as draft:
        if variant is not None and variant not in contents.encoders(store):
            raise UnknownName(
                f"{store.path} holds no vectors of {variant!r}; there are: "
                f"{', '.join(contents.encoders(store)) or 'none'}; add them with searchkit index, "
                "and pick again"
            )
        draft.add(_PART, {"mode": mode, "variant": variant})
        draft.commit()


def default_of(store: Store) -> dict[str, Any] | None:
    """The default that was set: `mode` and `variant`, which is None for bm25; or None."""
    return dict(store.facts(_PART)) if _PART in store.names() else None
