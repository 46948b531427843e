"""The guard: every kind of tampering is found and put right, on a folder, in a bucket, and at public addresses."""

import hashlib
import itertools
import json
import os
import pty
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from bench.guard_drill import drill
from builder.pack import write_pack
from builder.site import entry_of
from publish import limits
from publish.cli.main import terbit
from publish.config import GuardConfig
from publish.errors import FrozenError, PendingError, SigningError, TargetError
from publish.guard.alerts import Alerts
from publish.guard.judge import Finding, exit_code
from publish.guard.patrol import Patrol
from publish.progress import Stages
from publish.release.draft import Draft
from publish.release.flow import Flow
from publish.release.intake import take_in_packages
from publish.targets import TIMESTAMP
from publish.workspace import Workspace
from tests.election import NIGHT, correction, minutes
from tests.faults import Drip, FaultProxy, Status
from tests.publish.workspace import copy_tree, deliver, encrypt_keys, make_workspace, publish
from tests.servers import QuietHandler, serving, url_of
from tests.storage import BUCKET, Server, seaweedfs

pytestmark = pytest.mark.usefixtures("credentials")


class Place:
    """A workspace with one published target, which a stranger can write to."""

    def __init__(
        self, directory: Path, server: Server | None, name: str, more: str = "", first_release: Path | None = None
    ) -> None:
        """`first_release`: where such a workspace is found already made."""
        self.server, self.name = server, name
        self.client: Any = server.client() if server else None
        self.directory = directory / name
        if first_release:
            copy_tree(first_release, self.directory)
            return
        config = server.target(f"{name}/", more) if server else more
        make_workspace(self.directory, f"workers = 1\n{config}")
        deliver(self.directory)
        publish(self.directory)

    @property
    def root(self) -> Path:
        return self.directory / "public"

    def files(self) -> dict[str, bytes]:
        """All files, our marks and what was set aside left out."""
        if self.server:
            every = self.server.keys(prefix=f"{self.name}/").items()
            found = {key.removeprefix(f"{self.name}/"): data for key, data in every}
        else:
            found = {p.relative_to(self.root).as_posix(): p.read_bytes() for p in self.root.rglob("*") if p.is_file()}
        return {path: data for path, data in found.items() if ".terbit-" not in path and ".set-aside/" not in path}

    def write(self, path: str, data: bytes, **headers: str) -> None:
        if self.client:
            self.client.put_object(Bucket=BUCKET, Key=f"{self.name}/{path}", Body=data, **headers)
        else:
            place = self.root / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)

    def delete(self, path: str) -> None:
        if self.client:
            self.client.delete_object(Bucket=BUCKET, Key=f"{self.name}/{path}")
        else:
            (self.root / path).unlink()

    def release_without_record(self, now: datetime) -> dict[str, bytes]:
        """All files after a release of ours that the record does not know."""
        record = self.directory / "build/targets" / ("bucket" if self.server else "public")
        kept = {path: path.read_bytes() for path in record.glob("*.json")}
        deliver(self.directory, {"one": correction()})
        publish(self.directory, now)
        for path, data in kept.items():
            path.write_bytes(data)
        return self.files()

    def guard(self, heal: bool = True) -> list[Finding]:
        return look(self.directory, heal)


def look(directory: Path, heal: bool = True, now: datetime = NIGHT) -> list[Finding]:
    return Patrol(directory, heal, lambda: now, lambda finding: None, lambda text: None).once()


@pytest.fixture
def folder(first_release: Path, tmp_path: Path) -> Place:
    return Place(tmp_path, None, "site", first_release=first_release)


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        made: Place = request.getfixturevalue("folder")
        return made
    name = "".join(c for c in request.node.name if c.isalnum())[-60:].lower()
    return Place(tmp_path, request.getfixturevalue("storage"), name)


def first(files: Iterable[str], start: str, end: str) -> str:
    return next(path for path in sorted(files) if path.startswith(start) and path.endswith(end))


KINDS = {
    "page": ("uji/ppwp/1101/", ".html"),
    "results": ("uji/ppwp/1101/", ".json"),
    "signature": ("uji/ppwp/1101/", ".json.minisig"),
    "object": ("uji/targets/ppwp/1101/", ".html"),
    "object's signature": ("uji/targets/ppwp/1101/", ".minisig"),
    "role": ("uji/metadata/1.ppwp", ".json"),
    "snapshot": ("uji/metadata/1.snapshot", ".json"),
    "root": ("uji/metadata/1.root", ".json"),
    "timestamp": ("uji/metadata/timestamp", ".json"),
    "package": ("uji/packages/", "rows.csv"),
    "definition": ("uji/trust/", "election.toml"),
    "hint": ("uji/latest", ".json"),
    "domain's page": ("index", ".html"),
}


