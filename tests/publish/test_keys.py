"""Secret keys: our files and stock minisign's are the same, and signatures check with programs we did not write."""

import base64
import hashlib
import os
import pickle
import stat
import subprocess
from pathlib import Path

import pytest

from publish.errors import KeyFileError
from publish.signing.keys import OFFLINE_COST, ONLINE_COST, ScryptCost, SecretKey, read_secret_key, write_secret_key
from tests.programs import require
from verifier.formats.minisign import PublicKey, Signature, verify

DATA = b'{"area":"110101","votes":[1,2,3]}\n' * 30
COMMENT = "timestamp:1555570800\tfile:ppwp/0.json\telection:pemilu-2019\trelease:1\tsha256:" + "0" * 64
KEY = SecretKey(bytes(range(8)), bytes(range(32)))
PASSPHRASE = b"correct horse"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder with a signed file and the public key."""
    (tmp_path / "file.json").write_bytes(DATA)
    (tmp_path / "file.json.minisig").write_bytes(KEY.sign_file(DATA, COMMENT))
    (tmp_path / "key.pub").write_text(KEY.public.file_text())
    return tmp_path


def run(work: Path, *command: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([require(command[0]), *command[1:]], cwd=work, input=stdin, capture_output=True, check=False)


def test_stock_minisign_verifies_our_signature(work):
    """`minisign -V` accepts our signature and shows the trusted comment."""
    result = run(work, "minisign", "-V", "-m", "file.json", "-p", "key.pub")
    assert result.returncode == 0, result.stderr
    assert COMMENT.encode() in result.stdout


def test_stock_minisign_refuses_another_file(work):
    """`minisign -V` refuses our signature on other bytes."""
    (work / "file.json").write_bytes(DATA + b" ")
    assert run(work, "minisign", "-V", "-m", "file.json", "-p", "key.pub").returncode != 0


@pytest.mark.parametrize(
    ("passphrase", "cost", "answer"),
    [(None, ONLINE_COST, b""), (PASSPHRASE, ONLINE_COST, b"correct horse\n"), (b"", ONLINE_COST, b"\n")],
    ids=["unencrypted", "encrypted", "empty-passphrase"],
)
def test_stock_minisign_signs_the_same_bytes_with_our_key_file(work, passphrase, cost, answer):
    """`minisign -S` opens our key file and writes the very bytes that we write."""
    write_secret_key(work / "our.key", KEY, passphrase, cost, os.urandom)
    command = ("minisign", "-S", "-s", "our.key", "-m", "file.json", "-x", "theirs", "-t", COMMENT)
    result = run(work, *command, stdin=answer)
    assert result.returncode == 0, result.stderr
    assert (work / "theirs").read_bytes() == (work / "file.json.minisig").read_bytes()


def test_offline_keys_are_as_strong_as_stock_minisigns(work):
    """A key with a passphrase made by `minisign -G` opens here, and its cost is that of our offline keys."""
    answer = PASSPHRASE + b"\n" + PASSPHRASE + b"\n"
    result = run(work, "minisign", "-G", "-p", "their.pub", "-s", "their.key", stdin=answer)
    assert result.returncode == 0, result.stderr
    key = read_secret_key(work / "their.key", PASSPHRASE)
    assert key.public == PublicKey.parse((work / "their.pub").read_bytes())
    raw = base64.b64decode((work / "their.key").read_bytes().split(b"\n")[1])
    assert ScryptCost(*(int.from_bytes(raw[at : at + 8], "little") for at in (38, 46))) == OFFLINE_COST


def test_we_open_an_unencrypted_key_of_stock_minisign(work):
    """A key made by `minisign -G -W` opens here, and signs what its public key verifies."""
    assert run(work, "minisign", "-G", "-W", "-p", "their.pub", "-s", "their.key").returncode == 0
    signature = read_secret_key(work / "their.key", None).sign_file(DATA, COMMENT)
    verify(PublicKey.parse((work / "their.pub").read_bytes()), DATA, Signature.parse(signature))


def test_openssl_verifies_the_raw_signature(work):
    """The signature is plain Ed25519 over the BLAKE2b-512 digest, as openssl computes both."""
    der = bytes.fromhex("302a300506032b6570032100") + KEY.public.key
    (work / "key.der").write_bytes(der)
    (work / "raw").write_bytes(Signature.parse((work / "file.json.minisig").read_bytes()).signature)
    assert run(work, "openssl", "dgst", "-blake2b512", "-binary", "-out", "digest", "file.json").returncode == 0
    command = "pkeyutl -verify -pubin -keyform DER -inkey key.der -rawin -in digest -sigfile raw"
    result = run(work, "openssl", *command.split())
    assert result.returncode == 0, result.stderr


def test_signify_reads_the_key_and_the_legacy_form_only(work):
    """Debian's signify verifies two lines of the legacy form by our key, and refuses a .minisig whole or prehashed."""
    legacy = base64.b64encode(b"Ed" + KEY.key_id + KEY.sign(DATA)).decode()
    (work / "legacy.sig").write_text(f"untrusted comment: x\n{legacy}\n")
    (work / "two-lines.sig").write_bytes(b"\n".join((work / "file.json.minisig").read_bytes().split(b"\n")[:2]) + b"\n")
    codes = {
        name: run(work, "signify-openbsd", "-V", "-p", "key.pub", "-m", "file.json", "-x", name).returncode == 0
        for name in ("legacy.sig", "two-lines.sig", "file.json.minisig")
    }
    assert codes == {"legacy.sig": True, "two-lines.sig": False, "file.json.minisig": False}


