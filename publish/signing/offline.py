"""Metadata that is signed offline (root, targets, trust), on disk, from draft to in force.

`keys/pending/` holds what waits for signatures, `keys/metadata/` what is or was in force, `keys/trust/<sha256>` the
files that `trust` lists. Each file appears as a whole. What is in force is what verifies, newest first, so that a
stop between two renames leaves a state that clients accept.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from tuf.api.exceptions import RepositoryError
from tuf.api.serialization import DeserializationError

from builder import durable
from builder.hashing import input_hash
from publish.config import OFFLINE_ROLES
from publish.errors import SigningError
from publish.signing import repository
from publish.signing.keys import SecretKey
from publish.signing.purpose import DEFINITION, check_purpose
from publish.signing.repository import RoleKeys, tuf_key
from publish.signing.signable import check_same, check_signable
from verifier.tuf_api import Metadata, Root, Targets

__all__ = ["Chain", "File", "Offline", "Plan", "Signers", "Trust"]

# New metadata is drafted when less than this part of its validity is left.
REFRESH_PART = 0.1


@dataclass(frozen=True)
class Plan:
    """What the offline metadata should say: `root` has root, targets, snapshot and timestamp; `delegations` trust,
    site and the groups in order; `files` the TUF targets of trust; `validity` root, targets and trust."""

    root: Mapping[str, RoleKeys]
    delegations: Mapping[str, RoleKeys]
    files: Mapping[str, bytes]
    validity: Mapping[str, timedelta]


@dataclass(frozen=True)
class Trust:
    """What is in force: `metadata` by file name (every root, one targets, one trust), the `files` that trust lists by
    path, and `sha256`, which changes whenever one of root, targets and trust does."""

    metadata: Mapping[str, bytes]
    files: Mapping[str, bytes]
    sha256: str


class File(NamedTuple):
    """One metadata file, `<version>.<role>.json`."""

    role: str
    version: int
    data: bytes
    metadata: Metadata[Any]

    @property
    def name(self) -> str:
        return f"{self.version}.{self.role}.json"

    @property
    def expires(self) -> datetime:
        expires: datetime = self.metadata.signed.expires
        return expires


class Chain(NamedTuple):
    """A root, the targets that it vouches for, and the trust that those vouch for."""

    root: File
    targets: File
    trust: File


class Signers(NamedTuple):
    """Who must sign a pending file: `threshold` of `keyids`, of which `signed` have. `whose` says whose rule it is."""

    whose: str
    threshold: int
    keyids: frozenset[str]
    signed: frozenset[str]

    @property
    def complete(self) -> bool:
        return len(self.signed) >= self.threshold


class Offline:
    """The offline metadata under `directory` (the workspace's `keys/`)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._pending, self._metadata, self._trust = (directory / name for name in ("pending", "metadata", "trust"))

    def current(self) -> Trust:
        """What is in force; SigningError if nothing is yet."""
        chain = self.chain()
        if chain is None:
            self.check_not_lost()
            waiting = ", ".join(self.unsigned())
            raise SigningError(
                f"nothing in {self._metadata} is signed by enough keys: {waiting} waits in {self._pending}; run: terbit sign --key FILE"
                if waiting
                else f"no keys are in force in {self.directory}; run: terbit keys init"
            )
        roots = {file.name: file.data for file in _read_folder(self._metadata) if file.role == "root"}
        newest = {file.name: file.data for file in chain}
        return Trust({**roots, **newest}, self.trust_files(chain.trust), input_hash(newest))

    def check_not_lost(self) -> None:
        """SigningError where metadata was in force and does not hold together any more: new keys would be a new root, which nobody trusts."""
        if self.chain() is None and _read_folder(self._metadata) and not self.pending():
            raise SigningError(
                f"{self._metadata} is not whole: no root leads to what it holds; restore it from your backup, or from metadata/ of what is published"
            )

    def chain(self) -> Chain | None:
        """The metadata in force, None if there is none."""
        return _choose(_read_folder(self._metadata))

    def pending(self) -> list[File]:
        """What waits for signatures: root, targets, trust, as far as they do."""
        return _read_folder(self._pending)

    def unsigned(self) -> Iterator[str]:
        """The names of what waits, each with how many signatures of how many it has."""
        pending = self.pending()
        for file in pending:
            short = [one for one in self.signers(file, pending) if not one.complete]
            yield file.name + "".join(f" ({len(one.signed)} of {one.threshold} signatures)" for one in short[:1])

    def prepare(self, plan: Plan, now: datetime) -> list[str]:
        """Draft, unsigned, what must change for `plan` to be in force, or will soon expire; returns what is pending.

        A draft that already says so keeps its signatures; any other is removed.

        Raises:
            SigningError: the keys in force are a rehearsal's and the plan is not, or the other way round.
        """
        chain = self.chain()
        if chain is not None:
            check_purpose(self.trust_file(chain.trust, DEFINITION), plan.files.get(DEFINITION))
        waiting = {file.name: file for file in self.pending()}
        drafts: dict[str, File] = {}
        for role in OFFLINE_ROLES:
            present = getattr(chain, role) if chain else None
            if present and not self._is_due(present, plan, now) and _still_vouched(present, drafts):
                continue
            version = present.version + 1 if present else 1
            expires = now + plan.validity[role]
            drafts[role] = _parse(f"{version}.{role}.json", _draft(role, version, expires, plan))
            kept = waiting.get(drafts[role].name)
            # One that would end later than the plan says was not drafted here.
            if kept and not self._is_due(kept, plan, now) and kept.expires <= drafts[role].expires:
                drafts[role] = kept
        self._write_drafts(drafts.values(), plan)
        return [file.name for file in drafts.values()]

    def signers(self, file: File, pending: Sequence[File]) -> list[Signers]:
        """Who must sign `file`, one of `pending`: for a root, keys of the root before it and keys of its own."""
        chain = self.chain()
        if file.role == "root":
            before = [_signers("the root in force", chain.root, file)] if chain else []
            return [*before, _signers("the new root", file, file)]
        delegator = "root" if file.role == "targets" else "targets"
        waiting = next((one for one in pending if one.role == delegator), None)
        found = waiting or (getattr(chain, delegator) if chain else None)
        return [_signers(found.name, found, file)] if found else []

    def may_sign(self, pending: Sequence[File]) -> dict[str, set[str]]:
        """The keyids that have a say in each of `pending`, by its name."""
        return {file.name: {keyid for one in self.signers(file, pending) for keyid in one.keyids} for file in pending}

    def check(self, pending: Sequence[File], plan: Plan | None = None) -> None:
        """That each of `pending` may be signed: the next version, and nothing in it that signers are not shown.

        Raises:
            SigningError: one may not, or does not say what `plan`, if there is one, does; or it is a rehearsal's and the keys in force are not, or
                the other way round.
        """
        chain = self.chain()
        for file in pending:
            where, signed = self._pending / file.name, file.metadata.signed
            following = getattr(chain, file.role).version + 1 if chain else 1
            if file.version != following:
                raise SigningError(f"{where}: the next version is {following}; run: terbit keys refresh")
            check_signable(file.role, signed, where)
            if chain is not None and file.role == "trust" and _definition(chain.trust) != _definition(file):
                check_purpose(*(self.trust_file(one, DEFINITION) for one in (chain.trust, file)))
            if plan is not None:
                mend = (
                    "The latter is what terbit.toml, keys/public and content here ask for; have it: terbit keys refresh"
                )
                check_same(signed, _draft(file.role, file.version, file.expires, plan), where, mend)

    def add_signatures(self, pending: Sequence[File], keys: Sequence[SecretKey]) -> list[tuple[str, SecretKey]]:
        """Sign `pending`, which was shown, each file with the keys that have a say in it; returns (file, key) of each.

        Raises:
            SigningError: nothing waits, it may not be signed, or one of the keys has no say in anything that does.
        """
        if not pending:
            raise SigningError("nothing waits for a signature")
        self.check(pending)
        may_sign = self.may_sign(pending)
        for key in keys:
            if not any(tuf_key(key.public).keyid in keyids for keyids in may_sign.values()):
                raise SigningError(f"key {key.public.name} has no say in {', '.join(may_sign)}")
        made = []
        for file in pending:
            able = [key for key in keys if tuf_key(key.public).keyid in may_sign[file.name]]
            durable.write_file(self._pending / file.name, repository.sign(file.data, able))
            made += [(file.name, key) for key in able]
        return made

    def promote(self) -> list[str]:
        """Put in force what has enough signatures, as far as it verifies together; returns the files' names."""
        present = _read_folder(self._metadata)
        names = {file.name for file in present}
        pending = [file for file in self.pending() if file.name not in names]
        without_root = [file for file in pending if file.role != "root"]
        chain = _choose([*present, *pending]) or _choose([*present, *without_root])
        # The root comes last: what it vouches for is already there when it begins to count.
        chosen = [file for file in reversed(chain or ()) if file.name not in names]
        _make_folder(self._metadata)
        for file in chosen:
            durable.write_file(self._metadata / file.name, file.data)
        for file in self.pending():
            if file.name in names or file.name in [one.name for one in chosen]:
                (self._pending / file.name).unlink()
        return [file.name for file in chosen]

    def _is_due(self, file: File, plan: Plan, now: datetime) -> bool:
        """True if `file` does not say what `plan` does, or not for much longer."""
        signed = file.metadata.signed
        wanted = _parse(file.name, _draft(file.role, file.version, file.expires, plan))
        changed: bool = wanted.metadata.signed != signed
        return changed or file.expires - now < plan.validity[file.role] * REFRESH_PART

    def _write_drafts(self, drafts: Iterable[File], plan: Plan) -> None:
        for folder in (self._pending, self._trust):
            _make_folder(folder)
        drafts = list(drafts)
        if any(file.role == "trust" for file in drafts):
            for data in plan.files.values():
                path = self._trust / hashlib.sha256(data).hexdigest()
                if not path.exists():
                    durable.write_file(path, data)
        wanted = {file.name for file in drafts}
        for file in self.pending():
            if file.name not in wanted:
                (self._pending / file.name).unlink()
        for file in drafts:
            path = self._pending / file.name
            if not path.exists() or path.read_bytes() != file.data:
                durable.write_file(path, file.data)

    def signed_copy(self, path: str) -> Path | None:
        """Where the bytes lie that the newest trust metadata, waiting or in force, lists as `path`; None if it does not, or they do not."""
        chain = self.chain()
        trusts = [file for file in self.pending() if file.role == "trust"] or ([chain.trust] if chain else [])
        listed = trusts[-1].metadata.signed.targets.get(path) if trusts else None
        copy = listed and self._trust / listed.hashes["sha256"]
        return copy if copy and copy.exists() else None

    def trust_files(self, trust: File) -> dict[str, bytes]:
        """The files that `trust` lists, by path, each as its signed hash says."""
        return {path: self._trust_file(path, listed) for path, listed in trust.metadata.signed.targets.items()}

    def trust_file(self, trust: File, path: str) -> bytes | None:
        """One of them; None if `trust` does not list it."""
        listed = trust.metadata.signed.targets.get(path)
        return None if listed is None else self._trust_file(path, listed)

    def _trust_file(self, path: str, listed: Any) -> bytes:  # noqa: ANN401 - python-tuf's TargetFile
        try:
            data: bytes = (self._trust / listed.hashes["sha256"]).read_bytes()
            listed.verify_length_and_hashes(data)
        except (OSError, RepositoryError) as error:
            what = error.strerror if isinstance(error, OSError) else error
            raise SigningError(
                f"{path}, which the trust metadata lists, is missing or damaged in {self._trust} ({what}); restore it from your backup"
            ) from error
        return data


def _definition(trust: File) -> Any:  # noqa: ANN401 - python-tuf's TargetFile
    return trust.metadata.signed.targets.get(DEFINITION)


def _make_folder(path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)
    durable.sync_directory(path.parent)


def _choose(files: Sequence[File]) -> Chain | None:
    """The newest root that follows from the first, the newest targets that it vouches for, and their newest trust."""
    roots = {file.version: file for file in files if file.role == "root"}
    root, version = None, min(roots, default=0)
    while version in roots and _follows(roots[version], root):
        root, version = roots[version], version + 1
    targets = _newest("targets", files, root)
    trust = _newest("trust", files, targets)
    return Chain(root, targets, trust) if root and targets and trust else None


def _follows(file: File, before: File | None) -> bool:
    """True if a client that trusts the root `before` takes `file` as the next one; without it, if it is sound."""
    root, previous = file.metadata.signed, before.metadata.signed if before else None
    return bool(root.get_root_verification_result(previous, file.metadata.signed_bytes, file.metadata.signatures))


def _newest(role: str, files: Sequence[File], delegator: File | None) -> File | None:
    fitting = [file for file in files if file.role == role and delegator and _vouches(delegator, file)]
    return max(fitting, key=lambda file: file.version, default=None)


def _vouches(delegator: File, file: File) -> bool:
    signed: Root | Targets = delegator.metadata.signed
    try:
        return bool(signed.get_verification_result(file.role, file.metadata.signed_bytes, file.metadata.signatures))
    except ValueError:  # no such delegation
        return False


def _still_vouched(file: File, drafts: Mapping[str, File]) -> bool:
    """True if `file`, which is in force, would still be vouched for once `drafts` are."""
    delegator = drafts.get({"targets": "root", "trust": "targets"}.get(file.role, ""))
    return delegator is None or _vouches(delegator, file)


def _signers(whose: str, delegator: File, file: File) -> Signers:
    signed: Root | Targets = delegator.metadata.signed
    result = signed.get_verification_result(file.role, file.metadata.signed_bytes, file.metadata.signatures)
    keyids = frozenset(signed.get_delegated_role(file.role).keyids)
    return Signers(whose, result.threshold, keyids, frozenset(result.signed))


def _draft(role: str, version: int, expires: datetime, plan: Plan) -> bytes:
    if role == "root":
        return repository.root_metadata(version, expires, plan.root)
    if role == "targets":
        return repository.targets_metadata(version, expires, plan.delegations)
    return repository.trust_metadata(version, expires, plan.files)


def _read_folder(folder: Path) -> list[File]:
    """The metadata in `folder`, by role and version; other names are left alone."""
    files = [
        _parse(path.name, path.read_bytes(), folder)
        for path in folder.glob("*.json")
        if re.fullmatch(rf"[1-9][0-9]{{0,8}}\.({'|'.join(OFFLINE_ROLES)})\.json", path.name)
    ]
    return sorted(files, key=lambda file: (OFFLINE_ROLES.index(file.role), file.version))


def _parse(name: str, data: bytes, folder: Path | None = None) -> File:
    version, role, _ = name.split(".")
    where = folder / name if folder else name
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(data)
    except DeserializationError as error:
        raise SigningError(f"{where} is damaged; restore it from your backup, or remove it and prepare anew") from error
    if not isinstance(metadata.signed, Root if role == "root" else Targets) or metadata.signed.version != int(version):
        raise SigningError(f"{where} is not what its name says; remove it")
    return File(role, int(version), data, metadata)
