from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import DelegatedRole, SuccinctRoles, TargetFile, Timestamp
from tuf.ngclient import Updater

from tests.servers import serving
from tests.verifier.site_simulator import NOW, A, B, SiteServer, SiteSimulator, rotate, sha256
from verifier import limits
from verifier.client import Client
from verifier.errors import FetchError, FormatError, StaleError, VerificationError, VerifierError
from verifier.fetcher import MissingError, OverlayFetcher
from verifier.http_fetcher import HttpFetcher


class Nowhere:
    """A source that has nothing."""

    def fetch(self, path: str, max_length: int) -> bytes:
        raise MissingError(f"{path} is missing")

    def fetch_linked(self, path: str, other: str, max_length: int) -> tuple[bytes, bool]:
        return self.fetch(path, max_length), False


def client_of(site: SiteSimulator, state: Path, *, root: bool = True) -> Client:
    trusted = site.tree["metadata/1.root.json"] if root else None
    return Client(OverlayFetcher(site.tree, Nowhere()), state, site.now, trusted)


def refreshed(site: SiteSimulator, state: Path, *, root: bool = True) -> Client:
    client = client_of(site, state, root=root)
    client.refresh()
    return client


def test_targets_and_roles_are_read_back(site: SiteSimulator, tmp_path: Path) -> None:
    """After a refresh the client gives verified files, all roles with their versions, and the release."""
    site.next_release()
    client = refreshed(site, tmp_path)
    assert client.target(A) == site.files["ppwp-11"][A]
    roles = client.roles()
    assert list(roles) == ["targets", "trust", "site", "ppwp", "ppwp-11", "ppwp-12"]
    assert {name: set(role.targets.targets) for name, role in roles.items()} == {
        name: set(files) for name, files in site.files.items()
    }
    assert (client.snapshot.version, client.timestamp.version, client.root.version) == (2, 2, 1)


def test_later_runs_need_no_root(site: SiteSimulator, tmp_path: Path) -> None:
    """The state of one run is the trust of the next."""
    refreshed(site, tmp_path)
    site.next_release()
    assert refreshed(site, tmp_path, root=False).snapshot.version == 2


def older_timestamp(site: SiteSimulator, old: dict[str, bytes]) -> None:
    site.tree = old


def older_snapshot(site: SiteSimulator, old: dict[str, bytes]) -> None:
    """The timestamp's key is stolen too: a newer timestamp names the older snapshot."""
    site.timestamp.version += 1
    site.timestamp.snapshot_meta.version = 1
    data = old["metadata/1.snapshot.json"]
    site.timestamp.snapshot_meta.length = len(data)
    site.timestamp.snapshot_meta.hashes = {"sha256": sha256(data)}
    site.sign_timestamp()


def older_shard(site: SiteSimulator, old: dict[str, bytes]) -> None:
    """Snapshot's and timestamp's keys are stolen: a newer snapshot names an older shard."""
    site.release += 1
    site.snapshot.version = site.timestamp.version = site.release
    site.snapshot.meta["ppwp-11.json"].version = 1
    site.sign_snapshot()


def removed_role(site: SiteSimulator, old: dict[str, bytes]) -> None:
    """Snapshot's and timestamp's keys are stolen: a newer snapshot leaves a shard out."""
    site.release += 1
    site.snapshot.version = site.timestamp.version = site.release
    del site.snapshot.meta["ppwp-11.json"]
    site.sign_snapshot()


@pytest.mark.parametrize("attack", [older_timestamp, older_snapshot, older_shard, removed_role])
def test_a_client_never_goes_back(attack: Callable, site: SiteSimulator, tmp_path: Path) -> None:
    """Who has seen release 2 refuses everything that takes any of it back."""
    old = dict(site.tree)
    site.next_release()
    refreshed(site, tmp_path)
    attack(site, old)
    with pytest.raises(VerificationError, match=r"rolled back|missing info"):
        refreshed(site, tmp_path)
    assert '"version":2' in (tmp_path / "snapshot.json").read_text()


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_expired_metadata_is_stale(role: str, site: SiteSimulator, tmp_path: Path) -> None:
    """Metadata that has expired is refused as stale, by the clock that is passed in."""
    site.compose()
    site.sign()
    signed = {
        "root": site.root,
        "timestamp": site.timestamp,
        "snapshot": site.snapshot,
        "targets": site.roles["targets"],
    }
    signed[role].expires = NOW
    site.put_metadata("root", site.root, "1.root.json")
    site.sign()
    with pytest.raises(StaleError, match="no longer fresh"):
        refreshed(site, tmp_path / "now")
    site.now -= timedelta(seconds=1)
    refreshed(site, tmp_path / "before")


