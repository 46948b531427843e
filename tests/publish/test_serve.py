"""The local server, over real HTTP."""

import http.client
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builder.errors import ContentError
from publish.errors import PublishError
from publish.serve import Server
from tests.servers import serving
from verifier.headers import (
    ALIAS,
    CHECKER,
    IMMUTABLE,
    POINTER,
    SECURITY_HEADERS,
    cache_control,
    content_type,
    headers_for,
)

PAGE = b"<!doctype html>\n<title>x</title>\n<p>Halo\n"
SHA = "0" * 64


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A public tree beside a secret, with links out of it and hidden files in it."""
    base = tmp_path_factory.mktemp("site")
    (base / "secret.txt").write_text("secret")
    (base / "outside").mkdir()
    (base / "outside" / "index.html").write_text("secret")
    root = base / "public"
    for name in (
        "index.html",
        "contoh/index.html",
        "contoh/ppwp/0.html",
        "contoh/ppwp/0.json",
        "contoh/.draft",
        ".well-known/security.txt",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PAGE if name.endswith("html") else b"{}")
    (root / "contoh" / "out.html").symlink_to(base / "secret.txt")
    (root / "contoh" / "outdir").symlink_to(base / "outside")
    (root / "contoh" / "in.html").symlink_to(root / "index.html")
    return root


@pytest.fixture(scope="module")
def server(public: Path) -> Iterator[Server]:
    with serving(Server(public, "127.0.0.1", 0)) as one:
        yield one


def ask(server: Server, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=20)
    connection.putrequest(method, path, skip_host=False)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


@pytest.mark.parametrize(
    "path", ["/", "/index.html", "/contoh/", "/contoh/ppwp/0.html", "/contoh/in.html", "/contoh/ppwp/0.html?x=1"]
)
def test_pages(server: Server, path: str) -> None:
    """A page, or the index of a folder, comes as HTML with every security header."""
    status, headers, body = ask(server, path)
    assert (status, body) == (200, PAGE)
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert SECURITY_HEADERS.items() <= {name: headers[name.lower()] for name in SECURITY_HEADERS}.items()
    assert "'unsafe" not in headers["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/contoh/..%2f..%2fsecret.txt",
        "/contoh/%2e%2e%2f%2e%2e%2fsecret.txt",
        "/..\\secret.txt",
        "//etc/passwd",
        "/contoh//ppwp/0.html",
        "/%00",
        "/index.html%00",
        "/%ff",
        "/contoh/out.html",
        "/contoh/outdir/",
        "/contoh/outdir/index.html",
        "/contoh/.draft",
        "/contoh/ppwp/",
        "/nothing.html",
        "/index.html/",
        "/index.html/x",
        "/" + "a" * 5_000,
        "/_terbit/events",
        "/_terbit/reload.js",
    ],
)
def test_nothing_else(server: Server, path: str) -> None:
    """No path leaves the tree, follows a link out of it, shows a hidden file or a listing; refusals have headers."""
    status, headers, body = ask(server, path)
    assert status == 404
    assert b"secret" not in body
    assert headers["content-security-policy"]


def test_well_known(server: Server) -> None:
    """Of hidden folders only .well-known is public."""
    assert ask(server, "/.well-known/security.txt")[0] == 200


def test_folder_without_slash(server: Server) -> None:
    """A folder's address without its slash leads to the one with it, so that relative links hold, on this host only."""
    status, headers, _ = ask(server, "/contoh")
    assert (status, headers["location"]) == (301, "/contoh/")
    assert ask(server, "//contoh")[1]["location"] == "/contoh/"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW"])
def test_read_only(server: Server, method: str) -> None:
    """Whatever is not GET or HEAD is answered 405, and the connection ends with its unread body."""
    status, headers, _ = ask(server, "/index.html", method)
    assert (status, headers["allow"], headers["connection"]) == (405, "GET, HEAD", "close")


