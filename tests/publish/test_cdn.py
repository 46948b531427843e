"""CDNs in front of a target: real ones show a release at once and keep the rest; what they could not be told is kept."""

import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

import publish.send
from publish.cdn import (
    BAN_LENGTH,
    Ban,
    CloudFront,
    HttpPurge,
    HttpRequest,
    Invalidation,
    Place,
    PurgeApi,
    Request,
    asked_as,
    requests,
)
from publish.config import parse_config
from publish.errors import ConfigError
from publish.headers import headers_for
from publish.send import GIVE_UP, Sender
from tests.cdn import HOST, PURGE_KEY, Cdn, nginx_cache, nginx_origin, varnish
from tests.election import NIGHT, correction, minutes
from tests.publish.workspace import deliver, make_workspace, publish as run
from tests.storage import BUCKET, Server, moto, seaweedfs

PLACE = Place(("https://a.example/", "https://b.example/x/"), "uji")
PAGE, DATA = "ppwp/1101/1101.html", "ppwp/1101/1101.json"
BUCKET_CONFIG = """workers = 1
[targets.public]
folder = "public"
[targets.bucket]
bucket = "{bucket}"
endpoint = "{endpoint}"
prefix = "{prefix}"
urls = ["http://{host}/{prefix}"]
[targets.bucket.purge]
kind = "{kind}"
servers = ["{server}"]
headers = {{ X-Purge-Key = "purge.key" }}
"""
FOLDER_CONFIG = """workers = 1
[targets.public]
folder = "public"
urls = ["https://{host}/"]
[targets.public.purge]
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in Server("").environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(publish.send, "FIRST_WAIT", 0.001)


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with seaweedfs(tmp_path_factory.mktemp("weed") / "weed") as server:
        server.client().put_object(Bucket=BUCKET, Key="index.html", Body=b"alive", ContentType="text/html")
        yield server


@pytest.fixture(scope="module")
def origin(storage: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cdn]:
    with nginx_origin(tmp_path_factory.mktemp("origin") / "nginx", storage.url) as cdn:
        yield cdn


@pytest.fixture(scope="module")
def varnish_cdn(origin: Cdn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cdn]:
    with varnish(tmp_path_factory.mktemp("varnish") / "varnish", origin) as cdn:
        yield cdn


@pytest.fixture(scope="module")
def nginx_cdn(origin: Cdn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cdn]:
    with nginx_cache(tmp_path_factory.mktemp("cache") / "nginx", origin) as cdn:
        yield cdn


def bucket_workspace(directory: Path, storage: Server, cdn: Cdn, kind: str, prefix: str = "") -> Path:
    config = BUCKET_CONFIG.format(
        bucket=BUCKET, endpoint=storage.url, prefix=prefix, host=HOST, kind=kind, server=cdn.url
    )
    made = make_workspace(directory, config)
    secret(made / "purge.key", PURGE_KEY)
    deliver(made)
    return made


def folder_workspace(directory: Path, config: str) -> Path:
    made = make_workspace(directory, FOLDER_CONFIG.format(host=HOST) + config)
    secret(made / "token", "Bearer abc")
    deliver(made)
    return made


def secret(path: Path, value: str) -> None:
    path.write_text(f"{value}\n")
    path.chmod(0o600)


@dataclass
class Api:
    """A CDN's interface: keeps what it is asked, and answers with the status that `choose` gives for the request's number (from 1)."""

    choose: Callable[[int], int] = lambda number: 200
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)

    def __enter__(self) -> Self:
        api, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with lock:
                    api.asked.append((self.command, self.path, dict(self.headers), json.loads(body) if body else None))
                    status = api.choose(len(api.asked))
                self.send_response(status)
                for name, value in {**api.headers, "Content-Length": "2"}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"{}")

            do_POST = do_PURGE = do_BAN = answer  # noqa: N815 - the library's names

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def paths(self) -> list[str]:
        return [path for _, path, _, _ in self.asked]


@pytest.mark.parametrize(("name", "kind"), [("varnish", "purge"), ("varnish", "ban"), ("nginx", "purge")])
def test_a_release_shows_at_once_and_the_rest_stays_cached(
    name: str, kind: str, storage: Server, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Behind a real CDN: changed aliases, pointers and pages that were not there before are new at once; others and objects remain hits."""
    cdn: Cdn = request.getfixturevalue(f"{name}_cdn")
    prefix = f"{name}-{kind}/"
    made = bucket_workspace(tmp_path / "w", storage, cdn, kind, prefix)
    base, public = f"{prefix}uji/", made / "public/uji"
    assert cdn.ask(base + PAGE).status == cdn.ask(base + PAGE).status == 404
    run(made)
    before = {path.relative_to(public).as_posix(): path.read_bytes() for path in public.rglob("*") if path.is_file()}
    for path in before:
        assert cdn.ask(base + path).body == before[path], path
    assert cdn.ask(base).body == before["index.html"]
    deliver(made, {"one": correction()})
    _, told = run(made, NIGHT + minutes(5))
    after = {path: (public / path).read_bytes() for path in before}
    changed = {path for path in after if after[path] != before[path]}
    assert {PAGE, DATA, f"{DATA}.minisig", "latest.json", "metadata/timestamp.json", "index.html"} <= changed
    shown = {path: cdn.ask(base + path) for path in before}
    assert {path: answer.body for path, answer in shown.items()} == after
    assert {path for path, answer in shown.items() if answer.hit} == before.keys() - told_paths(changed, shown)
    assert cdn.ask(base).body == after["index.html"]
    assert told["cdn"]["bucket"]["kept"] == 0


def told_paths(changed: set[str], shown: dict[str, Any]) -> set[str]:
    """The changed files, and those few that were published anew with the same bytes: never an object."""
    anew = {path for path, answer in shown.items() if not answer.hit}
    assert not [path for path in anew if re.match(r"targets/|packages/|metadata/[0-9]", path)]
    assert changed <= anew
    return anew
