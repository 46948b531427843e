"""The commands' flow, after intake: cut → build → sign → check → log → push, each able to carry on where a stop left it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from builder import durable
from builder.errors import BuilderError
from builder.ledger import Cut
from builder.pack import pack_names, read_index
from builder.site import Site
from publish.errors import FrozenError, PendingError, PublishError, RaceError, TargetError
from publish.planning.changes import Changes, compare
from publish.progress import Stages
from publish.release import make
from publish.release.check import DraftFetcher, check_draft
from publish.release.draft import Draft, DraftState
from publish.release.exchange import Exchange, await_answer
from publish.release.held import Held
from publish.release.intake import waiting_release
from publish.release.jobs import Job, Jobs, MinisignKey, Plan, Runner, Workers, save_tallies
from publish.release.lineage import Lineage, check_ledger
from publish.release.push import SNAPSHOT
from publish.release.pushes import Pushes
from publish.release.record import Base
from publish.release.whole import make_whole
from publish.signing.keyring import Keyring
from publish.targets.open import open_exchange
from publish.workspace import Workspace
from verifier.errors import VerifierError

__all__ = ["Flow"]


class Flow:
    """One run over a workspace, at time `now`. A context manager, since it may hold worker processes."""

    def __init__(
        self, workspace: Workspace, stages: Stages, now: datetime, passphrase_file: Path | None = None
    ) -> None:
        self.workspace, self.stages, self.now = workspace, stages, now
        self.keyring = Keyring(workspace, passphrase_file)
        self.held = Held(workspace, self.keyring, stages)
        self.pushes = Pushes(workspace, self.keyring, stages, self.held)
        self.workers = Workers(workspace.directory, workspace.config.workers)
        self.files = 0
        self.waiting: int | None = None
        self.full_packs = False  # asked for, whenever the last ones were made

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.workers.stop()
        self.stages.close()

    @cached_property
    def cut(self) -> Cut:
        """The cut to publish: the last one, or a new one when something changed."""
        self.keyring.check()
        check_ledger(self.workspace, self.held.shown or 0)
        with self.stages.stage("cut"):
            spent = self.pushes.log.release if self.pushes.log.spent else 0
            renew_after = self.keyring.validity("snapshot") / 2
            last, shown = next(reversed(self.workspace.ledger.cuts), None), self.held.shown or 0
            # A run that was stopped has cut the release that was asked for.
            asked = self.full_packs and not (last and last.full and last.release > shown)
            cut = make.make_cut(self.workspace, self.keyring.trust, self.now, renew_after, spent, full_packs=asked)
        make.check_frozen(self.workspace, self.held.shown or 0)
        return cut

    def check_before_intake(self) -> None:
        """PublishError if the ledger is an old copy, as far as any target answers: `terbit recover` does not go on from one that took something in."""
        try:
            shown = self.held.shown or 0
        except RaceError:
            raise
        except TargetError:  # none answers, which the run tells when it comes to them
            return
        check_ledger(self.workspace, shown)

    @cached_property
    def site(self) -> Site:
        with self.stages.stage("tally"):
            return self.workspace.site()

    @property
    def behind(self) -> dict[str, Base]:
        """The targets that do not hold the release of the cut, those that lack most first."""
        return self.held.behind(self.cut.release)

    @property
    def base(self) -> Base:
        """What a draft starts from: what the target that lacks most holds."""
        return next(iter((self.behind or self.held.bases).values()))

    @cached_property
    def changes(self) -> Changes:
        """What the release of the cut changes for the public."""
        cut, shown = self.cut, self.held.shown or 0
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
                first=self.held.shown is None,
            )

    @cached_property
    def draft(self) -> Draft:
        """The draft of the cut's release: the one that a stopped run left, if it serves these targets, or a fresh one."""
        draft = Draft(self.workspace.build / "draft" / str(self.cut.release))
        state = draft.state()
        if state is None or not all(self._serves(state, base) for base in self.behind.values()):
            for old in self.workspace.build.glob("draft/*"):
                Draft(old).drop(self.workspace.dropped)
            draft.start()
        return draft

    def _serves(self, state: DraftState, base: Base) -> bool:
        """True if a draft has all that a target lacks, or the target already shows its release: an earlier run was stopped after its commit."""
        if state.since <= base.release:
            return True
        named = self.held.named(base)
        return named is not None and named == state.roles.get(SNAPSHOT)

    @cached_property
    def runner(self) -> Runner:
        return self._runner(self.keyring.minisign)

    def _runner(self, keys: tuple[MinisignKey, ...]) -> Runner:
        plan = Plan(self.draft.directory, self.base.release, keys, self.base.directory)
        jobs = Jobs(plan, self.workspace, self.site)
        return Runner(self.workers, jobs, lambda: save_tallies(self.draft, self.site.tallies))

    def build(self, more: Sequence[Job] = ()) -> Draft:
        """Make the draft's files, unsigned and without a secret key unless there are `more` jobs to do in the same go."""
        if self.draft.state() is None:
            trust, runner = self.keyring.trust.files, self.runner if more else self._runner(())
            jobs: list[Job] = [("render",), *more]
            make.build(self.workspace, self.site, trust, self.base, self.draft, runner, self.stages, jobs)
        return self.draft

    def sign(self) -> DraftState:
        """Build if needed, then sign. Objects may go out before the release is whole: no one is told of them yet."""
        folders = [target.name for target in self.workspace.local_targets() if target.name in self.behind]
        if self.keyring.waits_for_others:  # nothing that he has not seen lies in public
            folders = []
        if folders:
            self.draft.mark_pushed()
        state = self.build([("sign",), *(("put_objects", name) for name in folders)]).state()
        if state is None or state.stage != "signed":
            make_it = (self.workspace, self.site, self.base, self.draft, self.keyring, self.runner, self.stages)
            state = make.sign(*make_it, self._others, self._whole)
        return state

    def _whole(self, state: DraftState) -> Draft | None:
        trust, keys = self.keyring.trust.files, self.keyring.minisign
        return make_whole(self.workspace, self.site, trust, self.draft, state, self.workers, self.stages, keys)

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
            self.pushes.heartbeat(self.now)
            self.held.check_failed()
            return
        except PendingError as error:
            kept = f"release {self.pushes.heartbeat(self.now)} stays, its timestamp good until {self.expires}"
            raise PendingError("; ".join([str(error), kept, *self.held.failed.values()])) from None
        except TargetError:
            raise
        except (BuilderError, PublishError, VerifierError, OSError):
            # Whatever keeps the next release from being made, the last one is still the newest.
            self.pushes.heartbeat(self.now)
            raise
        if made:
            state, timestamp = made
            self.files = sum(len(read_index(self.draft.files, name)) for name in pack_names(self.draft.files))
            self.draft.mark_pushed()
            self.pushes.each(self.behind, timestamp, lambda push: push.release(self.draft, state, self.runner))
            if not self.held.failed:  # the next run needs it for those
                self.draft.discard()
        elif self.pushes.log.lacks(self.workspace.ledger):
            self.pushes.log_records()
        self.pushes.renew(self.cut.release, self.now)
        self.held.check_failed()

    def told(self) -> dict[str, Any]:
        """What this run did, also after it failed: the newest release that is public, and of each target its release and what went wrong.

        `waiting` is the release that waits for a yes. `expires` is None where no timestamp could be renewed.
        """
        releases = {name: record.release if record else 0 for name, record in self.held.records().items()}
        told: dict[str, Any] = {
            "release": max(releases.values()),
            "expires": self.expires if self.pushes.renewed else None,
            "files": self.files,
            "waiting": self.waiting,
            "targets": {
                name: {"release": release, "error": self.held.failed.get(name)} for name, release in releases.items()
            },
        }
        if self.pushes.purgers:
            told["cdn"] = {name: purger.told() for name, purger in self.pushes.purgers.items()}
        return told

    @property
    def expires(self) -> str:
        """Until when a timestamp of this run is good."""
        return (self.now + self.keyring.validity("timestamp")).strftime(make.TIME_FORMAT)

    def _make(self, agree: Callable[[Changes], bool] | None) -> tuple[DraftState, bytes]:
        """The release of the cut, agreed to, signed and checked, and the timestamp to commit it with."""
        known = waiting_release(self.workspace)  # agreed to before it was laid out for the second signer
        if agree is not None and self.held.shown is not None and not known and not agree(self.changes):
            self.waiting = self.cut.release
            raise PendingError(f"release {self.waiting} waits for a yes and nothing of it was published")
        state = self.sign()
        snapshot = (self.draft.metadata / f"{state.release}.{SNAPSHOT}.json").read_bytes()
        timestamp = self.pushes.timestamp(snapshot, state.release, self.now, self.draft.timestamp_version())
        self.draft.keep_timestamp(timestamp)
        Lineage(self.workspace.ledger.directory).add(state.release, state.roles[SNAPSHOT].sha256)
        with self.stages.stage("verify"):
            self._check(timestamp)
        try:
            proof = self.pushes.log_release(state.roles[SNAPSHOT])
        except PendingError:
            self.waiting = state.release
            raise
        durable.write_file(self.draft.metadata / f"{state.release}.{SNAPSHOT}.json.tlog-proof", proof)
        return state, timestamp

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
