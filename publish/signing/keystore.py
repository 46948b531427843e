"""The folder `keys/`: secret keys, public keys by name, and which minisign key signs the files of which releases.

`keys/online/<name>.key`, `keys/offline/<name>.key` (or wherever the offline keys are taken), `keys/public/<name>.pub`,
`keys/minisign.json`, `keys/tlog-policy.txt`. A key that was replaced stays as `<name>.<n>`. A public key without its secret is another
person's, who signs elsewhere. Every step can be repeated after a stop, and no step loses a secret.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from builder import durable
from publish.config import LOG_KEY, MINISIGN_KEY, Config, Role
from publish.errors import KeyFileError, SigningError
from publish.signing.keys import OFFLINE_COST, ONLINE_COST, SecretKey, read_secret_key, write_secret_key
from publish.signing.offline import Offline
from publish.signing.repository import RoleKeys, tuf_key
from verifier import limits
from verifier.errors import FormatError
from verifier.formats.minisign import PublicKey
from verifier.formats.note import ED25519, VerifierKey
from verifier.formats.tlog_policy import Log, Policy
from verifier.log import POLICY_PATH
from verifier.results_signature import KEYS_FORMAT, MinisignKeys

__all__ = ["KeyStore", "Passphrases", "appoint", "encode_minisign_keys"]


@dataclass(frozen=True, repr=False)
class Passphrases:
    """Passphrases of the offline and of the online keys; None leaves new keys unencrypted."""

    offline: bytes | None
    online: bytes | None


class KeyStore:
    """The folder `directory` with the keys that `config` names; the offline ones may lie in another folder."""

    def __init__(self, directory: Path, config: Config, offline: Path | None = None) -> None:
        self.directory, self.config = directory, config
        self._public = directory / "public"
        self._minisign = directory / "minisign.json"
        self._policy = directory / "tlog-policy.txt"
        self._secret = {True: offline or directory / "offline", False: directory / "online"}

    def secret_path(self, name: str) -> Path:
        """Where the secret key `name` lies."""
        return self._secret[name in self.config.offline_keys] / f"{name}.key"

    def public_path(self, name: str) -> Path:
        return self._public / f"{name}.pub"

    def public(self, name: str) -> PublicKey:
        """The public key `name`; KeyFileError if there is none that can be read."""
        return self._read_public(self.public_path(name))

    def names(self) -> tuple[str, ...]:
        """All keys that the configuration names, offline ones first."""
        return (*self.config.offline_keys, *self.config.online_keys)

    def replaced(self, name: str) -> dict[str, PublicKey]:
        """The public keys that `name` had before, as `<name>.<n>`."""
        return {path.stem: self._read_public(path) for path in sorted(self._public.glob(f"{name}.*.pub"))}

    def role_keys(self, role: Role) -> RoleKeys:
        """The public keys that may sign `role`."""
        return RoleKeys(tuple(self.public(name) for name in role.keys), role.threshold)

    def create(self, name: str, passphrases: Passphrases, random: Callable[[int], bytes]) -> SecretKey | None:
        """Make the key `name` if it is not there yet. None if only its public half is there: another person's key."""
        path, public_path = self.secret_path(name), self.public_path(name)
        if public_path.exists() and not path.exists():
            self.public(name)
            return None
        key = self._read_or_generate(name, passphrases, random)
        if not public_path.exists():
            _make_folder(self._public)
            durable.write_file(public_path, key.public.file_text().encode())
        elif self.public(name) != key.public:
            raise KeyFileError(f"{public_path} is not the public half of {path}; move the wrong one away")
        if name == MINISIGN_KEY and not self._minisign.exists():
            durable.write_file(self._minisign, encode_minisign_keys(appoint(MinisignKeys(()), key.public, 1)))
        return key

    def rotate(
        self, name: str, passphrases: Passphrases, random: Callable[[int], bytes], next_release: int
    ) -> SecretKey:
        """Replace the key `name`; the old one stays as `<name>.<n>`. After a stop, the same call finishes the work.

        A new minisign key signs the files of `next_release` and later.
        """
        old = self.public(name)
        path, public_path = self.secret_path(name), self.public_path(name)
        number = next(
            n for n in count(1) if not self.public_path(f"{name}.{n}").exists() or self._is(f"{name}.{n}", old)
        )
        kept = path.with_name(f"{name}.{number}.key")
        if not kept.exists():
            try:
                os.rename(path, kept)
            except FileNotFoundError:
                raise KeyFileError(
                    f"{path} is not there, so {name} is replaced elsewhere: put the new public key at {public_path}"
                ) from None
            durable.sync_directory(path.parent)
        key = self._read_or_generate(name, passphrases, random)
        if name == MINISIGN_KEY:
            durable.write_file(
                self._minisign, encode_minisign_keys(appoint(self.minisign_keys(), key.public, next_release))
            )
        if name == LOG_KEY:
            self._replace_log_key(old, key.public)
        durable.write_file(self.public_path(f"{name}.{number}"), old.file_text().encode())
        durable.write_file(public_path, key.public.file_text().encode())
        return key

    def begin_policy(self, origin: str) -> None:
        """Write the policy of a log that nobody witnesses yet, where there is none: the operator adds witnesses to the file."""
        if not self._policy.exists():
            policy = Policy((Log(VerifierKey(origin, ED25519, self.public(LOG_KEY).key)),), (), (), None)
            durable.write_file(self._policy, policy.encode())

    def policy(self) -> Policy:
        """The log's trust policy as it is to be signed offline."""
        try:
            policy = Policy.parse(self._read(self._policy, limits.LOG_POLICY_FILE))
        except FormatError as error:
            raise KeyFileError(f"{self._policy}: {error}") from None
        if self.public(LOG_KEY).key not in [log.key.key for log in policy.logs]:
            raise KeyFileError(f"{self._policy} has no line for the log's key, {self.public_path(LOG_KEY)}")
        return policy

    def _replace_log_key(self, old: PublicKey, new: PublicKey) -> None:
        text = self._read(self._policy, limits.LOG_POLICY_FILE)
        for log in Policy.parse(text).logs:
            if log.key.key == old.key:
                after = VerifierKey(log.key.name, ED25519, new.key)
                text = text.replace(log.key.encode().encode(), after.encode().encode())
        durable.write_file(self._policy, text)

    def minisign_keys(self) -> MinisignKeys:
        """Which minisign key signs the files of which releases."""
        try:
            return MinisignKeys.parse(self._read(self._minisign, limits.TARGETS_METADATA))
        except FormatError as error:
            raise KeyFileError(f"{self._minisign}: {error}") from None

    def postpone(self, in_force: MinisignKeys, next_release: int) -> None:
        """Let a minisign key that is not in force yet sign from `next_release` on, if it should have begun before.

        While the offline keys had not signed for it, its releases were made with the key before it.
        """
        keys = self.minisign_keys()
        first, _, newest = keys.ranges[-1]
        if all(public != newest for _, _, public in in_force.ranges) and first < next_release:
            durable.write_file(self._minisign, encode_minisign_keys(appoint(in_force, newest, next_release)))

    def secret(self, name: str, public: PublicKey, passphrase: bytes | None) -> SecretKey:
        """The secret half of `public`: the key `name`, or one that it replaced.

        Until the offline keys have signed the new one, the old one is in force.
        """
        current = self.secret_path(name)
        for path in (current, *sorted(current.parent.glob(f"{name}.*.key"))):
            if path.exists() and (key := read_secret_key(path, passphrase)).public == public:
                return key
        raise KeyFileError(
            f"the secret half of {name} (key {public.name}) is not in {current.parent}; restore {current} from your backup, or: terbit keys rotate {name}"
        )

    def secret_of(self, keyid: str, passphrase: bytes | None) -> SecretKey | None:
        """The secret half of the key with this TUF keyid, replaced or not; None if it is not here."""
        for path in sorted(self._public.glob("*.pub")):
            public = self._read_public(path)
            if tuf_key(public).keyid == keyid and self.secret_path(path.stem).exists():
                return self.secret(path.stem, public, passphrase)
        return None

    def minisign_secrets(self, keys: MinisignKeys, passphrase: bytes | None) -> list[tuple[int, SecretKey]]:
        """Each appointed minisign key with the first release that it signs, the oldest first."""
        return [(first, self.secret(MINISIGN_KEY, public, passphrase)) for first, _, public in keys.ranges]

    def trust_files(self, definition: Mapping[str, bytes]) -> dict[str, bytes]:
        """The TUF targets of the role `trust`: the definition's files, minisign.json, the log's policy, and the public keys in use."""
        appointed = {public for _, _, public in self.minisign_keys().ranges}
        if self.public(MINISIGN_KEY) not in appointed:
            raise KeyFileError(
                f"{self._minisign} does not name {self.public_path(MINISIGN_KEY)}; restore it from a backup"
            )
        self.policy()
        # Files of old releases keep the signatures of old minisign keys; other keys are of no use once replaced.
        paths = {self.public_path(name) for name in self.names()}
        paths |= {path for path in self._public.glob(f"{MINISIGN_KEY}.*.pub") if self._read_public(path) in appointed}
        return {
            **{f"trust/{name}": data for name, data in definition.items()},
            "trust/minisign.json": self._read(self._minisign, limits.TARGETS_METADATA),
            POLICY_PATH: self._read(self._policy, limits.LOG_POLICY_FILE),
            **{f"keys/{path.name}": self._read_public(path).file_text().encode() for path in sorted(paths)},
        }

    def _read_or_generate(self, name: str, passphrases: Passphrases, random: Callable[[int], bytes]) -> SecretKey:
        path = self.secret_path(name)
        offline = name in self.config.offline_keys
        passphrase = passphrases.offline if offline else passphrases.online
        if path.exists():
            return read_secret_key(path, passphrase)
        _make_folder(path.parent, 0o700)
        key = SecretKey.generate(random)
        write_secret_key(path, key, passphrase, OFFLINE_COST if offline else ONLINE_COST, random)
        return key

    def _is(self, name: str, key: PublicKey) -> bool:
        return self.public(name) == key

    def _read_public(self, path: Path) -> PublicKey:
        try:
            return PublicKey.parse(self._read(path, limits.PUBLIC_KEY_FILE))
        except FormatError as error:
            raise KeyFileError(f"{path}: {error}") from None

    def _read(self, path: Path, cap: int) -> bytes:
        try:
            with path.open("rb") as file:
                data = file.read(cap + 1)
        except FileNotFoundError:
            raise KeyFileError(f"{path} is not there; {self._mend(path)}") from None
        except OSError as error:
            raise KeyFileError(f"{path} cannot be read: {error.strerror}") from error
        if len(data) > cap:
            raise KeyFileError(f"{path} is too big (at most {cap} bytes)")
        return data

    def _mend(self, path: Path) -> str:
        """How to get a public file back that is lost: what was signed lies here under its hash."""
        offline = Offline(self.directory)
        if offline.chain() is None:
            return "run: terbit keys init"
        copy = offline.signed_copy(f"{'keys' if path.parent == self._public else 'trust'}/{path.name}")
        return f"run: cp '{copy}' '{path}'" if copy else "restore it from your backup"


def appoint(keys: MinisignKeys, public: PublicKey, release: int) -> MinisignKeys:
    """Let `public` sign the files of `release` and later, and the key before it those up to `release` - 1."""
    if keys.ranges and keys.ranges[-1][2] == public:
        return keys
    if not keys.ranges:
        return MinisignKeys(((1, None, public),))
    *earlier, (first, _, old) = keys.ranges
    if release < first:
        raise SigningError(f"key {old.name} is appointed from release {first}, so {release} cannot be the next one")
    if release > first:
        earlier.append((first, release - 1, old))
    return MinisignKeys((*earlier, (release, None, public)))


def encode_minisign_keys(keys: MinisignKeys) -> bytes:
    """`trust/minisign.json` (docs/formats.md, "Signature of one results file")."""
    entries = [{"from": first, "to": last, "public": public.encode()} for first, last, public in keys.ranges]
    return json.dumps({"format": KEYS_FORMAT, "keys": entries}, separators=(",", ":"), sort_keys=True).encode() + b"\n"


def _make_folder(path: Path, mode: int = 0o755) -> None:
    path.mkdir(mode=mode, parents=True, exist_ok=True)
    durable.sync_directory(path.parent)
