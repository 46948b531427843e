"""The TUF client (TUF specification 1.0, 5 "Detailed client workflow"): python-tuf's, with our bytes and our clock.

python-tuf's Updater does all of the verification. Some of its private members are used, in this file only:

- `_trusted_set.reference_time`: the clock is a parameter here (audits of a past release, the publisher's own check
  before its heartbeat), and the Updater reads the system's clock by itself;
- `_trusted_set.root`, `.timestamp`, `.snapshot`: callers report what was verified, which the Updater never shows;
- `_trusted_set._load_data`: it parses one file and verifies its signatures. Ours (`load_metadata`) calls the same public
  parts, but parses strictly, and encodes the signed part once and faster: a nation has 645 roles of 300 files;
- `_load_local_metadata` reads the state, `_persist_metadata` writes it: snapshot and roles are read where they are
  checked, not in the state (`_Updater`);
- `_load_targets`: it loads and verifies one delegated role; the public API only searches for one path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, cast

from tuf.api import exceptions
from tuf.api.serialization import DeserializationError

from verifier import limits
from verifier.delegation import Chain, Delegation, SignedRole
from verifier.errors import FetchError, FormatError, StaleError, VerificationError, VerifierError
from verifier.fetcher import Fetcher, MissingError, check_path, too_long
from verifier.files import is_pack
from verifier.formats import canonical_json, strict_json
from verifier.formats.keyid import misnamed_keys
from verifier.receiver import Receiver, receive
from verifier.trust import OWN_FOLDER
from verifier.tuf_api import (
    FetcherInterface,
    Metadata,
    Root,
    Signature,
    Signed,
    Snapshot,
    T,
    TargetFile,
    Targets,
    Timestamp,
    Updater,
    UpdaterConfig,
)

__all__ = ["Client", "explained", "load_metadata"]

METADATA_CAP = max(limits.ROOT_METADATA, limits.SNAPSHOT_METADATA, limits.TARGETS_METADATA)
# Files that a server may lack without contradicting anything that it signed.
UNPROMISED = ("root.json", "timestamp.json")


class _TufFetcher(FetcherInterface):
    """python-tuf's view of our Fetcher. Our own errors pass through python-tuf unchanged, except "missing":
    that is how it learns that there is no newer root."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    def download_bytes(self, url: str, max_length: int) -> bytes:
        # A stolen snapshot key could sign any length, hence the second cap.
        try:
            return self._fetcher.fetch(url, min(max_length, METADATA_CAP))
        except MissingError as error:
            if url.endswith(UNPROMISED):
                raise exceptions.DownloadHTTPError(str(error), 404) from MissingError(f"{error}; {OWN_FOLDER}")
            raise VerificationError(f"{error}, though signed metadata names it: something was removed") from None

    def _fetch(self, url: str) -> NoReturn:
        raise NotImplementedError("TUF targets are fetched by Client.target")


class _Updater(Updater):
    """Reads snapshot and roles at the place each time, so that none can be missing there unnoticed. Of the state, root
    and timestamp count as ever, and the snapshot counts against rollback."""

    def _load_local_metadata(self, rolename: str) -> bytes:
        if rolename in {Root.type, Timestamp.type}:
            return super()._load_local_metadata(rolename)
        if rolename == Snapshot.type:
            data = super()._load_local_metadata(rolename)
            with suppress(exceptions.RepositoryError):
                self._trusted_set.update_snapshot(data, trusted=True)
        raise FileNotFoundError(f"{rolename} is read at the place")

    def _persist_metadata(self, rolename: str, data: bytes) -> None:
        if rolename in {Timestamp.type, Snapshot.type}:
            super()._persist_metadata(rolename, data)


def load_metadata(
    role: type[T], data: bytes, delegator: Root | Targets | None = None, role_name: str | None = None
) -> tuple[T, bytes, dict[str, Signature]]:
    """Parse metadata of one kind; verify it against `delegator` where there is one.

    The signed bytes are encoded from what was parsed, never cut out of `data`: what is trusted is what was verified.
    """
    what = f"{role_name or role.type} metadata"
    try:
        metadata = Metadata[T].from_dict(cast("dict[str, Any]", strict_json.loads(data, what)))
        signed_bytes = canonical_json.encode(metadata.signed.to_dict())
    except FormatError as error:
        raise DeserializationError(str(error)) from error
    except Exception as error:  # from_dict documents some and raises more, on bytes that a stranger chose
        raise DeserializationError(f"{what} is malformed") from error
    if metadata.signed.type != role.type:
        raise exceptions.RepositoryError(f"{what} says that it is {metadata.signed.type}")
    if delegator is not None:
        delegator.verify_delegate(role_name or role.type, signed_bytes, metadata.signatures)
    return metadata.signed, signed_bytes, metadata.signatures


