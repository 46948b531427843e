"""What upstreams, their keys' thieves and strangers can make a mirror do: refuse, ask another, or answer 404."""

import http.client
import json
import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.servers import serving, url_of
from tests.verifier.site_simulator import ELECTION, NOW, A, B, SiteServer, SiteSimulator, rotate, sha256
from verifier import limits
from verifier.cli.main import main
from verifier.errors import FetchError, FormatError, StaleError, VerificationError, VerifierError
from verifier.mirror.folder import Folder
from verifier.mirror.init import init
from verifier.mirror.server import MirrorServer
from verifier.mirror.sync import Outcome, sync
from verifier.mirror.upstreams import Upstreams
from verifier.mirror.verify import verify

OK, ERROR, USAGE, FAILED, STALE = 0, 1, 2, 4, 5
TIMESTAMP = "metadata/timestamp.json"


@pytest.fixture
def mirror(site: SiteSimulator, upstream: SiteServer, tmp_path: Path) -> Folder:
    """A mirror that has never been caught up."""
    return make(tmp_path / "mirror", site, upstream.url)


def make(folder: Path, site: SiteSimulator, *places: str) -> Folder:
    return init(folder, places, ELECTION, None, sha256(site.tree["metadata/1.root.json"]))


def run(mirror: Folder, **options: bool) -> Outcome:
    with mirror.lock():
        return sync(mirror, Upstreams(mirror.settings.upstreams), NOW, **options)


def check_whole(mirror: Folder) -> int:
    with ThreadPoolExecutor(1) as executor:
        report = verify(mirror, executor, NOW)
    assert not report.failures
    return report.release


def wrong_object(site: SiteSimulator, server: SiteServer) -> None:
    site.tree[site.object_of("ppwp/11/1101.html")] += b"!"


def truncated_object(site: SiteSimulator, server: SiteServer) -> None:
    site.tree[site.object_of("ppwp/11/1101.html")] = b"<p>"


def missing_object(site: SiteSimulator, server: SiteServer) -> None:
    del site.tree[site.object_of("ppwp/11/1101.html")]


def endless_object(site: SiteSimulator, server: SiteServer) -> None:
    server.endless.add(site.object_of("ppwp/11/1101.html"))


def swapped_signature(site: SiteSimulator, server: SiteServer) -> None:
    site.tree[site.object_of(A) + ".minisig"] = site.tree[site.object_of(B) + ".minisig"]


def endless_signature(site: SiteSimulator, server: SiteServer) -> None:
    server.endless.add(site.object_of(A) + ".minisig")


def missing_signature(site: SiteSimulator, server: SiteServer) -> None:
    del site.tree[site.object_of(A) + ".minisig"]


def wrong_role(site: SiteSimulator, server: SiteServer) -> None:
    site.tree["metadata/2.ppwp-11.json"] = site.tree["metadata/2.ppwp-12.json"]


def older_role(site: SiteSimulator, server: SiteServer) -> None:
    site.tree["metadata/2.ppwp-11.json"] = site.tree["metadata/1.ppwp-11.json"]


def missing_role(site: SiteSimulator, server: SiteServer) -> None:
    del site.tree["metadata/2.ppwp-11.json"]


def endless_role(site: SiteSimulator, server: SiteServer) -> None:
    server.endless.add("metadata/2.ppwp-11.json")


def wrong_snapshot(site: SiteSimulator, server: SiteServer) -> None:
    site.tree["metadata/2.snapshot.json"] = site.tree["metadata/1.snapshot.json"]


def no_metadata(site: SiteSimulator, server: SiteServer) -> None:
    site.tree["metadata/2.snapshot.json"] = b"{}"


def forged_timestamp(site: SiteSimulator, server: SiteServer) -> None:
    """The newest of all by its word, signed by another key."""
    site.timestamp.version = 2**40
    site.signers["timestamp"] = site.keys["ppwp"]
    site.sign_timestamp()


