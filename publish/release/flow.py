"""The commands' flow: intake → cut → build → sign → push, each able to carry on where a stop left it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from builder import durable
from builder.errors import BuilderError
from builder.inbox import IntakeReport, find_packages, packages_in, take_in
from builder.ledger import Cut
from builder.pack import pack_names, read_index, read_pack
from builder.site import Site
from publish.cdn.purger import open_purgers
from publish.errors import FrozenError, PendingError, PublishError, RaceError, TargetError
from publish.officials import admission
from publish.planning.changes import Changes, compare
from publish.progress import Stages
from publish.release import make
from publish.release.check import DraftFetcher, check_draft
from publish.release.draft import Draft, DraftState
from publish.release.exchange import Exchange, await_answer
from publish.release.jobs import FEW_ROLES, Job, Jobs, Plan, Runner, Workers, save_tallies
from publish.release.lineage import Lineage
from publish.release.push import SNAPSHOT, Push
from publish.release.record import Base, open_record
from publish.signing.keyring import Keyring
from publish.signing.repository import RoleFile
from publish.targets import TIMESTAMP, Seen
from publish.targets.open import open_exchange, open_targets
from publish.translog.append import ask_witnesses, log_release
from publish.translog.log import Log
from publish.translog.witnesses import remembered
from publish.workspace import Workspace
from verifier.errors import VerifierError
from verifier.log import CHECKPOINT, proof_path

__all__ = ["Flow", "take_in_packages", "unpack"]


def take_in_packages(
    workspace: Workspace,
    paths: Sequence[Path],
    stages: Stages,
    now: datetime,
    workers: Workers | None = None,
    *,
    attested: bool = False,
) -> IntakeReport:
    """Take what lies at `paths` (default: the inbox) into the ledger, and keep the fold for the next run.

    `workers` are started meanwhile if what comes in will give them work. `attested`: the operator vouches for what is unsigned at `paths`.
    """
    if frozen := workspace.frozen:
        stages.say(
            f"Frozen since {frozen['since']} ({frozen['reason']}): nothing is taken in. To go on: terbit freeze --end"
        )
        return IntakeReport()
    if not paths and (release := waiting_release(workspace)):
        # A new cut now would leave the second signer with a draft that nobody wants any more, again and again.
        stages.say(f"Release {release} waits for the second signer; what lies in the inbox is taken in after it.")
        return IntakeReport()
    if not paths and not workspace.inbox.is_dir():
        return IntakeReport()
    found = [package for path in paths for package in find_packages(path)] if paths else packages_in(workspace.inbox)
    if not found:
        return IntakeReport()
    admitted = admission(workspace, now, attested=attested)
    if workers is not None and len(found) >= FEW_ROLES:
        workers.start()
    with stages.stage("intake", len(found)) as advance:
        ledger, rows = workspace.ledger, workspace.rows
        report = take_in(found, workspace.inbox, ledger, rows, workspace.definition, advance, now.timestamp(), admitted)
        if report.accepted:
            workspace.save_rows()
    return report


def waiting_release(workspace: Workspace) -> int | None:
    """The release that waits for its second signer; None if none does."""
    cuts, exchange = workspace.ledger.cuts, workspace.config.exchange
    draft = Draft(workspace.build / "draft" / str(cuts[-1].release)) if cuts and exchange else None
    return cuts[-1].release if draft and draft.is_half_signed else None


def unpack(draft: Draft, out: Path) -> int:
    """Write a draft's files as plain files under `out`, to look at; returns their number."""
    count = 0
    for name in pack_names(draft.files):
        for entry, data in read_pack(draft.files, name):
            path = out / entry.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            count += 1
    return count