@pytest.mark.parametrize("name", ["1.snapshot.json", "1.targets.json", "1.site.json", "1.ppwp-11.json"])
@pytest.mark.parametrize(
    "change", [lambda data: None, lambda data: b"x", lambda data: data + b" "], ids=["gone", "garbage", "space"]
)
@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_metadata_is_read_where_it_is_checked(
    name: str, change: Callable, warm: bool, site: SiteSimulator, tmp_path: Path
) -> None:
    """Metadata that is gone, or has other bytes, is noticed also by whoever has verified this release before."""
    if warm:
        refreshed(site, tmp_path).roles()
    before = site.tree.pop(f"metadata/{name}")
    if (data := change(before)) is not None:
        site.tree[f"metadata/{name}"] = data
    with pytest.raises(VerificationError):
        refreshed(site, tmp_path).roles()


def fast_forward(timestamp: Timestamp) -> None:
    timestamp.version = 2**53


def two_days_ahead(timestamp: Timestamp) -> None:
    timestamp.version = int(NOW.timestamp()) + 2 * 86_400


def for_ever(timestamp: Timestamp) -> None:
    timestamp.expires = datetime(9999, 1, 1, tzinfo=UTC)


def three_days(timestamp: Timestamp) -> None:
    timestamp.expires = NOW + timedelta(days=3)


@pytest.mark.parametrize("attack", [fast_forward, two_days_ahead, for_ever, three_days])
def test_a_thief_of_the_timestamps_key_gains_little(attack: Callable, site: SiteSimulator, tmp_path: Path) -> None:
    """A timestamp from far ahead, or for far too long, is refused, and the honest one after it is not."""
    refreshed(site, tmp_path)
    site.timestamp.version += 1
    attack(site.timestamp)
    site.sign_timestamp()
    with pytest.raises(VerificationError, match="its key is misused"):
        refreshed(site, tmp_path)
    site.now += timedelta(minutes=10)
    site.release = 2
    site.compose()
    site.timestamp.version = int(site.now.timestamp())
    site.sign()
    assert refreshed(site, tmp_path).snapshot.version == 2


def test_a_state_that_a_thief_has_spoilt_recovers(site: SiteSimulator, tmp_path: Path) -> None:
    """A timestamp from far ahead that an older client has let into its state stands in nobody's way."""
    refreshed(site, tmp_path)
    site.timestamp.version = 2**53
    (tmp_path / "timestamp.json").write_bytes(site.put_metadata("timestamp", site.timestamp, "timestamp.json"))
    site.next_release()
    assert refreshed(site, tmp_path).timestamp.version == 2


@pytest.mark.parametrize(
    ("version", "timestamp_lasts", "snapshot_lasts"),
    [
        (int(NOW.timestamp()) + 86_400, timedelta(minutes=30), timedelta(days=1)),
        (int(NOW.timestamp()), timedelta(days=2), timedelta(days=1)),
        (int(NOW.timestamp()), timedelta(days=3_650), timedelta(days=3_650)),
    ],
    ids=["clock-a-day-behind", "two-days", "final"],
)
def test_honest_timestamps_hold(
    version: int, timestamp_lasts: timedelta, snapshot_lasts: timedelta, site: SiteSimulator, tmp_path: Path
) -> None:
    """A clock that is a day behind, a validity of two days, and a final release that lasts for years are no attacks."""
    site.snapshot.expires = NOW + snapshot_lasts
    site.timestamp.version, site.timestamp.expires = version, NOW + timestamp_lasts
    site.sign_snapshot()
    assert refreshed(site, tmp_path).timestamp.version == version


@pytest.mark.parametrize("terminating", [True, False])
def test_roles_left_out_of_a_walk_still_end_the_search(terminating: bool, site: SiteSimulator, tmp_path: Path) -> None:
    """A walk of some roles gives each the same say as a walk of all."""
    role = site.delegations["targets"][1]
    site.delegations["targets"][1] = DelegatedRole("site", role.keyids, 1, terminating, ["*", "ppwp/12/*"])
    site.publish()
    client = refreshed(site, tmp_path)
    some = {role.name: role for role in client.walk(only={"ppwp", "ppwp-12"})}
    assert list(some) == ["targets", "ppwp", "ppwp-12"]
    assert some["ppwp-12"].resolves(B) == client.roles()["ppwp-12"].resolves(B) == (not terminating)


