"""The doctor at the transparency log: its name, who watches it, how far it goes, and what targets and witnesses show of it."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from publish.doctor.judge import Finding
from publish.errors import PublishError, RaceError
from publish.guard.expected import Expected
from publish.signing.keyring import Keyring
from publish.translog.log import RECOVER, Log
from publish.translog.witnesses import shown
from publish.workspace import Workspace
from verifier.errors import VerifierError
from verifier.fetcher import MissingError
from verifier.formats.checkpoint import SignedCheckpoint, check_log_signature
from verifier.formats.note import VerifierKey
from verifier.log import CHECKPOINT
from verifier.printable import counted

__all__ = ["examine", "examine_witnesses", "judge_checkpoint", "open_log"]

HERE = frozenset({"127.0.0.1", "localhost", "::1"})
ASK = "ask whoever runs it; terbit publish tells what it answers"


def open_log(workspace: Workspace) -> tuple[Log, VerifierKey] | None:
    """The log, to be read, and its key; None while nothing is signed offline, which is told elsewhere."""
    try:
        key = Keyring(workspace).log_key
    except (PublishError, VerifierError):
        return None
    return Log(workspace.log, key), key


def examine(workspace: Workspace) -> Iterator[Finding]:
    """All that can be seen of the log without a network."""
    try:
        found = open_log(workspace)
    except PublishError as error:
        yield Finding("fail", "log", str(error), RECOVER)
        return
    if found is None:
        return
    log, key = found
    yield _origin(workspace, key.name)
    lacks = log.lacks(workspace.ledger)
    if lacks < 0:
        yield Finding("fail", "log", "it has more records than the ledger, which is an old copy", RECOVER)
    elif lacks > 0:
        yield Finding(
            "warn", "log", f"it lacks what the ledger has last ({counted(lacks, 'record')})", "terbit publish"
        )
    else:
        yield Finding("ok", "log", f"{log.size} entries, all that the ledger has")
    if Keyring(workspace).policy.quorum is None:
        yield Finding("ok", "log", "no witness is needed: others may be told another story, and clients say so")


def _origin(workspace: Workspace, origin: str) -> Finding:
    hosts = {urlsplit(url).hostname for target in workspace.config.targets.values() for url in target.urls}
    election = workspace.definition.election
    if urlsplit(f"//{origin}").hostname in HERE and (election.address or not election.test or hosts - HERE):
        fix = "before the first release: set address in election.toml, or [log] origin, and make new keys in a new workspace: terbit keys init; after it the name stays"
        return Finding("warn", "log", f"its origin is {origin}, an address of this machine alone", fix)
    return Finding("ok", "log", f"its origin is {origin}")


def examine_witnesses(workspace: Workspace, log: Log, origin: str) -> Iterator[Finding]:
    """What each witness shows of the log; and whether those that answer are a quorum."""
    policy, there = Keyring(workspace).policy, set()
    for name, found in shown(policy, origin, workspace.config.log.seconds).items():
        where = f"witness {name}"
        if isinstance(found, MissingError):
            there.add(name)
            yield Finding("warn", where, "it has cosigned nothing of this log yet", ASK)
        elif isinstance(found, VerifierError):
            yield Finding("warn", where, f"it does not answer: {found}", ASK)
        else:
            there.add(name)
            yield _judge_seen(where, found, log)
    if not policy.holds(there):
        what = f"those that answer are no quorum ({policy.quorum}): no release can go out"
        yield Finding("fail", "witnesses", what, "wait for them, or have the offline keys sign another policy")


def _judge_seen(where: str, data: bytes, log: Log) -> Finding:
    try:
        log.check_public(data, where)
        size = SignedCheckpoint.parse(data).checkpoint.size
    except RaceError as error:
        return Finding("fail", where, str(error), RECOVER)
    except VerifierError as error:
        return Finding("warn", where, f"it shows what is no checkpoint: {error}", ASK)
    return Finding("ok", where, f"it has seen {size} of {log.size} entries")


def judge_checkpoint(where: str, data: bytes, expected: Expected, log: Log, key: VerifierKey) -> Finding:
    """The checkpoint that a target shows (empty: none), against the log here."""
    if data and data == expected.data.get(CHECKPOINT):
        return Finding("ok", where, f"it shows the log's {log.size} entries")
    try:
        signed = SignedCheckpoint.parse(data)
        check_log_signature(signed, key)
        log.check_public(data, where)
    except RaceError as error:
        return Finding("fail", where, str(error), RECOVER)
    except VerifierError:
        what = "it shows a checkpoint that is not our log's" if data else "it shows no checkpoint of the log"
        return Finding("fail", where, what, "terbit guard --once puts ours there")
    what = f"it shows an older checkpoint of the log, of {signed.checkpoint.size} entries"
    return Finding("warn", where, what, "terbit guard --once puts the newest there")
