"""TUF metadata: stock clients take it and find every path, the same input gives the same bytes, and it stays small."""

import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from securesystemslib.signer import SSlibKey
from tuf.api.exceptions import DownloadHTTPError, RepositoryError, UnsignedMetadataError
from tuf.api.metadata import DelegatedRole
from tuf.ngclient import FetcherInterface, Updater

from publish.errors import SigningError
from publish.signing import repository
from publish.signing.keys import SecretKey
from publish.signing.repository import RoleFile, RoleKeys, delegated_paths, role_file, sign

NOW = datetime.now(UTC).replace(microsecond=0)
YEAR, DAY, HALF_HOUR = NOW + timedelta(days=365), NOW + timedelta(days=1), NOW + timedelta(minutes=30)


def key(name: str) -> SecretKey:
    seed = hashlib.sha256(name.encode()).digest()
    return SecretKey(seed[:8], seed)


def public(threshold: int, *names: str) -> RoleKeys:
    return RoleKeys(tuple(key(name).public for name in names), threshold)


OFFLINE = [key("root-1"), key("root-2")]
ONLINE = [key("first"), key("second")]
RESULTS = public(2, "first", "second")
ROOT_ROLES = {
    "root": public(2, "root-1", "root-2", "root-3"),
    "targets": public(2, "root-1", "root-2", "root-3"),
    "snapshot": RESULTS,
    "timestamp": public(1, "timestamp"),
}
FILES = {
    "trust": {"trust/election.toml": b"id", "keys/minisign.pub": b"RW"},
    "site": {"index.html": b"front", "en/index.html": b"front", "assets/a.css": b"a{}", "schema/results.json": b"{}"},
    "ppwp": {"ppwp/0.json": b"{}", "ppwp/0.html": b"nation", "en/ppwp/0.html": b"nation", "ppwp/11.html": b"province"},
    "ppwp-1101": {"ppwp/1101/1101012001.html": b"village", "en/ppwp/1101/1101012001.html": b"village"},
    "ppwp-n990972": {"ppwp/n990972/n990972.json": b"abroad"},
    "dprdk": {"dprdk-317201/31.html": b"province"},
    "dprdk-3172": {"dprdk-317201/3172/3172.html": b"regency", "en/dprdk-317202/3172/3172.html": b"regency"},
}
GROUPS = {"ppwp": ["1101", "n990972"], "dprdk": ["3172"]}


class Tree:
    """A published tree in memory: path to bytes."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.roles: dict[str, RoleFile] = {}

    def put(self, name: str, version: int, data: bytes) -> None:
        self.files[f"metadata/{version}.{name}.json"] = data
        if name not in {"root", "snapshot"}:
            self.roles[name] = role_file(version, data)

    def commit(self, version: int) -> None:
        snapshot = repository.snapshot_metadata(version, DAY, self.roles, ONLINE)
        self.put("snapshot", version, snapshot)
        self.files["metadata/timestamp.json"] = repository.timestamp_metadata(
            int(NOW.timestamp()), HALF_HOUR, version, snapshot, [key("timestamp")]
        )


def listed(files: Mapping[str, bytes]) -> dict[str, tuple[int, str]]:
    return {path: (len(data), hashlib.sha256(data).hexdigest()) for path, data in files.items()}


@pytest.fixture
def tree() -> Tree:
    """A small election, signed with threshold 2."""
    made = Tree()
    delegations = {"trust": ROOT_ROLES["targets"], "site": RESULTS, "ppwp": RESULTS, "dprdk": RESULTS}
    made.put("root", 1, sign(repository.root_metadata(1, YEAR, ROOT_ROLES), OFFLINE))
    made.put("targets", 1, sign(repository.targets_metadata(1, YEAR, delegations), OFFLINE))
    made.put("trust", 1, sign(repository.trust_metadata(1, YEAR, FILES["trust"]), OFFLINE))
    made.put("site", 1, repository.shard_metadata(1, YEAR, listed(FILES["site"]), ONLINE))
    for group, shards in GROUPS.items():
        keys = dict.fromkeys(shards, RESULTS)
        made.put(group, 1, repository.group_metadata(group, 1, YEAR, listed(FILES[group]), shards=keys, keys=ONLINE))
        for shard in shards:
            role = f"{group}-{shard}"
            made.put(role, 1, repository.shard_metadata(1, YEAR, listed(FILES[role]), ONLINE))
    for path, data in ((path, data) for files in FILES.values() for path, data in files.items()):
        folder, slash, name = path.rpartition("/")
        made.files[f"targets/{folder}{slash}{hashlib.sha256(data).hexdigest()}.{name}"] = data
    made.commit(1)
    return made


class TreeFetcher(FetcherInterface):
    """Fetches from a tree, and remembers what was fetched."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.fetched: dict[str, bytes] = {}

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = unquote(url)
        if path not in self.tree.files:
            raise DownloadHTTPError(path, 404)
        self.fetched[path] = self.tree.files[path]
        yield self.tree.files[path]


