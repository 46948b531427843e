"""What the operator does with keys: make them, replace them, have metadata drafted, and read what is to be signed.

Pure of clock, randomness and election folder: all three are parameters.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from publish.config import LOG_KEY, MINISIGN_KEY, OFFLINE_ROLES
from publish.errors import ConfigError, KeyFileError, SigningError
from publish.officials import enrolment_changes
from publish.signing.keystore import KeyStore, Passphrases
from publish.signing.offline import File, Offline, Plan
from publish.signing.repository import TOP_LEVEL, tuf_key
from publish.signing.signable import stated_keys, stated_roles
from verifier.formats.minisign import PublicKey
from verifier.formats.tlog_policy import Policy
from verifier.log import POLICY_PATH
from verifier.officials import SIGNERS_PATH
from verifier.results_signature import MinisignKeys
from verifier.tuf_api import DelegatedRole, Key, Root, Targets

__all__ = ["check_say", "describe", "initialize", "keys_in_force", "known_keys", "make_plan", "promote", "refresh"]


def make_plan(store: KeyStore, groups: Iterable[str], definition: Mapping[str, bytes]) -> Plan:
    """What the offline metadata should say, after the configuration, the public keys and the definition's files."""
    config, groups = store.config, tuple(groups)
    fixed = {*TOP_LEVEL, "trust", "site", "results"}
    for name in config.roles:
        if name not in fixed and name.partition("-")[0] not in groups:
            raise ConfigError(
                f"terbit.toml: roles.{name}: the election has no such group, only {', '.join(groups)} [group]"
            )
    return Plan(
        root={name: store.role_keys(config.role(name)) for name in TOP_LEVEL},
        delegations={name: store.role_keys(config.role(name)) for name in ("trust", "site", *groups)},
        files=store.trust_files(definition),
        validity={name: config.role(name).validity for name in OFFLINE_ROLES},
    )


def initialize(
    store: KeyStore,
    passphrases: Passphrases,
    groups: Iterable[str],
    definition: Mapping[str, bytes],
    *,
    now: datetime,
    random: Callable[[int], bytes],
    origin: str,
) -> list[str]:
    """Make every key that the configuration names, and have the first metadata drafted and signed.

    `origin` names the log for ever. Returns what waits for signatures of other persons' keys; nothing if all of it is in force. After a stop, the same
    call finishes the work.
    """
    offline = Offline(store.directory)
    if offline.chain() is not None:
        raise KeyFileError(f"{store.directory} has keys in force; use: terbit keys rotate, or terbit keys refresh")
    offline.check_not_lost()
    keys = {name: store.create(name, passphrases, random) for name in store.names()}
    store.begin_policy(origin)
    offline.prepare(make_plan(store, groups, definition), now)
    signers = [key for name in store.config.offline_keys if (key := keys[name]) is not None]
    offline.add_signatures(offline.pending(), signers)
    offline.promote()
    return [file.name for file in offline.pending()]


def refresh(
    store: KeyStore, groups: Iterable[str], definition: Mapping[str, bytes], *, now: datetime, next_release: int
) -> list[str]:
    """Have drafted, unsigned, what configuration, keys, definition or expiry ask for; returns what is pending."""
    offline = Offline(store.directory)
    if offline.chain() is not None:
        store.postpone(_minisign_keys(offline.current().files), next_release)
    return offline.prepare(make_plan(store, groups, definition), now)


def promote(offline: Offline, next_release: int) -> list[str]:
    """Put in force what has enough signatures; returns the files' names.

    Raises:
        SigningError: it would give a release that is out already to another minisign key than the one that signed it.
    """
    chain = offline.chain()
    waiting = next((file for file in offline.pending() if file.role == "trust"), None)
    if chain is not None and waiting is not None:
        before, after = (_minisign_keys(offline.trust_files(trust)) for trust in (chain.trust, waiting))
        bounds = {first for keys in (before, after) for first, _, _ in keys.ranges} | {next_release - 1}
        for release in sorted(bound for bound in bounds if 1 <= bound < next_release):
            if before.for_release(release) != after.for_release(release):
                raise SigningError(
                    f"release {release} is out and signed by minisign key {before.for_release(release).name}, but "
                    f"{waiting.name} gives it to another one; run: terbit keys refresh, and sign what that drafts"
                )
    return offline.promote()


def _minisign_keys(files: Mapping[str, bytes]) -> MinisignKeys:
    return MinisignKeys.parse(files["trust/minisign.json"])


def known_keys(store: KeyStore) -> dict[str, tuple[str, PublicKey]]:
    """Name and public key of each key that the configuration names, by TUF keyid."""
    named = [(name, store.public(name)) for name in store.names() if store.public_path(name).exists()]
    return {tuf_key(public).keyid: (name, public) for name, public in named}


