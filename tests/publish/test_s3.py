"""Publishing to real object storage: what stands there afterwards, and what every kind of server makes of our conditions."""

import gzip
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from publish.errors import RaceError, TargetError
from publish.guard.judge import Finding
from publish.guard.patrol import Patrol
from publish.progress import Stages
from publish.release.flow import Flow
from publish.release.packs import PACK_LENGTH
from publish.release.push import mapped
from publish.targets import TIMESTAMP, Conflict
from publish.targets.bucket import Patience
from publish.targets.s3 import S3Target
from publish.workspace import Workspace
from tests.election import NIGHT, correction, minutes
from tests.faults import FaultProxy
from tests.publish.workspace import deliver, make_workspace, publish
from tests.storage import BUCKET, Server, rclone

FOLDER = 'workers = 1\n[targets.public]\nfolder = "public"\n'
pytestmark = pytest.mark.usefixtures("credentials")


@pytest.fixture(scope="module")
def simple(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without conditional writes."""
    with rclone(tmp_path_factory.mktemp("rclone") / "rclone") as server:
        yield server


def workspace(directory: Path, server: Server, name: str, more: str = "") -> Path:
    """A workspace that publishes into its own part of the bucket, and into a folder."""
    made = make_workspace(directory / name, f"{FOLDER}{server.target(f'{name}/', more)}")
    deliver(made)
    return made


def shown(server: Server, name: str) -> dict[str, bytes]:
    """What the bucket holds of one test's part, without our own marks."""
    return {
        key.removeprefix(f"{name}/"): data
        for key, data in server.keys(prefix=f"{name}/").items()
        if "/.terbit-" not in key
    }


def folder(directory: Path) -> dict[str, bytes]:
    public = directory / "public"
    return {path.relative_to(public).as_posix(): path.read_bytes() for path in public.rglob("*") if path.is_file()}


def bucket_of(directory: Path) -> S3Target:
    with Flow(Workspace(directory), Stages(quiet=True), NIGHT) as flow:
        target = flow.held.targets["bucket"]
    assert isinstance(target, S3Target)
    return target


def test_a_bucket_holds_what_a_folder_holds(storage: Server, tmp_path: Path) -> None:
    """After a release and a correction, the bucket and the local folder have the same files with the same bytes."""
    made = workspace(tmp_path, storage, "same")
    publish(made)
    deliver(made, {"one": correction()})
    publish(made, NIGHT + minutes(5))
    assert shown(storage, "same") == folder(made)


def test_headers_of_objects_and_aliases(storage: Server, tmp_path: Path) -> None:
    """Objects are immutable to caches, pointers short-lived; aliases survive a dead origin, and are compressed where asked for."""
    made = workspace(tmp_path, storage, "served", "compress_aliases = true")
    publish(made)
    client = storage.client()

    def head(path: str) -> dict[str, Any]:
        answer = client.get_object(Bucket=BUCKET, Key=f"served/uji/{path}")
        return {**answer, "Body": answer["Body"].read()}

    page, pointer = head("ppwp/1101/1101.html"), head(TIMESTAMP)
    data = next(iter((made / "public/uji/targets/ppwp").glob("*.0.json")))
    stored = head(f"targets/ppwp/{data.name}")
    assert stored["CacheControl"] == "public, max-age=31536000, immutable"
    assert "ContentEncoding" not in stored
    assert (stored["ContentType"], stored["Body"]) == ("application/json", data.read_bytes())
    assert (page["ContentType"], page["ContentEncoding"]) == ("text/html; charset=utf-8", "gzip")
    assert "stale-if-error" in page["CacheControl"]
    assert gzip.decompress(page["Body"]) == (made / "public/uji/ppwp/1101/1101.html").read_bytes()
    assert pointer["CacheControl"] == "public, max-age=10"


def test_nothing_new_costs_three_requests(storage: Server, tmp_path: Path) -> None:
    """With nothing new a run reads the timestamp, replaces it, and replaces the hint."""
    with FaultProxy(storage.url) as proxy:
        made = workspace(tmp_path, Server(proxy.url), "cheap")
        publish(made)
        proxy.requests.clear()
        publish(made, NIGHT + minutes(5))
        assert [method for method, _ in proxy.requests] == ["GET", "PUT", "PUT"]


def test_a_poisoned_name_is_replaced_before_the_commit(storage: Server, tmp_path: Path) -> None:
    """Wrong bytes under the name of a coming object are set aside and replaced, and the operator is told."""
    made = workspace(tmp_path, storage, "poison")
    other = Path(shutil.copytree(made, tmp_path / "other"))
    (other / "terbit.toml").write_text("workers = 1\n")
    publish(other)
    names = [path for path in folder(other) if "/targets/" in path]
    client = storage.client()
    for name in names[:3]:
        client.put_object(Bucket=BUCKET, Key=f"poison/{name}", Body=b"wrong")
    publish(made)
    held = shown(storage, "poison")
    aside = {key for key in held if key.startswith(".set-aside/")}
    assert {key: data for key, data in held.items() if key not in aside} == folder(made)
    assert [held[key] for key in aside] == [b"wrong"]


def test_a_commit_over_an_unseen_timestamp_is_refused(storage: Server, tmp_path: Path) -> None:
    """A timestamp is replaced only if it is still the one that was read: the second of two publishers is told."""
    made = workspace(tmp_path, storage, "race")
    publish(made)
    target = bucket_of(made)
    seen = target.read(TIMESTAMP)
    target.commit(b"other", seen)
    with pytest.raises(RaceError, match="another publisher"):
        target.commit(b"ours", seen)
    found = target.read(TIMESTAMP)
    assert found is not None
    assert found.data == b"other"
    target.commit(b"other", seen)  # its own answer was lost: what stands there decides


def test_objects_are_written_once(storage: Server, tmp_path: Path) -> None:
    """An object that is there is left alone; other bytes in its place are reported, and nothing is overwritten unasked."""
    target = bucket_of(workspace(tmp_path, storage, "once"))
    files = [(f"targets/{number}", str(number).encode()) for number in range(200)]
    assert target.put_objects(files, lambda steps: None) == []
    assert target.put_objects(files, lambda steps: None) == []
    assert target.put_objects([("targets/7", b"other")], lambda steps: None) == [Conflict("targets/7", b"other", b"7")]
    found = target.read("targets/7")
    assert found is not None
    assert found.data == b"7"


def test_a_server_without_conditions_is_refused(simple: Server, tmp_path: Path) -> None:
    """A server that ignores `If-None-Match` is found out before the first object, and the message says what to do."""
    made = workspace(tmp_path, simple, "unconditional")
    with pytest.raises(TargetError, match="ignores conditional writes"):
        publish(made)
    assert shown(simple, "unconditional") == {}
    assert (made / "public/uji/metadata/timestamp.json").exists()


def test_a_lock_takes_the_place_of_conditions(simple: Server, tmp_path: Path) -> None:
    """With a lock object such a server can be published to; a second publisher is kept away while it is held, and takes none over but its own."""
    made = workspace(tmp_path, simple, "locked", 'without_conditions = "lock"')
    publish(made)
    assert shown(simple, "locked") == folder(made)
    first, again = bucket_of(made), bucket_of(made)
    second = bucket_of(Path(shutil.copytree(made, tmp_path / "copy")))
    with first.exclusive():
        with pytest.raises(RaceError, match="is publishing here"), second.exclusive():
            pass
        with again.exclusive(), pytest.raises(RaceError, match="took the lock"):
            first.commit(b"late", None)


def test_what_another_place_holds_is_not_believed(
    storage: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A target that is another place than before is built and put as a whole, even where a copy that stopped midway shows our last timestamp."""
    made = workspace(tmp_path, storage, "before")
    publish(made)
    client = storage.client()
    for path in (TIMESTAMP, "index.html"):
        client.put_object(Bucket=BUCKET, Key=f"after/uji/{path}", Body=shown(storage, "before")[f"uji/{path}"])
    text = (made / "terbit.toml").read_text()
    (made / "terbit.toml").write_text(text.replace('prefix = "before/"', 'prefix = "after/"'))
    told: list[Finding] = []
    Patrol(made, True, lambda: NIGHT, told.append, lambda text: None).once()
    assert [(one.where, one.what) for one in told] == [("bucket", "unfinished")]
    with Flow(Workspace(made), Stages(), NIGHT + minutes(5)) as flow:
        flow.publish()
    assert f"bucket was another place ({storage.url} {BUCKET}/before/) when it was last" in capsys.readouterr().err
    assert shown(storage, "after") == folder(made)


def test_one_target_that_is_down_does_not_stop_the_other(
    storage: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder gets its release while the bucket is down; the next run brings the bucket up to date."""
    monkeypatch.setattr("publish.targets.bucket.PATIENCE", Patience(retries=1))
    made = workspace(tmp_path, storage, "away")
    text = (made / "terbit.toml").read_text()
    (made / "terbit.toml").write_text(text.replace(storage.url, "http://127.0.0.1:9"))
    with pytest.raises(TargetError, match="bucket"):
        publish(made)
    deliver(made, {"one": correction()})
    (made / "terbit.toml").write_text(text)
    publish(made, NIGHT + minutes(5))
    held, local = shown(storage, "away"), folder(made)
    # The bucket never held what only the first release had.
    assert {path: local[path] for path in held} == held
    assert held["uji/metadata/timestamp.json"] == local["uji/metadata/timestamp.json"]
    assert {path for path in local.keys() - held.keys() if "/targets/" not in path and "/1." not in path} == set()


def test_a_profile_that_is_not_there_stops_one_target(storage: Server, tmp_path: Path) -> None:
    """A target without credentials is named, and the others get their release and their heartbeat."""
    made = workspace(tmp_path, storage, "profile", 'profile = "nobody"')
    for later in (0, 5):
        with pytest.raises(TargetError, match=r"^bucket: .*no credentials for the bucket site .*nobody"):
            publish(made, NIGHT + minutes(later))
    assert folder(made)["uji/latest.json"]
    with Flow(Workspace(made), Stages(quiet=True), NIGHT + minutes(10)) as flow:
        assert flow.pushes.heartbeat(flow.now) == 1
    assert (flow.pushes.renewed, {*flow.held.failed}) == ({"public"}, {"bucket"})
    page = made / "public/uji/index.html"
    right = page.read_bytes()
    page.unlink()
    page.write_bytes(b"wrong")
    told: list[Finding] = []
    Patrol(made, True, lambda: NIGHT + minutes(10), told.append, lambda text: None).once()
    assert [(one.where, one.what) for one in told] == [("bucket", "unfinished"), ("public", "altered")]
    assert page.read_bytes() == right


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("bucket", "another", "there is no such bucket; look at bucket, endpoint and region"),
        ("url", "http://127.0.0.1:9", "Connection refused"),
        ("AWS_ACCESS_KEY_ID", "other", "does not take these credentials (InvalidAccessKeyId)"),
        ("AWS_SECRET_ACCESS_KEY", "other", "does not take these credentials (SignatureDoesNotMatch)"),
    ],
)
def test_a_failure_is_told_in_one_short_line(
    storage: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    """The line names target, host and innermost cause once, in none of the library's words; a missing bucket is not taken for an empty one."""
    monkeypatch.setattr("publish.targets.bucket.PATIENCE", Patience(retries=1, first_wait=0.01, longest_wait=0.02))
    monkeypatch.setenv(name, value)  # of no consequence for what is no variable
    server = Server(value) if name == "url" else storage
    target = server.target("short/", bucket=value if name == "bucket" else BUCKET)
    made = make_workspace(tmp_path / "made", f"workers = 1\n{target}")
    deliver(made)
    with pytest.raises(TargetError) as caught:
        publish(made)
    told = str(caught.value)
    assert told.startswith("bucket: short/uji/metadata/timestamp.json: 127.0.0.1:")
    assert said in told
    assert (told.count("127.0.0.1"), told.count("bucket: "), len(told) < 300) == (1, 1, True)
    assert "Generic" not in told


def test_a_large_pack(storage: Server, tmp_path: Path) -> None:
    """A pack as large as they come is written at once, under the same condition as any object, and comes back whole."""
    target = bucket_of(workspace(tmp_path, storage, "large"))
    file, path = tmp_path / "1-1.tar", "targets/packs/1-1.tar"
    with file.open("wb") as opened:
        opened.truncate(PACK_LENGTH)
        opened.write(b"begins")
    assert target.put_objects([(path, mapped(file))], lambda steps: None) == []
    assert target.put_objects([(path, mapped(file))], lambda steps: None) == []
    found = target.read(path)
    assert found is not None
    assert found.data == mapped(file)
