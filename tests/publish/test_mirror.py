"""A mirror of what the publisher really published, caught up over HTTP: what it fetches, and that it is whole at every moment."""

import gc
import json
import random
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest
import urllib3

from tests.election import NIGHT, correction, minutes
from tests.faults import Fault, FaultProxy, LostAnswer, LostRequest, Status, TruncatedAnswer
from tests.killer import DIED, killer
from tests.programs import require
from tests.publish.workspace import copy_tree, deliver, publish, tree
from tests.servers import serving, url_of
from verifier import limits
from verifier.errors import FetchError, StaleError, VerificationError, VerifierError
from verifier.headers import headers_for as publishers_headers
from verifier.mirror.folder import Folder
from verifier.mirror.init import init
from verifier.mirror.server import MirrorServer, headers_for
from verifier.mirror.sync import Outcome, sync
from verifier.mirror.upstreams import Upstreams
from verifier.mirror.verify import verify

LATER = NIGHT + minutes(5)
TIMESTAMP, NEXT_ROOT, CHECKPOINT = "metadata/timestamp.json", "metadata/2.root.json", "log/checkpoint"


@contextmanager
def mirroring(public: Path) -> Iterator[str]:
    with serving(MirrorServer(public, "127.0.0.1", 0)) as server:
        yield url_of(server)


@dataclass
class Origin:
    """A workspace whose public tree stands behind a proxy, and a mirror that knows no other upstream."""

    workspace: Path
    proxy: FaultProxy
    folder: Path
    asked: list[str] = field(default_factory=list)

    def sync(self, now: datetime = NIGHT, *, full: bool = False) -> Outcome:
        before = len(self.proxy.requests)
        mirror = Folder(self.folder)
        try:
            with mirror.lock():
                return sync(mirror, Upstreams(mirror.settings.upstreams), now, full=full)
        finally:
            gc.collect()  # a mirror's connections end with its process
            self.asked = [path.removeprefix("/uji/") for _, path in self.proxy.requests[before:]]

    def correct(self, now: datetime = LATER) -> None:
        """A new release in which one station is corrected."""
        deliver(self.workspace, {"one": correction()})
        publish(self.workspace, now)

    @property
    def public(self) -> Path:
        return self.workspace / "public" / "uji"


@pytest.fixture
def origin(first_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Origin]:
    # One process is a hundred mirrors after each other, and theirs are all one address.
    monkeypatch.setattr(limits, "SERVED_CONNECTIONS_OF_ADDRESS_COUNT", limits.SERVED_CONNECTIONS_COUNT)
    workspace = copy_tree(first_release, tmp_path / "workspace")
    with mirroring(workspace / "public") as url, FaultProxy(url) as proxy:
        root = workspace / "keys" / "metadata" / "1.root.json"
        init(tmp_path / "mirror", [f"{proxy.url}/uji"], None, root, None)
        yield Origin(workspace, proxy, tmp_path / "mirror")


def immutable(folder: Path) -> set[str]:
    """Paths that never change: objects, signatures, packages, versioned metadata."""
    parts = ("targets/", "packages/", "metadata/", "log/")
    return {path for path in tree(folder) if path.startswith(parts) and path not in {TIMESTAMP, CHECKPOINT}}


def one(origin: Origin, pattern: str) -> str:
    """The only object of a name like that."""
    (found,) = origin.public.glob(f"targets/{pattern}")
    return found.relative_to(origin.public).as_posix()


def check_whole(folder: Path, now: datetime) -> int:
    """The release that the mirror serves, all of it verified, aliases too."""
    with ThreadPoolExecutor(1) as executor:
        report = verify(Folder(folder), executor, now)
    assert not report.failures
    assert not report.unlisted
    return report.release