def garbage_timestamp(site: SiteSimulator, server: SiteServer) -> None:
    site.tree[TIMESTAMP] = b"\xff{"


def endless_timestamp(site: SiteSimulator, server: SiteServer) -> None:
    server.endless.add(TIMESTAMP)


def missing_timestamp(site: SiteSimulator, server: SiteServer) -> None:
    del site.tree[TIMESTAMP]


def forged_root(site: SiteSimulator, server: SiteServer) -> None:
    rotate(site, old_key=False)


def expired(site: SiteSimulator, server: SiteServer) -> None:
    site.timestamp.version += 1
    site.timestamp.expires = NOW - timedelta(minutes=1)
    site.sign_timestamp()


ATTACKS: list[tuple[Callable[[SiteSimulator, SiteServer], None], type[VerifierError]]] = [
    (wrong_object, VerificationError),
    (truncated_object, VerificationError),
    (missing_object, FetchError),
    (endless_object, VerificationError),
    (swapped_signature, VerificationError),
    (endless_signature, VerificationError),
    (missing_signature, FetchError),
    (wrong_role, VerificationError),
    (older_role, VerificationError),
    (missing_role, FetchError),
    (endless_role, VerificationError),
    (wrong_snapshot, VerificationError),
    (no_metadata, VerificationError),
    (forged_timestamp, VerificationError),
    (garbage_timestamp, FormatError),
    (endless_timestamp, VerificationError),
    (missing_timestamp, FetchError),
    (forged_root, VerificationError),
    (expired, StaleError),
]
attacks = pytest.mark.parametrize(("attack", "error"), ATTACKS, ids=[each.__name__ for each, _ in ATTACKS])


def second_release(site: SiteSimulator) -> None:
    site.files["ppwp-11"][A] = site.results(A, votes=[3, 4])
    site.next_release()


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@attacks
def test_a_hostile_upstream_changes_nothing(
    site: SiteSimulator,
    upstream: SiteServer,
    mirror: Folder,
    attack: Callable[[SiteSimulator, SiteServer], None],
    error: type[VerifierError],
) -> None:
    """Whatever the only upstream does to the next release, its error is told and the last one is served as it was; when it is honest again, the mirror catches up."""
    run(mirror)
    before = tree(mirror.public)
    second_release(site)
    honest = dict(site.tree)
    attack(site, upstream)
    with pytest.raises(error):
        run(mirror)
    assert before.items() <= tree(mirror.public).items()
    assert set(tree(mirror.public)) - set(before) <= set(honest)
    assert check_whole(mirror) == 1
    site.tree.clear()
    site.tree.update(honest)
    upstream.endless.clear()
    run(mirror)
    assert check_whole(mirror) == 2


@attacks
def test_one_honest_upstream_is_enough(
    tmp_path: Path, attack: Callable[[SiteSimulator, SiteServer], None], error: type[VerifierError]
) -> None:
    """Where one of two upstreams lies, the mirror gets the release from the other, and the liar is named and counted."""
    site = SiteSimulator()
    with serving(SiteServer(site.tree)) as liar, serving(SiteServer({})) as honest:
        mirror = make(tmp_path / "mirror", site, liar.url, honest.url)
        second_release(site)
        honest.tree.update(site.tree)
        attack(site, liar)
        upstreams = Upstreams(mirror.settings.upstreams)
        with mirror.lock():
            outcome = sync(mirror, upstreams, NOW)
        assert outcome.complete.release == check_whole(mirror) == 2
        assert [upstream.failures > 0 for upstream in upstreams.all] == [True, False]


