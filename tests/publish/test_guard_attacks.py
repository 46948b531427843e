"""What a stranger with write access to a target tries against the guard itself."""

import hashlib
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, Signature, Timestamp

from publish.signing.keyring import Keyring
from publish.signing.repository import tuf_key
from publish.targets import TIMESTAMP
from publish.workspace import Workspace
from tests.election import NIGHT, correction, minutes
from tests.publish.test_guard import Place, credentials, storage
from tests.publish.workspace import deliver, publish
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
