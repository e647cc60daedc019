"""Who is answered, and what nobody is: other sites, other names, other files."""

import json
import os

import pytest

from searchkit.errors import BadInput
from searchkit.serve import running, tokens
from searchkit.serve.client import ServerError
from searchkit.serve.guard import Names
from searchkit.serve.tokens import Token
from tests.serve.conftest import until

SECRET = "the secret that no index holds"


def request(path="/api/health", host="localhost", method="GET", extra=b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n".encode()
    return head + extra + b"\r\n"


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8765", "127.0.0.1", "127.0.0.2:99", "[::1]:80", "localhost."]
)
def test_names_of_this_machine_are_answered(server, host):
    assert status(server.raw(request(host=host))) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "evil.example:8765",
        "localhost@evil.example",
        "127.0.0.1.evil.example",
        "192.168.0.7",
        "localhost:80@evil",
        "[::1",
        "[::2]",
        "",
    ],
)
def test_a_name_that_only_points_here_is_not_answered(server, host):
    answer = server.raw(request(host=host))
    assert status(answer) in (400, 421)
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["status"] == status(answer)


def test_two_host_headers_are_none(server):
    answer = server.raw(request(extra=b"Host: localhost\r\n"))
    assert status(answer) == 400


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1", "x"])
def test_pages_of_other_sites_are_not_answered(server, origin):
    extra = f"Origin: {origin}\r\n".encode()
    for method in ("GET", "POST", "OPTIONS"):
        answer = server.raw(request("/api/indexes", f"localhost:{server.port}", method, extra))
        assert status(answer) == 403
        assert b"access-control" not in answer.lower()


def test_the_own_page_is_answered(server):
    host = f"localhost:{server.port}"
    assert (
        status(server.raw(request(host=host, extra=f"Origin: http://{host}\r\n".encode()))) == 200
    )


def test_every_answer_has_the_headers_that_bind_a_browser(server):
    with server.http() as http:
        answers = [http.get(path) for path in ("/", "/api/indexes", "/nothing", "/metrics")]
        answers.append(http.get("/api/indexes", headers={"Host": "evil.example"}))
    for answer in answers:
        assert answer.headers["content-security-policy"].startswith(
            "default-src 'none'; script-src"
        )
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "server" not in answer.headers


def test_without_the_token_nothing_is_told(serve, manual, tmp_path):
    file = tmp_path / "token"
    token = tokens.new(file)
    server = serve(manual, token=Token(file))
    with server.http() as http:
        for path in ("/api/indexes", "/metrics", "/v1/models", "/openapi.json", "/nothing"):
            answer = http.get(path)
            assert (path, answer.status_code) == (path, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
            assert "manual" not in answer.text
        for given in (
            "Bearer",
            "Bearer x",
            f"Basic {token}",
            token,
            f"Bearer {token}x",
            "Bearer é",
        ):
            refused = http.get("/api/indexes", headers={"Authorization": given.encode()})
            assert refused.status_code == 401
        twice = [("Authorization", f"Bearer {token}"), ("Authorization", "Bearer x")]
        assert http.get("/api/indexes", headers=twice).status_code == 401
        for path in ("/api/health", "/api/ready", "/"):
            assert http.get(path).status_code == 200
    with server.client(token) as client:
        assert client.indexes()[0]["name"] == "manual"
    with server.client() as client, pytest.raises(ServerError, match="401: the request has no"):
        client.indexes()
    assert token not in server.log.getvalue()


def test_only_the_hash_of_a_token_is_kept_and_only_its_owner_reads_it(tmp_path):
    file = tmp_path / "deep" / "token"
    first, second = tokens.new(file), tokens.new(file)
    content = file.read_text()
    assert first != second
    assert second not in content
    assert len(second) > 40
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]
    token = Token(file)
    assert token.accepts(second)
    assert not token.accepts(first)
    assert not token.accepts("")
    assert not token.accepts("\ud800")
    file.chmod(0o640)
    with pytest.raises(BadInput, match="has mode 640, and others may read it: chmod 600"):
        Token(file)
    file.chmod(0o600)
    file.write_text(second)
    with pytest.raises(BadInput, match="does not hold the hash of a token"):
        Token(file)
    file.unlink()
    with pytest.raises(BadInput, match="make one with: searchkit serve --new-token"):
        Token(file)


def test_where_a_server_listens_decides_how_it_may_be_called():
    assert running.is_loopback("127.0.0.1")
    assert running.is_loopback("localhost")
    assert running.is_loopback("::1")
    assert not running.is_loopback("0.0.0.0")
    everywhere = running.names_of("0.0.0.0", ["Search.lan"])
    assert everywhere.allow("192.168.0.7:8765")  # rebinding needs a name
    assert everywhere.allow("search.lan")
    assert not everywhere.allow("evil.example")
    assert not Names().allow("192.168.0.7")
    with pytest.raises(BadInput, match="--allow-host 'http://x' is not a name"):
        running.names_of("127.0.0.1", ["http://x"])
    with pytest.raises(BadInput, match="is not an address of this machine"):
        running.is_loopback("no such host")


PATHS = [
    "../../../../etc/passwd",
    "/etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e/secret.md",
    "....//secret.md",
    "..\\secret.md",
    "lab/../../secret.md",
    "link.md",
    "linked/secret.md",
    "file:///etc/passwd",
    "lab/autoclave.md\x00.txt",
    "",
]


