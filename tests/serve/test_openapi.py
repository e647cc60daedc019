"""The description of the API, and requests that are made from it: nothing that comes breaks it."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

ROUTES = [
    ("GET", "/api/indexes"),
    ("GET", "/api/indexes/{index}"),
    ("POST", "/api/indexes/{index}/search"),
    ("GET", "/api/indexes/{index}/search"),
    ("POST", "/api/indexes/{index}/ask"),
    ("GET", "/api/indexes/{index}/documents"),
    ("GET", "/api/indexes/{index}/document"),
    ("GET", "/api/indexes/{index}/span"),
    ("GET", "/api/indexes/{index}/passages"),
    ("GET", "/api/indexes/{index}/judgements"),
    ("POST", "/api/indexes/{index}/judgements"),
    ("POST", "/v1/embeddings"),
    ("GET", "/v1/models"),
    ("GET", "/api/health"),
    ("GET", "/api/ready"),
    ("GET", "/metrics"),
]
PROMISES = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)


def described(server):
    with server.http() as http:
        return http.get("/openapi.json").json()


def breaks_nothing(server, method, path, examples):
    """Ask one route for what its description allows, and for what it forbids."""
    load_all_checks()
    schema = schemathesis.openapi.from_dict(described(server))
    operation = schema[path][method]
    promises = CHECKS.get_by_names(PROMISES)
    modes = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=modes[0] | modes[1])
    def ask(case):
        if case.path_parameters and examples % 2 == 0 and "index" in case.path_parameters:
            case.path_parameters["index"] = "manual"
        case.call_and_validate(base_url=server.url.rstrip("/"), checks=promises, timeout=60)

    ask()


def test_every_route_is_described_with_what_it_refuses(server):
    paths = described(server)["paths"]
    found = {(method.upper(), path) for path, of in paths.items() for method in of}
    assert found == set(ROUTES)
    for path, operations in paths.items():
        for operation in operations.values():
            assert operation["summary"], path
            assert operation["description"], path
            if path not in ("/api/health", "/api/ready"):
                assert {"400", "401", "403", "421"} <= set(operation["responses"]), path
    for name in ("SearchAsked", "AskAsked", "JudgementAsked", "EmbeddingsAsked"):
        assert described(server)["components"]["schemas"][name]["examples"]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nothing_that_comes_breaks_a_route(server, method, path):
    breaks_nothing(server, method, path, examples=12)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nothing_breaks_a_route_however_long_it_is_tried(server, method, path):
    for examples in (400, 401):  # of an index that is there, and of any name
        breaks_nothing(server, method, path, examples)
