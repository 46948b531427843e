"""Bring the files of a verified release into a mirror's folder: objects, minisign signatures, recap packages.

Each is checked before it is put where it is served, and one that is there with the right bytes is not fetched again, so a
run that was broken off goes on where it stopped.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar

from verifier import limits
from verifier.errors import VerificationError, VerifierError
from verifier.files import object_path
from verifier.mirror.budget import Budget
from verifier.mirror.folder import Folder, Marked
from verifier.mirror.metadata import right_bytes
from verifier.mirror.objects import Objects
from verifier.mirror.unpack import Unpacker
from verifier.mirror.upstreams import Upstreams, worst
from verifier.packages import COVER, named_files
from verifier.results_signature import MinisignKeys
from verifier.withheld import Order, order_path

__all__ = ["Transfer"]

# A thread's share: small enough that a failure late in a large release still shows progress before it.
BATCH_SIZE = 64
T = TypeVar("T")


class Transfer:
    """One run's files."""

    def __init__(
        self,
        folder: Folder,
        upstreams: Upstreams,
        budget: Budget,
        executor: Executor,
        progress: Callable[[int, int], None],
    ) -> None:
        self._folder, self._upstreams, self._budget = folder, upstreams, budget
        self._executor, self._progress = executor, progress
        self.objects = Objects(folder, upstreams, budget)

    def check_space(self, files: Sequence[Marked]) -> None:
        """VerifierError if the objects that are not there yet cannot fit on the disk."""
        free = self._folder.free()
        if sum(file.length for file, _ in files) > free and (need := self.missing(files)) > free:
            raise VerifierError(
                f"{self._folder.root} needs {need:,} bytes more, and the disk has {free:,} left; make room, and run again"
            )

    def missing(self, files: Iterable[Marked]) -> int:
        """How many bytes the objects have that are not there yet."""
        public = self._folder.public
        return sum(file.length for file, _ in files if not os.path.exists(f"{public}/{object_path(file)}"))

    def files(self, files: Sequence[Marked], keys: MinisignKeys, unpacker: Unpacker) -> set[tuple[bytes, bytes]]:
        """Bring in objects, each with its signature where it is marked as a results file; the packages that they name
        (`named_packages`). Where `unpacker` is started it was given them all, and has most of the work done. A failure stops nothing else, so that the next run has less to do; the worst is raised at the end."""
        packages: set[tuple[bytes, bytes]] = set()
        if unpacker.started:
            unpacked = unpacker.finish(keys, self._progress)
            self._budget.take(unpacked.length, unpacked.files)
            files, packages = unpacked.left, unpacked.packages
        self._each(lambda one: packages.update(self.objects.bring(*one, keys)), files)
        return packages

    def packages(self, names: Sequence[tuple[str, str]], order: Order, *, thorough: bool) -> None:
        """Bring in recap packages; in place of a scan that an order withholds, the order. A package whose cover is there is there as a
        whole, unless it has to be looked at more thoroughly: the cover comes last."""
        self._each(partial(self._package, order=order, thorough=thorough), names)

    def _each(self, bring: Callable[[T], None], items: Sequence[T]) -> None:
        errors: list[VerifierError] = []

        def batch(start: int) -> int:
            part = items[start : start + BATCH_SIZE]
            for one in part:
                try:
                    bring(one)
                except VerifierError as error:
                    errors.append(error)
            return len(part)

        done = 0
        # Threads wait for a network well; what lies in packs on the disk they only wait for each other.
        each = map if any(self._upstreams.packs) else self._executor.map
        for count in each(batch, range(0, len(items), BATCH_SIZE)):
            done += count
            self._progress(done, len(items))
        if errors:
            error = worst(errors)
            raise type(error)(
                f"{error}; {len(errors)} of {len(items)} could not be had. What is served stays as it was"
            )

    def _package(self, named: tuple[str, str], *, order: Order, thorough: bool) -> None:
        name, signature = named
        path = f"packages/{name}/{COVER}"
        cover = self._folder.read(path, name, limits.COVER_FILE)
        if cover is not None and not thorough:
            return
        whole = cover is not None
        if cover is None:
            self._budget.take(limits.COVER_FILE)
            cover = self._upstreams.fetch(path, limits.COVER_FILE, right_bytes(name))
        for file, sha256, length, scan in named_files(cover, signature):
            if file == COVER:
                raise VerificationError(f"{path} names itself")
            if scan and (withheld := order(name, sha256)) is not None:
                self.objects.get(order_path(name, withheld), limits.ORDER_FILE, withheld)
            else:
                self.objects.get(f"packages/{name}/{file}", length, sha256)
        if not whole:
            self._folder.put(path, cover)