def test_signatures_are_deterministic():
    """Signing twice gives the same bytes."""
    assert KEY.sign_file(DATA, COMMENT) == KEY.sign_file(DATA, COMMENT)


def test_sign_file_is_the_signature_that_the_verifier_reads():
    """What `sign_file` writes parses, keeps the comment and verifies."""
    signature = Signature.parse(KEY.sign_file(DATA, COMMENT))
    assert signature.trusted_comment == COMMENT
    verify(KEY.public, DATA, signature)


def test_repr_hides_the_secret():
    """Neither the seed nor the expanded key appears in the repr."""
    assert repr(KEY) == f"SecretKey(key_id={KEY.key_id!r})"


def test_keys_travel_to_other_processes():
    """A pickled key signs the same."""
    copy = pickle.loads(pickle.dumps(KEY))
    assert copy == KEY
    assert copy.sign(DATA) == KEY.sign(DATA)


def test_generate_takes_its_bytes_from_the_source_given():
    """Two keys from the same bytes are equal, from the system's they differ."""
    assert SecretKey.generate(bytes) == SecretKey(bytes(8), bytes(32))
    assert SecretKey.generate(os.urandom) != SecretKey.generate(os.urandom)


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE, b"", "sandi rahasia é".encode()])
def test_key_files_survive_the_round_trip(tmp_path, passphrase):
    """What was written is read again, and only its owner may read the file, whatever the umask."""
    path = tmp_path / "a.key"
    before = os.umask(0)
    try:
        write_secret_key(path, KEY, passphrase, ONLINE_COST, os.urandom)
    finally:
        os.umask(before)
    assert read_secret_key(path, passphrase) == KEY
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_encrypted_file_does_not_show_the_seed(tmp_path):
    """The seed stands in the unencrypted file and not in the encrypted one."""
    for name, passphrase in (("open", None), ("closed", PASSPHRASE)):
        write_secret_key(tmp_path / name, KEY, passphrase, ONLINE_COST, os.urandom)
    raw = {name: base64.b64decode((tmp_path / name).read_bytes().split(b"\n")[1]) for name in ("open", "closed")}
    assert KEY.seed in raw["open"]
    assert KEY.seed not in raw["closed"]


