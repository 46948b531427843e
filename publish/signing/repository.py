"""TUF metadata of an election, as bytes. Pure: time, versions, files and keys are parameters; same in, same out.

Specification: TUF 1.0; roles, paths and versions: docs/formats.md, "TUF metadata". The objects are python-tuf's.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from securesystemslib.exceptions import UnverifiedSignatureError
from tuf.api.serialization import DeserializationError

from builder.parts import DATA_FILES, SIREKAP
from publish.errors import SigningError
from publish.signing.keys import SecretKey
from verifier.errors import FormatError
from verifier.files import BESIDE_RESULTS
from verifier.formats import canonical_json, minisign, strict_json
from verifier.formats.keyid import keyid
from verifier.tuf_api import (
    DelegatedRole,
    Delegations,
    Key,
    Metadata,
    MetaFile,
    Role,
    Root,
    Signature,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

__all__ = [
    "RoleFile",
    "RoleKeys",
    "delegated_paths",
    "group_metadata",
    "is_snapshot",
    "named_snapshot",
    "role_file",
    "root_metadata",
    "shard_metadata",
    "sign",
    "signatures_of",
    "signed_part",
    "snapshot_metadata",
    "targets_metadata",
    "timestamp_metadata",
    "trust_metadata",
    "tuf_key",
    "with_signatures",
]

TOP_LEVEL = ("root", "targets", "snapshot", "timestamp")


@dataclass(frozen=True)
class RoleKeys:
    """Who may sign a role: `threshold` of `keys`. SigningError where that many different keys are not there."""

    keys: tuple[minisign.PublicKey, ...]
    threshold: int

    def __post_init__(self) -> None:
        different = len({key.key for key in self.keys})
        if different < len(self.keys):
            raise SigningError(
                "one key stands under two names; a threshold is worth something only with different keys"
            )
        if not 1 <= self.threshold <= different:
            raise SigningError(f"a threshold of {self.threshold} cannot be reached with {different} keys")


class RoleFile(NamedTuple):
    """A role's metadata as the snapshot names it: version, length in bytes, hex sha256."""

    version: int
    length: int
    sha256: str


def role_file(version: int, data: bytes) -> RoleFile:
    """How the snapshot names the metadata `data`."""
    return RoleFile(version, len(data), hashlib.sha256(data).hexdigest())


@lru_cache(maxsize=1024)
def tuf_key(public: minisign.PublicKey) -> Key:
    """The key as TUF knows it. Its keyid is the hash of its canonical JSON, in which minisign's key id has no part."""
    description = {"keytype": "ed25519", "keyval": {"public": public.key.hex()}, "scheme": "ed25519"}
    return Key.from_dict(keyid(description), description)


def delegated_paths(role: str) -> list[str]:
    """Patterns of the TUF targets that `role` may sign (trust, site, `<group>`, `<group>-data-files` or `<group>-<shard>`)."""
    site = ["*", "en/*", "assets/*", "schema/*", "inputs/*", "packs/*", "search/*", "feeds/*", "sirekap/pemilu/hhcw/*"]
    fixed = {"trust": ["trust/*", "keys/*"], "site": site}
    if role in fixed:
        return fixed[role]
    # A glob does not cross "/": each depth, language and kind of file stands on its own.
    group, _, shard = role.partition("-")
    if shard.endswith(f"-{SIREKAP}"):
        return _sirekap_paths(group, shard.removesuffix(f"-{SIREKAP}"))
    folders = ["*"] if shard == DATA_FILES else [f"{shard}/*"] if shard else ["*", "*/*"]
    paths = [
        f"{kind}{contest}/{rest}"
        for kind in (BESIDE_RESULTS if shard == DATA_FILES else ("", "en/", *BESIDE_RESULTS))
        for contest in (group, f"{group}-*")
        for rest in folders
    ]
    return paths if shard else [*paths, *_sirekap_paths(group, shard)]


