"""What a stranger with write access to a target tries against the guard itself."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Container, Iterator
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, Signature, Timestamp

from publish import limits
from publish.guard.inventory import BucketInventory, LocalInventory
from publish.guard.judge import Finding
from publish.guard.listing import Listing
from publish.guard.patrol import Patrol
from publish.signing.keyring import Keyring
from publish.signing.repository import tuf_key
from publish.targets import TIMESTAMP
from publish.targets.bucket import Patience
from publish.workspace import Workspace
from tests.election import NIGHT, correction, minutes
from tests.faults import FaultProxy, Status
from tests.publish.test_guard import Place, folder
from tests.publish.workspace import deliver, publish
from tests.storage import BUCKET, Server, moto
from verifier.formats import canonical_json
from verifier.headers import cache_control, content_type

__all__ = ["folder"]

pytestmark = pytest.mark.usefixtures("credentials")
EVIL = b"<h1>Menang 99%</h1>"
EVIL_SHA256 = hashlib.sha256(EVIL).hexdigest()


def forged(place: Place, key_of: str, version: int, snapshot: str | None = None) -> bytes:
    """A timestamp of `version`, signed with a stolen key: the one for the results, or the one of the timestamp."""
    keyring = Keyring(Workspace(place.directory))
    secret = keyring.minisign[-1].key if key_of == "results" else keyring._signers("timestamp")[0]
    metadata: Metadata[Timestamp] = Metadata.from_bytes(place.files()[f"uji/{TIMESTAMP}"])
    metadata.signed.version = version
    if snapshot is not None:
        metadata.signed.snapshot_meta.hashes = {"sha256": snapshot}
    metadata.signatures.clear()
    public = tuf_key(secret.public)
    signed = secret.sign(canonical_json.encode(metadata.signed.to_dict()))
    metadata.signatures[public.keyid] = Signature(public.keyid, signed.hex())
    return metadata.to_bytes()


@pytest.mark.parametrize(
    ("key_of", "ahead", "snapshot"),
    [("results", 60, None), ("timestamp", 2**52, None), ("timestamp", 60, "0" * 64)],
    ids=["another role's key", "from the far future", "a snapshot that was never ours"],
)
def test_a_stolen_key_does_not_stop_the_mending(folder: Place, key_of: str, ahead: int, snapshot: str | None) -> None:
    """A younger timestamp that our own line did not make is altered as anything else, and pages are mended as ever."""
    right = folder.files()
    page = "uji/ppwp/1101/1101.html"
    folder.write(f"uji/{TIMESTAMP}", forged(folder, key_of, int(NIGHT.timestamp()) + ahead, snapshot))
    folder.write(page, EVIL)
    assert {"altered"} == {finding.what for finding in folder.guard()}
    assert folder.files() == right


def test_strange_files_go_even_beside_a_younger_release(folder: Place) -> None:
    """While a younger release of ours stands there its own files are left alone, and a stranger's are removed."""
    newest = folder.release_without_record(NIGHT + minutes(5))
    folder.write("uji/evil.html", EVIL)
    assert {(finding.path, finding.what) for finding in folder.guard()} == {
        ("evil.html", "added"),
        (TIMESTAMP, "unfinished"),
    }
    assert folder.files() == newest


def test_superseded_objects_stay(folder: Place) -> None:
    """Objects of an earlier release are known by the metadata that listed them, also where nothing was verified before."""
    deliver(folder.directory, {"one": correction()})
    publish(folder.directory, NIGHT + minutes(5))
    for path in (folder.directory / "build/guard").glob("*.json"):
        path.unlink()
    right = folder.files()
    assert folder.guard() == []
    assert folder.files() == right


@pytest.mark.parametrize(
    "path",
    [
        f"uji/targets/ppwp/1101/{EVIL_SHA256}.hasil-akhir.html",
        f"uji/targets/ppwp/1101/{EVIL_SHA256}.1101.html",
        f"uji/targets/{EVIL_SHA256}.index.html",
        "uji/.terbit-lock",
        "uji/.terbit-probe",
        f".set-aside/{'0' * 64}.wrong",
        ".set-aside/index.html",
    ],
)
def test_no_name_of_ours_hides_a_strangers_page(folder: Place, path: str) -> None:
    """A page that has the name of an object, of a mark of ours or of evidence is added, and removed."""
    folder.write(path, EVIL)
    assert [finding.what for finding in folder.guard()] == ["added"]
    assert not (folder.root / path).exists()
    assert folder.guard() == []