def test_no_address_leads_out_of_the_index(serve, notes, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.md").write_text(SECRET)
    (notes.folder / "link.md").symlink_to(outside / "secret.md")
    (notes.folder / "linked").symlink_to(outside)
    notes.follow()
    server = serve(notes.path)
    with server.http() as http:
        for path in PATHS:
            for route in ("document", "span", "passages"):
                answer = http.get(f"/api/indexes/notes/{route}", params={"id": path, "q": "secret"})
                assert answer.status_code in (404, 422), (route, path)
                assert SECRET not in answer.text
            for address in (f"/static/{path}", f"/{path}", f"/api/indexes/{path}"):
                answer = server.raw(request(address.replace("\x00", "%00").replace(" ", "%20")))
                assert SECRET.encode() not in answer
                assert b"root:" not in answer
                assert status(answer) in (200, 400, 404), address
        page = http.get("/api/indexes/notes/documents").json()["documents"]
        assert all("link" not in one["doc_id"] for one in page)
        assert http.get("/static/../app.py").status_code == 404
        assert http.get("/static/%2e%2e/app.py").status_code == 404


def test_a_file_that_became_a_link_is_read_from_the_index_alone(serve, notes, tmp_path):
    (tmp_path / "secret.md").write_text(SECRET)
    server = serve(notes.path)
    file = notes.folder / "boats" / "ferry.txt"
    text = file.read_text()
    file.unlink()
    file.symlink_to(tmp_path / "secret.md")
    with server.client() as client:
        assert client.document("notes", "boats/ferry.txt")["text"] == text.rstrip("\n")


def test_the_page_is_served_and_nothing_that_a_link_in_its_folder_leads_to(tmp_path):
    from starlette.exceptions import HTTPException

    from searchkit.serve.static import Page

    folder = tmp_path / "page"
    folder.mkdir()
    (folder / "index.html").write_text("<p>page</p>")
    (tmp_path / "secret.js").write_text(SECRET)
    (folder / "own.js").symlink_to(tmp_path / "secret.js")
    (folder / "notes.txt").write_text(SECRET)
    page = Page(folder)
    assert page.answer("index.html").body == b"<p>page</p>"
    for name in ("own.js", "notes.txt", "../secret.js", "", ".", "/index.html"):
        with pytest.raises(HTTPException):
            page.answer(name)


def test_names_and_queries_cannot_write_headers_or_lines_of_the_log(serve, manual):
    server = serve(manual)
    line = "%0d%0aX-Evil:%201%0d%0a%0d%0a<script>\u001b[2J"
    answer = server.raw(request("/api/indexes/" + line.replace("\u001b", "%1b")))
    assert status(answer) == 404
    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert b"x-evil" not in head
    assert b"application/json" in head
    with server.http() as http:
        http.get("/api/indexes/manual/search", params={"q": "a\r\nb: secret words"})
        http.get("/api/indexes/manual/document", params={"id": "a\r\nX-Evil: 1"})
    until(lambda: len(server.log.getvalue().splitlines()) >= 3)
    told = server.log.getvalue()
    assert len(told.splitlines()) == 3
    assert all(one.isprintable() and one.isascii() for one in told.splitlines())
    assert "secret words" not in told
    assert "\\x0d\\x0aX-Evil" in told


def test_queries_are_told_only_where_that_was_asked_for(serve, manual):
    from io import StringIO

    from searchkit.serve.logs import Log

    log = StringIO()
    server = serve(manual, log=Log(log, queries=True))
    with server.client() as client:
        client.search("manual", "a word\nof mine")
    assert "a word\\nof mine" in log.getvalue()


def test_folders_of_this_machine_are_in_no_message(serve, notes, manual, tmp_path):
    server = serve(notes.path, manual)
    said = []
    with server.http() as http:
        for body in ({"variant": "nope"}, {"mode": "bm25", "variant": "x"}, {"mode": "dense"}):
            for name in ("notes", "manual"):
                answer = http.post(f"/api/indexes/{name}/search", json={"query": "sea", **body})
                said.append(answer.text)
    assert any("404" in one for one in said)
    assert all(str(tmp_path) not in one and str(manual.parent) not in one for one in said)
    assert all(os.environ["SEARCHKIT_HOME"] not in one for one in said)


def test_a_browser_says_which_page_asks(server):
    site = b"Sec-Fetch-Site: "
    for foreign in (b"cross-site", b"same-site"):
        told = site + foreign + b"\r\n"
        for path in ("/api/indexes", "/api/health", "/metrics", "/openapi.json"):
            assert status(server.raw(request(path, extra=told))) == 403
        for path in ("/", "/static/app.js"):
            assert status(server.raw(request(path, extra=told))) == 200
    for own in (b"same-origin", b"none"):
        assert status(server.raw(request("/api/indexes", extra=site + own + b"\r\n"))) == 200


def test_a_new_token_makes_the_older_one_void_for_a_server_that_runs(tmp_path):
    file = tmp_path / "token"
    first = tokens.new(file)
    token = Token(file)
    assert token.accepts(first)
    second = tokens.new(file)
    assert not token.accepts(first)
    assert token.accepts(second)
    file.unlink()
    assert not token.accepts(second)
    assert token.accepts(third := tokens.new(file))
    file.chmod(0o644)
    assert not token.accepts(third)
