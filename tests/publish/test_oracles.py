"""What we publish, checked by programs that are not ours: minisign, openssl, signify, sha256sum, python-tuf's client, tuf-js and Go's note and tlog."""

import base64
import functools
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tuf.api.exceptions import RepositoryError
from tuf.ngclient import Updater

from tests.oracles.tlog import go_tlog
from tests.programs import require, require_package
from tests.publish.workspace import deliver, make_workspace, publish
from tests.servers import QuietHandler, serving, url_of
from verifier.formats.tiles import parse_bundle
from verifier.formats.tlog_policy import Policy
from verifier.formats.tlog_proof import LogProof

VILLAGE = "ppwp/1101/110101"
RESULTS = ["ppwp/0.json", "ppwp/11.json", f"{VILLAGE}.json", "ppwp/n991/n9911.json"]
METADATA = [
    *("1.root", "1.targets", "1.trust", "1.site", "1.ppwp"),
    *("1.ppwp-1101", "1.ppwp-n991", "1.snapshot", "timestamp"),
]
TARGETS = ["ppwp/0.json", f"{VILLAGE}.html", "index.html", "trust/election.toml", "ppwp/n991/n9911.json"]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One release, made now: stock clients know no other time."""
    directory = make_workspace(tmp_path_factory.mktemp("oracles"))
    deliver(directory)
    publish(directory, datetime.now(UTC).replace(microsecond=0))
    return directory


@pytest.fixture(scope="module")
def site(workspace: Path) -> Path:
    return workspace / "public" / "uji"


@pytest.fixture(scope="module")
def root(workspace: Path) -> Path:
    return workspace / "keys" / "metadata" / "1.root.json"


@pytest.fixture
def damaged(site: Path, tmp_path: Path) -> Path:
    """The site with one byte flipped in the object of ppwp/0.json."""
    copy = Path(shutil.copytree(site, tmp_path / "damaged"))
    (found,) = (copy / "targets" / "ppwp").glob("*.0.json")
    flip(found)
    return copy


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


class Quiet(QuietHandler, SimpleHTTPRequestHandler):
    """A plain web server."""


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """A plain web server's address for a folder."""
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=directory))) as server:
        yield url_of(server)


def minisign(file: Path, signature: Path, key: str) -> subprocess.CompletedProcess[str]:
    command = [require("minisign"), "-Vm", file, "-x", signature, "-P", key]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def public_key(site: Path) -> str:
    (key,) = json.loads((site / "trust" / "minisign.json").read_bytes())["keys"]
    return str(key["public"])


@pytest.mark.parametrize("path", RESULTS)
def test_minisign(site: Path, path: str) -> None:
    """minisign accepts a results file and shows which file of which release it is."""
    done = minisign(site / path, site / f"{path}.minisig", public_key(site))
    assert done.returncode == 0, done.stderr
    assert f"file:{path}\telection:uji\trelease:1\t" in done.stdout


@pytest.mark.parametrize("path", RESULTS)
def test_minisign_refuses(site: Path, tmp_path: Path, path: str) -> None:
    """minisign refuses a results file with one byte flipped, and another area's signature."""
    changed = Path(shutil.copy(site / path, tmp_path / "changed.json"))
    flip(changed)
    assert minisign(changed, site / f"{path}.minisig", public_key(site)).returncode == 1
    assert minisign(site / path, site / "ppwp" / "12.json.minisig", public_key(site)).returncode == 1