def test_roots_are_walked(site: SiteSimulator, tmp_path: Path) -> None:
    """A new root that the old and the new keys signed is followed."""
    rotate(site)
    assert refreshed(site, tmp_path).root.version == 2


@pytest.mark.parametrize(
    "how", [{"old_key": False}, {"new_key": False}, {"version": 3}], ids=["not-by-old", "not-by-new", "skips-version"]
)
def test_forged_roots_are_refused(how: dict[str, bool], site: SiteSimulator, tmp_path: Path) -> None:
    """A root that old and new keys have not both signed, or out of order, ends the check."""
    rotate(site, **how)
    with pytest.raises(VerificationError):
        refreshed(site, tmp_path)


@pytest.mark.parametrize("rotated", [False, True], ids=["first root", "second root"])
def test_the_root_of_another_election_is_a_guess_at_what_is_wrong(
    rotated: bool, site: SiteSimulator, tmp_path: Path
) -> None:
    """Where no key of the root has signed, the message says that the root may be another election's: that is no forgery."""
    if rotated:
        rotate(site)
    other = SiteSimulator().tree["metadata/1.root.json"]
    client = Client(OverlayFetcher(site.tree, Nowhere()), tmp_path, site.now, other)
    with pytest.raises(VerificationError, match=r"wrong or too few signatures.*; or the root is another election's$"):
        client.refresh()


def test_failed_roles_leave_the_state_as_it_was(site: SiteSimulator, tmp_path: Path) -> None:
    """A timestamp that does not verify is never written into the state."""
    refreshed(site, tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.glob("*.json")}
    site.signers["timestamp"] = CryptoSigner.generate_ed25519()
    site.next_release()
    with pytest.raises(VerificationError, match="wrong or too few signatures"):
        refreshed(site, tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.glob("*.json")} == before


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", FormatError),
        (b"\xff", FormatError),
        (b"[" * 15_000, FormatError),
        (b"{}", FormatError),
        (b"[]", FormatError),
        (b'{"signed":{"_type":"timestamp","version":' + b"9" * 10_000 + b"}}", FormatError),
        (b'{"signatures":[],"signed":{"_type":"timestamp"}}', FormatError),
        (b" " * (limits.TIMESTAMP_METADATA + 1), VerificationError),
    ],
    ids=["empty", "not-utf8", "deep", "no-keys", "list", "huge-integer", "no-fields", "too-long"],
)
def test_malformed_metadata_never_escapes(
    data: bytes, error: type[VerifierError], site: SiteSimulator, tmp_path: Path
) -> None:
    """Whatever a server sends as its timestamp ends in one of our errors."""
    site.tree["metadata/timestamp.json"] = data
    with pytest.raises(error):
        refreshed(site, tmp_path)


def test_a_missing_timestamp_says_nothing(site: SiteSimulator, tmp_path: Path) -> None:
    """A place without a timestamp could not be checked: that is no proof of a change."""
    del site.tree["metadata/timestamp.json"]
    with pytest.raises(MissingError):
        refreshed(site, tmp_path)


def test_an_unusable_state_is_said(site: SiteSimulator, tmp_path: Path) -> None:
    """A state folder that is a file is our error, not a traceback."""
    (tmp_path / "state").write_text("")
    with pytest.raises(VerifierError, match="state folder"):
        client_of(site, tmp_path / "state")


def test_hash_bins_are_refused(site: SiteSimulator, tmp_path: Path) -> None:
    """A role that delegates to 2^32 bins is refused without asking for one of them."""
    site.compose()
    delegations = site.roles["ppwp"].delegations
    delegations.roles = None
    delegations.succinct_roles = SuccinctRoles([], 1, 32, "bin")
    site.sign()
    client = refreshed(site, tmp_path)
    with pytest.raises(VerificationError, match="hash bins"):
        client.roles()


def test_a_target_that_nobody_may_list_is_refused(site: SiteSimulator, tmp_path: Path) -> None:
    """A file that a shard lists outside its delegation cannot be had."""
    site.compose()
    site.roles["ppwp-11"].targets["ppwp/12/9.json"] = TargetFile.from_data("ppwp/12/9.json", b"x", ["sha256"])
    site.sign()
    with pytest.raises(VerificationError, match="no role that may speak"):
        refreshed(site, tmp_path).target("ppwp/12/9.json")