def _load_ours(
    now: datetime, role: type[T], data: bytes, delegator: Root | Targets | None = None, role_name: str | None = None
) -> tuple[T, bytes, dict[str, Signature]]:
    """Load what Terbit made, which keeps more rules than TUF has."""
    loaded = load_metadata(role, data, delegator, role_name)
    signed = loaded[0]
    _check_keyids(signed, f"{role_name or role.type} metadata")
    # A thief of the timestamp's key could sign 2^53: whoever has seen that takes every honest timestamp for older.
    if isinstance(signed, Timestamp) and signed.version > now.timestamp() + limits.TIMESTAMP_AHEAD_SECONDS:
        raise exceptions.RepositoryError(
            f"timestamp version {signed.version} is a time (Unix seconds) far ahead: its key is misused, or this "
            "machine's clock is behind"
        )
    return loaded


def _check_keyids(signed: Signed, what: str) -> None:
    delegations = signed.delegations if isinstance(signed, Targets) else signed if isinstance(signed, Root) else None
    if delegations is not None and (misnamed := misnamed_keys(delegations.keys)):
        raise exceptions.RepositoryError(f"{what}: keyid {misnamed[0]} is not the hash of the key that stands there")


class Client:
    """One check of one site: `refresh()` once, then as many reads as you like.

    `root` is trusted root metadata; without it `state` must hold what an earlier run trusted. `state` is a folder
    of this client's own. python-tuf writes each role there by rename, right after that role has been verified and
    never before; so a run that fails later keeps the newer, verified root or timestamp. That is what the
    specification wants (rollback protection must not be lost because an attacker breaks a later step), and it is
    the only way in which a failed run changes the state. `now` is an aware datetime; expiry is judged by it.
    `stock_tuf`: ask no more than TUF does, for repositories that Terbit did not make: any keyids, any timestamps,
    and nothing is read again that the state has.

    VerificationError, StaleError, FetchError and FormatError are raised as verifier.errors describes them.
    """

    def __init__(
        self, fetcher: Fetcher, state: Path, now: datetime, root: bytes | None = None, *, stock_tuf: bool = False
    ) -> None:
        self._fetcher = fetcher
        config = UpdaterConfig(
            max_root_rotations=limits.ROOT_ROTATIONS_COUNT,
            max_delegations=limits.DELEGATIONS_COUNT,
            root_max_length=limits.ROOT_METADATA,
            timestamp_max_length=limits.TIMESTAMP_METADATA,
            snapshot_max_length=limits.SNAPSHOT_METADATA,
            targets_max_length=limits.TARGETS_METADATA,
        )
        with explained():
            state.mkdir(parents=True, exist_ok=True)
            self._updater = (Updater if stock_tuf else _Updater)(
                str(state), "metadata/", fetcher=_TufFetcher(fetcher), config=config, bootstrap=root
            )
            self._trusted = self._updater._trusted_set
            if not stock_tuf:
                _check_keyids(self._trusted.root, "root metadata")
        self.state = state
        self._stock_tuf = stock_tuf
        self._roots = state / "root_history"
        self._trusted._load_data = load_metadata if stock_tuf else partial(_load_ours, now)
        self._trusted.reference_time = now

    def refresh(self) -> None:
        """Verify the newest root, timestamp, snapshot and top-level targets."""
        try:
            with explained():
                self._updater.refresh()
        except StaleError as error:
            raise StaleError(f"{error} ({self._age()})") from error
        soon = self._trusted.reference_time + timedelta(seconds=limits.TIMESTAMP_VALIDITY_SECONDS)
        # A final release may last for years: then its snapshot does too, which another key has signed.
        if not self._stock_tuf and self.timestamp.expires > max(soon, self.snapshot.expires):
            raise VerificationError(
                f"the timestamp ends {self.timestamp.expires:%Y-%m-%d %H:%M} UTC, long after the snapshot that it names: "
                "its key is misused to freeze the site at an old state"
            )

    def _age(self) -> str:
        """Which state has expired, and when; all of it was signed."""
        now = self._trusted.reference_time
        roles = [role for name in (Root.type, Timestamp.type, Snapshot.type) if (role := self._trusted.get(name))]
        ended = "; ".join(f"{one.type} ended {one.expires:%Y-%m-%d %H:%M} UTC" for one in roles if one.is_expired(now))
        timestamp = self._trusted.get(Timestamp.type)
        return f"release {timestamp.snapshot_meta.version}; {ended}" if isinstance(timestamp, Timestamp) else ended

    @property
    def root(self) -> Root:
        """The newest verified root."""
        return self._trusted.root

    def root_bytes(self) -> bytes:
        """The newest verified root, as it was published."""
        try:
            return (self._roots / f"{self.root.version}.root.json").read_bytes()
        except OSError as error:
            raise VerifierError(
                f"the state folder has lost its root: {error}; remove {self._roots.parent}, and say again whom to trust"
            ) from None

    @property
    def timestamp(self) -> Timestamp:
        """The verified timestamp (after `refresh`)."""
        return self._trusted.timestamp

    @property
    def snapshot(self) -> Snapshot:
        """The verified snapshot (after `refresh`); its version is the release."""
        return self._trusted.snapshot

    @property
    def expires(self) -> datetime:
        """Until when the release is signed as current."""
        return min(self.timestamp.expires, self.snapshot.expires)

    def find(self, path: str) -> TargetFile:
        """Length and hashes of a TUF target, from the role that the search reaches first."""
        if not self._stock_tuf and path.startswith("packs/") and not is_pack(path):
            raise VerificationError(f"{path} is no pack: nothing else may lie there, whoever signed it")
        with explained():
            found = self._updater.get_targetinfo(path)
        if found is None:
            raise VerificationError(f"no role that may speak for {path} lists it")
        return found

    def earlier_role(self, name: str, version: int, data: bytes) -> Targets:
        """Another release's version of a role that the top-level targets delegate to, verified with today's keys. It says what was signed
        then, and nothing about what holds now."""
        with explained():
            found, _, _ = self._trusted._load_data(Targets, data, self._trusted.targets, name)
        if found.version != version:
            raise VerificationError(f"it is version {found.version} of {name}, not {version}")
        return found

    def lists(self, path: str) -> bool:
        """True if a role that may speak for `path` lists it."""
        with explained():
            return self._updater.get_targetinfo(path) is not None

    def target(self, path: str) -> bytes:
        """The verified bytes of a TUF target."""
        return self.fetch_target(self.find(path))

    def compare(self, path: str, data: bytes) -> None:
        """Return if `data` are the verified bytes of the TUF target `path`; else VerificationError."""
        target = self.find(path)
        try:
            target.verify_length_and_hashes(data)
        except exceptions.LengthOrHashMismatchError:
            raise VerificationError(f"this is not {path} as it is published now: its bytes differ") from None

    def fetch_target(self, target: TargetFile) -> bytes:
        """The verified bytes of a TUF target that `find` returned."""
        data = self._fetcher.fetch(self._object(target), target.length)
        with explained():
            target.verify_length_and_hashes(data)
        return data

    def receive_target(self, path: str, receiver: Receiver) -> None:
        """Hand the bytes of a TUF target on; what `receiver` has is verified after this and not before."""
        target = self.find(path)
        receive(self._fetcher, self._object(target), target.length, receiver)
        if receiver.length != target.length:
            raise VerificationError(f"{path} has {receiver.length} bytes, signed are {target.length}")
        receiver.check(target.hashes.get("sha256", ""))

    def _object(self, target: TargetFile) -> str:
        if target.length > limits.TARGET_FILE:
            raise too_long(target.path, limits.TARGET_FILE)
        directory, slash, name = check_path(target.path).rpartition("/")
        if self.root.consistent_snapshot:
            name = f"{next(iter(target.hashes.values()))}.{name}"
        return f"targets/{directory}{slash}{name}"

    def check_roots(self, failed: Callable[[str, VerifierError], None]) -> None:
        """Check that the place has every root that this client has followed, with signatures that lead from one to the
        next: it never asks for them again, but whoever starts from an early root needs them all."""
        previous = None
        for version in range(1, self.root.version + 1):
            path, known = f"metadata/{version}.root.json", self._roots / f"{version}.root.json"
            if not known.is_file():
                continue
            try:
                with explained():
                    expected, signed_bytes, _ = load_metadata(Root, known.read_bytes())
                    found, found_bytes, signatures = load_metadata(
                        Root, self._fetcher.fetch(path, limits.ROOT_METADATA), previous
                    )
                    found.verify_delegate(Root.type, found_bytes, signatures)
                if found_bytes != signed_bytes:
                    raise VerificationError("it is not the root that was followed")
            except MissingError:
                failed(path, VerificationError("missing: whoever trusts an earlier root cannot follow"))
            except VerifierError as error:
                failed(path, error)
            previous = expected

    def roles(self) -> dict[str, SignedRole]:
        """Every role of the site by name; raises at the first that does not verify."""
        return {role.name: role for role in self.walk()}

    def walk(
        self, failed: Callable[[str, VerifierError], None] | None = None, only: Container[str] | None = None
    ) -> Iterator[SignedRole]:
        """Every role, in the order in which a search visits them, each verified before it is returned.

        With `only`, roles of other names are left out, with everything beneath them; they still end the search if
        they are terminating. What ends it beneath a role that is left out and is not terminating itself stays unseen:
        our layout has no such role.

        A role that does not verify is raised, or given to `failed` and left out with everything beneath it. A role
        delegated twice is refused: which of its delegators vouches for a file would depend on the way taken. Hash
        bins are refused too; our layout has none, and 2^32 of them could be asked for.
        """
        pending: list[tuple[str, str, Chain]] = [(Targets.type, Root.type, ())]
        seen: set[str] = {Targets.type}
        ended_by: list[Chain] = []
        while pending:
            name, delegator, chain = pending.pop()
            if chain and chain[-1].role.terminating:
                ended_by.append(chain)
            if chain and only is not None and name not in only:
                continue
            try:
                with explained():
                    targets = self._updater._load_targets(name, delegator)
                children = _children(targets, name, chain, seen)
            except VerifierError as error:
                if failed is None:
                    raise
                failed(name, error)
                continue
            earlier = tuple(end for end in ended_by if end != chain[: len(end)])
            yield SignedRole(name, targets, chain, earlier)
            pending.extend(reversed(children))