def test_a_stalling_upstream_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upstream that lets every time limit pass is soon asked for nothing more, while the other brings all files."""
    monkeypatch.setattr(limits, "FETCH_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(limits, "FETCH_TOTAL_SECONDS", 0.4)
    site = SiteSimulator()
    with serving(SiteServer(dict(site.tree))) as slow, serving(SiteServer(site.tree)) as fast:
        slow.stalled |= {path for path in site.tree if path.startswith("targets/")}
        mirror = make(tmp_path / "mirror", site, slow.url, fast.url)
        run(mirror)
        assert check_whole(mirror) == 1
        stalled = sum(path in slow.stalled for path in slow.asked)
        assert stalled <= limits.UPSTREAM_STALLS_COUNT + 8


def test_an_upstream_that_fails_often_is_left(
    site: SiteSimulator, upstream: SiteServer, mirror: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its share of failures an upstream is asked for no more files in the same run."""
    monkeypatch.setattr(limits, "UPSTREAM_FAILURES_COUNT", 2)
    for path in [path for path in site.tree if path.startswith("targets/")]:
        site.tree[path] = b"x"
    site.files["site"] |= {f"{number}.html": b"%d" % number for number in range(500)}
    site.publish()
    for path in [path for path in site.tree if path.startswith("targets/") and "minisign" not in path]:
        site.tree[path] = b"x"
    with pytest.raises(VerificationError):
        run(mirror)
    assert sum(path.startswith("targets/") for path in upstream.asked) < 20


@pytest.mark.parametrize(
    ("cap", "value"), [("MIRROR_RUN_BYTES", 3_000), ("MIRROR_RUN_FILES_COUNT", 9)], ids=["bytes", "files"]
)
def test_a_run_stores_no_more_than_its_caps(
    upstream: SiteServer, mirror: Folder, monkeypatch: pytest.MonkeyPatch, cap: str, value: int
) -> None:
    """Thieves of keys may sign any number of files of any length; a run stops at its caps, and says so."""
    monkeypatch.setattr(limits, cap, value)
    with pytest.raises(VerificationError, match="a key may be misused"):
        run(mirror)
    stored = tree(mirror.public)
    assert not (mirror.public / TIMESTAMP).exists()
    assert len(stored) <= 9
    assert sum(map(len, stored.values())) <= 64_000


def test_a_full_disk_is_told_before(mirror: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot fit is not begun: the objects' lengths are signed, so the need is known."""
    monkeypatch.setattr(Folder, "free", lambda self: 10)
    with pytest.raises(VerifierError, match="bytes more, and the disk has 10 left"):
        run(mirror)
    assert not list(mirror.public.glob("targets/*"))


def test_a_snapshot_names_no_roots(site: SiteSimulator, mirror: Folder) -> None:
    """Whoever has stolen the snapshot's key cannot lay a false root where the mirror's readers look for the next one."""
    junk = b"junk"
    site.tree["metadata/2.root.json"] = junk
    site.sign()
    meta = site.snapshot.meta["site.json"]
    site.snapshot.meta["root.json"] = type(meta)(3, len(junk), {"sha256": sha256(junk)})
    site.tree["metadata/3.root.json"] = junk
    del site.tree["metadata/2.root.json"]
    site.sign_snapshot()
    run(mirror)
    assert not (mirror.public / "metadata" / "3.root.json").exists()


def test_a_thief_cannot_break_what_is_served(site: SiteSimulator, mirror: Folder) -> None:
    """A stolen snapshot key names other bytes for a list that the served release has: that one keeps its own."""
    run(mirror)
    junk, name = b'{"signed":{}}', "metadata/1.ppwp-11.json"
    site.release += 1
    site.compose()
    site.sign()
    meta = site.snapshot.meta["ppwp-11.json"]
    site.snapshot.meta["ppwp-11.json"] = type(meta)(1, len(junk), {"sha256": sha256(junk)})
    site.tree[name] = junk
    site.sign_snapshot()
    with pytest.raises(VerifierError):
        run(mirror)
    assert check_whole(mirror) == 1


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(b"{}")], ids=["gone", "garbled"])
def test_a_damaged_timestamp_is_mended(mirror: Folder, damage: Callable[[Path], None]) -> None:
    """A pointer that is not the one that the last run left is fetched again, though the upstream has nothing new."""
    run(mirror)
    damage(mirror.public / TIMESTAMP)
    run(mirror)
    assert check_whole(mirror) == 1


