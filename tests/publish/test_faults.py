"""Faults at every request of a push: clients keep a whole release, the next run ends with the same bytes, what is immutable is written once."""

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import obstore
import pytest

from publish.errors import TargetError
from publish.progress import Stages
from publish.release.flow import Flow
from publish.release.intake import take_in_packages
from publish.targets.bucket import CONCURRENCY, Patience
from publish.workspace import Workspace
from tests.election import NIGHT, correction, minutes
from tests.faults import Delay, Fault, FaultProxy, LostAnswer, LostRequest, Status, TruncatedAnswer, TruncatedRequest
from tests.publish.workspace import deliver, make_workspace, publish, tree
from tests.storage import BUCKET, Server, seaweedfs
from verifier.client import Client
from verifier.errors import VerificationError
from verifier.fetcher import MissingError

LATER = NIGHT + minutes(5)
PATIENCE = "publish.targets.bucket.PATIENCE"
UNHURRIED = Patience(first_wait=0.01, longest_wait=0.02)
QUICK = replace(UNHURRIED, retries=2)
BUSY = {"Retry-After": "1"}
POINTERS = {"uji/metadata/timestamp.json", "uji/latest.json"}
# Forks a process for each workspace named on stdin, which publishes; tells its id first, so that it can be killed, and how it ended.
PUBLISHER = """
import os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from tests.election import NIGHT, minutes
from tests.publish.workspace import publish
from publish.release import flow
from publish.targets import s3
for line in sys.stdin:
    if not (child := os.fork()):
        publish(Path(line.strip()), NIGHT + minutes(5))
        os._exit(0)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""

Held = dict[str, bytes]
Choose = Callable[[str, str, int], Fault | None]


@dataclass(frozen=True)
class Memory:
    """A fetcher over what a bucket or a folder held at one moment."""

    files: Mapping[str, bytes]

    def fetch(self, path: str, max_length: int) -> bytes:
        data = self.files.get(f"uji/{path}")
        if data is None:
            raise MissingError(path)
        if len(data) > max_length:
            raise VerificationError(path)
        return data

    def fetch_linked(self, path: str, other: str, max_length: int) -> tuple[bytes, bool]:
        return self.fetch(path, max_length), False


def release(held: Mapping[str, bytes], root: bytes, state: Path) -> int:
    """The release that a client gets which knows the first root and has seen release 1; every file that it lists is there with the right bytes."""
    client = Client(Memory(held), state, LATER, root=root)
    client.refresh()
    for role in client.roles().values():
        for target in role.targets.targets.values():
            client.fetch_target(target)
    return client.snapshot.version


def immutable(path: str) -> bool:
    name = path.removeprefix("uji/")
    return name.startswith(("targets/", "packages/")) or (name.startswith("metadata/") and name[9].isdigit())


class Bucket:
    """The server, what it held after release 1, and workspaces that would make release 2 there."""

    def __init__(self, server: Server, proxy: FaultProxy, folder: Path) -> None:
        self.server, self.proxy, self.folder, self.count = server, proxy, folder, 0
        self.store = server.store()
        self.prepared = make_workspace(folder / "prepared", self.config("prepared"))
        deliver(self.prepared)
        publish(self.prepared)
        self.first = self.held("prepared")
        self.root = (self.prepared / "keys/metadata/1.root.json").read_bytes()
        assert release(self.first, self.root, folder / "state") == 1
        deliver(self.prepared, {"one": correction(), "two": correction("110102", 1)})
        workspace = self.workspace("undisturbed")
        proxy.requests.clear()
        publish(workspace, LATER)
        self.requests = [path for _, path in proxy.requests]
        self.undisturbed = self.held("undisturbed")

    def config(self, name: str) -> str:
        return f"workers = 1\n{Server(self.proxy.url).target(f'{name}/')}"

    def workspace(self, name: str) -> Path:
        """A copy of the prepared workspace, with a copy of what it has published."""
        workspace = Path(shutil.copytree(self.prepared, self.folder / name))
        (workspace / "terbit.toml").write_text(self.config(name))

        async def put_all() -> None:
            puts = [obstore.put_async(self.store, f"{name}/{path}", data) for path, data in self.first.items()]
            await asyncio.gather(*puts)

        asyncio.run(put_all())
        return workspace

    def held(self, name: str) -> Held:
        """Every file under a prefix; our own marks left out."""
        paths = [entry["path"] for batch in obstore.list(self.store, f"{name}/") for entry in batch]

        async def get(path: str) -> bytes:
            return bytes(await (await obstore.get_async(self.store, path)).bytes_async())

        async def get_all() -> list[bytes]:
            return await asyncio.gather(*map(get, paths))

        found = zip(paths, asyncio.run(get_all()), strict=True)
        return {path.removeprefix(f"{name}/"): data for path, data in found if "/.terbit-" not in path}

    def versions(self, name: str) -> Counter[str]:
        """How often each file was written."""
        pages = self.server.client().get_paginator("list_object_versions").paginate(Bucket=BUCKET, Prefix=f"{name}/")
        return Counter(one["Key"].removeprefix(f"{name}/") for page in pages for one in page.get("Versions", ()))

    def ordinal(self, part: str, *, last: bool = False) -> int:
        """The number of the first or last request for a path with `part` in it."""
        found = [number for number, path in enumerate(self.requests, 1) if part in path]
        return found[-1 if last else 0]

    def check_whole(self, name: str) -> int:
        """What clients get now, old and new ones; the number of the release."""
        held, state = self.held(name), self.folder / f"{name}-state"
        shutil.copytree(self.folder / "state", state)
        number = release(held, self.root, state)
        assert number in (1, 2)
        assert release(held, self.root, self.folder / f"{name}-new") == number
        return number

    def check_finished(self, name: str, workspace: Path) -> None:
        """A run without faults ends where an undisturbed one does, and nothing immutable was written twice."""
        self.proxy.choose = lambda method, path, number: None
        publish(workspace, LATER)
        held = self.held(name)
        assert held.keys() == self.undisturbed.keys()
        assert [path for path in held if held[path] != self.undisturbed[path] and path not in POINTERS] == []
        assert self.check_whole_once(name, held) == 2
        assert {path: count for path, count in self.versions(name).items() if immutable(path) and count > 1} == {}

    def check_whole_once(self, name: str, held: Held) -> int:
        return release(held, self.root, self.folder / f"{name}-last")


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    folder = tmp_path_factory.mktemp("faults")
    with pytest.MonkeyPatch.context() as patch, seaweedfs(folder / "weed") as server, FaultProxy(server.url) as proxy:
        for key, value in server.environment().items():
            patch.setenv(key, value)
        patch.setattr(PATIENCE, UNHURRIED)
        server.client().put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield Bucket(server, proxy, folder)


def first_tries(fault: Fault) -> Choose:
    """Every request fails when it is made for the first time."""
    seen: set[tuple[str, str]] = set()

    def choose(method: str, path: str, number: int) -> Fault | None:
        fresh = (method, path) not in seen
        seen.add((method, path))
        return fault if fresh else None

    return choose


def from_request(first: int, fault: Fault, start: int) -> Choose:
    return lambda method, path, number: fault if number - start >= first else None


PASSING = {
    "lost request": LostRequest(),
    "lost answer": LostAnswer(),
    "truncated request": TruncatedRequest(),
    "truncated answer": TruncatedAnswer(),
    "500": Status(500),
    "503": Status(503),
    "429": Status(429, BUSY),
    "slow": Delay(0.05),
}


@pytest.mark.parametrize("kind", PASSING)
def test_every_first_try_fails(bucket: Bucket, kind: str) -> None:
    """A fault that passes, at each single request of a push, is outlasted: the release goes out in the same run."""
    name = kind.replace(" ", "-")
    workspace = bucket.workspace(name)
    bucket.proxy.choose = first_tries(PASSING[kind])
    publish(workspace, LATER)
    assert bucket.check_whole(name) == 2
    bucket.check_finished(name, workspace)


LASTING = {
    "lost request": LostRequest(),
    "lost answer": LostAnswer(),
    "truncated request": TruncatedRequest(),
    "503": Status(503, BUSY),
    "403": Status(403),
    "stall": Delay(5),
}
# (part of the path, the last such request)
POINTS = {
    "timestamp read": ("timestamp.json", False),
    "first object": ("/targets/", False),
    "last object": ("/targets/", True),
    "snapshot": ("2.snapshot.json", False),
    "commit": ("timestamp.json", True),
    "first alias": ("/uji/ppwp/", False),
    "last hint": ("latest.json", True),
}


def cases() -> list[tuple[str, str]]:
    """The commit with every kind of fault, each other point with two kinds that change from day to day."""
    offset = datetime.now(UTC).toordinal() % len(LASTING)  # the same in every process of a run
    kinds = list(LASTING) * 5
    others = [point for point in POINTS if point != "commit"]
    turns = [(point, kinds[offset + 2 * number + more]) for number, point in enumerate(others) for more in (0, 1)]
    return [("commit", kind) for kind in LASTING] + turns


def push_with(bucket: Bucket, name: str, first: int, fault: Fault, *, again: bool = True) -> str | None:
    """Publish with a fault from request `first` on; what the operator is told, None if all went well."""
    workspace = bucket.workspace(name)
    bucket.proxy.choose = from_request(first, fault, len(bucket.proxy.requests))
    told = None
    with pytest.MonkeyPatch.context() as patch:
        # An honest answer may be slow, too: only where a late one is the fault is there little time for it.
        patch.setattr(PATIENCE, replace(QUICK, answer=0.4) if isinstance(fault, Delay) else QUICK)
        try:
            publish(workspace, LATER)
        except TargetError as error:
            told = str(error)
    bucket.proxy.choose = lambda method, path, number: None
    bucket.check_whole(name)
    if again:
        bucket.check_finished(name, workspace)
    return told


@pytest.mark.parametrize(("point", "kind"), cases())
def test_a_fault_that_lasts(bucket: Bucket, point: str, kind: str) -> None:
    """From any request on nothing goes through any more: the operator gets one clear line, clients a whole release, the next run finishes."""
    part, last = POINTS[point]
    told = push_with(bucket, f"{point}-{kind}".replace(" ", "-"), bucket.ordinal(part, last=last), LASTING[kind])
    assert told is not None
    assert "\n" not in told
    assert "credentials" in told if kind == "403" else "publish again" in told


def test_a_busy_server_is_left_alone_as_long_as_it_asks(bucket: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    """On 503 with Retry-After all threads wait together for so long, the operator is told, and the release goes out in the same run."""
    workspace = bucket.workspace("asked")
    refused, probes = [], []

    def choose(method: str, path: str, number: int) -> Fault | None:
        if method == "HEAD":
            probes.append(path)
        if "/targets/" in path and len(probes) < 2:
            refused.append(path)
        return (
            Status(503, BUSY)
            if len(refused) and len(probes) < 3 and (method == "HEAD" or refused[-1] == path)
            else None
        )

    bucket.proxy.choose = choose
    with Flow(Workspace(workspace), Stages(), LATER) as flow:
        take_in_packages(flow.workspace, (), Stages(quiet=True), LATER)
        flow.publish()
    told = "bucket: The server answers 503 and asks us to wait 1 s; asking again then."
    assert told in capsys.readouterr().err
    assert 2 <= len(probes) <= 4
    assert len(refused) <= 2 * CONCURRENCY
    bucket.check_finished("asked", workspace)


def test_a_server_that_asks_for_too_long_is_given_up(bucket: Bucket) -> None:
    """A server that wants to be left alone for an hour is, and the operator reads that."""
    workspace = bucket.workspace("hour")
    bucket.proxy.choose = lambda method, path, number: Status(429, {"Retry-After": "3600"})
    start = len(bucket.proxy.requests)
    with pytest.raises(TargetError, match="answers 429 and asks us to wait 3,600 s, longer than one run waits"):
        publish(workspace, LATER)
    assert [method for method, _ in bucket.proxy.requests[start:]] == ["GET", "HEAD"]
    bucket.check_finished("hour", workspace)


@pytest.mark.parametrize("point", ["first object", "commit"])
def test_a_server_that_is_gone_is_not_asked_again(bucket: Bucket, point: str) -> None:
    """Without any answer to a write nobody asks what stands there: the operator waits for one request, not for two."""
    part, last = POINTS[point]
    start = len(bucket.proxy.requests)
    first = bucket.ordinal(part, last=last)
    assert push_with(bucket, f"gone-{part.strip('/')}", first, LostRequest(), again=False)
    assert {method for method, _ in bucket.proxy.requests[start + first - 1 :]} == {"PUT"}


def test_a_fault_that_lasts_anywhere(bucket: Bucket) -> None:
    """The same from every twenty-fourth request on, at an offset and with faults that change from day to day."""
    for number, first in enumerate(range(1 + random.randrange(24), len(bucket.requests), 24)):
        kind = list(LASTING)[number % len(LASTING)]
        assert push_with(bucket, f"anywhere-{first}", first, LASTING[kind]) is not None, (first, kind)


def test_stopped_again_and_again(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a stop behind the commit and another one before the next commit, what was pushed is not built and compared from the beginning."""
    monkeypatch.setattr(PATIENCE, QUICK)
    workspace = bucket.workspace("again")
    for point in ("first alias", "first object"):
        part, last = POINTS[point]
        start = len(bucket.proxy.requests)
        bucket.proxy.choose = from_request(bucket.ordinal(part, last=last), Status(503, BUSY), start)
        with pytest.raises(TargetError):
            publish(workspace, LATER)
    draft = (workspace / "build/draft/2/draft.json").stat().st_mtime_ns
    bucket.proxy.choose = from_request(
        bucket.ordinal("timestamp.json", last=True), Status(403), len(bucket.proxy.requests)
    )
    with pytest.raises(TargetError):
        publish(workspace, LATER)
    assert (workspace / "build/draft/2/draft.json").stat().st_mtime_ns == draft
    monkeypatch.setattr(PATIENCE, UNHURRIED)
    bucket.check_whole("again")
    bucket.check_finished("again", workspace)


