"""Keys replaced as an operator does it, from the first release to a site that clients of the first root accept."""

import json
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from publish.cli.main import terbit
from publish.errors import PendingError, SigningError, TargetError
from publish.signing.repository import tuf_key
from tests.election import correction, write_definition
from tests.publish.workspace import deliver
from verifier.cli.main import main as terbit_verify
from verifier.formats.minisign import PublicKey

ALWAYS, CORRECTED, AGAIN = "ppwp/12.json", "ppwp/1101/110101.json", "ppwp/1101/110102.json"


def run(program: click.Command, *words: object, code: int = 0) -> Result:
    """Run a command to its end; its exit code is `code`."""
    result = CliRunner().invoke(program, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


class Operator:
    """An operator's workspace, and a client of its site that remembers what it has seen."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.keys = directory, directory / "keys"
        write_definition(directory / "content")
        (directory / "terbit.toml").write_text("workers = 1\n")
        self.terbit("keys", "init", "--no-passphrase", "--no-offline-passphrase")
        deliver(directory)
        self.publish()

    def terbit(self, *words: str, code: int = 0) -> Result:
        return run(terbit, *words, "-C", self.directory, code=code)

    def publish(self) -> int:
        """Publish, look at the site as the client does, and tell the release."""
        told = json.loads(self.terbit("publish", "--yes", "--json", "--quiet").stdout)
        self.verify()
        return int(told["release"])

    def rotate(self, name: str) -> None:
        self.terbit("keys", "rotate", name, "--no-passphrase", code=3)

    def sign(self) -> str:
        offline = (word for name in ("root-1", "root-2") for word in ("--key", f"{self.keys}/offline/{name}.key"))
        return self.terbit("sign", "--yes", *offline).stderr

    def verify(self) -> None:
        root = ("--root", self.keys / "metadata" / "1.root.json", "--state", self.directory / "client")
        run(terbit_verify, "site", self.directory / "public", "--signatures", *root)

    def public_key(self, name: str) -> PublicKey:
        return PublicKey.parse((self.keys / "public" / f"{name}.pub").read_bytes())

    def signers(self, path: str) -> list[str]:
        """The minisign keys, old and new, by which `terbit-verify file` accepts a results file."""
        file = self.directory / "public" / "uji" / path
        found = {}
        for key in sorted((self.keys / "public").glob("minisign*.pub")):
            command = ["file", str(file), "--key-file", str(key)]
            found[key.stem] = CliRunner().invoke(terbit_verify, command).exit_code
        assert set(found.values()) <= {0, 4}
        return [name for name, code in found.items() if code == 0]

    def signed_by(self, role: str) -> set[str]:
        """TUF keyids of the signatures on a role's newest metadata."""
        metadata = self.directory / "public" / "uji" / "metadata"
        versions = {int(path.name.split(".")[0]): path for path in metadata.glob(f"[0-9]*.{role}.json")}
        newest = versions[max(versions)] if versions else metadata / f"{role}.json"
        return {one["keyid"] for one in json.loads(newest.read_bytes())["signatures"]}


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    """The first release is out, and a client has seen it."""
    return Operator(tmp_path)


def test_minisign_key(operator: Operator) -> None:
    """The new minisign key signs what the next release changes; every other file keeps the old one's signature."""
    assert operator.signers(CORRECTED) == operator.signers(ALWAYS) == ["minisign"]
    operator.rotate("minisign")
    assert "In force: 2.trust.json" in operator.sign()
    deliver(operator.directory, {"correction": correction()})
    assert operator.publish() == 2
    assert (operator.signers(CORRECTED), operator.signers(ALWAYS)) == (["minisign"], ["minisign.1"])


@pytest.mark.parametrize(
    ("name", "role"),
    [("site", "site"), ("results", "ppwp-1101"), ("snapshot", "snapshot"), ("timestamp", "timestamp")],
)
def test_online_key(operator: Operator, name: str, role: str) -> None:
    """Until the offline keys have signed, the old key goes on signing; from then on the new one does, in a new release."""
    old = operator.public_key(name)
    operator.rotate(name)
    deliver(operator.directory, {"correction": correction()})
    assert operator.publish() == 2
    assert operator.signed_by(role) == {tuf_key(old).keyid}
    operator.sign()
    assert operator.publish() == 3
    assert operator.signed_by(role) == {tuf_key(operator.public_key(name)).keyid} != {tuf_key(old).keyid}


def test_minisign_key_signed_for_too_late(operator: Operator) -> None:
    """A release that goes out before the offline keys have signed stays the old key's: the draft is refused and drafted again."""
    operator.rotate("minisign")
    deliver(operator.directory, {"correction": correction()})
    assert operator.publish() == 2
    with pytest.raises(SigningError, match=r"release 2 is out and signed by .*; run: terbit keys refresh"):
        operator.sign()
    operator.verify()
    assert operator.terbit("keys", "refresh", code=3).stdout == "2.trust.json\n"
    assert "In force: 2.trust.json" in operator.sign()
    deliver(operator.directory, {"again": correction("110102")})
    assert operator.publish() == 3
    signers = [operator.signers(path) for path in (ALWAYS, CORRECTED, AGAIN)]
    assert signers == [["minisign.1"], ["minisign.1"], ["minisign"]]
    ranges = json.loads((operator.directory / "public" / "uji" / "trust" / "minisign.json").read_bytes())["keys"]
    assert [(key["from"], key["to"]) for key in ranges] == [(1, 2), (3, None)]


@pytest.fixture
def rotated(operator: Operator) -> Operator:
    """The timestamp's new key is in force here, and no release has shown its root to the public yet."""
    operator.rotate("timestamp")
    operator.sign()
    return operator


def heartbeat(operator: Operator) -> None:
    operator.terbit("heartbeat", "--quiet")


def frozen(operator: Operator) -> None:
    operator.terbit("freeze", "--reason", "uji")
    operator.terbit("publish", "--quiet")
    operator.verify()
    operator.terbit("freeze", "--end")


def waiting(operator: Operator) -> None:
    deliver(operator.directory, {"correction": correction()})
    with pytest.raises(PendingError, match="waits for a yes"):
        operator.terbit("publish", "--quiet")


@pytest.mark.parametrize("renew", [heartbeat, frozen, waiting])
def test_renewal_before_the_new_root_is_public(rotated: Operator, renew: Callable[[Operator], None]) -> None:
    """Until a release brings the new root, a renewal has the signatures of the old timestamp key and the new one: no client refuses it."""
    old, new = (tuf_key(rotated.public_key(name)).keyid for name in ("timestamp.1", "timestamp"))
    for _ in range(2):
        renew(rotated)
        rotated.verify()
    assert rotated.signed_by("timestamp") == {old, new}
    rotated.publish()
    assert rotated.signed_by("timestamp") == {new}


def test_renewal_without_the_old_key(rotated: Operator) -> None:
    """Where the old timestamp key is gone, no renewal replaces a timestamp that clients take by one that they refuse; a release mends it."""
    (rotated.keys / "online" / "timestamp.1.key").unlink()
    with pytest.raises(TargetError, match=r"clients would refuse the renewed timestamp .* publish a release now"):
        heartbeat(rotated)
    rotated.verify()
    assert rotated.publish() == 2
    heartbeat(rotated)
    rotated.verify()


def test_a_renewal_tells_what_clients_refuse(rotated: Operator) -> None:
    """While a new root is not public, a renewal of a site that clients refuse anyway is shown, and fails aloud."""
    metadata = rotated.directory / "public" / "uji" / "metadata"
    (metadata / "1.snapshot.json").unlink()
    before = (metadata / "timestamp.json").read_bytes()
    with pytest.raises(TargetError, match=r"clients refuse what stands there .*1\.snapshot\.json"):
        heartbeat(rotated)
    assert (metadata / "timestamp.json").read_bytes() != before
