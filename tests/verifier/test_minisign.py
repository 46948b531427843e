"""minisign keys, signatures and trusted comments: what is read, and everything that is refused."""

import base64
import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from tests.programs import require
from verifier.errors import FormatError, VerificationError
from verifier.formats.minisign import PublicKey, Signature, TrustedComment, verify

VECTORS = sorted((Path(__file__).parent.parent / "vectors" / "minisign").glob("*.json"))
DATA = b'{"votes":[1,2,3]}'
COMMENT = TrustedComment(1555570800, "ppwp/1101/1101012001.json", "pemilu-2019", 3, hashlib.sha256(DATA).hexdigest())

_key = SigningKey(bytes(range(32)))
PUBLIC = PublicKey(bytes(range(1, 9)), bytes(_key.verify_key))
_raw = _key.sign(hashlib.blake2b(DATA).digest()).signature
SIGNATURE = Signature(PUBLIC.key_id, _raw, COMMENT.encode(), _key.sign(_raw + COMMENT.encode().encode()).signature)
FILE = SIGNATURE.encode()


def check(public: str | bytes, data: bytes, signature: bytes) -> None:
    verify(PublicKey.parse(public), data, Signature.parse(signature))


def flip(data: bytes, bit: int) -> bytes:
    bit %= len(data) * 8
    return data[: bit // 8] + bytes([data[bit // 8] ^ (1 << bit % 8)]) + data[bit // 8 + 1 :]


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_shared_vectors_end_in_the_class_that_they_name(path):
    """Each shared vector is accepted, or refused as the class of failure that it names."""
    vector = json.loads(path.read_bytes())
    arguments = (
        vector["public_key"],
        base64.b64decode(vector["data_base64"], validate=True),
        base64.b64decode(vector["signature_base64"], validate=True),
    )
    if vector["expect"] == "success":
        check(*arguments)
        return
    with pytest.raises({"format": FormatError, "verification": VerificationError}[vector["expect"]]):
        check(*arguments)


def test_there_are_vectors_of_every_class():
    """The shared vectors cover success and both classes of failure."""
    assert {json.loads(path.read_bytes())["expect"] for path in VECTORS} == {"success", "format", "verification"}


@given(bit=st.integers(0, len(FILE) * 8 - 1))
def test_any_flipped_bit_of_the_signature_file_is_refused(bit):
    """One flipped bit anywhere in the .minisig, both comments included, is refused."""
    with pytest.raises((FormatError, VerificationError)):
        check(PUBLIC.encode(), DATA, flip(FILE, bit))


@given(bit=st.integers(0, len(DATA) * 8 - 1))
def test_any_flipped_bit_of_the_data_is_refused(bit):
    """One flipped bit anywhere in the file fails verification."""
    with pytest.raises(VerificationError):
        check(PUBLIC.encode(), flip(DATA, bit), FILE)


@given(bit=st.integers(0, len(PUBLIC.encode()) * 8 - 1))
def test_any_flipped_bit_of_the_public_key_is_refused(bit):
    """One flipped bit anywhere in the public key is refused, be it algorithm, key id or key."""
    with pytest.raises((FormatError, VerificationError)):
        check(flip(PUBLIC.encode().encode(), bit), DATA, FILE)


@given(st.binary(max_size=400))
def test_parsers_raise_nothing_but_format_errors(data):
    """Whatever the bytes, the parsers return or raise FormatError."""
    for parse in (PublicKey.parse, Signature.parse, lambda raw: TrustedComment.parse(raw.decode("latin-1"))):
        try:
            parse(data)
        except FormatError:
            continue


@given(st.text(max_size=100))
def test_parsers_of_text_raise_nothing_but_format_errors(text):
    """Whatever the text, lone surrogates included, the parsers return or raise FormatError."""
    for parse in (PublicKey.parse, TrustedComment.parse):
        with pytest.raises(FormatError):
            parse(text)


def lines(*, drop: int | None = None, **replaced: bytes) -> bytes:
    parts = FILE.split(b"\n")[:4]
    for name, value in replaced.items():
        parts[int(name.removeprefix("line"))] = value
    return b"".join(part + b"\n" for number, part in enumerate(parts) if number != drop)


SIGNATURE_LINE = FILE.split(b"\n")[1]
MALFORMED = {
    "empty": b"",
    "no-untrusted-comment": lines(drop=0),
    "no-signature": lines(drop=1),
    "no-trusted-comment": lines(drop=2),
    "no-global-signature": lines(drop=3),
    "no-last-newline": FILE[:-1],
    "extra-empty-line": FILE + b"\n",
    "extra-line": FILE + b"x\n",
    "crlf": FILE.replace(b"\n", b"\r\n"),
    "cr-at-end": FILE[:-1] + b"\r\n",
    "nul-in-comment": lines(line2=b"trusted comment: a\0b"),
    "nul-after-base64": lines(line1=SIGNATURE_LINE + b"\0"),
    "bom": b"\xef\xbb\xbf" + FILE,
    "not-utf8": lines(line2=b"trusted comment: \xff"),
    "escape-sequence": lines(line2=b"trusted comment: \x1b[31m"),
    "direction-mark": lines(line2="trusted comment: \u202egnp".encode()),
    "line-separator": lines(line2="trusted comment: a\u2028b".encode()),
    "other-untrusted-comment": lines(line0=b"untrusted comment: the figures were changed"),
    "ten-kilobytes-untrusted": lines(line0=b"untrusted comment: " + b"a" * 10_000),
    "ten-kilobytes-trusted": lines(line2=b"trusted comment: " + b"a" * 10_000),
    "space-in-base64": lines(line1=SIGNATURE_LINE[:8] + b" " + SIGNATURE_LINE[8:]),
    "url-safe-base64": lines(line1=SIGNATURE_LINE[:-4] + b"__" + SIGNATURE_LINE[-2:]),
    "no-padding": lines(line1=SIGNATURE_LINE.rstrip(b"=")),
    "spare-bits": lines(line1=SIGNATURE_LINE[:-2] + bytes([SIGNATURE_LINE[-2] + 1]) + b"="),
    "short-signature": lines(line1=base64.b64encode(base64.b64decode(SIGNATURE_LINE)[:-1])),
    "long-signature": lines(line1=base64.b64encode(base64.b64decode(SIGNATURE_LINE) + b"\0")),
    "legacy-algorithm": lines(line1=base64.b64encode(b"Ed" + base64.b64decode(SIGNATURE_LINE)[2:])),
    "capital-prefix": lines(line2=b"Trusted comment: a"),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_signature_files_are_refused(data):
    """A .minisig that is not spelt exactly as minisign spells it is a FormatError."""
    with pytest.raises(FormatError):
        Signature.parse(data)


KEY = PUBLIC.encode()
MALFORMED_KEYS = {
    "empty": "",
    "newline-only": "\n",
    "crlf": PUBLIC.file_text().replace("\n", "\r\n"),
    "three-lines": PUBLIC.file_text() + KEY + "\n",
    "two-keys": f"{KEY}\n{KEY}\n",
    "leading-space": " " + KEY,
    "trailing-space": KEY + " ",
    "short": KEY[:-4],
    "long": KEY + "AAAA",
    "secret-key-algorithm": "AA" + KEY[2:],
    "nul": KEY[:-1] + "\0",
    "full-width-letters": "\uff32" + KEY[1:],
    "other-comment-prefix": f"comment: x\n{KEY}\n",
    "escape-in-comment": f"untrusted comment: \x1b[2J\n{KEY}\n",
    "ten-kilobytes-comment": f"untrusted comment: {'a' * 10_000}\n{KEY}\n",
}


@pytest.mark.parametrize("text", MALFORMED_KEYS.values(), ids=MALFORMED_KEYS.keys())
def test_malformed_public_keys_are_refused(text):
    """A public key that is neither the bare string nor a .pub file is a FormatError."""
    with pytest.raises(FormatError):
        PublicKey.parse(text)


def test_public_key_is_read_bare_and_from_its_file():
    """The bare string and the two lines of a .pub file, as text or bytes, give the same key."""
    forms = [KEY, KEY + "\n", PUBLIC.file_text(), PUBLIC.file_text().removesuffix("\n"), PUBLIC.file_text().encode()]
    assert {PublicKey.parse(form) for form in forms} == {PUBLIC}


@pytest.mark.parametrize(("key_id", "key"), [(b"", bytes(32)), (bytes(8), bytes(31)), (bytes(9), bytes(32))])
def test_public_keys_of_a_wrong_size_cannot_be_made(key_id, key):
    """Sizes are checked where the key is made, since the C library reads past a short one."""
    with pytest.raises(FormatError):
        PublicKey(key_id, key)


def test_signatures_of_a_wrong_size_cannot_be_made():
    """A signature of another size than 64 bytes is a FormatError."""
    with pytest.raises(FormatError):
        Signature(bytes(8), bytes(64), "", bytes(63))


def test_another_key_is_refused_by_its_id():
    """A signature by another key is refused, and the message names both keys."""
    other = PublicKey(bytes(8), PUBLIC.key)
    with pytest.raises(VerificationError, match=r"signed by key 807060504030201, not by key 0"):
        verify(other, DATA, SIGNATURE)


def test_key_of_small_order_verifies_nothing():
    """The all-zero public key, for which forged signatures exist, is refused."""
    with pytest.raises(VerificationError):
        verify(PublicKey(PUBLIC.key_id, bytes(32)), DATA, Signature(PUBLIC.key_id, bytes(64), "", bytes(64)))


@given(
    st.builds(
        TrustedComment,
        timestamp=st.integers(0, 10**11),
        file=st.from_regex(r"[a-z]{1,5}(-[0-9]{1,6})?/([0-9]{4}/)?n?[0-9]{1,10}\.json", fullmatch=True),
        election=st.from_regex(r"[a-z0-9]{1,10}(-[a-z0-9]{1,4}){0,2}", fullmatch=True),
        release=st.integers(1, 10**8),
        sha256=st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
    )
)
def test_trusted_comment_survives_the_round_trip(comment):
    """Parsing what `encode` gives returns the same comment."""
    assert TrustedComment.parse(comment.encode()) == comment


TEXT = COMMENT.encode()
MALFORMED_COMMENTS = {
    "empty": "",
    "spaces-for-tabs": TEXT.replace("\t", " "),
    "trailing-newline": TEXT + "\n",
    "trailing-tab": TEXT + "\t",
    "extra-field": TEXT + "\tnote:x",
    "missing-field": TEXT.rpartition("\t")[0],
    "other-order": "\t".join(reversed(TEXT.split("\t"))),
    "leading-zero": TEXT.replace("release:3", "release:03"),
    "release-zero": TEXT.replace("release:3", "release:0"),
    "release-signed": TEXT.replace("release:3", "release:+3"),
    "release-underscore": TEXT.replace("release:3", "release:1_0"),
    "release-huge": TEXT.replace("release:3", f"release:{'9' * 5000}"),
    "release-arabic-digit": TEXT.replace("release:3", "release:\u0663"),
    "timestamp-negative": TEXT.replace("timestamp:", "timestamp:-"),
    "timestamp-float": TEXT.replace("timestamp:1555570800", "timestamp:1555570800.0"),
    "sha256-capitals": TEXT.replace(COMMENT.sha256, COMMENT.sha256.upper()),
    "sha256-short": TEXT[:-1],
    "path-parent": TEXT.replace("file:ppwp/1101", "file:ppwp/.."),
    "path-absolute": TEXT.replace("file:ppwp", "file:/ppwp"),
    "path-backslash": TEXT.replace("file:ppwp/", "file:ppwp\\"),
    "path-not-json": TEXT.replace(".json", ".html"),
    "path-too-deep": TEXT.replace("file:ppwp/", "file:ppwp/a/"),
    "election-hyphen": TEXT.replace("pemilu-2019", "pemilu-"),
}


@pytest.mark.parametrize("text", MALFORMED_COMMENTS.values(), ids=MALFORMED_COMMENTS.keys())
def test_malformed_trusted_comments_are_refused(text):
    """A trusted comment in any other spelling than the one that we write is a FormatError."""
    assert text != TEXT
    with pytest.raises(FormatError):
        TrustedComment.parse(text)


def test_stock_minisign_makes_signatures_that_we_verify(tmp_path):
    """A key and a signature made by stock minisign are read, and serialised to the same bytes."""
    program = require("minisign")
    (tmp_path / "file.json").write_bytes(DATA)
    subprocess.run([program, "-G", "-W", "-p", "a.pub", "-s", "a.key"], cwd=tmp_path, check=True, capture_output=True)
    subprocess.run(
        [program, "-S", "-s", "a.key", "-m", "file.json", "-t", TEXT], cwd=tmp_path, check=True, capture_output=True
    )
    public = PublicKey.parse((tmp_path / "a.pub").read_bytes())
    signature = Signature.parse((tmp_path / "file.json.minisig").read_bytes())
    verify(public, DATA, signature)
    assert TrustedComment.parse(signature.trusted_comment) == COMMENT
    assert public.file_text() == (tmp_path / "a.pub").read_text()


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_stock_minisign_accepts_what_we_accept(tmp_path, path):
    """Whatever stock minisign refuses, we refuse: our reader is never the looser one."""
    program = require("minisign")
    vector = json.loads(path.read_bytes())
    (tmp_path / "file").write_bytes(base64.b64decode(vector["data_base64"]))
    (tmp_path / "file.minisig").write_bytes(base64.b64decode(vector["signature_base64"]))
    run = subprocess.run(
        [program, "-V", "-m", "file", "-P", vector["public_key"]], cwd=tmp_path, capture_output=True, check=False
    )
    assert run.returncode == 0 or vector["expect"] != "success", run.stderr