# Two publishers with one workspace's keys.


def two_copies(bucket: Bucket, name: str) -> tuple[Path, Path]:
    """Two copies of one workspace, each with a package that the other one has not."""
    one = bucket.workspace(name)
    two = Path(shutil.copytree(one, bucket.folder / f"{name}-two"))
    deliver(two, {"three": correction("110102", 2)})
    return one, two


def attempt(workspace: Path, now: datetime = LATER) -> str:
    """Publish; what the loser is told, nothing for the winner."""
    try:
        publish(workspace, now)
    except TargetError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("held_up", ["2.snapshot.json", "timestamp.json", "/uji/ppwp/", "/packages/"])
def test_two_publishers_at_once(bucket: Bucket, held_up: str) -> None:
    """Whoever is held up where, one wins and the other is told; its next runs change nothing and say what to do."""
    name = f"two-{held_up.strip('/').replace('/', '-')}"
    pair = two_copies(bucket, name)
    seen: list[str] = []

    def choose(method: str, path: str, number: int) -> Fault | None:
        if method == "PUT" and held_up in path and not seen:
            seen.append(path)
            return Delay(0.3)
        return None

    bucket.proxy.choose = choose
    with ThreadPoolExecutor(2) as threads:
        told = list(threads.map(attempt, pair))
    bucket.proxy.choose = lambda method, path, number: None
    assert sorted(map(bool, told)) == [False, True]
    winner, loser = pair if told[1] else pair[::-1]
    assert "another publisher" in max(told)
    assert bucket.check_whole(name) == 2
    before = bucket.held(name)
    assert "Let only one go on" in attempt(loser, LATER + minutes(5))
    deliver(loser, {"four": correction("110101", 3)})
    assert "ledger/packages" in attempt(loser, LATER + minutes(10))
    assert bucket.held(name) == before
    # As the message says: what the loser took in is handed in at the winner.
    workspace = Workspace(winner)
    with workspace.lock():
        paths = [loser / "ledger" / "packages"]
        take_in_packages(workspace, paths, Stages(quiet=True), LATER + minutes(15))
    publish(winner, LATER + minutes(15))
    assert release(bucket.held(name), bucket.root, bucket.folder / f"{name}-after") == 3
    assert {path: count for path, count in bucket.versions(name).items() if immutable(path) and count > 1} == {}