def client(tree: Tree, folder: Path) -> Updater:
    folder.mkdir(exist_ok=True)
    root = tree.files["metadata/1.root.json"]
    return Updater(str(folder), "metadata/", str(folder), "targets/", fetcher=TreeFetcher(tree), bootstrap=root)


def find(tree: Tree, folder: Path, path: str) -> bytes | None:
    """What a fresh stock client downloads for `path`; None when no role lists it."""
    updater = client(tree, folder)
    target = updater.get_targetinfo(path)
    return None if target is None else Path(updater.download_target(target)).read_bytes()


PATHS = [(path, data) for files in FILES.values() for path, data in files.items()]


@pytest.mark.parametrize(("path", "data"), PATHS, ids=[path for path, _ in PATHS])
def test_stock_client_downloads_every_path(tree, tmp_path, path, data):
    """python-tuf's client finds each path through the delegations and downloads the right object."""
    assert find(tree, tmp_path, path) == data


def test_stock_client_finds_no_path_that_nobody_signed(tree, tmp_path):
    """A path that no role lists is not found."""
    assert find(tree, tmp_path, "ppwp/1101/1101012002.html") is None


@pytest.mark.parametrize(
    ("role", "path"),
    [
        ("ppwp-1101", "ppwp/1102/1102.html"),
        ("ppwp-1101", "ppwp/0.html"),
        ("ppwp-1101", "index.html"),
        ("ppwp-1101", "ppwp/1101/deep/1101.html"),
        ("ppwp-1101", "dprdk-317201/1101/1101.html"),
        ("ppwp", "index.html"),
        ("ppwp", "dprdk-317201/31.html"),
        ("ppwp", "ppwpx/0.html"),
        ("site", "ppwp/0.html"),
        ("site", "data/ppwp/0.areas.csv.gz"),
        ("ppwp-1101", "embed/ppwp/1102/1102.html"),
        ("ppwp-data-files", "ppwp/0.html"),
        ("ppwp-data-files", "embed/ppwp/1101/1101.html"),
        ("site", "sirekap/pemilu/hhcw/ppwp/11.json"),
        ("ppwp", "sirekap/pemilu/hhcw/ppwp.json"),
        ("ppwp", "sirekap/pemilu/hhcw/dpd/11.json"),
        ("ppwp-1101", "sirekap/pemilu/hhcw/ppwp/11/1101/110101.json"),
        ("ppwp-data-files", "sirekap/pemilu/hhcw/ppwp/11.json"),
        ("ppwp-data-files-sirekap", "sirekap/pemilu/hhcw/ppwp/11/1101/110101.json"),
        ("ppwp-1101-sirekap", "sirekap/pemilu/hhcw/ppwp/11/1102/110201.json"),
        ("ppwp-1101-sirekap", "sirekap/pemilu/hhcw/ppwp/11/1101.json"),
        ("ppwp-1101-sirekap", "ppwp/1101/1101.json"),
        ("site", "trust/election.toml"),
        ("site", "keys/minisign.pub"),
        ("trust", "index.html"),
    ],
)
def test_roles_have_no_say_outside_their_paths(role, path):
    """A role's patterns do not cover what belongs to another role."""
    delegated = DelegatedRole(role, [], 1, terminating=True, paths=delegated_paths(role))
    assert not delegated.is_delegated_path(path)


