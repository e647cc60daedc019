"""What writes answers: the base of an index's own embedder, another model, or an endpoint."""

from typing import TYPE_CHECKING

from searchkit.search.source import Source

if TYPE_CHECKING:
    from searchkit.generate.messages import Generator

_URLS = ("http://", "https://")


def open_generator(
    source: Source, llm: str | None = None, *, variant: str | None = None, device: str | None = None
) -> "Generator":
    """Open what writes the answers from an index.

    Args:
        source: the index.
        llm: a URL that speaks OpenAI's protocol, a model folder or the name of a base; by default
            the base of the variant that searches, its adapter switched off.
        variant: whose base; by default that of the index's default encoder.
        device: where to compute; the best there is by default.

    Raises:
        UnknownName: nothing on this machine goes by that name.
        SearchkitError: it cannot be reached, or cannot generate.
    """
    return open_writer(llm or _base_of(source, variant or source.default.variant), device)


def open_writer(llm: str | None = None, device: str | None = None) -> "Generator":
    """Open an endpoint by its URL, or a base by its name or folder; the default base by default.

    Raises:
        UnknownName: nothing on this machine goes by that name.
        SearchkitError: it cannot be reached, or cannot generate.
    """
    if llm is not None and llm.startswith(_URLS):
        from searchkit.generate.endpoint import open_endpoint

        return open_endpoint(llm)
    from searchkit.encode.language_models import DEFAULT
    from searchkit.generate.local import open_local

    return open_local(llm or DEFAULT, device)


def identity(llm: str | None = None) -> str:
    """What tells one writer from another: an endpoint's URL, the hash of a base.

    Raises:
        UnknownName: nothing on this machine goes by that name.
    """
    if llm is not None and llm.startswith(_URLS):
        return llm
    from searchkit.encode import language_models

    return language_models.resolve(llm or language_models.DEFAULT).hash


def _base_of(source: Source, variant: str | None) -> str:
    """The base of a variant whose vectors are in an index; the default base where it has none."""
    from searchkit.encode.language_models import DEFAULT

    for part in source.store.names():
        if part.startswith(("encoder.", "vectors.")):
            facts = source.store.facts(part)
            if facts["name"] == variant and "variant" in facts:
                return str(facts["variant"]["base"])
    return DEFAULT