def test_an_old_copy_takes_nothing_back(bucket: Bucket) -> None:
    """A copy of the workspace from before the last release, started by mistake, says so and leaves the public where it is."""
    new = bucket.workspace("old-copy")
    old = Path(shutil.copytree(new, bucket.folder / "old-copy-two"))
    shutil.rmtree(old / "inbox")
    publish(new, LATER)
    before = bucket.held("old-copy")
    assert "old copy" in attempt(old, LATER + minutes(5))
    assert bucket.held("old-copy") == before
    publish(new, LATER + minutes(5))


def test_two_publishers_in_one_folder(tmp_path: Path) -> None:
    """The same where both publish into one folder."""
    one = make_workspace(tmp_path / "one", f'workers = 1\n[targets.public]\nfolder = "{tmp_path}/public"\n')
    deliver(one)
    publish(one)
    two = Path(shutil.copytree(one, tmp_path / "two"))
    deliver(one, {"one": correction()})
    deliver(two, {"two": correction("110102", 1)})
    with ThreadPoolExecutor(2) as threads:
        told = list(threads.map(attempt, (one, two)))
    assert sorted(map(bool, told)) == [False, True]
    held = {
        path.relative_to(tmp_path / "public").as_posix(): path.read_bytes()
        for path in (tmp_path / "public").rglob("*")
        if path.is_file()
    }
    root = (one / "keys/metadata/1.root.json").read_bytes()
    assert release(held, root, tmp_path / "state") == 2
    winner, loser = (one, two) if told[1] else (two, one)
    before = tree(tmp_path / "public")
    assert "Let only one go on" in attempt(loser, LATER + minutes(5))
    assert tree(tmp_path / "public") == before
    publish(winner, LATER + minutes(5))