def test_nothing_is_found_where_nothing_is_wrong(place: Place) -> None:
    """A fresh release, a corrected one with superseded objects, and a renewed timestamp give no finding."""
    assert place.guard() == []
    deliver(place.directory, {"one": correction()})
    publish(place.directory, NIGHT + minutes(5))
    assert place.guard() == []
    publish(place.directory, NIGHT + minutes(10))
    assert place.guard() == []


@pytest.mark.parametrize("change", ["definition", "root"])
def test_what_is_signed_and_not_yet_published_stays_out(folder: Place, change: str) -> None:
    """Between signing and publishing nothing is found, what is harmed is put back as the public last saw it, and the next release is right at once."""
    right = folder.files()
    if change == "definition":
        path = folder.directory / "content/election.toml"
        path.write_text(path.read_text() + "# changed\n")
        assert command(folder.directory, "keys", "refresh").exit_code == 3
    else:
        assert command(folder.directory, "keys", "rotate", "timestamp", "--no-passphrase").exit_code == 3
    keys = [word for name in ("root-1", "root-2") for word in ("--key", f"{folder.directory}/keys/offline/{name}.key")]
    assert command(folder.directory, "sign", "--yes", *keys).exit_code == 0
    assert folder.guard() == []
    folder.delete("uji/trust/election.toml")
    assert [finding.path for finding in folder.guard()] == ["trust/election.toml"]
    assert folder.files() == right
    publish(folder.directory, NIGHT + minutes(5))
    assert folder.files() != right
    assert folder.guard() == []


def test_whatever_was_changed_or_deleted_is_put_back(place: Place) -> None:
    """Every kind of file, changed in one look and deleted in the next, is found and has its bytes again."""
    place.guard()
    right = place.files()
    paths = {kind: first(right, *ends) for kind, ends in KINDS.items()}
    # A folder's pages are links to their objects: a write to one changes both.
    for what, harm in (("altered", lambda path: place.write(path, b"wrong")), ("deleted", place.delete)):
        for path in paths.values():
            harm(path)
        findings = place.guard()
        told = {finding.path: finding for finding in findings}
        inner = {path.removeprefix("uji/") if path.startswith("uji/") else f"../{path}" for path in paths.values()}
        assert inner <= told.keys()
        assert {told[path].what for path in inner} == {what}
        assert all(finding.done.startswith("put back") for finding in findings)
        assert place.files() == right
        assert place.guard() == []
    assert exit_code(findings) == 4


def test_whatever_was_added_is_set_aside(place: Place) -> None:
    """Strange files, wrong bytes under a hash name, foreign metadata and foreign signatures leave the public's sight, and are kept."""
    right = place.files()
    good = next(path for path in right if "/targets/ppwp/1101/" in path and path.endswith(".json"))
    added = {
        "uji/hasil-asli.html": b"<h1>Menang!</h1>",
        f"uji/targets/ppwp/1101/{'0' * 64}.1101.html": b"poison",
        f"uji/targets/ppwp/1101/{'0' * 64}.1101.json.minisig": right[f"{good}.minisig"],
        "uji/metadata/2.snapshot.json": right["uji/metadata/1.snapshot.json"],
        "uji/metadata/2.ppwp.json": b"{}",
        f"uji/packages/{'0' * 64}/recap.toml": b"x",
        "uji/ppwp/1101/9999.html": b"x",
    }
    for path, data in added.items():
        place.write(path, data)
    findings = place.guard()
    assert {f"uji/{finding.path}" for finding in findings} == added.keys()
    assert {finding.what for finding in findings} == {"added"}
    assert place.files() == right
    assert place.guard() == []


def test_a_neighbour_is_told_of_and_left_alone(place: Place) -> None:
    """What lies beside the election's folder may be somebody's own: it is told, unless the configuration names it, never touched."""
    place.write("robots.txt", b"mine")
    place.write("pemilu-palsu/index.html", b"fake")
    assert {finding.path for finding in place.guard()} == {"../robots.txt", "../pemilu-palsu/"}
    config = place.directory / "terbit.toml"
    config.write_text(config.read_text() + '\n[guard]\nothers = ["robots.txt"]\n')
    assert {finding.path for finding in place.guard()} == {"../pemilu-palsu/"}
    assert place.files()["robots.txt"] == b"mine"


def test_no_heal_only_tells(place: Place) -> None:
    """With --no-heal everything is found and stays as it is."""
    path = first(place.files(), *KINDS["page"])
    place.write(path, b"wrong")
    assert {finding.done for finding in place.guard(heal=False)} == {""}
    assert place.files()[path] == b"wrong"


def test_an_older_timestamp_is_put_right(place: Place) -> None:
    """A timestamp of ours from before is a rollback: the recorded one comes back."""
    old = place.files()[f"uji/{TIMESTAMP}"]
    publish(place.directory, NIGHT + minutes(5))
    new = place.files()[f"uji/{TIMESTAMP}"]
    place.write(f"uji/{TIMESTAMP}", old)
    assert [(finding.path, finding.what) for finding in place.guard()] == [(TIMESTAMP, "altered")]
    assert place.files()[f"uji/{TIMESTAMP}"] == new


