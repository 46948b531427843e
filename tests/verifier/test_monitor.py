"""Publisher, CDN and mirror beside each other: what one of them does wrong is told of it alone, and of nobody else."""

import json
import random
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.election import NIGHT, correction, minutes
from tests.publish.workspace import deliver, make_workspace, publish
from tests.servers import serving
from tests.verifier.formats.tlog import LOG, ORIGIN, signed, signer, verifier_key
from tests.verifier.site_simulator import NOW, A, B, SiteServer, SiteSimulator, sha256
from verifier.cli.main import main
from verifier.cli.monitor import _write
from verifier.errors import FetchError
from verifier.fetcher import DirectoryFetcher
from verifier.formats import merkle
from verifier.formats.checkpoint import Checkpoint, SignedCheckpoint
from verifier.formats.leaves import Release
from verifier.formats.note import sign
from verifier.formats.tiles import RightEdge, Tile, node_reader
from verifier.formats.tlog_proof import LogProof
from verifier.monitor.places import side_by_side
from verifier.monitor.run import monitor

OK, ERROR, USAGE, FAILED, STALE = 0, 1, 2, 4, 5
CHECKPOINT, TIMESTAMP, POLICY = "log/checkpoint", "metadata/timestamp.json", "trust/tlog-policy.txt"
EVERY_FILE = 1000


class LoggedSite(SiteSimulator):
    """A site with a log; release N is signed 300 N seconds after the night's begin, its front page names N."""

    def __init__(self) -> None:
        self.edge = RightEdge()
        super().__init__()

    def compose(self) -> None:
        self.files["trust"][POLICY] = f"log {LOG.encode()}\nquorum none\n".encode()
        self.files["site"]["index.html"] = f"<!doctype html>{self.release}".encode()
        self.files["ppwp-11"][A] = self.results(A, votes=[self.release, 2])
        super().compose()
        self.timestamp.version = round(NOW.timestamp()) - 2000 + 300 * self.release

    def sign_snapshot(self) -> None:
        super().sign_snapshot()
        name = f"{self.snapshot.version}.snapshot.json"
        meta = self.timestamp.snapshot_meta
        assert meta.hashes is not None
        assert meta.length is not None
        self.append(Release(name, meta.length, meta.hashes["sha256"]).encode())
        self.tree[f"metadata/{name}.tlog-proof"] = self.prove(self.edge.size - 1)

    def append(self, *entries: bytes) -> None:
        self.edge, files = self.edge.append(entries)
        self.tree |= {f"log/{path}": data for path, data in files.items()}
        self.tree[CHECKPOINT] = self.head().encode()

    def head(self) -> SignedCheckpoint:
        return signed(Checkpoint(ORIGIN, self.edge.size, self.edge.root()))

    def prove(self, index: int) -> bytes:
        def read(tile: Tile) -> bytes:
            return self.tree[f"log/{tile.path}"]

        hashes = merkle.inclusion_proof(index, self.edge.size, node_reader(self.edge.size, read))
        return LogProof(index, hashes, self.head()).encode()


@dataclass
class Places:
    """An honest publisher and mirror with two releases, and between them a CDN's tree, which a test may spoil."""

    site: LoggedSite
    servers: list[SiteServer]
    folder: Path
    before: dict[str, bytes] = field(default_factory=dict)

    @property
    def cdn(self) -> dict[str, bytes]:
        return self.servers[1].tree

    def look(self, *options: object) -> tuple[Result, dict[str, Any]]:
        root = self.folder / "root.json"
        root.write_bytes(self.site.tree["metadata/1.root.json"])
        words = ["monitor", *(server.url for server in self.servers), "--root", root, "--state", self.folder / "state"]
        words += ["--now", f"{NOW:%Y-%m-%dT%H:%M:%SZ}", "--json", *(options or ["--all"])]
        result = CliRunner().invoke(main, [str(word) for word in words])
        return result, json.loads(result.stdout)

    def publish(self) -> None:
        """A new release, at every place."""
        self.site.next_release()
        for server in self.servers:
            server.tree |= self.site.tree


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Places]:
    site = LoggedSite()
    before = dict(site.tree)
    site.next_release()
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(SiteServer(dict(site.tree)))) for _ in range(3)]
        yield Places(site, servers, tmp_path, before)