def check_safe(folder: Path, now: datetime, *states: dict[str, str]) -> int:
    """The release that TUF clients get from the mirror, whole; each alias is one that was published."""
    with ThreadPoolExecutor(1) as executor:
        report = verify(Folder(folder), executor, now)
    for failure in report.failures:  # an alias may be the other release's, for moments
        assert not failure.path.startswith(("targets/", "packages/", "metadata/", "role ")), failure
    for path, sha256 in tree(folder / "public" / "uji").items():
        assert path in {"latest.json", TIMESTAMP} or sha256 in {state.get(path) for state in states}, path
    return report.release


def test_the_first_sync_brings_everything(origin: Origin) -> None:
    """A new mirror holds byte for byte what the publisher's tree holds, aliases as links to their objects, and asks for each file once."""
    outcome = origin.sync()
    theirs, ours = tree(origin.public), tree(origin.folder / "public" / "uji")
    del theirs["latest.json"], ours["latest.json"]
    assert ours == theirs
    assert outcome.complete.release == check_whole(origin.folder, NIGHT) == 1
    # Whatever results, pages and packages there are comes in one pack; what must be checked before comes by itself.
    pack, policy = one(origin, "packs/*.tar"), one(origin, "trust/*.tlog-policy.txt")
    metadata = {path for path in immutable(origin.public) if path.startswith(("metadata/", "log/"))}
    assert sorted(origin.asked) == sorted(metadata - {"metadata/1.root.json"} | {pack, policy, TIMESTAMP, NEXT_ROOT})
    for path in origin.folder.glob("public/uji/ppwp/**/*.json*"):
        assert path.stat().st_nlink >= 2, path
    hint = json.loads((origin.folder / "public" / "uji" / "latest.json").read_bytes())
    assert hint == {"release": 1, "expires": "2026-11-03T12:30:00Z"}


def test_catching_up_costs_what_changed(origin: Origin) -> None:
    """After one station's correction a mirror asks for the timestamp, the next root, the snapshot with its proof, one list, one pack and the log's new tiles."""
    origin.sync()
    before = immutable(origin.public)
    origin.correct()
    origin.sync(LATER)
    new = immutable(origin.public) - before
    assert len(new) > 20
    packed = {path for path in new if path.startswith(("targets/", "packages/", "metadata/2.ppwp"))}
    (pack,) = (path for path in packed if path.startswith("targets/packs/"))
    assert sorted(origin.asked) == sorted(new - packed | {pack, TIMESTAMP, NEXT_ROOT})
    assert check_whole(origin.folder, LATER) == 2


