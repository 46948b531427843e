"""The work that is done role by role, in this process or in several: render, sign, put objects, put aliases.

Worker processes are spawned, never forked: the columnar engine's threads do not survive a fork.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path

import msgspec
import polars as pl

from builder.pack import Entry, read_index, read_pack, write_pack
from builder.site import Part, Site, entry_of, parts
from builder.tally import Tally
from publish.draft import Draft
from publish.keys import SecretKey
from publish.targets.local import LocalTarget
from publish.workspace import Workspace
from verifier.formats.minisign import TrustedComment

__all__ = ["Jobs", "MinisignKey", "Plan", "Runner", "object_path", "save_tallies"]

FRAMES = ("areas", "stations", "findings", "history")
# Below this many roles a second process costs more than it saves.
FEW_ROLES = 12


class MinisignKey(msgspec.Struct, frozen=True):
    """The key that signs results files from release `first` on, until the next key's first."""

    first: int
    key: SecretKey


class _Head(msgspec.Struct):
    path: str
    election: str
    release: int


@dataclass(frozen=True)
class Plan:
    """What every process needs to know; small enough to be sent."""

    workspace: Path
    draft: Path
    since: int
    minisign: tuple[MinisignKey, ...] = ()


class Jobs:
    """One process's view of the release under way."""

    def __init__(self, plan: Plan, site: Site | None = None) -> None:
        self.plan = plan
        self.draft = Draft(plan.draft)
        self.workspace = Workspace(plan.workspace)
        self.target = LocalTarget(self.workspace.public / self.workspace.definition.election.id)
        self.site = site or Site(
            self.workspace.inputs, self.workspace.ledger, _read_tallies(self.workspace, self.draft)
        )
        self._parts: dict[str, list[Part]] = {}
        for part in parts(self.workspace.definition):
            self._parts.setdefault(part.role, []).append(part)

    def render(self, role: str) -> int:
        """Pack the files of a role that changed; returns their number."""
        found = (pair for part in self._parts[role] for pair in self.site.area_files(part, self.plan.since))
        return len(write_pack(self.draft.files, role, found))

    def sign(self, role: str) -> int:
        """Sign each results file of a role's pack with minisign; returns the number of signatures."""
        return len(write_pack(self.draft.signatures, role, self._signatures(role)))

    def put_objects(self, role: str) -> int:
        """Put a role's files and signatures at the target as objects; returns how many stood there with other bytes."""
        replaced = 0
        for entry, data in read_pack(self.draft.files, role):
            replaced += self.target.put_object(object_path(entry), data)
        if role in self._parts:
            for entry, data in read_pack(self.draft.signatures, role):
                replaced += self.target.put_object(entry.path, data)
        return replaced

    def put_aliases(self, role: str) -> int:
        """Make the paths that people use show the new objects, each results file together with its signature."""
        signatures = {entry.path for entry in read_index(self.draft.signatures, role)} if role in self._parts else set()
        entries = read_index(self.draft.files, role)
        for entry in entries:
            source = object_path(entry)
            self.target.put_alias(entry.path, source)
            if f"{source}.minisig" in signatures:
                self.target.put_alias(f"{entry.path}.minisig", f"{source}.minisig")
        return len(entries)

    def _signatures(self, role: str) -> Iterator[tuple[Entry, bytes]]:
        head = msgspec.json.Decoder(_Head)
        for entry, data in read_pack(self.draft.files, role):
            if not entry.path.endswith(".json"):
                continue
            told = head.decode(data)
            seconds = _seconds(self.workspace.ledger.cuts[told.release - 1].time)
            comment = TrustedComment(seconds, told.path, told.election, told.release, entry.sha256).encode()
            key = next(one.key for one in reversed(self.plan.minisign) if one.first <= told.release)
            yield entry_of(f"{object_path(entry)}.minisig", key.sign_file(data, comment))


def object_path(entry: Entry) -> str:
    """Where the object of a TUF target lies (TUF specification 6.2, consistent snapshots)."""
    folder, slash, name = entry.path.rpartition("/")
    return f"targets/{folder}{slash}{entry.sha256}.{name}"


class Runner:
    """Runs a job for many roles: here when they are few, else in worker processes that are started once."""

    def __init__(self, jobs: Jobs, workers: int, prepare: Callable[[], None]) -> None:
        """`prepare` leaves on disk what worker processes will read; it is called before the first of them starts."""
        self._jobs, self._workers, self._prepare = jobs, workers, prepare
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Runner":
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    @contextmanager
    def executor(self) -> Iterator[Executor]:
        """Where other work may go: the worker processes if there are any, else threads."""
        if self._pool is not None:
            yield self._pool
        else:
            with ThreadPoolExecutor(self._workers) as threads:
                yield threads

    def run(self, job: str, roles: Sequence[str], advance: Callable[[int], None]) -> int:
        """Do `job` (a method of `Jobs`) for each role; returns the sum of what the jobs return."""
        if self._workers == 1 or len(roles) < FEW_ROLES:
            results: Iterator[int] = (getattr(self._jobs, job)(role) for role in roles)
        else:
            if self._pool is None:
                self._prepare()
                self._pool = ProcessPoolExecutor(self._workers, get_context("spawn"), _start_worker, (self._jobs.plan,))
            results = self._pool.map(_work, ((job, role) for role in roles), chunksize=4)
        total = 0
        for result in results:
            total += result
            advance(1)
        return total


_plan: Plan
_worker_jobs: Jobs | None = None


def _start_worker(plan: Plan) -> None:
    global _plan  # noqa: PLW0603 - a worker process has one plan for its life
    _plan = plan


def _work(task: tuple[str, str]) -> int:
    global _worker_jobs  # noqa: PLW0603
    job, role = task
    if _worker_jobs is None:
        _worker_jobs = Jobs(_plan)
    result: int = getattr(_worker_jobs, job)(role)
    return result


def save_tallies(draft: Draft, tallies: dict[str, Tally]) -> None:
    """Leave the tallies where worker processes find them."""
    folder = draft.directory / "tally"
    folder.mkdir(parents=True, exist_ok=True)
    for contest, one in tallies.items():
        for name in FRAMES:
            getattr(one, name).write_ipc(folder / f"{contest}.{name}.arrow")


def _seconds(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp())


def _read_tallies(workspace: Workspace, draft: Draft) -> dict[str, Tally]:
    folder = draft.directory / "tally"
    return {
        contest.id: Tally(contest, *(pl.read_ipc(folder / f"{contest.id}.{name}.arrow") for name in FRAMES))
        for contest in workspace.definition.election.contests
    }