# A publisher that is killed while it talks to the bucket.


@pytest.fixture(scope="module")
def publisher() -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-c", PUBLISHER, str(Path.cwd())]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def test_killed_at_a_request(bucket: Bucket, publisher: subprocess.Popen[str]) -> None:
    """Killed before the server has a request or before it answers, the publisher leaves a whole release, and the next run finishes."""
    assert publisher.stdin is not None
    assert publisher.stdout is not None
    named = ("first object", "snapshot", "commit", "first alias", "last hint")
    points = {bucket.ordinal(part, last=last) for part, last in map(POINTS.__getitem__, named)}
    points.add(random.randrange(2, len(bucket.requests)))
    for number, point in enumerate(sorted(points)):
        name, at_commit = f"killed-{point}", point == bucket.ordinal("timestamp.json", last=True)
        workspace = bucket.workspace(name)
        fault = LostAnswer() if at_commit or number % 2 else LostRequest()
        reached = threading.Event()

        def choose(
            method: str, path: str, count: int, last: int = len(bucket.proxy.requests) + point,
            fault: Fault = fault, reached: threading.Event = reached,
        ) -> Fault | None:  # fmt: skip
            if count >= last:
                reached.set()
            return fault if count >= last else None

        bucket.proxy.choose = choose
        publisher.stdin.write(f"{workspace}\n")
        publisher.stdin.flush()
        child = int(publisher.stdout.readline())
        assert reached.wait(120), point
        time.sleep(0.01)  # what was asked for may arrive
        os.kill(child, signal.SIGKILL)
        assert int(publisher.stdout.readline()) == signal.SIGKILL, point
        bucket.check_whole(name)
        bucket.check_finished(name, workspace)
