"""docs/storage/: the files are applied as they are shipped, and hold off whoever has stolen the publisher's, the guard's or no key."""

import json
import os
import runpy
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from publish.errors import TargetError
from tests.publish.workspace import deliver, make_workspace, publish
from tests.storage import BUCKET, GUARD, LOCKED, PUBLISHER, Server, seaweedfs
from verifier.headers import IMMUTABLE, cache_control

APPLY = Path(__file__).parents[2] / "docs/storage/apply.py"
# SeaweedFS 4.48: reads these two conditions as never met, so that every PUT is refused; and the tests speak plain HTTP.
NOT_HERE = ("ImmutableIsOnlyCreated", "CommitSeesWhatItReplaces", "OnlyEncryptedConnections")
VALUES = {"BUCKET": LOCKED, "PREFIX": "", "ELECTION": "uji", "PUBLISHER": "arn:p", "GUARD": "arn:g"}


def read_file(name: str) -> Any:
    return runpy.run_path(str(APPLY))["read"](name, VALUES)


def apply(server: Server) -> str:
    """Run the script as an administrator does; returns what it says could not be set."""
    words = [LOCKED, "uji", "--endpoint", server.url, *(word for sid in NOT_HERE for word in ("--without", sid))]
    environment = {**os.environ, **server.environment()}
    return subprocess.run(
        [sys.executable, APPLY, *words], env=environment, capture_output=True, text=True, check=False
    ).stderr


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with seaweedfs(tmp_path_factory.mktemp("weed") / "weed") as server:
        assert [line.partition(":")[0] for line in apply(server).splitlines()] == ["public-access-block"]
        time.sleep(0.5)  # a policy is in force a moment later
        yield server


@pytest.fixture
def publisher(storage: Server) -> Any:
    return Server(storage.url, *PUBLISHER).client()


@pytest.fixture
def guard(storage: Server) -> Any:
    return Server(storage.url, *GUARD).client()


def versions(server: Server, key: str) -> list[str]:
    """Ids of a file's versions, the newest first."""
    found = server.client().list_object_versions(Bucket=LOCKED, Prefix=key)
    return [one["VersionId"] for one in found.get("Versions", ())]


def anonymously(server: Server, path: str, method: str = "GET", data: bytes | None = None) -> int:
    """The status of a request without credentials."""
    try:
        with urllib.request.urlopen(
            urllib.request.Request(f"{server.url}/{LOCKED}{path}", data, method=method)
        ) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_applying_again_changes_nothing(storage: Server) -> None:
    """The script may be run again over a bucket that is in use, and versions and lock are on afterwards."""
    assert apply(storage).startswith("public-access-block")
    client = storage.client()
    assert client.get_bucket_versioning(Bucket=LOCKED)["Status"] == "Enabled"
    lock = client.get_object_lock_configuration(Bucket=LOCKED)["ObjectLockConfiguration"]
    assert lock["Rule"]["DefaultRetention"] == {"Mode": "GOVERNANCE", "Days": 30}


