"""Officials for tests: Ed25519 keys, in software or as a hardware key would sign, without OpenSSH."""

import hashlib

from nacl.signing import SigningKey

from verifier.formats.sshsig import ED25519, SK_ED25519, SshKey, SshSignature, encode_string
from verifier.officials import namespace

__all__ = ["Official"]


class Official:
    """Whoever holds the key made from the word `name`."""

    def __init__(self, name: str, *, hardware: bool = False) -> None:
        self._secret = SigningKey(hashlib.sha256(name.encode()).digest())
        kind, application = (SK_ED25519, "ssh:") if hardware else (ED25519, "")
        self.key = SshKey(kind, bytes(self._secret.verify_key), application)

    def line(self, areas: str, election: str, dates: str = "") -> str:
        """The line of allowed_signers that enrols the key; `dates` as `,valid-before="…"`."""
        return f'{areas} namespaces="{namespace(election)}"{dates} {self.key.kind} {self.key.text}\n'

    def sign(self, message: bytes, space: str, *, hash_name: str = "sha512", flags: int = 1, counter: int = 7) -> bytes:
        """What `ssh-keygen -Y sign -n <space>` writes; `flags` and `counter` are a hardware key's."""
        strings = (space.encode(), b"", hash_name.encode(), hashlib.new(hash_name, message).digest())
        signed = b"SSHSIG" + b"".join(map(encode_string, strings))
        if self.key.kind == ED25519:
            flags = counter = 0
        else:
            tail = bytes([flags]) + counter.to_bytes(4)
            signed = hashlib.sha256(b"ssh:").digest() + tail + hashlib.sha256(signed).digest()
        made = self._secret.sign(signed).signature
        return SshSignature(self.key, space, hash_name, made, flags, counter).encode()