def test_no_link_leads_out_of_the_tree(folder: Place, tmp_path: Path) -> None:
    """A link in place of a folder is replaced by the folder, and nothing is read, written or removed where it led."""
    right = folder.files()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "1101.html").write_bytes(b"secret")
    shutil.rmtree(folder.root / "uji/ppwp/1101")
    (folder.root / "uji/ppwp/1101").symlink_to(outside)
    folder.guard()
    folder.guard()
    assert [path.read_bytes() for path in outside.iterdir()] == [b"secret"]
    assert not (folder.root / "uji/ppwp/1101").is_symlink()
    assert folder.files() == right
    assert folder.guard() == []


def test_a_folder_that_becomes_a_link_leads_nowhere(folder: Place, tmp_path: Path) -> None:
    """A file that was listed in a folder which then becomes a link is neither read nor removed where that leads."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "key").write_bytes(b"secret")
    (folder.root / "uji/x").symlink_to(outside)
    inventory = LocalInventory(Workspace(folder.directory).local_targets()[0])
    ((_, found),) = inventory.read([("x/key", 100)])
    assert found is not None
    assert found.data is None
    assert "x/key" in inventory.remove(["x/key"])
    assert (outside / "key").read_bytes() == b"secret"


def test_evidence_is_for_the_owner_alone(folder: Place) -> None:
    """Wrong bytes of a folder are kept outside the public tree, readable by the owner only."""
    folder.write("uji/evil.html", EVIL)
    folder.guard()
    kept = folder.directory / f"build/guard/set-aside/{EVIL_SHA256}.wrong"
    assert kept.read_bytes() == EVIL
    assert kept.stat().st_mode & 0o777 == 0o600
    assert not (folder.root / ".set-aside").exists()


def file_for_folder(place: Place) -> None:
    shutil.rmtree(place.root / "uji/ppwp/1101")
    (place.root / "uji/ppwp/1101").write_bytes(b"x")


def folder_for_page(place: Place) -> None:
    page = place.root / "uji/ppwp/1101/1101.html"
    page.unlink()
    (page / "empty").mkdir(parents=True)
    (page / "evil").write_bytes(b"x")


@pytest.mark.parametrize("harm", [file_for_folder, folder_for_page])
def test_what_stands_in_the_way_is_cleared(folder: Place, harm: Callable[[Place], None]) -> None:
    """A file in place of a folder and a folder in place of a page hinder nothing else, and two looks put all right."""
    right = folder.files()
    harm(folder)
    folder.write("uji/evil.html", EVIL)
    folder.guard()
    assert not (folder.root / "uji/evil.html").exists()
    folder.guard()
    assert folder.files() == right
    assert folder.guard() == []


def test_folders_too_deep_to_look_into_hide_nothing(folder: Place) -> None:
    """Folders within folders, deeper than a path may be long, are removed, and what was altered beside them is mended."""
    right = folder.files()
    descriptor = os.open(folder.directory / "public/uji/ppwp", os.O_RDONLY)
    for _ in range(24):
        os.mkdir("d" * 200, dir_fd=descriptor)
        inner = os.open("d" * 200, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)
    folder.write("uji/ppwp/1101/1101.html", EVIL)
    folder.guard()
    folder.guard()
    assert folder.files() == right
    assert folder.guard() == []


def test_a_name_that_is_no_text_ends_no_guard(folder: Place) -> None:
    """A file whose name is no UTF-8 is told in escapes, kept in the log and removed."""
    (folder.root / os.fsdecode(b"uji/\xff.html")).write_bytes(EVIL)
    assert [finding.path for finding in folder.guard()] == ["\\udcff.html"]
    log = folder.directory / "build/guard/findings.jsonl"
    assert json.loads(log.read_bytes())["path"] == "\\udcff.html"
    assert folder.guard() == []


def test_what_cannot_be_told_is_mended_all_the_same(folder: Place) -> None:
    """A log that cannot be written and a closed stdout keep no page wrong, and a line says so."""
    (folder.directory / "build/guard/findings.jsonl").mkdir(parents=True)
    folder.write("uji/evil.html", EVIL)
    said: list[str] = []

    def closed(finding: Finding) -> None:
        raise BrokenPipeError

    assert len(Patrol(folder.directory, True, lambda: NIGHT, closed, said.append).once()) == 1
    assert not (folder.root / "uji/evil.html").exists()
    assert len(said) == 2


@pytest.mark.parametrize(
    "more",
    [{"ContentEncoding": "br"}, {"ContentDisposition": "attachment; filename=x.exe"}, {"ContentLanguage": "xx"}],
    ids=lambda more: next(iter(more)),
)
def test_the_right_bytes_under_a_header_too_many(storage: Server, tmp_path: Path, more: dict[str, str]) -> None:
    """A page that browsers cannot unpack, save instead of showing, or take for another language is altered."""
    name = next(iter(more)).lower()
    place = Place(tmp_path, storage, name)
    page = "uji/ppwp/1101/1101.html"
    right = place.client.get_object(Bucket=BUCKET, Key=f"{name}/{page}")
    same = {"ContentType": right["ContentType"], "CacheControl": right["CacheControl"]}
    place.write(page, right["Body"].read(), **same, **more)
    assert [(finding.path, finding.what) for finding in place.guard()] == [("ppwp/1101/1101.html", "altered")]
    assert next(iter(more)) not in place.client.head_object(Bucket=BUCKET, Key=f"{name}/{page}")
    assert place.guard() == []


@pytest.mark.parametrize("seconds", [0, 3], ids=["at once", "long before"])
def test_a_page_that_is_right_only_while_it_is_read(
    storage: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    """Wrong bytes in the listing, the right ones in the answer, and the wrong ones again: the next look finds them."""
    place = Place(tmp_path, storage, f"swap{seconds}")
    page = "uji/ppwp/1101/1101.html"
    answer = place.client.get_object(Bucket=BUCKET, Key=f"swap{seconds}/{page}")
    right, headers = answer["Body"].read(), {name: answer[name] for name in ("ContentType", "CacheControl")}
    listing = BucketInventory.listing

    def swapped(self: BucketInventory, known: Container[str]) -> Listing:
        place.write(page, EVIL, **headers)
        time.sleep(seconds)
        listed = listing(self, known)
        place.write(page, right, **headers)
        return listed

    monkeypatch.setattr(BucketInventory, "listing", swapped)
    assert place.guard() == []
    monkeypatch.undo()
    for name, value in storage.environment().items():
        monkeypatch.setenv(name, value)
    place.write(page, EVIL, **headers)
    assert [finding.what for finding in place.guard()] == ["altered"]
    assert place.files()[page] == right


ODD = [
    "{page}/",
    "a//b.html",
    "a/../b.html",
    "../b.html",
    "./ppwp/1101/1101.html",
    "a/./b",
    "x\x01.html",
    "\x7f",
    "",
    "targets/ppwp/",
]


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that keeps every key byte by byte."""
    with moto(tmp_path_factory.mktemp("moto") / "moto") as server:
        server.client().create_bucket(Bucket=BUCKET)
        yield server