def test_a_role_cannot_speak_for_another(site: SiteSimulator, mirror: Folder) -> None:
    """A stolen shard key lists another shard's file: the whole release is refused, the last one stays."""
    run(mirror)
    site.release += 1
    site.compose()
    site.roles["ppwp-12"].targets[A] = site.roles["ppwp-11"].targets[A]
    site.sign()
    with pytest.raises(VerificationError, match="may not speak for it"):
        run(mirror)
    assert check_whole(mirror) == 1


def test_roots_are_passed_on(site: SiteSimulator, mirror: Folder) -> None:
    """After a rotation the mirror serves the new root too, so that its readers can follow."""
    run(mirror)
    rotate(site)
    second_release(site)
    run(mirror)
    assert (mirror.public / "metadata" / "2.root.json").read_bytes() == site.tree["metadata/2.root.json"]
    assert check_whole(mirror) == 2


def test_what_is_gone_makes_way(site: SiteSimulator, mirror: Folder) -> None:
    """A page and a results file that the new release does not list are replaced by those that say so, and no signature fits there."""
    site.files["site"] |= {"gone-2.html": b"<p>gone", "gone.json": b'{"format":"terbit-gone-1"}'}
    site.publish()
    run(mirror)
    del site.files["ppwp-12"][B], site.files["ppwp-12"]["ppwp/12/1201.html"]
    site.next_release()
    run(mirror)
    assert (mirror.public / "ppwp/12/1201.html").read_bytes() == b"<p>gone"
    for path in (B, f"{B}.minisig"):
        assert (mirror.public / path).read_bytes() == b'{"format":"terbit-gone-1"}'
    assert check_whole(mirror) == 2


def test_files_are_served_as_they_are(mirror: Folder) -> None:
    """The mirror's own server is an upstream like any other: a mirror of a mirror holds the same."""
    run(mirror)
    with served(mirror) as url:
        other = init(mirror.root.parent / "other", [f"{url}/{ELECTION}"], None, mirror.state / "root.json", None)
        run(other)
    assert check_whole(other) == 1
    assert tree(other.public) == tree(mirror.public)


@contextmanager
def served(mirror: Folder) -> Iterator[str]:
    """The mirror's server at an address of its own."""
    with serving(MirrorServer(mirror.root / "public", "127.0.0.1", 0)) as server:
        yield url_of(server)


def ask(url: str, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    "path",
    [
        "/", "/..", "/../mirror.toml", f"/{ELECTION}/../../mirror.toml", f"/{ELECTION}/%2e%2e/%2e%2e/mirror.toml",
        f"/{ELECTION}/metadata", f"/{ELECTION}/metadata/", f"/{ELECTION}//index.html",
        f"/{ELECTION}/.hidden", f"/{ELECTION}/link.json", f"/{ELECTION}/links/mirror.toml", f"/{ELECTION}/pipe",
        f"/{ELECTION}/index.html/", f"/{ELECTION}/a%00b", f"/{ELECTION}\\index.html", f"/{ELECTION}/%ff", "//[", "http://x/",
    ],
)  # fmt: skip
def test_only_public_files_are_served(mirror: Folder, path: str) -> None:
    """No path lists a folder, leaves the public one, follows a link, shows a hidden name or waits at a pipe."""
    run(mirror)
    (mirror.public / ".hidden").write_bytes(b"x")
    (mirror.public / "link.json").symlink_to(mirror.root / "mirror.toml")
    (mirror.public / "links").symlink_to(mirror.root)
    os.mkfifo(mirror.public / "pipe")
    with served(mirror) as url:
        status, _, body = ask(url, path)
    assert (status, body) == (404, b"404 Not Found\n")


