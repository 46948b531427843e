"""SSH signatures: what OpenSSH signs we verify, what we verify OpenSSH does too, and nothing else passes."""

import base64
import contextlib
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.officials import Official
from tests.programs import require
from verifier.errors import FormatError, VerificationError
from verifier.formats.sshsig import ED25519, SK_ED25519, SshKey, SshSignature, encode_string

SPACE = "terbit-recap@uji"
COVER = b'format = "terbit-recap-1"\n'


def keygen(*arguments: object, stdin: bytes = b"", code: int | None = 0) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(
        [require("ssh-keygen"), *map(str, arguments)], input=stdin, capture_output=True, check=False, timeout=60
    )
    assert code is None or done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ssh") / "key"
    keygen("-q", "-t", "ed25519", "-N", "", "-C", "petugas", "-f", path)
    return path


@pytest.mark.parametrize("hash_name", ["sha512", "sha256"])
def test_what_ssh_keygen_signs_is_verified(key: Path, tmp_path: Path, hash_name: str) -> None:
    """A signature by ssh-keygen is read, spelt again byte for byte, and holds; its key has the fingerprint that ssh-keygen shows."""
    message = tmp_path / "recap.toml"
    message.write_bytes(COVER)
    keygen("-Y", "sign", "-n", SPACE, "-O", f"hashalg={hash_name}", "-f", key, message)
    data = (tmp_path / "recap.toml.sig").read_bytes()
    signature = SshSignature.parse(data)
    assert (signature.encode(), signature.hash_name) == (data, hash_name)
    signature.check(COVER, SPACE)
    kind, text, _ = key.with_suffix(".pub").read_text().split()
    assert signature.key == SshKey.parse_text(kind, text)
    assert signature.key.fingerprint in keygen("-l", "-f", key).stdout.decode()


@pytest.mark.parametrize("hash_name", ["sha512", "sha256"])
@pytest.mark.parametrize("hardware", [False, True], ids=["software", "hardware"])
def test_what_is_verified_ssh_keygen_verifies(tmp_path: Path, hardware: bool, hash_name: str) -> None:
    """What we take as signed, by a hardware key too, passes ssh-keygen; a changed message or namespace passes neither."""
    data = Official("Kairo", hardware=hardware).sign(COVER, SPACE, hash_name=hash_name)
    (tmp_path / "sig").write_bytes(data)
    for message, space in ((COVER, SPACE), (COVER + b"\n", SPACE), (COVER, "terbit-recap@lain")):
        ours = contextlib.nullcontext() if (message, space) == (COVER, SPACE) else pytest.raises(VerificationError)
        with ours:
            SshSignature.parse(data).check(message, space)
        done = keygen(
            "-Y", "check-novalidate", "-n", space, "-s", tmp_path / "sig", stdin=message, code=None
        )  # fmt: skip
        assert (done.returncode == 0) == ((message, space) == (COVER, SPACE))


@pytest.mark.parametrize("flags", [0, 0x04, 0x80])
def test_a_hardware_key_must_have_been_touched(flags: int) -> None:
    """A hardware key's signature without the flag that somebody was there does not count, though it is good otherwise."""
    signature = SshSignature.parse(Official("Kairo", hardware=True).sign(COVER, SPACE, flags=flags))
    with pytest.raises(VerificationError, match="nobody touched"):
        signature.check(COVER, SPACE)


def changed(**fields: Any) -> SshSignature:
    good = SshSignature.parse(Official("Kairo", hardware=True).sign(COVER, SPACE))
    return SshSignature(**{**vars(good), **fields})


@pytest.mark.parametrize(
    "signature",
    [
        changed(counter=8),
        changed(flags=5),
        changed(key=Official("Jakarta", hardware=True).key),
        changed(key=SshKey(SK_ED25519, Official("Kairo").key.key, "ssh:lain")),
        changed(key=Official("Kairo").key),
        changed(hash_name="sha256"),
        changed(signature=bytes(64)),
    ],
    ids=["counter", "flags", "key", "application", "as-software", "hash", "zeros"],
)
def test_every_part_of_a_hardware_keys_signature_is_signed(signature: SshSignature) -> None:
    """A counter, flag, key, application or hash other than the signed one does not hold."""
    with pytest.raises(VerificationError):
        signature.check(COVER, SPACE)


GOOD = Official("Aceh").sign(COVER, SPACE)


def armored(blob: bytes) -> bytes:
    text = base64.b64encode(blob).decode()
    lines = "".join(f"{text[start : start + 70]}\n" for start in range(0, len(text), 70))
    return f"-----BEGIN SSH SIGNATURE-----\n{lines}-----END SSH SIGNATURE-----\n".encode()


def blob(**changed: bytes) -> bytes:
    """A signature's blob part by part, one of them another."""
    key = Official("Aceh").key.encode()
    parts = {
        "begin": b"SSHSIG", "version": b"\0\0\0\1", "key": encode_string(key), "space": encode_string(SPACE.encode()),
        "reserved": encode_string(b""), "hash": encode_string(b"sha512"),
        "signature": encode_string(encode_string(b"ssh-ed25519") + encode_string(bytes(64))), "end": b"",
    }  # fmt: skip
    assert not changed.keys() - parts.keys()
    return b"".join({**parts, **changed}.values())


