"""The guard: every kind of tampering is found and put right, on a folder, in a bucket, and at public addresses."""

import http.server
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from builder.ledger import Ledger
from publish.alerts import Alerts
from publish.config import GuardConfig
from publish.guard import Finding, exit_code
from publish.patrol import Patrol
from publish.targets import TIMESTAMP
from publish.workspace import Workspace
from tests.election import NIGHT, correction, minutes
from tests.publish.workspace import deliver, make_workspace, publish
from tests.storage import BUCKET, Server, seaweedfs
from verifier.client import Client
from verifier.errors import VerifierError
from verifier.fetcher import DirectoryFetcher

BUCKET_CONFIG = """workers = 1
[targets.bucket]
bucket = "{bucket}"
endpoint = "{url}"
prefix = "{prefix}"
{more}
"""


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with seaweedfs(tmp_path_factory.mktemp("weed") / "weed") as server:
        yield server


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in Server("").environment().items():
        monkeypatch.setenv(name, value)


class Place:
    """A workspace with one published target, which a stranger can write to."""

    def __init__(self, directory: Path, server: Server | None, name: str, more: str = "") -> None:
        self.server, self.name = server, name
        self.client: Any = server.client() if server else None
        if server:
            config = BUCKET_CONFIG.format(bucket=BUCKET, url=server.url, prefix=f"{name}/", more=more)
        else:
            config = f"workers = 1\n{more}"
        self.directory = make_workspace(directory / name, config)
        deliver(self.directory)
        publish(self.directory)

    @property
    def root(self) -> Path:
        return self.directory / "public"

    def files(self) -> dict[str, bytes]:
        """All files, our marks and what was set aside left out."""
        if self.server:
            every = self.server.keys().items()
            found = {key.removeprefix(f"{self.name}/"): data for key, data in every if key.startswith(f"{self.name}/")}
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

    def guard(self, heal: bool = True) -> list[Finding]:
        return look(self.directory, heal)


def look(directory: Path, heal: bool = True, now: datetime = NIGHT) -> list[Finding]:
    return Patrol(directory, heal, lambda: now, lambda finding: None, lambda text: None).once()


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    server = request.getfixturevalue("storage") if request.param == "bucket" else None
    name = "".join(c for c in request.node.name if c.isalnum())[-60:].lower()
    return Place(tmp_path, server, name)


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
    record = place.directory / "build/targets" / ("bucket" if place.server else "public")
    kept = {path: path.read_bytes() for path in record.glob("*.json")}
    deliver(place.directory, {"one": correction()})
    publish(place.directory, NIGHT + minutes(10))
    newest = place.files()
    for path, data in kept.items():
        path.write_bytes(data)
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
