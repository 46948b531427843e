"""The commands' flow: intake → cut → build → sign → push, each able to carry on where a stop left it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from builder.inbox import IntakeReport, find_packages, take_in
from builder.ledger import Cut
from builder.pack import pack_names, read_index, read_pack
from builder.site import Site
from publish import release
from publish.draft import Draft, DraftState
from publish.errors import SigningError
from publish.jobs import FEW_ROLES, Jobs, Plan, Runner, Workers, save_tallies
from publish.keyring import Keyring
from publish.progress import Stages
from publish.push import TIMESTAMP, Push
from publish.record import RecordStore
from publish.targets.local import LocalTarget
from publish.workspace import Workspace

__all__ = ["Flow", "take_in_packages", "unpack"]


def take_in_packages(
    workspace: Workspace, paths: Sequence[Path], stages: Stages, workers: Workers | None = None
) -> IntakeReport:
    """Take what lies at `paths` (default: the inbox) into the ledger, and keep the fold for the next run.

    `workers` are started meanwhile if what comes in will give them work.
    """
    if not paths and not workspace.inbox.is_dir():
        return IntakeReport()
    found = [package for path in paths or [workspace.inbox] for package in find_packages(path)]
    if not found:
        return IntakeReport()
    if workers is not None and len(found) >= FEW_ROLES:
        workers.start()
    with stages.stage("intake", len(found)) as advance:
        report = take_in(found, workspace.inbox, workspace.ledger, workspace.rows, workspace.definition, advance)
        if report.accepted:
            workspace.save_rows()
    return report


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
        self.target = LocalTarget(workspace.public / workspace.definition.election.id)
        self.store = RecordStore(workspace.build / "targets" / "public")
        self.workers = Workers(workspace.directory, workspace.config.workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.workers.stop()

    @cached_property
    def cut(self) -> Cut:
        """The cut to publish: the last one, or a new one when something changed."""
        self.keyring.check()
        with self.stages.stage("cut"):
            return release.make_cut(
                self.workspace, self.keyring.trust.sha256, self.now, self.keyring.validity("snapshot") / 2
            )

    @cached_property
    def site(self) -> Site:
        with self.stages.stage("tally"):
            return self.workspace.site()

    @cached_property
    def base(self) -> release.Base:
        base = release.Base(self.store, self.target.read(TIMESTAMP))
        if base.timestamp is not None and base.record is None:
            self.stages.say("The target does not show what we last put there: everything is built and compared again.")
        return base

    @cached_property
    def draft(self) -> Draft:
        """The draft of the cut's release: the one that a stopped run left, if it serves this target, or a fresh one."""
        draft = Draft(self.workspace.build / "draft" / str(self.cut.release))
        state = draft.state()
        # The draft's own timestamp at the target: the last run was stopped between its commit and its end.
        committed = draft.timestamp is not None and draft.timestamp == self.base.timestamp
        if state is None or not (committed or state.since <= self.base.release):
            for old in self.workspace.build.glob("draft/*"):
                Draft(old).discard()
            draft.start()
        return draft

    @cached_property
    def runner(self) -> Runner:
        plan = Plan(self.draft.directory, self.base.release, self.keyring.minisign)
        jobs = Jobs(plan, self.workspace, self.site)
        return Runner(self.workers, jobs, lambda: save_tallies(self.draft, self.site.tallies))

    def build(self, jobs: Sequence[str] = ("render",)) -> Draft:
        """Make the draft's files, unsigned unless `jobs` go further."""
        if self.draft.state() is None:
            trust = self.keyring.trust.files
            release.build(self.workspace, self.site, trust, self.base, self.draft, self.runner, self.stages, jobs)
        return self.draft

    def sign(self) -> DraftState:
        """Build if needed, then sign. Objects may go out before the release is whole: no one is told of them yet."""
        state = self.build(("render", "sign", "put_objects")).state()
        if state is None or state.stage != "signed":
            state = release.sign(
                self.workspace, self.site, self.base, self.draft, self.keyring, self.runner, self.stages
            )
        return state

    def publish(self) -> dict[str, Any]:
        """Make the ledger's state public; with nothing new, renew the timestamp. Tells what was done."""
        self.keyring.unlock()
        push = Push(self.workspace, self.target, self.store, self.keyring, self.stages, self.now)
        try:
            self.keyring.check()
        except SigningError:
            # The last release is still the newest: clients must not be told "stale" while offline signatures are awaited.
            if self.base.record is not None:
                push.renew(self.base.record)
            raise
        expires = self.now + self.keyring.validity("timestamp")
        told = {"release": self.cut.release, "expires": expires.strftime(release.TIME_FORMAT), "files": 0}
        if self.base.record is not None and self.base.release == self.cut.release:
            push.renew(self.base.record)
            return told
        state = self.sign()
        told["files"] = sum(len(read_index(self.draft.files, name)) for name in pack_names(self.draft.files))
        push.release(self.draft, state, self.runner)
        return told
