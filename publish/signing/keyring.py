"""The keys of one run: who signs which online role and for how long, on the trust that was signed offline."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

from builder.parts import parts
from publish.config import LOG_KEY, OFFLINE_ROLES, Role
from publish.errors import PublishError, SigningError
from publish.officials import trust_files
from publish.release.jobs import MinisignKey
from publish.signing import repository
from publish.signing.ceremony import make_plan
from publish.signing.keys import SecretKey
from publish.signing.keystore import KeyStore
from publish.signing.offline import Offline, Trust
from publish.signing.repository import RoleFile, RoleKeys, role_file, tuf_key
from publish.workspace import Workspace
from verifier.formats.minisign import PublicKey
from verifier.formats.note import VerifierKey
from verifier.formats.tlog_policy import Policy
from verifier.log import POLICY_PATH
from verifier.officials import SIGNERS_PATH
from verifier.printable import counted
from verifier.results_signature import MinisignKeys
from verifier.tuf_api import Metadata, Targets

__all__ = ["Keyring"]


class Keyring:
    """Opens secret keys when they are first needed, each once."""

    def __init__(self, workspace: Workspace, passphrase_file: Path | None = None) -> None:
        self.workspace, self.config = workspace, workspace.config
        self.store = KeyStore(workspace.keys, workspace.config)
        self._passphrase_file = passphrase_file
        self._secrets: dict[str, SecretKey] = {}

    @cached_property
    def trust(self) -> Trust:
        """The offline-signed metadata in force and the files that it vouches for."""
        return Offline(self.workspace.keys).current()

    def check(self) -> None:
        """Make sure that the trust in force vouches for this definition and these keys.

        Raises:
            SigningError: it does not; new metadata must be prepared and signed offline before the next release.
        """
        wanted: dict[str, bytes | None] = {SIGNERS_PATH: None}
        wanted |= {f"trust/{name}": data for name, data in trust_files(self.workspace.inputs).items()}
        changed = [path for path, data in sorted(wanted.items()) if self.trust.files.get(path) != data]
        changed += [POLICY_PATH] if POLICY_PATH not in self.trust.files else []
        changed += [f"the key {name}" for name in self.config.online_keys if f"keys/{name}.pub" not in self.trust.files]
        changed += [
            f"the group {group}"
            for group in self.workspace.definition.election.groups
            if not delegates(self.trust, group)
        ]
        if changed:
            # Where its author finds it.
            name = changed[0].replace("trust/", f"{self.config.content}/") if changed[0] in wanted else changed[0]
            raise SigningError(f"{name} is not what the offline keys signed{self._remedy()}")

    def _remedy(self) -> str:
        """What has to be done for this definition and these keys to be signed: a draft that says what they ask for may be waiting already."""
        offline, groups = Offline(self.workspace.keys), self.workspace.definition.election.groups
        try:
            if pending := offline.pending():
                offline.check(pending, make_plan(self.store, groups, trust_files(self.workspace.inputs)))
                return f": {', '.join(offline.unsigned())} waits for them in {self.config.keys}/pending; run: terbit sign --key FILE"
        except PublishError:  # what waits says something else
            pass
        threshold = self.config.role("trust").threshold
        return f"; run: terbit keys refresh, then terbit sign with {counted(threshold, 'offline key')}"

    def validity(self, role: str) -> timedelta:
        """How long metadata of `role` is good for from its signing on."""
        return self.config.role(role).validity

    @cached_property
    def passphrase(self) -> bytes | None:
        """Passphrase of the online keys; None when there is none."""
        return self._passphrase_file.read_bytes().rstrip(b"\r\n") if self._passphrase_file else None

    @cached_property
    def minisign(self) -> tuple[MinisignKey, ...]:
        keys = MinisignKeys.parse(self.trust.files["trust/minisign.json"])
        return tuple(MinisignKey(first, key) for first, key in self.store.minisign_secrets(keys, self.passphrase))

    @cached_property
    def policy(self) -> Policy:
        """The log's trust policy in force: who must have seen a release before it is public."""
        return Policy.parse(self.trust.files[POLICY_PATH])

    @cached_property
    def log_key(self) -> VerifierKey:
        """The log's key as the policy in force names it."""
        public = self._public(LOG_KEY)
        named = [log.key for log in self.policy.logs if log.key.key == public.key]
        if not named:
            raise SigningError(
                f"{POLICY_PATH} in force does not name the log's key {public.name}; run: terbit keys refresh"
            )
        return named[0]

    @cached_property
    def log_secret(self) -> SecretKey:
        return self.store.secret(LOG_KEY, self._public(LOG_KEY), self.passphrase)

    def online_role(self, role: str, version: int, signed: datetime, targets: Mapping[str, tuple[int, str]]) -> bytes:
        """Signed metadata of `site`, a group or a shard."""
        expires, keys = signed + self.validity(role), self._signers(role)
        if role not in self.workspace.definition.election.groups:
            return repository.shard_metadata(version, expires, targets, keys)
        shards = {shard: self._role_keys(self.config.role(f"{role}-{shard}")) for shard in self._shards[role]}
        return repository.group_metadata(role, version, expires, targets, shards=shards, keys=keys)

    def snapshot(self, release: int, signed: datetime, roles: Mapping[str, RoleFile]) -> bytes:
        every = {**offline_files(self.trust), **roles}
        return repository.snapshot_metadata(
            release, signed + self.validity("snapshot"), every, self._signers("snapshot")
        )

    def timestamp(
        self, version: int, now: datetime, snapshot: bytes, release: int, standing: Iterable[bytes] = ()
    ) -> bytes:
        """A timestamp signed by the keys in force, and by those of the timestamps `standing` that it is to replace, as far as they are here still.

        A client asks for the old keys until a release has shown it the newer root.
        """
        keys = {tuf_key(key.public).keyid: key for key in self._signers("timestamp")}
        for keyid in {keyid for data in standing for keyid in repository.signatures_of(data)} - keys.keys():
            if (key := self.store.secret_of(keyid, self.passphrase)) is not None:
                keys[keyid] = key
        return repository.timestamp_metadata(
            version, now + self.validity("timestamp"), release, snapshot, list(keys.values())
        )

    def signed_snapshot(self, data: bytes, release: int) -> bool:
        """True if `data` is the snapshot of `release`, signed with one of our keys."""
        return repository.is_snapshot(data, release, [self._public(name) for name in self.config.role("snapshot").keys])

    def named_snapshot(self, timestamp: bytes) -> RoleFile | None:
        """The snapshot that a timestamp of ours names; None for one that not enough of that role's keys signed."""
        role = self.config.role("timestamp")
        return repository.named_snapshot(timestamp, [self._public(name) for name in role.keys], role.threshold)

    def unlock(self) -> None:
        """Open every key that a release needs, so that a missing or wrong one stops the run before anything is done."""
        _ = self.trust, self.minisign, self.log_key, self.log_secret
        for role in self.config.roles:
            if role not in OFFLINE_ROLES:
                self._signers(role)

    @cached_property
    def _shards(self) -> dict[str, set[str]]:
        """What each group delegates to: the shards in which its contests have areas, and its data files; a role without metadata would be nobody's."""
        found: dict[str, set[str]] = {group: set() for group in self.workspace.definition.election.groups}
        for part in parts(self.workspace.definition):
            group, _, shard = part.role.partition("-")
            if shard:
                found[group].add(shard)
        return found

    def _role_keys(self, role: Role) -> RoleKeys:
        return RoleKeys(tuple(self._public(name) for name in role.keys), role.threshold)

    def _public(self, name: str) -> PublicKey:
        """The public key in force: a rotated key counts from the moment that the offline keys have signed for it."""
        return PublicKey.parse(self.trust.files[f"keys/{name}.pub"])

    @cached_property
    def waits_for_others(self) -> bool:
        """True if some role of a release needs a signature by a key that is not here."""
        roles = [role for role in self.config.roles if role not in {*OFFLINE_ROLES, "timestamp"}]
        return any(len(self._signers(role)) < self.config.role(role).threshold for role in roles)

    def keyids(self, *, ours: bool) -> list[str]:
        """The keyids of the keys that sign releases and are here, or of those that are not."""
        roles = [role for name, role in self.config.roles.items() if name not in OFFLINE_ROLES]
        names = {key for role in roles for key in role.keys if self.store.secret_path(key).exists() == ours}
        return sorted(tuf_key(self._public(name)).keyid for name in names)

    def with_signatures(self, role: str, data: bytes, signatures: Mapping[str, str]) -> bytes:
        """Metadata of an online role with other signers' signatures. SigningError while they are too few."""
        return repository.with_signatures(data, signatures, self._role_keys(self.config.role(role)), f"role {role}")

    def _signers(self, name: str) -> list[SecretKey]:
        role = self.config.role(name)
        for key in role.keys:
            if key not in self._secrets and self.store.secret_path(key).exists():
                self._secrets[key] = self.store.secret(key, self._public(key), self.passphrase)
        found = [self._secrets[key] for key in role.keys if key in self._secrets]
        # Where there is an exchange, the others sign there; nobody but the publisher signs timestamps.
        if len(found) < role.threshold and (name == "timestamp" or self.config.exchange is None):
            lost = [key for key in role.keys if key not in self._secrets]
            raise SigningError(
                f"role {name} needs {role.threshold} of the keys {', '.join(role.keys)}, and {len(found)} can be had here; "
                f"restore {self.store.secret_path(lost[0])} from your backup, or: terbit keys rotate {lost[0]}"
            )
        return found


def delegates(trust: Trust, role: str) -> bool:
    """True if the top-level targets in force delegate to `role`: what they do not delegate no client would ever see."""
    metadata: Metadata[Targets] = Metadata.from_bytes(
        next(data for name, data in trust.metadata.items() if name.endswith(".targets.json"))
    )
    delegations = metadata.signed.delegations
    return delegations is not None and role in (delegations.roles or {})


def offline_files(trust: Trust) -> dict[str, RoleFile]:
    """`targets` and `trust` as the snapshot names them."""
    found = {}
    for name, data in trust.metadata.items():
        version, role, _ = name.split(".")
        if role != "root":
            found[role] = role_file(int(version), data)
    return found
