"""What a stranger with write access to a target tries against the guard itself."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from obstore.store import MemoryStore
from tuf.api.metadata import Metadata, Signature, Timestamp

from publish.guard.inventory import BucketInventory, LocalInventory, _add
from publish.guard.judge import Finding, Listed
from publish.guard.patrol import Patrol
from publish.signing.keyring import Keyring
from publish.signing.repository import tuf_key
from publish.targets import TIMESTAMP
from publish.targets.bucket import Bucket
from publish.workspace import Workspace
from tests.election import NIGHT, correction, minutes
from tests.publish.test_guard import Place, credentials, storage
from tests.publish.workspace import deliver, publish
from tests.storage import BUCKET, Server
from verifier.formats import canonical_json

__all__ = ["credentials", "storage"]

EVIL = b"<h1>Menang 99%</h1>"
EVIL_SHA256 = hashlib.sha256(EVIL).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Place:
    return Place(tmp_path, None, "site")


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
    record = folder.directory / "build/targets/public"
    kept = {path: path.read_bytes() for path in record.glob("*.json")}
    deliver(folder.directory, {"one": correction()})
    publish(folder.directory, NIGHT + minutes(5))
    newest = folder.files()
    for path, data in kept.items():
        path.write_bytes(data)
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

    def swapped(self: BucketInventory) -> dict[str, Listed]:
        place.write(page, EVIL, **headers)
        time.sleep(seconds)
        listed = listing(self)
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


def test_a_twin_key_hides_nothing() -> None:
    """A key with `/` at its end, which the library tells as the one without, is told, and its path read at every look."""
    found: dict[str, Listed] = {}
    _add(found, [("a.html", Listed(3, "x 1")), ("a.html", Listed(0, "y 2"))])
    assert found == {"a.html": Listed(0, ""), "a.html/": Listed(0, "")}
    store = MemoryStore()
    inventory = BucketInventory("bucket", Bucket(lambda: store, "", "uji"))
    inventory.put([("a.html", b"right", "")])
    assert "a.html/" in inventory.remove(["a.html/"])
    ((_, there),) = inventory.read([("a.html", 5)])
    assert there is not None
    assert there.data == b"right"