def check_say(offline: Offline, pending: Sequence[File], keys: Mapping[Path, PublicKey], store: KeyStore) -> None:
    """SigningError if one of `keys`, by the files they lie in, has no say in any of `pending`: names the file, and the keys that do."""
    able: set[str] = set().union(*offline.may_sign(pending).values())
    known = known_keys(store)
    for path, public in keys.items():
        if (keyid := tuf_key(public).keyid) not in able:
            what = f"is the key {known[keyid][0]}, which" if keyid in known else "is no key of this workspace and"
            names = ", ".join(sorted(known[one][0] if one in known else f"unknown key {one}" for one in able))
            raise SigningError(
                f"{path} {what} has no say in {', '.join(file.name for file in pending)}; those that have: {names}"
            )


def keys_in_force(offline: Offline) -> set[str]:
    """The keyids of the keys that sign now: of every role, and of minisign and the log."""
    chain = offline.chain()
    if chain is None:
        return set()
    alone = (offline.trust_file(chain.trust, f"keys/{name}.pub") for name in (MINISIGN_KEY, LOG_KEY))
    stated = {*stated_keys(chain.root.metadata.signed), *stated_keys(chain.targets.metadata.signed)}
    return stated | {tuf_key(PublicKey.parse(data)).keyid for data in alone if data}


def describe(offline: Offline, pending: Sequence[File], known: Mapping[str, tuple[str, PublicKey]]) -> Iterator[str]:
    """What the `pending` files would put in force, and who has to sign, in plain words, line by line.

    A `*` marks what differs from what is in force. The names of keys are this folder's own, and no signature covers
    them; so each key stands in full at the end, to be compared with what its owner has on paper. SigningError if
    something in `pending` may not be signed.
    """
    offline.check(pending)

    def told(keyids: Iterable[str]) -> str:
        return ", ".join(sorted(known[keyid][0] if keyid in known else f"unknown key {keyid}" for keyid in keyids))

    chain = offline.chain()
    mentioned: set[str] = set()
    stated: dict[str, Key] = {}
    for file in pending:
        yield f"{file.name}: {_ROLES[file.role]}, until {file.expires:%Y-%m-%d %H:%M} UTC"
        before = _statements(getattr(chain, file.role)) if chain else {}
        statements = _statements(file)
        for subject, (said, keyids) in statements.items():
            mark = " " if before.get(subject) == (said, keyids) else "*"
            yield f"  {mark} {subject}: {said} {told(keyids)}".rstrip()
        yield from (f"  * {subject}: removed" for subject in sorted(before.keys() - statements.keys()))
        if file.role == "trust":
            trusts = (chain and chain.trust, file)
            yield from (
                f"  * {change}"
                for path, changes in ((SIGNERS_PATH, enrolment_changes), (POLICY_PATH, policy_changes))
                for change in changes(*(one and offline.trust_file(one, path) for one in trusts))
            )
        for one in offline.signers(file, pending):
            mentioned |= one.keyids
            signed = told(one.signed) or "nobody"
            yield f"    {one.whose} wants {one.threshold} of {told(one.keyids)}; signed by {signed}"
        mentioned.update(*(keyids for _, keyids in statements.values()))
        stated |= stated_keys(file.metadata.signed)
    yield from sorted(f"key {known[keyid][0]}: {known[keyid][1].encode()}" for keyid in mentioned if keyid in known)
    unknown = sorted(keyid for keyid in mentioned - known.keys() if keyid in stated)
    yield from (f"unknown key {keyid}: Ed25519 {stated[keyid].keyval['public']}" for keyid in unknown)


def policy_changes(before: bytes | None, after: bytes | None) -> Iterator[str]:
    """What another policy of the log changes, in plain words, line by line. FormatError if one is not as it must be."""
    old, new = (_policy_lines(Policy.parse(data)) if data else () for data in (before, after))
    yield from (f"no longer: {line}" for line in old if line not in new)
    yield from (f"from now on: {line}" for line in new if line not in old)


def _policy_lines(policy: Policy) -> list[str]:
    told = [f"the log {log.key.encode()}" + (f", read at {log.url}" if log.url else "") for log in policy.logs]
    told += [
        f"the witness {one.name} with the key {one.key.encode()}, "
        + (f"asked at {one.url}" if one.url else "not asked")
        for one in policy.witnesses
    ]
    told += [f"the group {one.name}: {one.threshold} of {', '.join(one.members)}" for one in policy.groups]
    quorum = f"no release is public before {policy.quorum} has seen it in the log"
    return [*told, quorum if policy.quorum else "releases are public though no witness has seen them in the log"]


_ROLES = {
    "root": "the keys that every other signature rests on",
    "targets": "who signs which part of the site",
    "trust": "the election's definition and the public keys",
}


def _statements(file: File) -> dict[str, tuple[str, tuple[str, ...]]]:
    """What a file says, by subject: a hash of a file, how many of which keys (as keyids), or the paths of a role."""
    signed: Root | Targets = file.metadata.signed
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    if isinstance(signed, Targets):
        found = {path: (f"sha256 {one.hashes['sha256']}", ()) for path, one in sorted(signed.targets.items())}
    for name, role in stated_roles(signed).items():
        found[name] = (f"{role.threshold} of", tuple(role.keyids))
        if isinstance(role, DelegatedRole):
            found[f"{name} may sign"] = (", ".join(role.paths or ()), ())
    return found
