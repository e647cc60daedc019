"""What a client may ask and what it gets, as JSON schemas that are short and that clients know."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from searchkit.errors import BadInput

LONGEST_QUERY = 4_000  # characters
LEAST_TOKENS, MOST_TOKENS = 300, 20_000  # some clients cut, or refuse, what is longer


class Arguments(BaseModel):
    """The arguments of a tool; what is unknown is refused, and null is as good as left out."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """What a tool answers, for a program; each has `written`, the same for a model to read."""


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Index = Annotated[
    str | None,
    Field(description="Name of the index, as list_indexes gives it; may be left out if only one."),
]
Words = Annotated[tuple[str, ...], BeforeValidator(_listed)]
MaxTokens = Annotated[
    int,
    Field(
        ge=LEAST_TOKENS,
        le=MOST_TOKENS,
        description="About how many tokens the answer may have; what does not fit is named, and "
        "next_cursor goes on from there.",
    ),
]
CursorArgument = Annotated[
    str | None,
    Field(description="next_cursor of an earlier answer to the same arguments, to go on from it."),
]


def read(model: type[Arguments], given: dict[str, Any]) -> Any:
    """Arguments as a client gave them.

    Raises:
        BadInput: the first of them that is missing, unknown, or not what it must be.
    """
    try:
        return model.model_validate({k: value for k, value in given.items() if value is not None})
    except ValidationError as error:
        fault = error.errors()[0]
        name = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "missing":
            raise BadInput(f"{name} is missing") from None
        if fault["type"] == "extra_forbidden":
            known = ", ".join(model.model_fields)
            raise BadInput(f"there is no argument {name[:60]!r}; there are: {known}") from None
        found = repr(fault["input"])
        shown = found if len(found) <= 60 else f"{found[:60]}…"
        raise BadInput(f"{name} is {shown}: {fault['msg']}") from None


def schema(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a model, without titles, and with nothing that may be null.

    A tool's schema is part of every conversation, and not every client reads `anyOf`.
    """
    lean = _lean(model.model_json_schema())
    assert isinstance(lean, dict)
    del lean["description"]  # it speaks to readers of this program
    return lean


def _lean(node: Any) -> Any:
    if isinstance(node, list):
        return [_lean(one) for one in node]
    if not isinstance(node, dict):
        return node
    lean: dict[str, Any] = {}
    for key, value in node.items():
        if key in ("properties", "$defs"):
            lean[key] = {name: _lean(one) for name, one in value.items()}
        elif key == "anyOf" and {"type": "null"} in value:
            (only,) = (one for one in value if one != {"type": "null"})
            lean |= _lean(only)
        elif key != "title" and not (key == "default" and value is None):
            lean[key] = _lean(value)
    return lean
