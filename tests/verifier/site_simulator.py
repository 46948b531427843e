"""A signed election in memory, in our layout, with one key per role; attacks change it before or after signing."""

import hashlib
import json
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

from nacl.signing import SigningKey
from securesystemslib.signer import CryptoSigner, Signer
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from verifier.formats.minisign import PublicKey, Signature, TrustedComment

NOW = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)
ELECTION = "pemilu-2026"
DELEGATIONS = {
    "targets": {
        "trust": ["trust/*", "keys/*"],
        "site": ["*", "en/*", "assets/*", "schema/*", "inputs/*", "packs/*"],
        "ppwp": ["ppwp/*", "ppwp/*/*", "ppwp-*/*", "ppwp-*/*/*", "en/ppwp/*", "en/ppwp/*/*"],
    },
    "ppwp": {"ppwp-11": ["ppwp/11/*", "en/ppwp/11/*"], "ppwp-12": ["ppwp/12/*", "en/ppwp/12/*"]},
}
OFFLINE_VERSION = 1
A, B = "ppwp/11/1101.json", "ppwp/12/1201.json"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def object_path(path: str, data: bytes) -> str:
    directory, slash, name = path.rpartition("/")
    return f"targets/{directory}{slash}{sha256(data)}.{name}"


class SiteSimulator:
    """`files`: role -> path -> bytes. `compose` makes `roles` from them, `sign` makes `tree`, the public files."""

    def __init__(self) -> None:
        self.release = 1
        self.now = NOW
        self.minisign = SigningKey(b"\x07" * 32)
        names = [
            "root",
            "snapshot",
            "timestamp",
            "targets",
            *(name for roles in DELEGATIONS.values() for name in roles),
        ]
        self.keys: dict[str, CryptoSigner] = {name: CryptoSigner.generate_ed25519() for name in names}
        self.signers: dict[str, Signer] = dict(self.keys)
        self.delegations = {
            delegator: [
                DelegatedRole(name, [self.keys[name].public_key.keyid], 1, False, list(paths))
                for name, paths in roles.items()
            ]
            for delegator, roles in DELEGATIONS.items()
        }
        self.files: dict[str, dict[str, bytes]] = {"targets": {}, "ppwp": {}}
        self.files["site"] = {"index.html": b"<!doctype html>", "assets/site.css": b"a{}", "schema/results.json": b"{}"}
        self.files["trust"] = {"trust/minisign.json": self.minisign_keys()}
        self.files["ppwp"] = {"ppwp/0.json": self.results("ppwp/0.json"), "ppwp/0.html": b"<p>0"}
        self.files["ppwp-11"] = {A: self.results(A), "ppwp/11/1101.html": b"<p>1101"}
        self.files["ppwp-12"] = {B: self.results(B), "ppwp/12/1201.html": b"<p>1201"}
        self.tree: dict[str, bytes] = {}
        self.roles: dict[str, Targets] = {}
        self.root = Root(expires=NOW + timedelta(days=365), consistent_snapshot=True)
        for name in ("root", "snapshot", "timestamp", "targets"):
            self.root.add_key(self.keys[name].public_key, name)
        self.put_metadata("root", self.root, "1.root.json")
        self.publish()

    def public_key(self) -> PublicKey:
        return PublicKey(b"terbit00", bytes(self.minisign.verify_key))

    def minisign_keys(self) -> bytes:
        entry = {"from": 1, "to": None, "public": self.public_key().encode()}
        return json.dumps({"format": "terbit-minisign-1", "keys": [entry]}).encode()

    def results(self, path: str, /, **changes: object) -> bytes:
        head = {"format": "terbit-results-1", "election": ELECTION, "path": path, "release": 1, "votes": [1, 2]}
        return json.dumps(head | changes, separators=(",", ":"), sort_keys=True).encode()

    def minisig(self, path: str, data: bytes, /, **changes: object) -> bytes:
        comment = TrustedComment(**{
            "timestamp": 1, "file": path, "election": ELECTION, "release": 1, "sha256": sha256(data), **changes
        }).encode()  # fmt: skip
        signature = self.minisign.sign(hashlib.blake2b(data).digest()).signature
        whole = self.minisign.sign(signature + comment.encode()).signature
        return Signature(b"terbit00", signature, comment, whole).encode()

    def publish(self) -> None:
        self.compose()
        self.sign()

    def next_release(self) -> None:
        self.release += 1
        self.files["ppwp-11"]["ppwp/11/1101.html"] = f"<p>1101, release {self.release}".encode()
        self.publish()

    def compose(self) -> None:
        for name, files in self.files.items():
            targets = {path: TargetFile.from_data(path, data, ["sha256"]) for path, data in files.items()}
            role = Targets(self.release, expires=NOW + timedelta(days=300), targets=targets)
            if name in self.delegations:
                roles = {each.name: each for each in self.delegations[name]}
                keys = {key.keyid: key for each in roles if (key := self.keys[each].public_key)}
                role.delegations = Delegations(keys, roles)
            self.roles[name] = role
            for path, data in files.items():
                self.put_file(path, data)
                if name.startswith("ppwp") and path.endswith(".json"):
                    self.put_minisig(path, data, self.minisig(path, data))
        self.snapshot = Snapshot(self.release, expires=NOW + timedelta(days=1))
        self.timestamp = Timestamp(self.release, expires=NOW + timedelta(minutes=30))

    def sign(self) -> None:
        self.snapshot.meta = {}
        for name, role in self.roles.items():
            data = self.put_metadata(name, role, f"{role.version}.{name}.json")
            self.snapshot.meta[f"{name}.json"] = _meta(role, data)
        self.sign_snapshot()

    def sign_snapshot(self) -> None:
        data = self.put_metadata("snapshot", self.snapshot, f"{self.snapshot.version}.snapshot.json")
        self.timestamp.snapshot_meta = _meta(self.snapshot, data)
        self.sign_timestamp()

    def sign_timestamp(self) -> None:
        self.put_metadata("timestamp", self.timestamp, "timestamp.json")

    def put_metadata(self, role: str, signed: Signed, name: str) -> bytes:
        metadata = Metadata(signed)
        metadata.sign(self.signers[role])
        data = self.tree[f"metadata/{name}"] = metadata.to_bytes()
        return data

    def put_file(self, path: str, data: bytes) -> None:
        self.tree[object_path(path, data)] = data
        self.tree[path] = data

    def put_minisig(self, path: str, data: bytes, signature: bytes) -> None:
        self.tree[object_path(path, data) + ".minisig"] = signature
        self.tree[path + ".minisig"] = signature

    def object_of(self, path: str) -> str:
        return next(object_path(path, files[path]) for files in self.files.values() if path in files)

    def write(self, folder: Path) -> Path:
        """The tree on disk, aliases as hard links to their objects where the bytes are the same."""
        written: dict[str, Path] = {}
        for path, data in sorted(self.tree.items(), key=lambda item: not item[0].startswith("targets/")):
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.unlink(missing_ok=True)
            name = sha256(data) + file.name.rpartition(".")[2]
            if name in written and not path.startswith("metadata/"):
                os.link(written[name], file)
            else:
                file.write_bytes(data)
                written[name] = file
        return folder