ECDSA = encode_string(b"ecdsa-sha2-nistp256") + encode_string(b"nistp256") + encode_string(b"\4" + bytes(64))
MALFORMED: dict[str, bytes] = {
    "empty": b"",
    "no last newline": GOOD[:-1],
    "text after it": GOOD + b"\n",
    "CR LF": GOOD.replace(b"\n", b"\r\n"),
    "another width": GOOD.replace(b"\n", b"", 2).replace(b"-----B", b"-----B", 1),
    "other armor": GOOD.replace(b"SSH SIGNATURE", b"SIGNATURE"),
    "space in base64": GOOD.replace(b"U1NI", b"U1 NI"),
    "not ASCII": GOOD.replace(b"U1NI", "U1Né".encode()),
    "too long": armored(blob(space=encode_string(b"x" * 5_000))),
    "another preamble": armored(blob(begin=b"SSHSIH")),
    "version 2": armored(blob(version=b"\0\0\0\2")),
    "reserved": armored(blob(reserved=encode_string(b"x"))),
    "no namespace": armored(blob(space=encode_string(b""))),
    "namespace with a line": armored(blob(space=encode_string(b"a\nb"))),
    "md5": armored(blob(hash=encode_string(b"md5"))),
    "bytes after it": armored(blob(end=b"\0")),
    "cut off": armored(blob()[:-1]),
    "length beyond the end": armored(blob(key=b"\xff\xff\xff\xff")),
    "ECDSA key": armored(blob(key=encode_string(ECDSA))),
    "key with more in it": armored(blob(key=encode_string(Official("Aceh").key.encode() + encode_string(b"x")))),
    "key of 31 bytes": armored(blob(key=encode_string(encode_string(b"ssh-ed25519") + encode_string(bytes(31))))),
    "signature of another type": armored(
        blob(signature=encode_string(encode_string(b"ssh-rsa") + encode_string(bytes(64))))
    ),
    "signature of 63 bytes": armored(
        blob(signature=encode_string(encode_string(b"ssh-ed25519") + encode_string(bytes(63))))
    ),
    "flags of a software key": armored(
        blob(signature=encode_string(encode_string(b"ssh-ed25519") + encode_string(bytes(64)) + b"\1\0\0\0\7"))
    ),
}


def test_the_parts_make_a_signature() -> None:
    """The parts that the malformed ones are made from are read when none is changed."""
    assert SshSignature.parse(armored(blob())).encode() == armored(blob())


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_malformed_signatures_are_refused(data: bytes) -> None:
    """Whatever is not spelt as ssh-keygen spells an Ed25519 signature is a FormatError."""
    with pytest.raises(FormatError):
        SshSignature.parse(data)


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_other_keys_are_named(tmp_path: Path, kind: str) -> None:
    """A key of another type is refused with the command that makes a right one."""
    keygen("-q", "-t", kind, "-N", "", "-f", tmp_path / "key")
    name, text, *_ = (tmp_path / "key.pub").read_text().split()
    with pytest.raises(FormatError, match="ssh-keygen -t ed25519"):
        SshKey.parse_text(name, text)


words = st.from_regex(r"[!-~]{1,128}", fullmatch=True)
software = st.builds(SshKey, st.just(ED25519), st.binary(min_size=32, max_size=32))
hardware = st.builds(SshKey, st.just(SK_ED25519), st.binary(min_size=32, max_size=32), words)
hashes = st.sampled_from(["sha512", "sha256"])
made = st.binary(min_size=64, max_size=64)
signatures = st.one_of(
    st.builds(SshSignature, software, words, hashes, made),
    st.builds(SshSignature, hardware, words, hashes, made, st.integers(0, 255), st.integers(0, 2**32 - 1)),
)


@given(signatures)
def test_signatures_are_read_as_they_are_written(signature: SshSignature) -> None:
    """Any signature's file is read back as that signature, and its key's blob as that key."""
    assert SshSignature.parse(signature.encode()) == signature
    assert SshKey.parse(signature.key.encode()) == signature.key


@given(signatures, st.data())
def test_a_changed_byte_is_another_signature_or_none(signature: SshSignature, data: st.DataObject) -> None:
    """A byte changed anywhere in the file makes another signature, or is refused: no two files are one signature."""
    file = bytearray(signature.encode())
    place = data.draw(st.integers(0, len(file) - 1))
    file[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte != file[place]))
    with contextlib.suppress(FormatError):
        assert SshSignature.parse(bytes(file)) != signature


def _as_is(data: bytes) -> bytes:
    return data


@pytest.mark.parametrize("wrap", [_as_is, armored, lambda data: armored(b"SSHSIG\0\0\0\1" + data)])
@given(data=st.binary(max_size=200))
def test_parsing_raises_nothing_but_format_errors(wrap: Callable[[bytes], bytes], data: bytes) -> None:
    """Whatever the bytes, alone or in armor, they are a FormatError."""
    with pytest.raises(FormatError):
        SshSignature.parse(wrap(data))