def _children(targets: Targets, name: str, chain: Chain, seen: set[str]) -> list[tuple[str, str, Chain]]:
    if targets.delegations is None:
        return []
    if targets.delegations.roles is None:
        raise VerificationError(f"{name} delegates to hash bins, which no Terbit site does")
    children = []
    for role in targets.delegations.roles.values():
        if role.name in seen:
            raise VerificationError(f"{name} delegates to {role.name}, which another role delegates to as well")
        seen.add(role.name)
        children.append((role.name, name, (*chain, Delegation(role))))
    if len(seen) > limits.ROLES_COUNT:
        raise VerificationError(f"more than {limits.ROLES_COUNT} roles")
    return children


@contextmanager
def explained() -> Iterator[None]:
    """Turn python-tuf's errors into ours, and name the attack that each would be if it is one."""
    try:
        yield
    except VerifierError:
        raise
    except exceptions.ExpiredMetadataError as error:
        raise StaleError(f"{error}: signed, but no longer fresh. The source may be frozen at an old state") from error
    except exceptions.UnsignedMetadataError as error:
        # The first that a root of another election meets: what is signed for it is not there.
        unknown = re.match("(root|timestamp) was signed by 0/", str(error))
        other = "; or the root is another election's" if unknown else ""
        raise VerificationError(f"wrong or too few signatures: {error}{other}") from error
    except exceptions.BadVersionNumberError as error:
        raise VerificationError(f"rolled back to an older state, or mixed from two: {error}") from error
    except exceptions.LengthOrHashMismatchError as error:
        raise VerificationError(f"wrong length or hash, altered or mixed from two states: {error}") from error
    except DeserializationError as error:
        raise FormatError(str(error)) from error
    except exceptions.RepositoryError as error:
        raise VerificationError(f"metadata does not hold together: {error}") from error
    except exceptions.DownloadError as error:
        raise error.__cause__ if isinstance(error.__cause__, MissingError) else FetchError(str(error)) from error
    except OSError as error:
        raise VerifierError(f"the state folder cannot be used: {error}; mend that, or name another one") from error