def test_patterns_are_those_of_the_format():
    """The patterns of a group and of a shard are spelt out as docs/formats.md says."""
    assert delegated_paths("ppwp") == [
        *("ppwp/*", "ppwp/*/*", "ppwp-*/*", "ppwp-*/*/*"),
        *("en/ppwp/*", "en/ppwp/*/*", "en/ppwp-*/*", "en/ppwp-*/*/*"),
        *("data/ppwp/*", "data/ppwp/*/*", "data/ppwp-*/*", "data/ppwp-*/*/*"),
        *("embed/ppwp/*", "embed/ppwp/*/*", "embed/ppwp-*/*", "embed/ppwp-*/*/*"),
        *(f"sirekap/pemilu/hhcw/ppwp/{way}" for way in ("*", "*/*", "*/*/*", "*/*/*/*", "*/*/*/*/*")),
        *(f"sirekap/wilayah/pemilu/ppwp/{way}" for way in ("*", "*/*", "*/*/*", "*/*/*/*", "*/*/*/*/*")),
    ]
    assert delegated_paths("ppwp-data-files-sirekap") == [
        *("sirekap/pemilu/hhcw/ppwp/*", "sirekap/pemilu/hhcw/ppwp/*/*"),
        *("sirekap/wilayah/pemilu/ppwp/*", "sirekap/wilayah/pemilu/ppwp/*/*"),
    ]
    assert delegated_paths("ppwp-1101-sirekap") == [
        *(f"sirekap/pemilu/hhcw/ppwp/*/1101/{way}" for way in ("*", "*/*", "*/*/*")),
        *(f"sirekap/wilayah/pemilu/ppwp/*/1101/{way}" for way in ("*", "*/*", "*/*/*")),
    ]
    assert delegated_paths("ppwp-data-files") == ["data/ppwp/*", "data/ppwp-*/*", "embed/ppwp/*", "embed/ppwp-*/*"]
    assert delegated_paths("ppwp-1101") == [
        *("ppwp/1101/*", "ppwp-*/1101/*", "en/ppwp/1101/*", "en/ppwp-*/1101/*"),
        *("data/ppwp/1101/*", "data/ppwp-*/1101/*", "embed/ppwp/1101/*", "embed/ppwp-*/1101/*"),
    ]


@pytest.mark.parametrize("signers", [["first"], ["first", "stranger"], ["root-1", "root-2"], []])
def test_too_few_or_wrong_signatures_are_refused(tree, tmp_path, signers):
    """A shard signed by fewer than its threshold, or by keys of other roles, is refused by a stock client."""
    forged = repository.shard_metadata(1, YEAR, listed(FILES["ppwp-1101"]), [key(name) for name in signers])
    tree.put("ppwp-1101", 1, forged)
    tree.commit(1)
    with pytest.raises(UnsignedMetadataError):
        find(tree, tmp_path, "ppwp/1101/1101012001.html")


def test_key_of_one_shard_cannot_sign_another(tree, tmp_path):
    """With a key of its own for each shard, the key of one is refused on the other."""
    shards = {"1101": public(1, "aceh"), "n990972": public(1, "abroad")}
    tree.put("ppwp", 1, repository.group_metadata("ppwp", 1, YEAR, {}, shards=shards, keys=ONLINE))
    tree.put("ppwp-1101", 1, repository.shard_metadata(1, YEAR, listed(FILES["ppwp-1101"]), [key("aceh")]))
    tree.put("ppwp-n990972", 1, repository.shard_metadata(1, YEAR, listed(FILES["ppwp-n990972"]), [key("aceh")]))
    tree.commit(1)
    assert find(tree, tmp_path / "a", "ppwp/1101/1101012001.html") == b"village"
    with pytest.raises(UnsignedMetadataError):
        find(tree, tmp_path / "b", "ppwp/n990972/n990972.json")


def test_client_with_the_first_root_walks_to_the_third(tree, tmp_path):
    """A client that only has 1.root.json follows two rotations to keys that share nothing with the first ones."""
    second = {**ROOT_ROLES, "root": public(2, "root-3", "new-1", "new-2")}
    third = {**ROOT_ROLES, "root": public(2, "new-1", "new-2", "new-3"), "timestamp": public(1, "timestamp-2")}
    signed = sign(repository.root_metadata(2, YEAR, second), [*OFFLINE, key("new-1"), key("new-2")])
    tree.put("root", 2, signed)
    tree.put("root", 3, sign(repository.root_metadata(3, YEAR, third), [key("new-1"), key("new-2")]))
    with pytest.raises(UnsignedMetadataError):  # the old timestamp key has no say any more
        find(tree, tmp_path / "a", "index.html")
    snapshot = tree.files["metadata/1.snapshot.json"]
    tree.files["metadata/timestamp.json"] = repository.timestamp_metadata(
        9, HALF_HOUR, 1, snapshot, [key("timestamp-2")]
    )
    assert find(tree, tmp_path / "b", "index.html") == b"front"


@pytest.mark.parametrize("signers", [["new-1", "new-2"], ["root-1", "root-2"], ["root-1", "new-1"]])
def test_root_needs_the_thresholds_of_old_and_new_keys(tree, tmp_path, signers):
    """A new root without the threshold of the old keys, or of its own, is refused by a stock client."""
    roles = {**ROOT_ROLES, "root": public(2, "new-1", "new-2")}
    tree.put("root", 2, sign(repository.root_metadata(2, YEAR, roles), [key(name) for name in signers]))
    with pytest.raises(RepositoryError):
        find(tree, tmp_path, "index.html")


