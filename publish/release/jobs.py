"""The work that is done role by role, in this process or in several: render, sign, put objects, put aliases.

Worker processes are spawned, never forked: the columnar engine's threads do not survive a fork.
"""

import fcntl
import gc
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import msgspec

from builder.pack import Entry, read_index, read_pack, write_pack
from builder.parts import DATA_FILES, Part, parts
from builder.site import Site, entry_of
from builder.tally import Tally, read_tallies, write_tallies
from publish.errors import TargetError
from publish.release.draft import Draft
from publish.release.record import RecordStore
from publish.signing.keys import SecretKey
from publish.workspace import Workspace
from verifier.files import is_results, object_path
from verifier.formats.minisign import TrustedComment
from verifier.processes import end_with_parent

__all__ = ["FEW_ROLES", "Job", "Jobs", "MinisignKey", "Plan", "Runner", "Workers", "save_tallies"]

T = TypeVar("T")
U = TypeVar("U")
# A method of `Jobs`, with what it takes after the role.
Job = tuple[str, *tuple[str, ...]]
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

    draft: Path
    since: int
    minisign: tuple[MinisignKey, ...] = ()
    record: Path | None = None  # what the target holds (publish/release/record.py), if that is known


class Jobs:
    """One process's view of the release under way."""

    def __init__(self, plan: Plan, workspace: Workspace, site: Site | None = None) -> None:
        self.plan, self.workspace = plan, workspace
        self.draft = Draft(plan.draft)
        self._targets = {target.name: target for target in self.workspace.local_targets()}
        self.site = site or Site(
            self.workspace.inputs,
            self.workspace.ledger,
            read_tallies(self.draft.directory / "tally", self.workspace.definition.election.contests),
        )
        self._parts: dict[str, list[Part]] = {}
        for part in parts(self.workspace.definition):
            self._parts.setdefault(part.role, []).append(part)

    def render(self, role: str) -> int:
        """Pack the files of a role that changed; returns their number."""
        listed = self._listed(role)
        found = (pair for part in self._parts[role] for pair in self.site.area_files(part, self.plan.since, listed))
        return len(write_pack(self.draft.files, role, found))

    def _listed(self, role: str) -> dict[str, tuple[int, str]]:
        """What the target holds of a role that describes its own files; a contest within a shard has one portion, which is made anew anyway."""
        record = self.plan.record
        if record is None or not role.endswith(f"-{DATA_FILES}") or not (record / f"{role}.json").exists():
            return {}
        return RecordStore(record).role_targets(role)

    def sign(self, role: str) -> int:
        """Sign each results file of a role's pack with minisign; returns the number of signatures."""
        return len(write_pack(self.draft.signatures, role, self._signatures(role)))

    def put_objects(self, role: str, target: str) -> int:
        """Put a role's files and signatures at a local target as objects; returns how many stood there with other bytes."""
        with self._alone():
            conflicts = self._targets[target].put_objects(self.draft.objects(role), _ignore)
        for conflict in conflicts:
            self._targets[target].replace(conflict)
        return len(conflicts)

    def put_aliases(self, role: str, target: str) -> int:
        """Make the paths that people use show the new objects, each results file together with its signature."""
        signed = self.draft.has_signatures(role)
        signatures = {entry.path for entry in read_index(self.draft.signatures, role)} if signed else set()
        entries, link = read_index(self.draft.files, role), self._targets[target].link
        for entry in entries:
            source = object_path(entry)
            link(entry.path, source)
            if f"{source}.minisig" in signatures:
                link(f"{entry.path}.minisig", f"{source}.minisig")
        return len(entries)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two processes that make files (links are cheap) slow each other down; better that the other one renders meanwhile."""
        with (self.draft.directory / "disk").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _signatures(self, role: str) -> Iterator[tuple[Entry, bytes]]:
        head = msgspec.json.Decoder(_Head)
        for entry, data in read_pack(self.draft.files, role, is_results):
            told = head.decode(data)
            seconds = _seconds(self.workspace.ledger.cuts[told.release - 1].time)
            comment = TrustedComment(seconds, told.path, told.election, told.release, entry.sha256).encode()
            key = next(one.key for one in reversed(self.plan.minisign) if one.first <= told.release)
            yield entry_of(f"{object_path(entry)}.minisig", key.sign_file(data, comment))


class Workers:
    """The worker processes of one run. Starting one takes a second, so whoever sees much work coming starts them early."""

    def __init__(self, directory: Path, count: int) -> None:
        self._directory, self.count = directory, count
        self._pool: ProcessPoolExecutor | None = None

    @property
    def started(self) -> bool:
        return self._pool is not None

    @property
    def pool(self) -> ProcessPoolExecutor | None:
        """None where one process has to do."""
        self.start()
        return self._pool

    def start(self) -> None:
        """Start them without waiting until they are ready."""
        if self._pool is None and self.count > 1:
            self._pool = ProcessPoolExecutor(self.count, get_context("spawn"), _start_worker, (self._directory,))
            for _ in range(self.count):
                self._pool.submit(_ready)

    def stop(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


class Runner:
    """Runs jobs for many roles: here when they are few, else in worker processes that are started once.

    A job that was done for a role is not done again in the same run: a release may be made role by role, rendered, signed and put in one go,
    which keeps processor and disk busy at once, and whoever asks for one of these later finds it done.
    """

    def __init__(self, workers: Workers, jobs: Jobs, prepare: Callable[[], None]) -> None:
        """`prepare` leaves on disk what worker processes will read; it is called before the first of them works."""
        self._workers, self._jobs, self._prepare = workers, jobs, prepare
        self._done: dict[tuple[Job, str], int] = {}
        self._prepared = False

    def run(self, jobs: Sequence[Job], roles: Sequence[str], advance: Callable[[int], None]) -> None:
        """Do `jobs` in their order for each role."""
        tasks = [(role, left) for role in roles if (left := [job for job in jobs if (job, role) not in self._done])]
        pool = self._workers.pool if len(tasks) >= FEW_ROLES else None
        if pool is not None and not self._prepared:
            self._prepare()
            self._prepared = True
        work = partial(_work, self._jobs.plan)
        results = pool.map(work, tasks, chunksize=4) if pool else (_run(self._jobs, *task) for task in tasks)
        for (role, left), counts in zip(tasks, results, strict=True):
            self._done.update(((job, role), count) for job, count in zip(left, counts, strict=False))
            advance(1)

    def count(self, *job: str) -> int:
        """The sum of what `job` returned so far."""
        return sum(count for (done, _), count in self._done.items() if done == job)

    def in_parts(self, work: Callable[[Sequence[U]], T], items: Sequence[U]) -> list[T]:
        """Do `work` for `items`, split among the worker processes if there are any; what it returned for each part."""
        if not self._workers.started or len(items) < 2 or (pool := self._workers.pool) is None:
            return [work(items)]
        return list(pool.map(work, [items[place :: self._workers.count] for place in range(self._workers.count)]))


_workspace: Workspace
_jobs: Jobs | None = None


def _start_worker(directory: Path) -> None:
    global _workspace  # noqa: PLW0603 - a worker process has one workspace for its life
    end_with_parent()
    _workspace = Workspace(directory)
    _ = _workspace.definition
    # What was loaded stays: the collector need not look at it again and again.
    gc.freeze()
    gc.set_threshold(100_000)


def _ready() -> None:
    pass


def _work(plan: Plan, task: tuple[str, Sequence[Job]]) -> list[int]:
    global _jobs  # noqa: PLW0603
    if _jobs is None or _jobs.plan != plan:
        _jobs = Jobs(plan, _workspace)
    return _run(_jobs, *task)


def _run(jobs: Jobs, role: str, names: Sequence[Job]) -> list[int]:
    """What the jobs returned, up to one that a target refused: what was made before stays, and this target's own push does the rest or fails alone."""
    counts: list[int] = []
    for name, *arguments in names:
        try:
            counts.append(getattr(jobs, name)(role, *arguments))
        except TargetError:
            if not counts:
                raise
            break
    return counts


def _ignore(steps: int) -> None:
    pass


def save_tallies(draft: Draft, tallies: dict[str, Tally]) -> None:
    """Leave the tallies where worker processes find them."""
    write_tallies(draft.directory / "tally", tallies)


def _seconds(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp())