@pytest.fixture(params=[["--all"], ["--sample", EVERY_FILE]], ids=["all", "sample"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Both ways of looking at files; a sample of so small a site may as well be all of it."""
    monkeypatch.setattr("verifier.monitor.look.SAMPLED_ROLES", EVERY_FILE)
    return list(request.param)


def test_all_good(places: Places, way: list[object]) -> None:
    """Three places that show the same are told as good, with their release, nothing behind, and all files checked."""
    result, told = places.look(*way)
    assert result.exit_code == OK, result.output
    assert told["release"] == 2
    for one in told["places"]:
        assert (one["status"], one["release"], one["lag_seconds"], one["lag_releases"]) == ("ok", 2, 0, 0)
        assert one["checkpoints"] == [2]
        assert one["files"] == sum(map(len, places.site.files.values()))


def altered_object(places: Places) -> None:
    places.cdn[places.site.object_of("index.html")] += b"!"


def altered_alias(places: Places) -> None:
    places.cdn["index.html"] = b"<p>Menang!"


def longer_alias(places: Places) -> None:
    places.cdn["index.html"] += b"!"


def missing_alias(places: Places) -> None:
    del places.cdn["ppwp/12/1201.html"]


def swapped_signature(places: Places) -> None:
    places.cdn[A + ".minisig"] = places.cdn[B + ".minisig"]


def forged_results(places: Places) -> None:
    """With a signature that fits, by a key of the thief's own."""
    places.cdn[A] = places.cdn[A].replace(b"[2,2]", b"[9,2]")


def alias_of_the_release_before(places: Places) -> None:
    for path in ("index.html", A, A + ".minisig"):
        assert places.cdn[path] != places.before[path]
        places.cdn[path] = places.before[path]


def alias_of_an_old_release(places: Places) -> None:
    places.publish()
    places.cdn["index.html"] = places.before["index.html"]


def altered_role(places: Places) -> None:
    places.cdn["metadata/2.ppwp-11.json"] = places.cdn["metadata/2.ppwp-12.json"]


def missing_role(places: Places) -> None:
    del places.cdn["metadata/2.ppwp-11.json"]


def mixed_releases(places: Places) -> None:
    places.cdn["metadata/2.snapshot.json"] = places.before["metadata/1.snapshot.json"]


def forged_timestamp(places: Places) -> None:
    places.site.signers["timestamp"] = places.site.keys["ppwp"]
    places.site.sign_timestamp()
    places.cdn[TIMESTAMP] = places.site.tree[TIMESTAMP]


def garbage_timestamp(places: Places) -> None:
    places.cdn[TIMESTAMP] = b"\x1b[2J{"


def endless_timestamp(places: Places) -> None:
    places.servers[1].endless.add(TIMESTAMP)


def expired(places: Places) -> None:
    places.site.timestamp.expires = NOW - timedelta(minutes=1)
    places.site.sign_timestamp()
    places.cdn[TIMESTAMP] = places.site.tree[TIMESTAMP]


def old_release(places: Places) -> None:
    places.cdn.clear()
    places.cdn.update(places.before)


def dead(places: Places) -> None:
    places.servers[1].over.set()
    places.servers[1].shutdown()
    places.servers[1].server_close()


def empty(places: Places) -> None:
    places.cdn.clear()


def dripping(places: Places) -> None:
    places.servers[1].dripped.add(TIMESTAMP)


def stalling_files(places: Places) -> None:
    places.servers[1].stalled |= {path for path in places.cdn if path.startswith("targets/")}


def foreign_checkpoint(places: Places) -> None:
    """By a stranger who calls himself as the log does."""
    text = places.site.head().checkpoint
    line = sign(text.encode(), verifier_key(2), signer(2))
    places.cdn[CHECKPOINT] = SignedCheckpoint(text, (line,)).encode()


def altered_checkpoint(places: Places) -> None:
    text = Checkpoint(ORIGIN, 9, bytes(32))
    places.cdn[CHECKPOINT] = SignedCheckpoint(text, places.site.head().signatures).encode()


def garbage_checkpoint(places: Places) -> None:
    places.cdn[CHECKPOINT] = b"\x1b]0;\xff"


def proof_of_another_release(places: Places) -> None:
    places.cdn["metadata/2.snapshot.json.tlog-proof"] = places.before["metadata/1.snapshot.json.tlog-proof"]


def missing_proof(places: Places) -> None:
    del places.cdn["metadata/2.snapshot.json.tlog-proof"]


ATTACKS: list[tuple[Callable[[Places], None], str, int]] = [
    (altered_object, "altered", FAILED),
    (altered_alias, "altered", FAILED),
    (longer_alias, "altered", FAILED),
    (missing_alias, "altered", FAILED),
    (swapped_signature, "altered", FAILED),
    (forged_results, "altered", FAILED),
    (alias_of_the_release_before, "stale", STALE),
    (alias_of_an_old_release, "altered", FAILED),
    (altered_role, "altered", FAILED),
    (missing_role, "altered", FAILED),
    (mixed_releases, "altered", FAILED),
    (forged_timestamp, "altered", FAILED),
    (garbage_timestamp, "altered", FAILED),
    (endless_timestamp, "altered", FAILED),
    (expired, "stale", STALE),
    (old_release, "stale", STALE),
    (dead, "unreachable", ERROR),
    (empty, "unreachable", ERROR),
    (dripping, "unreachable", ERROR),
    (stalling_files, "unreachable", ERROR),
    (foreign_checkpoint, "altered", FAILED),
    (altered_checkpoint, "altered", FAILED),
    (garbage_checkpoint, "altered", FAILED),
    (proof_of_another_release, "altered", FAILED),
    (missing_proof, "altered", FAILED),
]


@pytest.mark.parametrize(("attack", "status", "code"), ATTACKS, ids=[attack.__name__ for attack, _, _ in ATTACKS])
def test_attacks_at_one_place(
    places: Places, way: list[object], attack: Callable[[Places], None], status: str, code: int
) -> None:
    """Whatever one place does, it is told of that place with its kind, and the two beside it are told as good."""
    attack(places)
    result, told = places.look(*way, "--max-lag", 100, "--deadline", 2)
    assert result.exit_code == code, result.output
    assert [one["status"] for one in told["places"]] == ["ok", status, "ok"]
    assert {problem["kind"] for problem in told["places"][1]["problems"]} == {status}
    assert told["contradictions"] == []


def test_how_far_a_place_is_behind(places: Places) -> None:
    """A place that is behind within the limit is good, and told with its seconds and releases; beyond it, it is stale."""
    old_release(places)
    result, told = places.look()
    assert result.exit_code == OK
    assert (told["places"][1]["lag_seconds"], told["places"][1]["lag_releases"]) == (300, 1)
    result, told = places.look("--max-lag", 299)
    assert result.exit_code == STALE
    assert "lags 300 seconds and 1 release behind the newest" in result.output


def test_a_place_may_not_go_back(places: Places) -> None:
    """A place that shows an older release than it did is told as altered; another place that always was so late is not."""
    places.servers[2].tree.clear()
    places.servers[2].tree |= places.before
    assert places.look()[0].exit_code == OK
    old_release(places)
    result, told = places.look()
    assert result.exit_code == FAILED
    assert [one["status"] for one in told["places"]] == ["ok", "altered", "ok"]
    assert "rolled back" in told["places"][1]["problems"][0]["what"]


def test_the_newest_is_remembered(places: Places) -> None:
    """When the place that had the newest release is gone, the others are still measured against it."""
    for server in places.servers[1:]:
        server.tree.clear()
        server.tree |= places.before
    places.look()
    places.servers[0].tree.clear()
    _, told = places.look()
    assert told["release"] == 2
    assert [one["lag_releases"] for one in told["places"]] == [None, 1, 1]


def test_a_sample_is_another_one_each_time(places: Places) -> None:
    """With a small sample the front page is looked at each time, and an altered file elsewhere is found before long."""
    places.cdn["ppwp/12/1201.html"] = b"<p>lain"
    codes = [places.look("--sample", 4)[0].exit_code for _ in range(12)]
    assert FAILED in codes
    places.cdn["index.html"] = b"<p>lain"
    assert places.look("--sample", 0)[0].exit_code == FAILED


def test_a_sample_says_of_how_many(places: Places) -> None:
    """The line of a place says of how many files its sample was picked, or at least how many where not every list was read; with --all there is none."""
    words = ["monitor", places.servers[0].url, "--state", places.folder / "state", "--now", f"{NOW:%Y-%m-%dT%H:%M:%SZ}"]
    words += ["--root", places.folder / "root.json"]
    (places.folder / "root.json").write_bytes(places.site.tree["metadata/1.root.json"])

    def line(*options: object) -> str:
        return CliRunner().invoke(main, [str(word) for word in (*words, *options)]).stdout

    files = re.search(r", (\d+) files checked\n", line("--all"))
    assert files is not None
    for _ in range(20):  # a role whose list is read in any case is never among those that were not
        sample = re.search(
            r", (\d) of (at least )?(\d+) files checked, picked anew each time; all: --all\n", line("--sample", 4)
        )
        assert sample is not None
        assert int(sample[1]) in (4, 5)
        assert int(sample[3]) < int(files[1]) if sample[2] else int(sample[3]) == int(files[1])
    assert places.look("--sample", 4)[1]["places"][0]["listed"] <= int(files[1])


def test_a_site_without_a_log(tmp_path: Path) -> None:
    """A site whose offline keys name no log is as good as it says: nothing of a log is asked for."""
    site = SiteSimulator()
    with serving(SiteServer(site.tree)) as server:
        root = tmp_path / "root.json"
        root.write_bytes(site.tree["metadata/1.root.json"])
        words = [
            "monitor",
            server.url,
            "--root",
            root,
            "--state",
            tmp_path / "state",
            "--now",
            f"{NOW:%Y-%m-%dT%H:%M:%SZ}",
        ]
        assert CliRunner().invoke(main, [str(word) for word in words]).exit_code == OK
        assert not any("log" in path for path in server.asked)


def test_a_published_site_and_a_copy_of_it(tmp_path: Path) -> None:
    """What the publisher really published is good; a copy from the release before lags, is good until the limit, and stale beyond it."""
    workspace = make_workspace(tmp_path / "workspace")
    deliver(workspace)
    publish(workspace)
    shutil.copytree(workspace / "public", tmp_path / "copy")
    deliver(workspace, {"one": correction()})
    publish(workspace, NIGHT + minutes(5))
    words = [
        "monitor",
        workspace / "public",
        tmp_path / "copy",
        "--root",
        workspace / "keys" / "metadata" / "1.root.json",
    ]
    words += ["--state", tmp_path / "state", "--json", "--now", f"{NIGHT + minutes(6):%Y-%m-%dT%H:%M:%SZ}"]
    for options, code, status in ([["--all"], OK, "ok"], [["--max-lag", "60"], STALE, "stale"]):
        result = CliRunner().invoke(main, [str(word) for word in [*words, *options]])
        assert result.exit_code == code, result.output
        first, second = json.loads(result.stdout)["places"]
        assert (first["status"], first["release"], first["lag_seconds"]) == ("ok", 2, 0)
        assert (second["status"], second["release"], second["lag_seconds"]) == (status, 1, 300)


def fork(*entries: bytes) -> LoggedSite:
    """The log as if its keeper had logged other entries from the beginning."""
    other = LoggedSite.__new__(LoggedSite)
    other.edge, other.tree = RightEdge(), {}
    other.append(*entries)
    return other


def two_trees_of_one_size(places: Places) -> str:
    places.cdn[CHECKPOINT] = fork(b"lain", b"lain").tree[CHECKPOINT]
    return "SPLIT VIEW: the log shows two trees of 2 entries"


def a_longer_fork(places: Places) -> str:
    places.cdn.update(fork(b"lain", b"lain", b"lain").tree)
    return "FORK: the tree of 3 entries does not continue that of 2"


def a_shorter_fork(places: Places) -> str:
    places.cdn.update(fork(b"lain").tree)
    return "FORK: the tree of 2 entries does not continue that of 1"


def a_fork_without_tiles(places: Places) -> str:
    places.cdn[CHECKPOINT] = fork(b"lain", b"lain", b"lain").tree[CHECKPOINT]
    return "SPLIT VIEW: no proof that the tree of 3 entries continues that of 2"


SPLITS = [two_trees_of_one_size, a_longer_fork, a_shorter_fork, a_fork_without_tiles]


@pytest.mark.parametrize("split", SPLITS, ids=lambda split: split.__name__)
def test_two_stories_are_kept_as_evidence(places: Places, split: Callable[[Places], str]) -> None:
    """Two checkpoints with the log's signature that are not one log end with 4, are told with who shows which, and lie in the evidence folder as the places served them."""
    what = split(places)
    evidence = places.folder / "evidence"
    result, told = places.look("--evidence", evidence)
    assert result.exit_code == FAILED
    assert [each["what"] for each in told["contradictions"]] == [what]
    kept = {file.read_bytes() for file in evidence.iterdir()}
    assert kept == {places.cdn[CHECKPOINT], places.servers[0].tree[CHECKPOINT]}
    for data in kept:
        SignedCheckpoint.parse(data)
    assert {place for head in told["contradictions"][0]["checkpoints"] for place in head["places"]} == {
        server.url for server in places.servers
    }


def test_a_log_that_grows_is_one(places: Places) -> None:
    """Places that show the log at different sizes are no contradiction, if tiles from any of them prove that it grew."""
    places.site.append(b"satu", b"dua")
    places.servers[0].tree |= places.site.tree
    result, told = places.look()
    assert result.exit_code == OK, result.output
    assert [one["checkpoints"] for one in told["places"]] == [[2, 4], [2], [2]]


def test_a_log_rewritten_everywhere_is_found(places: Places) -> None:
    """When all places show another log than last time, it contradicts the checkpoint that the monitor keeps."""
    places.look()
    other = fork(b"lain", b"lain", b"lain")
    for server in places.servers:
        server.tree |= other.tree
    result, told = places.look()
    assert result.exit_code == FAILED
    shown = [head["places"] for each in told["contradictions"] for head in each["checkpoints"]]
    assert any("seen before" in names for names in shown)


def test_a_missing_proof_accuses_nobody_who_does_not_owe_it(places: Places) -> None:
    """When the place that served the log is gone, mirrors without it that are behind are not told as a split view."""
    places.site.append(b"satu", b"dua")
    places.servers[0].tree |= places.site.tree
    places.look()
    dead_publisher, *mirrors = places.servers
    dead_publisher.tree.clear()
    for server in mirrors:
        for path in [path for path in server.tree if path.startswith("log/")]:
            del server.tree[path]
    result, told = places.look()
    assert result.exit_code == ERROR
    assert [each["certain"] for each in told["contradictions"]] == [False]


def test_nobody_holds_the_others_up() -> None:
    """A job that never ends is left behind when the time is up, with the others' results there."""
    never = threading.Event()
    try:
        assert side_by_side({"slow": never.wait, "fast": lambda: True}, 0.2) == {"fast": True}
    finally:
        never.set()


def test_what_breaks_at_one_place_stays_there(places: Places) -> None:
    """A place that makes this program fail in a way that nobody thought of is told as unreachable, beside the others."""

    class Broken:
        def fetch(self, path: str, max_length: int) -> bytes:
            raise RuntimeError("boom")

        def fetch_linked(self, path: str, other: str, max_length: int) -> tuple[bytes, bool]:
            raise FetchError(path)

    good = DirectoryFetcher(places.site.write(places.folder / "site"))
    root = places.site.tree["metadata/1.root.json"]
    report = monitor(
        {"broken": Broken(), "good": good}, places.folder / "state", root, NOW,
        sample=EVERY_FILE, seconds=30, max_lag=900, chance=random.Random(1),
    )  # fmt: skip
    assert [[problem.kind for problem in one.problems] for one in report.looks] == [["unreachable"], []]


def test_reports(places: Places) -> None:
    """The score page loads nothing and keeps strangers' words as text; Prometheus gets each place's figures; a terminal no escape sequence."""
    garbage_timestamp(places)
    two_trees_of_one_size(places)
    places.servers[2].tree[CHECKPOINT] = places.cdn[CHECKPOINT]
    html, textfile = places.folder / "score.html", places.folder / "monitor.prom"
    places.look("--html", html, "--textfile", textfile)
    page = html.read_text()
    assert page.index("Situs dan cerminnya") < page.index("The site and its mirrors")
    assert "default-src 'none'" in page
    assert "Log yang bertentangan" in page
    assert "\x1b" not in page
    told = dict(line.rsplit(" ", 1) for line in textfile.read_text().splitlines() if not line.startswith("#"))
    first, second = (server.url for server in places.servers[:2])
    assert told[f'terbit_monitor_good{{place="{first}"}}'] == "1"
    assert told[f'terbit_monitor_good{{place="{second}"}}'] == "0"
    assert told[f'terbit_monitor_problems{{place="{second}",kind="altered"}}'] == "1"
    assert told[f'terbit_monitor_release{{place="{first}"}}'] == "2"
    assert told["terbit_monitor_contradictions"] == "1"
    words = ["monitor", first, second, "--state", places.folder / "state", "--now", f"{NOW:%Y-%m-%dT%H:%M:%SZ}"]
    shown = CliRunner().invoke(main, [str(word) for word in words])
    assert f"OK {first}: release 2 (the newest)" in shown.stdout
    assert f"ALTERED {second}: no release seen" in shown.stdout
    assert "\x1b" not in shown.output


def test_watching(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--watch` goes on after a bad look and a full disk, and tells each on a line of its own."""
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        places.cdn["index.html"] = b"x"
        if len(pauses) == 3:
            raise KeyboardInterrupt

    def write(*arguments: object, **options: object) -> None:
        if len(pauses) == 2:
            raise OSError(28, "No space left on device")
        _write(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("time.sleep", pause)
    monkeypatch.setattr("verifier.cli.monitor._write", write)
    root = places.folder / "root.json"
    root.write_bytes(places.site.tree["metadata/1.root.json"])
    words = ["monitor", *(server.url for server in places.servers), "--root", root, "--state", places.folder / "state"]
    words += ["--now", f"{NOW:%Y-%m-%dT%H:%M:%SZ}", "--json", "--watch", 60]
    result = CliRunner().invoke(main, [str(word) for word in words])
    told = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    assert [line.get("exit") for line in told] == [OK, FAILED, None]
    assert "No space left" in told[2]["error"]
    assert all(48 <= seconds <= 72 for seconds in pauses)


def test_the_root_is_had_from_whoever_has_it(places: Places) -> None:
    """With a fingerprint the first place that shows that root is enough, and later looks need to be told nothing."""
    dead(places)
    fingerprint = sha256(places.site.tree["metadata/1.root.json"])
    first, last = places.servers[1].url, places.servers[2].url
    env = {"XDG_STATE_HOME": str(places.folder / "home")}
    words = ["monitor", first, last, "--now", f"{NOW:%Y-%m-%dT%H:%M:%SZ}", "--json"]
    assert CliRunner().invoke(main, words, env=env).exit_code == USAGE
    assert CliRunner().invoke(main, [*words, "--root-sha256", fingerprint], env=env).exit_code == ERROR
    result = CliRunner().invoke(main, words, env=env)
    assert [one["status"] for one in json.loads(result.stdout)["places"]] == ["unreachable", "ok"]