def run(folder: Path, *command: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    program = require(str(command[0]))
    return subprocess.run([program, *command[1:]], cwd=folder, input=stdin, capture_output=True, check=False)


def decoded(path: Path, line: int = 1) -> bytes:
    """What stands in base64 on a line of a file of minisign's or signify's."""
    return base64.b64decode(path.read_bytes().splitlines()[line])


def openssl_accepts(folder: Path, data: bytes, key: Path, signature: bytes) -> bool:
    """Whether openssl takes it for a plain Ed25519 signature."""
    (folder / "data").write_bytes(data)
    (folder / "signature").write_bytes(signature)
    # RFC 8410: a public key in DER is this and its 32 bytes; minisign puts algorithm and key id before them.
    (folder / "key.der").write_bytes(bytes.fromhex("302a300506032b6570032100") + decoded(key)[10:])
    command = "openssl pkeyutl -verify -pubin -keyform DER -inkey key.der -rawin -in data -sigfile signature"
    return run(folder, *command.split()).returncode == 0


def signify_accepts(folder: Path, data: bytes, key: Path, signature: bytes) -> bool:
    """Whether signify takes it, in its own form: algorithm and key id before the signature."""
    (folder / "data").write_bytes(data)
    line = base64.b64encode(decoded(key)[:10] + signature)
    (folder / "data.sig").write_bytes(b"untrusted comment: any\n" + line + b"\n")
    return run(folder, "signify-openbsd", "-V", "-p", key, "-m", "data").returncode == 0


@pytest.mark.parametrize("accepts", [openssl_accepts, signify_accepts])
@pytest.mark.parametrize("role", METADATA)
def test_metadata(site: Path, tmp_path: Path, accepts: Callable[..., bool], role: str) -> None:
    """Each signature on metadata is plain Ed25519 over the JSON that jq writes, by a key that is published as a file."""
    metadata = site / "metadata" / f"{role}.json"
    data = run(tmp_path, "jq", "-cjS", ".signed", metadata).stdout
    keys = {keyid(path): path for path in (site / "keys").glob("*.pub")}
    signatures = [(keys[one["keyid"]], one["sig"]) for one in json.loads(metadata.read_bytes())["signatures"]]
    assert len(signatures) == (3 if role in ("1.root", "1.targets", "1.trust") else 1)
    for key, signature in signatures:
        assert accepts(tmp_path, data, key, bytes.fromhex(signature))
        assert not accepts(tmp_path, data + b" ", key, bytes.fromhex(signature))


def keyid(path: Path) -> str:
    """The TUF keyid of a published key, after docs/formats.md."""
    public = decoded(path)[10:].hex()
    key = {"keytype": "ed25519", "keyval": {"public": public}, "scheme": "ed25519"}
    return hashlib.sha256(json.dumps(key, separators=(",", ":")).encode()).hexdigest()


@pytest.mark.parametrize("path", RESULTS)
def test_openssl(site: Path, tmp_path: Path, path: str) -> None:
    """By openssl, a .minisig holds two Ed25519 signatures: over the file's BLAKE2b-512, and over that one and the comment."""
    key, minisig = site / "keys" / "minisign.pub", site / f"{path}.minisig"
    digest = run(tmp_path, "openssl", "dgst", "-blake2b512", "-binary", site / path).stdout
    algorithm, signature = decoded(minisig)[:2], decoded(minisig)[10:]
    comment = minisig.read_bytes().splitlines()[2].removeprefix(b"trusted comment: ")
    assert algorithm == b"ED"
    assert openssl_accepts(tmp_path, digest, key, signature)
    assert openssl_accepts(tmp_path, signature + comment, key, decoded(minisig, 3))
    assert not openssl_accepts(tmp_path, digest[:-1] + b"?", key, signature)


@pytest.mark.parametrize("path", RESULTS)
def test_signify_refuses(site: Path, path: str) -> None:
    """signify, which knows no prehashed signatures, refuses a .minisig and says so."""
    done = run(site, "signify-openbsd", "-V", "-p", "keys/minisign.pub", "-m", path, "-x", f"{path}.minisig")
    assert done.returncode == 1
    assert b"unsupported file" in done.stderr


def test_sha256sum(site: Path) -> None:
    """sha256sum finds every object to be what its name says, and every package's cover."""
    objects = [path for path in (site / "targets").rglob("*") if path.is_file() and path.suffix != ".minisig"]
    covers = list((site / "packages").glob("*/recap.toml"))
    assert (len(objects) > 30, len(covers)) == (True, 5)
    lines = [f"{path.name.partition('.')[0]}  {path}" for path in objects]
    lines += [f"{path.parent.name}  {path}" for path in covers]
    done = run(site, "sha256sum", "--check", "--strict", "--quiet", stdin="\n".join([*lines, ""]).encode())
    assert done.returncode == 0, done.stdout


def python_tuf(address: str, root: Path, folder: Path) -> Updater:
    (folder / "metadata").mkdir()
    (folder / "targets").mkdir()
    return Updater(
        str(folder / "metadata"),
        f"{address}/metadata/",
        target_dir=str(folder / "targets"),
        target_base_url=f"{address}/targets/",
        bootstrap=root.read_bytes(),
    )


def test_python_tuf(site: Path, root: Path, tmp_path: Path) -> None:
    """python-tuf's client, knowing only the first root, downloads every kind of file."""
    with served(site) as address:
        updater = python_tuf(address, root, tmp_path)
        for target in TARGETS:
            info = updater.get_targetinfo(target)
            assert info is not None, target
            assert Path(updater.download_target(info)).read_bytes() == (site / target).read_bytes()
        assert updater.get_targetinfo("ppwp/999999.json") is None


def test_python_tuf_refuses(damaged: Path, root: Path, tmp_path: Path) -> None:
    """python-tuf's client refuses an object with one byte flipped."""
    with served(damaged) as address:
        updater = python_tuf(address, root, tmp_path)
        info = updater.get_targetinfo("ppwp/0.json")
        assert info is not None
        with pytest.raises(RepositoryError):
            updater.download_target(info)


def tuf_js(address: str, root: Path, folder: Path, targets: list[str]) -> subprocess.CompletedProcess[str]:
    node, library = require("node"), require_package("tuf-js")
    command = [node, Path(__file__).with_name("tuf_client.cjs"), library, address, root, folder, *targets]
    # A proxy of this machine has no way to its own loopback address.
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_tuf_js(site: Path, root: Path, tmp_path: Path) -> None:
    """tuf-js, knowing only the first root, downloads every kind of file."""
    with served(site) as address:
        done = tuf_js(address, root, tmp_path, TARGETS)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found) == TARGETS
    for target, path in found.items():
        assert Path(path).read_bytes() == (site / target).read_bytes()