def test_a_release_needs_no_more_than_the_publisher_may(
    storage: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the publisher's own credentials a release goes out into the locked bucket, and the public reads it there."""
    for name, value in Server("", *PUBLISHER).environment().items():
        monkeypatch.setenv(name, value)
    config = f'workers = 1\n[targets.bucket]\nbucket = "{LOCKED}"\nendpoint = "{storage.url}"\n'
    made = make_workspace(tmp_path, config)
    deliver(made)
    publish(made)
    for path in ("/index.html", "/uji/index.html", "/uji/metadata/timestamp.json"):
        assert anonymously(storage, path) == 200


@pytest.mark.parametrize("profile", [True, False], ids=["with the guard's profile", "without"])
def test_a_poisoned_name_that_the_publisher_may_not_overwrite(
    storage: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: bool
) -> None:
    """Wrong bytes under a coming name are replaced with the guard's credentials before the commit; without these nothing is committed, and it is said why."""
    made = make_workspace(tmp_path / "made", "workers = 1\n")
    deliver(made)
    publish(Path(shutil.copytree(made, tmp_path / "other")))
    prefix = f"poison-{profile}/".lower()
    other = tmp_path / "other/public"
    right = {path.relative_to(other).as_posix(): path.read_bytes() for path in other.rglob("*") if path.is_file()}
    poisoned = [f"{prefix}{path}" for path in right if "/targets/ppwp/1101/" in path]
    lines = [f"[{name}]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n" for name, (key, secret) in
             {"publisher": PUBLISHER, "guard": GUARD}.items()]  # fmt: skip
    (tmp_path / "credentials").write_text("".join(lines))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    config = f'[targets.bucket]\nbucket = "{BUCKET}"\nprefix = "{prefix}"\nendpoint = "{storage.url}"\nprofile = "publisher"\n'
    mender = '[guard]\nprofile = "guard"\n' if profile else ""
    (made / "terbit.toml").write_text(f"workers = 1\n{config}{mender}")
    client = storage.client()
    for key in poisoned:
        client.put_object(Bucket=BUCKET, Key=key, Body=b"poison")
    statement = {
        "Effect": "Deny",
        "Principal": {"AWS": "arn:aws:iam::000000000000:user/publisher"},
        "Action": ["s3:PutObject", "s3:DeleteObject"],
        "Resource": [f"arn:aws:s3:::{BUCKET}/{key}" for key in poisoned],
    }
    client.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    time.sleep(0.5)  # a policy is in force a moment later
    with pytest.raises(ClientError, match="AccessDenied"):
        Server(storage.url, *PUBLISHER).client().put_object(Bucket=BUCKET, Key=poisoned[0], Body=b"mine")
    if profile:
        publish(made)
        held = storage.keys(BUCKET)
        assert {path: held.get(f"{prefix}{path}") for path in right} == right
    else:
        with pytest.raises(TargetError, match=r"name in \[guard\] a profile that may replace them"):
            publish(made)
        assert f"{prefix}uji/metadata/timestamp.json" not in storage.keys(BUCKET)


@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
def test_the_publisher_deletes_nothing(storage: Server, publisher: Any, many: bool) -> None:
    """A thief of the publisher's key cannot take a file away, by either of S3's two ways."""
    publisher.put_object(Bucket=LOCKED, Key="uji/kept", Body=b"1")
    if many:
        answer = publisher.delete_objects(Bucket=LOCKED, Delete={"Objects": [{"Key": "uji/kept"}]})
        assert answer["Errors"][0]["Code"] == "AccessDenied"
    else:
        with pytest.raises(ClientError, match="AccessDenied"):
            publisher.delete_object(Bucket=LOCKED, Key="uji/kept")
    assert anonymously(storage, "/uji/kept") == 200


def test_overwritten_bytes_survive(storage: Server, publisher: Any, guard: Any) -> None:
    """What was overwritten or deleted stays as a version, and neither key of ours can remove that, not even by lifting its lock."""
    publisher.put_object(Bucket=LOCKED, Key="uji/page", Body=b"right")
    publisher.put_object(Bucket=LOCKED, Key="uji/page", Body=b"wrong")
    guard.delete_object(Bucket=LOCKED, Key="uji/page")
    oldest = versions(storage, "uji/page")[-1]
    for client in (publisher, guard):
        for words in ({}, {"BypassGovernanceRetention": True}):
            with pytest.raises(ClientError, match="AccessDenied"):
                client.delete_object(Bucket=LOCKED, Key="uji/page", VersionId=oldest, **words)
    kept = storage.client().get_object(Bucket=LOCKED, Key="uji/page", VersionId=oldest)
    assert kept["Body"].read() == b"right"


def test_object_lock_stops_an_administrator_too(storage: Server) -> None:
    """Without saying that the lock is to be lifted, nobody at all deletes a version before its time."""
    client = storage.client()
    client.put_object(Bucket=LOCKED, Key="uji/locked", Body=b"1")
    with pytest.raises(ClientError, match="AccessDenied"):
        client.delete_object(Bucket=LOCKED, Key="uji/locked", VersionId=versions(storage, "uji/locked")[0])


def test_the_bucket_itself_stays_as_it_is(storage: Server, publisher: Any, guard: Any) -> None:
    """Neither the publisher nor the guard can change the policy or switch versions off."""
    for client in (publisher, guard):
        with pytest.raises(ClientError, match="AccessDenied"):
            client.put_bucket_policy(Bucket=LOCKED, Policy='{"Version": "2012-10-17", "Statement": []}')
        with pytest.raises(ClientError, match="AccessDenied"):
            client.put_bucket_versioning(Bucket=LOCKED, VersioningConfiguration={"Status": "Suspended"})


def test_the_public_only_reads(storage: Server) -> None:
    """Without credentials nothing can be listed, written or deleted, and evidence that was set aside cannot be read."""
    client = storage.client()
    for key in ("uji/read", ".set-aside/evil.wrong"):
        client.put_object(Bucket=LOCKED, Key=key, Body=b"1")
    assert anonymously(storage, "/uji/read") == 200
    assert anonymously(storage, "/.set-aside/evil.wrong") == 403
    assert anonymously(storage, "?list-type=2") == 403
    assert anonymously(storage, "?versions") == 403
    assert anonymously(storage, "/uji/new", "PUT", b"x") == 403
    assert anonymously(storage, "/uji/read", "DELETE") == 403


def test_data_may_be_read_by_other_sites(storage: Server) -> None:
    """A program in a browser may read the data from another site."""
    storage.client().put_object(Bucket=LOCKED, Key="uji/data.json", Body=b"{}")
    request = urllib.request.Request(f"{storage.url}/{LOCKED}/uji/data.json", headers={"Origin": "https://lain.id"})
    with urllib.request.urlopen(request) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] in {"*", "https://lain.id"}