def _sirekap_paths(group: str, shard: str) -> list[str]:
    """Of a group's, a shard's or data files' part in Sirekap's shape, in which the shard's folder lies in that of the area above it."""
    below = [f"*/{shard}/{rest}" for rest in ("*", "*/*", "*/*/*")]
    ways = {"": ["*", "*/*", "*/*/*", "*/*/*/*", "*/*/*/*/*"], DATA_FILES: ["*", "*/*"]}.get(shard, below)
    return [f"{folder}/{group}/{way}" for folder in ("sirekap/pemilu/hhcw", "sirekap/wilayah/pemilu") for way in ways]


def root_metadata(version: int, expires: datetime, roles: Mapping[str, RoleKeys]) -> bytes:
    """Unsigned root metadata; `roles` has the keys of root, targets, snapshot and timestamp."""
    root = Root(
        version=version,
        expires=expires,
        keys=_keys(roles[name] for name in TOP_LEVEL),
        roles={name: Role(_keyids(roles[name]), roles[name].threshold) for name in TOP_LEVEL},
        consistent_snapshot=True,
    )
    return _signed(root, ())


def targets_metadata(version: int, expires: datetime, delegations: Mapping[str, RoleKeys]) -> bytes:
    """Unsigned top-level targets metadata: only delegations, searched in their order (trust, site, groups)."""
    return _signed(Targets(version=version, expires=expires, delegations=_delegations(delegations)), ())


def trust_metadata(version: int, expires: datetime, files: Mapping[str, bytes]) -> bytes:
    """Unsigned metadata of the role `trust` over `files` (path to bytes)."""
    targets = {path: (len(data), hashlib.sha256(data).hexdigest()) for path, data in files.items()}
    return _signed(Targets(version=version, expires=expires, targets=_targets(targets)), ())


def group_metadata(
    group: str,
    version: int,
    expires: datetime,
    targets: Mapping[str, tuple[int, str]],
    *,
    shards: Mapping[str, RoleKeys],
    keys: Sequence[SecretKey],
) -> bytes:
    """Metadata of the role `group`, signed by `keys`.

    `targets` maps each path above the shard level to (length, hex sha256); `shards` maps each shard's name in paths
    (`1101`, `n990972`) to the keys of its role `<group>-<shard>`.
    """
    delegations = {f"{group}-{shard}": role for shard, role in sorted(shards.items())}
    return _signed(
        Targets(version=version, expires=expires, targets=_targets(targets), delegations=_delegations(delegations)),
        keys,
    )


def shard_metadata(
    version: int, expires: datetime, targets: Mapping[str, tuple[int, str]], keys: Sequence[SecretKey]
) -> bytes:
    """Metadata of `site` or of one shard's role, which only list files, signed by `keys`; `targets` maps path to (length, hex sha256)."""
    return _signed(Targets(version=version, expires=expires, targets=_targets(targets)), keys)


def snapshot_metadata(
    version: int, expires: datetime, roles: Mapping[str, RoleFile], keys: Sequence[SecretKey]
) -> bytes:
    """Snapshot metadata, signed by `keys`; `roles` are all targets roles, `targets` and `trust` included."""
    meta = {f"{name}.json": _meta_file(file) for name, file in roles.items()}
    return _signed(Snapshot(version=version, expires=expires, meta=meta), keys)


def timestamp_metadata(
    version: int, expires: datetime, snapshot_version: int, snapshot: bytes, keys: Sequence[SecretKey]
) -> bytes:
    """Timestamp metadata for the bytes `snapshot`, signed by `keys`."""
    meta = _meta_file(role_file(snapshot_version, snapshot))
    return _signed(Timestamp(version=version, expires=expires, snapshot_meta=meta), keys)


def is_snapshot(data: bytes, version: int, keys: Iterable[minisign.PublicKey]) -> bool:
    """True if `data` is snapshot metadata of this version with a signature by one of `keys`."""
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(data)
        payload = canonical_json.encode(metadata.signed.to_dict())
    except (DeserializationError, ValueError):
        return False
    if not isinstance(metadata.signed, Snapshot) or metadata.signed.version != version:
        return False
    return any(_signs(metadata.signatures.get(tuf_key(key).keyid), key, payload) for key in keys)