def every_key(server: Server, name: str) -> dict[str, str]:
    """Each key of one test's election with its ETag, as the server tells them."""
    pages = server.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{name}/uji/")
    return {one["Key"]: one["ETag"] for page in pages for one in page.get("Contents", ())}


def test_a_key_that_no_publisher_writes_hides_nothing(exact: Server, tmp_path: Path) -> None:
    """Keys that the storage library joins with another or cannot name are told one by one and removed, and what was altered beside them is mended."""
    place = Place(tmp_path, exact, "odd")
    page = "ppwp/1101/1101.html"
    place.guard()
    right = every_key(exact, "odd")
    odd = [name.format(page=page) for name in ODD]
    for name in odd:
        place.client.put_object(Bucket=BUCKET, Key=f"odd/uji/{name}", Body=EVIL)
    assert place.client.get_object(Bucket=BUCKET, Key=f"odd/uji/{page}")["Body"].read() != EVIL
    place.write(f"uji/{page}", EVIL)
    findings = place.guard()
    assert len(findings) == len(odd) + 1
    assert sorted(one.what for one in findings) == [*["added"] * len(odd), "altered"]
    assert {one.detail for one in findings if one.what == "added"} <= {
        "nothing of ours has this name; no publisher writes such a name",
        "nothing of ours has this name and these bytes; no publisher writes such a name",
    }
    assert every_key(exact, "odd") == right
    assert place.guard() == []


def test_keys_that_are_one_file_at_the_server(storage: Server, tmp_path: Path) -> None:
    """Where a server maps odd keys to files, taking them away leaves our own files."""
    place = Place(tmp_path, storage, "folders")
    right = place.files()
    for name in ("targets/", "ppwp/1101/", "x\x01/", "nl\ny.html", "\x7f", "a b+c%2F.html", ""):
        place.client.put_object(Bucket=BUCKET, Key=f"folders/uji/{name}", Body=EVIL)
    told = {one.path for one in place.guard()}
    assert {"targets/", "ppwp/1101/", "nl\\ny.html", "\\x7f", "a b+c%2F.html"} <= told
    place.guard()
    assert every_key(storage, "folders").keys() == {f"folders/{path}" for path in right if path.startswith("uji/")} | {
        "folders/uji/.terbit-probe"
    }
    assert place.guard() == []