@pytest.mark.parametrize("method", ["POST", "GET", "HEAD"])
@pytest.mark.parametrize("length", ["Content-Length: 35", "Transfer-Encoding: chunked"])
def test_body_is_not_a_second_request(server: Server, method: str, length: str) -> None:
    """The body of a request is not read as the next request, whether it is refused or answered."""
    with socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=20) as raw:
        raw.sendall(
            f"{method} /index.html HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\nGET /index.html HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        )
        received = b"".join(iter(lambda: raw.recv(65_536), b""))
    assert received.count(b"HTTP/1.1 ") == 1


def test_head(server: Server) -> None:
    """HEAD has the headers of GET and no body."""
    _, full, body = ask(server, "/contoh/ppwp/0.json")
    status, headers, nothing = ask(server, "/contoh/ppwp/0.json", "HEAD")
    assert (status, nothing) == (200, b"")
    assert int(headers["content-length"]) == len(body)
    assert {name: value for name, value in headers.items() if name != "date"} == {
        name: value for name, value in full.items() if name != "date"
    }


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}'])
def test_unchanged(server: Server, form: str) -> None:
    """A reader who has the file is told so, without its bytes."""
    etag = ask(server, "/index.html")[1]["etag"]
    status, headers, body = ask(server, "/index.html", If_None_Match=form.format(etag))
    assert (status, body, headers["etag"]) == (304, b"", etag)


def test_changed(tmp_path: Path) -> None:
    """A replaced file has another ETag, also at the same length."""
    (tmp_path / "a.html").write_bytes(b"one")
    with serving(Server(tmp_path, "127.0.0.1", 0)) as server:
        etag = ask(server, "/a.html")[1]["etag"]
        (tmp_path / "new").write_bytes(b"two")
        os.replace(tmp_path / "new", tmp_path / "a.html")
        assert ask(server, "/a.html", If_None_Match=etag)[2] == b"two"


SERVED = {
    (ALIAS, "text/html; charset=utf-8", False): ["index.html", "contoh/ppwp/0.html", "contoh/data/ppwp/0.html"],
    (ALIAS, "application/json", True): ["contoh/ppwp/0.json", "contoh/embed/ppwp/0.json"],
    (ALIAS, "text/plain; charset=utf-8", True): ["contoh/ppwp/0.json.minisig", "contoh/keys/minisign.pub"],
    (ALIAS, "text/css; charset=utf-8", False): ["contoh/assets/terbit.css"],
    (CHECKER, "text/javascript; charset=utf-8", False): ["contoh/sw.js"],
    (ALIAS, "text/javascript; charset=utf-8", False): ["contoh/assets/terbit.js"],
    (IMMUTABLE, "text/html; charset=utf-8", True): [f"contoh/targets/ppwp/{SHA}.0.html"],
    (IMMUTABLE, "text/plain; charset=utf-8", True): [f"contoh/targets/ppwp/{SHA}.0.json.minisig", f"contoh/packages/{SHA}/recap.toml"],
    (POINTER, "application/json", True): ["contoh/metadata/timestamp.json", "contoh/latest.json"],
    (IMMUTABLE, "application/json", True): ["contoh/metadata/12.snapshot.json", "contoh/metadata/12.ppwp-1101.json"],
    (POINTER, "text/plain; charset=utf-8", True): ["contoh/log/checkpoint"],
    (IMMUTABLE, "application/octet-stream", True): ["contoh/log/tile/0/000"],
    (IMMUTABLE, "text/csv; charset=utf-8", True): [f"contoh/packages/{SHA}/rows.csv"],
    (IMMUTABLE, "image/jpeg", True): [f"contoh/packages/{SHA}/Scan-0001.JPG", f"contoh/packages/{SHA}/110101_4.jpg"],
    (IMMUTABLE, "image/webp", True): [f"contoh/packages/{SHA}/110101_4.webp"],
    (ALIAS, "application/octet-stream", True): ["contoh/unknown.bin"],
    (ALIAS, "application/gzip", True): ["contoh/data/ppwp/0.areas.csv.gz"],
    (ALIAS, "application/vnd.apache.parquet", True): ["contoh/data/ppwp/0.areas.parquet"],
    (ALIAS, "application/ld+json", True): ["contoh/data/ppwp/0.dataset.jsonld"],
    (ALIAS, "application/atom+xml", True): ["contoh/feeds/releases.atom"],
    (ALIAS, "application/xml", True): ["contoh/sitemap.xml"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "cache", "kind", "data"), [(path, *served) for served, paths in SERVED.items() for path in paths]
)
def test_headers_by_path(path: str, cache: str, kind: str, data: bool) -> None:
    """Names with a hash or version never change; pointers and aliases soon may; only data is for other sites."""
    headers = headers_for(path)
    assert (cache_control(path), content_type(path)) == (cache, kind)
    assert ("Access-Control-Allow-Origin" in headers) is data
    assert headers["Cross-Origin-Resource-Policy"] == ("cross-origin" if data else "same-origin")