def test_a_younger_timestamp_is_somebody_elses_release(place: Place) -> None:
    """A younger timestamp with our signature, which our record does not know, stops the mending of all that changes with a release."""
    publish(place.directory, NIGHT + minutes(5))
    new = place.files()
    newest = place.release_without_record(NIGHT + minutes(10))
    findings = place.guard()
    assert [finding.what for finding in findings] == ["unfinished"]
    assert exit_code(findings) == 1
    assert place.files() == newest != new


def test_while_a_publisher_works_only_the_immutable_is_mended(place: Place) -> None:
    """Pages and unknown names wait until the publisher has ended; a publisher waits for the few files under the guard's hands."""
    right = place.files()
    alias, fixed = first(right, *KINDS["page"]), first(right, *KINDS["role"])
    place.write("uji/ppwp/1101/9999.html", b"x")
    place.write(fixed, b"wrong")
    place.delete(alias)
    with Workspace(place.directory).lock():
        assert {finding.path for finding in place.guard()} == {fixed.removeprefix("uji/")}
    place.guard()
    assert place.files() == right


def test_wrong_headers_are_put_right(storage: Server, tmp_path: Path) -> None:
    """A page with its own bytes, but served as a download or kept by caches for ever, is altered."""
    place = Place(tmp_path, storage, "headers", "compress_aliases = true")
    path = "uji/ppwp/1101/1101.html"
    assert place.guard() == []
    right = place.client.get_object(Bucket=BUCKET, Key=f"headers/{path}")
    time.sleep(1.1)  # this server tells the time of a write in whole seconds
    place.write(path, right["Body"].read(), ContentEncoding="gzip", ContentType="text/plain")
    assert [finding.detail for finding in place.guard()] == [
        "its Content-Type is text/plain instead of text/html; charset=utf-8"
    ]
    head = place.client.head_object(Bucket=BUCKET, Key=f"headers/{path}")
    assert (head["ContentType"], head["ContentEncoding"]) == (right["ContentType"], "gzip")
    assert place.guard() == []


def test_wrong_bytes_are_told_before_wrong_headers(place: Place) -> None:
    """A defaced page is told by its bytes, and an added one by its name, whatever headers they came with."""
    page = first(place.files(), *KINDS["page"])
    object_path = first(place.files(), *KINDS["object"])
    length = len(place.files()[page])
    for path in (page, "uji/hasil-asli.html"):
        place.delete(page) if path == page else None  # a folder's page is a link to its object
        place.write(path, b"<h1>Menang!</h1>")
    place.write(f"{object_path}x", b"")
    told = {f"uji/{finding.path}": finding.detail for finding in place.guard()}
    sha256 = hashlib.sha256(b"<h1>Menang!</h1>").hexdigest()
    assert told == {
        page: f"other bytes (16 instead of {length:,}; sha256 {sha256})",
        "uji/hasil-asli.html": "nothing of ours has this name",
        f"{object_path}x": "nothing of ours has this name and these bytes",
    }


def test_a_lost_build_folder_is_made_for_its_owner_alone(folder: Place) -> None:
    """A guard that finds build/ gone makes it closed to others, and names both ways on."""
    shutil.rmtree(folder.directory / "build")
    (finding,) = folder.guard()
    assert finding.what == "unfinished"
    assert finding.detail.endswith("run: terbit reconcile public, or terbit publish")
    assert (folder.directory / "build").stat().st_mode & 0o777 == 0o700


def test_a_poisoned_name_is_removed_before_its_release(storage: Server, tmp_path: Path) -> None:
    """Wrong bytes under the hash name of a coming object are set aside by the guard before the release that needs the name."""
    place = Place(tmp_path, storage, "coming")
    other = Path(shutil.copytree(place.directory, tmp_path / "other"))
    (other / "terbit.toml").write_text("workers = 1\n")
    for directory in (other, place.directory):
        deliver(directory, {"one": correction()})
    publish(other, NIGHT + minutes(5))
    public = other / "public"
    held = place.files()
    every = {path.relative_to(public).as_posix() for path in (public / "uji/targets").rglob("*.*")}
    coming = sorted(path for path in every if (public / path).is_file() and path not in held)
    for path in coming:
        place.write(path, b"poison")
    assert {f"uji/{finding.path}" for finding in place.guard()} == {*coming}
    assert not set(coming) & place.files().keys()
    publish(place.directory, NIGHT + minutes(5))
    assert place.guard() == []
    held = place.files()
    assert {path: held[path] for path in coming} == {path: (public / path).read_bytes() for path in coming}