def test_same_input_gives_the_same_bytes():
    """Neither the order of keys, targets and shards nor signing twice changes a byte."""
    shards = {"2": RESULTS, "1": public(2, "second", "first")}
    targets = listed(FILES["ppwp"])

    def backwards(mapping):
        return dict(reversed(mapping.items()))

    one = repository.group_metadata("ppwp", 1, YEAR, targets, shards=shards, keys=ONLINE)
    other = repository.group_metadata(
        "ppwp", 1, YEAR, backwards(targets), shards=backwards(shards), keys=[*reversed(ONLINE)]
    )
    assert one == other
    root = repository.root_metadata(1, YEAR, ROOT_ROLES)
    assert (
        sign(sign(root, OFFLINE[:1]), OFFLINE[1:])
        == sign(root, [*reversed(OFFLINE)])
        == sign(sign(root, OFFLINE), OFFLINE)
    )


def test_keyid_is_the_one_that_python_tuf_computes():
    """Our keyid is python-tuf's own default for the key."""
    theirs = SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(key("a").public.key))
    assert repository.tuf_key(key("a").public) == theirs


def test_one_key_under_two_names_does_not_count_twice():
    """A threshold of two cannot be had from one key with two key ids."""
    one = key("a")
    with pytest.raises(SigningError, match="two names"):
        RoleKeys((one.public, SecretKey(bytes(8), one.seed).public), 2)


@pytest.mark.parametrize("threshold", [0, 2])
def test_threshold_must_be_reachable(threshold):
    """A threshold of zero, or above the number of keys, is refused."""
    with pytest.raises(SigningError, match="cannot be reached"):
        public(threshold, "a")


def noise(name: str) -> tuple[int, str]:
    return 20_000, hashlib.sha256(name.encode()).hexdigest()


def test_cold_check_of_one_page_stays_within_the_budget(tmp_path):
    """With five groups of 514 shards and two signatures, all metadata for one page gzips to at most 250 kB."""
    made = Tree()
    groups = ("ppwp", "dpd", "dpr", "dprdp", "dprdk")
    shards = [str(1101 + number) for number in range(514)]
    made.put("root", 1, sign(repository.root_metadata(1, YEAR, ROOT_ROLES), OFFLINE))
    delegations = {"trust": ROOT_ROLES["targets"], "site": RESULTS, **dict.fromkeys(groups, RESULTS)}
    made.put("targets", 1, sign(repository.targets_metadata(1, YEAR, delegations), OFFLINE))
    for role in ("trust", "site", *(f"{group}-{shard}" for group in groups for shard in shards)):
        made.roles[role] = RoleFile(1234, *noise(role))
    # Above the shards, provincial assemblies have the most files: 301 districts, each with its province.
    names = [f"dprdp-{district}/{district}" for district in range(1101, 1402)]
    targets = {f"{language}{name}.{kind}": noise(name + kind) for name in names for language, kind in KINDS}
    keys = dict.fromkeys(shards, RESULTS)
    for group in groups:
        data = repository.group_metadata(group, 1234, YEAR, targets, shards=keys, keys=ONLINE)
        made.put(group, 1234, data)
    names = [f"dprdp-1101/1101/1101{area:06}" for area in range(178)]
    targets = {f"{language}{name}.{kind}": noise(name + kind) for name in names for language, kind in KINDS}
    made.put("dprdp-1101", 1234, repository.shard_metadata(1234, YEAR, targets, ONLINE))
    made.commit(1234)

    updater = client(made, tmp_path)
    assert updater.get_targetinfo("dprdp-1101/1101/1101000007.html") is not None
    fetched = {"metadata/1.root.json": made.files["metadata/1.root.json"], **updater._fetcher.fetched}
    roles = ("root", "timestamp", "snapshot", "targets", "dprdp", "dprdp-1101")
    assert [path.split(".")[-2].removeprefix("metadata/") for path in fetched] == [*roles]
    sizes = {path: len(gzip.compress(data)) for path, data in fetched.items()}
    assert sum(sizes.values()) <= 250_000, sizes


KINDS = [("", "html"), ("en/", "html"), ("", "json")]


def test_metadata_has_no_floats_and_sorted_keys(tree):
    """Metadata is compact JSON with sorted keys, and reading and writing it again changes nothing."""
    for path, data in tree.files.items():
        if path.startswith("metadata/"):
            parsed = json.loads(data, parse_float=pytest.fail)
            assert json.dumps(parsed, separators=(",", ":"), sort_keys=True).encode() == data