def test_tuf_js_refuses(damaged: Path, root: Path, tmp_path: Path) -> None:
    """tuf-js refuses an object with one byte flipped, and takes the others."""
    with served(damaged) as address:
        (tmp_path / "one").mkdir()
        done = tuf_js(address, root, tmp_path / "one", ["ppwp/0.json"])
        assert done.returncode == 1
        assert done.stdout == ""
        assert "hash" in done.stderr.lower(), done.stderr
        (tmp_path / "other").mkdir()
        assert tuf_js(address, root, tmp_path / "other", ["index.html"]).returncode == 0


def test_go_reads_the_published_log(site: Path, tmp_path: Path) -> None:
    """Go's note package opens the published checkpoint by the published policy's key, and its tlog package has the same root, proof and tile."""
    proof = LogProof.parse((site / "metadata" / "1.snapshot.json.tlog-proof").read_bytes())
    head = proof.checkpoint.checkpoint
    entries = parse_bundle((site / f"log/tile/entries/000.p/{head.size}").read_bytes(), head.size)
    (log,) = Policy.parse((site / "trust" / "tlog-policy.txt").read_bytes()).logs
    checkpoint = (site / "log" / "checkpoint").read_bytes()
    said = go_tlog(tmp_path)(
        open=[{"note": base64.b64encode(checkpoint).decode(), "vkeys": [log.key.encode()]}],
        records=[base64.b64encode(entry).decode() for entry in entries],
        sizes=[head.size],
        inclusion=[[proof.index, head.size]],
        tiles=[f"tile/8/0/000.p/{head.size}"],
    )
    assert said["open"] == ["signed"]
    assert said["roots"] == [base64.b64encode(head.root).decode()]
    assert said["inclusion"] == [[base64.b64encode(one).decode() for one in proof.hashes]]
    assert base64.b64decode(said["tiles"][0]) == (site / f"log/tile/0/000.p/{head.size}").read_bytes()