def test_swapped_objects_are_refused(site: SiteSimulator, tmp_path: Path) -> None:
    """One area's bytes under another's object name do not verify."""
    site.tree[site.object_of(A)] = site.files["ppwp-12"][B]
    with pytest.raises(VerificationError):
        refreshed(site, tmp_path).target(A)


@pytest.mark.parametrize("path", ["metadata/timestamp.json", "metadata/1.ppwp-11.json", "object"])
def test_endless_answers_are_cut(path: str, site: SiteSimulator, tmp_path: Path) -> None:
    """A server that never stops sending is left at the cap, for metadata as for targets."""
    with serving(SiteServer(site.tree)) as server:
        server.endless.add(site.object_of(A) if path == "object" else path)
        client = Client(HttpFetcher(server.url), tmp_path, site.now, site.tree["metadata/1.root.json"])
        with pytest.raises(VerificationError, match="longer than"):
            client.refresh() or client.target(A)


@pytest.mark.parametrize("way", ["stalled", "dripped"])
@pytest.mark.parametrize("path", ["metadata/timestamp.json", "object"])
def test_slow_servers_are_left(way: str, path: str, site: SiteSimulator, tmp_path: Path) -> None:
    """A server that stops, or drips a byte now and then, costs the time limit and no more."""
    with serving(SiteServer(site.tree)) as server:
        getattr(server, way).add(site.object_of(A) if path == "object" else path)
        fetcher = HttpFetcher(server.url, timeout=0.5, total=1.0)
        client = Client(fetcher, tmp_path, site.now, site.tree["metadata/1.root.json"])
        with pytest.raises(FetchError, match=r"timed out|no whole answer"):
            client.refresh() or client.target(A)


def test_stock_python_tuf_reads_our_layout(site: SiteSimulator, tmp_path: Path) -> None:
    """python-tuf's own Updater and fetcher download from `metadata/` and `targets/` with no word of ours."""
    with serving(SiteServer(site.tree)) as server:
        for name in ("state", "files"):
            (tmp_path / name).mkdir()
        updater = Updater(
            str(tmp_path / "state"),
            f"{server.url}/metadata/",
            str(tmp_path / "files"),
            f"{server.url}/targets/",
            bootstrap=site.tree["metadata/1.root.json"],
        )
        updater._trusted_set.reference_time = site.now
        info = updater.get_targetinfo(A)
        assert info is not None
        assert Path(updater.download_target(info)).read_bytes() == site.files["ppwp-11"][A]


PATTERNS = st.sampled_from(
    ["*", "a/*", "b/*", "a/b/*", "*/*", "a/x", "a/?", "?/*", "*/b/*", "x", "/*", "[ab]/*", "a/[xy]"]
)
PATHS = ["x", "y", "a/x", "a/yy", "b/x", "a/b/x", "b/b/x"]
NAMES = ["r0", "r1", "r2", "r3", "r4"]
GRAPHS = st.lists(
    st.tuples(st.integers(0, 4), st.lists(PATTERNS, min_size=1, max_size=3), st.booleans()), min_size=5, max_size=5
)
LISTINGS = st.lists(st.sets(st.sampled_from(PATHS)), min_size=5, max_size=5)


@given(graph=GRAPHS, listings=LISTINGS)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_resolves_agrees_with_the_search(
    graph: list[tuple[int, list[str], bool]], listings: list[set[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """For any tree of delegations, a role resolves a name that it alone lists exactly if python-tuf finds it there."""
    site = SiteSimulator()
    key = site.keys["ppwp"]
    site.keys = dict.fromkeys(NAMES, key) | site.keys
    site.signers |= dict.fromkeys(NAMES, key)
    site.files = {"targets": {}} | {name: {} for name in NAMES}
    site.roles, site.delegations = {}, {}
    for number, (parent, patterns, terminating) in enumerate(graph):
        delegator = NAMES[parent % number] if number and parent < 4 else "targets"
        role = DelegatedRole(NAMES[number], [key.public_key.keyid], 1, terminating, patterns)
        site.delegations.setdefault(delegator, []).append(role)
    for name, paths in zip(NAMES, listings, strict=True):
        site.files[name] = {path: f"{name} {path}".encode() for path in paths}
    site.publish()
    client = refreshed(site, tmp_path_factory.mktemp("state"))
    roles = client.roles()
    for name in NAMES:
        for path in site.files[name]:
            if sum(path in files for files in site.files.values()) == 1:
                try:
                    found = client.target(path) == f"{name} {path}".encode()
                except VerificationError:
                    found = False
                assert roles[name].resolves(path) == found