@pytest.mark.parametrize(
    ("passphrase", "message"),
    [(b"wrong", "wrong passphrase"), (b"", "wrong passphrase"), (None, "give its passphrase")],
)
def test_wrong_passphrase_is_refused(tmp_path, passphrase, message):
    """A wrong or missing passphrase is a KeyFileError that names the file."""
    path = tmp_path / "a.key"
    write_secret_key(path, KEY, PASSPHRASE, ONLINE_COST, os.urandom)
    with pytest.raises(KeyFileError, match=message) as caught:
        read_secret_key(path, passphrase)
    assert str(path) in str(caught.value)


def test_existing_key_file_is_never_overwritten(tmp_path):
    """Writing where a file is fails and leaves that file alone."""
    path = tmp_path / "a.key"
    path.write_bytes(b"precious")
    with pytest.raises(KeyFileError, match="never overwritten"):
        write_secret_key(path, KEY, None, ONLINE_COST, os.urandom)
    assert path.read_bytes() == b"precious"


def test_failed_write_leaves_no_file(tmp_path, monkeypatch):
    """When the disk refuses, no half a key file is left behind."""

    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_secret_key(tmp_path / "a.key", KEY, None, ONLINE_COST, os.urandom)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620, 0o610, 0o777])
def test_key_file_that_others_may_touch_is_refused(tmp_path, mode):
    """A key file open to group or others is refused, with the command that mends it."""
    path = tmp_path / "a.key"
    write_secret_key(path, KEY, None, ONLINE_COST, os.urandom)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match="chmod 600"):
        read_secret_key(path, None)


def altered(position: int, value: bytes) -> bytes:
    """An unencrypted key file with `value` written at `position` of its raw bytes."""
    sealed = KEY.key_id + KEY.seed + KEY.public.key
    checksum = hashlib.blake2b(b"Ed" + sealed, digest_size=32).digest()
    raw = bytearray(b"Ed\0\0B2" + bytes(48) + sealed + checksum)
    raw[position : position + len(value)] = value
    return b"untrusted comment: x\n" + base64.b64encode(raw) + b"\n"


DAMAGED = {
    "empty": b"",
    "one-line": b"untrusted comment: x\n",
    "not-base64": b"untrusted comment: x\n!!!!\n",
    "short": b"untrusted comment: x\n" + base64.b64encode(b"Ed") + b"\n",
    "long": altered(158, b"\0"),
    "three-lines": altered(0, b"") + b"x\n",
    "public-key": KEY.public.file_text().encode(),
    "other-algorithm": altered(0, b"ED"),
    "other-kdf": altered(2, b"A2"),
    "other-checksum": altered(4, b"SH"),
    "seed-changed": altered(62, b"\xff"),
    "public-changed": altered(94, b"\xff"),
    "checksum-changed": altered(126, b"\xff"),
    "endless-scrypt": altered(2, b"ScB2" + bytes(32) + b"\xff" * 16),
    "scrypt-without-memory": altered(2, b"ScB2" + bytes(32) + (524_288).to_bytes(8, "little") + bytes(8)),
    "too-big": altered(0, b"") + b"\n" * 5_000,
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED.keys())
def test_damaged_key_files_are_refused(tmp_path, data):
    """Whatever the damage, the answer is a KeyFileError that names the file."""
    path = tmp_path / "a.key"
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match=r"a\.key"):
        read_secret_key(path, b"")


def test_the_undamaged_file_of_the_table_is_read(tmp_path):
    """The table of damages starts from a file that reads well."""
    path = tmp_path / "a.key"
    path.write_bytes(altered(0, b""))
    path.chmod(0o600)
    assert read_secret_key(path, None) == KEY


def test_missing_key_file_says_so(tmp_path):
    """A file that is not there is a KeyFileError with its path."""
    with pytest.raises(KeyFileError, match=r"nowhere\.key cannot be read"):
        read_secret_key(tmp_path / "nowhere.key", None)
