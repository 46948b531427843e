"""SSH signatures (`ssh-keygen -Y sign`) and the public keys that make them: parse, serialise, verify.

Source: OpenSSH's PROTOCOL.sshsig; PROTOCOL.u2f ("SSH U2F Signatures") for hardware keys; RFC 4251, section 5 (string, uint32).
Ed25519 alone, in software or hardware. Narrower than OpenSSH: one spelling, the one that ssh-keygen writes.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Self

from nacl.bindings import crypto_sign_open
from nacl.exceptions import CryptoError

from verifier import limits
from verifier.errors import FormatError, VerificationError
from verifier.formats.encoding import decode_base64, encode_base64

__all__ = ["ED25519", "SK_ED25519", "SshKey", "SshSignature", "decode_string", "encode_string"]

ED25519 = "ssh-ed25519"
SK_ED25519 = "sk-ssh-ed25519@openssh.com"
KEY_SIZE = 32
ED25519_SIGNATURE_SIZE = 64
USER_PRESENT = 0x01  # PROTOCOL.u2f: the flags of the authenticator

_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----\n", "-----END SSH SIGNATURE-----\n"
_WIDTH = 70
_PREAMBLE = b"SSHSIG"
_VERSION = 1
_HASHES = ("sha512", "sha256")
_NAMESPACE = re.compile(r"[!-~]{1,128}")


@dataclass(frozen=True)
class SshKey:
    """A public key: `kind` is its type's name, `key` has 32 bytes; `application` is what a hardware key was made for."""

    kind: str
    key: bytes
    application: str = ""

    def __post_init__(self) -> None:
        _check_kind(self.kind)
        if len(self.key) != KEY_SIZE or bool(self.application) != (self.kind == SK_ED25519):
            raise FormatError(f"an SSH key of type {self.kind} does not have the parts that its type has")

    @classmethod
    def parse(cls, blob: bytes) -> Self:
        """The key whose blob (what stands in base64 in a public key's line) is exactly `blob`; else FormatError."""
        kind, rest = decode_string(blob)
        _check_kind(_ascii(kind))
        key, rest = decode_string(rest)
        application, rest = decode_string(rest) if rest else (b"", b"")
        found = cls(_ascii(kind), key, _ascii(application))
        if found.encode() != blob:
            raise FormatError("an SSH key has more in it than its type has")
        return found

    @classmethod
    def parse_text(cls, kind: str, text: str) -> Self:
        """The key that stands in a public key's line as its type and base64; else FormatError."""
        key = cls.parse(decode_base64(text, "an SSH key"))
        if key.kind != kind:
            raise FormatError(f"an SSH key is not of the type {kind[:60]!r} before it")
        return key

    def encode(self) -> bytes:
        """The blob."""
        blob = encode_string(self.kind.encode()) + encode_string(self.key)
        return blob + encode_string(self.application.encode()) if self.application else blob

    @property
    def text(self) -> str:
        """The blob in base64."""
        return encode_base64(self.encode())

    @property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of the blob: how the log names a signer."""
        return hashlib.sha256(self.encode()).hexdigest()

    @property
    def fingerprint(self) -> str:
        """The same hash as `ssh-keygen -l` shows it."""
        return "SHA256:" + encode_base64(bytes.fromhex(self.sha256)).rstrip("=")


@dataclass(frozen=True)
class SshSignature:
    """A signature and the key that is said to have made it. Parsing verifies nothing.

    `flags` and `counter` are a hardware key's: whether somebody touched it, and how often it has signed.
    """

    key: SshKey
    namespace: str
    hash_name: str
    signature: bytes
    flags: int = 0
    counter: int = 0

    def __post_init__(self) -> None:
        if self.hash_name not in _HASHES:
            raise FormatError(f"an SSH signature must be over sha512 or sha256, not {self.hash_name[:60]!r}")
        if _NAMESPACE.fullmatch(self.namespace) is None:
            raise FormatError("an SSH signature's namespace must be 1 to 128 printable ASCII characters without spaces")
        if len(self.signature) != ED25519_SIGNATURE_SIZE:
            raise FormatError(f"an SSH signature by Ed25519 has {ED25519_SIGNATURE_SIZE} bytes")

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a signature file that is spelt exactly as ssh-keygen does; FormatError for anything else."""
        if len(data) > limits.SSH_SIGNATURE_FILE or not data.isascii():
            raise FormatError(f"an SSH signature must be ASCII text of at most {limits.SSH_SIGNATURE_FILE} bytes")
        text = data.decode("ascii")
        inner = text.removeprefix(_BEGIN).removesuffix(_END)
        blob = decode_base64(inner.replace("\n", ""), "an SSH signature between its BEGIN and END lines")
        if not blob.startswith(_PREAMBLE + _VERSION.to_bytes(4)):
            raise FormatError("not an SSH signature of version 1")
        public, rest = decode_string(blob[len(_PREAMBLE) + 4 :])
        namespace, rest = decode_string(rest)
        _, rest = decode_string(rest)  # reserved; not empty, and it is not what we would write
        hash_name, rest = decode_string(rest)
        made, _ = decode_string(rest)
        kind, rest = decode_string(made)
        raw, tail = decode_string(rest)
        key = SshKey.parse(public)
        flags, counter = (tail[0], int.from_bytes(tail[1:])) if tail else (0, 0)
        found = cls(key, _ascii(namespace), _ascii(hash_name), raw, flags, counter & 0xFFFFFFFF)
        if _ascii(kind) != key.kind or found.encode() != data:
            raise FormatError("an SSH signature is not spelt as ssh-keygen does")
        return found

    def encode(self) -> bytes:
        """The signature file."""
        made = encode_string(self.key.kind.encode()) + encode_string(self.signature)
        if self.key.kind == SK_ED25519:
            made += bytes([self.flags]) + self.counter.to_bytes(4)
        blob = _PREAMBLE + _VERSION.to_bytes(4) + encode_string(self.key.encode())
        blob += b"".join(map(encode_string, (self.namespace.encode(), b"", self.hash_name.encode(), made)))
        text = encode_base64(blob)
        lines = [f"{text[start : start + _WIDTH]}\n" for start in range(0, len(text), _WIDTH)]
        return "".join([_BEGIN, *lines, _END]).encode("ascii")

    def check(self, message: bytes, namespace: str) -> None:
        """Return if the key signed `message` for `namespace`; else VerificationError."""
        if self.namespace != namespace:
            raise VerificationError(f"was signed for {self.namespace!r}, not for {namespace!r} (ssh-keygen -Y sign -n)")
        digest = hashlib.new(self.hash_name, message).digest()
        signed = _PREAMBLE + b"".join(map(encode_string, (namespace.encode(), b"", self.hash_name.encode(), digest)))
        if self.key.kind == SK_ED25519:
            # Without a touch, a program on the official's computer could have signed by itself.
            if not self.flags & USER_PRESENT:
                raise VerificationError(
                    "was made by a hardware key that nobody touched; make the key without no-touch-required"
                )
            application = hashlib.sha256(self.key.application.encode()).digest()
            tail = bytes([self.flags]) + self.counter.to_bytes(4)
            signed = application + tail + hashlib.sha256(signed).digest()
        try:
            crypto_sign_open(self.signature + signed, self.key.key)
        except CryptoError:
            raise VerificationError(f"does not hold: this is not what key {self.key.fingerprint} signed") from None


def _check_kind(kind: str) -> None:
    if kind not in {ED25519, SK_ED25519}:
        known = "make one with: ssh-keygen -t ed25519, or -t ed25519-sk for a hardware key"
        raise FormatError(f"an SSH key of type {kind[:60]!r} is not taken; {known}")


def encode_string(data: bytes) -> bytes:
    """RFC 4251's `string`: length (uint32), then the bytes."""
    return len(data).to_bytes(4) + data


def decode_string(data: bytes) -> tuple[bytes, bytes]:
    """A `string` at the beginning of `data`, and what follows it; FormatError if it is cut off."""
    size = int.from_bytes(data[:4])
    if len(data) < 4 or len(data) - 4 < size:
        raise FormatError("an SSH key or signature is cut off")
    return data[4 : 4 + size], data[4 + size :]


def _ascii(data: bytes) -> str:
    if not data.isascii():
        raise FormatError("an SSH key or signature has a name that is not ASCII")
    return data.decode("ascii")