@pytest.mark.parametrize("root", ["contoh/", ""], ids=["domain", "election"])
def test_only_embeds_are_framed(root: str) -> None:
    """Pages for frames may stand on other sites and run nothing; no other page may, whichever folder is served as the root."""
    headers = headers_for(f"{root}embed/ppwp/1101/1101.html")
    assert "frame-ancestors *" in headers["Content-Security-Policy"]
    assert "script-src" not in headers["Content-Security-Policy"]
    assert headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    for name in ("index.html", "ppwp/0.html", "ppwp/1101/1101.html", "assets/periksa.html", "data/ppwp/0.html"):
        headers = headers_for(f"{root}{name}")
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize("root", ["contoh/", ""], ids=["domain", "election"])
@pytest.mark.parametrize("name", ["scan.html", "scan.svg", "scan.js", "scan.css", "a/b.html"])
def test_packages_have_no_rights(name: str, root: str) -> None:
    """A file that came within a package runs nothing and is never a page, whichever folder is served as the root."""
    headers = headers_for(f"{root}packages/{SHA}/{name}")
    assert "sandbox" in headers["Content-Security-Policy"]
    assert "script-src" not in headers["Content-Security-Policy"]
    assert not headers["Content-Type"].startswith(("text/html", "text/javascript", "text/css"))


def test_the_election_tells_what_is_not_there(public: Path, tmp_path: Path) -> None:
    """Where there is nothing, at any depth, the election's own page says so, with status 404; outside of elections a short one does."""
    root = tmp_path / "public"
    (root / "uji").mkdir(parents=True)
    (root / "uji" / "404.html").write_bytes(PAGE)
    with serving(Server(root, "127.0.0.1", 0)) as server:
        for path in ("/uji/lost.html", "/uji/ppwp/1101/lost.html", "/uji/lost/"):
            status, _, body = ask(server, path)
            assert (status, body) == (404, PAGE)
        assert ask(server, "/lain/lost.html")[2] != PAGE


def test_watch_mode(public: Path, tmp_path: Path) -> None:
    """In watch mode pages come from `render` with the reload script, the rest from disk; a change sends an event."""
    template = tmp_path / "area.html"
    template.write_text("one")

    def render(path: str) -> bytes | None:
        return template.read_bytes() if path == "contoh/ppwp/0.html" else None

    with serving(Server(public, "127.0.0.1", 0, render=render, watch_dirs=[tmp_path])) as server:
        status, headers, body = ask(server, "/contoh/ppwp/0.html")
        assert (status, body) == (200, b'one<script src="/_terbit/reload.js" defer></script>\n')
        assert headers["cache-control"] == "no-store"
        assert "script-src 'self'; " in headers["content-security-policy"]
        assert "connect-src 'self'; " in headers["content-security-policy"]
        assert ask(server, "/contoh/")[2] == PAGE
        assert b"EventSource" in ask(server, "/_terbit/reload.js")[2]
        with socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=60) as raw:
            raw.sendall(b"GET /_terbit/events HTTP/1.1\r\nHost: x\r\n\r\n")
            received = b""
            while b"retry:" not in received:
                received += raw.recv(4_096)
            assert b"text/event-stream" in received
            template.write_text("two")
            while b"data:" not in received:
                received += raw.recv(4_096)
        assert ask(server, "/contoh/ppwp/0.html")[2].startswith(b"two")


def test_template_error_is_shown(public: Path) -> None:
    """A template error is a plain page with file and line that reloads once it is mended, and the server goes on."""
    problems: list[Any] = [ContentError("<b> is undefined", file="area.html", line=7)]

    def render(path: str) -> bytes | None:
        if problems:
            raise problems.pop()
        return b"mended"

    with serving(Server(public, "127.0.0.1", 0, render=render)) as server:
        status, _, body = ask(server, "/contoh/ppwp/0.html")
        assert status == 500
        assert b"area.html, line 7: &lt;b&gt; is undefined" in body
        assert b"/_terbit/reload.js" in body
        assert ask(server, "/contoh/ppwp/0.html")[2].startswith(b"mended")


def test_missing_folder(tmp_path: Path) -> None:
    """A folder that is not there is an error that says what to do."""
    with pytest.raises(PublishError, match="publish first"):
        Server(tmp_path / "none", "127.0.0.1", 0)


def test_port_in_use(server: Server, public: Path) -> None:
    """An address that is taken is an error that says what to do."""
    with pytest.raises(PublishError, match="choose another --port"):
        Server(public, "127.0.0.1", server.server_address[1])
