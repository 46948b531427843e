"""Bring in what packs hold in several processes, while another one still reads the lists: each file has to be hashed, made and linked, and a results
file has two signatures. A file that cannot be had so is left to the process that has other upstreams.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import suppress
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from verifier.archive import ArchiveFetcher
from verifier.errors import VerifierError
from verifier.files import object_path
from verifier.mirror.budget import Budget
from verifier.mirror.folder import Folder, Marked
from verifier.mirror.objects import Objects
from verifier.mirror.packs import Arriving
from verifier.mirror.upstreams import Upstreams
from verifier.processes import end_with_parent
from verifier.results_signature import MinisignKeys

__all__ = ["Unpacked", "Unpacker"]

# Packs of fewer bytes are unpacked before a process has started.
MANY_BYTES = 20_000_000
SHARE_SIZE = 500
PROCESSES = 4


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
        self._packs: Arriving
        self._ready: dict[ArchiveFetcher, list[Marked]] = {}
        self._waiting: dict[str, Marked] = {}
        self._shares: list[tuple[list[Marked], Future[Unpacked]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    @property
    def started(self) -> bool:
        return self._pool is not None

    def start(self, packs: Arriving, length: int) -> None:
        """Start processes, while packs of so many bytes are on their way, if that is worth it, and if they and all that they hold fit on the disk."""
        self._packs = packs
        count = min(PROCESSES, len(os.sched_getaffinity(0)))
        if MANY_BYTES <= length <= self._folder.free() // 2 and count > 1:
            self._pool = ProcessPoolExecutor(count, get_context("spawn"), _start)
            with suppress(BrokenExecutor):
                for _ in range(count):
                    self._pool.submit(_ready)

    def add(self, files: Sequence[Marked], keys: MinisignKeys) -> None:
        """Have some files brought in: those of packs that have come at once, the others when theirs come."""
        here = self._packs.here()
        for one in files:
            path = object_path(one[0])
            pack = next((pack for pack in here if path in pack), None)
            if pack is None:
                self._waiting[path] = one
            else:
                self._hand_out(one, pack, keys)

    def finish(self, keys: MinisignKeys, progress: Callable[[int, int], None]) -> Unpacked:
        """What became of all files that were added. What the processes store is in packs, which were counted when they came."""
        for pack in self._packs:
            for path in pack:
                if (one := self._waiting.pop(path, None)) is not None:
                    self._hand_out(one, pack, keys)
        for pack in self._ready:
            self._submit(pack, keys)
        left = list(self._waiting.values())
        packages: set[tuple[bytes, bytes]] = set()
        length = count = done = 0
        total = len(left) + sum(len(files) for files, _ in self._shares)
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
            self._folder.show(files)
            return
        shares = [files[start : start + SHARE_SIZE] for start in range(0, len(files), SHARE_SIZE)]
        try:
            for _ in self._pool.map(partial(_link, self._folder.root), shares):
                pass
        except BrokenExecutor:
            self._folder.show(files)

    def _hand_out(self, one: Marked, pack: ArchiveFetcher, keys: MinisignKeys) -> None:
        share = self._ready.setdefault(pack, [])
        share.append(one)
        if len(share) == SHARE_SIZE:
            self._submit(pack, keys)

    def _submit(self, pack: ArchiveFetcher, keys: MinisignKeys) -> None:
        assert self._pool is not None
        files, self._ready[pack] = self._ready[pack], []
        objects = [object_path(file) for file, _ in files]
        signatures = [f"{path}.minisig" for path, (_, is_results) in zip(objects, files, strict=True) if is_results]
        future: Future[Unpacked]
        try:
            part = pack.part([*objects, *signatures])
            future = self._pool.submit(_unpack, self._folder.root, files, keys, part)
        except BrokenExecutor as error:
            future = Future()
            future.set_exception(error)
        self._shares.append((files, future))


_folder = cache(Folder)  # one for each process: it remembers which folders it made


def _start() -> None:
    end_with_parent()
    # What was loaded stays: the collector need not look at it again and again.
    gc.freeze()
    gc.set_threshold(100_000)


def _ready() -> None:
    pass


def _link(root: Path, files: Sequence[Marked]) -> None:
    _folder(root).show(files)


def _unpack(root: Path, files: Sequence[Marked], keys: MinisignKeys, pack: ArchiveFetcher) -> Unpacked:
    folder, budget, places = _folder(root), Budget(), Upstreams(())
    places.packs = [pack]
    checked: list[tuple[str, bytes]] = []
    objects = Objects(folder, places, budget, lambda path, data: checked.append((path, data)), look=False)
    left: list[Marked] = []
    packages: set[tuple[bytes, bytes]] = set()
    for file, is_results in files:
        try:
            packages |= objects.bring(file, is_results, keys)
        except VerifierError:
            left.append((file, is_results))
    try:
        # Two processes that make files slow each other down; better that the other one checks meanwhile.
        with folder.making():
            for path, data in checked:
                folder.add(path, data)
    except VerifierError:
        return Unpacked(list(files), set(), 0, 0)
    return Unpacked(left, packages, budget.length, budget.files)
