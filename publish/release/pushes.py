"""All targets at once: the log is shown behind none of them, a release is committed, the timestamp renewed; one that fails does not stop the others."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cached_property

from builder import durable
from publish.cdn.purger import open_purgers
from publish.errors import PendingError, TargetError
from publish.progress import Stages
from publish.release.held import Held
from publish.release.push import SNAPSHOT, Push
from publish.release.record import Base
from publish.signing.keyring import Keyring
from publish.signing.repository import RoleFile
from publish.targets import Seen
from publish.translog.append import ask_witnesses, log_release
from publish.translog.log import Log
from publish.translog.witnesses import Asked, remembered
from publish.workspace import Workspace
from verifier.log import CHECKPOINT, proof_path

__all__ = ["Pushes"]

BEGUN = b"These keys have signed a public log. Where its ledger is lost: terbit recover. Another log under them would be a second history.\n"


class Pushes:
    """What one run makes public, at the targets of `held`. `renewed` are those that show its timestamp."""

    def __init__(self, workspace: Workspace, keyring: Keyring, stages: Stages, held: Held) -> None:
        self._workspace, self._keyring, self._stages, self._held = workspace, keyring, stages, held
        self.purgers = open_purgers(workspace, stages)
        self.renewed: set[str] = set()
        self._shown_log: dict[str, Seen | None] = {}

    @cached_property
    def log(self) -> Log:
        return Log(self._workspace.log, self._keyring.log_key, self._sign_checkpoint)

    def _sign_checkpoint(self, message: bytes) -> bytes:
        if not (begun := self._workspace.log_begun).exists():
            durable.write_file(begun, BEGUN)
        return self._keyring.log_secret.sign(message)  # a plan needs no secret

    def log_release(self, snapshot: RoleFile) -> bytes:
        """Bring the ledger and the release of `snapshot` into the log, and have witnesses cosign it; the proof of that.

        Raises:
            PendingError: too few of them did. The log is public all the same: some witnesses come and look.
        """
        policy, seconds = self._keyring.policy, self._workspace.config.log.seconds
        with self._stages.stage("log"):
            self._check_log()
            try:
                proof, asked = log_release(self.log, self._workspace.ledger, snapshot, policy, seconds)
            except PendingError:
                self._show_log()
                raise
        self._tell_failed(asked)
        return proof

    def log_records(self) -> None:
        """Bring what is new in the ledger into the log, and show it beside the release that stands."""
        with self._stages.stage("log"):
            self._check_log()
            self.log.append(self._workspace.ledger)
            asked = ask_witnesses(self.log, self._keyring.policy, self._workspace.config.log.seconds)
        self._tell_failed(asked)
        self._show_log()

    def _check_log(self) -> None:
        """What the public and the witnesses have seen comes first: whoever goes on behind it forks the log.

        A target that does not let itself be read is left out of this run: it could be ahead of us.
        """
        for name, base in list(self._held.bases.items()):
            target, named = self._held.targets[name], self._held.named(base)
            try:
                self._shown_log[name] = target.read(CHECKPOINT)
                proved = target.read(proof_path(named.version)) if named else None
            except TargetError as error:
                self._held.fail(name, error)
                del self._held.bases[name]
                continue
            # A stranger may have put junk at the checkpoint; the proof of what is public says as much.
            for seen in (self._shown_log[name], proved):
                self.log.check_public(seen.data if seen else None, name)
        if not self._held.bases:
            self._held.check_failed()
        origin, seconds = self._keyring.log_key.name, self._workspace.config.log.seconds
        for name, data in remembered(self._keyring.policy, origin, seconds).items():
            self.log.check_public(data, f"the witness {name}")

    def _tell_failed(self, asked: Asked) -> None:
        for name, reason in asked.failed.items():
            self._stages.say(f"WITNESS {name} has not cosigned: {reason}")

    def _show_log(self) -> None:
        self.each(self._held.bases, b"", Push.log_alone)

    def heartbeat(self, now: datetime) -> int:
        """Sign the timestamp anew, whatever waits: the last release, which is returned, is still the newest, and clients must not be told "stale"."""
        self._keyring.unlock()
        newest = max(base.release for base in self._held.bases.values())
        self.renew(newest, now)
        return newest

    def renew(self, number: int, now: datetime) -> None:
        """Sign the timestamp anew for the targets that held release `number` when this run began."""
        current = {name: base for name, base in self._held.bases.items() if base.record and base.release == number}
        if current:
            snapshot = next(iter(current.values())).store.role(SNAPSHOT)
            standing = [base.seen.data for base in current.values() if base.seen]
            timestamp = self.timestamp(snapshot, number, now, standing=standing)
            self.each(current, timestamp, lambda push: push.renew(now))

    def timestamp(
        self, snapshot: bytes, number: int, now: datetime, kept: int = 0, standing: Sequence[bytes] = ()
    ) -> bytes:
        """A timestamp for release `number`, newer than those at the targets and than version `kept`; it renews those `standing`."""
        # Unix time needs no state that could be lost; the versions before it guard against two in one second.
        records = [base.record.timestamp_version for base in self._held.bases.values() if base.record]
        version = max(int(now.timestamp()), max([kept, *records]) + 1)
        return self._keyring.timestamp(version, now, snapshot, number, standing)

    def each(self, bases: dict[str, Base], timestamp: bytes, push: Callable[[Push], None]) -> None:
        """Push to each of some targets, all at once, under `timestamp`; none is left where the only one was left out of this run."""
        with ThreadPoolExecutor(len(bases) or 1) as threads:
            list(threads.map(lambda name: self._one(name, bases[name], timestamp, push), bases))

    def _one(self, name: str, base: Base, timestamp: bytes, push: Callable[[Push], None]) -> None:
        try:
            push(
                Push(
                    self._workspace,
                    self._held.targets[name],
                    base,
                    self._keyring,
                    self._stages,
                    timestamp,
                    self.log,
                    self._shown_log.get(name),
                    name if len(self._held.targets) > 1 else "",
                    self.purgers.get(name),
                )
            )
            self.renewed.add(name)
        except TargetError as error:
            self._held.fail(name, error)
