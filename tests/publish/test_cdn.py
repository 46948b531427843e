"""CDNs in front of a target: real ones show a release at once and keep the rest; what they could not be told is kept."""

import json
import re
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

import publish.cdn.send
from publish.cdn.batches import (
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
from publish.cdn.send import GIVE_UP, Sender
from publish.config import parse_config
from publish.errors import ConfigError
from publish.guard.patrol import Patrol
from tests.cdn import HOST, PURGE_KEY, Cdn, nginx_cache, nginx_origin, varnish
from tests.election import NIGHT, correction, minutes
from tests.faults import Drip, FaultProxy
from tests.publish.workspace import deliver, make_workspace
from tests.publish.workspace import publish as publish_workspace
from tests.servers import QuietHandler, serving, url_of
from tests.storage import BUCKET, Server, moto, seaweedfs
from verifier.headers import headers_for

PLACE = Place(("https://a.example/", "https://b.example/x/"), "uji")
PAGE, DATA = "ppwp/1101/1101.html", "ppwp/1101/1101.json"
BUCKET_CONFIG = """workers = 1
[targets.public]
folder = "public"
{target}urls = ["http://{host}/{prefix}"]
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
def environment(credentials: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish.cdn.send, "FIRST_WAIT", 0.001)


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with seaweedfs(tmp_path_factory.mktemp("weed") / "weed") as server:
        server.client().put_object(Bucket=BUCKET, Key="index.html", Body=b"alive", CacheControl="max-age=60")
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
    config = BUCKET_CONFIG.format(target=storage.target(prefix), prefix=prefix, host=HOST, kind=kind, server=cdn.url)
    made = make_workspace(directory, config)
    secret(made / "purge.key", PURGE_KEY)
    deliver(made)
    return made


def folder_workspace(directory: Path, config: str) -> Path:
    made = make_workspace(directory, FOLDER_CONFIG.format(host=HOST) + config)
    secret(made / "token", "Bearer abc")
    deliver(made)
    return made


def run(directory: Path, now: datetime = NIGHT) -> dict[str, Any]:
    """`terbit publish`; what it tells of the CDNs."""
    cdn: Any = publish_workspace(directory, now)[1]["cdn"]
    assert isinstance(cdn, dict)
    return cdn


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

        class Handler(QuietHandler):
            protocol_version = "HTTP/1.1"

            def take(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with lock:
                    api.asked.append((self.command, self.path, dict(self.headers), json.loads(body) if body else None))
                    status = api.choose(len(api.asked))
                self.answer(status, b"{}", api.headers)

            do_POST = do_PURGE = do_BAN = take  # noqa: N815 - the library's names

        self._running = ExitStack()
        self.url = url_of(self._running.enter_context(serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler))))
        return self

    def __exit__(self, *error: object) -> None:
        self._running.close()

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
    for path, data in before.items():
        assert cdn.ask(base + path).body == data, path
    assert cdn.ask(base).body == before["index.html"]
    deliver(made, {"one": correction()})
    told = run(made, NIGHT + minutes(5))
    after = {path: (public / path).read_bytes() for path in before}
    changed = {path for path in after if after[path] != before[path]}
    assert {PAGE, DATA, f"{DATA}.minisig", "latest.json", "metadata/timestamp.json", "index.html"} <= changed
    shown = {path: cdn.ask(base + path) for path in before}
    assert {path: answer.body for path, answer in shown.items()} == after
    assert {path for path, answer in shown.items() if answer.hit} == before.keys() - told_paths(changed, shown)
    assert cdn.ask(base).body == after["index.html"]
    assert told["bucket"]["kept"] == 0


def told_paths(changed: set[str], shown: dict[str, Any]) -> set[str]:
    """The changed files, and those few that were published anew with the same bytes: never an object."""
    anew = {path for path, answer in shown.items() if not answer.hit}
    assert not [path for path in anew if re.match(r"targets/|packages/|metadata/[0-9]", path)]
    assert changed <= anew
    return anew


def public(cdn: Cdn, path: str) -> bytes:
    """What a reader gets who knows the CDN by its own address."""
    with urllib.request.urlopen(f"{cdn.url}/{path}") as answer:
        data: bytes = answer.read()
        return data


@pytest.mark.parametrize("name", ["varnish", "nginx"])
def test_the_guard_purges_what_it_put_right(
    name: str, storage: Server, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A stranger's page and object that a CDN has kept are gone from it with the look that mends the bucket, and those that it alone has with the look that sees them."""
    cdn: Cdn = request.getfixturevalue(f"{name}_cdn")
    prefix = f"guarded-{name}/"
    made = bucket_workspace(tmp_path / "w", storage, cdn, "purge", prefix)
    config = made / "terbit.toml"
    config.write_text(config.read_text().replace(f"http://{HOST}/", f"{cdn.url}/") + "[guard]\nsample = 1000\n")
    run(made)
    object_path = next((made / "public/uji/targets/ppwp/1101").glob("*.1101.html")).relative_to(made / "public")
    page, client = f"uji/{PAGE}", storage.client()
    right = (made / "public" / page).read_bytes()
    kind = {"Bucket": BUCKET, "ContentType": "text/html; charset=utf-8", "CacheControl": "public, max-age=3600"}

    def guard(heal: bool = True) -> dict[tuple[str, str], str]:
        found = Patrol(made, heal, lambda: NIGHT, lambda finding: None, lambda text: None).once()
        return {(one.where, f"uji/{one.path}"): one.done for one in found if one.path in {PAGE, str(object_path)[4:]}}

    for path in (page, str(object_path)):
        client.put_object(**kind, Key=prefix + path, Body=b"palsu")
        assert public(cdn, prefix + path) == b"palsu"
    assert set(guard(heal=False).values()) == {""}
    assert public(cdn, prefix + page) == b"palsu"
    told = guard()
    assert {path for where, path in told if where == "bucket"} == {page, str(object_path)}
    assert all(done.startswith("put back") and done.endswith("; purged from the CDN") for done in told.values())
    for path in (page, str(object_path)):
        assert public(cdn, prefix + path) == right
    held = client.get_object(Bucket=BUCKET, Key=prefix + page)
    client.put_object(**kind, Key=prefix + page, Body=b"palsu")
    cdn.ask(prefix + page, "PURGE", {"X-Purge-Key": PURGE_KEY, "Host": urlsplit(cdn.url).netloc})
    assert public(cdn, prefix + page) == b"palsu"
    headers = {name: held[name] for name in ("ContentType", "CacheControl")}
    client.put_object(Bucket=BUCKET, Key=prefix + page, Body=right, **headers)
    assert guard() == {(f"{cdn.url}/{prefix}", page): "purged from the CDN"}
    assert public(cdn, prefix + page) == right
    assert guard() == {}


def test_a_cdn_that_cannot_be_purged_is_told_by_the_guard(tmp_path: Path) -> None:
    """A page is put back all the same, and the finding says that the CDN was not told and why."""
    with Api(lambda number: 200) as api:
        made = folder_workspace(tmp_path / "w", f'kind = "purge"\nservers = ["{api.url}"]\n')
        text = (made / "terbit.toml").read_text()
        run(made)
        (made / "terbit.toml").write_text(text.replace(f"https://{HOST}/", f"{api.url}/"))
        api.choose = lambda number: 403
        page = made / "public/uji" / PAGE
        page.unlink()
        page.write_bytes(b"palsu")
        found = Patrol(made, True, lambda: NIGHT, lambda finding: None, lambda text: None).once()
        done = {one.done for one in found if one.path == PAGE and one.where == "public"}
        assert len(done) == 1
        assert "; the CDN was not purged: status 403" in done.pop()
        assert page.read_bytes() != b"palsu"


def test_only_the_publisher_purges(varnish_cdn: Cdn) -> None:
    """Without the secret Varnish neither purges nor bans, and nobody writes through it."""
    for method in ("PURGE", "BAN"):
        assert varnish_cdn.ask("", method, {"X-Ban": "."}).status == 403
        assert varnish_cdn.ask("", method, {"X-Ban": ".", "X-Purge-Key": "guess"}).status == 403
    assert {varnish_cdn.ask("x", method).status for method in ("PUT", "DELETE", "POST")} == {405}


@pytest.mark.parametrize("name", ["varnish", "nginx"])
def test_a_dead_origin_takes_no_page_away(name: str, storage: Server, tmp_path: Path) -> None:
    """When the origin is gone, a page past its time is shown as it was, from the first moment on."""
    storage.client().put_object(
        Bucket=BUCKET, Key="short", Body=b"page", CacheControl="max-age=1, stale-if-error=86400"
    )
    cache = {"varnish": varnish, "nginx": nginx_cache}[name]
    with ExitStack() as alive:
        origin = alive.enter_context(nginx_origin(tmp_path / "origin", storage.url))
        with cache(tmp_path / "cache", origin) as cdn:
            assert cdn.ask("short").body == b"page"
            alive.close()
            end = time.monotonic() + 2.5
            while time.monotonic() < end:
                assert cdn.ask("short").body == b"page"
                time.sleep(0.05)
            assert cdn.ask("other").status >= 500


def test_a_query_asks_for_the_same_file(varnish_cdn: Cdn, nginx_cdn: Cdn) -> None:
    """Whoever adds queries gets what the caches hold, and does not reach the origin."""
    for cdn in (varnish_cdn, nginx_cdn):
        cdn.ask("index.html")
        assert cdn.ask("index.html?1").hit


def test_the_public_gets_every_header(storage: Server, varnish_cdn: Cdn, tmp_path: Path) -> None:
    """Bucket, nginx and Varnish together show each kind of file with the headers that the site must have; our own marks are hidden."""
    made = bucket_workspace(tmp_path / "w", storage, varnish_cdn, "ban")
    run(made)
    public = made / "public"
    kinds = {path.suffix: path.relative_to(public).as_posix() for path in sorted(public.rglob("*")) if path.is_file()}
    assert len(kinds) > 6
    for path in (*kinds.values(), "uji/metadata/timestamp.json"):
        shown = varnish_cdn.ask(path).headers
        for name, value in headers_for(path).items():
            assert shown.get(name.lower()) == value, (path, name)
    assert varnish_cdn.ask("uji/.terbit-probe").status == 404
    assert b"alive" not in varnish_cdn.ask("").body


def test_cloudfront_gets_one_invalidation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release is one invalidation with its aliases, pointers and the domain's pages; a renewal none."""
    with moto(tmp_path / "moto") as aws:
        client = aws.client("cloudfront")
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
        config = {
            "CallerReference": "test",
            "Comment": "",
            "Enabled": True,
            "Origins": {"Quantity": 1, "Items": [{"Id": "o", "DomainName": "site.s3.amazonaws.com", "S3OriginConfig": {"OriginAccessIdentity": ""}}]},
            "DefaultCacheBehavior": {"TargetOriginId": "o", "ViewerProtocolPolicy": "redirect-to-https", "MinTTL": 0, "ForwardedValues": {"QueryString": False, "Cookies": {"Forward": "none"}}},
        }  # fmt: skip
        name = client.create_distribution(DistributionConfig=config)["Distribution"]["Id"]
        made = folder_workspace(tmp_path / "w", f'kind = "cloudfront"\ndistribution = "{name}"\nall_above = 1000\n')
        run(made)
        told = run(made, NIGHT + minutes(5))
        assert told == {"public": {"purged": 0, "kept": 0, "problems": []}}
        (found,) = client.list_invalidations(DistributionId=name)["InvalidationList"]["Items"]
        batch = client.get_invalidation(DistributionId=name, Id=found["Id"])["Invalidation"]["InvalidationBatch"]
        items = batch["Paths"]["Items"]
        assert {f"/uji/{PAGE}", "/uji/metadata/timestamp.json", "/uji/", "/", "/index.html"} <= {*items}
        assert batch["Paths"]["Quantity"] == len(items)
        assert not [item for item in items if "/targets/" in item or "/packages/" in item]
        wrong = Sender(distribution="EWRONG").send([Invalidation("r", ("/a",), ("a",))], lambda paths: None)
        assert "NoSuchDistribution" in wrong[0][1]


def test_an_api_gets_batches_with_the_secret(tmp_path: Path) -> None:
    """An API gets every changed address once, in batches, with a secret that stands in a file; a busy one is asked again."""
    config = """kind = "request"
url = "{url}/zones/1/purge_cache"
body = {{ files = "{{urls}}" }}
headers = {{ Authorization = "token" }}
batch = 30
"""
    with Api(lambda number: 429 if number == 1 else 200, {"Retry-After": "0"}) as api:
        made = folder_workspace(tmp_path / "w", config.format(url=api.url))
        told = run(made)
        assert told["public"]["kept"] == 0
    method, path, headers, _ = api.asked[0]
    assert (method, path, headers["Authorization"]) == ("POST", "/zones/1/purge_cache", "Bearer abc")
    sent = [url for _, _, _, body in api.asked[1:] for url in body["files"]]
    assert all(len(body["files"]) <= 30 for _, _, _, body in api.asked)
    assert f"https://{HOST}/uji/{PAGE}" in sent
    # The first was refused: its batch came once more.
    assert len({*sent}) == told["public"]["purged"]


def test_a_failed_purge_is_kept_and_done_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A CDN that is down fails no release: it is told, kept, and the next run begins with it; a third run has the pointers alone."""
    with Api(lambda number: 500) as api:
        made = folder_workspace(tmp_path / "w", f'kind = "purge"\nservers = ["{api.url}"]\n')
        told = run(made)
        tried = len(api.asked)
        kept = json.loads((made / "build/targets/public/purge.json").read_text())
        assert (made / "public/uji" / PAGE).exists()
        assert told["public"]["kept"] == len(kept["paths"]) > 30
        assert told["public"]["problems"][0].startswith("status 500: PURGE http://127.0.0.1")
        assert "were not purged" in capsys.readouterr().err
        assert tried < 4 * (GIVE_UP + publish.cdn.send.CONCURRENCY)  # it was given up
        api.choose = lambda number: 200
        told = run(made, NIGHT + minutes(5))
        again = [path.removeprefix("/") for path in api.paths()[tried:]]
        assert {*again} == {*kept["paths"]}
        assert len(again) == len(kept["paths"]) + 2
        assert not (made / "build/targets/public/purge.json").exists()
        (made / "build/targets/public/purge.json").write_bytes(b'{"reference":"\xff","paths":[]}')
        run(made, NIGHT + minutes(10))
        assert sorted(api.paths()[-2:]) == ["/uji/latest.json", "/uji/metadata/timestamp.json"]
        assert len(api.asked) == tried + len(again) + 2


@pytest.mark.parametrize(
    ("mode", "value", "problem"), [(0o644, "x", "chmod 600"), (0o600, "", "one line"), (0o600, "a\nb", "one line")]
)
def test_an_unsafe_secret_is_not_sent(mode: int, value: str, problem: str, tmp_path: Path) -> None:
    """A secret that others may read, or that is no header's value, goes nowhere; the release is public all the same."""
    with Api() as api:
        config = f'kind = "ban"\nservers = ["{api.url}"]\nheaders = {{ X-Purge-Key = "token" }}\n'
        made = folder_workspace(tmp_path / "w", config)
        secret(made / "token", value)
        (made / "token").chmod(mode)
        told = run(made)
        assert problem in told["public"]["problems"][0]
        assert api.asked == []


@pytest.mark.parametrize(
    ("status", "header", "attempts", "waited"),
    [(503, "7", 4, [7, 7, 7]), (429, "60", 1, []), (403, "1", 1, []), (500, "junk", 4, None), (302, "1", 1, [])],
)
def test_how_often_a_request_is_repeated(status: int, header: str, attempts: int, waited: list[float] | None) -> None:
    """Busy servers are asked four times, after the time they name; not those that name a long one, refuse, or send us elsewhere."""
    slept: list[float] = []
    with Api(lambda number: status, {"Retry-After": header, "Location": "/elsewhere"}) as api:
        request = HttpRequest("POST", f"{api.url}/x", {}, b"{}", ("x",))
        assert Sender(sleep=slept.append).send([request], lambda paths: None)[0][1].startswith(f"status {status}")
    assert len(api.asked) == attempts
    assert waited is None or slept == waited


def test_a_server_that_drips_holds_no_publisher(monkeypatch: pytest.MonkeyPatch) -> None:
    """A purge whose answer comes a byte at a time is given up when its time is over, and not asked again."""
    monkeypatch.setattr(publish.cdn.send, "ALTOGETHER", 0.2)
    with Api() as api, FaultProxy(api.url, lambda method, path, number: Drip()) as proxy:
        request = HttpRequest("PURGE", f"{proxy.url}/x", {}, None, ("x",))
        ((_, problem),) = Sender().send([request], lambda paths: None)
        assert problem == f"no whole answer within 0.2 s: PURGE {proxy.url}/x"
        assert len(proxy.requests) == 1


def sent(purge: Any, paths: Sequence[str], place: Place = PLACE) -> list[Request]:
    return list(requests(purge, paths, place, "7", {"X-Key": "s"}))


def test_indexes_are_asked_for_as_folders_too() -> None:
    """A folder's index is known by the folder's address as well, also the domain's own."""
    found = asked_as("uji", ["index.html", "../index.html", "../.well-known/security.txt", "a/b.html"])
    assert found == ["", ".well-known/security.txt", "index.html", "uji/", "uji/a/b.html", "uji/index.html"]


def test_cloudfront_batches() -> None:
    """At most 3,000 paths a call; the same paths have the same reference, others another."""
    paths = [f"uji/a/{number}.html" for number in range(3500)]
    place = Place(("https://a.example/",), "uji")
    found = sent(CloudFront("E1", all_above=10_000), paths, place)
    assert [len(one.items) for one in found if isinstance(one, Invalidation)] == [3000, 500]
    assert found == sent(CloudFront("E1", all_above=10_000), paths, place)
    assert len({one.reference for one in found if isinstance(one, Invalidation)}) == 2


@pytest.mark.parametrize(
    ("folders", "items"),
    [
        (2, ["/index.html", "/uji/c0/*", "/uji/c1/*", "/uji/latest.json", "/uji/metadata/timestamp.json"]),
        (20, ["/index.html", "/uji/*"]),
    ],
)
def test_many_paths_become_folders(folders: int, items: list[str]) -> None:
    """Above the configured number folders of aliases are named, without the objects'; where these are too many, the whole election."""
    paths = [f"uji/c{number % folders}/{number}.html" for number in range(200)]
    paths += ["index.html", "uji/latest.json", "uji/metadata/timestamp.json"]
    (found,) = sent(CloudFront("E1"), paths, Place(("https://a.example/",), "uji"))
    assert isinstance(found, Invalidation)
    assert sorted(found.items) == items
    assert sorted(found.paths) == sorted(paths)


def test_purges_go_to_each_server_for_each_host() -> None:
    """Caches know a file by host and path: each server gets both of each public address; without servers the address itself."""
    found = sent(HttpPurge(servers=("http://10.0.0.1:6081",)), ["uji/a b"])
    assert [(one.url, one.headers["Host"]) for one in found if isinstance(one, HttpRequest)] == [
        ("http://10.0.0.1:6081/uji/a%20b", "a.example"),
        ("http://10.0.0.1:6081/x/uji/a%20b", "b.example"),
    ]
    direct = sent(HttpPurge(), ["uji/a"])
    assert [one.url for one in direct if isinstance(one, HttpRequest)] == [
        "https://a.example/uji/a",
        "https://b.example/x/uji/a",
    ]


@given(
    st.sets(st.from_regex(r"uji/[a-z0-9.+()|*-]{1,12}", fullmatch=True), min_size=1, max_size=9),
    st.text("auji/.+-", max_size=9),
)
def test_a_short_ban_is_exact(paths: set[str], other: str) -> None:
    """The pattern of a few paths matches them and nothing else."""
    (found,) = sent(Ban(), sorted(paths), Place(("https://a.example/",), "uji"))
    assert isinstance(found, HttpRequest)
    pattern = found.headers["X-Ban"]
    assert all(
        re.search(pattern, urlsplit(one.url).path)
        for one in sent(HttpPurge(), sorted(paths), PLACE)[: len(paths)]
        if isinstance(one, HttpRequest)
    )
    assert bool(re.search(pattern, f"/{other}")) == (other in paths)


def test_a_long_ban_spares_what_is_immutable() -> None:
    """Where the paths do not fit a header, the pattern matches all of the election but objects, packages and versioned metadata."""
    (found,) = sent(
        Ban(),
        ["index.html", *(f"uji/a/{number}.html" for number in range(2000))],
        Place(("https://a.example/x/",), "uji"),
    )
    assert isinstance(found, HttpRequest)
    pattern = found.headers["X-Ban"]
    assert len(pattern) < BAN_LENGTH
    shown = ["index.html", "uji/a/1.html", "uji/metadata/timestamp.json", "uji/latest.json", "uji/targets.html"]
    kept = ["other.html", "uji/targets/a/00.b.html", "uji/packages/p/rows.csv", "uji/metadata/3.root.json", "uji2/a"]
    assert [path for path in shown + kept if re.search(pattern, f"/x/{path}")] == shown


def test_an_api_gets_lists_and_may_get_one_request_for_all() -> None:
    """`{urls}` and `{paths}` become lists wherever they stand; above the configured number one request takes their place."""
    api = PurgeApi(
        "https://api.example/",
        {"a": ["{paths}", {"b": "{urls}"}], "n": 1},
        batch=2,
        all_above=3,
        all_body={"everything": True},
    )
    place = Place(("https://a.example/",), "uji")
    bodies = [json.loads(one.body or b"") for one in sent(api, ["x", "y", "z"], place) if isinstance(one, HttpRequest)]
    assert bodies[0] == {"a": [["/x", "/y"], {"b": ["https://a.example/x", "https://a.example/y"]}], "n": 1}
    assert len(bodies) == 2
    (one,) = sent(api, ["1", "2", "3", "4"], place)
    assert isinstance(one, HttpRequest)
    assert (one.body, one.paths) == (b'{"everything":true}', ("1", "2", "3", "4"))


def test_requests_do_not_show_secrets() -> None:
    """A request in a message or a traceback does not give its secret away."""
    assert "s3cret" not in repr(HttpRequest("PURGE", "https://a.example/", {"X-Key": "s3cret"}, None, ()))


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ('kind = "cloudfront"', "distribution"),
        ('kind = "other"', "kind"),
        ('kind = "purge"\nheaders = { "X Y" = "file" }', "headers"),
        ('kind = "request"\nurl = "https://a.example"', "body"),
        ('kind = "ban"\nsecret = "x"', "secret"),
    ],
)
def test_mistakes_in_the_configuration_are_named(table: str, problem: str) -> None:
    """What a purge lacks or has too much is refused by name; so is one without public addresses."""
    with pytest.raises(ConfigError, match=problem):
        parse_config((FOLDER_CONFIG.format(host=HOST) + table).encode(), "terbit.toml", 1)
    text = (FOLDER_CONFIG.format(host=HOST) + 'kind = "ban"').replace("urls", "# urls")
    with pytest.raises(ConfigError, match="purge-urls"):
        parse_config(text.encode(), "terbit.toml", 1)


def test_the_documented_configurations_are_valid() -> None:
    """Each table that docs/operations.md shows for a CDN is one that terbit.toml may have."""
    text = (Path(__file__).parents[2] / "docs/operations.md").read_text().partition("\n## CDN\n")[2]
    blocks = re.findall(r"```toml\n(.*?)```", text.partition("\n## ")[0], re.S)
    assert len(blocks) == 4
    for block in blocks:
        target = f'[targets.bucket]\nbucket = "hasil"\nurls = ["https://{HOST}/"]\n{block}'
        assert parse_config(target.encode(), "terbit.toml", 1).targets["bucket"].purge is not None