@pytest.mark.parametrize("status", [403, 500])
def test_one_file_that_cannot_be_read_hides_no_other(
    storage: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """A file that the server will not give is written anew, and everything else is judged; where it gives nothing at all it is down."""
    monkeypatch.setattr("publish.targets.bucket.PATIENCE", Patience(retries=1, first_wait=0.01, longest_wait=0.02))
    with FaultProxy(storage.url) as proxy:
        place = Place(tmp_path, Server(proxy.url), f"unread{status}")
        right, page = place.files(), "uji/ppwp/1101/1101.html"
        place.write("uji/index.html", EVIL)
        proxy.choose = lambda method, path, number: Status(status) if method == "GET" and page in path else None
        findings = {one.path: one for one in place.guard()}
        assert findings.keys() == {"ppwp/1101/1101.html", "index.html"}
        assert "it cannot be read" in findings["ppwp/1101/1101.html"].detail
        proxy.choose = lambda method, path, number: Status(status) if method == "GET" and "?" not in path else None
        assert [one.what for one in place.guard()] == ["down"]
        proxy.choose = lambda method, path, number: None
        assert place.files() == right


def test_a_flood_of_names_stops_no_mending(folder: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more strange names than one look takes in the rest is counted and left to the next looks, evidence has an end, and pages are mended at once."""
    monkeypatch.setattr(limits, "STRANGE_FILES", 10)
    monkeypatch.setattr(limits, "NEIGHBOURS", 3)
    monkeypatch.setattr(limits, "EVIDENCE_FILES", 5)
    right = folder.files()
    for number in range(35):
        folder.write(f"uji/x/{number}.html", EVIL + str(number).encode())
        folder.write(f"{number}.html", EVIL)
    folder.write("uji/ppwp/1101/1101.html", EVIL)
    findings = folder.guard()
    assert "57 more files than one look takes in" in findings[-1].detail
    assert any("could not be kept" in one.done for one in findings)
    assert folder.files()["uji/ppwp/1101/1101.html"] == right["uji/ppwp/1101/1101.html"]
    for _ in range(3):
        folder.guard()
    assert {path for path in folder.files() if path.startswith("uji/")} == {
        path for path in right if path.startswith("uji/")
    }
    assert len([*(folder.directory / "build/guard/set-aside").iterdir()]) == 5
    # Neighbours are told of and nothing else, as ever.
    assert {path for path in folder.files() if not path.startswith("uji/")} > {"0.html", "34.html"}


def test_evidence_in_a_bucket_has_an_end(storage: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes one wrong file after another does not fill the bucket with copies of them: so many are kept, and pages are mended all the same."""
    monkeypatch.setattr(limits, "EVIDENCE_FILES", 3)
    place = Place(tmp_path, storage, "evidence")
    right = place.files()
    for _ in range(2):
        for number in range(4):
            place.write(f"uji/x/{number}.html", EVIL + os.urandom(8))
        place.write("uji/ppwp/1101/1101.html", EVIL)
        findings = place.guard()
    assert any("could not be kept" in one.done for one in findings)
    assert {path: data for path, data in place.files().items() if path in right} == right
    assert len(storage.keys(prefix="evidence/.set-aside/")) == 3


def test_superseded_objects_keep_their_headers(storage: Server, tmp_path: Path) -> None:
    """An object of an earlier release that is served as another type than it was gets its headers back."""
    place = Place(tmp_path, storage, "super")
    earlier = place.files()
    deliver(place.directory, {"one": correction()})
    publish(place.directory, NIGHT + minutes(5))
    assert place.guard() == []
    names = {"object": ".1101.html", "signature": ".1101.json.minisig"}
    paths = [next(p for p in earlier if "/targets/ppwp/1101/" in p and p.endswith(end)) for end in names.values()]
    paths.append("uji/metadata/1.ppwp.json")
    time.sleep(1.1)  # this server tells the time of a write in whole seconds
    for path in paths:
        place.write(path, earlier[path], ContentType="text/x-evil", CacheControl="no-store")
    assert {(f"uji/{one.path}", one.what, one.done) for one in place.guard()} == {
        (path, "altered", "put back") for path in paths
    }
    for path in paths:
        head = place.client.head_object(Bucket=BUCKET, Key=f"super/{path}")
        assert (head["ContentType"], head["CacheControl"]) == (content_type(path), cache_control(path))
    assert place.guard() == []