def named_snapshot(data: bytes, keys: Iterable[minisign.PublicKey], threshold: int = 1) -> RoleFile | None:
    """The snapshot that a timestamp names; None if fewer than `threshold` of `keys` signed it."""
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(data)
        payload = canonical_json.encode(metadata.signed.to_dict())
    except (DeserializationError, ValueError):
        return None
    if not isinstance(metadata.signed, Timestamp):
        return None
    if sum(_signs(metadata.signatures.get(tuf_key(key).keyid), key, payload) for key in set(keys)) < threshold:
        return None
    meta = metadata.signed.snapshot_meta
    return RoleFile(meta.version, meta.length or 0, (meta.hashes or {}).get("sha256", ""))


def _signs(signature: Signature | None, key: minisign.PublicKey, payload: bytes) -> bool:
    if signature is None:
        return False
    try:
        tuf_key(key).verify_signature(signature, payload)
    except UnverifiedSignatureError:
        return False
    return True


def sign(data: bytes, keys: Iterable[SecretKey]) -> bytes:
    """The metadata `data` with the signatures of `keys` added to those that it has."""
    metadata: Metadata[Any] = Metadata.from_bytes(data)
    return _add_signatures(metadata, keys)


def signed_part(data: bytes, what: str) -> dict[str, Any]:
    """What metadata says, read strictly. FormatError, naming `what`, if it says it in two ways or not at all."""
    match strict_json.loads(data, what):
        case {"signed": dict(signed)}:
            return signed
    raise FormatError(f"{what} is no signed metadata")


def signatures_of(data: bytes) -> dict[str, str]:
    """The signatures of metadata that is known to be good otherwise: hexadecimal, by keyid."""
    return {keyid: one.signature for keyid, one in Metadata[Any].from_bytes(data).signatures.items()}


def with_signatures(data: bytes, signatures: Mapping[str, str], role: RoleKeys, what: str) -> bytes:
    """The metadata `data` with those of `signatures` added that keys of `role` made of it: the same bytes, whoever puts them together.

    Raises:
        SigningError: with them it still has fewer than the role's threshold.
    """
    metadata: Metadata[Any] = Metadata.from_bytes(data)
    payload = canonical_json.encode(metadata.signed.to_dict())
    known = {tuf_key(key).keyid: key for key in role.keys}
    for name, signature in signatures.items():
        one = Signature(name, signature)
        if name in known and _signs(one, known[name], payload):
            metadata.signatures.setdefault(name, one)
    if len(metadata.signatures) < role.threshold:
        raise SigningError(f"{what} has {len(metadata.signatures)} good signatures and needs {role.threshold}")
    metadata.signatures = dict(sorted(metadata.signatures.items()))
    return metadata.to_bytes()


def _signed(signed: Root | Targets | Snapshot | Timestamp, keys: Iterable[SecretKey]) -> bytes:
    metadata: Metadata[Any] = Metadata(signed)
    return _add_signatures(metadata, keys)


def _add_signatures(metadata: Metadata[Any], keys: Iterable[SecretKey]) -> bytes:
    payload = canonical_json.encode(metadata.signed.to_dict())
    for key in keys:
        keyid = tuf_key(key.public).keyid
        metadata.signatures[keyid] = Signature(keyid, key.sign(payload).hex())
    metadata.signatures = dict(sorted(metadata.signatures.items()))
    return metadata.to_bytes()


def _keyids(role: RoleKeys) -> list[str]:
    return sorted(tuf_key(key).keyid for key in role.keys)


def _keys(roles: Iterable[RoleKeys]) -> dict[str, Key]:
    return {tuf_key(key).keyid: tuf_key(key) for role in roles for key in role.keys}


def _delegations(roles: Mapping[str, RoleKeys]) -> Delegations:
    # Terminating: a path belongs to one role alone, so that no role further on can answer for what this one lacks.
    return Delegations(
        keys=_keys(roles.values()),
        roles={
            name: DelegatedRole(name, _keyids(role), role.threshold, terminating=True, paths=delegated_paths(name))
            for name, role in roles.items()
        },
    )


def _targets(targets: Mapping[str, tuple[int, str]]) -> dict[str, TargetFile]:
    return {path: TargetFile(length, {"sha256": sha256}, path) for path, (length, sha256) in targets.items()}


def _meta_file(file: RoleFile) -> MetaFile:
    return MetaFile(file.version, file.length, {"sha256": file.sha256})