class Flow:
    """One run over a workspace, at time `now`. A context manager, since it may hold worker processes."""

    def __init__(
        self, workspace: Workspace, stages: Stages, now: datetime, passphrase_file: Path | None = None
    ) -> None:
        self.workspace, self.stages, self.now = workspace, stages, now
        self.keyring = Keyring(workspace, passphrase_file)
        self.targets = {target.name: target for target in open_targets(workspace, stages.say)}
        self.purgers = open_purgers(workspace, stages)
        self.workers = Workers(workspace.directory, workspace.config.workers)
        self.lineage = Lineage(workspace.ledger.directory)
        self.failed: dict[str, str] = {}
        self.renewed: set[str] = set()
        self.shown_log: dict[str, Seen | None] = {}
        self.files = 0
        self.waiting: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.workers.stop()
        self.stages.close()

    @cached_property
    def cut(self) -> Cut:
        """The cut to publish: the last one, or a new one when something changed."""
        self.keyring.check()
        with self.stages.stage("cut"):
            spent = self.log.release if self.log.spent else 0
            return make.make_cut(
                self.workspace, self.keyring.trust, self.now, self.keyring.validity("snapshot") / 2, spent
            )

    @cached_property
    def log(self) -> Log:
        return Log(self.workspace.log, self.keyring.log_key, self._sign_checkpoint)

    def _sign_checkpoint(self, message: bytes) -> bytes:
        return self.keyring.log_secret.sign(message)  # a plan needs no secret

    @cached_property
    def site(self) -> Site:
        with self.stages.stage("tally"):
            return self.workspace.site()

    @cached_property
    def bases(self) -> dict[str, Base]:
        """What each target holds; one that is down is left out, and caught up at the next run.

        Raises:
            RaceError: a target shows a release that was made elsewhere with our keys.
        """
        found = {}
        for name, target in self.targets.items():
            try:
                base = Base(open_record(self.workspace, name), target.read(TIMESTAMP))
            except TargetError as error:
                self._fail(name, error)
                continue
            if (before := base.store.elsewhere()) is not None:
                self.stages.say(
                    f"{name} was another place ({before.place}) when it was last published to: everything is built and put here."
                )
            if base.seen is not None and base.record is None:
                self._check_ours(name, base.seen)
                if base.store.read() is not None:
                    self.stages.say(
                        f"{name} does not show what we last put there: everything is built and compared again."
                    )
            found[name] = base
        if not found:
            self.check_failed()
        return found

    def _check_ours(self, name: str, seen: Seen) -> None:
        """Go on only from a release of our own line: another copy of this workspace would lose what only it has published."""
        named = self.keyring.named_snapshot(seen.data)
        if named is not None and not self.lineage.has(named.version, named.sha256):
            raise RaceError(
                f"{name} shows release {named.version}, signed with our keys but not made here: another publisher is at work, or this is an old copy. "
                "Nothing was published. Let only one go on; what the other one took in lies in its ledger/packages and can be handed in there"
            )

    @cached_property
    def behind(self) -> dict[str, Base]:
        """The targets that do not hold the release of the cut, those that lack most first."""
        behind = {name: base for name, base in self.bases.items() if base.release != self.cut.release}
        return dict(sorted(behind.items(), key=lambda item: item[1].release))

    @cached_property
    def base(self) -> Base:
        """What a draft starts from: what the target that lacks most holds."""
        return next(iter(self.behind.values())) if self.behind else next(iter(self.bases.values()))

    @cached_property
    def shown(self) -> int | None:
        """The newest release that we know to be public, as a timestamp of ours at a target says, or our own record; None if none ever was."""
        found = []
        for name in self.targets:
            base, record = self.bases.get(name), open_record(self.workspace, name).read()
            seen = base.seen if base else None
            named = self.keyring.named_snapshot(seen.data) if seen else None
            if named or record or seen:
                found.append(named.version if named else record.release if record else 0)
        return max(found, default=None)

    @cached_property
    def changes(self) -> Changes:
        """What the release of the cut changes for the public."""
        shown, cut = self.shown or 0, self.cut
        if shown > cut.release:
            raise PublishError(
                f"release {shown} is public, but this ledger ends with {cut.release}: an old copy. Restore the newest one (docs/operations.md)"
            )
        rows, site = self.workspace.rows, self.site
        with self.stages.stage("compare"):
            return compare(
                rows,
                site.tallies,
                site.definition,
                site.covers,
                since=shown,
                packages=self.workspace.ledger.cuts[shown - 1].through if shown else 0,
                through=cut.through,
                first=self.shown is None,
            )

    @cached_property
    def draft(self) -> Draft:
        """The draft of the cut's release: the one that a stopped run left, if it serves these targets, or a fresh one."""
        draft = Draft(self.workspace.build / "draft" / str(self.cut.release))
        state = draft.state()
        if state is None or not all(self._serves(state, base) for base in self.behind.values()):
            for old in self.workspace.build.glob("draft/*"):
                Draft(old).discard()
            draft.start()
        return draft

    def _serves(self, state: DraftState, base: Base) -> bool:
        """True if a draft has all that a target lacks, or the target already shows its release: an earlier run was stopped after its commit."""
        if state.since <= base.release:
            return True
        named = self.keyring.named_snapshot(base.seen.data) if base.seen else None
        return named is not None and named == state.roles.get(SNAPSHOT)

    @cached_property
    def runner(self) -> Runner:
        plan = Plan(self.draft.directory, self.base.release, self.keyring.minisign, self.base.directory)
        jobs = Jobs(plan, self.workspace, self.site)
        return Runner(self.workers, jobs, lambda: save_tallies(self.draft, self.site.tallies))

    def build(self, jobs: Sequence[Job] = (("render",),)) -> Draft:
        """Make the draft's files, unsigned unless `jobs` go further."""
        if self.draft.state() is None:
            trust = self.keyring.trust.files
            make.build(self.workspace, self.site, trust, self.base, self.draft, self.runner, self.stages, jobs)
        return self.draft

    def sign(self) -> DraftState:
        """Build if needed, then sign. Objects may go out before the release is whole: no one is told of them yet."""
        folders = [target.name for target in self.workspace.local_targets() if target.name in self.behind]
        if self.keyring.waits_for_others:  # nothing that he has not seen lies in public
            folders = []
        jobs: list[Job] = [("render",), ("sign",), *(("put_objects", name) for name in folders)]
        state = self.build(jobs).state()
        if state is None or state.stage != "signed":
            make_it = (self.workspace, self.site, self.base, self.draft, self.keyring, self.runner, self.stages)
            state = make.sign(*make_it, self._others)
        return state

    def _others(self, state: DraftState) -> make.Signatures | None:
        """The second signer's signatures of the draft so far, None where there is none. PendingError while he has not given them."""
        config = self.workspace.config.exchange
        if config is None or not self.keyring.waits_for_others:
            return None
        exchange, keyids = Exchange(open_exchange(self.workspace)), self.keyring.keyids(ours=False)
        self.waiting = state.release
        with self.stages.stage("second signer"):
            answer = await_answer(exchange, self.workspace, self.draft, state, keyids, config.wait)
        self.waiting = None
        return answer.signatures

    def publish(self, agree: Callable[[Changes], bool] | None = None) -> dict[str, Any]:
        """Make the ledger's state public; with nothing new, renew the timestamp. Tells what was done.

        `agree` is asked before a release goes out, but for an election's first one.

        Raises:
            PendingError: it did not; the last release stays public, its timestamp renewed.
            TargetError: at some target it could not be done; at the others it was.
        """
        self.keyring.unlock()
        try:
            self._publish(agree)
        except RaceError:
            raise
        except TargetError as error:
            raise TargetError(f"{error}; the last release stays there, publish again to go on") from error
        return self.told()

    def _publish(self, agree: Callable[[Changes], bool] | None) -> None:
        try:
            _ = self.cut
            made = self._make(agree) if self.behind else None
        except FrozenError as error:
            self.stages.say(str(error))
            self.heartbeat()
            self.check_failed()
            return
        except PendingError as error:
            kept = f"release {self.heartbeat()} stays, its timestamp good until {self._expires()}"
            raise PendingError("; ".join([str(error), kept, *self.failed.values()])) from None
        except TargetError:
            raise
        except (BuilderError, PublishError, VerifierError, OSError):
            # Whatever keeps the next release from being made, the last one is still the newest.
            self.heartbeat()
            raise
        if made:
            state, timestamp = made
            self.files = sum(len(read_index(self.draft.files, name)) for name in pack_names(self.draft.files))
            self._each(self.behind, timestamp, lambda push: push.release(self.draft, state, self.runner))
            if not self.behind.keys() & self.failed.keys():
                self.draft.discard()
        elif self.log.lacks(self.workspace.ledger):
            self._log()
        self.renew(self.cut.release)
        self.check_failed()

    def told(self) -> dict[str, Any]:
        """What this run did, also after it failed: the newest release that is public, and of each target its release and what went wrong.

        `waiting` is the release that waits for a yes. `expires` is None where no timestamp could be renewed.
        """
        records = {name: open_record(self.workspace, name).read() for name in self.targets}
        releases = {name: record.release if record else 0 for name, record in records.items()}
        told: dict[str, Any] = {
            "release": max(releases.values()),
            "expires": self._expires() if self.renewed else None,
            "files": self.files,
            "waiting": self.waiting,
            "targets": {name: {"release": releases[name], "error": self.failed.get(name)} for name in self.targets},
        }
        if self.purgers:
            told["cdn"] = {name: purger.told() for name, purger in self.purgers.items()}
        return told

    def _expires(self) -> str:
        return (self.now + self.keyring.validity("timestamp")).strftime(make.TIME_FORMAT)

    def _make(self, agree: Callable[[Changes], bool] | None) -> tuple[DraftState, bytes]:
        """The release of the cut, agreed to, signed and checked, and the timestamp to commit it with."""
        known = waiting_release(self.workspace)  # agreed to before it was laid out for the second signer
        if agree is not None and self.shown is not None and not known and not agree(self.changes):
            self.waiting = self.cut.release
            raise PendingError(f"release {self.waiting} waits for a yes and nothing of it was published")
        state = self.sign()
        snapshot = (self.draft.metadata / f"{state.release}.{SNAPSHOT}.json").read_bytes()
        timestamp = self._timestamp(snapshot, state.release, self.draft.timestamp_version())
        self.draft.keep_timestamp(timestamp)
        self.lineage.add(state.release, state.roles[SNAPSHOT].sha256)
        with self.stages.stage("verify"):
            self._check(timestamp)
        self._log(state.roles[SNAPSHOT])
        return state, timestamp

    def _log(self, snapshot: RoleFile | None = None) -> None:
        """Bring the ledger and the release of `snapshot` into the log, and have witnesses cosign it.

        Raises:
            PendingError: too few of them did. The log is public all the same: some witnesses come and look.
        """
        policy, seconds = self.keyring.policy, self.workspace.config.log.seconds
        with self.stages.stage("log"):
            self._check_log()
            try:
                if snapshot is None:
                    self.log.append(self.workspace.ledger)
                    asked = ask_witnesses(self.log, policy, seconds)
                else:
                    proof, asked = log_release(self.log, self.workspace.ledger, snapshot, policy, seconds)
                    durable.write_file(self.draft.metadata / f"{snapshot.version}.{SNAPSHOT}.json.tlog-proof", proof)
            except PendingError:
                self.waiting = snapshot.version if snapshot else None
                self._show_log()
                raise
        for name, reason in asked.failed.items():
            self.stages.say(f"WITNESS {name} has not cosigned: {reason}")
        if snapshot is None:
            self._show_log()

    def _check_log(self) -> None:
        """What the public and the witnesses have seen comes first: whoever goes on behind it forks the log.

        A target that does not let itself be read is left out of this run: it could be ahead of us.
        """
        for name, base in list(self.bases.items()):
            try:
                self.shown_log[name] = self.targets[name].read(CHECKPOINT)
                proved = self._read_proof(name, base)
            except TargetError as error:
                self._fail(name, error)
                for known in (self.bases, self.behind):
                    known.pop(name, None)
                continue
            # A stranger may have put junk at the checkpoint; the proof of what is public says as much.
            for seen in (self.shown_log[name], proved):
                self.log.check_public(seen.data if seen else None, name)
        if not self.bases:
            self.check_failed()
        origin, seconds = self.keyring.log_key.name, self.workspace.config.log.seconds
        for name, data in remembered(self.keyring.policy, origin, seconds).items():
            self.log.check_public(data, f"the witness {name}")

    def _read_proof(self, name: str, base: Base) -> Seen | None:
        named = self.keyring.named_snapshot(base.seen.data) if base.seen else None
        return self.targets[name].read(proof_path(named.version)) if named else None

    def _show_log(self) -> None:
        self._each(self.bases, b"", lambda push: push.log_alone())

    def heartbeat(self) -> int:
        """Sign the timestamp anew, whatever waits: the last release, which is returned, is still the newest, and clients must not be told "stale"."""
        self.keyring.unlock()
        newest = max(base.release for base in self.bases.values())
        self.renew(newest)
        return newest

    def look_again(self) -> None:
        """Forget what the targets hold: it is read anew."""
        for name in ("bases", "behind", "base"):
            self.__dict__.pop(name, None)

    def check_failed(self) -> None:
        """TargetError if at some target it could not be done; at the others it was. What was said as it happened is not said again."""
        if self.failed:
            said = f"{', '.join(self.failed)} failed, as said above"
            raise TargetError("; ".join(self.failed.values()) if self.stages.quiet else said)

    def renew(self, number: int) -> None:
        """Sign the timestamp anew for the targets that held release `number` when this run began."""
        current = {name: base for name, base in self.bases.items() if base.record and base.release == number}
        if not current:
            return
        timestamp = self._timestamp(next(iter(current.values())).store.role(SNAPSHOT), number)
        self._each(current, timestamp, lambda push: push.renew())

    def _each(self, bases: dict[str, Base], timestamp: bytes, push: Callable[[Push], None]) -> None:
        """Push to each of some targets, all at once; one that fails does not stop the others."""

        def work(name: str) -> None:
            try:
                push(
                    Push(
                        self.workspace,
                        self.targets[name],
                        bases[name],
                        self.keyring,
                        self.stages,
                        self.now,
                        timestamp,
                        self.log,
                        self.shown_log.get(name),
                        name if len(self.targets) > 1 else "",
                        self.purgers.get(name),
                    )
                )
                self.renewed.add(name)
            except TargetError as error:
                self._fail(name, error)

        with ThreadPoolExecutor(len(bases)) as threads:
            list(threads.map(work, bases))

    def _timestamp(self, snapshot: bytes, number: int, kept: int = 0) -> bytes:
        # Unix time needs no state that could be lost; the versions before it guard against two in one second.
        records = [base.record.timestamp_version for base in self.bases.values() if base.record]
        previous = max([kept, *records])
        return self.keyring.timestamp(max(int(self.now.timestamp()), previous + 1), self.now, snapshot, number)

    def _check(self, timestamp: bytes) -> None:
        fetcher = DraftFetcher(
            self.draft.directory,
            self.base.store.directory,
            self.workspace.keys / "metadata",
            self.workspace.ledger.directory / "packages",
        )
        root = self.keyring.trust.metadata["1.root.json"]
        redacted = self.workspace.ledger.redacted.items()
        withheld = {(package, file): order for package, files in redacted for file, (order, _) in files.items()}
        check_draft(self.draft, fetcher, withheld, root, timestamp, self.now, self.runner)

    def _fail(self, name: str, error: TargetError) -> None:
        self.failed[name] = f"{name}: {str(error).removeprefix(f'{name}: ')}"
        self.stages.say(f"FAILED {self.failed[name]}")