def test_the_policies_fit_the_tree(tmp_path: Path) -> None:
    """The policies name every file that a release writes; those that they let be created alone are just the immutable ones."""
    made = make_workspace(tmp_path)
    deliver(made)
    publish(made)
    paths = [path.relative_to(made / "public").as_posix() for path in (made / "public").rglob("*") if path.is_file()]
    statements = {one["Sid"]: one for one in read_file("bucket-policy")["Statement"]}
    writer = read_file("iam-publisher")["Statement"][0]

    def named(statement: Any, path: str) -> bool:
        resources = statement["Resource"]
        resources = [resources] if isinstance(resources, str) else resources
        return any(fnmatchcase(f"arn:aws:s3:::{LOCKED}/{path}", pattern) for pattern in resources)

    for path in paths:
        assert named(writer, path), path
        assert named(statements["PublicMayRead"], path), path
        assert named(statements["ImmutableIsOnlyCreated"], path) == (cache_control(path) == IMMUTABLE), path
    commits = [path for path in paths if named(statements["CommitSeesWhatItReplaces"], path)]
    assert commits == ["uji/metadata/timestamp.json"]


@pytest.mark.parametrize("name", ["iam-publisher", "iam-guard", "iam-reader"])
def test_no_key_of_ours_may_do_more(name: str) -> None:
    """No key is given all actions or another bucket; only the guard deletes, and nobody deletes versions."""
    statements = read_file(name)["Statement"]
    actions = {action for one in statements for action in one["Action"]} | {
        one["Action"] for one in statements if isinstance(one["Action"], str)
    }
    assert "s3:DeleteObjectVersion" not in actions
    assert ("s3:DeleteObject" in actions) == (name == "iam-guard")
    assert not any("*" in action for action in actions if len(action) > 1)
    assert f"arn:aws:s3:::{LOCKED}" in json.dumps(statements)
    assert '"*"' not in json.dumps(statements)