def missed(origin: Origin, releases: int) -> datetime:
    """The mirror's first sync, then so many releases without it; the time of the last."""
    origin.sync()
    for number in range(1, releases + 1):
        deliver(origin.workspace, {"one": correction(station=1 + number % 3, revision=1 + (number + 2) // 3)})
        publish(origin.workspace, NIGHT + minutes(5 * number))
    return NIGHT + minutes(5 * releases)


def test_catching_up_over_releases(origin: Origin) -> None:
    """A mirror that missed five releases makes ten requests for them, one list and one pack of each, asks for nothing twice and for no file by itself."""
    now = missed(origin, 5)
    origin.sync(now)
    asked = [path for path in origin.asked if not path.startswith("log/")]
    (packs, lists) = (
        [path.partition(".")[2] for path in asked if "/packs/" in path],
        [path for path in asked if path.endswith(".site.json")],
    )
    assert packs == [f"{release}-1.tar" for release in range(6, 1, -1)]
    assert lists == [f"metadata/{release}.site.json" for release in range(6, 1, -1)]
    assert sorted(path for path in asked if "/packs/" not in path and path not in lists) == [
        NEXT_ROOT, "metadata/6.snapshot.json", "metadata/6.snapshot.json.tlog-proof", TIMESTAMP,
    ]  # fmt: skip
    assert check_whole(origin.folder, now) == 6


def test_catching_up_from_farther_back_than_packs_reach(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mirror that missed more releases than it follows back takes the packs of the newest of them, and what these have not file by file; it ends whole."""
    monkeypatch.setattr(limits, "PACKS_RELEASES_COUNT", 2)
    now = missed(origin, 5)
    origin.sync(now)
    lists = [path for path in origin.asked if path.endswith(".site.json")]
    packs = [path.partition(".")[2] for path in origin.asked if "/packs/" in path]
    assert (lists, packs) == (["metadata/6.site.json", "metadata/5.site.json"], ["6-1.tar", "5-1.tar"])
    alone = [path for path in origin.asked if path.startswith(("targets/", "packages/")) and "/packs/" not in path]
    assert 0 < len(alone) == len(set(alone))
    assert check_whole(origin.folder, now) == 6


def test_nothing_new_is_one_request(origin: Origin) -> None:
    """Where nothing has changed, a run asks for the timestamp on condition; a heartbeat costs the next root's question more."""
    origin.sync()
    origin.sync()
    assert origin.asked == [TIMESTAMP]
    publish(origin.workspace, LATER)
    outcome = origin.sync(LATER)
    assert origin.asked == [TIMESTAMP, NEXT_ROOT]
    assert outcome.complete.files == sum(
        1 for _ in origin.public.glob("targets/**/*.*") if _.suffix != ".minisig" and _.parent.name != "packs"
    )
    assert (origin.folder / "public" / "uji" / TIMESTAMP).read_bytes() == (origin.public / TIMESTAMP).read_bytes()
    origin.sync(LATER)
    assert origin.asked == [TIMESTAMP]


def test_what_is_not_modified_still_expires(origin: Origin) -> None:
    """An upstream that says "nothing new" beyond the timestamp's end is stale, though it tells no lie."""
    origin.sync()
    with pytest.raises(StaleError):
        origin.sync(NIGHT + minutes(40))
    assert origin.asked == [TIMESTAMP]
    assert check_whole(origin.folder, NIGHT) == 1


FAULTS: list[Fault] = [LostRequest(), LostAnswer(), TruncatedAnswer(), Status(503)]


@pytest.mark.parametrize(("first", "step"), [(True, 1), (False, 1)], ids=["first sync", "catching up"])
def test_broken_at_any_request(origin: Origin, tmp_path: Path, first: bool, step: int) -> None:
    """Whichever request fails, what is served stays whole, and the next run asks only for what is not there yet."""
    states = [tree(origin.public)]
    if not first:
        origin.sync()
        origin.correct()
        states.append(tree(origin.public))
    start = copy_tree(origin.folder, tmp_path / "start")
    origin.sync(LATER)
    paths, proof = origin.asked, f"metadata/{2 - first}.snapshot.json.tlog-proof"
    again = {TIMESTAMP, NEXT_ROOT, proof}
    for number in range(1, len(paths) + 1, step):
        shutil.rmtree(origin.folder)
        copy_tree(start, origin.folder)
        # The second request is for the next root: a truncated "there is none" says the same.
        fault = FAULTS[(number // step + (not first)) % len(FAULTS)]
        origin.proxy.choose = fails_at(len(origin.proxy.requests) + number, fault)
        try:
            origin.sync(LATER)
            stopped = False
        except FetchError:
            stopped = True
        # On a busy machine the first run asked for something twice, and this one did not.
        if len(origin.asked) < number:
            assert not stopped
            break
        # Without its pack a release's files come one by one, and its list and the log's tiles are asked for twice.
        mended = re.match(r"targets/packs/|log/|metadata/\d+\.(site|root)\.json", origin.asked[number - 1])
        assert stopped or mended, (number, fault)
        # A package's cover is kept only when all that it names is there, and the log's edge only as a whole.
        late = ("packages/", "log/")
        fine = {path for at, path in enumerate(origin.asked, 1) if at != number and not path.startswith(late)}
        if not first:
            assert check_safe(origin.folder, LATER, *states) == (1 if stopped else 2)
        origin.sync(LATER)
        assert set(origin.asked) & fine <= again, (number, fault)
        assert check_whole(origin.folder, LATER) == (1 if first else 2)


def fails_at(number: int, fault: Fault) -> Callable[[str, str, int], Fault | None]:
    return lambda method, path, at: fault if at == number else None


def test_many_requests_fail(origin: Origin) -> None:
    """Over a line that loses a third of all requests, some runs are enough, and what they leave is whole."""
    chance = random.Random(3)
    origin.proxy.choose = lambda method, path, number: LostRequest() if chance.random() < 0.3 else None
    for _ in range(100):
        try:
            origin.sync()
        except FetchError:
            continue
        break
    assert check_whole(origin.folder, NIGHT) == 1


def test_one_of_two_upstreams_is_old(origin: Origin, first_release: Path, tmp_path: Path) -> None:
    """With one upstream up to date, one frozen at the last release and one gone, the mirror gets the newest, whatever their order."""
    origin.correct()
    root = origin.workspace / "keys" / "metadata" / "1.root.json"
    with mirroring(first_release / "public") as old:
        for number, places in enumerate(([f"{old}/uji", str(origin.public)], [str(origin.public), f"{old}/uji"])):
            mirror = init(tmp_path / str(number), [*places, "http://127.0.0.1:9/uji"], "uji", root, None)
            outcome = sync(mirror, Upstreams(mirror.settings.upstreams), LATER)
            assert outcome.complete.release == check_whole(mirror.root, LATER) == 2
            assert len(outcome.problems) == 1


def test_an_older_release_is_refused(origin: Origin, first_release: Path) -> None:
    """A mirror that has seen a release takes no older one, though all its signatures hold."""
    origin.correct()
    origin.sync(LATER)
    shutil.rmtree(origin.public)
    shutil.copytree(first_release / "public" / "uji", origin.public)
    with pytest.raises(VerificationError, match="rolled back"):
        origin.sync(LATER)
    assert check_whole(origin.folder, LATER) == 2


@pytest.mark.parametrize(
    "kind",
    [
        "targets/**/*.json",
        "targets/**/*.minisig",
        "packages/*/rows.csv",
        "packages/*/recap.toml",
        "metadata/*ppwp*.json",
        "log/tile/entries/*.p/*",
    ],
)
def test_what_rotted_is_mended(origin: Origin, kind: str) -> None:
    """A file that went bad on the mirror's disk is found by `verify`, and fetched again by `sync --full`, its alias too."""
    origin.sync()
    victim = sorted((origin.folder / "public" / "uji").glob(kind))[-1]
    victim.write_bytes(b"{}")
    with ThreadPoolExecutor(1) as executor:
        assert verify(Folder(origin.folder), executor, NIGHT).failures
    origin.sync(full=True)
    assert victim.relative_to(origin.folder / "public" / "uji").as_posix() in origin.asked
    assert check_whole(origin.folder, NIGHT) == 1


def test_two_runs_at_once(origin: Origin) -> None:
    """A second run in the same folder is told that another one is under way."""
    with Folder(origin.folder).lock(), pytest.raises(VerifierError, match="another run"):
        origin.sync()


def catch_up(folder: Path) -> None:
    mirror = Folder(folder)
    with mirror.lock():
        sync(mirror, Upstreams(mirror.settings.upstreams), LATER)


@pytest.mark.parametrize(("first", "step"), [(True, 19), (False, 4)], ids=["first sync", "catching up"])
def test_killed_at_any_change_to_the_disk(origin: Origin, tmp_path: Path, first: bool, step: int) -> None:
    """Whatever change to the disk is the last, the mirror serves one whole release, and the next run ends where an undisturbed one does."""
    states = [tree(origin.public)]
    folder = origin.folder
    toml = folder / "mirror.toml"
    toml.write_text(toml.read_text().replace(f"{origin.proxy.url}/uji", str(origin.public)))
    if not first:
        origin.sync()
        origin.correct()
        states.append(tree(origin.public))
    start = copy_tree(folder, tmp_path / "start")
    releases = set()
    with killer("tests.publish.test_mirror:catch_up") as kill:
        status, total = kill(folder, -1)
        assert status == 0
        undisturbed = tree(folder / "public")
        assert total > 60
        for limit in range(1, total + 1, step):
            shutil.rmtree(folder)
            copy_tree(start, folder)
            assert kill(folder, limit) == (DIED, limit)
            if not first or (folder / "public" / "uji" / TIMESTAMP).exists():
                releases.add(check_safe(folder, LATER, *states))
            origin.sync(LATER)
            assert check_whole(folder, LATER) == len(states), limit
            assert tree(folder / "public") == undisturbed, limit
            assert not list((folder / "incoming").iterdir()), limit
            assert not (folder / "under-way").exists()
    assert releases == ({1} if first else {1, 2})


SERVED = ["index.html", "ppwp/0.json", "ppwp/0.json.minisig", "latest.json", TIMESTAMP, "metadata/1.root.json"]


def test_nginx_serves_as_the_document_says(origin: Origin, tmp_path: Path) -> None:
    """The configuration in docs/mirrors.md gives pages, data, objects and packages the headers that our own server gives them."""
    nginx = require("nginx")
    origin.sync()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = Path("docs/mirrors.md").read_text()
    server, maps = re.findall(r"```nginx\n(.*?)```", text, re.DOTALL)
    server = server.replace("443 ssl", f"127.0.0.1:{port}").replace("/srv/mirror/", f"{origin.folder}/")
    places = "".join(
        f"{name}_temp_path {tmp_path}/{name}; " for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    settings = tmp_path / "nginx.conf"
    settings.write_text(
        f"daemon off; master_process off; pid {tmp_path}/pid; error_log stderr;\nevents {{}}\n"
        f"http {{ access_log off; {places}\n{maps}\n{server}\n}}\n"
    )
    everything = tree(origin.folder / "public")
    paths = [f"uji/{path}" for path in SERVED]
    paths += [
        next(path for path in everything if path.startswith(f"uji/{folder}/")) for folder in ("targets", "packages")
    ]
    names = (
        "Cache-Control",
        "Content-Security-Policy",
        "Access-Control-Allow-Origin",
        "Referrer-Policy",
        "Content-Type",
    )
    with subprocess.Popen([nginx, "-p", tmp_path, "-e", "stderr", "-c", settings], stderr=subprocess.PIPE) as process:
        try:
            for path in paths:
                answer = ask(port, f"/{path}")
                ours = headers_for(path)
                assert {n: answer.headers.get(n) for n in names} == {n: ours.get(n) for n in names}, path
            for path in ("/uji/metadata/", "/mirror.toml", "/uji/.hidden"):
                assert ask(port, path).status in {403, 404}
        finally:
            process.terminate()


def ask(port: int, path: str) -> urllib3.BaseHTTPResponse:
    return urllib3.request("GET", f"http://127.0.0.1:{port}{path}", retries=urllib3.Retry(9, backoff_factor=0.05))


@pytest.mark.parametrize(
    "path",
    [
        "uji/index.html", "uji/ppwp/0.json", "uji/ppwp/0.json.minisig", "uji/ppwp/1101/1101.html", "uji/latest.json",
        "uji/metadata/timestamp.json", "uji/metadata/1.root.json", "uji/targets/a/b.json", "uji/targets/index.html",
        "uji/packages/a/recap.toml", "uji/packages/a/x.html", "uji/packages/a/x.pdf", "uji/assets/site.css", "index.html",
        "uji/trust/areas.csv.gz", "uji/x.unknown",
    ],
)  # fmt: skip
def test_headers_are_the_publishers(path: str) -> None:
    """A mirror serves every file with the headers of the publisher's site, but for the one that speaks for a whole domain."""
    theirs = publishers_headers(path)
    del theirs["Strict-Transport-Security"]
    assert headers_for(path) == theirs
