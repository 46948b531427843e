"""Bring in what packs hold in several processes, while another one still reads the lists: each file has to be hashed, made and linked, and a results
file has two signatures. A file that cannot be had so is left to the process that has other upstreams.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from verifier.archive import ArchiveFetcher
from verifier.errors import VerifierError
from verifier.files import SignedFile
from verifier.mirror.budget import Budget
from verifier.mirror.folder import Folder
from verifier.mirror.objects import Objects
from verifier.mirror.upstreams import Upstreams
from verifier.results_signature import MinisignKeys

__all__ = ["Marked", "Unpacked", "Unpacker"]

# Packs of fewer bytes are unpacked before a process has started.
MANY_BYTES = 20_000_000
SHARE_SIZE = 500
PROCESSES = 4

Marked = tuple[SignedFile, bool]  # a file, and if it is a results file


class Unpacked(NamedTuple):
    """What became of some files: those that could not be had so, the packages that the others name, bytes and files that were asked for."""

    left: list[Marked]
    packages: set[tuple[bytes, bytes]]
    length: int
    files: int


class Unpacker:
    """A context manager, since it holds processes. It does nothing, and leaves everything, until it is started."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._pool: ProcessPoolExecutor | None = None
        self._waiting: list[Marked] = []
        self._shares: list[tuple[list[Marked], Future[Unpacked]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    @property
    def started(self) -> bool:
        return self._pool is not None

    def start(self, packs: Sequence[ArchiveFetcher]) -> None:
        """Start processes if that is worth it, and if all that these packs hold fits on the disk."""
        length = sum(pack.length for pack in packs)
        count = min(PROCESSES, len(os.sched_getaffinity(0)))
        if MANY_BYTES <= length <= self._folder.free() and count > 1:
            plan = (self._folder.root, tuple(packs))
            self._pool = ProcessPoolExecutor(count, get_context("spawn"), _start, plan)
            for _ in range(count):
                self._pool.submit(_ready)

    def add(self, files: Sequence[Marked], keys: MinisignKeys) -> None:
        """Have some files brought in."""
        for start in range(0, len(files), SHARE_SIZE):
            self._waiting += files[start : start + SHARE_SIZE]
            if len(self._waiting) >= SHARE_SIZE:
                self._submit(keys)

    def finish(self, keys: MinisignKeys, progress: Callable[[int, int], None]) -> Unpacked:
        """What became of all files that were added. What the processes store is in packs, which were counted when they came."""
        if self._waiting:
            self._submit(keys)
        left: list[Marked] = []
        packages: set[tuple[bytes, bytes]] = set()
        length = count = done = 0
        total = sum(len(files) for files, _ in self._shares)
        for files, future in self._shares:
            try:
                unpacked = future.result()
            except BrokenExecutor:  # the system took a process away
                left += files
                continue
            left += unpacked.left
            packages |= unpacked.packages
            length, count = length + unpacked.length, count + unpacked.files
            done += len(files) - len(unpacked.left)
            progress(done, total)
        return Unpacked(left, packages, length, count)

    def link(self, files: Sequence[Marked]) -> None:
        """Let the aliases of files be their objects; what a process that was taken away had to do is done here."""
        if self._pool is None:
            _link_to(self._folder, files)
            return
        shares = [files[start : start + SHARE_SIZE] for start in range(0, len(files), SHARE_SIZE)]
        try:
            for _ in self._pool.map(_link, shares):
                pass
        except BrokenExecutor:
            _link_to(self._folder, files)

    def _submit(self, keys: MinisignKeys) -> None:
        assert self._pool is not None
        future: Future[Unpacked]
        try:
            future = self._pool.submit(_unpack, self._waiting, keys)
        except BrokenExecutor as error:
            future = Future()
            future.set_exception(error)
        self._shares.append((self._waiting, future))
        self._waiting = []


_folder: Folder
_packs: Upstreams


def _start(root: Path, packs: Sequence[ArchiveFetcher]) -> None:
    global _folder, _packs
    _folder, _packs = Folder(root), Upstreams(())
    _packs.packs = list(packs)
    # What was loaded stays: the collector need not look at it again and again.
    gc.freeze()
    gc.set_threshold(100_000)


def _ready() -> None:
    pass


def _link(files: Sequence[Marked]) -> None:
    _link_to(_folder, files)


def _link_to(folder: Folder, files: Sequence[Marked]) -> None:
    for file, is_results in files:
        folder.show(file, is_results)


def _unpack(files: Sequence[Marked], keys: MinisignKeys) -> Unpacked:
    budget = Budget()
    checked: list[tuple[str, bytes]] = []
    objects = Objects(_folder, _packs, budget, lambda path, data: checked.append((path, data)), look=False)
    left: list[Marked] = []
    packages: set[tuple[bytes, bytes]] = set()
    for file, is_results in files:
        try:
            packages |= objects.bring(file, is_results, keys)
        except VerifierError:
            left.append((file, is_results))
    try:
        # Two processes that make files slow each other down; better that the other one checks meanwhile.
        with _folder.making():
            for path, data in checked:
                _folder.add(path, data)
    except VerifierError:
        return Unpacked(list(files), set(), 0, 0)
    return Unpacked(left, packages, budget.length, budget.files)