def test_a_second_look_costs_a_listing(storage: Server, tmp_path: Path) -> None:
    """Where nothing was written since the last look, only the timestamp is read; the rest is lists."""
    with FaultProxy(storage.url) as proxy:
        place = Place(tmp_path, Server(proxy.url), "cheaplook")
        time.sleep(3)  # what was written just now is read again
        place.guard()
        count = len(proxy.requests)
        assert place.guard() == []
        asked = [path for _, path in proxy.requests[count:]]
    assert sum("list-type" not in path for path in asked) == 1
    assert len(asked) < 36  # one for each folder


def test_a_target_that_is_down_is_told(storage: Server, tmp_path: Path) -> None:
    """A target that refuses every request is told as down, with exit code 1, and nothing else is claimed."""
    with FaultProxy(storage.url) as proxy:
        place = Place(tmp_path, Server(proxy.url), "down")
        proxy.choose = lambda method, path, number: Status(403)
        findings = place.guard()
    assert [finding.what for finding in findings] == ["down"]
    assert exit_code(findings) == 1


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[tuple[str, dict[str, bytes | int]]]:
    """A public address in front of `tmp_path/site/public`; what is in the dictionary is answered in place of a file."""
    shown: dict[str, bytes | int] = {}
    root = tmp_path / "site" / "public"

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            path = self.path.lstrip("/")
            place = root / path
            data = shown.get(path, place.read_bytes() if place.is_file() else 404)
            self.answer(data) if isinstance(data, int) else self.answer(200, data)

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield f"{url_of(server)}/", shown


def public_place(tmp_path: Path, url: str) -> Place:
    more = f'[targets.public]\nfolder = "public"\nurls = ["{url}"]\n[guard]\nstale_seconds = 60\nsample = 1000\n'
    return Place(tmp_path, None, "site", more)


def test_stale_is_told_from_altered(tmp_path: Path, cache: tuple[str, dict[str, bytes | int]]) -> None:
    """An earlier signed copy is stale (5) as long as a cache may show it, and altered (4) after; bytes that nobody signed are altered at once."""
    url, shown = cache
    place = public_place(tmp_path, url)
    assert place.guard() == []
    kept = [f"uji/ppwp/1101/1101.{end}" for end in ("html", "json", "json.minisig")]
    earlier = place.files()
    deliver(place.directory, {"one": correction()})
    publish(place.directory, NIGHT + minutes(5))
    paths = [*kept, "uji/index.html", "uji/latest.json", f"uji/{TIMESTAMP}"]
    shown.update({path: earlier[path] for path in paths})
    start = NIGHT + minutes(6)
    findings = look(place.directory, now=start)
    assert {f"uji/{finding.path}" for finding in findings} == {*paths}
    assert {finding.what for finding in findings} == {"stale"}
    assert exit_code(findings) == 5
    assert {finding.what for finding in look(place.directory, now=start + minutes(2))} == {"altered"}
    shown.clear()
    assert look(place.directory, now=start + minutes(3)) == []
    shown[kept[0]] = b"<h1>palsu</h1>"
    shown[kept[1]] = 404
    told = {finding.path: finding.what for finding in look(place.directory, now=start + minutes(3))}
    assert told == {"ppwp/1101/1101.html": "altered", "ppwp/1101/1101.json": "deleted"}
    shown.clear()
    # Neither may end the guard: invalid UTF-8, and metadata that has no canonical form.
    shown["uji/latest.json"] = b'{"release":1,"released":"\xff","expires":""}'
    shown[f"uji/{TIMESTAMP}"] = earlier[f"uji/{TIMESTAMP}"].replace(b'"signed":{', b'"signed":{"x":["\\n",1.5],', 1)
    told = {finding.path: finding.what for finding in look(place.directory, now=start + minutes(3))}
    assert told == {"latest.json": "altered", TIMESTAMP: "altered"}


@pytest.mark.parametrize("answer", [302, 200, 503], ids=["redirected", "emptied", "down"])
def test_a_public_address_that_answers_otherwise(
    tmp_path: Path, cache: tuple[str, dict[str, bytes | int]], answer: int
) -> None:
    """A redirection or an empty answer is altered; an error of the server's is no tampering."""
    url, shown = cache
    place = public_place(tmp_path, url)
    shown["uji/ppwp/1101/1101.html"] = answer
    findings = place.guard()
    assert [(finding.path, finding.what) for finding in findings] == [
        ("ppwp/1101/1101.html", "down" if answer == 503 else "altered")
    ]