def _meta(signed: Signed, data: bytes) -> MetaFile:
    return MetaFile(signed.version, len(data), {"sha256": sha256(data)})


def rotate(site: SiteSimulator, *, old_key: bool = True, new_key: bool = True, version: int = 2) -> None:
    """Put `2.root.json` into the tree, with another root key."""
    key = CryptoSigner.generate_ed25519()
    root = Metadata[Root].from_bytes(site.tree["metadata/1.root.json"]).signed
    root.version = version
    root.revoke_key(site.keys["root"].public_key.keyid, "root")
    root.add_key(key.public_key, "root")
    metadata = Metadata(root)
    for signer in [key] * new_key + [site.keys["root"]] * old_key:
        metadata.sign(signer, append=True)
    site.tree["metadata/2.root.json"] = metadata.to_bytes()


class SiteServer(ThreadingHTTPServer):
    """Serves `tree`; paths in `endless` never stop, those in `stalled` stop after their headers, and those in
    `dripped` send a byte of the headers now and then; what is in `slow` takes ten seconds, and does something as it begins. `breaks`: after how many bytes the next answers for a path break off, one after the other.
    `ranges`: what it makes of a `Range`. `asked`: all paths that were asked for."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, tree: dict[str, bytes]) -> None:
        self.tree = tree
        self.endless: set[str] = set()
        self.stalled: set[str] = set()
        self.dripped: set[str] = set()
        self.slow: dict[str, Callable[[], None]] = {}
        self.breaks: dict[str, list[int]] = {}
        self.ranges: Literal["honoured", "ignored", "moved"] = "honoured"
        self.asked: list[str] = []
        self.over = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)

    def shutdown(self) -> None:
        self.over.set()
        super().shutdown()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{ELECTION}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: SiteServer

    def do_GET(self) -> None:
        path = self.path.removeprefix(f"/{ELECTION}/")
        self.server.asked.append(path)
        if path in self.server.endless:
            self._endless()
        elif path in self.server.stalled:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.server.over.wait(30)
        elif path in self.server.dripped:
            self._drip()
        elif path in self.server.tree:
            self._file(path, self.server.tree[path])
        else:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _file(self, path: str, data: bytes) -> None:
        asked = self.headers.get("Range", "") if self.server.ranges != "ignored" else ""
        start = int(asked.removeprefix("bytes=").removesuffix("-") or 0)
        if start:
            shown = start + (self.server.ranges == "moved")
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {shown}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        breaks = self.server.breaks.get(path)
        end = start + breaks.pop(0) if breaks else len(data)
        self.close_connection = end < len(data)
        if path in self.server.slow:
            self.server.slow[path]()
            self._slow(data[start:end])
        else:
            self.wfile.write(memoryview(data)[start:end])

    def _slow(self, data: bytes) -> None:
        step = len(data) // 200 + 1
        try:
            for start in range(0, len(data), step):
                self.wfile.write(data[start : start + step])
                self.server.over.wait(0.05)
        except OSError:
            self.close_connection = True

    def _endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        try:
            while not self.server.over.is_set():
                self.wfile.write(b" " * 65536)
        except OSError:
            pass

    def _drip(self) -> None:
        self.close_connection = True
        try:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not self.server.over.wait(0.05):
                self.wfile.write(b"x")
        except OSError:
            pass
