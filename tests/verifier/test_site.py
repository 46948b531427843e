import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tuf.api.metadata import TargetFile

from tests.servers import serving
from tests.verifier.attacks import Change, drop, flip, strangers_key, swap_objects, with_other_shards_key
from tests.verifier.site_simulator import DELEGATIONS, NOW, A, B, SiteServer, SiteSimulator, rotate, sha256
from verifier.cli.main import main
from verifier.client import Client
from verifier.fetcher import DirectoryFetcher, OverlayFetcher
from verifier.http_fetcher import HttpFetcher
from verifier.site import SiteReport, check_site

HOLDS, FAILED, STALE = 0, 4, 5


@pytest.fixture(params=["directory", "http"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Callable:
    """A way to make a simulated site available; gives the argument for `terbit-verify site`."""

    @contextmanager
    def make(site: SiteSimulator) -> Iterator[str]:
        if request.param == "directory":
            yield str(site.write(tmp_path / "public"))
        else:
            with serving(SiteServer(site.tree)) as server:
                yield server.url

    return make


def verify(where: str, site: SiteSimulator, tmp_path: Path, *options: str) -> Result:
    root = tmp_path / "root.json"
    root.write_bytes(site.tree["metadata/1.root.json"])
    arguments = ["site", where, "--root", str(root), "--state", str(tmp_path / "state"), *options]
    return CliRunner().invoke(main, [*arguments, "--now", f"{site.now:%Y-%m-%dT%H:%M:%SZ}"])


def test_an_honest_site_is_checked(site: SiteSimulator, place: Callable, tmp_path: Path) -> None:
    """Every file, alias and signature of an honest site holds, on disk and over HTTP."""
    with place(site) as where:
        result = verify(where, site, tmp_path, "--signatures", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    count = sum(len(files) for files in site.files.values())
    assert (report["files"], report["signatures"], report["roles"]) == (count, 3, len(DELEGATIONS["targets"]) + 3)
    assert report["release"] == 1
    assert report["expires"] == "2026-11-21T05:30:00Z"
    assert report["bytes"] == sum(len(data) for files in site.files.values() for data in files.values())


@dataclass(frozen=True)
class Attack:
    """What a stranger does to the published site, and the words that must stand in the verdict."""

    change: Change
    words: str
    exit_code: int = FAILED


def swap_villages(site: SiteSimulator) -> None:
    for suffix in ("", ".minisig"):
        site.tree[A + suffix], site.tree[B + suffix] = site.tree[B + suffix], site.tree[A + suffix]


def lengthen(site: SiteSimulator) -> None:
    site.tree[site.object_of(A)] += b" "


def list_elsewhere(path: str, *, drop_original: bool = False) -> Change:
    """The holder of shard 11's key lists a file that it may not speak for."""

    def change(site: SiteSimulator) -> None:
        if drop_original:
            del site.files["ppwp-12"][path]
        site.compose()
        forged = b"forged"
        site.roles["ppwp-11"].targets[path] = TargetFile.from_data(path, forged, ["sha256"])
        site.tree[f"targets/{sha256(forged)}.forged"] = forged
        site.sign()

    return change


def claim_by_two(site: SiteSimulator) -> None:
    site.compose()
    site.roles["ppwp"].targets[A] = site.roles["ppwp-11"].targets[A]
    site.sign()


def without_sha256(site: SiteSimulator) -> None:
    site.compose()
    site.roles["ppwp-11"].targets[A].hashes = {"sha512": "00" * 64}
    site.sign()


def enormous(site: SiteSimulator) -> None:
    site.compose()
    site.roles["ppwp-11"].targets[A].length = 10**15
    site.sign()


def remove_role(site: SiteSimulator) -> None:
    site.compose()
    site.sign()
    del site.snapshot.meta["ppwp-12.json"]
    site.sign_snapshot()


def delegate_twice(site: SiteSimulator) -> None:
    site.delegations["targets"].append(site.delegations["ppwp"][0])
    site.publish()


def expire_shard(site: SiteSimulator) -> None:
    site.compose()
    site.roles["ppwp-11"].expires = NOW - timedelta(days=1)
    site.sign()


def expire_timestamp(site: SiteSimulator) -> None:
    site.now += timedelta(minutes=31)


def mix_snapshots(site: SiteSimulator) -> None:
    old = site.tree["metadata/1.ppwp-11.json"]
    site.next_release()
    site.tree["metadata/2.ppwp-11.json"] = old


def mix_snapshot_and_timestamp(site: SiteSimulator) -> None:
    old = site.tree["metadata/1.snapshot.json"]
    site.next_release()
    site.tree["metadata/2.snapshot.json"] = old


def rewrite_metadata(old: bytes, new: bytes) -> Change:
    def change(site: SiteSimulator) -> None:
        data = site.tree["metadata/timestamp.json"]
        assert old in data
        site.tree["metadata/timestamp.json"] = data.replace(old, new, 1)

    return change


def forge_minisig(**changes: object) -> Change:
    def change(site: SiteSimulator) -> None:
        data = site.files["ppwp-11"][A]
        site.put_minisig(A, data, site.minisig(A, data, **changes))

    return change


def signed_json(**changes: object) -> Change:
    """Both signatures are right, but the JSON says something else than its place and its trusted comment."""

    def change(site: SiteSimulator) -> None:
        site.files["ppwp-11"][A] = site.results(A, **changes)
        site.publish()

    return change


def signed_bytes(data: bytes) -> Change:
    def change(site: SiteSimulator) -> None:
        site.files["ppwp-11"][A] = data
        site.publish()

    return change


def end_key_range(site: SiteSimulator) -> None:
    site.release = 2
    site.files["trust"]["trust/minisign.json"] = site.minisign_keys().replace(b'"from": 1', b'"from": 2')
    site.publish()


MAY_NOT = "listed by role ppwp-11, which may not speak for it"
ATTACKS = {
    "flip-object": Attack(flip(lambda site: site.object_of(A)), "wrong sha256"),
    "flip-alias": Attack(flip(lambda site: A), f"FAILED {A}: wrong sha256"),
    "flip-page-alias": Attack(flip(lambda site: "index.html"), "FAILED index.html: wrong sha256"),
    "flip-minisig": Attack(flip(lambda site: site.object_of(A) + ".minisig"), ".minisig: "),
    "flip-minisig-alias": Attack(flip(lambda site: A + ".minisig"), f"FAILED {A}.minisig: "),
    "flip-shard-metadata": Attack(flip(lambda site: "metadata/1.ppwp-11.json"), "FAILED role ppwp-11: "),
    "flip-timestamp": Attack(flip(lambda site: "metadata/timestamp.json"), "terbit-verify: "),
    "swap-villages": Attack(swap_villages, f"FAILED {A}: wrong sha256"),
    "swap-objects": Attack(swap_objects, "wrong sha256"),
    "lengthen-object": Attack(lengthen, "is longer than"),
    "drop-object": Attack(drop(lambda site: site.object_of(A)), "1101.json: missing"),
    "drop-alias": Attack(drop(lambda site: A), f"FAILED {A}: missing"),
    "drop-minisig": Attack(drop(lambda site: site.object_of(A) + ".minisig"), ".minisig: missing"),
    "drop-minisig-alias": Attack(drop(lambda site: A + ".minisig"), f"{A}.minisig: missing"),
    "drop-shard-metadata": Attack(drop(lambda site: "metadata/1.ppwp-11.json"), "something was removed"),
    "drop-snapshot": Attack(drop(lambda site: "metadata/1.snapshot.json"), "something was removed"),
    "shard-key-on-other-shard": Attack(with_other_shards_key, "FAILED role ppwp-12: wrong or too few signatures"),
    "strangers-key-on-shard": Attack(strangers_key("ppwp-11"), "FAILED role ppwp-11: wrong or too few"),
    "strangers-key-on-timestamp": Attack(strangers_key("timestamp"), "wrong or too few signatures"),
    "strangers-key-on-snapshot": Attack(strangers_key("snapshot"), "wrong or too few signatures"),
    "strangers-key-on-targets": Attack(strangers_key("targets"), "wrong or too few signatures"),
    "list-other-shards-file": Attack(list_elsewhere(B), MAY_NOT),
    "list-other-shards-removed-file": Attack(list_elsewhere(B, drop_original=True), MAY_NOT),
    "list-front-page": Attack(list_elsewhere("index.html"), MAY_NOT),
    "list-trust": Attack(list_elsewhere("trust/minisign.json"), MAY_NOT),
    "list-parent-folder": Attack(list_elsewhere("ppwp/11/../12/1201.json"), "not a plain path"),
    "list-outside": Attack(list_elsewhere("../x"), "not a plain path"),
    "list-absolute": Attack(list_elsewhere("/etc/passwd"), "not a plain path"),
    "list-backslash": Attack(list_elsewhere("ppwp/11/..\\..\\x"), "not a plain path"),
    "list-nul": Attack(list_elsewhere("ppwp/11/a\0b"), "not a plain path"),
    "list-empty-segment": Attack(list_elsewhere("ppwp/11//x"), "not a plain path"),
    "list-terminal-escape": Attack(list_elsewhere("ppwp/11/\x1b[2J"), "not a plain path"),
    "claim-by-two-roles": Attack(claim_by_two, "listed by two roles, ppwp and ppwp-11"),
    "without-sha256": Attack(without_sha256, "without a sha256"),
    "enormous-length": Attack(enormous, "at most"),
    "remove-role-from-snapshot": Attack(remove_role, "FAILED role ppwp-12: "),
    "delegate-twice": Attack(delegate_twice, "another role delegates to as well"),
    "expired-shard": Attack(expire_shard, "FAILED role ppwp-11: New ppwp-11 is expired", STALE),
    "expired-timestamp": Attack(expire_timestamp, "no longer fresh", STALE),
    "mix-shard-of-older-release": Attack(mix_snapshots, "FAILED role ppwp-11: wrong length or hash"),
    "mix-snapshot-of-older-release": Attack(mix_snapshot_and_timestamp, "wrong length or hash"),
    "duplicate-key": Attack(rewrite_metadata(b'"version":1', b'"version":9,"version":1'), "the same key twice"),
    "float-version": Attack(rewrite_metadata(b'"version":1', b'"version":1.0'), "only integers may stand"),
    "nan": Attack(rewrite_metadata(b'"version":1', b'"version":NaN'), "only integers may stand"),
    "minisig-for-other-file": Attack(forge_minisig(file=B), f"its signature is for file {B}"),
    "minisig-for-other-election": Attack(forge_minisig(election="pemilu-2019"), "its signature is for election"),
    "minisig-for-other-release": Attack(forge_minisig(release=7), "its signature is for release 7"),
    "minisig-for-other-bytes": Attack(forge_minisig(sha256="0" * 64), "its signature is for sha256 000"),
    "json-names-other-village": Attack(signed_json(path=B), f"but the file says {B}"),
    "json-names-other-election": Attack(signed_json(election="pemilu-2019"), "but the file says pemilu-2019"),
    "json-without-release": Attack(signed_json(release=None), "the results file: "),
    "json-duplicate-key": Attack(signed_bytes(b'{"path":"a","path":"b"}'), "the same key twice"),
    "json-float": Attack(signed_bytes(b'{"votes":1e308}'), "only integers may stand"),
    "json-not-json": Attack(signed_bytes(b"\xff"), "is not JSON"),
    "minisign-key-not-for-release": Attack(end_key_range, "names 0 keys for release 1"),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_attacks_on_a_site(attack: Attack, site: SiteSimulator, place: Callable, tmp_path: Path) -> None:
    """Each attack ends with its exit status and is reported in words that name it."""
    attack.change(site)
    with place(site) as where:
        result = verify(where, site, tmp_path, "--signatures")
    assert result.exit_code == attack.exit_code, result.output
    assert attack.words in result.output
    assert "Everything checked is what was published" not in result.output
    assert "\x1b" not in result.output


def run(site: SiteSimulator, folder: Path, state: Path, **options: bool) -> SiteReport:
    fetcher = DirectoryFetcher(folder)
    client = Client(fetcher, state, site.now, site.tree["metadata/1.root.json"])
    client.refresh()
    with ThreadPoolExecutor(1) as executor:
        return check_site(client, fetcher, executor, **options)


def test_every_failure_is_reported(site: SiteSimulator, tmp_path: Path) -> None:
    """A broken role and two broken files give three failures, and all other files are still checked."""
    flip(lambda site: "metadata/1.ppwp-12.json")(site)
    flip(lambda site: site.object_of("index.html"))(site)
    flip(lambda site: "ppwp/11/1101.html")(site)
    report = run(site, site.write(tmp_path / "public"), tmp_path / "state")
    # The front page's alias is a hard link no more, and still has the right bytes.
    assert {failure.path for failure in report.failures} == {
        site.object_of("index.html"),
        "ppwp/11/1101.html",
        "role ppwp-12",
    }
    assert report.files == sum(len(files) for name, files in site.files.items() if name != "ppwp-12")
    assert report.exit_code == FAILED


def test_objects_only_leaves_aliases_out(site: SiteSimulator, tmp_path: Path) -> None:
    """A mirror that keeps only objects holds, with its signatures, when aliases are left out."""
    listed = [path for files in site.files.values() for path in files]
    for path in listed:
        del site.tree[path]
        site.tree.pop(path + ".minisig", None)
    folder = site.write(tmp_path / "public")
    assert run(site, folder, tmp_path / "a", aliases=False, signatures=True).exit_code == HOLDS
    assert len(run(site, folder, tmp_path / "b").failures) == len(listed)


def test_an_unlinked_alias_is_read(site: SiteSimulator, tmp_path: Path) -> None:
    """An alias that is a copy instead of a hard link is hashed by itself."""
    folder = site.write(tmp_path / "public")
    assert os.path.samefile(folder / A, folder / site.object_of(A))
    (folder / A).unlink()
    (folder / A).write_bytes(site.tree[A])
    assert run(site, folder, tmp_path / "state").exit_code == HOLDS
    (folder / A).write_bytes(site.tree[A].replace(b"1", b"2", 1))
    assert [failure.path for failure in run(site, folder, tmp_path / "state").failures] == [A]


def test_a_release_is_checked_before_its_timestamp_is_public(site: SiteSimulator, tmp_path: Path) -> None:
    """With the next timestamp laid over the tree, the publisher checks release 2 while the public still sees 1."""
    public = site.tree["metadata/timestamp.json"]
    site.next_release()
    draft = {"metadata/timestamp.json": site.tree["metadata/timestamp.json"]}
    site.tree["metadata/timestamp.json"] = public
    folder = site.write(tmp_path / "public")
    fetcher = OverlayFetcher(draft, DirectoryFetcher(folder))
    client = Client(fetcher, tmp_path / "draft", site.now, site.tree["metadata/1.root.json"])
    client.refresh()
    with ThreadPoolExecutor(1) as executor:
        report = check_site(client, fetcher, executor, aliases=False)
    assert (report.release, report.exit_code) == (2, HOLDS)
    assert run(site, folder, tmp_path / "state", aliases=False).release == 1


PORTAL, SECURITY = b"<!doctype html><p>portal", b"Contact: mailto:a@example.org\n"


def hostile_front_page(domain: dict[str, bytes]) -> None:
    domain["index.html"] = b"<h1>HACKED"


def longer_front_page(domain: dict[str, bytes]) -> None:
    domain["index.html"] += b"<script>"


def hostile_contact(domain: dict[str, bytes]) -> None:
    domain[".well-known/security.txt"] = SECURITY.replace(b"a@", b"b@")


def with_domain_pages(site: SiteSimulator) -> dict[str, bytes]:
    """What stands at the domain's root, beside the election."""
    site.files["site"] |= {"portal.html": PORTAL, "security.txt": SECURITY}
    site.publish()
    return {"index.html": PORTAL, ".well-known/security.txt": SECURITY}


@contextmanager
def around(site: SiteSimulator, domain: dict[str, bytes], how: str, tmp_path: Path) -> Iterator[str]:
    if how == "http":
        with serving(SiteServer(site.tree | {f"/{path}": data for path, data in domain.items()})) as server:
            yield server.url
        return
    folder = site.write(tmp_path / "public" / "pemilu-2026")
    for path, data in domain.items():
        file = tmp_path / "public" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    yield str(folder.parent)


@pytest.mark.parametrize("how", ["directory", "http"])
@pytest.mark.parametrize(
    ("change", "path"),
    [
        (hostile_front_page, "../index.html"),
        (longer_front_page, "../index.html"),
        (hostile_contact, "../.well-known/security.txt"),
        (lambda domain: None, ""),
        (dict.clear, ""),
    ],
    ids=["front-page", "longer-front-page", "security-txt", "honest", "none"],
)
def test_the_domains_own_pages_are_the_signed_ones(
    change: Callable, path: str, how: str, site: SiteSimulator, tmp_path: Path
) -> None:
    """The front page and security.txt at the domain's root must be the election's, unless that is left out."""
    domain = with_domain_pages(site)
    change(domain)
    with around(site, domain, how, tmp_path) as where:
        result = verify(where, site, tmp_path, "--json")
        assert result.exit_code == (FAILED if path else HOLDS), result.output
        assert [failure["path"] for failure in json.loads(result.stdout)["failures"]] == [path] * bool(path)
        for option in ("--election-only", "--objects-only"):
            assert verify(where, site, tmp_path, option).exit_code == HOLDS


UNSIGNED = ["99.html", "ppwp/99.html", "ppwp/11/9.json.minisig", "new/deep/x.js", "\x1b[2J.html", "trust/link"]


def test_unsigned_files_are_named(site: SiteSimulator, tmp_path: Path) -> None:
    """Whatever browsers could be led to and no list names is named, escaped; objects, metadata and hints are not."""
    folder = site.write(tmp_path / "public")
    for path in [*UNSIGNED[:-1], "latest.json", "metadata/9.site.json", "targets/old.html", "packages/a/scan.png"]:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"x")
    (folder / UNSIGNED[-1]).symlink_to("/")
    result = verify(str(folder), site, tmp_path, "--json")
    assert result.exit_code == HOLDS
    assert sorted(json.loads(result.stdout)["unlisted"]) == sorted(UNSIGNED)
    shown = verify(str(folder), site, tmp_path).output
    assert shown.count("UNSIGNED ") == len(UNSIGNED)
    assert "\x1b" not in shown


def test_the_earlier_end_is_told(site: SiteSimulator, tmp_path: Path) -> None:
    """A timestamp that ends after its snapshot makes nothing current for longer than the snapshot does."""
    site.timestamp.expires = NOW + timedelta(days=2)
    site.sign_timestamp()
    assert run(site, site.write(tmp_path / "public"), tmp_path / "state").expires == site.snapshot.expires


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize(
    "change",
    [lambda data: None, lambda data: b"x", lambda data: data.replace(b'"sig": "', b'"sig": "00', 1)],
    ids=["gone", "garbage", "signature"],
)
def test_roots_stay_where_newcomers_need_them(
    change: Callable, number: int, site: SiteSimulator, tmp_path: Path
) -> None:
    """A root that is gone or spoilt is noticed by whoever has followed it before; one spelled otherwise is fine."""
    rotate(site)
    path = f"metadata/{number}.root.json"
    site.tree[path] = json.dumps(json.loads(site.tree[path]), indent=1).encode()
    assert run(site, site.write(tmp_path / "public"), tmp_path / "state").exit_code == HOLDS
    client = Client(OverlayFetcher(site.tree, DirectoryFetcher(tmp_path)), tmp_path / "state", site.now)
    client.refresh()
    before = site.tree.pop(path)
    if (data := change(before)) is not None:
        site.tree[path] = data
    failures: list[str] = []
    client.check_roots(lambda name, error: failures.append(name))
    assert failures == [path]


def stall_all(site: SiteSimulator) -> set[str]:
    return {path for path in site.tree if not path.startswith("metadata/")}


def stall_objects(site: SiteSimulator) -> set[str]:
    return {path for path in site.tree if path.startswith("targets/")}


def stall_shards(site: SiteSimulator) -> set[str]:
    return {"metadata/1.ppwp-11.json", "metadata/1.ppwp-12.json"} | stall_objects(site)


def stall_packages(site: SiteSimulator) -> set[str]:
    site.files["ppwp-11"][A] = site.results(A, sources=[{"package": f"{n:064x}"} for n in range(40)])
    site.publish()
    return {f"packages/{n:064x}/recap.toml" for n in range(40)}


@pytest.mark.parametrize("stalled", [stall_all, stall_objects, stall_shards, stall_packages])
@pytest.mark.parametrize("way", ["stalled", "dripped"])
def test_a_stalling_server_is_left(stalled: Callable, way: str, site: SiteSimulator, tmp_path: Path) -> None:
    """After so many answers that did not come, nothing more is asked for; no alias of a stalled object is."""
    paths = stalled(site)
    with serving(SiteServer(site.tree)) as server:
        setattr(server, way, paths)
        fetcher = HttpFetcher(server.url, timeout=0.2, total=0.3, stalls=3)
        client = Client(fetcher, tmp_path / "state", site.now, site.tree["metadata/1.root.json"])
        client.refresh()
        with ThreadPoolExecutor(2) as executor:
            report = check_site(client, fetcher, executor)
    stalls = [path for path in server.asked if path in paths]
    assert 3 <= len(stalls) <= 5  # two more may have been under way
    assert not {path for path in server.asked if site_object(site, path) in stalls}
    assert report.exit_code == FAILED
    assert any("is asked for no more" in failure.what for failure in report.failures)
    assert len(report.failures) < 20


def site_object(site: SiteSimulator, path: str) -> str | None:
    return site.object_of(path) if any(path in files for files in site.files.values()) else None


def test_progress_counts_files(site: SiteSimulator, tmp_path: Path) -> None:
    """Progress ends with all files checked of all files known."""
    fetcher = DirectoryFetcher(site.write(tmp_path / "public"))
    client = Client(fetcher, tmp_path / "state", site.now, site.tree["metadata/1.root.json"])
    client.refresh()
    seen: list[tuple[int, int]] = []
    with ThreadPoolExecutor(1) as executor:
        report = check_site(client, fetcher, executor, progress=lambda done, known: seen.append((done, known)))
    assert seen[-1] == (report.files, report.files)
