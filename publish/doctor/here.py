"""The doctor on this machine: configuration, definition, keys, folders, space, what ends soon, what waits."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from builder.errors import BuilderError
from builder.inbox import find_strays, packages_in
from publish.config import OFFLINE_ROLES
from publish.doctor import judge, log
from publish.doctor.judge import Finding, Size
from publish.errors import KeyFileError, LogError, PublishError
from publish.guard.expected import Expected, expect, recorded
from publish.release.lineage import old_copy
from publish.release.record import RecordStore, open_record
from publish.signing.keyring import Keyring
from publish.signing.keys import is_encrypted, read_secret_key
from publish.signing.keystore import KeyStore
from publish.signing.offline import Offline
from publish.translog.log import RECOVER
from publish.workspace import Workspace
from verifier.errors import VerificationError
from verifier.formats.metadata_fields import signed_fields
from verifier.printable import counted

__all__ = ["examine", "expected_at", "size_of"]

SIGNATURE_LENGTH = 400
SNAPSHOT = "snapshot"


def examine(workspace: Workspace, passphrase: bytes | None, now: datetime) -> Iterator[Finding]:
    """All checks that need no network. A broken configuration or definition is the last finding."""
    yield from _tools(now)
    try:
        _ = workspace.config
    except PublishError as error:
        yield Finding("fail", "terbit.toml", str(error), "mend it; terbit init NEW shows every key with its default")
        return
    yield Finding(
        "ok",
        "terbit.toml",
        f"{counted(len(workspace.config.targets), 'target')}, {counted(len(workspace.config.roles), 'role')}",
    )
    try:
        election = workspace.definition.election
    except BuilderError as error:
        yield Finding("fail", str(workspace.config.content), str(error), "mend it there")
        return
    yield Finding("ok", str(workspace.config.content), f"{election.id}, {counted(len(election.contests), 'contest')}")
    yield from _folders(workspace)
    try:
        _ = workspace.ledger
    except BuilderError as error:
        yield _failure(str(workspace.config.ledger), error, "restore it from your backup")
        return
    if (problem := old_copy(workspace, 0)) is not None:
        yield Finding("fail", str(workspace.config.ledger), problem, RECOVER)
    if _has_keys(workspace):
        yield from _keys(workspace, passphrase)
        yield from _offline(workspace, now)
    else:
        yield Finding("fail", str(workspace.config.keys), "there are no keys yet", "next: terbit keys init")
    yield from log.examine(workspace)
    for name in workspace.config.targets:
        yield from _as_far_as_it_goes(f"target {name}", _record(workspace, name, now))
    yield from _waiting(workspace, now)
    yield from _as_far_as_it_goes("last release", _space(workspace))


def _as_far_as_it_goes(where: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """These findings. What a check cannot go on without is one of them, and no end of the others."""
    try:
        yield from findings
    except (PublishError, OSError) as error:
        yield _failure(where, error, "restore it from your backup")


def expected_at(workspace: Workspace, name: str) -> Expected | None:
    """Everything that belongs at a target; None if nothing is recorded, or ledger or log are not those of the record, which is told elsewhere.

    PublishError or OSError if something else is missing or damaged.
    """
    store = open_record(workspace, name)
    found = recorded(store)
    if found is None or found.record.release > len(workspace.ledger.cuts):
        return None
    try:
        return expect(workspace, store, found)
    except LogError:
        return None


def size_of(expected: Expected) -> Size:
    """The site as a host counts it: objects and aliases each for themselves."""
    lengths = [SIGNATURE_LENGTH if right.signature else right.length for right in expected.right.values()]
    folders = Counter(path.rpartition("/")[0] for path in expected.right)
    return Size(len(lengths), sum(lengths), max(lengths, default=0), max(folders.values(), default=0))


def _tools(now: datetime) -> Iterator[Finding]:
    yield judge.judge_python((sys.version_info[0], sys.version_info[1]), now.date())
    try:
        asked = importlib.metadata.requires("terbit") or []
    except importlib.metadata.PackageNotFoundError:
        asked = []
    matches = [re.match(r"([A-Za-z0-9._-]+)\s*>=\s*([0-9.]+)", one) for one in asked if "extra ==" not in one]
    yield from judge.judge_tools((match[1], _version(match[1]), match[2]) for match in matches if match)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _folders(workspace: Workspace) -> Iterator[Finding]:
    secret = {workspace.build, workspace.keys / "online"}
    folders = [workspace.directory, workspace.ledger.directory, workspace.inbox, workspace.keys, *sorted(secret)]
    folders += [target.root for target in workspace.local_targets()]
    for folder in folders:
        try:
            status = folder.stat()
        except FileNotFoundError:
            continue
        where = _name(workspace, folder)
        if not os.access(folder, os.W_OK | os.X_OK):
            yield Finding(
                "fail", where, "it may not be written to by who runs this", f"chown it, or run as its owner: {where}"
            )
            continue
        # Whoever hands in may write into the inbox: that is what it is for.
        if folder != workspace.inbox:
            yield judge.judge_mode(where, status.st_mode, secret=folder in secret)
        if folder != workspace.directory:
            yield from _one_disk(folder, where, status.st_dev)
    for target in workspace.local_targets():
        yield _links(target.root, _name(workspace, target.root))


def _one_disk(folder: Path, where: str, device: int) -> Iterator[Finding]:
    """What is moved or linked within a folder has to stay on its file system."""
    for below in os.scandir(folder):
        if below.is_dir(follow_symlinks=True) and below.stat().st_dev != device:
            yield Finding(
                "fail",
                f"{where}/{below.name}",
                "it lies on another file system, where neither renames nor links reach",
                "put it onto the same one",
            )


def _links(root: Path, where: str) -> Finding:
    """Aliases are hard links: not every file system has them."""
    folder = next((one for one in (root, *root.parents) if one.is_dir()), root)
    try:
        probe = Path(tempfile.mkdtemp(prefix=".terbit-probe-", dir=folder))
        try:
            (probe / "object").write_bytes(b"")
            os.link(probe / "object", probe / "alias")
        finally:
            shutil.rmtree(probe)
    except OSError as error:
        fix = "use a file system with hard links (ext4, XFS, ZFS), writable by who runs this"
        return Finding("fail", where, f"files cannot be linked there: {error.strerror}", fix)
    return Finding("ok", where, "files can be written and linked there")


def _has_keys(workspace: Workspace) -> bool:
    store = KeyStore(workspace.keys, workspace.config)
    return any(path.exists() for name in store.names() for path in (store.public_path(name), store.secret_path(name)))


def _failure(where: str, error: BuilderError | PublishError | OSError, otherwise: str) -> Finding:
    """What an error says, whose own remedy, after its last semicolon, is the fix; a second one beside it would contradict it."""
    what, _, remedy = str(error).rpartition("; ")
    return Finding("fail", where, what or remedy, remedy if what else otherwise)


def _keys(workspace: Workspace, passphrase: bytes | None) -> Iterator[Finding]:
    config, store = workspace.config, KeyStore(workspace.keys, workspace.config)
    usable: set[str] = set()
    told = {*_unopened(store, passphrase)} if passphrase is not None else set()
    if told:
        what = f"the passphrase given opens none of the encrypted keys ({', '.join(sorted(told))})"
        yield Finding(
            "fail", str(config.keys), what, "give the right passphrase file: terbit doctor --passphrase-file FILE"
        )
    for name in (name for name in config.online_keys if name not in told):
        finding = _key(store, name, passphrase)
        if finding.level != "fail":
            usable.add(name)
        elif store.secret_path(name).exists() or not store.public_path(name).exists():
            told.add(name)
        if name in told or store.secret_path(name).exists():
            yield finding
    for role, entry in config.roles.items():
        here = usable & {*entry.keys}
        # Whoever mends a key that is told of above mends its roles.
        if role not in OFFLINE_ROLES and len(here) < entry.threshold and not told & {*entry.keys}:
            what = f"role {role} needs {entry.threshold} of {', '.join(entry.keys)}; {len(here)} can be used here"
            yield Finding("fail", str(config.keys), what, "restore them from a backup, or: terbit keys rotate")
    lying = [name for name in config.offline_keys if store.secret_path(name).exists()]
    if lying:
        what = f"the offline keys {', '.join(lying)} lie on this machine: whoever breaks in changes everything"
        yield Finding("warn", str(config.keys), what, "move each to another person's medium; sign with --key FILE")


def _unopened(store: KeyStore, passphrase: bytes) -> list[str]:
    """The encrypted online keys, where the passphrase is wrong for all of them: then it is the wrong one, and no key need be replaced."""
    wrong = []
    for name in store.config.online_keys:
        try:
            if is_encrypted(store.secret_path(name)):
                read_secret_key(store.secret_path(name), passphrase)
                return []
        except KeyFileError as error:
            if isinstance(error.__cause__, VerificationError):
                wrong.append(name)
    return wrong


def _key(store: KeyStore, name: str, passphrase: bytes | None) -> Finding:
    where = f"key {name}"
    try:
        public, path = store.public(name), store.secret_path(name)
        if is_encrypted(path) and passphrase is None:
            return Finding("warn", where, "it is encrypted and was not tried", "terbit doctor --passphrase-file FILE")
        if read_secret_key(path, passphrase).public != public:
            fix = f"move the wrong one away, or finish: terbit keys rotate {name}"
            return Finding("fail", where, f"it is not the secret half of {store.public_path(name)}", fix)
    except KeyFileError as error:
        return _failure(where, error, f"restore it from a backup, or: terbit keys rotate {name}")
    return Finding("ok", where, "it opens")


def _offline(workspace: Workspace, now: datetime) -> Iterator[Finding]:
    where, offline, keyring = str(workspace.config.keys), Offline(workspace.keys), Keyring(workspace)
    try:
        chain = offline.chain()
        keyring.check()
    except PublishError as error:
        yield _failure(where, error, "terbit keys refresh, then terbit sign")
        return
    yield Finding("ok", where, "the offline keys have signed this definition and these keys")
    if waiting := [file.name for file in offline.pending()]:
        yield Finding("warn", where, f"{', '.join(waiting)} wait for offline signatures", "terbit sign shows them")
    for file in chain or ():
        fix = "terbit keys refresh, then terbit sign with the offline keys"
        yield judge.judge_expiry(where, file.role, file.expires, now, judge.CEREMONY, fix)


def _record(workspace: Workspace, name: str, now: datetime) -> Iterator[Finding]:
    """What a target holds as far as we know, and what of it ends soon."""
    where, cuts = f"target {name}", workspace.ledger.cuts
    store = open_record(workspace, name)
    found = recorded(store)
    if found is None:
        fix = f"terbit reconcile {name} if something is there, else terbit publish"
        yield Finding("warn", where, "there is no record of what it holds", fix)
        return
    if (problem := old_copy(workspace, found.record.release)) is not None:
        yield Finding("fail", where, problem, RECOVER)
    elif cuts and found.record.release != cuts[-1].release:
        what = f"it holds release {found.record.release}, and {cuts[-1].release} is the last one"
        yield Finding("warn", where, what, "terbit publish")
    keyring = Keyring(workspace)
    for role in ("timestamp", SNAPSHOT):
        # Both are renewed before half of their time has gone; later means that no run has succeeded.
        ahead = keyring.validity(role) / 4
        yield judge.judge_expiry(where, role, _expires(store, role), now, ahead, "terbit publish; let cron run it")
    online = [role for role in found.record.roles if role != SNAPSHOT]
    if online:
        role = min(online, key=lambda one: _expires(store, one))
        fix = "sign the trust anew, which signs all roles anew: terbit keys refresh, terbit sign, terbit publish"
        label = f"of {len(online)} online roles the first, {role},"
        yield judge.judge_expiry(where, label, _expires(store, role), now, judge.CEREMONY, fix)


def _expires(store: RecordStore, role: str) -> datetime:
    return datetime.fromisoformat(signed_fields(store.role(role)).expires)


def _waiting(workspace: Workspace, now: datetime) -> Iterator[Finding]:
    if frozen := workspace.frozen:
        what = f"frozen since {frozen['since']} ({frozen['reason']}): nothing new is published"
        yield Finding("warn", str(workspace.directory), what, "to go on: terbit freeze --end")
    where = str(workspace.config.inbox)
    if not workspace.inbox.is_dir():
        return
    times = [datetime.fromtimestamp(path.stat().st_mtime, UTC) for path in packages_in(workspace.inbox)]
    yield judge.judge_waiting(where, times, now)
    if strays := [path.name for path in find_strays(workspace.inbox)]:
        what = f"{len(strays)} files there are no packages, {strays[0]} first"
        yield Finding(
            "warn",
            where,
            what,
            "a package is a zip, or a folder with recap.toml, as terbit import csv makes of a CSV; move the others away",
        )


def _space(workspace: Workspace) -> Iterator[Finding]:
    """A full release: all files once in the draft, and once more at each target that is a folder."""
    wanted: dict[int, tuple[Path, Size]] = {}
    every = [one for name in workspace.config.targets if (one := expected_at(workspace, name))]
    if not every:
        return
    objects = [right for right in every[0].right.values() if right.kind == "object"]
    length = sum(SIGNATURE_LENGTH if right.signature else right.length for right in objects)
    places = [(workspace.build, 0), *((target.root, len(objects)) for target in workspace.local_targets())]
    for place, files in places:
        folder = next(one for one in (place, *place.parents) if one.is_dir())
        first, before = wanted.setdefault(folder.stat().st_dev, (folder, Size(0, 0)))
        wanted[folder.stat().st_dev] = (first, Size(before.files + files, before.length + length))
    for folder, need in wanted.values():
        disk = os.statvfs(folder)
        # Some file systems make inodes as they are needed, and count none.
        inodes = disk.f_favail if disk.f_files else judge.UNLIMITED
        yield judge.judge_space(
            f"disk of {_name(workspace, folder)}", Size(inodes, disk.f_bavail * disk.f_frsize), need
        )


def _name(workspace: Workspace, folder: Path) -> str:
    try:
        return folder.relative_to(workspace.directory).as_posix()
    except ValueError:
        return str(folder)