def test_answers(mirror: Folder) -> None:
    """GET, HEAD and conditional requests are answered, a folder's name leads to its page, and nothing else is allowed."""
    run(mirror)
    page, results = f"/{ELECTION}/index.html", f"/{ELECTION}/{A}"
    with served(mirror) as url:
        status, headers, body = ask(url, results)
        assert (status, body) == (200, (mirror.public / A).read_bytes())
        assert headers["Content-Type"] == "application/json"
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert ask(url, results, "HEAD")[0::2] == (200, b"")
        assert ask(url, results, If_None_Match=headers["ETag"])[0::2] == (304, b"")
        assert ask(url, f"/{ELECTION}/")[2] == ask(url, page)[2]
        assert "Access-Control-Allow-Origin" not in ask(url, page)[1]
        whole, tag = (mirror.public / A).read_bytes(), headers["ETag"]
        status, part, body = ask(url, results, Range="bytes=5-", If_Range=tag)
        assert (status, part["Content-Range"], body) == (206, f"bytes 5-{len(whole) - 1}/{len(whole)}", whole[5:])
        for asked in (
            {"Range": f"bytes={len(whole)}-"},
            {"Range": "bytes=0-3"},
            {"Range": "bytes=5-", "If_Range": '"x"'},
        ):
            assert ask(url, results, **asked)[0::2] == (200, whole)
        assert ask(url, results, "HEAD", Range="bytes=5-")[0] == 200
        moved = ask(url, f"/{ELECTION}")
        assert (moved[0], moved[1]["Location"]) == (301, f"/{ELECTION}/")
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert ask(url, page, method)[0] == 405