def test_a_public_address_that_drips_holds_no_guard(
    tmp_path: Path, cache: tuple[str, dict[str, bytes | int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers that come a byte at a time are down when their time is over; after a few of them the rest is not asked for."""
    monkeypatch.setattr("publish.guard.public_watch.ALTOGETHER", 0.2)
    with FaultProxy(cache[0], lambda method, path, number: None if TIMESTAMP in path else Drip()) as proxy:
        place = public_place(tmp_path, f"{proxy.url}/")
        findings = place.guard()
        assert {one.what for one in findings} == {"down"}
        assert {one.detail for one in findings} == {
            "no whole answer within 0.2 s",
            "not asked for: too many answers did not come in time",
        }
        assert len(findings) > len(proxy.requests)


def test_a_guard_beside_publishers_mixes_nothing(storage: Server, tmp_path: Path) -> None:
    """While a guard looks on without pause, releases go out whole: the tree is the one that a publisher without a guard makes, and nothing was found."""
    place = Place(tmp_path, storage, "beside")
    alone = Path(shutil.copytree(place.directory, tmp_path / "alone"))
    (alone / "terbit.toml").write_text("workers = 1\n")
    found: list[Finding] = []
    patrol = Patrol(place.directory, True, lambda: NIGHT, found.append, lambda text: None)
    thread = threading.Thread(target=patrol.run, args=(0.01,))
    thread.start()
    try:
        for directory in (place.directory, alone):
            for revision in (2, 3, 4):
                deliver(directory, {f"one{revision}": correction(revision=revision)})
                publish(directory, NIGHT + minutes(5 * revision))
    finally:
        patrol.stop()
        thread.join()
    assert found == []
    public = alone / "public"
    whole = {path.relative_to(public).as_posix(): path.read_bytes() for path in public.rglob("*") if path.is_file()}
    shown = place.files()
    assert {path: shown.get(path) for path in whole} == whole


def test_the_drill(tmp_path: Path) -> None:
    """Of an attacker's changes, deletions and additions all are found and put right, and a client never accepted a wrong byte."""
    with seaweedfs(tmp_path / "weed") as server:
        figures = drill(tmp_path / "site", server, 40, seconds=4, interval=0.1, pause=0.2)
    assert figures["attacks"] >= 15
    assert (figures["found, %"], figures["healed, %"]) == (100, 100)
    assert figures["files that differ afterwards"] == 0
    assert figures["wrong bytes that it accepted"] == 0
    assert figures["files that a client checked"] > 0


def finding(path: str, done: str = "") -> Finding:
    return Finding("2026-11-03T12:00:00.000Z", "public", path, "altered", "it is not what was signed", done, "0" * 64)


def alerts(directory: Path, said: list[str], **config: object) -> Alerts:
    return Alerts(msgspec.convert(config, GuardConfig), directory, directory / "guard" / "findings.jsonl", said.append)


def test_the_command_gets_the_findings_on_stdin(tmp_path: Path) -> None:
    """One look's findings are one call of the command, with their count; what stands on is not told again."""
    script = f"import sys; open({str(tmp_path / 'told')!r}, 'a').write(sys.stdin.read() + '\\n')"
    said: list[str] = []
    told = alerts(tmp_path, said, command=[sys.executable, "-c", script])
    found = [finding("a.html"), finding("b.html")]
    assert told.report("public", found, 0) == found
    assert told.report("public", found, 1) == []
    told.flush("public", at_once=True)
    (alert,) = map(json.loads, (tmp_path / "told").read_text().splitlines())
    assert (alert["count"], [one["path"] for one in alert["findings"]]) == (2, ["a.html", "b.html"])
    assert [json.loads(line)["path"] for line in (tmp_path / "guard/findings.jsonl").read_text().splitlines()] == [
        "a.html",
        "b.html",
    ]
    assert said == []


def test_the_log_of_findings_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above its limit the log is begun anew, and the last one stays beside it."""
    monkeypatch.setattr(limits, "FINDINGS_LOG_BYTES", 1_000)
    told = alerts(tmp_path, [])
    for number in range(40):
        told.report("public", [finding(f"{number}.html")], number)
    log, last = tmp_path / "guard/findings.jsonl", tmp_path / "guard/findings.1.jsonl"
    assert max(log.stat().st_size, last.stat().st_size) < 1_400
    assert json.loads(log.read_text().splitlines()[-1])["path"] == "39.html"


def test_what_was_put_back_and_is_wrong_again_is_told_again(tmp_path: Path) -> None:
    """The same file, altered again after it was put right, is another finding."""
    told = alerts(tmp_path, [])
    one = finding("a.html", "put back")
    assert told.report("public", [one], 0) == told.report("public", [one], 1) == [one]


def test_a_failing_command_does_not_stop_the_guard(tmp_path: Path) -> None:
    """A command that fails or is not there is told on stderr, and that is all."""
    said: list[str] = []
    alerts(tmp_path, said, command=["/nonexistent/alarm"]).report("public", [finding("a.html")], 0)
    assert len(said) == 1


def test_the_webhook_is_tried_again(tmp_path: Path) -> None:
    """The webhook gets one POST of JSON, tried again when its server fails; its address, which may be a secret, is never printed."""
    got: list[dict[str, Any]] = []
    statuses = itertools.chain([503, 500], itertools.repeat(200))

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.answer(next(statuses))

    said: list[str] = []
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        (tmp_path / "hook").write_text(f"{url_of(server)}/secret\n")
        alerts(tmp_path, said, webhook_file="hook").report("public", [finding("a.html")], 0)
    assert (len(got), got[2]["count"], said) == (3, 1, [])
    alerts(tmp_path, said, webhook_file="hook").report("public", [finding("b.html")], 0)
    assert len(said) == 1
    assert "secret" not in said[0]


def test_the_textfile_counts(tmp_path: Path) -> None:
    """The Prometheus textfile has what was found so far, and what is wrong at present."""
    told = alerts(tmp_path, [], textfile="terbit.prom")
    told.report("public", [finding("a.html"), finding("b.html", "put back")], 1762171200.5)
    lines = (tmp_path / "terbit.prom").read_text().splitlines()
    assert 'terbit_guard_findings_total{where="public",what="altered"} 2' in lines
    assert 'terbit_guard_open{where="public",what="altered"} 1' in lines
    assert 'terbit_guard_last_look_seconds{where="public"} 1762171200.500' in lines


def command(directory: Path, *words: str) -> Any:
    return CliRunner().invoke(terbit, [*words, "-C", str(directory)])


def test_the_command_line(folder: Place) -> None:
    """`terbit guard --once --json` prints one object a finding and exits with 4; once all is put right, nothing and 0."""
    folder.write("uji/latest.json", b"{}")
    done = command(folder.directory, "guard", "--once", "--json", "-q")
    assert done.exit_code == 4
    (told,) = map(json.loads, done.stdout.splitlines())
    assert (told["path"], told["what"], told["where"], told["done"].partition(";")[0]) == (
        "latest.json",
        "altered",
        "public",
        "put back",
    )
    assert command(folder.directory, "guard", "--once", "-q").exit_code == 0


def test_freeze_keeps_the_release_and_its_heartbeat(folder: Place) -> None:
    """Frozen, a run takes nothing in and renews the timestamp, and the public is told why; after the end everything goes its way."""
    frozen = folder.directory / "frozen.toml"
    frozen.write_text('since = "2026-11-03T12:00:00Z"\nreason = "diperiksa"\n')
    deliver(folder.directory, {"one": correction()})
    before = folder.files()
    for content in ("", "# Tentang\n\nBerubah.\n"):
        if content:
            (folder.directory / "content/pages/id/tentang.md").write_text(content)
        report, told = publish(folder.directory, NIGHT + minutes(5))
        assert (report.accepted, told["release"], told["files"]) == ({}, 1, 0)
    after = folder.files()
    assert {path for path, data in after.items() if before.get(path) != data} == {"uji/latest.json", f"uji/{TIMESTAMP}"}
    assert json.loads(after["uji/latest.json"])["frozen"]["reason"] == "diperiksa"
    assert (folder.directory / "inbox/one").is_dir()
    assert folder.guard() == []
    frozen.unlink()
    assert publish(folder.directory, NIGHT + minutes(10))[1]["release"] == 2
    assert "frozen" not in json.loads(folder.files()["uji/latest.json"])


def refused_draft(place: Place) -> set[str]:
    """The objects of a draft that were sent before our own check refused it."""
    deliver(place.directory, {"one": correction()})
    workspace, stages, before = Workspace(place.directory), Stages(quiet=True), place.files()
    with workspace.lock(), Flow(workspace, stages, NIGHT + minutes(5)) as flow:
        take_in_packages(workspace, (), stages, NIGHT + minutes(5))
        flow.sign()
        damaged = flow.draft.directory / "metadata" / "2.ppwp-1101.json"
        damaged.write_bytes(damaged.read_bytes()[:-1])
        with pytest.raises(SigningError, match="our own check refuses"):
            flow.publish()
    return place.files().keys() - before.keys()


def test_objects_of_a_draft_are_no_alarm(folder: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a release put there before our own check refused it is known by its draft, and from then on; a stranger's object beside it is not."""
    drafted = refused_draft(folder)
    assert any(path.endswith(".json") for path in drafted)
    strange = f"uji/targets/ppwp/1101/{hashlib.sha256(b'x').hexdigest()}.110101.json"
    folder.write(strange, b"x")
    monkeypatch.setattr("publish.guard.inventory.SETTLES_SECONDS", 0)  # so that it need not look twice to remember
    assert [(one.what, f"uji/{one.path}") for one in folder.guard()] == [("added", strange)]
    shutil.rmtree(folder.directory / "build" / "draft")  # as the next release begins its own
    assert folder.guard() == []
    assert drafted <= folder.files().keys()


def test_objects_of_a_dropped_draft_are_no_alarm(folder: Place) -> None:
    """A refused draft that makes way for another release before the guard has looked is known by what the publisher keeps of it; a stranger's object is not."""
    drafted = refused_draft(folder)
    deliver(folder.directory, {"two": correction(revision=3)})
    assert publish(folder.directory, NIGHT + minutes(10))[1]["release"] == 3
    assert [path.name for path in (folder.directory / "build/draft").iterdir()] == []
    strange = f"uji/targets/ppwp/1101/{hashlib.sha256(b'x').hexdigest()}.110101.json"
    folder.write(strange, b"x")
    assert [(one.what, f"uji/{one.path}") for one in folder.guard()] == [("added", strange)]
    assert drafted <= folder.files().keys()


def test_lists_of_dropped_drafts_do_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that is away for a night leaves a dropped draft for each release, each with all that it lacks: of their lists the newest stay, as many as have room."""
    lists = tmp_path / "dropped"

    def drop(number: int) -> tuple[str, str]:
        draft = Draft(tmp_path / str(number))
        draft.start()
        entry, data = entry_of(f"{number:03}.html", b"%d" % number)
        write_pack(draft.files, "site", [(entry, data)])
        draft.mark_pushed()
        draft.drop(lists)
        return entry.path, entry.sha256

    length = len(msgspec.json.encode([drop(0)]))
    monkeypatch.setattr(limits, "DROPPED_LISTS_BYTES", 3 * length)
    every = [drop(number) for number in range(1, 6)]
    assert Draft.dropped(lists) == {*every[-3:]}
    monkeypatch.setattr(limits, "DROPPED_LISTS_BYTES", 1)
    assert Draft.dropped(lists) == {*every[-3:]}
    last = drop(6)
    assert Draft.dropped(lists) == {last}


def test_a_draft_that_was_never_pushed_leaves_no_list(folder: Place) -> None:
    """What waits for a yes has put nothing anywhere: it makes way without a trace, however often."""
    deliver(folder.directory, {"one": correction()})
    assert isinstance(command(folder.directory, "publish", "-q").exception, PendingError)
    assert list((folder.directory / "build/draft").iterdir()) == []
    assert command(folder.directory, "plan", "-q").exit_code == 3
    (folder.directory / "content/pages/id/tentang.md").write_text("# Tentang\n\nBerubah.\n")
    assert command(folder.directory, "publish", "--yes", "-q").exit_code == 0
    assert not (folder.directory / "build/dropped").exists()


def test_a_release_cut_before_the_freeze_waits_for_its_end(folder: Place) -> None:
    """What was cut and waited for a yes when the site was frozen is not published under the freeze, with --yes or without; at its end it is."""
    deliver(folder.directory, {"one": correction()})
    assert isinstance(command(folder.directory, "publish", "-q").exception, PendingError)
    assert command(folder.directory, "freeze", "--reason", "diperiksa", "-q").exit_code == 0
    for words in ([], ["--yes"]):
        done = command(folder.directory, "publish", "--json", *words)
        assert (done.exit_code, json.loads(done.stdout)["release"]) == (0, 1)
        assert "frozen since" in done.stderr
        assert "--yes" not in done.stderr
    assert isinstance(command(folder.directory, "plan", "-q").exception, FrozenError)
    assert command(folder.directory, "freeze", "--end", "-q").exit_code == 0
    assert json.loads(command(folder.directory, "publish", "--yes", "--json", "-q").stdout)["release"] == 2


def test_a_release_that_is_public_somewhere_goes_on_under_a_freeze(tmp_path: Path) -> None:
    """A release that one target shows already is brought to the others, frozen or not: the public must not see two states."""
    place = Place(tmp_path, None, "site", '[targets.alpha]\nfolder = "alpha"\n[targets.beta]\nfolder = "beta"\n')
    deliver(place.directory, {"one": correction()})
    (place.directory / "beta").rename(place.directory / "away")
    (place.directory / "beta").write_bytes(b"")
    with pytest.raises(TargetError):
        publish(place.directory, NIGHT + minutes(5))
    (place.directory / "beta").unlink()
    (place.directory / "away").rename(place.directory / "beta")
    (place.directory / "frozen.toml").write_text('since = "x"\nreason = "y"\n')
    told = publish(place.directory, NIGHT + minutes(10))[1]["targets"]
    assert told == {name: {"release": 2, "error": None} for name in ("alpha", "beta")}


def test_freeze_on_the_command_line(folder: Place) -> None:
    """`terbit freeze` tells the public at once; a second one tells it again, since when and why as before, unless it has another reason; so does `--end`."""
    hint = folder.root / "uji/latest.json"
    assert command(folder.directory, "freeze", "--reason", 'kab. 3172 "diperiksa"').exit_code == 0
    assert json.loads(hint.read_bytes())["frozen"]["reason"] == 'kab. 3172 "diperiksa"'
    told = json.loads(hint.read_bytes())["frozen"]
    frozen = folder.directory / "frozen.toml"
    frozen.write_text(frozen.read_text().replace(told["since"], "2026-11-03T12:00:00Z"))
    hint.write_bytes(b"{}")
    assert command(folder.directory, "freeze").exit_code == 0
    assert json.loads(hint.read_bytes())["frozen"] == {**told, "since": "2026-11-03T12:00:00Z"}
    assert command(folder.directory, "freeze", "--reason", "lain").exit_code == 0
    assert json.loads(hint.read_bytes())["frozen"] == {"since": "2026-11-03T12:00:00Z", "reason": "lain"}
    for _ in range(2):
        assert command(folder.directory, "freeze", "--end").exit_code == 0
        assert "frozen" not in json.loads(hint.read_bytes())
        hint.write_bytes(b'{"frozen":{}}')


def test_a_freeze_waits_for_no_passphrase(folder: Place, tmp_path: Path) -> None:
    """With encrypted keys a freeze stops everything here at once, and the same command tells the public later; its end changes nothing before the public can be told."""
    hint, frozen, passphrase = (
        folder.root / "uji/latest.json",
        folder.directory / "frozen.toml",
        tmp_path / "passphrase",
    )
    passphrase.write_bytes(b"rahasia\n")
    encrypt_keys(folder.directory, b"rahasia")
    for words, told in ((["--reason", "diperiksa"], False), (["--end"], True)):
        refused = command(folder.directory, "freeze", *words)
        assert "give its passphrase with --passphrase-file FILE" in str(refused.exception)
        assert refused.exit_code == 1
        assert frozen.exists()
        assert ("frozen" in json.loads(hint.read_bytes())) == told
        assert command(folder.directory, "freeze", *words, "--passphrase-file", str(passphrase)).exit_code == 0
        assert (frozen.exists(), "frozen" in json.loads(hint.read_bytes())) == (not told, not told)


def test_a_freeze_has_a_reason(folder: Place) -> None:
    """Without --reason a freeze asks for it at a terminal, and elsewhere it is wrong usage that freezes nothing: the public is told why."""
    frozen = folder.directory / "frozen.toml"
    for words in ([], ["--reason", " "]):
        done = command(folder.directory, "freeze", *words)
        assert (done.exit_code, "--reason" in done.stderr, frozen.exists()) == (2, True, False)
    ours, theirs = pty.openpty()
    os.write(ours, b"\nsedang diperiksa\n")
    words = [sys.executable, "-c", "from publish.cli.main import main; main()", "freeze", "-C", str(folder.directory)]
    subprocess.run(words, stdin=theirs, capture_output=True, check=True)
    os.close(ours)
    os.close(theirs)
    assert json.loads((folder.root / "uji/latest.json").read_bytes())["frozen"]["reason"] == "sedang diperiksa"
    assert command(folder.directory, "freeze", "--end").exit_code == 0


def test_freeze_says_first_that_it_is_frozen(tmp_path: Path) -> None:
    """Where a target is down or its record is lost, it is frozen all the same, which is said first, and then who was not told and what mends it."""
    place = Place(tmp_path, None, "site", '[targets.alpha]\nfolder = "alpha"\n[targets.beta]\nfolder = "beta"\n')
    record = place.directory / "build/targets/beta/record.json"
    kept = record.read_bytes()
    record.unlink()
    done = command(place.directory, "freeze", "--reason", "diperiksa")
    assert done.stderr.startswith("The site is frozen here: nothing is taken in.\n")
    assert str(done.exception).startswith(
        "the site is frozen here: nothing is taken in; not all of the public could be"
    )
    assert str(done.exception).endswith("beta: what it shows is not recorded here; run: terbit reconcile beta")
    assert "frozen" in json.loads((place.directory / "alpha/uji/latest.json").read_bytes())
    record.write_bytes(kept)
    assert command(place.directory, "freeze", "--end").exit_code == 0
    (place.directory / "beta/uji/metadata").rename(place.directory / "beta/uji/aside")
    (place.directory / "beta/uji/metadata").write_bytes(b"")
    done = command(place.directory, "freeze", "--quiet", "--reason", "diperiksa")
    assert "the site is frozen here: nothing is taken in; " in str(done.exception)
    assert "beta: " in str(done.exception)
    assert (place.directory / "frozen.toml").exists()


def test_heartbeat_renews_the_timestamp_alone(folder: Place) -> None:
    """`terbit heartbeat` takes nothing in, and only timestamp and hint change."""
    deliver(folder.directory, {"one": correction()})
    before = folder.files()
    assert command(folder.directory, "heartbeat", "--json").exit_code == 0
    changed = {path for path, data in folder.files().items() if before.get(path) != data}
    assert changed == {"uji/latest.json", f"uji/{TIMESTAMP}"}
