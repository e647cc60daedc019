"""What no index can be asked: a query that is empty, or no text."""

from searchkit.errors import BadInput


def refuse_unreadable(query: str, name: str = "the query") -> None:
    """Say what is wrong with a query that nothing could answer.

    Args:
        query: what was asked.
        name: which one it is, of several.

    Raises:
        BadInput: it is empty, or not whole Unicode.
    """
    if not query.strip():
        raise BadInput(f"{name} is empty; type what to look for")
    try:
        query.encode()
    except UnicodeEncodeError as error:  # what a terminal or JSON can bring, no index reads
        raise BadInput(
            f"{name} holds {query[error.start]!r}, which is not a character; write it in UTF-8"
        ) from error