def test_connections_are_limited(mirror: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens all connections keeps others out for a moment, and takes no more of the machine than that."""
    monkeypatch.setattr(limits, "SERVED_CONNECTIONS_COUNT", 2)
    run(mirror)
    with served(mirror) as url:
        held = [http.client.HTTPConnection(url.removeprefix("http://"), timeout=10) for _ in range(2)]
        for connection in held:
            connection.request("GET", f"/{ELECTION}/index.html")
            connection.getresponse().read()
        with pytest.raises((http.client.HTTPException, OSError)):
            ask(url, f"/{ELECTION}/index.html")
        for connection in held:
            connection.close()


def test_one_address_does_not_take_all_connections(mirror: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever holds all connections that an address may have, by heads that never end, leaves places for others."""
    monkeypatch.setattr(limits, "SERVED_CONNECTIONS_OF_ADDRESS_COUNT", 2)
    run(mirror)
    with served(mirror) as url:
        host, port = url.removeprefix("http://").rstrip("/").split(":")
        held = [socket.create_connection((host, int(port)), timeout=10) for _ in range(2)]
        for connection in held:
            connection.sendall(f"GET /{ELECTION}/index.html HTTP/1.1\r\nX: ".encode())
        with socket.create_connection((host, int(port)), timeout=10) as turned_away:
            assert turned_away.recv(1) == b""
        other = http.client.HTTPConnection(host, int(port), timeout=10, source_address=("127.0.0.2", 0))
        other.request("GET", f"/{ELECTION}/index.html")
        assert other.getresponse().status == 200
        for one in (*held, other):
            one.close()


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("length", ["Content-Length: 35", "Transfer-Encoding: chunked"])
def test_a_body_is_not_the_next_request(mirror: Folder, method: str, length: str) -> None:
    """A request's body is never answered: a proxy before the mirror would give that answer to another reader."""
    run(mirror)
    with served(mirror) as url:
        host, port = url.removeprefix("http://").rstrip("/").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as raw:
            second = f"GET /{ELECTION}/latest.json HTTP/1.1\r\nHost: x\r\n\r\n"
            raw.sendall(f"{method} /{ELECTION}/index.html HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n{second}".encode())
            received = b"".join(iter(lambda: raw.recv(65_536), b""))
    assert received.count(b"HTTP/1.1 ") == 1


def command(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["mirror", *map(str, arguments)])


def test_commands(site: SiteSimulator, upstream: SiteServer, tmp_path: Path) -> None:
    """`init`, `sync` and `verify` say what they did; a wrong fingerprint, an unknown folder and an unreachable upstream leave no mirror behind."""
    folder, now = tmp_path / "mirror", ["--now", f"{NOW:%Y-%m-%dT%H:%M:%SZ}"]
    assert command("sync", folder).exit_code == ERROR
    assert command("init", folder, upstream.url).exit_code == USAGE
    assert command("init", folder, upstream.url, "--root-sha256", "0" * 64).exit_code == FAILED
    assert command("init", folder, "http://127.0.0.1:9/x", "--root-sha256", "0" * 64).exit_code == ERROR
    assert command("sync", folder).exit_code == ERROR
    fingerprint = sha256(site.tree["metadata/1.root.json"])
    assert command("init", folder, upstream.url, "--root-sha256", fingerprint).exit_code == OK
    again = command("init", folder, upstream.url, "--root-sha256", fingerprint)
    assert (again.exit_code, "is a mirror already" in again.stderr) == (ERROR, True)
    assert command("verify", folder, *now).exit_code == ERROR
    synced = command("sync", folder, "--json", *now)
    assert synced.exit_code == OK, synced.output
    assert json.loads(synced.stdout)["release"] == 1
    checked = command("verify", folder, "--json", *now)
    assert (checked.exit_code, json.loads(checked.stdout)["verified"]) == (OK, True)
    (folder / "public" / ELECTION / A).write_bytes(b"x")
    assert command("verify", folder, *now).exit_code == FAILED
    assert command("sync", folder, "--now", "2030-01-01T00:00:00Z").exit_code == STALE


def test_watching(site: SiteSimulator, upstream: SiteServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--watch` goes on after runs that failed, with pauses that are never quite the same."""
    mirror, good = make(tmp_path / "mirror", site, upstream.url), site.tree[TIMESTAMP]
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        site.tree[TIMESTAMP] = b"{}" if len(pauses) == 1 else good
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", pause)
    told = command("sync", mirror.root, "--watch", 60, "--now", f"{NOW:%Y-%m-%dT%H:%M:%SZ}")
    assert told.stdout.count("release 1") == 2
    assert "the timestamp has no version" in told.stderr
    assert len(set(pauses)) == 3
    assert all(48 <= seconds <= 72 for seconds in pauses)


def test_textfile(site: SiteSimulator, upstream: SiteServer, tmp_path: Path) -> None:
    """Prometheus is told the release, its age and size, the last success, and each upstream's failures, after bad runs too."""
    mirror, textfile = make(tmp_path / "mirror", site, upstream.url), tmp_path / "mirror.prom"
    words = ["sync", mirror.root, "--textfile", textfile, "--now", f"{NOW:%Y-%m-%dT%H:%M:%SZ}"]
    site.timestamp.version = round(NOW.timestamp()) - 90
    site.sign_timestamp()
    command(*words)
    second_release(site)
    site.timestamp.version = round(NOW.timestamp()) - 30
    site.sign_timestamp()
    wrong_object(site, upstream)
    assert command(*words).exit_code == FAILED
    told = dict(line.rsplit(" ", 1) for line in textfile.read_text().splitlines() if not line.startswith("#"))
    names = ("timestamp_age_seconds", "release", "last_success_seconds", "expires_seconds")
    assert [float(told[f"terbit_mirror_{name}"]) for name in names] == [90, 1, NOW.timestamp(), NOW.timestamp() + 1800]
    assert {"terbit_mirror_files", "terbit_mirror_bytes"} <= told.keys()
    assert told[f'terbit_mirror_upstream_failures_total{{upstream="{upstream.url}"}}'] == "1"
